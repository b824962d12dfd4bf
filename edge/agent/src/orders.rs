//! Orders from the supervisor: each takes effect once, stale and expired ones not at all.

use std::collections::VecDeque;

use skein_types::ids::{CommandId, Generation};
use skein_types::link::{CloudCommand, CommandOutcome, Order};
use skein_types::time::WallTime;

/// How many commands are remembered, so that a repeated one is answered and not obeyed again. A supervisor repeats
/// what was not acknowledged; it never has this many open towards one robot.
pub(crate) const COMMANDS_REMEMBERED: usize = 128;

/// What to do with a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// Obey it, then [`Orders::settle`] it.
    Obey,
    /// Answer this; nothing else.
    Answer(CommandOutcome),
}

/// The memory of orders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    remembered: VecDeque<(CommandId, CommandOutcome)>,
    generation: Generation,
    last: Option<CommandId>,
}

impl Orders {
    /// Last command that took effect.
    pub(crate) const fn last(&self) -> Option<CommandId> {
        self.last
    }

    /// Whether to obey. STOP and KILL are always obeyed: late is better than never.
    pub(crate) fn judge(&self, command: &CloudCommand, wall: WallTime) -> Judgement {
        if let Some((_, outcome)) = self.remembered.iter().find(|(id, _)| *id == command.id) {
            return Judgement::Answer(outcome.clone());
        }
        if matches!(command.order, Order::Stop(_) | Order::Kill(_) | Order::EventsKept { .. }) {
            return Judgement::Obey;
        }
        if command.generation < self.generation {
            let reason = format!("stale: {} is older than {}", command.generation, self.generation);
            return Judgement::Answer(CommandOutcome::Rejected(reason));
        }
        if command.expires_at.is_some_and(|expiry| expiry < wall) {
            return Judgement::Answer(CommandOutcome::Rejected("expired before it arrived".to_owned()));
        }
        Judgement::Obey
    }

    /// Remembers how a command fared; a later call for the same command replaces the outcome.
    pub(crate) fn settle(&mut self, id: CommandId, outcome: CommandOutcome) {
        if let Some(known) = self.remembered.iter_mut().find(|(known, _)| *known == id) {
            known.1 = outcome;
            return;
        }
        if self.remembered.len() >= COMMANDS_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((id, outcome));
    }

    /// Notes that a command took effect.
    pub(crate) fn took_effect(&mut self, command: &CloudCommand) {
        self.generation = self.generation.max(command.generation);
        self.last = Some(command.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::authority::Term;
    use skein_types::ids::MissionId;
    use uuid::Uuid;

    fn command(id: u128, generation: u64, order: Order) -> CloudCommand {
        CloudCommand {
            id: CommandId(Uuid::from_u128(id)),
            generation: Generation(generation),
            term: Term(0),
            expires_at: None,
            order,
        }
    }

    fn pause() -> Order {
        Order::Pause(MissionId(Uuid::from_u128(1)))
    }

    #[test]
    fn a_repeated_command_is_answered_as_before_and_not_obeyed_again() {
        let mut orders = Orders::default();
        let first = command(1, 5, pause());
        assert_eq!(orders.judge(&first, WallTime::default()), Judgement::Obey);
        orders.took_effect(&first);
        orders.settle(first.id, CommandOutcome::Done);
        assert_eq!(orders.judge(&first, WallTime::default()), Judgement::Answer(CommandOutcome::Done));
        assert_eq!(orders.last(), Some(first.id));
    }

    #[test]
    fn a_stale_generation_is_refused_but_stop_never_is() {
        let mut orders = Orders::default();
        orders.took_effect(&command(1, 5, pause()));
        let refused = orders.judge(&command(2, 4, pause()), WallTime::default());
        assert_eq!(refused, Judgement::Answer(CommandOutcome::Rejected("stale: g4 is older than g5".to_owned())));
        let release = orders.judge(&command(3, 4, Order::Release("x".into())), WallTime::default());
        assert!(matches!(release, Judgement::Answer(CommandOutcome::Rejected(_))));
        assert_eq!(orders.judge(&command(4, 1, Order::Stop("x".into())), WallTime::default()), Judgement::Obey);
        assert_eq!(orders.judge(&command(5, 1, Order::Kill("x".into())), WallTime::default()), Judgement::Obey);
    }

    #[test]
    fn an_expired_order_is_refused_but_an_expired_stop_is_obeyed() {
        let orders = Orders::default();
        let late = WallTime::from_unix_nanos(10);
        let expired = |order| CloudCommand { expires_at: Some(WallTime::from_unix_nanos(9)), ..command(1, 1, order) };
        assert!(matches!(orders.judge(&expired(pause()), late), Judgement::Answer(_)));
        assert_eq!(orders.judge(&expired(Order::Stop("x".into())), late), Judgement::Obey);
    }

    #[test]
    fn the_memory_of_commands_is_bounded() {
        let mut orders = Orders::default();
        for id in 0..1000 {
            orders.settle(CommandId(Uuid::from_u128(id)), CommandOutcome::Done);
        }
        assert_eq!(orders.remembered.len(), COMMANDS_REMEMBERED);
    }
}
