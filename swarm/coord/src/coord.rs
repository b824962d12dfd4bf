//! The core: what goes in, what comes out, and when it wants to be woken.

use std::collections::VecDeque;

use skein_space::planning::Traversable;
use skein_types::coord::{Hazard, HazardKind, Intent};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::safety::{HAZARDS_MAX, HazardDisc, PEERS_MAX, PeerDisc};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::PEER_CLEARANCE;
use crate::commitments;
use crate::config::CoordConfig;
use crate::coord_state::CoordState;
use crate::decide::Decider;
use crate::guidance::{Guidance, Obstacle, PrecedenceReason};
use crate::hazards::Hazards;
use crate::intent_publisher::IntentPublisher;
use crate::own_state::OwnState;
use crate::peers::{Heard, PeerTable, PeerView};

/// What the core is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Intent of a peer.
    Intent(Intent),
    /// Hazard reported by a peer.
    Hazard(Hazard),
    /// A peer came or went according to the mesh (its liveliness token).
    PeerAlive {
        /// Name of the peer.
        agent: AgentId,
        /// Whether it came.
        alive: bool,
    },
    /// State of the own robot.
    Own(OwnState),
    /// The own robot senses a hazard.
    HazardSeen {
        /// What it is.
        kind: HazardKind,
        /// Its centre, in the map's frame.
        position: Point,
        /// How far it reaches.
        radius: Meters,
    },
    /// A deadline came.
    Wake,
}

