//! A build without TLS.

use std::io;

use super::{CertificateError, TlsDetails};
use crate::config::Certificate;
use crate::net::Stream;

#[derive(Debug)]
pub(crate) enum TlsAcceptor {}

impl TlsAcceptor {
    pub(crate) fn load(_: &Certificate) -> Result<TlsAcceptor, CertificateError> {
        Err(CertificateError::NotInThisBuild)
    }

    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        match *self {}
    }

    pub(crate) fn session(&self) -> io::Result<TlsSession> {
        match *self {}
    }
}

#[derive(Debug, Clone)]
pub(crate) enum TlsSession {}

impl TlsSession {
    pub(crate) fn for_probe() -> io::Result<TlsSession> {
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

    pub(crate) fn details(&self) -> Option<TlsDetails> {
        match *self {}
    }
}
