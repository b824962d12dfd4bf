//! Missions come in: checked, previewed, kept, paused, resumed and cancelled.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, MissionId};
use skein_types::link::Order;
use skein_types::mission::{
    Mission as MissionView, MissionSpec, MissionState, Objective, Preview, PreviewSlice, TEXT_BYTES_MAX, Verdict,
    VerdictLevel,
};
use skein_types::polygon::Polygon;
use skein_types::region::Region;
use skein_types::units::{Meters, Percent, Seconds};
use uuid::Uuid;

use crate::api::{Answer, At, Worker};
use crate::mission::{Mission, Wanted};
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;
use crate::terrain::Ground;

/// Share of its top speed that a robot makes on average in a sweep, turns and doors included.
pub(crate) const CRUISE: f64 = 0.6;
/// What a robot draws while it works, watts: a figure for estimates only.
const WORKING_POWER: f64 = 40.0;
/// Most ended missions that are kept in memory.
const ENDED_MAX: usize = 500;

impl Supervisor {
    /// What would happen, before anything moves. Nothing is stored.
    ///
    /// # Errors
    /// [`Refusal`] when the mission would not be accepted.
    pub fn preview(&self, now: At, spec: &MissionSpec) -> Result<Preview, Refusal> {
        let ground = self.check(spec)?;
        let workers = self.workers_for(now, spec);
        let mut verdicts = self.zone_verdicts(spec, &ground);
        if workers.is_empty() {
            verdicts.push(verdict(
                VerdictLevel::Warning,
                "no_robots",
                "no robot is free for it now: it would wait in the queue",
            ));
        }
        let mut slices = match spec.objective {
            Objective::Survey => self.survey_slices(&ground.reachable, &workers),
            Objective::Guard => self.guard_slices(spec, &ground.reachable, &workers),
            Objective::Search | Objective::Patrol | Objective::Deliver => Vec::new(),
        };
        slices.retain(|slice| !slice.region.is_empty() || !slice.path.is_empty());
        for slice in &slices {
            verdicts.extend(self.energy_verdict(slice));
        }
        let area = ground.reachable.area();
        let longest = slices.iter().map(|slice| slice.duration.0).fold(0.0, f64::max);
        Ok(Preview {
            area,
            unreachable_area: (ground.free - area).max(0.0),
            slices,
            duration: Seconds(longest),
            verdicts,
        })
    }

    /// The mission as people see it.
    ///
    /// # Errors
    /// [`Refusal::UnknownMission`].
    pub fn mission(&self, id: MissionId) -> Result<MissionView, Refusal> {
        self.missions.get(&id).map(Mission::view).ok_or(Refusal::UnknownMission(id))
    }

    /// All missions, newest first.
    pub fn missions(&self) -> impl Iterator<Item = MissionView> {
        self.missions.values().rev().map(Mission::view)
    }

    /// Accepts what can be done and says why of what cannot.
    fn check(&self, spec: &MissionSpec) -> Result<Ground, Refusal> {
        match spec.objective {
            Objective::Survey | Objective::Guard => {}
            Objective::Search | Objective::Patrol | Objective::Deliver => {
                return Err(Refusal::Objective(spec.objective));
            }
        }
        check_text("name", &spec.name)?;
        if let Some(unknown) = spec.robots.iter().find(|robot| !self.robots.contains_key(robot)) {
            return Err(Refusal::UnknownRobot(unknown.clone()));
        }
        self.check_bounds(&spec.zone)?;
        let ground = self.ground(&spec.zone, &spec.robots);
        match ground {
            Some(ground) if !ground.reachable.is_empty() => Ok(ground),
            Some(ground) => Err(Refusal::NothingReachable { free: ground.free }),
            None => Err(Refusal::NothingReachable { free: 0.0 }),
        }
    }

    /// The zone on the map, as far as the robots that may take part can cover it.
    pub(crate) fn ground(&self, zone: &Polygon, robots: &[AgentId]) -> Option<Ground> {
        let may = |agent: &AgentId| robots.is_empty() || robots.contains(agent);
        let places: Vec<_> = self
            .robots
            .values()
            .filter(|robot| may(&robot.known.agent) && !robot.wrong_map)
            .filter_map(crate::fleet::Robot::position)
            .collect();
        // The frames are the same, so nothing can fail but a zone ragged beyond all bounds.
        self.terrain.ground(zone, &places).ok()
    }

    fn check_bounds(&self, zone: &Polygon) -> Result<(), Refusal> {
        let ((low, high), (min, max)) = (zone.bounds(), self.terrain.bounds());
        if low.x < max.x && high.x > min.x && low.y < max.y && high.y > min.y {
            return Ok(());
        }
        Err(Refusal::ZoneOutsideMap {
            zone_x: (low.x, high.x),
            zone_y: (low.y, high.y),
            map_x: (min.x, max.x),
            map_y: (min.y, max.y),
        })
    }

