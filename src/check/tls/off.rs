//! The stand-in for a build without TLS.

use std::io;

use crate::check::connect::DeadlineStream;
use crate::check::options::CheckOptions;

#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn start(_: &mut DeadlineStream, _: &CheckOptions) -> Result<(String, Tls), String> {
        Err("this build has no TLS".to_owned())
    }

    pub(crate) fn read(&mut self, _: &mut DeadlineStream, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &mut DeadlineStream, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut DeadlineStream) -> io::Result<()> {
        match *self {}
    }
}
