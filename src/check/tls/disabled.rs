//! The stand-in for a build without TLS.

use std::io;

use crate::check::connection_options::ConnectionOptions;
use crate::check::report::Finding;
use crate::check::stream::DeadlineStream;
use crate::check::verdict::Verdict;

#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn start(
        _: &mut DeadlineStream,
        _: &ConnectionOptions,
        _: &[String],
    ) -> Result<(Finding, Tls), Verdict> {
        Err(Verdict::new("This build has no TLS.", "Build one with: cargo build --release."))
    }

    pub(crate) fn is_spoken(_: &mut DeadlineStream, _: &ConnectionOptions) -> bool {
        false
    }

    pub(crate) fn alpn(&self) -> Option<String> {
        match *self {}
    }

    pub(crate) fn read(&mut self, _: &mut DeadlineStream, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &mut DeadlineStream, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn finish(&mut self, _: &mut DeadlineStream) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut DeadlineStream) -> io::Result<()> {
        match *self {}
    }
}

pub(crate) fn refused_later(_: &io::Error) -> Option<Verdict> {
    None
}
