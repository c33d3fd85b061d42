//! What operators see and set, beside the command line.

pub(crate) mod descriptors;
pub(crate) mod mappings;
pub(crate) mod tally;
pub(crate) mod throttle;
