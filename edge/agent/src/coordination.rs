//! The agent's side of the coordination with its peers: feeds [`Coord`] and turns its outputs into the agent's.

use serde_json::json;
use skein_coord::{Coord, CoordConfig, Guidance, Input, OwnState};
use skein_space::planning::PlanningMap;
use skein_types::coord::{HazardKind, MapHazard};
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::safety::{HAZARDS_MAX, HazardDisc, PEERS_MAX, PeerDisc};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::config::AgentConfig;
use crate::io::Output;
use crate::localization::hazard_check::ReportedObstacle;
use crate::localization::obstacle_layer::{ObstacleLayer, PeerMask};
use crate::navigation::layered_grid::LayeredGrid;
use crate::navigation::planner::{CircularKeepout, KeepoutSource};
use crate::reporting::Reporting;
use crate::status::{HazardStatus, PeerStatus};

/// Lidar hits within a peer's footprint plus this are not evidence, metres.
const PEER_MASK_MARGIN: f64 = 0.30;
/// Peers beyond this distance need no mask: the obstacle layer uses no beam that long, metres.
const PEER_MASK_RANGE: f64 = 8.0;
/// A peer's position is extrapolated by its velocity for at most this, seconds.
const EXTRAPOLATION_MAX: f64 = 0.5;
/// Radius of a reported cliff, metres.
const CLIFF_RADIUS: f64 = 0.2;

/// Most obstacles that this robot keeps on the shared map at once.
const OWN_OBSTACLES_MAX: usize = 8;
/// Lidar evidence within the radius of an obstacle of the shared map plus this is that obstacle, metres.
const SEEN_WITHIN: f64 = 0.15;

/// The coordination core of this robot.
#[derive(Clone, Debug)]
pub(crate) struct Coordination {
    coord: Coord,
    own: AgentId,
    /// Positions of obstacles of the shared map that the own lidar sees: what it sees is more exact than a disc.
    seen: Vec<Point>,
}

