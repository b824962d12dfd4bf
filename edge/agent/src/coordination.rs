//! The agent's side of the coordination with its peers: feeds [`Coord`] and turns its outputs into the agent's.

use serde_json::json;
use skein_coord::{Coord, CoordConfig, Guidance, Input, OwnState};
use skein_types::coord::HazardKind;
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::safety::{HAZARDS_MAX, HazardDisc, PEERS_MAX, PeerDisc};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::config::AgentConfig;
use crate::io::Output;
use crate::localization::hazard_check::ReportedObstacle;
use crate::localization::obstacle_layer::PeerMask;
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

/// The coordination core of this robot.
#[derive(Clone, Debug)]
pub(crate) struct Coordination {
    coord: Coord,
}

impl Coordination {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        let (id, boot, radius) = (config.id.clone(), config.boot, config.descriptor.radius);
        Self { coord: Coord::new(CoordConfig { id, boot, radius }) }
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
        let present = self.coord.map_hazards().filter(|hazard| hazard.kind == HazardKind::Obstacle && !hazard.cleared);
        present.map(|hazard| ReportedObstacle { position: hazard.position, radius: hazard.radius.get() })
    }

    /// This robot's lidar found obstacles of the shared map gone: clears them for the whole fleet.
    pub(crate) fn clear_obstacles(&mut self, now: MonoTime, gone: &[ReportedObstacle], reporting: &mut Reporting) {
        for obstacle in gone {
            let gone = Input::HazardGone { kind: HazardKind::Obstacle, position: obstacle.position };
            self.step_coordinator(now, gone, reporting);
        }
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

    /// The nearest hazards, for the reflex.
    pub(crate) fn surroundings_hazards(&self, now: MonoTime, near: Point) -> [Option<HazardDisc>; HAZARDS_MAX] {
        self.coord.surroundings_hazards(now, near)
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

impl KeepoutSource for Coordination {
    fn keepouts(&self, now: MonoTime, own: Point) -> Vec<CircularKeepout> {
        let peers = self.coord.obstacles(now).map(|o| CircularKeepout { at: o.position, radius: o.radius.get() });
        let hazards = self.coord.keepouts(now, own);
        let hazards = hazards.map(|keepout| CircularKeepout { at: keepout.position, radius: keepout.radius.get() });
        peers.chain(hazards).collect()
    }
}
