//! The template of the tutorial's reply. It is checked when it is parsed, so rendering cannot fail.

use std::fmt;
use std::str::FromStr;

/// The tutorial's reply.
pub const TUTORIAL_REPLY: &str = "You sent: {message} at {time}";

/// A reply with the placeholders `{message}` and `{time}`; `{{` and `}}` stand for braces.
///
/// ```
/// let template: wsecho::Template = "{time}: {message} {{sic}}".parse().unwrap();
/// assert_eq!(template.render("hello", "noon"), "noon: hello {sic}");
/// assert!("{massage}".parse::<wsecho::Template>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Message,
    Time,
}

impl Template {
    /// The reply to `message` at `time`.
    pub fn render(&self, message: &str, time: &str) -> String {
        let pieces = self.pieces(message, time);
        let mut reply = String::with_capacity(pieces.clone().map(str::len).sum());
        reply.extend(pieces);
        reply
    }

    /// The reply in the pieces of which it consists.
    pub(crate) fn pieces<'a>(
        &'a self,
        message: &'a str,
        time: &'a str,
    ) -> impl Iterator<Item = &'a str> + Clone {
        self.0.iter().map(move |part| match part {
            Part::Literal(text) => text.as_str(),
            Part::Message => message,
            Part::Time => time,
        })
    }
}

impl Default for Template {
    fn default() -> Self {
        TUTORIAL_REPLY.parse().expect("the tutorial's reply is a template")
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let position = text.len() - rest.len() + at;
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let (part, after) = placeholder(rest, position)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template(parts))
    }
}

/// Parses the placeholder at the start of `rest`, and returns it with the text after it. `position`
/// is the byte index of `rest` in the template, for the error.
fn placeholder(rest: &str, position: usize) -> Result<(Part, &str), TemplateError> {
    for (name, part) in [("{message}", Part::Message), ("{time}", Part::Time)] {
        if let Some(after) = rest.strip_prefix(name) {
            return Ok((part, after));
        }
    }
    let found = rest.split_inclusive('}').next().unwrap_or(rest).to_owned();
    Err(TemplateError { position, found })
}

/// A brace in the template that is neither doubled nor part of a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    position: usize,
    found: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TemplateError { position, found } = self;
        write!(
            f,
            "`{found}` at byte index {position} is neither {{message}} nor {{time}}; \
             a literal brace is written {{{{ or }}}}"
        )
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_doubled_braces_are_rendered() {
        for (template, expected) in [
            ("{message}", "M"),
            ("", ""),
            ("no placeholder", "no placeholder"),
            ("{{message}}", "{message}"),
            ("{time}{message}{time}", "TMT"),
            ("é{message}é", "éMé"),
            ("{{{message}}}", "{M}"),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().render("M", "T"), expected);
        }
    }

    #[test]
    fn an_invalid_template_names_the_position() {
        for (template, position, found) in [
            ("{nmae}", 0, "{nmae}"),
            ("ok {message} {", 13, "{"),
            ("é}", 2, "}"),
            ("{message", 0, "{message"),
        ] {
            let expected = TemplateError { position, found: found.to_owned() };
            assert_eq!(template.parse::<Template>(), Err(expected));
        }
    }
}
