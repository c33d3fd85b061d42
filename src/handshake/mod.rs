//! The opening handshake of RFC 6455, section 4.
//!
//! ```text
//! request head ──▶ check ──▶ negotiate ──▶ response (101)
//!                    └──▶ Diagnosis: the problem, the usual cause, the fix
//! ```
//!
//! All of it is pure: from a request head to a decision.

pub(crate) mod check;
pub(crate) mod extensions;
pub(crate) mod negotiate;
pub(crate) mod refusals;
pub(crate) mod response;
