//! A build without TLS.

use std::io;

use crate::check::options::CheckOptions;
use crate::check::reach::DeadlineStream;

#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn start(_: &mut DeadlineStream, _: &CheckOptions) -> Result<(String, Tls), String> {
        Err("TLS is not in this build".to_owned())
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
