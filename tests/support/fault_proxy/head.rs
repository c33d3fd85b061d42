//! A request head or a response head, and the changes to it.
//!
//! **Invariant:** lines that a change does not concern stay as they arrived, byte for byte.

use super::fault::HeadFault;

pub(super) const END: &[u8] = b"\r\n\r\n";

pub(super) struct Head {
    first_line: String,
    /// Fields as they arrived, `Name: value`.
    fields: Vec<String>,
}

fn name(field: &str) -> &str {
    field.split_once(':').map_or(field, |(name, _)| name)
}

fn value(field: &str) -> &str {
    field.split_once(':').map_or("", |(_, value)| value.trim())
}

impl Head {
    /// Parses a head with its empty line.
    pub(super) fn parse(bytes: &[u8]) -> Head {
        let text = std::str::from_utf8(bytes).expect("a head in ASCII");
        let mut lines = text.trim_end_matches("\r\n").split("\r\n").map(str::to_owned);
        Head { first_line: lines.next().unwrap(), fields: lines.collect() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let lines = std::iter::once(&self.first_line).chain(&self.fields);
        let mut bytes: Vec<u8> =
            lines.flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
        bytes.extend(b"\r\n");
        bytes
    }

    pub(super) fn is_switching_protocols(&self) -> bool {
        self.first_line.split(' ').nth(1) == Some("101")
    }

    /// Returns the value of the first field of this name.
    pub(super) fn get(&self, wanted: &str) -> Option<&str> {
        let is_wanted = |field: &&String| name(field).eq_ignore_ascii_case(wanted);
        self.fields.iter().find(is_wanted).map(|field| value(field))
    }

    pub(super) fn set(&mut self, wanted: &str, new: &str) {
        self.rewrite(wanted, |_| new.to_owned());
    }

    fn rewrite(&mut self, wanted: &str, new: impl Fn(&str) -> String) {
        for field in &mut self.fields {
            if name(field).eq_ignore_ascii_case(wanted) {
                *field = format!("{}: {}", name(field), new(value(field)));
            }
        }
    }

    pub(super) fn apply(&mut self, fault: HeadFault) {
        match fault {
            HeadFault::Remove(unwanted) => {
                self.fields.retain(|field| !name(field).eq_ignore_ascii_case(unwanted));
            }
            HeadFault::Set(name, value) => self.set(name, value),
            HeadFault::Add(name, value) => self.fields.push(format!("{name}: {value}")),
            HeadFault::Merge(name) => self.merge(name),
            HeadFault::Duplicate(name) => self.rewrite(name, |value| format!("{value}, {value}")),
            HeadFault::Sort => self.fields.sort_by_key(|field| name(field).to_ascii_lowercase()),
            HeadFault::FirstLine(old, new) => {
                self.first_line = self.first_line.replacen(old, new, 1);
            }
        }
    }

    /// Puts all values into the place of the first one.
    fn merge(&mut self, wanted: &str) {
        let is_wanted = |field: &String| name(field).eq_ignore_ascii_case(wanted);
        let Some(place) = self.fields.iter().position(is_wanted) else { return };
        let values: Vec<_> =
            self.fields.iter().filter(|field| is_wanted(field)).map(|field| value(field)).collect();
        let merged = format!("{}: {}", name(&self.fields[place]), values.join(", "));
        self.fields.retain(|field| !is_wanted(field));
        self.fields.insert(place, merged);
    }
}
