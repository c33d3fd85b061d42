//! `/refusals`: why the last handshakes of a client were refused, newest first. The page asks for it,
//! because browsers hide from a page why its handshake failed.
//!
//! **Invariants:** A client gets refusals of its own address and `User-Agent` only, so that of several
//! clients behind one address each sees at most those of the same browser. No more than
//! [`REFUSALS_KEPT`] are kept. Pages of other origins cannot read the response: it has no
//! `Access-Control-Allow-Origin`, and a `Cross-Origin-Resource-Policy`.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

use crate::config::tuning::{REFUSAL_PATH, REFUSALS_KEPT};
use crate::http::diagnosis::Diagnosis;
use crate::http::forwarded::Client;
use crate::http::head::Head;
use crate::http::response::Response;
use crate::lock::unpoisoned;
use crate::net::address::Host;

/// The last refusals of all clients, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<VecDeque<Refusal>>);

#[derive(Debug)]
struct Refusal {
    client: Host,
    user_agent: u64,
    at: Instant,
    path: String,
    diagnosis: Diagnosis,
}

/// A refusal as its client sees it. Its age is independent of the client's clock.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    age_ms: u128,
    path: &'a str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

impl Refusals {
    /// Keeps why this handshake of `client` was refused, in place of the oldest refusal.
    #[cold]
    pub(crate) fn add(&self, client: &Client, head: &Head, diagnosis: Diagnosis) {
        let path = head.path.chars().take(REFUSAL_PATH).collect();
        let (client, user_agent, at) = (client.address, user_agent(head), Instant::now());
        let mut kept = unpoisoned(self.0.lock());
        if kept.len() == REFUSALS_KEPT {
            kept.pop_front();
        }
        kept.push_back(Refusal { client, user_agent, at, path, diagnosis });
    }

    /// The response to `/refusals`.
    pub(crate) fn answer(&self, client: &Client, head: &Head) -> Response {
        let user_agent = user_agent(head);
        let kept = unpoisoned(self.0.lock());
        let own = kept
            .iter()
            .rev()
            .filter(|refusal| (refusal.client, refusal.user_agent) == (client.address, user_agent));
        let shown: Vec<_> = own
            .map(|refusal| Shown {
                age_ms: refusal.at.elapsed().as_millis(),
                path: &refusal.path,
                diagnosis: &refusal.diagnosis,
            })
            .collect();
        Response::json(200, &shown, true).own_origin_only()
    }
}

/// A hash, so that a long field takes no memory. It protects nothing: a client that sends the same field gets
/// the same refusals.
fn user_agent(head: &Head) -> u64 {
    let mut hasher = DefaultHasher::new();
    head.fields.get("User-Agent").hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::handshake::refusals::forced_status;
    use crate::http::head::parse;
    use crate::net::address::Address;

    #[test]
    fn the_oldest_refusal_makes_room_for_the_next_one() {
        let refusals = Refusals::default();
        let client = Client::of_connection(Address::Unix);
        for number in 0..=REFUSALS_KEPT {
            let head = format!("GET /{number}{} HTTP/1.1\r\n\r\n", "x".repeat(REFUSAL_PATH));
            let head = parse(head.as_bytes(), &Limits::default()).unwrap().unwrap().0;
            refusals.add(&client, &head, forced_status(&head, 418));
        }
        let kept = refusals.0.lock().unwrap();
        assert_eq!(kept.len(), REFUSALS_KEPT);
        assert!(kept[0].path.starts_with("/1x"), "{}", kept[0].path);
        assert!(kept.iter().all(|refusal| refusal.path.len() == REFUSAL_PATH));
    }
}
