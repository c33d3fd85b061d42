//! Notes the frames of a session while they pass.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use super::frames::FrameObserver;
use super::{RecordedFrame, Report};

/// The recorder of one session.
#[derive(Debug)]
pub(crate) struct Recorder {
    report: Arc<Report>,
    from_client: FrameObserver,
    from_server: FrameObserver,
}

/// A stream whose frames are recorded.
pub(crate) struct Recorded<'a, T> {
    pub(crate) inner: &'a mut T,
    /// `None` if nothing is recorded.
    pub(crate) recorder: Option<&'a mut Recorder>,
}

impl Recorder {
    pub(crate) fn new(report: Arc<Report>) -> Recorder {
        Recorder {
            report,
            from_client: FrameObserver::default(),
            from_server: FrameObserver::default(),
        }
    }

    /// Follows bytes that the client has sent.
    #[cold]
    pub(crate) fn on_received(&mut self, bytes: &[u8]) {
        let Recorder { report, from_client, .. } = self;
        from_client.observe(bytes, |frame| {
            report.add(RecordedFrame { at: Instant::now(), is_from_client: true, frame });
        });
    }

    #[cold]
    fn on_sent(&mut self, bytes: &[u8]) {
        let Recorder { report, from_server, .. } = self;
        from_server.observe(bytes, |frame| {
            report.add(RecordedFrame { at: Instant::now(), is_from_client: false, frame });
        });
    }
}

impl<T: Read> Read for Recorded<'_, T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buf)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.on_received(&buf[..length]);
        }
        Ok(length)
    }
}

impl<T: Write> Write for Recorded<'_, T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buf)?;
        if let Some(recorder) = &mut self.recorder {
            recorder.on_sent(&buf[..length]);
        }
        Ok(length)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = self.inner.write_vectored(pieces)?;
        let mut left = length;
        if let Some(recorder) = &mut self.recorder {
            for piece in pieces {
                let written = piece.len().min(left);
                recorder.on_sent(&piece[..written]);
                left -= written;
            }
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
