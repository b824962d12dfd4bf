//! What is written down during a run for its report: the mission, its end, and what was wrong.

use core::fmt::Display;

use skein_types::mission::Mission;
use skein_types::time::MonoTime;

use super::monitor::INCIDENTS_MAX;

/// What was seen of the mission and of messages.
#[derive(Debug)]
pub(crate) struct RunRecord {
    mission: Option<Mission>,
    ended_at: Option<MonoTime>,
    undecodable: Vec<String>,
    audit: Result<(), String>,
}

impl Default for RunRecord {
    fn default() -> Self {
        Self { mission: None, ended_at: None, undecodable: Vec::new(), audit: Ok(()) }
    }
}

impl RunRecord {
    /// The mission as operators last saw it.
    pub(crate) const fn mission(&self) -> Option<&Mission> {
        self.mission.as_ref()
    }

    /// When the mission was first seen at its end.
    pub(crate) const fn ended_at(&self) -> Option<MonoTime> {
        self.ended_at
    }

    /// There is a mission and it is not at its end.
    pub(crate) const fn is_at_work(&self) -> bool {
        self.mission.is_some() && self.ended_at.is_none()
    }

    /// Messages that a receiver refused to decode: the first [`INCIDENTS_MAX`].
    pub(crate) fn undecodable(&self) -> &[String] {
        &self.undecodable
    }

    /// The first broken invariant of the supervisor, if there was any.
    ///
    /// # Errors
    /// A sentence that names it.
    pub(crate) const fn audit(&self) -> Result<(), &String> {
        self.audit.as_ref().copied()
    }

    /// The mission as operators see it now.
    pub(crate) fn on_mission(&mut self, now: MonoTime, mission: Mission) {
        if self.ended_at.is_none() && mission.state.is_terminal() {
            self.ended_at = Some(now);
        }
        self.mission = Some(mission);
    }

    /// A receiver could not decode a message.
    pub(crate) fn on_undecodable(&mut self, now: MonoTime, error: &dyn Display) {
        if self.undecodable.len() < INCIDENTS_MAX {
            self.undecodable.push(format!("at {now}: {error}"));
        }
    }

    /// Looks for a broken invariant until one was found.
    pub(crate) fn check(&mut self, now: MonoTime, audit: impl FnOnce() -> Result<(), String>) {
        if self.audit.is_ok() {
            self.audit = audit().map_err(|what| format!("at {now}: {what}"));
        }
    }
}
