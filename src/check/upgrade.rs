//! The upgrade step: sends the request, reads and validates the response.
//!
//! **Invariant:** no more of a response is buffered than the limits allow, whatever the server
//! sends.

use std::io::{self, ErrorKind, Write};

use tungstenite::handshake::client::generate_key;

use super::connect::CheckStream;
use super::handshake::{ServerResponse, request, validate};
use super::limits::PART_MAX;
use super::options::CheckOptions;
use super::report::{Finding, quoted};
use crate::http::head::fill;

/// Makes the opening handshake. Also returns the data received after the response head, which
/// belongs to the session.
///
/// # Errors
/// Describes the refusal, or why there is no response.
pub(crate) fn upgrade(
    stream: &mut CheckStream,
    options: &CheckOptions,
) -> Result<(Finding, Vec<u8>), Finding> {
    let key = generate_key();
    // A server may send a refusal before it has read the request. The response then matters more
    // than the failed write.
    let _ = stream.write_all(request(options, &key).as_bytes());
    let mut bytes = Vec::new();
    let response = read_response(stream, &mut bytes)?;
    let title = response.title();
    let status = Some(response.status);
    if response.status != 101 {
        read_body(stream, &response, &mut bytes);
        let detail = format!("{title}: {}", response.meaning());
        let body = response.explanation(&bytes);
        let is_full = response.is_full();
        return Err(Finding { detail, status, body, is_full, ..Finding::default() });
    }
    let finding = |detail| Finding { detail, status, ..Finding::default() };
    match validate(&response, &key, &options.subprotocols) {
        Ok(None) => Ok((finding(title), bytes)),
        Ok(Some(selected)) => Ok((finding(format!("{title}, subprotocol {selected}")), bytes)),
        Err(why) => Err(finding(why)),
    }
}

/// Reads a response head, and skips interim ones. The data after it stays in `bytes`.
fn read_response(stream: &mut CheckStream, bytes: &mut Vec<u8>) -> Result<ServerResponse, String> {
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
            return Err(format!("the response's header section exceeds {PART_MAX} bytes"));
        }
        match fill(stream, bytes, PART_MAX.saturating_sub(bytes.len())) {
            Ok(0) => return Err(no_response(bytes, &ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(no_response(bytes, &error)),
        }
    }
}

/// Describes why there is no complete response; `bytes` are the beginning of one.
fn no_response(bytes: &[u8], error: &io::Error) -> String {
    let end = match error.kind() {
        ErrorKind::TimedOut => "the response timed out".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        _ => error.to_string(),
    };
    if !bytes.is_empty() {
        return format!("{end} after {}", quoted(&String::from_utf8_lossy(bytes)));
    }
    match error.kind() {
        ErrorKind::TimedOut => "connected, but no response in time; the server is overloaded, or \
             in its protocol the server speaks first"
            .to_owned(),
        _ => format!("{end} without a response, as by a TLS server or a proxy without a backend"),
    }
}

/// Reads the body until it is complete. Errors are ignored, as a part of the body is worth
/// printing.
fn read_body(stream: &mut CheckStream, response: &ServerResponse, bytes: &mut Vec<u8>) {
    while !response.is_complete(bytes)
        && matches!(fill(stream, bytes, PART_MAX.saturating_sub(bytes.len())), Ok(1..))
    {}
}
