//! `/chat`: a message of one member goes to every member of the room.
//!
//! ```text
//! session reads ──▶ ChatSession::on_message ──▶ room: numbered, encoded once
//!                                                 │ a reference to the frame
//!                                                 ▼
//! session writes ◀── ChatSession::deliver ◀── outbox of each member (bounded), and its waker
//! ```
//!
//! A member is served by its session's thread alone: that thread waits for its socket and for the
//! outbox's waker. The interface to `session` is [`ChatSession`](member::ChatSession).
//!
//! **Invariants:** all members of a room get the same messages in the same order, without a gap in
//! `seq`. A room never waits for a member: one that reads too slowly is removed. A room exists while
//! it has members.

mod event;
pub(crate) mod join_request;
pub(crate) mod member;
mod outbox;
pub(crate) mod room;
