//! When the progress of the active task is due, and how much of it.

use std::time::Duration;

use skein_types::time::MonoTime;

/// Progress of an active task is reported this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// When the next progress report is due.
#[derive(Clone, Debug)]
pub(crate) struct ProgressTimer {
    /// `None`: with the next cycle.
    next_at: Option<MonoTime>,
    /// Version of the coverage that was last sent with its remaining region.
    sent_version: Option<u64>,
}

impl ProgressTimer {
    pub(crate) const fn new() -> Self {
        Self { next_at: None, sent_version: None }
    }

    /// The next report comes with the next cycle.
    pub(crate) const fn report_now(&mut self) {
        self.next_at = None;
    }

    /// The next report comes with the next cycle, with the remaining region.
    pub(crate) const fn report_all(&mut self) {
        self.next_at = None;
        self.sent_version = None;
    }

    /// Whether to report now; starts the next period if so. A task that has ended reports only on request.
    pub(crate) fn is_due(&mut self, now: MonoTime, ended: bool) -> bool {
        let due = match self.next_at {
            None => true,
            Some(at) => now >= at && !ended,
        };
        if due {
            self.next_at = Some(now + PROGRESS_EVERY);
        }
        due
    }

    /// Whether the remaining region changed since it was last sent; marks this version as sent.
    pub(crate) fn is_new_version(&mut self, version: u64) -> bool {
        self.sent_version.replace(version) != Some(version)
    }
}
