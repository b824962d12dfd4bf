//! The state of the robot and the reason for it, now and in the recent past.

use std::collections::VecDeque;

use skein_types::coord::AgentState;
use skein_types::time::MonoTime;

use crate::status::{REASONS_KEPT, Reason};

/// What the robot does and why, with the reasons before.
#[derive(Clone, Debug)]
pub(crate) struct StatusReason {
    state: AgentState,
    why: String,
    past: VecDeque<(MonoTime, String)>,
}

impl StatusReason {
    pub(crate) fn new() -> Self {
        Self { state: AgentState::Idle, why: "has just started".to_owned(), past: VecDeque::new() }
    }

    pub(crate) const fn state(&self) -> AgentState {
        self.state
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }

    /// Reasons of the recent past with their age, oldest first.
    pub(crate) fn past(&self, now: MonoTime) -> Vec<Reason> {
        self.past.iter().map(|(at, why)| Reason { age: now.secs_since(*at), why: why.clone() }).collect()
    }

    /// Sets state and reason. Reasons that differ only in digits share one entry of the past.
    pub(crate) fn set(&mut self, now: MonoTime, state: AgentState, why: &str) {
        self.state = state;
        if self.why == why {
            return;
        }
        why.clone_into(&mut self.why);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_digits_share_an_entry() {
        let mut reason = StatusReason::new();
        for (second, why) in ["holds for 3 s", "holds for 2 s", "waits", "holds for 2 s"].into_iter().enumerate() {
            reason.set(MonoTime::from_millis(1000 * second as u64), AgentState::Executing, why);
        }
        let past: Vec<String> = reason.past(MonoTime::from_millis(5000)).into_iter().map(|r| r.why).collect();
        assert_eq!(past, ["holds for 2 s", "waits", "holds for 2 s"]);
        assert_eq!(reason.why(), "holds for 2 s");
    }
}
