//! The upgrade step: sends the request, reads and validates the response.
//!
//! **Invariant:** no more of a response is buffered than the limits allow, whatever the server
//! sends.

use std::io::{self, ErrorKind, Write};

use tungstenite::handshake::client::generate_key;

use super::connection_options::ConnectionOptions;
use super::deflate::Agreement;
use super::handshake::{Chosen, ResponseError, ServerResponse, plain_request, request, validate};
use super::limits::PART_MAX;
use super::options::CheckOptions;
use super::report::{Finding, quoted, shortened};
use super::stream::CheckStream;
use super::tls;
use super::verdict::{self, Verdict};
use crate::http::head::fill;

/// Why a handshake did not succeed.
pub(crate) enum UpgradeFailure {
    /// The server said why, or sent something else.
    Answered(Finding),
    /// The server sent nothing at all.
    Silent(Silence),
}

/// What became of a connection on which a server sent nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    Timeout,
    Closed,
}

/// What a session starts with.
#[derive(Debug)]
pub(crate) struct Upgraded {
    /// The data received together with the response head.
    pub(crate) early: Vec<u8>,
    pub(crate) compression: Option<Agreement>,
}

/// Makes the opening handshake.
///
/// # Errors
/// The refusal, or why there is no response.
pub(crate) fn upgrade(
    stream: &mut CheckStream,
    options: &CheckOptions,
) -> Result<(Finding, Upgraded), UpgradeFailure> {
    let key = generate_key();
    // A server may send a refusal before it has read the request. The response then matters more
    // than the failed write.
    let _ = stream.write_all(request(options, &key).as_bytes());
    let mut bytes = Vec::new();
    let response = read_response(stream, &mut bytes, &options.connection)?;
    let title = response.title();
    let status = Some(response.status);
    if response.status != 101 {
        read_body(stream, &response, &mut bytes);
        let text = response.text(&bytes);
        let body = response.explanation(&text);
        let verdict = Some(verdict::refused(&response, &text, &options.connection).into());
        let is_full = response.is_full();
        let finding =
            Finding { detail: title, status, body, is_full, verdict, ..Finding::default() };
        return Err(UpgradeFailure::Answered(finding));
    }
    let finding = |detail| Finding { detail, status, ..Finding::default() };
    match validate(&response, &key, &options.subprotocols, !options.no_compression) {
        Ok(Chosen { subprotocol, compression }) => {
            let named =
                |name: Option<&str>| name.map_or_else(String::new, |name| format!(", {name}"));
            let selected = subprotocol.map(|name| format!("subprotocol {name}"));
            let agreed = compression.as_ref().map(|agreed| shortened(&agreed.to_string()));
            let detail = title + &named(selected.as_deref()) + &named(agreed.as_deref());
            Ok((finding(detail), Upgraded { early: bytes, compression }))
        }
        Err(why) => {
            let verdict = Some(verdict::invalid_101(&response, &why).into());
            Err(UpgradeFailure::Answered(Finding { verdict, ..finding(title) }))
        }
    }
}

/// Requests the same resource without a handshake. Returns the response and its body; `None` if
/// there is none.
pub(crate) fn plain_answer(
    stream: &mut CheckStream,
    options: &ConnectionOptions,
) -> Option<(ServerResponse, String)> {
    let _ = stream.write_all(plain_request(options).as_bytes());
    let mut bytes = Vec::new();
    let response = read_response(stream, &mut bytes, options).ok()?;
    read_body(stream, &response, &mut bytes);
    let text = response.text(&bytes);
    Some((response, text))
}

/// Reads a response head, and skips interim ones. The data after it stays in `bytes`.
pub(crate) fn read_response(
    stream: &mut CheckStream,
    bytes: &mut Vec<u8>,
    options: &ConnectionOptions,
) -> Result<ServerResponse, UpgradeFailure> {
    let failed = |verdict: Verdict| UpgradeFailure::Answered(verdict.into());
    loop {
        while !bytes.is_empty()
            && let Some((response, length)) = ServerResponse::parse(bytes)
                .map_err(|error| failed(describe(&error, bytes, options)))?
        {
            bytes.drain(..length);
            if !response.is_interim() {
                return Ok(response);
            }
        }
        if bytes.len() >= PART_MAX {
            return Err(failed(Verdict::new(
                format!("The response's header section exceeds {PART_MAX} bytes."),
                "Look at the fields that the server sends, such as cookies.",
            )));
        }
        match fill(stream, bytes, PART_MAX.saturating_sub(bytes.len())) {
            Ok(0) => return Err(no_response(bytes, &ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(error) => return Err(no_response(bytes, &error)),
        }
    }
}

fn describe(error: &ResponseError, bytes: &[u8], options: &ConnectionOptions) -> Verdict {
    match error {
        ResponseError::Malformed(why) => Verdict::new(
            format!("The response's header section is malformed: {why}."),
            "Look at the server, or at a module of it that adds fields: browsers refuse this, too.",
        ),
        ResponseError::NotHttp => verdict::not_http(bytes, &options.target.with_scheme("wss")),
    }
}

/// Why there is no complete response; `bytes` are the beginning of one.
fn no_response(bytes: &[u8], error: &io::Error) -> UpgradeFailure {
    if let Some(verdict) = tls::refused_later(error) {
        return UpgradeFailure::Answered(verdict.into());
    }
    if bytes.is_empty() {
        return UpgradeFailure::Silent(match error.kind() {
            ErrorKind::TimedOut => Silence::Timeout,
            _ => Silence::Closed,
        });
    }
    let end = match error.kind() {
        ErrorKind::TimedOut => "timed out".to_owned(),
        ErrorKind::UnexpectedEof => "ended".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "was reset".to_owned(),
        _ => format!("failed ({error})"),
    };
    let problem = format!("The response {end} after {}.", quoted(&String::from_utf8_lossy(bytes)));
    let verdict = Verdict::new(problem, "Look at the log of the server: it stopped in the middle.");
    UpgradeFailure::Answered(verdict.into())
}

/// Reads the body until it is complete. Errors are ignored, as a part of the body is worth
/// printing.
fn read_body(stream: &mut CheckStream, response: &ServerResponse, bytes: &mut Vec<u8>) {
    while !response.is_complete(bytes)
        && matches!(fill(stream, bytes, PART_MAX.saturating_sub(bytes.len())), Ok(1..))
    {}
}
