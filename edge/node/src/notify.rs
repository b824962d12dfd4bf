//! Tells a service manager that the process is ready, lives and ends (`sd_notify`).

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The manager's socket; silent when there is none.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    #[must_use]
    pub fn from_environment() -> Self {
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Self::new(std::env::var("NOTIFY_SOCKET").ok().as_deref(), micros)
    }

    fn new(address: Option<&str>, watchdog_micros: Option<u64>) -> Self {
        let open = |name: &str| {
            let address = match name.strip_prefix('@') {
                Some(hidden) => SocketAddr::from_abstract_name(hidden)?,
                None => SocketAddr::from_pathname(name)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok::<_, std::io::Error>((socket, address))
        };
        Self { socket: address.and_then(|name| open(name).ok()), watchdog: watchdog_micros.map(Duration::from_micros) }
    }

    /// How often to say that the process lives: twice as often as the manager wants to hear it.
    #[must_use]
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.socket.as_ref().and(self.watchdog).map(|limit| limit / 2)
    }

    /// Tells the service manager that everything runs (`READY=1`).
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// It still does.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// Tells the service manager that the process ends (`STOPPING=1`).
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, state: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(e) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::debug!(error = %e, state, "the service manager did not hear");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_the_words_and_without_one_nothing_happens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::new(path.to_str(), Some(4_000_000));
        notify.ready();
        let mut words = [0; 32];
        let length = manager.recv(&mut words).unwrap();
        assert_eq!(&words[..length], b"READY=1");
        assert_eq!(notify.watchdog_every(), Some(Duration::from_secs(2)));
        let nobody = Notify::new(None, Some(1));
        nobody.ready();
        assert_eq!(nobody.watchdog_every(), None);
    }
}
