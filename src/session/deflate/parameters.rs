//! What two sides agree on: RFC 7692, section 7.1.
//!
//! What it is: one offer's parameters, and the answer to them; pure.
//! What it is not: the header field; `http::extensions` reads it.

use std::fmt;
use std::ops::RangeInclusive;

/// The extension's name.
pub(crate) const NAME: &str = "permessage-deflate";

/// Windows that RFC 7692 knows, in bits.
const WINDOWS: RangeInclusive<u8> = 8..=15;
/// The smallest window that zlib deflates with: an offer that demands less is declined.
const SMALLEST: u8 = 9;
/// The window where nothing was said.
const LARGEST: u8 = 15;

/// The parameters that are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeflateParameters {
    /// Whether the server may refer to its earlier messages.
    pub(super) server_takeover: bool,
    /// Whether the client may.
    pub(super) client_takeover: bool,
    server_window: Option<u8>,
    client_window: Option<u8>,
}

impl DeflateParameters {
    /// The answer to an offer with these parameters; none declines it. Without `takeover` no side
    /// keeps its context, so that a session which waits holds none.
    pub(crate) fn negotiate(
        parameters: &[(&str, Option<String>)],
        takeover: bool,
    ) -> Option<DeflateParameters> {
        let mut agreed = DeflateParameters {
            server_takeover: takeover,
            client_takeover: takeover,
            server_window: None,
            client_window: None,
        };
        for (index, (name, value)) in parameters.iter().enumerate() {
            if parameters[..index].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (*name, value) {
                ("server_no_context_takeover", None) => agreed.server_takeover = false,
                ("client_no_context_takeover", None) => agreed.client_takeover = false,
                ("server_max_window_bits", Some(bits)) => {
                    agreed.server_window = Some(window(bits).filter(|bits| *bits >= SMALLEST)?);
                }
                // The client could be told a smaller one; it is inflated with the largest anyway.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => {
                    agreed.client_window = Some(window(bits)?);
                }
                _ => return None,
            }
        }
        Some(agreed)
    }

    /// The window that the server deflates with, in bits.
    pub(super) fn server_window(self) -> u8 {
        self.server_window.unwrap_or(LARGEST)
    }

    /// The same without context takeover on either side.
    pub(crate) fn without_takeover(self) -> DeflateParameters {
        DeflateParameters { server_takeover: false, client_takeover: false, ..self }
    }

    /// Whether a side keeps its context.
    pub(crate) fn keeps_context(self) -> bool {
        self.server_takeover || self.client_takeover
    }
}

/// Window bits, which have no leading zero.
fn window(bits: &str) -> Option<u8> {
    WINDOWS.into_iter().find(|window| window.to_string() == bits)
}

/// As it stands in the 101.
impl fmt::Display for DeflateParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if !self.server_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if !self.client_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_window {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_window {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to an offer, written as it stands in the field.
    fn answer(offer: &str, takeover: bool) -> Option<String> {
        let parameters: Vec<_> = offer
            .split_terminator("; ")
            .map(|text| match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            })
            .collect();
        let agreed = DeflateParameters::negotiate(&parameters, takeover)?.to_string();
        Some(agreed.strip_prefix(NAME).unwrap().trim_start_matches("; ").to_owned())
    }

    #[test]
    fn each_offer_has_its_answer() {
        let none = "server_no_context_takeover; client_no_context_takeover";
        let with = |more: &str| Some(format!("{none}; {more}"));
        for (offer, expected) in [
            ("", Some(none.to_owned())),
            ("client_max_window_bits", Some(none.to_owned())),
            ("server_no_context_takeover", Some(none.to_owned())),
            ("client_no_context_takeover", Some(none.to_owned())),
            ("client_max_window_bits=8", with("client_max_window_bits=8")),
            ("client_max_window_bits=15", with("client_max_window_bits=15")),
            ("server_max_window_bits=9", with("server_max_window_bits=9")),
            (
                "client_max_window_bits=10; server_max_window_bits=15",
                with("server_max_window_bits=15; client_max_window_bits=10"),
            ),
            // zlib deflates with 9 bits at least.
            ("server_max_window_bits=8", None),
            ("server_max_window_bits", None),
            ("server_max_window_bits=7", None),
            ("server_max_window_bits=16", None),
            ("server_max_window_bits=09", None),
            ("server_max_window_bits=+9", None),
            ("server_max_window_bits=x", None),
            ("client_max_window_bits=16", None),
            ("client_max_window_bits=0", None),
            ("server_no_context_takeover=1", None),
            ("client_no_context_takeover=true", None),
            ("client_max_window_bits; client_max_window_bits", None),
            ("client_max_window_bits; client_max_window_bits=10", None),
            ("server_no_context_takeover; server_no_context_takeover", None),
            ("Client_Max_Window_Bits", None),
            ("unknown", None),
        ] {
            assert_eq!(answer(offer, false), expected, "{offer}");
        }
    }

    #[test]
    fn context_is_kept_where_both_want_it() {
        for (offer, expected) in [
            ("", ""),
            ("client_max_window_bits", ""),
            ("server_no_context_takeover", "server_no_context_takeover"),
            ("client_no_context_takeover", "client_no_context_takeover"),
        ] {
            assert_eq!(answer(offer, true).as_deref(), Some(expected), "{offer}");
        }
        assert!(DeflateParameters::negotiate(&[], true).unwrap().keeps_context());
        assert!(!DeflateParameters::negotiate(&[], false).unwrap().keeps_context());
    }
}
