//! Whether a robot is there: its stream, and when it was last heard.

use skein_types::time::MonoTime;

/// What is known of a robot's stream.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    connected: bool,
    wrong_map: bool,
    alive_until: MonoTime,
    left_at: MonoTime,
}

impl Presence {
    /// Of a robot that has not said Hello since this start, and is lost unless it does so until `alive_until`.
    pub(super) const fn away(now: MonoTime, alive_until: MonoTime) -> Self {
        Self { connected: false, wrong_map: false, alive_until, left_at: now }
    }

    /// A stream is open.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// It said in its Hello that it uses another map than the supervisor.
    pub(crate) const fn has_wrong_map(&self) -> bool {
        self.wrong_map
    }

    /// It was heard within the time after which it would be lost.
    pub(crate) fn is_alive(&self, now: MonoTime) -> bool {
        now <= self.alive_until
    }

    /// When its stream ended, or the supervisor started.
    pub(crate) const fn left_at(&self) -> MonoTime {
        self.left_at
    }

    /// It opened a stream; it is lost after `alive_until` unless it is heard again.
    pub(crate) const fn on_hello(&mut self, alive_until: MonoTime, wrong_map: bool) {
        self.connected = true;
        self.wrong_map = wrong_map;
        self.alive_until = alive_until;
    }

    /// It is lost after `alive_until` unless it is heard again.
    pub(crate) const fn on_heard(&mut self, alive_until: MonoTime) {
        self.alive_until = alive_until;
    }

    /// Its stream ended.
    pub(crate) const fn on_disconnect(&mut self, now: MonoTime) {
        self.connected = false;
        self.left_at = now;
    }
}
