//! `/chat`: what one member of a room sends, all of its members get.
//!
//! What it is: rooms and their members, and the outboxes through which members are sent to.
//! What it is not: a session; `ws` reads what a member says, and hands it over here.
//! Invariants: every member of a room gets the same messages in the same order, without a gap in
//! `seq`. Nobody waits for a member who reads slowly. A room exists while it has members.
//!
//! ```text
//! member ── session reads ──▶ room: seq, encoded once ──▶ outbox of each member ──▶ its courier
//!                                                         (bounded)                 (a thread) writes
//! ```

pub(crate) mod courier;
mod event;
pub(crate) mod join_request;
pub(crate) mod member;
pub(crate) mod outbox;
mod rate;
pub(crate) mod room;
