//! One HTTP response: status, fields and body, serialized by tiny_http.
//!
//! **Invariant:** Every response says where it ends, so that the connection can be kept alive: by its
//! `Content-Length`, or by a status that never has a body (204, 304).

use std::fs::File;
use std::io::{self, Read, Write};

use serde::Serialize;
use tiny_http::{HTTPVersion, Header, StatusCode};

use crate::http::head::Version;
use crate::metrics::exposition::FORMAT;

/// The methods that are served, as `Allow` lists them.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// The response to one request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    fields: Vec<(&'static str, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(String),
    Embedded(&'static [u8]),
    File(File, usize),
    /// Neither body nor Content-Length.
    Nothing,
}

impl Response {
    /// A `text/plain` response with `Cache-Control: no-store`.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Response {
        Response::new(status, "text/plain; charset=utf-8", Body::Text(text.into()))
            .with("Cache-Control", "no-store")
    }

    /// A JSON response with `Cache-Control: no-store`; `pretty`: indented.
    pub(crate) fn json(status: u16, value: &impl Serialize, pretty: bool) -> Response {
        let text = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let text = text(value).expect("no map with keys that are not text") + "\n";
        Response::new(status, "application/json", Body::Text(text))
            .with("Cache-Control", "no-store")
    }

    /// Metrics in the Prometheus text format, with `Cache-Control: no-store`.
    pub(crate) fn metrics(text: String) -> Response {
        Response::new(200, FORMAT, Body::Text(text)).with("Cache-Control", "no-store")
    }

    /// A 204 response, which never has a body, with the methods that are served (RFC 9110, section 9.3.7).
    pub(crate) fn options() -> Response {
        Response { status: 204, fields: Vec::new(), body: Body::Nothing }
            .with("Server", "wsecho")
            .with("Cache-Control", "no-store")
            .with("Allow", METHODS)
    }

    /// A 200 response with bytes embedded in the binary.
    pub(crate) fn embedded(bytes: &'static [u8], content_type: &str) -> Response {
        Response::new(200, content_type, Body::Embedded(bytes))
    }

    /// A 200 response with the first `length` bytes of a file.
    ///
    /// # Errors
    /// The file is larger than the address space.
    pub(crate) fn file(file: File, length: u64, content_type: &str) -> io::Result<Response> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        Ok(Response::new(200, content_type, Body::File(file, length)))
    }

    fn new(status: u16, content_type: &str, body: Body) -> Response {
        Response { status, fields: Vec::new(), body }
            .with("Content-Type", content_type)
            .with("X-Content-Type-Options", "nosniff")
            .with("Server", "wsecho")
    }

    /// Turns the response into a 304 without body, for a client whose copy is current. The
    /// Content-Length stays: a 304 has that of the 200, or none (RFC 9110, section 8.6).
    pub(crate) fn not_modified(mut self) -> Response {
        self.status = 304;
        self
    }

    /// Removes the content, for a status that must not have any: 204, 205, 304.
    pub(crate) fn without_content(mut self) -> Response {
        self.fields.retain(|(name, _)| !matches!(*name, "Content-Type" | "X-Content-Type-Options"));
        // A client knows by the status alone where a 204 or a 304 ends, but not a 205 (RFC 9112, section 6.3).
        self.body = if self.status == 205 { Body::Text(String::new()) } else { Body::Nothing };
        self
    }

    /// Keeps pages of other origins from reading the response, as it repeats what a client has sent.
    pub(crate) fn own_origin_only(self) -> Response {
        self.with("Cross-Origin-Resource-Policy", "same-origin")
    }

    /// Adds a header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.fields.push((name, value.into()));
        self
    }

    /// Writes the response, but does not flush it. `head_only`: without its body, for HEAD; `keep`:
    /// the version of the request if the connection is kept alive, or `None`.
    ///
    /// # Errors
    /// Those of `out`, and of reading the file that is the body.
    pub(crate) fn write(
        self,
        out: &mut impl Write,
        head_only: bool,
        keep: Option<Version>,
    ) -> io::Result<()> {
        let (body, length): (Box<dyn Read + '_>, usize) = match &self.body {
            Body::Text(text) => (Box::new(text.as_bytes()), text.len()),
            Body::Embedded(bytes) => (Box::new(*bytes), bytes.len()),
            Body::File(file, length) => (Box::new(Exactly { file, left: *length }), *length),
            Body::Nothing => (Box::new(io::empty()), 0),
        };
        let fields = self
            .fields
            .iter()
            .filter_map(|(name, value)| Header::from_bytes(*name, value.as_bytes()).ok());
        let hop_by_hop = Some(hop_by_hop(self.status, keep));
        let response = tiny_http::Response::new(
            StatusCode(self.status),
            fields.collect(),
            body,
            Some(length),
            None,
        )
        // By default, tiny_http sends bodies of 32 KiB and more chunked.
        .with_chunked_threshold(usize::MAX);
        let print = |out: &mut dyn Write| {
            let mut out = AfterStatusLine { out, insert: hop_by_hop };
            response.raw_print(&mut out, HTTPVersion(1, 1), &[], head_only, None)
        };
        if !matches!(self.body, Body::Nothing) {
            return print(out);
        }
        // tiny_http announces a length even in a 204, which must not have one (RFC 9110, section 8.6).
        let mut head = Vec::new();
        print(&mut head)?;
        head.split_inclusive(|byte| *byte == b'\n')
            .filter(|line| !line.starts_with(b"Content-Length:"))
            .try_for_each(|line| out.write_all(line))
    }
}

