//! A build without TLS.

use std::io;

use crate::check::options::Options;
use crate::check::reach::Wire;

#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn start(_: &mut Wire, _: &Options) -> Result<(String, Tls), String> {
        Err("TLS is not in this build".to_owned())
    }

    pub(crate) fn read(&mut self, _: &mut Wire, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &mut Wire, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut Wire) -> io::Result<()> {
        match *self {}
    }
}