impl Coordination {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        let (id, boot, radius) = (config.id.clone(), config.boot, config.descriptor.radius);
        Self { own: id.clone(), coord: Coord::new(CoordConfig { id, boot, radius }), seen: Vec::new() }
    }

    /// One mutation of the core; its outputs go to `reporting`.
    pub(crate) fn step_coordinator(&mut self, now: MonoTime, input: Input, reporting: &mut Reporting) {
        self.coord.handle(now, input);
        self.drain(now, reporting);
    }

    /// Names of the peers that are heard.
    pub(crate) fn peer_names(&self, now: MonoTime) -> impl Iterator<Item = AgentId> {
        self.coord.peers(now).map(|peer| peer.intent.sender)
    }

    /// Runs the timers that are due.
    pub(crate) fn on_time(&mut self, now: MonoTime, reporting: &mut Reporting) {
        if self.next_deadline().is_some_and(|at| at <= now) {
            self.step_coordinator(now, Input::Wake, reporting);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        self.coord.next_deadline().map(|(at, _)| at)
    }

    /// The core's decision for this cycle: go, hold or move aside.
    pub(crate) fn guidance(
        &mut self,
        now: MonoTime,
        own: &OwnState,
        costmap: &LayeredGrid,
        reporting: &mut Reporting,
    ) -> Guidance {
        let guidance = self.coord.guidance(now, costmap, own);
        self.drain(now, reporting);
        guidance
    }

    /// Reports missing floor at these points to all peers.
    pub(crate) fn report_cliffs(&mut self, now: MonoTime, cliffs: &[Point], reporting: &mut Reporting) {
        for &position in cliffs {
            let seen = Input::HazardSeen { kind: HazardKind::Cliff, position, radius: Meters(CLIFF_RADIUS) };
            self.step_coordinator(now, seen, reporting);
        }
    }

    /// The obstacles of the shared hazard map.
    pub(crate) fn reported_obstacles(&self) -> impl Iterator<Item = ReportedObstacle> {
        let present = self.coord.map_hazards().filter(|entry| is_present_obstacle(entry));
        present.map(|hazard| ReportedObstacle { position: hazard.position, radius: hazard.radius.get() })
    }

    /// This robot's lidar found obstacles of the shared map gone: clears them for the whole fleet.
    pub(crate) fn clear_obstacles(&mut self, now: MonoTime, gone: &[ReportedObstacle], reporting: &mut Reporting) {
        for obstacle in gone {
            let gone = Input::HazardGone { kind: HazardKind::Obstacle, position: obstacle.position };
            self.step_coordinator(now, gone, reporting);
        }
    }

    /// Reports obstacles to the whole fleet; what the shared map has already is not reported again.
    pub(crate) fn report_obstacles(&mut self, now: MonoTime, still: &[ReportedObstacle], reporting: &mut Reporting) {
        for place in still {
            let is_same =
                |entry: &MapHazard| is_present_obstacle(entry) && entry.is_at(HazardKind::Obstacle, place.position);
            let is_known = self.coord.map_hazards().any(is_same);
            if !is_known && self.own_obstacles().count() < OWN_OBSTACLES_MAX {
                let (kind, radius) = (HazardKind::Obstacle, Meters(place.radius));
                let seen = Input::HazardSeen { kind, position: place.position, radius };
                self.step_coordinator(now, seen, reporting);
            }
        }
    }

    /// Obstacles that this robot reported and that a peer stands on: they were the peer, before it was heard.
    pub(crate) fn own_obstacles_taken_by(&self, masks: &[PeerMask]) -> Vec<ReportedObstacle> {
        let is_taken = |place: &ReportedObstacle| {
            masks.iter().any(|mask| mask.at.distance(place.position) < mask.radius - PEER_MASK_MARGIN)
        };
        self.own_obstacles().filter(is_taken).collect()
    }

    /// Notes which obstacles of the shared map the own lidar sees.
    pub(crate) fn note_seen(&mut self, map: &PlanningMap, layer: &ObstacleLayer) {
        let present = self.coord.map_hazards().filter(|entry| is_present_obstacle(entry));
        let seen = present.filter(|entry| layer.is_seen_at(map, entry.position, entry.radius.get() + SEEN_WITHIN));
        self.seen = seen.map(|entry| entry.position).collect();
    }

    fn own_obstacles(&self) -> impl Iterator<Item = ReportedObstacle> {
        let own = self.coord.map_hazards().filter(|entry| is_present_obstacle(entry) && entry.reporter == self.own);
        own.map(|entry| ReportedObstacle { position: entry.position, radius: entry.radius.get() })
    }

    fn drain(&mut self, now: MonoTime, reporting: &mut Reporting) {
        while let Some(output) = self.coord.poll_output() {
            match output {
                skein_coord::Output::PublishIntent(intent) => reporting.emit(Output::PublishIntent(intent)),
                skein_coord::Output::PublishHazard(hazard) => {
                    let payload = json!({ "kind": hazard.kind, "position": hazard.position });
                    reporting.emit_event(now, EventKind::Safety, "hazard_reported", &payload);
                    reporting.emit(Output::PublishHazard(hazard));
                }
                skein_coord::Output::PublishMapHazard(entry) => reporting.emit(Output::PublishMapHazard(entry)),
                skein_coord::Output::MapHazard(entry) => {
                    let payload = json!({
                        "kind": entry.kind, "position": entry.position, "by": entry.reporter, "cleared": entry.cleared
                    });
                    reporting.emit_event(now, EventKind::Safety, "hazard_map_changed", &payload);
                    reporting.emit(Output::MapHazard(entry));
                }
                skein_coord::Output::IdentityConflict { agent, boot } => {
                    let payload = json!({ "peer": agent, "boot": boot });
                    reporting.emit_event(now, EventKind::Safety, "identity_conflict", &payload);
                }
                skein_coord::Output::PeerSeen(peer) => {
                    reporting.emit_event(now, EventKind::System, "peer_seen", &json!({ "peer": peer }));
                }
                skein_coord::Output::PeerLost(peer) => {
                    reporting.emit_event(now, EventKind::System, "peer_lost", &json!({ "peer": peer }));
                }
                skein_coord::Output::TrustViolation { agent, advanced, trust } => {
                    let payload = json!({ "peer": agent, "advanced_m": advanced, "trust": trust });
                    reporting.emit_event(now, EventKind::Safety, "trust_violation", &payload);
                }
                skein_coord::Output::Yielding { to, reason } => {
                    reporting.counters_mut().yields += 1;
                    let payload = json!({ "to": to, "because": reason });
                    reporting.emit_event(now, EventKind::Decision, "yield_started", &payload);
                }
                skein_coord::Output::Proceeding { after } => {
                    reporting.emit_event(now, EventKind::Decision, "yield_ended", &json!({ "to": after }));
                }
            }
        }
    }

    /// The nearest peers, for the reflex.
    pub(crate) fn surroundings_peers(&self, near: Point) -> [Option<PeerDisc>; PEERS_MAX] {
        self.coord.surroundings_peers(near)
    }

    /// The nearest hazards, for the reflex. Obstacles that the own lidar sees are none: the reflex has the same lidar.
    pub(crate) fn surroundings_hazards(&self, now: MonoTime, near: Point) -> [Option<HazardDisc>; HAZARDS_MAX] {
        let hazards = self.coord.surroundings_hazards(now, near);
        hazards.map(|disc| disc.filter(|disc| !self.seen.contains(&disc.position)))
    }

    /// Whether a hazard that is not fully believed is near a position.
    pub(crate) fn doubtful_hazard_near(&self, now: MonoTime, position: Point) -> bool {
        self.coord.doubtful_hazard_near(now, position)
    }

    pub(crate) fn peer_count(&self) -> usize {
        self.coord.peer_count()
    }

    /// Circles in which lidar hits are peers, near a position.
    pub(crate) fn peer_masks(&self, now: MonoTime, near: Point) -> Vec<PeerMask> {
        let masks = self.coord.peers(now).map(|peer| {
            let ahead = peer.age.as_secs_f64().min(EXTRAPOLATION_MAX);
            let at = peer.intent.pose.position + peer.intent.velocity * ahead;
            PeerMask { at, radius: peer.intent.radius.get() + PEER_MASK_MARGIN }
        });
        masks.filter(|mask| mask.at.distance(near) < PEER_MASK_RANGE).collect()
    }

    pub(crate) fn hazard_status(&self, now: MonoTime, near: Point) -> Vec<HazardStatus> {
        let hazards = self.coord.surroundings_hazards(now, near);
        let status = hazards.iter().flatten().map(|hazard| HazardStatus {
            position: hazard.position,
            radius: hazard.radius.get(),
            expires_in: hazard.valid_until.secs_since(now),
        });
        status.collect()
    }

    pub(crate) fn peer_status(&self, now: MonoTime, here: Point) -> Vec<PeerStatus> {
        let peers = self.coord.peers(now).map(|peer| PeerStatus {
            position: peer.intent.pose.position,
            velocity: peer.intent.velocity,
            state: peer.intent.state,
            yields_to: peer.intent.yields_to.clone(),
            cornered: peer.intent.cornered,
            age: peer.age.as_secs_f64(),
            trust: peer.trust,
            distance: peer.intent.pose.position.distance(here),
            agent: peer.intent.sender,
        });
        peers.collect()
    }
}

fn is_present_obstacle(entry: &MapHazard) -> bool {
    entry.kind == HazardKind::Obstacle && !entry.cleared
}

impl KeepoutSource for Coordination {
    fn keepouts(&self, now: MonoTime, own: Point) -> Vec<CircularKeepout> {
        let peers = self.coord.obstacles(now).map(|o| CircularKeepout { at: o.position, radius: o.radius.get() });
        let hazards = self.coord.keepouts(now, own).filter(|keepout| !self.seen.contains(&keepout.position));
        let hazards = hazards.map(|keepout| CircularKeepout { at: keepout.position, radius: keepout.radius.get() });
        peers.chain(hazards).collect()
    }
}