/// Reads as many bytes of a file as its response announces, even if the file grows meanwhile.
struct Exactly<'a> {
    file: &'a File,
    left: usize,
}

impl Read for Exactly<'_> {
    /// # Errors
    /// The file has become shorter. The response cannot be completed then, and whatever is sent after it
    /// would be taken for its body.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.left.min(buffer.len());
        let read = self.file.read(&mut buffer[..wanted])?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
}

/// The connection's fields (RFC 9110, section 7.6.1), which tiny_http would discard.
fn hop_by_hop(status: u16, keep: Option<Version>) -> &'static str {
    use Version::{Http10, Http11};
    match (status, keep) {
        (426, Some(Http11)) => "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        (426, Some(Http10)) => "Connection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n",
        (426, None) => "Connection: Upgrade, close\r\nUpgrade: websocket\r\n",
        (_, Some(Http11)) => "",
        // Without it a client of HTTP/1.0 waits for the end of the connection (RFC 9112, section 9.3).
        (_, Some(Http10)) => "Connection: keep-alive\r\n",
        (_, None) => "Connection: close\r\n",
    }
}

/// Inserts fields after the status line.
struct AfterStatusLine<'a> {
    out: &'a mut dyn Write,
    insert: Option<&'static str>,
}

impl Write for AfterStatusLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line_end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (Some(fields), Some(end)) = (self.insert, line_end) else {
            return self.out.write(bytes);
        };
        self.insert = None;
        self.out.write_all(&bytes[..end])?;
        self.out.write_all(fields.as_bytes())?;
        Ok(end)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Option<Version> = Some(Version::Http11);

    fn written(response: Response, head_only: bool, keep: Option<Version>) -> String {
        let mut out = Vec::new();
        response.write(&mut out, head_only, keep).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_response_has_a_length_and_its_body() {
        let text = written(Response::text(404, "no\n").with("Allow", "GET"), false, KEEP);
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
        assert!(
            text.contains("\r\nContent-Length: 3\r\n") && text.contains("\r\nAllow: GET\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\nno\n"), "{text}");
        assert!(!text.contains("Connection:"), "{text}");
    }

    #[test]
    fn a_response_to_head_has_the_length_and_no_body() {
        let text = written(Response::text(200, "ok"), true, KEEP);
        assert!(text.contains("\r\nContent-Length: 2\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn connection_fields_follow_status_and_keep_alive() {
        let closed = written(Response::text(200, ""), false, None);
        assert!(closed.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"), "{closed}");
        let upgrade = written(Response::text(426, ""), false, KEEP);
        assert!(upgrade.contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "{upgrade}");
        let old = written(Response::text(200, ""), false, Some(Version::Http10));
        assert!(old.starts_with("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"), "{old}");
        let old = written(Response::text(426, ""), false, Some(Version::Http10));
        assert!(old.contains("Connection: Upgrade, keep-alive\r\nUpgrade: websocket"), "{old}");
    }

    #[test]
    fn a_204_has_no_length() {
        for head_only in [false, true] {
            let text = written(Response::options(), head_only, None);
            assert!(text.starts_with("HTTP/1.1 204 No Content\r\nConnection: close\r\n"), "{text}");
            assert!(text.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{text}");
            assert!(!text.contains("Content-") && text.ends_with("\r\n\r\n"), "{text}");
        }
    }

    #[test]
    fn statuses_without_content_have_none() {
        for (status, lengths) in [(204, 0), (205, 1), (304, 0)] {
            let text = written(Response::text(status, "why").without_content(), false, None);
            assert!(text.ends_with("\r\n\r\n") && !text.contains("Content-Type"), "{text}");
            assert_eq!(text.matches("Content-Length").count(), lengths, "{text}");
            assert_eq!(text.matches("Content-Length: 0\r\n").count(), lengths, "{text}");
        }
    }

    #[test]
    fn a_304_has_no_body() {
        let response = Response::embedded(b"known", "text/plain").with("ETag", "\"1\"");
        let text = written(response.not_modified(), false, KEEP);
        assert!(text.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{text}");
        assert!(text.contains("\r\nETag: \"1\"\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn a_large_body_is_not_chunked() {
        static LARGE: [u8; 40_000] = [b'x'; 40_000];
        let text = written(Response::embedded(&LARGE, "text/plain"), false, KEEP);
        assert!(text.contains("\r\nContent-Length: 40000\r\n"), "no length");
        assert!(!text.contains("Transfer-Encoding"), "chunked");
    }
}
