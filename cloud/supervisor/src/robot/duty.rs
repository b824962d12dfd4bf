//! What a robot should work on, what it says it works on, and since when it cannot.

use core::time::Duration;

use skein_types::ids::{Generation, MissionId};
use skein_types::time::MonoTime;

/// The work of one robot.
#[derive(Clone, Debug)]
pub(crate) struct Duty {
    mission: Option<MissionId>,
    reported: Option<(MissionId, Generation)>,
    unfit_since: Option<MonoTime>,
    rests_until: MonoTime,
}

impl Duty {
    pub(super) const fn none() -> Self {
        Self { mission: None, reported: None, unfit_since: None, rests_until: MonoTime::ZERO }
    }

    /// The mission it was given a slice of.
    pub(crate) const fn mission(&self) -> Option<MissionId> {
        self.mission
    }

    /// What it says it works on.
    pub(crate) const fn reported(&self) -> Option<(MissionId, Generation)> {
        self.reported
    }

    /// It was given a slice of this mission.
    pub(crate) const fn begin(&mut self, mission: MissionId) {
        self.mission = Some(mission);
    }

    /// It has nothing to do any more.
    pub(crate) const fn end(&mut self) {
        self.mission = None;
    }

    /// It has nothing to do for this mission any more.
    pub(crate) fn end_for(&mut self, mission: MissionId) {
        self.mission.take_if(|of| *of == mission);
    }

    /// What it says it works on from now on.
    pub(crate) const fn on_report(&mut self, work: Option<(MissionId, Generation)>) {
        self.reported = work;
    }

    /// No new work before this.
    pub(crate) fn rest_until(&mut self, until: MonoTime) {
        self.rests_until = self.rests_until.max(until);
    }

    /// It need not rest any longer.
    pub(crate) fn is_rested(&self, now: MonoTime) -> bool {
        now >= self.rests_until
    }

    /// Whether it can work now.
    pub(crate) fn note_fitness(&mut self, now: MonoTime, is_fit: bool) {
        self.unfit_since = (!is_fit).then(|| self.unfit_since.unwrap_or(now));
    }

    /// It has not been able to work for this long although it is there.
    pub(crate) fn is_unfit_for(&self, now: MonoTime, time: Duration) -> bool {
        self.unfit_since.is_some_and(|since| now.since(since) >= time)
    }
}
