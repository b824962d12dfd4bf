//! What is on its way to those who listen: the reasons for what the robot does, samples, progress.

use std::collections::VecDeque;

use skein_types::coord::AgentState;
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::MonoTime;

use crate::status::REASONS_KEPT;

/// Why the robot does what it does, now and a little while ago.
#[derive(Clone, Debug)]
pub(crate) struct Narrator {
    pub(crate) state: AgentState,
    pub(crate) why: String,
    pub(crate) past: VecDeque<(MonoTime, String)>,
}

impl Narrator {
    pub(crate) fn new() -> Self {
        Self { state: AgentState::Idle, why: "has just started".to_owned(), past: VecDeque::new() }
    }

    pub(crate) fn say(&mut self, now: MonoTime, state: AgentState, why: &str) {
        self.state = state;
        if self.why == why {
            return;
        }
        why.clone_into(&mut self.why);
        // Sentences that differ only in a number are one.
        let same =
            |a: &str, b: &str| a.chars().filter(|c| !c.is_ascii_digit()).eq(b.chars().filter(|c| !c.is_ascii_digit()));
        if let Some((_, last)) = self.past.back_mut().filter(|(_, last)| same(last, why)) {
            why.clone_into(last);
            return;
        }
        if self.past.len() >= REASONS_KEPT {
            self.past.pop_front();
        }
        self.past.push_back((now, why.to_owned()));
    }
}

/// Samples on their way into a batch.
#[derive(Clone, Debug)]
pub(crate) struct Sampler {
    pub(crate) samples: Vec<AgentTelemetry>,
    pub(crate) sequence: u64,
}

impl Sampler {
    pub(crate) const fn new() -> Self {
        Self { samples: Vec::new(), sequence: 0 }
    }
}

/// What was last reported of the order in hand.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) next_at: MonoTime,
    /// Version of the survey whose rest was last sent.
    pub(crate) sent: Option<u64>,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self { next_at: MonoTime::ZERO, sent: None }
    }

    /// The next report comes with the next cycle.
    pub(crate) const fn tell_now(&mut self) {
        self.next_at = MonoTime::ZERO;
    }

    /// The next report comes with the next cycle and is complete.
    pub(crate) const fn tell_all(&mut self) {
        self.next_at = MonoTime::ZERO;
        self.sent = None;
    }
}
