//! The core: applies each input to the part of the state that it concerns, and says when it wants to be woken.

use std::collections::VecDeque;

use skein_space::planning::Traversable;
use skein_types::coord::{Hazard, HazardKind, Intent, MapHazard};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::safety::{HAZARDS_MAX, HazardDisc, PEERS_MAX, PeerDisc};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

use crate::PEER_CLEARANCE;
use crate::commitments;
use crate::config::CoordConfig;
use crate::coord_state::CoordState;
use crate::decide::Decider;
use crate::guidance::{Guidance, Obstacle, PrecedenceReason};
use crate::hazard_map::{HazardMap, Observation, Sender};
use crate::hazard_view::HazardView;
use crate::hazards::Hazards;
use crate::intent_publisher::IntentPublisher;
use crate::messages::{Input, Output, TimerKind};
use crate::own_state::OwnState;
use crate::peer::{Peer, PeerView};
use crate::peers::{Heard, Observer, PeerTable, Silenced};
use crate::sight::Sight;

/// Distance that planned paths keep from the rim of a hazard, beyond the own radius, metres.
const KEEPOUT_MARGIN: f64 = 0.1;
/// A robot that stands within a keepout may come no nearer to its centre than this less than it is, metres.
const LEAVES_FROM: f64 = 0.05;
/// A robot whose centre is this near to a static hazard drives over it: it is not there, metres.
const DRIVES_OVER: f64 = 0.1;

