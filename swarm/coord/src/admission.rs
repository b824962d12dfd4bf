//! Whom a full table of peers gives up, and how many new names are admitted.
//!
//! Without certificates a name costs nothing, and neither does a position beside the robot. What an inventor of names
//! cannot do is stand there: the own lidar says of the position in each intent whether something is there ([`Sight`]).
//!
//! | new name | takes the place of |
//! |---|---|
//! | any but [`Sight::Empty`] | a name whose position the lidar found empty again and again |
//! | nearer than the farthest, which is beyond [`CROWD_RANGE`] | the farthest |
//! | seen by the lidar | of those that are not seen, the one heard last |
//! | nearer than [`REFLEX_RANGE`] | likewise, when that is farther away |
//! | any other | nobody: it is not admitted |
//!
//! So in a crowd that no floor can hold, names that were there first keep their places against those that came later.

use std::collections::BTreeMap;

use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::limits::AVOID_DISTANCE;
use skein_types::time::MonoTime;

use crate::peer::Peer;
use crate::sight::Sight;
use crate::token_bucket::TokenBucket;

/// Within this distance, metres, are never as many robots as the table has places: when it is full of such names, most
/// are invented. Beyond it the nearest are kept.
pub(crate) const CROWD_RANGE: f64 = 8.0;
/// A robot nearer than this matters to the reflex before it is known any better: its avoid distance and two footprints.
const REFLEX_RANGE: f64 = AVOID_DISTANCE.0 + 0.5;
/// A new peer replaces a farther one only when it is nearer by this much, metres.
const NEARER_BY: f64 = 0.5;
/// New names admitted at once, and in a second: near, and beyond [`CROWD_RANGE`]. Those that the lidar sees need none.
const ADMISSIONS: (f64, f64) = (64.0, 10.0);

/// A name that is not in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    pub(crate) distance: f64,
    pub(crate) sight: Sight,
}

/// The rates.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    near: TokenBucket,
    far: TokenBucket,
}

impl Default for Admission {
    fn default() -> Self {
        let bucket = || TokenBucket::new(ADMISSIONS.0, ADMISSIONS.1);
        Self { near: bucket(), far: bucket() }
    }
}

impl Admission {
    /// Whether a new name is admitted now. `None`: the own position is unknown.
    pub(crate) fn admit(&mut self, now: MonoTime, newcomer: Option<Newcomer>) -> bool {
        match newcomer {
            Some(Newcomer { sight: Sight::Seen, .. }) => true,
            Some(Newcomer { distance, .. }) if distance < CROWD_RANGE => self.near.take(now),
            Some(_) | None => self.far.take(now),
        }
    }
}

/// The peer that a full table gives up for a newcomer; `None` when the newcomer has to wait. `own` is the own position.
pub(crate) fn given_up(
    now: MonoTime,
    own: Point,
    peers: &BTreeMap<AgentId, Peer>,
    newcomer: Newcomer,
) -> Option<&AgentId> {
    let far = |peer: &Peer| own.distance(peer.position());
    let farthest_of = |passes: &dyn Fn(&Peer) -> bool| {
        let passing = peers.iter().filter(|(_, peer)| passes(peer));
        passing.max_by(|a, b| far(a.1).total_cmp(&far(b.1)))
    };
    let is_nearer_than = |peer: &Peer| newcomer.distance + NEARER_BY < far(peer);
    if newcomer.sight != Sight::Empty
        && let Some((agent, _)) = farthest_of(&|peer| peer.sightings.is_refuted())
    {
        return Some(agent);
    }
    let (farthest, peer) = farthest_of(&|_| true)?;
    if far(peer) >= CROWD_RANGE {
        return Some(farthest).filter(|_| is_nearer_than(peer));
    }
    let unseen = peers.iter().filter(|(_, peer)| !peer.sightings.is_seen(now));
    let latest = unseen.max_by_key(|(_, peer)| peer.sightings.heard_since);
    match newcomer.sight {
        Sight::Seen => latest.or(Some((farthest, peer)).filter(|(_, peer)| is_nearer_than(peer))),
        Sight::Unknown if newcomer.distance < REFLEX_RANGE => latest.filter(|(_, peer)| is_nearer_than(peer)),
        Sight::Unknown | Sight::Empty => None,
    }
    .map(|(agent, _)| agent)
}

