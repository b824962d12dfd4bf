//! The core: what goes in, what comes out, and when it wants to be woken.

use core::time::Duration;
use std::collections::VecDeque;

use skein_types::coord::{Hazard, HazardKind, INTENT_PATH_MAX, Intent};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::safety::{HAZARDS_MAX, HazardDisc, PEERS_MAX, PeerDisc};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::PEER_CLEARANCE;
use crate::coord_state::CoordState;
use crate::guidance::{Obstacle, PrecedenceReason};
use crate::hazards::Hazards;
use crate::own_state::OwnState;
use crate::peers::{Heard, PeerTable, PeerView};

/// A robot says its intent this often.
pub const INTENT_PERIOD: Duration = Duration::from_millis(100);
/// A robot that does not know its own state says nothing: silence is true, an old intent is not.
const OWN_FRESH: Duration = Duration::from_millis(500);
/// A bend of a said way smaller than this is left out, metres.
const BEND: f64 = 0.03;

/// Who this robot is.
#[derive(Clone, Debug, PartialEq)]
pub struct CoordConfig {
    /// Its name.
    pub id: AgentId,
    /// This life of it.
    pub boot: BootId,
    /// Of its footprint.
    pub radius: Meters,
}

/// What the core is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A peer spoke.
    Intent(Intent),
    /// A peer reported a danger.
    Hazard(Hazard),
    /// The mesh says that a peer came or went (its liveliness token).
    PeerAlive {
        /// Who.
        agent: AgentId,
        /// Came or went.
        alive: bool,
    },
    /// The own robot.
    Own(OwnState),
    /// The own robot sees a danger.
    HazardSeen {
        /// What.
        kind: HazardKind,
        /// Where, in the map's frame.
        position: Point,
        /// How far it reaches.
        radius: Meters,
    },
    /// A deadline came.
    Wake,
}

/// What the core wants done or known.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Say this to all peers.
    PublishIntent(Intent),
    /// Warn all peers.
    PublishHazard(Hazard),
    /// A peer is there that was not, or lives anew.
    PeerSeen(AgentId),
    /// A peer is gone.
    PeerLost(AgentId),
    /// A peer promised to yield to this robot and advanced into its way.
    TrustViolation {
        /// Who.
        agent: AgentId,
        /// How much nearer it came.
        advanced: Meters,
        /// How far it is believed now, 0 to 1.
        trust: f64,
    },
    /// This robot begins to yield to a peer.
    Yielding {
        /// To whom.
        to: AgentId,
        /// What decided.
        reason: PrecedenceReason,
    },
    /// This robot no longer yields to the peer.
    Proceeding {
        /// To whom it yielded.
        after: AgentId,
    },
}

/// Why the core wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// The next own intent is due.
    Intent,
    /// A peer has been silent for [`crate::SILENCE_MAX`].
    PeerSilence,
    /// The life of a hazard ends.
    HazardExpiry,
}

/// The coordination of one robot with its peers.
#[derive(Clone, Debug)]
pub struct Coord {
    pub(crate) config: CoordConfig,
    pub(crate) presence: PeerTable,
    pub(crate) hazards: Hazards,
    pub(crate) standing: CoordState,
    pub(crate) outputs: VecDeque<Output>,
    own: Option<(MonoTime, OwnState)>,
    publish_at: Option<MonoTime>,
    sequence: u64,
}

impl Coord {
    /// A robot that has heard nobody yet.
    #[must_use]
    pub fn new(config: CoordConfig) -> Self {
        let standing = CoordState::new();
        Self {
            config,
            presence: PeerTable::default(),
            hazards: Hazards::default(),
            standing,
            outputs: VecDeque::new(),
            own: None,
            publish_at: None,
            sequence: 0,
        }
    }

