//! The opening handshake of RFC 6455, section 4.
//!
//! ```text
//! request head ──▶ check ──▶ negotiate ──▶ response (101)
//!                    └──▶ Diagnosis: the problem, the usual cause, the fix
//! ```
//!
//! Each step computes a decision from a request head, without I/O. Only
//! [`reserve_takeover`](negotiate::Negotiated::reserve_takeover) takes a slot.

pub(crate) mod check;
pub(crate) mod extensions;
pub(crate) mod negotiate;
pub(crate) mod refusals;
pub(crate) mod response;
