//! wsecho from outside: over real sockets, on free ports, in parallel.

mod support;

mod admin;
mod attacks;
mod chat;
mod check;
mod compression;
mod control;
mod dependencies;
mod echo;
mod http;
mod interop;
mod limits;
mod packages;
mod page;
mod program;
mod protocol;
mod proxies;
mod readme;
mod scripts;
mod service;
mod soak;
mod stop;
mod unix;
mod www;