    /// One change.
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        match input {
            Input::Intent(intent) => self.hear(now, intent),
            Input::Hazard(hazard) => {
                if hazard.reporter != self.config.id {
                    self.hazards.hear(now, &hazard);
                }
            }
            Input::PeerAlive { agent, alive } => {
                if !alive {
                    self.lose(now, &agent);
                }
            }
            Input::Own(own) => {
                self.publish_at.get_or_insert(now);
                self.own = Some((now, own));
            }
            Input::HazardSeen { kind, position, radius } => {
                let wall = self.own.as_ref().map(|(_, own)| own.wall).unwrap_or_default();
                let seen = self.hazards.see(now, (kind, position, radius), &self.config.id, wall);
                self.outputs.extend(seen.map(Output::PublishHazard));
            }
            Input::Wake => {}
        }
        self.catch_up(now);
    }

    /// What is to be done, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle`] with [`Input::Wake`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, TimerKind)> {
        let say = self.publish_at.map(|at| (at, TimerKind::Intent));
        let silence = self.presence.next_silence().map(|at| (at, TimerKind::PeerSilence));
        let hazard = self.hazards.next_expiry().map(|at| (at, TimerKind::HazardExpiry));
        [say, silence, hazard].into_iter().flatten().min()
    }

    /// The peers that are there.
    pub fn peers(&self, now: MonoTime) -> impl Iterator<Item = PeerView> {
        self.presence.iter().map(move |(_, peer)| PeerView {
            intent: peer.intent.clone(),
            age: now.since(peer.heard_at),
            trust: peer.trust.share(now),
        })
    }

    /// How many peers are there.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.presence.iter().count()
    }

    /// The nearest peers for the reflex.
    #[must_use]
    pub fn surroundings_peers(&self, near: Point) -> [Option<PeerDisc>; PEERS_MAX] {
        nearest(self.presence.iter().map(|(_, peer)| {
            let disc = PeerDisc {
                position: peer.intent.pose.position,
                velocity: peer.intent.velocity,
                radius: peer.intent.radius,
                at: peer.heard_at,
            };
            (disc.position.distance(near) - disc.radius.0, disc)
        }))
    }

    /// The nearest dangers for the reflex.
    #[must_use]
    pub fn surroundings_hazards(&self, now: MonoTime, near: Point) -> [Option<HazardDisc>; HAZARDS_MAX] {
        nearest(self.hazards.iter().filter(|known| known.valid_until > now).map(|known| {
            let disc = HazardDisc { position: known.position, radius: known.radius, valid_until: known.valid_until };
            (disc.position.distance(near) - disc.radius.0, disc)
        }))
    }

    /// Peers that do not move by themselves: stopped, broken, charging, or silent for a short while. A planner keeps
    /// its robot's centre this far from them.
    pub fn obstacles(&self, now: MonoTime) -> impl Iterator<Item = Obstacle> {
        let still = self.presence.iter().filter(|(_, peer)| !peer.mobile());
        still.chain(self.presence.ghosts(now)).map(move |(_, peer)| Obstacle {
            position: peer.intent.pose.position,
            radius: Meters(self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE),
        })
    }

    fn hear(&mut self, now: MonoTime, intent: Intent) {
        let usable = intent.pose.is_finite() && intent.velocity.is_finite() && intent.radius.is_finite();
        if intent.sender == self.config.id || !usable {
            return;
        }
        let sender = intent.sender.clone();
        match self.presence.hear(now, intent) {
            Heard::Nothing | Heard::Known => {}
            Heard::New => {
                self.hazards.restart(&sender);
                self.outputs.push_back(Output::PeerSeen(sender));
            }
        }
    }

    fn lose(&mut self, now: MonoTime, agent: &AgentId) {
        if self.presence.lose(now, agent) {
            self.outputs.push_back(Output::PeerLost(agent.clone()));
        }
    }

    /// Does what time alone makes due.
    fn catch_up(&mut self, now: MonoTime) {
        for agent in self.presence.silent(now) {
            self.lose(now, &agent);
        }
        self.hazards.expire(now);
        if self.own.as_ref().is_some_and(|(at, _)| now.since(*at) > OWN_FRESH) {
            self.own = None;
            self.publish_at = None;
        }
        if let (Some(at), Some((_, own))) = (self.publish_at, &self.own)
            && at <= now
        {
            self.sequence += 1;
            let next = at + INTENT_PERIOD;
            self.publish_at = Some(if next > now { next } else { now + INTENT_PERIOD });
            self.outputs.push_back(Output::PublishIntent(self.intent(own)));
        }
    }

    fn intent(&self, own: &OwnState) -> Intent {
        let (path, claim) = (self.standing.path(own), self.standing.claim_of(own, &self.config.id));
        Intent {
            sender: self.config.id.clone(),
            boot: self.config.boot,
            sequence: self.sequence,
            sent_at: own.wall,
            pose: own.pose,
            velocity: own.velocity,
            radius: self.config.radius,
            path: thinned(path.points()),
            state: self.standing.published_state(own),
            right_of_way: claim.right_of_way,
            cornered: claim.cornered,
            yields_to: self.standing.yields_to(),
        }
    }
}

