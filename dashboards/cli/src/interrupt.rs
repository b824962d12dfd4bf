//! Ctrl-C and SIGTERM: the person, or the system, wants an end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Both signals that ask for an end.
pub(crate) struct Interrupt {
    keyboard: Signal,
    system: Signal,
}

impl Interrupt {
    /// From here on the signals are heard instead of ending the process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let hear = |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot hear signals: {error}")));
        Ok(Self { keyboard: hear(SignalKind::interrupt())?, system: hear(SignalKind::terminate())? })
    }

    /// Waits for either.
    pub(crate) async fn heard(&mut self) {
        tokio::select! {
            _ = self.keyboard.recv() => {}
            _ = self.system.recv() => {}
        }
    }
}
