//! Which event hits which robot: drawn from a seed.

use core::time::Duration;
use std::time::Instant;

use clap::ValueEnum;
use skein_types::ids::AgentId;

use crate::args::DrillKind;

/// A robot latches STOP by itself when it crashes this often within [`CRASH_WINDOW`]; the drill stays below.
const CRASHES_MAX: usize = 3;
/// See [`CRASHES_MAX`].
const CRASH_WINDOW: Duration = Duration::from_secs(120);

/// One event of the drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub kind: DrillKind,
    pub robot: AgentId,
}

/// Draws the events of a drill from a seed.
#[derive(Debug)]
pub(super) struct Plan {
    state: u64,
    kinds: Vec<DrillKind>,
    robots: Vec<AgentId>,
    kills: Vec<(AgentId, Instant)>,
}

impl DrillKind {
    /// The robot's process is killed.
    pub(super) const fn kills_robot(self) -> bool {
        matches!(self, Self::Kill | Self::KillStopped | Self::StopDead)
    }

    pub(super) const fn kills(self) -> bool {
        self.kills_robot() || matches!(self, Self::KillSupervisor)
    }

    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Plan {
    /// Of these kinds, all when none is given. Without restarts nothing is killed.
    pub(super) fn new(seed: u64, only: &[DrillKind], robots: Vec<AgentId>, has_restarts: bool) -> Self {
        let chosen = if only.is_empty() { DrillKind::value_variants() } else { only };
        let kinds = chosen.iter().copied().filter(|kind| has_restarts || !kind.kills()).collect();
        Self { state: seed, kinds, robots, kills: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty() || self.robots.is_empty()
    }

    /// The next event; none when there is nothing to choose from.
    pub(super) fn draw(&mut self, now: Instant) -> Option<Event> {
        let (kind, robot) = (self.random(), self.random());
        let kind = pick(&self.kinds, kind)?;
        let robot = pick(&self.robots, robot)?;
        self.kills.retain(|(_, at)| now.saturating_duration_since(*at) < CRASH_WINDOW);
        if !kind.kills_robot() {
            return Some(Event { kind, robot });
        }
        // The robot that was killed least often is next.
        let count = |robot: &AgentId| self.kills.iter().filter(|(killed, _)| killed == robot).count();
        let robot = self.robots.iter().min_by_key(|robot| count(robot))?.clone();
        if count(&robot) >= CRASHES_MAX {
            return Some(Event { kind: DrillKind::Stop, robot });
        }
        self.kills.push((robot.clone(), now));
        Some(Event { kind, robot })
    }

    /// A number of milliseconds between the two.
    pub(super) fn pause(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.random() % (to - from).max(1))
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn pick<T: Clone>(items: &[T], random: u64) -> Option<T> {
    let index = random.checked_rem(items.len() as u64)?;
    items.get(usize::try_from(index).ok()?).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn robots(count: usize) -> Vec<AgentId> {
        (1..=count).map(|n| AgentId::new(format!("r{n}")).unwrap()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_events_and_every_kind_comes() {
        let now = clock::now();
        let draw = |seed| {
            let mut plan = Plan::new(seed, &[], robots(6), true);
            (0..200).map(|_| plan.draw(now).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        let kinds: std::collections::BTreeSet<_> = draw(5).into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds.len(), DrillKind::value_variants().len());
    }

    #[test]
    fn no_robot_is_killed_so_often_that_it_stops_itself() {
        let start = clock::now();
        let mut plan = Plan::new(1, &[DrillKind::Kill], robots(2), true);
        let events: Vec<_> = (0..20).map(|_| plan.draw(start).unwrap()).collect();
        assert_eq!(events.iter().filter(|event| event.kind == DrillKind::Kill).count(), 2 * CRASHES_MAX);
        assert_eq!(plan.draw(start + CRASH_WINDOW).unwrap().kind, DrillKind::Kill);
    }

    #[test]
    fn without_restarts_nothing_is_killed() {
        assert!(Plan::new(1, &[DrillKind::Kill, DrillKind::KillSupervisor], robots(2), false).is_empty());
        assert!(Plan::new(1, &[], Vec::new(), true).draw(clock::now()).is_none());
    }
}
