//! Integration tests: over real sockets, on free ports, in parallel.

mod support;

mod admin;
mod attacks;
mod chat;
mod check;
mod compression;
mod dependencies;
mod doctor;
mod echo;
mod fault_proxy;
mod faults;
mod http;
mod interop;
mod library;
mod limits;
mod message_memory;
mod packages;
mod page;
mod products;
mod program;
mod protocol;
mod proxies;
mod readme;
mod report;
mod scripts;
mod service;
mod signals;
mod soak;
mod stop;
#[cfg(feature = "tls")]
mod tls;
mod unix;
mod www;

use support::stream::Wire;

/// The wire of the tests that also run over TLS; see `over_tls`.
const WIRE: Wire = Wire::Plain;

#[cfg(feature = "tls")]
#[path = "."]
#[expect(clippy::duplicate_mod, reason = "the same tests, on another wire")]
mod over_tls {
    use crate::support::stream::Wire;

    const WIRE: Wire = Wire::Tls;

    mod attacks;
    mod chat;
    mod compression;
    mod echo;
    mod limits;
    mod protocol;
    mod report;
    mod stop;
}
