//! What the robot tells about itself: telemetry, progress, the reasons for what it does, and the whole status.

use std::time::Duration;

use skein_types::link::AgentReport;
use skein_types::mission::{SliceProgress, SliceState};
use skein_types::safety::{Causes, Latch};
use skein_types::telemetry::{AgentTelemetry, OperatingMode, TELEMETRY_BATCH, TelemetryBatch};
use skein_types::time::MonoTime;
use skein_types::units::{Percent, Seconds};

use crate::agent::Agent;
use crate::io::Output;
use crate::mission::{Task, Work};
use crate::status::{
    AgentStatus, BlockedPlace, EVIDENCE_SHOWN_MAX, FailsafeStatus, HazardStatus, MissionStatus, PeerStatus, PlanStatus,
    Reason, ReflexStatus, WorldStatus,
};

/// Progress is reported this often while an order is in hand.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Average speed over a survey used for the estimated time, m/s.
const USUAL_SPEED: f64 = 0.55;

impl Agent {
    /// One sample of telemetry; every tenth sends a batch.
    pub(crate) fn sample(&mut self, now: MonoTime) {
        let Some(frame) = self.sensed.frame() else { return };
        let sample = AgentTelemetry {
            agent: self.config.id.clone(),
            at: self.record.wall(now),
            sequence: self.sampler.sequence,
            pose: self.sensed.pose().unwrap_or(frame.estimate.pose),
            position_std: frame.estimate.position_std,
            twist: frame.twist,
            battery: frame.battery.charge,
            mode: self.mode(),
            state: self.narrator.state,
            failsafe: self.all_causes().level().max(self.reflex.level),
            causes: self.all_causes(),
            mission: self.working_on().map(|(mission, _)| mission),
            link: self.link,
            peers_visible: u32::try_from(self.coord.peer_count()).unwrap_or(u32::MAX),
            reflex: self.reflex_stats,
            why: self.narrator.why.clone(),
        };
        self.sampler.sequence += 1;
        self.sampler.samples.push(sample);
        if self.sampler.samples.len() >= TELEMETRY_BATCH {
            let samples = std::mem::take(&mut self.sampler.samples);
            self.outputs.push_back(Output::Report(AgentReport::Telemetry(TelemetryBatch { samples })));
        }
    }

    fn all_causes(&self) -> Causes {
        self.reflex.causes.union(self.causes())
    }

    fn mode(&self) -> OperatingMode {
        if self.latch != Latch::Released {
            OperatingMode::Intervened
        } else if self.manual.is_some() {
            OperatingMode::Manual
        } else if self.sensed.pose().is_none() {
            OperatingMode::Startup
        } else {
            OperatingMode::Automatic
        }
    }

    /// Once a second, and at once when the state changed.
    pub(crate) fn report_progress(&mut self, now: MonoTime) {
        let Some(work) = self.work.take() else { return };
        let at_once = self.progress.next_at == MonoTime::ZERO;
        if now >= self.progress.next_at && (at_once || !work.state().is_terminal()) {
            self.progress.next_at = now + PROGRESS_EVERY;
            self.report_work(now, &work);
        }
        self.work = Some(work);
    }

    /// One report of an order.
    pub(crate) fn report_work(&mut self, _now: MonoTime, work: &Work) {
        let (covered, remaining) = match &work.task {
            Task::Survey(survey) => {
                let changed = self.progress.sent != Some(survey.version()) || work.state().is_terminal();
                let remaining = if changed { survey.unseen() } else { None };
                self.progress.sent = Some(survey.version());
                (survey.covered(), remaining)
            }
            Task::GoTo { .. } | Task::Return | Task::Charge => {
                (if work.state() == SliceState::Done { 100.0 } else { 0.0 }, None)
            }
        };
        let progress = SliceProgress {
            mission: work.mission,
            generation: work.generation,
            state: work.state(),
            reason: work.reason().to_owned(),
            covered: Percent(covered),
            remaining,
            eta: self.eta(work).map(Seconds),
        };
        self.outputs.push_back(Output::Report(AgentReport::Progress(progress)));
    }

    /// Seconds to the end of the order, by the length of what is planned.
    fn eta(&self, work: &Work) -> Option<f64> {
        if work.state().is_terminal() {
            return None;
        }
        let mut at = self.pose()?.position;
        let mut length = 0.0;
        match &work.task {
            Task::Survey(survey) => {
                for viewpoint in survey.viewpoints() {
                    length += at.distance(*viewpoint);
                    at = *viewpoint;
                }
            }
            Task::GoTo { .. } | Task::Return | Task::Charge => {
                length = self.navigator.route().length() - self.navigator.route().along();
            }
        }
        Some(length / USUAL_SPEED)
    }