fn nearest<T: Copy, const N: usize>(discs: impl Iterator<Item = (f64, T)>) -> [Option<T>; N] {
    let mut sorted: Vec<(f64, T)> = discs.collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut places = [None; N];
    for (place, (_, disc)) in places.iter_mut().zip(sorted) {
        *place = Some(disc);
    }
    places
}

/// The points after the first, without those that bend the way too little to matter.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(INTENT_PATH_MAX);
    let mut from = points.first().copied().unwrap_or_default();
    let mut skipped: Vec<Point> = Vec::new();
    for (i, &point) in points.iter().enumerate().skip(1) {
        let Some(&next) = points.get(i + 1) else {
            kept.push(point);
            break;
        };
        skipped.push(point);
        if skipped.iter().any(|between| between.distance_to_segment(from, next) > BEND) {
            kept.push(point);
            from = point;
            skipped.clear();
        }
        if kept.len() == INTENT_PATH_MAX {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, intent};
    use proptest::prelude::*;
    use skein_types::coord::AgentState;
    use skein_types::geometry::Pose;
    use skein_types::mission::Priority;
    use skein_types::time::WallTime;

    fn coord() -> Coord {
        let boot = BootId(uuid::Uuid::from_u128(9));
        Coord::new(CoordConfig { id: AgentId::new("me").unwrap(), boot, radius: Meters(0.25) })
    }

    fn own(x: f64) -> OwnState {
        OwnState {
            pose: Pose::new(x, 0.0, 0.0),
            velocity: Point::default(),
            path: vec![Point::new(x + 3.0, 0.0)],
            state: AgentState::Executing,
            priority: Priority::NORMAL,
            carrying: false,
            emergency: false,
            wall: WallTime::from_unix_nanos(1),
        }
    }

    fn drain(coord: &mut Coord) -> Vec<Output> {
        std::iter::from_fn(|| coord.poll_output()).collect()
    }

    #[test]
    fn it_speaks_ten_times_a_second_while_it_knows_its_own_state_and_is_silent_otherwise() {
        let mut coord = coord();
        let mut said = Vec::new();
        for ms in (0..1000).step_by(50) {
            coord.handle(at(ms), Input::Own(own(0.0)));
            said.extend(drain(&mut coord));
        }
        let sequences: Vec<u64> =
            said.iter().map(|o| if let Output::PublishIntent(intent) = o { intent.sequence } else { 0 }).collect();
        assert_eq!(sequences, (1..=10).collect::<Vec<u64>>());
        coord.handle(at(3000), Input::Wake);
        assert_eq!(drain(&mut coord), []);
        assert_eq!(coord.next_deadline(), None);
    }

    #[test]
    fn a_lost_token_or_a_second_of_silence_takes_a_peer_away_once() {
        let mut coord = coord();
        let peer = AgentId::new("b").unwrap();
        coord.handle(at(0), Input::Intent(intent("b", 1, 1)));
        assert_eq!(coord.next_deadline(), Some((at(1000), TimerKind::PeerSilence)));
        coord.handle(at(10), Input::PeerAlive { agent: peer.clone(), alive: false });
        coord.handle(at(20), Input::PeerAlive { agent: peer.clone(), alive: false });
        coord.handle(at(30), Input::Intent(intent("b", 1, 2)));
        coord.handle(at(1030), Input::Wake);
        let expected = [Output::PeerSeen(peer.clone()), Output::PeerLost(peer.clone()), Output::PeerSeen(peer.clone())];
        let seen = drain(&mut coord);
        assert_eq!((&seen[..3], &seen[3..]), (&expected[..], &[Output::PeerLost(peer)][..]));
    }

    #[test]
    fn its_own_words_and_words_that_are_no_numbers_are_not_heard() {
        let mut coord = coord();
        coord.handle(at(0), Input::Intent(intent("me", 1, 1)));
        let mut broken = intent("b", 1, 1);
        broken.velocity.x = f64::NAN;
        coord.handle(at(0), Input::Intent(broken));
        assert_eq!((drain(&mut coord), coord.peer_count()), (vec![], 0));
    }

    #[test]
    fn the_reflex_is_told_of_the_nearest_sixteen() {
        let mut coord = coord();
        for i in 0..30_u32 {
            let mut peer = intent(&format!("p{i}"), 1, 1);
            peer.pose.position = Point::new(f64::from((i * 7) % 30), 0.0);
            coord.handle(at(0), Input::Intent(peer));
        }
        let near: Vec<f64> =
            coord.surroundings_peers(Point::default()).iter().flatten().map(|p| p.position.x).collect();
        assert_eq!(near, (0..16).map(f64::from).collect::<Vec<f64>>());
    }

    #[test]
    fn a_said_way_is_thinned_without_being_bent() {
        let dense: Vec<Point> = (0..200).map(|i| Point::new(0.05 * f64::from(i), 0.0)).collect();
        assert_eq!(thinned(&dense), [Point::new(9.950000000000001, 0.0)]);
        let round: Vec<Point> = (0..100).map(|i| Point::from_heading(0.03 * f64::from(i)) * 3.0).collect();
        let kept = thinned(&round);
        assert!(kept.len() < 20);
        let line: Vec<Point> = std::iter::once(round[0]).chain(kept).collect();
        let off = |p: &Point| line.windows(2).map(|w| p.distance_to_segment(w[0], w[1])).fold(9.0, f64::min);
        assert!(round.iter().all(|p| off(p) <= BEND + 1e-9));
    }

    fn any_input() -> impl Strategy<Value = Input> {
        let name = prop::sample::select(vec!["a", "b", "me"]);
        prop_oneof![
            (name, 0_u128..3, 0_u64..20).prop_map(|(who, boot, n)| Input::Intent(intent(who, boot, n))),
            (0.0_f64..5.0).prop_map(|x| Input::Own(own(x))),
            any::<bool>().prop_map(|alive| Input::PeerAlive { agent: AgentId::new("a").unwrap(), alive }),
            (0.0_f64..50.0).prop_map(|x| Input::HazardSeen {
                kind: HazardKind::Person,
                position: Point::new(x, 0.0),
                radius: Meters(0.5)
            }),
            Just(Input::Wake),
        ]
    }

    proptest! {
        #[test]
        fn the_laws_of_a_core_hold(inputs in prop::collection::vec((any_input(), 0_u64..400), 0..60)) {
            let (mut one, mut two) = (coord(), coord());
            let mut now = 0;
            for (input, pause) in inputs {
                now += pause;
                let due = one.next_deadline();
                one.handle(at(now), input.clone());
                two.handle(at(now), input);
                let (said, again) = (drain(&mut one), drain(&mut two));
                prop_assert_eq!(&said, &again, "same inputs, same outputs");
                prop_assert!(said.len() <= 8, "bounded outputs");
                prop_assert!(one.next_deadline().is_none_or(|(due, _)| due > at(now)), "{:?} was due", due);
                one.handle(at(now), Input::Wake);
                prop_assert_eq!(drain(&mut one), vec![], "a spurious wake-up changes nothing");
            }
        }
    }
}
