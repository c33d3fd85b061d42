//! Sockets and threads: who gets in, who serves, and how all of it ends.

pub(crate) mod admission;
pub(crate) mod linger;
pub(crate) mod listen;
pub(crate) mod pool;
pub(crate) mod refuser;
pub(crate) mod shutdown;
pub(crate) mod socket;
