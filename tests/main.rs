//! wsecho from outside: over real sockets, on free ports, in parallel.

mod support;

mod echo;
mod http;
mod program;
mod protocol;
mod stop;
mod www;