    /// Everything an engineer may ask, at the moment `now`.
    #[must_use]
    pub fn status(&self, now: MonoTime) -> AgentStatus {
        let frame = self.sensed.frame();
        AgentStatus {
            agent: self.config.id.clone(),
            fleet: self.config.fleet.clone(),
            boot: self.config.boot,
            mode: self.mode(),
            state: self.narrator.state,
            why: self.narrator.why.clone(),
            reasons: self
                .narrator
                .past
                .iter()
                .map(|(at, why)| Reason { age: now.secs_since(*at), why: why.clone() })
                .collect(),
            latch: self.latch,
            pose: self.pose().unwrap_or(self.config.home),
            position_std: frame.map_or(0.0, |frame| frame.estimate.position_std.get()),
            twist: frame.map(|frame| frame.twist).unwrap_or_default(),
            battery: self.sensed.battery().charge.get(),
            charging: self.sensed.battery().charging,
            mission: self.work.as_ref().map(|work| self.mission_status(work)),
            failsafe: FailsafeStatus {
                level: self.all_causes().level().max(self.reflex.level),
                causes: self.all_causes().iter().collect(),
            },
            link: self.link,
            plan: self.plan_status(),
            world: self.world_status(now),
            peers: self.peer_status(now),
            reflex: ReflexStatus {
                clear_distance: Some(self.reflex.clear_distance.get()).filter(|d| d.is_finite()),
                stop_distance: self.reflex.stop_distance.get(),
                speed_allowed: self.reflex.speed_allowed.get(),
                stats: self.reflex_stats,
            },
            counters: self.counters,
        }
    }

    fn square_area(&self) -> f64 {
        self.config.map.frame().resolution.powi(2)
    }

    fn mission_status(&self, work: &Work) -> MissionStatus {
        let square = self.square_area();
        let (covered, area, remaining, given_up) = match &work.task {
            Task::Survey(survey) => (
                survey.covered(),
                survey.total() as f64 * square,
                survey.left() as f64 * square,
                survey.lost() as f64 * square,
            ),
            Task::GoTo { .. } | Task::Return | Task::Charge => (0.0, 0.0, 0.0, 0.0),
        };
        MissionStatus {
            mission: work.mission,
            generation: work.generation,
            task: work.task.name().to_owned(),
            state: work.state(),
            reason: work.reason().to_owned(),
            covered,
            area,
            remaining,
            given_up,
        }
    }

    fn plan_status(&self) -> PlanStatus {
        let route = self.navigator.route();
        let viewpoints = match &self.work {
            Some(Work { task: Task::Survey(survey), .. }) => survey.viewpoints().iter().copied().collect(),
            _ => self.navigator.passes().to_vec(),
        };
        PlanStatus {
            path: route.points_ahead(64, f64::INFINITY),
            length: route.length() - route.along(),
            viewpoints,
            eta: self.work.as_ref().and_then(|work| self.eta(work)),
        }
    }

    fn world_status(&self, now: MonoTime) -> WorldStatus {
        let frame = self.config.map.frame();
        let near = self.pose().map_or(self.config.home.position, |pose| pose.position);
        let swept = match &self.work {
            Some(Work { task: Task::Survey(survey), .. }) => survey.seen(),
            _ => self.memory.as_ref().map_or(0, |(_, memory)| memory.seen()),
        };
        WorldStatus {
            obstacles: self
                .evidence
                .obstacles()
                .take(EVIDENCE_SHOWN_MAX)
                .map(|square| frame.center_of(square))
                .collect(),
            blocked: self
                .navigator
                .blocked()
                .iter()
                .filter(|blocked| blocked.until > now)
                .map(|blocked| BlockedPlace {
                    at: blocked.at,
                    radius: blocked.radius,
                    expires_in: blocked.until.secs_since(now),
                    reason: blocked.reason.to_owned(),
                })
                .collect(),
            hazards: self
                .coord
                .surroundings_hazards(now, near)
                .iter()
                .flatten()
                .map(|hazard| HazardStatus {
                    position: hazard.position,
                    radius: hazard.radius.get(),
                    expires_in: hazard.valid_until.secs_since(now),
                })
                .collect(),
            consistency: self.evidence.consistency(),
            swept: swept as f64 * self.square_area(),
        }
    }

    fn peer_status(&self, now: MonoTime) -> Vec<PeerStatus> {
        let here = self.pose().map_or(self.config.home.position, |pose| pose.position);
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