/// Coordination of one robot with its peers.
#[derive(Clone, Debug)]
pub struct Coord {
    config: CoordConfig,
    peers: PeerTable,
    hazards: Hazards,
    map: HazardMap,
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
            map: HazardMap::default(),
            state: CoordState::new(),
            publisher: IntentPublisher::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Applies one input.
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        match input {
            Input::Intent(intent) => self.on_intent(now, intent, Sight::Unknown),
            Input::SightedIntent { intent, sight } => self.on_intent(now, intent, sight),
            Input::Hazard(hazard) => self.on_hazard(now, &hazard),
            Input::MapHazard { from, entry } => self.on_map_hazard(now, &from, &entry),
            Input::MapHazards(entries) => {
                let here = self.position();
                self.map.on_supervisor_entries(&entries, here);
            }
            Input::PeerAlive { agent, alive } => {
                if !alive {
                    self.on_peer_lost(now, &agent);
                }
            }
            Input::Own(own) => self.on_own_state(now, own),
            Input::HazardSeen { kind, position, radius } => self.on_hazard_seen(now, (kind, position, radius)),
            Input::HazardGone { kind, position } => self.on_hazard_gone(kind, position),
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
        let announced = self.publisher.own().and_then(|_| self.map.next_announcement());
        let map = announced.map(|at| (at, TimerKind::MapAnnouncement));
        [intent, silence, hazard, map].into_iter().flatten().min()
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

    /// The nearest positions at which peers may be, for the reflex.
    #[must_use]
    pub fn surroundings_peers(&self, near: Point) -> [Option<PeerDisc>; PEERS_MAX] {
        nearest(self.peers.sightings().map(|peer| {
            let disc = PeerDisc {
                position: peer.position(),
                velocity: peer.intent.velocity,
                radius: peer.intent.radius,
                at: peer.measured_at,
            };
            (disc.position.distance(near) - disc.radius.0, disc)
        }))
    }

    /// The nearest hazards, for the reflex.
    #[must_use]
    pub fn surroundings_hazards(&self, now: MonoTime, near: Point) -> [Option<HazardDisc>; HAZARDS_MAX] {
        nearest(self.hazard_view(now).believed().map(|disc| (disc.position.distance(near) - disc.radius.0, disc)))
    }

    /// Hazards to plan around, those of the shared map included. A planner keeps the centre of its robot this far from
    /// them. A robot that is nearer already gets a radius that lets it leave.
    pub fn keepouts(&self, now: MonoTime, own: Point) -> impl Iterator<Item = Obstacle> {
        self.hazard_view(now).believed().map(move |disc| {
            let wanted = self.config.radius.0 + disc.radius.0 + KEEPOUT_MARGIN;
            let possible = (own.distance(disc.position) - LEAVES_FROM).max(0.0);
            Obstacle { position: disc.position, radius: Meters(wanted.min(possible)) }
        })
    }

    /// Whether a hazard that is not fully believed is near a position: its reporter is distrusted, or was too far away
    /// to have sensed it. Then the robot has to drive slowly.
    #[must_use]
    pub fn doubtful_hazard_near(&self, now: MonoTime, position: Point) -> bool {
        self.hazard_view(now).is_doubtful_near(position)
    }

    /// All entries of the shared hazard map, cleared ones included.
    pub fn map_hazards(&self) -> impl Iterator<Item = &MapHazard> {
        self.map.iter()
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

    fn hazard_view(&self, now: MonoTime) -> HazardView<'_> {
        HazardView { now, peers: &self.peers, live: &self.hazards, map: &self.map }
    }

    fn position(&self) -> Option<Point> {
        self.publisher.own().map(|own| own.pose.position)
    }

    fn wall(&self) -> WallTime {
        self.publisher.own().map(|own| own.wall).unwrap_or_default()
    }

    fn on_intent(&mut self, now: MonoTime, intent: Intent, sight: Sight) {
        if intent.sender == self.config.id {
            return;
        }
        let (agent, boot) = (intent.sender.clone(), intent.boot);
        let observer = Observer { position: self.position(), wall: self.wall(), sight };
        match self.peers.on_intent(now, &observer, intent) {
            Heard::Nothing | Heard::Known | Heard::Rival { report: false } => {}
            Heard::Rival { report: true } => self.outputs.push_back(Output::IdentityConflict { agent, boot }),
            Heard::New { given_up } => {
                self.outputs.extend(given_up.map(Output::PeerLost));
                self.outputs.push_back(Output::PeerSeen(agent));
            }
        }
    }

    fn on_peer_lost(&mut self, now: MonoTime, agent: &AgentId) {
        match self.peers.lose(now, agent) {
            Silenced::NotThere => {}
            Silenced::Lost => self.outputs.push_back(Output::PeerLost(agent.clone())),
            Silenced::Replaced => self.outputs.push_back(Output::PeerSeen(agent.clone())),
        }
    }

    fn on_own_state(&mut self, now: MonoTime, own: OwnState) {
        let position = own.pose.position;
        self.publisher.on_own_state(now, own);
        let radius = self.config.radius.0;
        let here =
            |entry: &&MapHazard| !entry.cleared && entry.position.distance(position) < drives_over(entry, radius);
        let driven_over: Vec<_> = self.map.iter().filter(here).map(|entry| (entry.kind, entry.position)).collect();
        for (kind, position) in driven_over {
            if !self.hazards.is_sensed(&self.config.id, kind, position) {
                self.on_hazard_gone(kind, position);
            }
        }
    }

    fn on_hazard(&mut self, now: MonoTime, hazard: &Hazard) {
        let here = self.position();
        let reporter = self.peers.get(&hazard.reporter);
        let (reporter_at, trusted) = (reporter.map(Peer::position), self.peers.trusts(now, &hazard.reporter));
        let is_inside = here.is_some_and(|here| here.distance(hazard.position) < self.config.radius.0 / 2.0);
        if hazard.reporter == self.config.id || is_inside {
            return;
        }
        let accepted = self.hazards.on_report(now, hazard, reporter_at, here);
        if accepted && trusted && reporter_at.is_some() && hazard.kind.is_static() {
            let seen = Observation {
                kind: hazard.kind,
                position: hazard.position,
                radius: hazard.radius,
                reporter: &hazard.reporter,
                boot: hazard.boot,
                seen_at: hazard.seen_at,
            };
            self.outputs.extend(self.map.on_reported(&seen, here).map(Output::MapHazard));
        }
    }

    fn on_map_hazard(&mut self, now: MonoTime, from: &AgentId, entry: &MapHazard) {
        if *from == self.config.id {
            return;
        }
        let here = self.position();
        let position = self.peers.get(from).map(Peer::position);
        let sender = Sender { agent: from, position, trusted: self.peers.trusts(now, from) };
        self.outputs.extend(self.map.on_entry(now, &sender, entry, here).map(Output::MapHazard));
    }

    fn on_hazard_seen(&mut self, now: MonoTime, seen: (HazardKind, Point, Meters)) {
        let wall = self.wall();
        let report = self.hazards.observe(now, seen, &self.config, wall);
        self.outputs.extend(report.map(Output::PublishHazard));
        let (kind, position, radius) = seen;
        if kind.is_static() && position.is_finite() && radius.is_finite() {
            let here = self.position();
            let changed = self.map.on_sensed(&observation(&self.config, wall, (kind, position, radius)), here);
            self.on_map_change(changed);
        }
    }

    fn on_hazard_gone(&mut self, kind: HazardKind, position: Point) {
        let seen = observation(&self.config, self.wall(), (kind, position, Meters::ZERO));
        let changed = self.map.on_seen_free(&seen);
        self.on_map_change(changed);
    }

    fn on_map_change(&mut self, changed: Option<MapHazard>) {
        if let Some(entry) = changed {
            self.outputs.push_back(Output::PublishMapHazard(entry.clone()));
            self.outputs.push_back(Output::MapHazard(entry));
        }
    }

    /// Does what time alone makes due.
    fn on_time(&mut self, now: MonoTime) {
        for agent in self.peers.silent(now) {
            self.on_peer_lost(now, &agent);
        }
        self.hazards.expire(now);
        if self.publisher.own().is_some() {
            self.outputs.extend(self.map.announcement(now).map(Output::PublishMapHazard));
        }
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

/// A static hazard nearer to the robot's centre than this is not there, metres: what stands does so beside the footprint.
fn drives_over(entry: &MapHazard, radius: f64) -> f64 {
    match entry.kind {
        HazardKind::Obstacle => radius.max(DRIVES_OVER),
        HazardKind::Cliff | HazardKind::Person | HazardKind::Breakdown => DRIVES_OVER,
    }
}

/// What the own robot senses.
fn observation(
    config: &CoordConfig,
    seen_at: WallTime,
    (kind, position, radius): (HazardKind, Point, Meters),
) -> Observation<'_> {
    Observation { kind, position, radius, reporter: &config.id, boot: config.boot, seen_at }
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
    use core::time::Duration;
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
            pose_age: Duration::ZERO,
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

    fn cliff_of(name: &str, sequence: u64, x: f64) -> Hazard {
        Hazard {
            reporter: AgentId::new(name).unwrap(),
            boot: BootId(uuid::Uuid::from_u128(1)),
            sequence,
            kind: HazardKind::Cliff,
            position: Point::new(x, 0.0),
            radius: Meters(0.2),
            time_to_live: Duration::from_secs(3),
            age: Duration::ZERO,
            seen_at: WallTime::default(),
        }
    }

    fn map_changes(outputs: &[Output]) -> Vec<(bool, u64)> {
        let change = |output: &Output| match output {
            Output::MapHazard(entry) => Some((entry.cleared, entry.sequence)),
            _ => None,
        };
        outputs.iter().filter_map(change).collect()
    }

    #[test]
    fn a_cliff_of_a_peer_is_planned_around_until_it_is_seen_gone() {
        let mut coord = coord();
        coord.handle(at(0), Input::Own(own(0.0)));
        coord.handle(at(0), Input::Intent(intent("b", 1, 1)));
        coord.handle(at(0), Input::Hazard(cliff_of("b", 1, 2.0)));
        assert_eq!(map_changes(&drain(&mut coord)), [(false, 1)]);
        for second in 1..600 {
            coord.handle(at(second * 1000), Input::Own(own(0.0)));
            assert_eq!(map_changes(&drain(&mut coord)), []);
            let near = coord.keepouts(at(second * 1000), Point::default()).map(|keepout| keepout.position.x);
            assert_eq!(near.collect::<Vec<_>>(), [2.0]);
            assert!(coord.surroundings_hazards(at(second * 1000), Point::default())[0].is_some());
        }
        coord.handle(at(600_000), Input::HazardGone { kind: HazardKind::Cliff, position: Point::new(2.1, 0.0) });
        let outputs = drain(&mut coord);
        assert_eq!(map_changes(&outputs), [(true, 2)]);
        assert!(outputs.iter().any(|output| matches!(output, Output::PublishMapHazard(entry) if entry.cleared)));
        assert_eq!(coord.keepouts(at(600_000), Point::default()).count(), 0);
    }

    #[test]
    fn a_late_joiner_learns_of_a_cliff_whose_reporter_is_gone() {
        let (mut knows, mut joins) = (coord(), coord());
        joins.config.id = AgentId::new("late").unwrap();
        knows.handle(at(0), Input::Own(own(0.0)));
        knows.handle(at(0), Input::Intent(intent("b", 1, 1)));
        knows.handle(at(0), Input::Hazard(cliff_of("b", 1, 2.0)));
        for tick in 400..440 {
            knows.handle(at(tick * 50), Input::Own(own(0.0)));
            for output in drain(&mut knows) {
                if let Output::PublishMapHazard(entry) = output {
                    joins.handle(at(tick * 50), Input::MapHazard { from: AgentId::new("me").unwrap(), entry });
                }
            }
        }
        assert_eq!(joins.map_hazards().map(|entry| entry.reporter.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_robot_that_drives_over_a_reported_cliff_clears_it() {
        let mut coord = coord();
        coord.handle(at(0), Input::Own(own(0.0)));
        coord.handle(at(0), Input::Intent(intent("b", 1, 1)));
        coord.handle(at(0), Input::Hazard(cliff_of("b", 1, 2.0)));
        coord.handle(at(5000), Input::Own(own(1.95)));
        assert_eq!(map_changes(&drain(&mut coord)), [(false, 1), (true, 2)]);
    }

    #[test]
    fn a_robot_clears_an_obstacle_that_is_where_its_footprint_is() {
        for (x, cleared) in [(0.2, true), (0.3, false)] {
            let mut coord = coord();
            let obstacle = Hazard { kind: HazardKind::Obstacle, ..cliff_of("b", 1, x) };
            coord.handle(at(0), Input::Own(own(-2.0)));
            coord.handle(at(0), Input::Intent(intent("b", 1, 1)));
            coord.handle(at(0), Input::Hazard(obstacle));
            coord.handle(at(5000), Input::Own(own(0.0)));
            let gone = map_changes(&drain(&mut coord)).contains(&(true, 2));
            assert_eq!(gone, cleared, "{x} m from its centre");
        }
    }

    #[test]
    fn a_robot_beside_a_cliff_may_leave_and_not_approach() {
        let mut coord = coord();
        let seen = Input::HazardSeen { kind: HazardKind::Cliff, position: Point::new(0.25, 0.0), radius: Meters(0.2) };
        coord.handle(at(0), Input::Own(own(0.0)));
        coord.handle(at(0), seen);
        let radius = coord.keepouts(at(0), Point::default()).next().unwrap().radius.0;
        assert!((0.15..0.25).contains(&radius), "{radius}");
        let from_afar = coord.keepouts(at(0), Point::new(-2.0, 0.0)).next().unwrap().radius.0;
        assert!((from_afar - 0.55).abs() < 1e-9);
    }

    #[test]
    fn hazards_of_a_distrusted_peer_only_slow() {
        let mut coord = coord();
        coord.handle(at(0), Input::Own(own(0.0)));
        for i in 0..8 {
            coord.handle(at(i * 100), Input::Intent(intent("b", 1, i)));
            let mut other = intent("b", 2, i);
            other.pose.position.x = 30.0;
            coord.handle(at(i * 100), Input::Intent(other));
        }
        let conflict = |output: &Output| matches!(output, Output::IdentityConflict { .. });
        assert_eq!(drain(&mut coord).iter().filter(|output| conflict(output)).count(), 1);
        coord.handle(at(800), Input::Hazard(cliff_of("b", 1, 2.0)));
        assert_eq!(coord.surroundings_hazards(at(800), Point::default()).iter().flatten().count(), 0);
        assert_eq!(coord.keepouts(at(800), Point::default()).count(), 0);
        assert!(coord.doubtful_hazard_near(at(800), Point::default()));
        assert!(!coord.doubtful_hazard_near(at(800), Point::new(20.0, 0.0)));
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
