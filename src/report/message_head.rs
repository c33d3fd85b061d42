//! The head of a request or of a response, as one end of a connection saw it.

use serde::Serialize;

use crate::http::excerpt::method;
use crate::http::fields::Fields;
use crate::http::head::Head;

/// Start line and fields, in the order on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MessageHead {
    pub(crate) line: String,
    pub(crate) fields: Fields,
}

impl MessageHead {
    /// That of a request which was parsed.
    pub(super) fn of_request(head: &Head) -> MessageHead {
        MessageHead {
            line: format!("{} {} {}", method(head), head.target, head.version.name()),
            fields: head.fields.clone(),
        }
    }

    /// Splits a head that this program has formatted.
    pub(crate) fn split(text: &str) -> MessageHead {
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        MessageHead { line, fields: Fields(fields.collect()) }
    }

    /// How much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let field = |(name, value): &(String, String)| {
            name.len() + value.len() + size_of::<(String, String)>()
        };
        self.line.len() + self.fields.0.iter().map(field).sum::<usize>()
    }
}
