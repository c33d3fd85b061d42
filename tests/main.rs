//! wsecho from outside: over real sockets, on free ports, in parallel.

mod support;

mod echo;
mod http;
mod page;
mod program;
mod protocol;
mod scripts;
mod stop;
mod www;