#[cfg(test)]
mod tests {
    use skein_types::coord::Intent;
    use skein_types::time::WallTime;

    use super::*;
    use crate::peers::{Observer, PeerTable};
    use crate::testing::{at, intent};

    fn from(name: &str, sequence: u64, x: f64) -> Intent {
        let mut intent = intent(name, 1, sequence);
        intent.pose.position = Point::new(x, 0.0);
        intent
    }

    fn hear(table: &mut PeerTable, ms: u64, intent: Intent, sight: Sight) {
        let observer = Observer { position: Some(Point::default()), wall: WallTime::default(), sight };
        table.on_intent(at(ms), &observer, intent);
    }

    /// Rovers at 2, 4 and 6 m, of which the nearest two are in sight.
    fn rovers(table: &mut PeerTable, ms: u64, sequence: u64) {
        for (name, x, sight) in
            [("rover-2", 2.0, Sight::Seen), ("rover-4", 4.0, Sight::Seen), ("rover-6", 6.0, Sight::Unknown)]
        {
            hear(table, ms, from(name, sequence, x), sight);
        }
    }

    fn real(table: &PeerTable) -> usize {
        table.iter().filter(|(agent, _)| agent.as_str().starts_with("rover")).count()
    }

    fn ghosts(table: &mut PeerTable, ms: u64, sequence: u64, sight: Sight) {
        for i in 0..70_u32 {
            hear(table, ms, from(&format!("ghost-{i}"), sequence, 0.6 + 0.01 * f64::from(i)), sight);
        }
    }

    /// Peers that fell silent are lost, as the core does it.
    fn expire(table: &mut PeerTable, ms: u64) {
        for agent in table.silent(at(ms)) {
            table.lose(at(ms), &agent);
        }
    }

    #[test]
    fn seventy_invented_peers_beside_the_robot_displace_none_that_was_there() {
        for sight in [Sight::Unknown, Sight::Empty] {
            let mut table = PeerTable::default();
            for round in 0..600_u64 {
                expire(&mut table, round * 100);
                rovers(&mut table, round * 100, round);
                if round > 10 {
                    ghosts(&mut table, round * 100 + 50, round, sight);
                }
                assert_eq!(real(&table), 3, "round {round}, {sight:?}");
            }
        }
    }

    #[test]
    fn a_robot_that_restarts_among_seventy_invented_neighbours_hears_the_real_ones_it_sees() {
        for sight in [Sight::Unknown, Sight::Empty] {
            let mut table = PeerTable::default();
            for round in 0..100_u64 {
                expire(&mut table, round * 100);
                ghosts(&mut table, round * 100, round, sight);
                if round > 20 {
                    rovers(&mut table, round * 100 + 50, round);
                }
            }
            // What hides behind nothing is refuted; where everything is hidden, the lidar decides.
            assert_eq!(real(&table), if sight == Sight::Empty { 3 } else { 2 }, "{sight:?}");
        }
    }

    #[test]
    fn the_65th_robot_of_a_crowd_is_heard_when_it_is_near() {
        for (x, sight, heard) in [
            (1.0, Sight::Unknown, true),
            (3.0, Sight::Seen, true),
            (3.0, Sight::Unknown, false),
            (1.0, Sight::Empty, false),
        ] {
            let mut table = PeerTable::default();
            for i in 0..64_u32 {
                let sight = if i < 60 { Sight::Seen } else { Sight::Unknown };
                hear(&mut table, u64::from(i), from(&format!("p{i}"), 1, 4.0 + 0.05 * f64::from(i)), sight);
            }
            hear(&mut table, 100, from("late", 1, x), sight);
            assert_eq!(table.get(&AgentId::new("late").unwrap()).is_some(), heard, "{x} m, {sight:?}");
            assert_eq!(table.iter().count(), 64);
        }
    }

    #[test]
    fn invented_names_are_admitted_at_a_bounded_rate_and_seen_ones_always() {
        let mut admission = Admission::default();
        let near = |sight| Some(Newcomer { distance: 2.0, sight });
        let admitted = (0..1000).filter(|i| admission.admit(at(*i), near(Sight::Unknown))).count();
        assert!((64..=75).contains(&admitted), "{admitted}");
        assert!(admission.admit(at(1000), near(Sight::Seen)));
        assert!(admission.admit(at(1000), None), "those beyond have a rate of their own");
    }
}
