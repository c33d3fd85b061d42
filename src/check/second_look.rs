//! Why a server sends nothing: asks it again, in another way, over a connection of its own.

use super::connect::Route;
use super::connection_options::ConnectionOptions;
use super::stream::CheckStream;
use super::upgrade::{Silence, plain_answer};
use super::verdict::{self, Verdict};

/// Finds out why the server at the end of `route` was silent.
pub(crate) fn second_look(route: &Route, options: &ConnectionOptions, silence: Silence) -> Verdict {
    let again = || route.reopen(options);
    let within = humantime::format_duration(options.timeout());
    if silence == Silence::Closed && !options.target.is_tls && speaks_tls(again(), options) {
        return verdict::not_http(&[0x15, 3], &options.target.with_scheme("wss"));
    }
    let (end, silent) = match silence {
        Silence::Timeout => {
            (format!("it was not answered within {within}"), format!("nothing within {within}"))
        }
        Silence::Closed => {
            let end = "the connection was closed without an answer";
            (end.to_owned(), end.to_owned())
        }
    };
    match plain(again(), options) {
        Some((response, body)) => verdict::unanswered(&response, &body, &end),
        None => Verdict::new(
            format!(
                "The server accepts the connection, and answers neither a handshake nor HTTP: {silent}."
            ),
            match silence {
                Silence::Timeout => {
                    "Look whether it hangs or is overloaded; if another protocol is spoken on this port, \
                     correct the port."
                }
                Silence::Closed => {
                    "Look at its log: a proxy without a server behind it closes like this, a server that \
                     expects the PROXY protocol, and Socket.IO at any path but \
                     /socket.io/?EIO=4&transport=websocket."
                }
            },
        ),
    }
}

fn speaks_tls(stream: Option<CheckStream>, options: &ConnectionOptions) -> bool {
    stream.is_some_and(|mut stream| stream.speaks_tls(options))
}

fn plain(
    stream: Option<CheckStream>,
    options: &ConnectionOptions,
) -> Option<(super::handshake::ServerResponse, String)> {
    let mut stream = stream?;
    if options.target.is_tls {
        stream.start_tls(options, &options.http1_alpn()).ok()?;
    }
    plain_answer(&mut stream, options)
}