    pub(crate) fn submit(
        &mut self,
        now: At,
        lease: Option<Uuid>,
        id: MissionId,
        key: String,
        spec: MissionSpec,
    ) -> Result<Answer, Refusal> {
        check_text("idempotency_key", &key)?;
        if let Some(known) = self.keys.get(&key).and_then(|id| self.missions.get(id)) {
            if known.spec == spec {
                return Ok(Answer::Mission(Box::new(known.view())));
            }
            return Err(Refusal::KeyReused { key, mission: known.id });
        }
        let refused = self.allowed(now, lease, &spec.robots).and_then(|()| self.check(&spec));
        let ground = match refused {
            Ok(ground) => ground,
            Err(refusal) => {
                let payload = json!({"name": spec.name, "code": refusal.code(), "why": refusal.to_string()});
                self.note(now, EventKind::Decision, "mission_refused", &payload);
                return Err(refusal);
            }
        };
        let open = self.missions.values().filter(|mission| !mission.state().is_terminal()).count();
        if open >= self.config.missions_max {
            return Err(Refusal::TooManyMissions(open));
        }
        self.forget_ended();
        let wall = self.wall_now(now);
        if !key.is_empty() {
            self.keys.insert(key.clone(), id);
        }
        let nothing = self.terrain.empty().map_err(|_| Refusal::NothingReachable { free: ground.free })?;
        let wanted = Wanted { id, key, spec, area: ground.reachable };
        self.missions.insert(id, Mission::queued(wanted, nothing, now, wall));
        self.enter(now, id, MissionState::Queued, "waits for robots");
        self.start_if_possible(now, id);
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    /// Drops the oldest ended missions from memory; the record keeps them.
    fn forget_ended(&mut self) {
        let ended: Vec<MissionId> =
            self.missions.values().filter(|mission| mission.state().is_terminal()).map(|mission| mission.id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            if let Some(mission) = self.missions.remove(id) {
                self.keys.remove(&mission.key);
            }
        }
    }

    pub(crate) fn pause(&mut self, now: At, lease: Option<Uuid>, id: MissionId) -> Result<Answer, Refusal> {
        let robots = self.controllable(now, lease, id)?;
        if self.state_of(id)? == MissionState::Paused {
            return Ok(Answer::Mission(Box::new(self.mission(id)?)));
        }
        self.change(now, id, MissionState::Paused, "paused by a person", "paused")?;
        for agent in robots {
            self.command(now, &agent, Order::Pause(id));
        }
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    pub(crate) fn resume(&mut self, now: At, lease: Option<Uuid>, id: MissionId) -> Result<Answer, Refusal> {
        let robots = self.controllable(now, lease, id)?;
        let mission = self.missions.get(&id).ok_or(Refusal::UnknownMission(id))?;
        let Some(back) = mission.paused_from() else {
            return Err(Refusal::State { mission: id, state: mission.state(), wish: "resumed" });
        };
        self.change(now, id, back, "resumed by a person", "resumed")?;
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.moved_at = now;
            mission.parts.values_mut().for_each(|part| part.moved_at = now);
        }
        for agent in robots {
            self.command(now, &agent, Order::Resume(id));
            self.reconcile(now, &agent);
        }
        self.start_if_possible(now, id);
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    pub(crate) fn cancel(
        &mut self,
        now: At,
        lease: Option<Uuid>,
        id: MissionId,
        reason: &str,
    ) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        self.controllable(now, lease, id)?;
        let why = if reason.is_empty() { "cancelled by a person" } else { reason };
        if self.state_of(id)? == MissionState::Cancelled {
            return Ok(Answer::Mission(Box::new(self.mission(id)?)));
        }
        self.change(now, id, MissionState::Cancelled, why, "cancelled")?;
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    fn state_of(&self, id: MissionId) -> Result<MissionState, Refusal> {
        self.missions.get(&id).map(Mission::state).ok_or(Refusal::UnknownMission(id))
    }

    /// The robots at work on a mission, if nobody else has control of them.
    fn controllable(&self, now: At, lease: Option<Uuid>, id: MissionId) -> Result<Vec<AgentId>, Refusal> {
        let mission = self.missions.get(&id).ok_or(Refusal::UnknownMission(id))?;
        let robots: Vec<AgentId> = mission.open_parts().map(|(agent, _)| agent.clone()).collect();
        if !robots.is_empty() {
            self.allowed(now, lease, &robots)?;
        }
        Ok(robots)
    }

    fn change(
        &mut self,
        now: At,
        id: MissionId,
        to: MissionState,
        why: &str,
        wish: &'static str,
    ) -> Result<(), Refusal> {
        if self.enter(now, id, to, why) {
            return Ok(());
        }
        Err(Refusal::State { mission: id, state: self.state_of(id)?, wish })
    }

    /// Robots that could begin a mission now.
    pub(crate) fn workers_for(&self, now: At, spec: &MissionSpec) -> Vec<Worker> {
        let may = |agent: &AgentId| spec.robots.is_empty() || spec.robots.contains(agent);
        let free = self.robots.values().filter(|robot| may(&robot.known.agent) && self.is_free(now, robot));
        free.map(|robot| robot.worker(0.0)).collect()
    }

    fn zone_verdicts(&self, spec: &MissionSpec, ground: &Ground) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let ((low, high), (min, max)) = (spec.zone.bounds(), self.terrain.bounds());
        if low.x < min.x || low.y < min.y || high.x > max.x || high.y > max.y {
            verdicts.push(verdict(VerdictLevel::Warning, "zone_leaves_map", "part of the zone lies outside the map"));
        }
        let unreachable = ground.free - ground.reachable.area();
        if unreachable > 0.01 * ground.free {
            let text = format!("{unreachable:.1} m² of the zone's free area cannot be reached");
            verdicts.push(verdict(VerdictLevel::Info, "partly_unreachable", &text));
        }
        verdicts
    }

    fn survey_slices(&self, area: &Region, workers: &[Worker]) -> Vec<PreviewSlice> {
        let Ok((regions, _)) = self.terrain.allot(area, workers) else { return Vec::new() };
        let slice = |(worker, region): (&Worker, Region)| {
            let tour = self.terrain.tour(&region, worker.at, worker.sweep_range);
            let duration = Seconds(tour.length.0 / (worker.speed.0 * CRUISE).max(0.01));
            PreviewSlice {
                agent: worker.agent.clone(),
                path: core::iter::once(worker.at).chain(tour.viewpoints).collect(),
                distance: tour.length,
                duration,
                energy: self.energy(&worker.agent, duration),
                reason: format!("{:.0} m², the cell nearest to it by what it can do", region.area()),
                region,
            }
        };
        workers.iter().zip(regions).map(slice).collect()
    }

    fn guard_slices(&self, spec: &MissionSpec, area: &Region, workers: &[Worker]) -> Vec<PreviewSlice> {
        let posts = self.terrain.spread(area, spec.robots.len().max(1));
        let Ok(nothing) = self.terrain.empty() else { return Vec::new() };
        let mut left: Vec<&Worker> = workers.iter().collect();
        let mut slices = Vec::new();
        for post in posts {
            let way = |worker: &&Worker| worker.at.distance(post);
            let nearest = left.iter().enumerate().min_by(|a, b| way(a.1).total_cmp(&way(b.1))).map(|(i, _)| i);
            let Some(worker) = nearest.map(|index| left.remove(index)) else { break };
            let distance = Meters(self.terrain.way(worker.at, post).unwrap_or(0.0));
            let duration = Seconds(distance.0 / (worker.speed.0 * CRUISE).max(0.01));
            slices.push(PreviewSlice {
                agent: worker.agent.clone(),
                region: nothing.clone(),
                path: vec![worker.at, post],
                distance,
                duration,
                energy: self.energy(&worker.agent, duration),
                reason: "nearest to the place".to_owned(),
            });
        }
        slices
    }

    /// Charge that some time of work costs, at [`WORKING_POWER`].
    fn energy(&self, agent: &AgentId, duration: Seconds) -> Percent {
        let capacity = self.robots.get(agent).map_or(f64::INFINITY, |robot| robot.known.body.battery_capacity.0);
        Percent(100.0 * WORKING_POWER * duration.0 / 3600.0 / capacity)
    }

    fn energy_verdict(&self, slice: &PreviewSlice) -> Option<Verdict> {
        let charge = self.robots.get(&slice.agent)?.telemetry.as_ref()?.battery;
        let left = charge.0 - slice.energy.0;
        (left < self.config.battery_min.0).then(|| {
            let text =
                format!("{} has {:.0} % and would end with {left:.0} %: it will have to charge", slice.agent, charge.0);
            verdict(VerdictLevel::Warning, "low_charge", &text)
        })
    }
}

fn verdict(level: VerdictLevel, code: &str, text: &str) -> Verdict {
    Verdict { level, code: code.to_owned(), text: text.to_owned() }
}

/// Free text is short.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::TextTooLong { field, bytes: text.len() });
    }
    Ok(())
}
