//! What is wrong, and what to do about it: the first two lines of a report.
//!
//! Pure: from what the server answered. The facts about products are in `crate::products`.

mod messages;
mod protocols;
mod responses;
mod table;

use serde::Serialize;

pub(crate) use messages::spoken;
pub(crate) use protocols::not_http;
pub(crate) use responses::{invalid_101, refused, unanswered};

use crate::products::Product;

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// One sentence: what is wrong.
    pub(crate) problem: String,
    /// One line: what to do.
    pub(crate) fix: String,
    /// The product whose setting that is, if it is recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) product: Option<&'static str>,
}

impl Verdict {
    pub(crate) fn new(problem: impl Into<String>, fix: impl Into<String>) -> Verdict {
        Verdict { problem: problem.into(), fix: fix.into(), product: None }
    }

    fn at(self, product: Option<&'static Product>) -> Verdict {
        Verdict { product: product.map(|product| product.name), ..self }
    }
}
