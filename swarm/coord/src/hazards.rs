//! Dangers: those that peers reported, and those the own robot has to report.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::coord::{Hazard, HazardKind};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

/// Most dangers that are kept: the farthest in time goes first.
pub const HAZARDS_KNOWN_MAX: usize = 64;
/// How long a danger this robot reports is believed without being seen again.
pub const HAZARD_TIME_TO_LIVE: Duration = Duration::from_secs(3);
/// No danger is believed longer than this without being repeated, whatever its reporter says.
pub const TIME_TO_LIVE_MAX: Duration = Duration::from_secs(60);
/// A danger that is seen on and on is said again this often.
const REPEAT_EVERY: Duration = Duration::from_secs(1);
/// Two of the same kind nearer than this are one.
const SAME_PLACE: f64 = 0.5;
/// A number this far behind the last one comes from a new life of the reporter, not from a late packet.
const LATE_BY_MAX: u64 = 32;
/// Most reporters whose last number is kept.
const REPORTERS_MAX: usize = 128;

#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) kind: HazardKind,
    pub(crate) position: Point,
    pub(crate) radius: Meters,
    pub(crate) valid_until: MonoTime,
    said_at: Option<MonoTime>,
}

/// The table of dangers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hazards {
    known: Vec<Known>,
    last: BTreeMap<AgentId, u64>,
    sequence: u64,
}

impl Hazards {
    /// A peer reports one. Late copies change nothing.
    pub(crate) fn on_report(&mut self, now: MonoTime, hazard: &Hazard) {
        let late = |last: &u64| hazard.sequence <= *last && last - hazard.sequence < LATE_BY_MAX;
        if self.last.get(&hazard.reporter).is_some_and(late) || !hazard.position.is_finite() {
            return;
        }
        if self.last.len() >= REPORTERS_MAX && !self.last.contains_key(&hazard.reporter) {
            self.last.pop_first();
        }
        self.last.insert(hazard.reporter.clone(), hazard.sequence);
        let valid_until = now + hazard.time_to_live.min(TIME_TO_LIVE_MAX);
        self.keep(now, hazard.kind, hazard.position, hazard.radius, valid_until);
    }

    /// A reporter lives anew: its numbers start again.
    pub(crate) fn on_restart(&mut self, reporter: &AgentId) {
        self.last.remove(reporter);
    }

    /// The own robot sees one. What to tell the peers, unless they were told a moment ago.
    pub(crate) fn observe(
        &mut self,
        now: MonoTime,
        (kind, position, radius): (HazardKind, Point, Meters),
        (reporter, boot): (&AgentId, BootId),
        seen_at: WallTime,
    ) -> Option<Hazard> {
        if !position.is_finite() || !radius.is_finite() {
            return None;
        }
        let known = self.keep(now, kind, position, radius, now + HAZARD_TIME_TO_LIVE)?;
        if known.said_at.is_some_and(|said| now.since(said) < REPEAT_EVERY) {
            return None;
        }
        known.said_at = Some(now);
        self.sequence += 1;
        Some(Hazard {
            reporter: reporter.clone(),
            sequence: self.sequence,
            kind,
            position,
            radius,
            boot,
            age: Duration::ZERO,
            time_to_live: HAZARD_TIME_TO_LIVE,
            seen_at,
        })
    }

    fn keep(
        &mut self,
        now: MonoTime,
        kind: HazardKind,
        position: Point,
        radius: Meters,
        valid_until: MonoTime,
    ) -> Option<&mut Known> {
        self.expire(now);
        let same = |known: &Known| known.kind == kind && known.position.distance(position) < SAME_PLACE;
        let at = match self.known.iter().position(same) {
            Some(at) => at,
            None => {
                if self.known.len() >= HAZARDS_KNOWN_MAX {
                    let first = self.known.iter().enumerate().min_by_key(|(_, known)| known.valid_until);
                    first.map(|(at, _)| at).map(|at| self.known.swap_remove(at));
                }
                self.known.push(Known { kind, position, radius, valid_until, said_at: None });
                self.known.len() - 1
            }
        };
        let known = self.known.get_mut(at)?;
        known.position = position;
        known.radius = radius;
        known.valid_until = known.valid_until.max(valid_until);
        Some(known)
    }

    pub(crate) fn expire(&mut self, now: MonoTime) {
        self.known.retain(|known| known.valid_until > now);
    }

    pub(crate) fn next_expiry(&self) -> Option<MonoTime> {
        self.known.iter().map(|known| known.valid_until).min()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use uuid::Uuid;

    fn hazard(sequence: u64, x: f64, seconds: u64) -> Hazard {
        Hazard {
            reporter: AgentId::new("b").unwrap(),
            sequence,
            kind: HazardKind::Cliff,
            position: Point::new(x, 0.0),
            radius: Meters(0.3),
            boot: BootId(Uuid::nil()),
            age: Duration::ZERO,
            time_to_live: Duration::from_secs(seconds),
            seen_at: WallTime::default(),
        }
    }

    #[test]
    fn a_danger_is_forgotten_when_its_time_is_over_and_not_before() {
        let mut hazards = Hazards::default();
        hazards.on_report(at(0), &hazard(1, 0.0, 3));
        assert_eq!(hazards.next_expiry(), Some(at(3000)));
        hazards.expire(at(2999));
        assert_eq!(hazards.iter().count(), 1);
        hazards.on_report(at(2999), &hazard(1, 0.0, 3));
        hazards.expire(at(3000));
        assert_eq!(hazards.iter().count(), 0, "a late copy does not keep it alive");
        hazards.on_report(at(3000), &hazard(2, 0.0, 9_999_999));
        assert_eq!(hazards.next_expiry(), Some(at(63_000)), "no reporter decides for ever");
    }

    #[test]
    fn the_same_danger_is_one_however_many_report_it_and_the_table_is_bounded() {
        let mut hazards = Hazards::default();
        hazards.on_report(at(0), &hazard(1, 0.0, 3));
        hazards.on_report(at(100), &hazard(2, 0.2, 3));
        assert_eq!(hazards.iter().count(), 1);
        for i in 3..500 {
            hazards.on_report(at(100), &hazard(i, i as f64, 3));
        }
        assert_eq!(hazards.iter().count(), HAZARDS_KNOWN_MAX);
        hazards.on_restart(&AgentId::new("b").unwrap());
        hazards.on_report(at(200), &hazard(1, -50.0, 30));
        assert!(hazards.iter().any(|known| known.position.x == -50.0), "a restarted reporter is heard");
    }

    #[test]
    fn what_the_own_robot_sees_on_and_on_is_said_once_a_second() {
        let (mut hazards, id) = (Hazards::default(), AgentId::new("a").unwrap());
        let mut see = |ms: u64, x: f64| {
            let seen = (HazardKind::Person, Point::new(x, 1.0), Meters(0.4));
            hazards.observe(at(ms), seen, (&id, BootId(Uuid::nil())), WallTime::default()).map(|hazard| hazard.sequence)
        };
        let said: Vec<Option<u64>> = (0..25).map(|i| see(i * 50, 0.01 * i as f64)).collect();
        assert_eq!(said.iter().flatten().collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(see(1250, 9.0), Some(3), "another place is another danger");
        assert_eq!(see(1300, f64::NAN), None);
    }
}
