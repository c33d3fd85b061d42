//! What operators see and set, beside the command line.

pub(crate) mod descriptors;
pub(crate) mod exposition;
pub(crate) mod histogram;
pub(crate) mod mappings;
pub(crate) mod metrics;
pub(crate) mod roll;
pub(crate) mod tally;
pub(crate) mod throttle;
