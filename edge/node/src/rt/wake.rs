//! Wakes a thread from the real-time loop: one non-blocking write to an event descriptor, no lock.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// One event that many may raise and one thread waits for. Without a descriptor the waiter looks at every timeout.
#[derive(Debug)]
pub struct Wake(Option<OwnedFd>);

impl Default for Wake {
    fn default() -> Self {
        Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).ok())
    }
}

impl Wake {
    /// Raises the event; never waits.
    pub fn raise(&self) {
        if let Some(fd) = &self.0 {
            // A full counter has been raised already.
            let _raised = rustix::io::write(fd, &1_u64.to_ne_bytes());
        }
    }

    /// Waits for the event or the timeout, and takes the event.
    pub fn wait(&self, timeout: Duration) {
        let limit = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let Some(fd) = &self.0 else {
            let _interrupted = poll(&mut [], Some(&limit));
            return;
        };
        let _interrupted = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit));
        let _taken = rustix::io::read(fd, &mut [0; 8]);
    }
}
