//! A build without TLS.

use std::io;

use super::{Agreement, CertificateError};
use crate::config::Certificate;
use crate::net::Stream;

#[derive(Debug)]
pub(crate) enum Acceptor {}

impl Acceptor {
    pub(crate) fn load(_: &Certificate) -> Result<Acceptor, CertificateError> {
        Err(CertificateError::NotInThisBuild)
    }

    pub(crate) fn renew(&self) -> Result<(), CertificateError> {
        match *self {}
    }

    pub(crate) fn session(&self) -> io::Result<Session> {
        match *self {}
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Session {}

impl Session {
    pub(crate) fn to_ourselves() -> io::Result<Session> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn was_refused(_: &io::Error) -> bool {
        false
    }

    pub(crate) fn awaits_hello(&self) -> bool {
        match *self {}
    }

    pub(crate) fn take(&self, _: &mut [u8]) -> io::Result<Option<usize>> {
        match *self {}
    }

    pub(crate) fn feed(&self, _: &[u8], _: &Stream) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn send(&self, _: &[u8], _: &Stream) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn finish(&self, _: &Stream) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn agreement(&self) -> Option<Agreement> {
        match *self {}
    }
}
