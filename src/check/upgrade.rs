//! The upgrade: the request goes out, the response is read and judged.
//!
//! Invariant: no more of a response is kept than the limits name, whatever the server sends.

use std::io::{self, ErrorKind, Read, Write};

use tungstenite::handshake::client::generate_key;

use super::handshake::{ServerResponse, judge, request};
use super::limits::PART_MAX;
use super::options::CheckOptions;
use super::reach::CheckStream;
use super::report::{Finding, quoted};

/// Makes the handshake. Returns what came after it already, for the session.
///
/// # Errors
/// The refusal, or what came instead of a response.
pub(crate) fn upgrade(
    line: &mut CheckStream,
    options: &CheckOptions,
) -> Result<(Finding, Vec<u8>), Finding> {
    let key = generate_key();
    // A server may refuse before it has read; its word counts then, and not the failed write.
    let _ = line.write_all(request(options, &key).as_bytes());
    let mut bytes = Vec::new();
    let response = read_response(line, &mut bytes)?;
    let title = response.title();
    let status = Some(response.status);
    if response.status != 101 {
        read_body(line, &response, &mut bytes);
        let detail = format!("{title}: {}", response.meaning());
        let body = response.explanation(&bytes);
        return Err(Finding { detail, status, body, ..Finding::default() });
    }
    let finding = |detail| Finding { detail, status, ..Finding::default() };
    match judge(&response, &key, &options.subprotocols) {
        Ok(None) => Ok((finding(title), bytes)),
        Ok(Some(chosen)) => Ok((finding(format!("{title}, subprotocol {chosen}")), bytes)),
        Err(why) => Err(finding(why)),
    }
}

/// Reads a response; what follows it stays in `bytes`.
fn read_response(line: &mut CheckStream, bytes: &mut Vec<u8>) -> Result<ServerResponse, String> {
    loop {
        while !bytes.is_empty()
            && let Some((response, length)) = ServerResponse::parse(bytes)?
        {
            bytes.drain(..length);
            if !response.is_interim() {
                return Ok(response);
            }
        }
        if bytes.len() >= PART_MAX {
            return Err(format!("the response's header section has no end in {PART_MAX} bytes"));
        }
        match fill(line, bytes) {
            Ok(0) => return Err(broke_off(bytes, &ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(broke_off(bytes, &error)),
        }
    }
}

/// One read to the end of `bytes`, which grow to [`PART_MAX`]; there, nothing is read.
fn fill(line: &mut CheckStream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let filled = bytes.len();
    bytes.resize(PART_MAX, 0);
    let read = line.read(&mut bytes[filled..]);
    bytes.truncate(filled + read.as_ref().unwrap_or(&0));
    read
}

/// Why there is no response, in words.
fn broke_off(bytes: &[u8], error: &io::Error) -> String {
    let end = match error.kind() {
        ErrorKind::TimedOut => "nothing more came in time".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        _ => error.to_string(),
    };
    if !bytes.is_empty() {
        return format!("{end} after {}", quoted(&String::from_utf8_lossy(bytes)));
    }
    match error.kind() {
        ErrorKind::TimedOut => "connected, but no response in time; overloaded, or a protocol \
             in which the client does not speak first"
            .to_owned(),
        _ => format!("{end} without a response; TLS servers do so, and proxies without a backend"),
    }
}

/// Reads what comes of the body. However that ends, what came is worth reading.
fn read_body(line: &mut CheckStream, response: &ServerResponse, bytes: &mut Vec<u8>) {
    while !response.is_whole(bytes) && matches!(fill(line, bytes), Ok(1..)) {}
}
