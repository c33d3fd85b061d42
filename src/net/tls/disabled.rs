//! The same names in a build without the feature `tls`. The types have no values, so an
//! `Option<TlsSession>` takes no memory, and the code behind it is optimized out.

use std::io::{self, Read, Write};

use super::{CertificateError, TlsDetails};
use crate::config::Certificate;

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

#[derive(Debug)]
pub(crate) enum TlsSession {}

impl TlsSession {
    pub(crate) fn awaits_hello(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_established(&self) -> bool {
        match *self {}
    }

    pub(crate) fn wants_read(&self) -> bool {
        match *self {}
    }

    pub(crate) fn read(&mut self, _: &mut (impl Read + Write), _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn write_all(&mut self, _: &mut impl Write, _: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn send_close_notify(&mut self, _: &mut impl Write) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn details(&self) -> Option<TlsDetails> {
        match *self {}
    }
}

/// Never called: no listener of this build speaks TLS.
pub(crate) fn probe_client<S: Read + Write>(stream: S) -> io::Result<S> {
    drop(stream);
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn is_refusal(_: &io::Error) -> bool {
    false
}
