//! Looks after the threads: notices one that hangs or is gone, tells the service manager, reads what the process costs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::notify::Notify;
use crate::pilot::PilotHandle;
use crate::rt::Gauges;
use crate::vitals::Vitals;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks in a row that found the reflex loop standing still before the process gives up, so that someone starts it
/// again: 3 s. A process that was itself stopped for a while needs only one look to be fine again.
const STALLED_LOOKS_MAX: u32 = 15;
/// The agent is called hanging after this.
const AGENT_HANGS_AFTER: Duration = Duration::from_secs(2);
/// Looks between two readings of the process's cost: 1 s.
const VITALS_EVERY: u32 = 5;

/// Everything that is looked at.
pub struct Watch {
    /// The reflex thread.
    pub gauges: Arc<Gauges>,
    /// The agent's thread.
    pub pilot: PilotHandle,
    /// The process.
    pub vitals: Arc<Vitals>,
    /// The service manager.
    pub notify: Arc<Notify>,
}

/// Why the process cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The reflex loop does not come back.
    #[error("the reflex loop stands still")]
    ReflexStalled,
}

impl Watch {
    /// Looks until cancelled, or until something is found that only a new process cures.
    pub async fn run(self, cancel: CancellationToken) -> Option<Fatal> {
        let (mut stalled, mut looks, mut mark) = (0, 0_u32, None);
        let mut said_hanging = false;
        let mut alive_due = clock::now();
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = cancel.cancelled() => return None,
            }
            let now = clock::now();
            let is_stalled = self.gauges.is_stalled(now);
            stalled = if is_stalled { stalled + 1 } else { 0 };
            if stalled == 1 {
                tracing::error!(since = ?self.gauges.since_tick(now), "the reflex loop is late");
            }
            if stalled >= STALLED_LOOKS_MAX {
                return Some(Fatal::ReflexStalled);
            }
            let hangs = self.pilot.since_round(now).is_some_and(|age| age > AGENT_HANGS_AFTER);
            if hangs && !said_hanging {
                tracing::error!("the agent does not go round; the reflex holds the robot");
            }
            said_hanging = hangs;
            if looks.is_multiple_of(VITALS_EVERY) {
                mark = Some(self.vitals.read(mark));
            }
            looks = looks.wrapping_add(1);
            if let Some(every) = self.notify.watchdog_every()
                && !is_stalled
                && !hangs
                && now >= alive_due
            {
                alive_due = now + every;
                self.notify.alive();
            }
        }
    }
}
