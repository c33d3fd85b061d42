//! The opening handshake of RFC 6455, section 4: checked, negotiated, answered.
//!
//! ```text
//! request head ──▶ check ──▶ negotiate ──▶ response (101)
//!                    └──▶ Diagnosis: what is wrong, the usual cause, the fix
//! ```

pub(crate) mod check;
pub(crate) mod extensions;
pub(crate) mod response;