/// What the core wants done or recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To be sent to all peers.
    PublishIntent(Intent),
    /// To be sent to all peers at once.
    PublishHazard(Hazard),
    /// A peer appeared, or restarted.
    PeerSeen(AgentId),
    /// A peer left, or has been silent for [`crate::SILENCE_MAX`].
    PeerLost(AgentId),
    /// A peer promised to yield to this robot and advanced into its path.
    TrustViolation {
        /// Name of the peer.
        agent: AgentId,
        /// Distance it moved into the path it promised to clear.
        advanced: Meters,
        /// Trust that is left, 0 to 1.
        trust: f64,
    },
    /// This robot begins to yield to a peer.
    Yielding {
        /// Name of the peer.
        to: AgentId,
        /// What decided.
        reason: PrecedenceReason,
    },
    /// This robot no longer yields.
    Proceeding {
        /// The peer to which it yielded.
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

/// Coordination of one robot with its peers.
#[derive(Clone, Debug)]
pub struct Coord {
    config: CoordConfig,
    peers: PeerTable,
    hazards: Hazards,
    state: CoordState,
    publisher: IntentPublisher,
    outputs: VecDeque<Output>,
}

impl Coord {
    /// A robot that has not heard of any peer yet.
    #[must_use]
    pub fn new(config: CoordConfig) -> Self {
        Self {
            config,
            peers: PeerTable::default(),
            hazards: Hazards::default(),
            state: CoordState::new(),
            publisher: IntentPublisher::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Applies one input.
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        match input {
            Input::Intent(intent) => self.on_intent(now, intent),
            Input::Hazard(hazard) => {
                if hazard.reporter != self.config.id {
                    self.hazards.on_report(now, &hazard);
                }
            }
            Input::PeerAlive { agent, alive } => {
                if !alive {
                    self.on_peer_lost(now, &agent);
                }
            }
            Input::Own(own) => self.publisher.on_own_state(now, own),
            Input::HazardSeen { kind, position, radius } => self.on_hazard_seen(now, (kind, position, radius)),
            Input::Wake => {}
        }
        self.on_time(now);
    }

    /// Output that is still to be handled, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Latest time for the next [`Self::handle`], with [`Input::Wake`] if there is no other input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, TimerKind)> {
        let intent = self.publisher.next_publication().map(|at| (at, TimerKind::Intent));
        let silence = self.peers.next_silence().map(|at| (at, TimerKind::PeerSilence));
        let hazard = self.hazards.next_expiry().map(|at| (at, TimerKind::HazardExpiry));
        [intent, silence, hazard].into_iter().flatten().min()
    }

    /// What the robot may do about its peers: to be asked once every control cycle, after [`Input::Own`].
    pub fn guidance<M: Traversable>(&mut self, now: MonoTime, map: &M, own: &OwnState) -> Guidance {
        let before = self.state.yields_to().cloned();
        self.check_yield_commitments(now, own);
        let (config, peers, state) = (&self.config, &self.peers, &mut self.state);
        let guidance = Decider { now, map, config, own, peers, state }.run();
        self.report_yield_change(before);
        guidance
    }

    /// Peers that are there.
    pub fn peers(&self, now: MonoTime) -> impl Iterator<Item = PeerView> {
        self.peers.iter().map(move |(_, peer)| PeerView {
            intent: peer.intent.clone(),
            age: now.since(peer.heard_at),
            trust: peer.trust.share(now),
        })
    }

    /// Number of peers that are there.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peers.iter().count()
    }

    /// The nearest peers, for the reflex.
    #[must_use]
    pub fn surroundings_peers(&self, near: Point) -> [Option<PeerDisc>; PEERS_MAX] {
        nearest(self.peers.iter().map(|(_, peer)| {
            let disc = PeerDisc {
                position: peer.intent.pose.position,
                velocity: peer.intent.velocity,
                radius: peer.intent.radius,
                at: peer.heard_at,
            };
            (disc.position.distance(near) - disc.radius.0, disc)
        }))
    }

    /// The nearest hazards, for the reflex.
    #[must_use]
    pub fn surroundings_hazards(&self, now: MonoTime, near: Point) -> [Option<HazardDisc>; HAZARDS_MAX] {
        nearest(self.hazards.iter().filter(|known| known.valid_until > now).map(|known| {
            let disc = HazardDisc { position: known.position, radius: known.radius, valid_until: known.valid_until };
            (disc.position.distance(near) - disc.radius.0, disc)
        }))
    }

    /// Peers that do not move by themselves: stopped, broken, charging, or silent for a short while. A planner keeps
    /// the centre of its robot this far from them.
    pub fn obstacles(&self, now: MonoTime) -> impl Iterator<Item = Obstacle> {
        let still = self.peers.present_and_recently_lost(now).filter(|(_, _, mobile)| !mobile);
        still.map(|(_, peer, _)| Obstacle {
            position: peer.intent.pose.position,
            radius: Meters(self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE),
        })
    }

    fn on_intent(&mut self, now: MonoTime, intent: Intent) {
        let usable = intent.pose.is_finite() && intent.velocity.is_finite() && intent.radius.is_finite();
        if intent.sender == self.config.id || !usable {
            return;
        }
        let sender = intent.sender.clone();
        match self.peers.on_intent(now, intent) {
            Heard::Nothing | Heard::Known => {}
            Heard::New => {
                self.hazards.on_restart(&sender);
                self.outputs.push_back(Output::PeerSeen(sender));
            }
        }
    }

    fn on_peer_lost(&mut self, now: MonoTime, agent: &AgentId) {
        if self.peers.lose(now, agent) {
            self.outputs.push_back(Output::PeerLost(agent.clone()));
        }
    }

    fn on_hazard_seen(&mut self, now: MonoTime, seen: (HazardKind, Point, Meters)) {
        let wall = self.publisher.own().map(|own| own.wall).unwrap_or_default();
        let report = self.hazards.observe(now, seen, (&self.config.id, self.config.boot), wall);
        self.outputs.extend(report.map(Output::PublishHazard));
    }

    /// Does what time alone makes due.
    fn on_time(&mut self, now: MonoTime) {
        for agent in self.peers.silent(now) {
            self.on_peer_lost(now, &agent);
        }
        self.hazards.expire(now);
        let intent = self.publisher.poll(now, &self.config, &self.state);
        self.outputs.extend(intent.map(Output::PublishIntent));
    }

    fn check_yield_commitments(&mut self, now: MonoTime, own: &OwnState) {
        let path = self.state.path(own);
        let breaches = commitments::check(now, &mut self.peers, &path, &self.config);
        self.outputs.extend(breaches.into_iter().map(|breach| Output::TrustViolation {
            agent: breach.agent,
            advanced: Meters(breach.advanced),
            trust: breach.trust,
        }));
    }

    fn report_yield_change(&mut self, before: Option<(AgentId, PrecedenceReason)>) {
        let after = self.state.yields_to().cloned();
        if before.as_ref().map(|b| &b.0) == after.as_ref().map(|a| &a.0) {
            return;
        }
        match (before, after) {
            (_, Some((to, reason))) => self.outputs.push_back(Output::Yielding { to, reason }),
            (Some((after, _)), None) => self.outputs.push_back(Output::Proceeding { after }),
            (None, None) => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, intent};
    use proptest::prelude::*;
    use skein_types::coord::AgentState;
    use skein_types::geometry::Pose;
    use skein_types::ids::BootId;
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
    fn an_intent_goes_out_ten_times_a_second_while_the_own_state_is_fresh() {
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
    fn own_messages_and_nan_are_not_heard() {
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
