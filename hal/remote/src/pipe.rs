//! One stream that is never waited for: frames come out whole, frames go in whole or not at all.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use thiserror::Error;

use crate::codec::{FRAME_BYTES_MAX, Malformed, Raw, Refusal, length_of};

/// What is read at once; holds the longest frame several times.
const BUFFER_BYTES: usize = 16 * 1024;
/// Most bytes taken in one call, so that a peer that floods cannot hold the caller: far more than a second of frames.
const BYTES_AT_ONCE_MAX: usize = 512 * 1024;

/// Why the two sides do not talk.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// Nobody could be reached at the socket.
    #[error("connect to the body's socket {}: is the world running, and is the path right?", path.display())]
    Connect {
        /// Of the socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket could not be made.
    #[error("listen on the socket {}", path.display())]
    Listen {
        /// Of the socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time.
    #[error("the other side did not {0} in time")]
    Deadline(&'static str),
    /// The other side does not want to.
    #[error("the body was refused: {0}")]
    Refused(Refusal),
    /// The other side sent something that is no frame.
    #[error("the other side sent what is no frame: {0}")]
    Malformed(#[from] Malformed),
    /// The other side closed the stream.
    #[error("the other side closed the stream")]
    Closed,
    /// The peer at the socket runs as another user.
    #[error("the process at the other end runs as user {theirs}; only user {ours} and root are taken")]
    Stranger {
        /// The peer's user id.
        theirs: u32,
        /// This process's.
        ours: u32,
    },
    /// The system failed to do this.
    #[error("{operation} the stream")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A non-blocking stream with what has arrived in part and what could be sent only in part.
#[derive(Debug)]
pub(crate) struct Pipe {
    stream: UnixStream,
    arrived: Box<[u8]>,
    start: usize,
    end: usize,
    /// Being built, or sent in part.
    leaving: Vec<u8>,
    left: usize,
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Pipe {
    pub(crate) fn new(stream: UnixStream) -> Result<Self, RemoteError> {
        stream.set_nonblocking(true).map_err(|source| RemoteError::Io { operation: "unblock", source })?;
        Ok(Self {
            stream,
            arrived: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            leaving: Vec::with_capacity(2 * FRAME_BYTES_MAX),
            left: 0,
        })
    }

    /// Hands every whole frame that has arrived to `take`, oldest first, until nothing more has.
    ///
    /// Everything that arrived before the end of the stream is handed over before the end is reported.
    pub(crate) fn receive(
        &mut self,
        take: &mut dyn FnMut(Raw<'_>) -> Result<(), Malformed>,
    ) -> Result<(), RemoteError> {
        let mut taken = 0;
        loop {
            while let Some(range) = self.next_frame()? {
                if let Some(body) = self.arrived.get(range) {
                    take(Raw::new(body)?)?;
                }
            }
            if taken >= BYTES_AT_ONCE_MAX {
                return Ok(());
            }
            match self.fill()? {
                Some(bytes) => taken += bytes,
                None => return Ok(()),
            }
        }
    }

    /// The first whole frame, if it has arrived; what follows it stays.
    pub(crate) fn receive_one<T>(
        &mut self,
        take: impl FnOnce(Raw<'_>) -> Result<T, Malformed>,
    ) -> Result<Option<T>, RemoteError> {
        loop {
            if let Some(range) = self.next_frame()? {
                let body = self.arrived.get(range).unwrap_or_default();
                return Ok(Some(take(Raw::new(body)?)?));
            }
            if self.fill()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Reads what has arrived, at most a buffer full; `None` when nothing has.
    fn fill(&mut self) -> Result<Option<usize>, RemoteError> {
        self.arrived.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let Some(space) = self.arrived.get_mut(self.end..) else { return Ok(None) };
        loop {
            match self.stream.read(space) {
                Ok(0) => return Err(RemoteError::Closed),
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(Some(bytes));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_end(&e) => return Err(RemoteError::Closed),
                Err(source) => return Err(RemoteError::Io { operation: "read", source }),
            }
        }
    }

    /// Where the next whole frame lies in the buffer, without its length; passes over it.
    fn next_frame(&mut self) -> Result<Option<core::ops::Range<usize>>, RemoteError> {
        let Some(prefix) = self.arrived.get(self.start..self.end).and_then(|b| b.first_chunk::<4>()) else {
            return Ok(None);
        };
        let first = self.start + 4;
        let last = first + length_of(*prefix)?;
        if last > self.end {
            return Ok(None);
        }
        self.start = last;
        Ok(Some(first..last))
    }

    /// Sends a frame, whole, or not at all when the one before is still on its way or nothing more fits: `false`.
    pub(crate) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<bool, RemoteError> {
        self.flush()?;
        if self.left < self.leaving.len() {
            return Ok(false);
        }
        self.leaving.clear();
        self.left = 0;
        write(&mut self.leaving);
        self.flush()?;
        if self.left == 0 {
            self.leaving.clear();
            return Ok(false);
        }
        Ok(true)
    }

    /// Sends on what is left of the last frame, as far as it goes.
    pub(crate) fn flush(&mut self) -> Result<(), RemoteError> {
        while let Some(rest) = self.leaving.get(self.left..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(RemoteError::Closed),
                Ok(bytes) => self.left += bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_end(&e) => return Err(RemoteError::Closed),
                Err(source) => return Err(RemoteError::Io { operation: "write to", source }),
            }
        }
        Ok(())
    }

    /// Everything that was accepted for sending is on its way.
    pub(crate) fn is_flushed(&self) -> bool {
        self.left >= self.leaving.len()
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected)
}
