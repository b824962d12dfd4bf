//! Admission of commands: each takes effect once, stale and expired ones not at all.

use std::collections::VecDeque;

use skein_types::authority::Term;
use skein_types::ids::{CommandId, Generation};
use skein_types::link::{CloudCommand, CommandOutcome};
use skein_types::time::WallTime;

/// Bound on the outcomes kept, so that a repeated command is answered and not executed again. A supervisor repeats
/// what was not acknowledged; it never has this many commands open towards one robot.
pub(crate) const OUTCOMES_MAX: usize = 128;

/// Result of the admission of a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Admission {
    /// Execute it, then call [`CommandLog::record_outcome`].
    Execute,
    /// Do not execute it; acknowledge with this outcome.
    Answer(CommandOutcome),
}

/// Outcomes of past commands and the newest generation executed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandLog {
    outcomes: VecDeque<(CommandId, CommandOutcome)>,
    generation: Generation,
    /// The highest term seen: a command of a lower one comes from a planner that was replaced.
    term: Term,
    last: Option<CommandId>,
}

impl CommandLog {
    /// The last command that took effect.
    pub(crate) const fn last_executed(&self) -> Option<CommandId> {
        self.last
    }

    /// The highest term seen.
    pub(crate) const fn term(&self) -> Term {
        self.term
    }

    /// Whether to execute a command. Latch orders never come here: they go past the agent.
    pub(crate) fn admit(&mut self, command: &CloudCommand, wall: WallTime) -> Admission {
        if let Some((_, outcome)) = self.outcomes.iter().find(|(id, _)| *id == command.id) {
            return Admission::Answer(outcome.clone());
        }
        if command.term < self.term {
            let reason = format!("stale: term {} is lower than {}", command.term, self.term);
            return Admission::Answer(CommandOutcome::Rejected(reason));
        }
        if command.term > self.term {
            // Another planner counts its own generations.
            self.term = command.term;
            self.generation = Generation::default();
        }
        if command.generation < self.generation {
            let reason = format!("stale: {} is older than {}", command.generation, self.generation);
            return Admission::Answer(CommandOutcome::Rejected(reason));
        }
        if command.expires_at.is_some_and(|expiry| expiry < wall) {
            return Admission::Answer(CommandOutcome::Rejected("expired before it arrived".to_owned()));
        }
        Admission::Execute
    }

    /// Keeps the outcome of a command; a later call for the same command replaces it.
    pub(crate) fn record_outcome(&mut self, id: CommandId, outcome: CommandOutcome) {
        if let Some(known) = self.outcomes.iter_mut().find(|(known, _)| *known == id) {
            known.1 = outcome;
            return;
        }
        if self.outcomes.len() >= OUTCOMES_MAX {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((id, outcome));
    }

    /// A command took effect.
    pub(crate) fn mark_executed(&mut self, command: &CloudCommand) {
        self.generation = self.generation.max(command.generation);
        self.last = Some(command.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::authority::Term;
    use skein_types::ids::MissionId;
    use skein_types::link::Order;
    use uuid::Uuid;

    fn command(id: u128, generation: u64, order: Order) -> CloudCommand {
        let (id, generation) = (CommandId(Uuid::from_u128(id)), Generation(generation));
        CloudCommand { id, generation, term: Term(0), expires_at: None, order }
    }

    fn pause() -> Order {
        Order::Pause(MissionId(Uuid::from_u128(1)))
    }

    #[test]
    fn a_repeated_command_is_answered_and_not_executed_again() {
        let mut log = CommandLog::default();
        let first = command(1, 5, pause());
        assert_eq!(log.admit(&first, WallTime::default()), Admission::Execute);
        log.mark_executed(&first);
        log.record_outcome(first.id, CommandOutcome::Done);
        assert_eq!(log.admit(&first, WallTime::default()), Admission::Answer(CommandOutcome::Done));
        assert_eq!(log.last_executed(), Some(first.id));
    }

    #[test]
    fn a_stale_generation_is_refused() {
        let mut log = CommandLog::default();
        log.mark_executed(&command(1, 5, pause()));
        let refused = log.admit(&command(2, 4, pause()), WallTime::default());
        assert_eq!(refused, Admission::Answer(CommandOutcome::Rejected("stale: g4 is older than g5".to_owned())));
    }

    #[test]
    fn an_expired_command_is_refused() {
        let mut log = CommandLog::default();
        let late = WallTime::from_unix_nanos(10);
        let expired = |order| CloudCommand { expires_at: Some(WallTime::from_unix_nanos(9)), ..command(1, 1, order) };
        assert!(matches!(log.admit(&expired(pause()), late), Admission::Answer(_)));
    }

    #[test]
    fn the_command_log_is_bounded() {
        let mut log = CommandLog::default();
        for id in 0..1000 {
            log.record_outcome(CommandId(Uuid::from_u128(id)), CommandOutcome::Done);
        }
        assert_eq!(log.outcomes.len(), OUTCOMES_MAX);
    }
}
