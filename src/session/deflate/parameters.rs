//! Negotiates the parameters of the extension (RFC 7692, section 7.1): validates those of one
//! offer, and formats the answer to it.
//!
//! `handshake::extensions` parses the header field.

use std::fmt;
use std::ops::RangeInclusive;

/// The extension's name.
pub(crate) const NAME: &str = "permessage-deflate";

/// The window sizes that RFC 7692 allows, in bits.
const WINDOW_BITS: RangeInclusive<u8> = 8..=15;
/// The smallest window that zlib can deflate with. An offer that requires a smaller one is
/// declined.
const MIN_DEFLATE_WINDOW_BITS: u8 = 9;
/// The window size if none is negotiated.
const DEFAULT_WINDOW_BITS: u8 = 15;

/// The negotiated parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeflateParameters {
    /// Whether the server uses context takeover: its messages may refer to earlier ones.
    pub(super) server_takeover: bool,
    /// Whether the client may use context takeover.
    pub(super) client_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl DeflateParameters {
    /// Negotiates an offer with these parameters; `None` declines it. If `takeover` is false, the
    /// answer has both `no_context_takeover` parameters, so that an idle session needs no context.
    pub(crate) fn negotiate(
        parameters: &[(&str, Option<String>)],
        takeover: bool,
    ) -> Option<DeflateParameters> {
        let mut answer = DeflateParameters {
            server_takeover: takeover,
            client_takeover: takeover,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        for (index, (name, value)) in parameters.iter().enumerate() {
            if parameters[..index].iter().any(|(earlier, _)| earlier == name) {
                return None;
            }
            match (*name, value) {
                ("server_no_context_takeover", None) => answer.server_takeover = false,
                ("client_no_context_takeover", None) => answer.client_takeover = false,
                ("server_max_window_bits", Some(bits)) => {
                    let bits = window_bits(bits).filter(|bits| *bits >= MIN_DEFLATE_WINDOW_BITS)?;
                    answer.server_max_window_bits = Some(bits);
                }
                // The answer could limit the client's window, but the inflater uses the largest one
                // anyway.
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => {
                    answer.client_max_window_bits = Some(window_bits(bits)?);
                }
                _ => return None,
            }
        }
        Some(answer)
    }

    /// Returns the window size that the server deflates with, in bits.
    pub(super) fn server_window_bits(self) -> u8 {
        self.server_max_window_bits.unwrap_or(DEFAULT_WINDOW_BITS)
    }

    /// The same without context takeover on either side.
    pub(crate) fn without_takeover(self) -> DeflateParameters {
        DeflateParameters { server_takeover: false, client_takeover: false, ..self }
    }

    /// Whether either side uses context takeover.
    pub(crate) fn keeps_context(self) -> bool {
        self.server_takeover || self.client_takeover
    }
}

/// Parses a window size, which has no leading zero. `None` if it is invalid.
fn window_bits(value: &str) -> Option<u8> {
    WINDOW_BITS.into_iter().find(|bits| bits.to_string() == value)
}

/// Formats the value of `Sec-WebSocket-Extensions` in the 101.
impl fmt::Display for DeflateParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if !self.server_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if !self.client_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Negotiates an offer given as in the header field, and formats the answer without its name.
    fn answer(offer: &str, takeover: bool) -> Option<String> {
        let parameters: Vec<_> = offer
            .split_terminator("; ")
            .map(|text| match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            })
            .collect();
        let answer = DeflateParameters::negotiate(&parameters, takeover)?.to_string();
        Some(answer.strip_prefix(NAME).unwrap().trim_start_matches("; ").to_owned())
    }

    #[test]
    fn offers_are_accepted_or_declined() {
        let no_takeover = "server_no_context_takeover; client_no_context_takeover";
        let with = |more: &str| Some(format!("{no_takeover}; {more}"));
        for (offer, expected) in [
            ("", Some(no_takeover.to_owned())),
            ("client_max_window_bits", Some(no_takeover.to_owned())),
            ("server_no_context_takeover", Some(no_takeover.to_owned())),
            ("client_no_context_takeover", Some(no_takeover.to_owned())),
            ("client_max_window_bits=8", with("client_max_window_bits=8")),
            ("client_max_window_bits=15", with("client_max_window_bits=15")),
            ("server_max_window_bits=9", with("server_max_window_bits=9")),
            (
                "client_max_window_bits=10; server_max_window_bits=15",
                with("server_max_window_bits=15; client_max_window_bits=10"),
            ),
            // zlib cannot deflate with 8 bits.
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
    fn context_takeover_requires_both_sides() {
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
