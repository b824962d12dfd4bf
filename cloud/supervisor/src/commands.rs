//! What operators and programs ask for: checked, executed, answered.

use serde_json::json;
use skein_types::authority::Principal;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, MissionId};
use skein_types::link::Order;
use skein_types::mission::{Mission as MissionView, MissionSpec, MissionState, Objective, TEXT_BYTES_MAX};
use skein_types::polygon::Polygon;
use skein_types::time::MonoTime;
use uuid::Uuid;

use crate::allocation::ZoneCells;
use crate::api::{Answer, OperatorCommand, OperatorRequest, StorageState};
use crate::leases::NewLease;
use crate::mission::{Mission, NewMission};
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

/// Who commands, and under which lease.
#[derive(Clone, Copy)]
pub(crate) struct Authority<'a> {
    by: &'a Principal,
    lease: Option<Uuid>,
}

impl Supervisor {
    /// Executes a request.
    pub(crate) fn on_request(&mut self, now: MonoTime, request: OperatorRequest) -> Result<Answer, Refusal> {
        let OperatorRequest { by, lease, command } = request;
        let under = Authority { by: &by, lease };
        match command {
            OperatorCommand::Submit { id, key, spec } => self.submit(now, under, id, key, spec),
            OperatorCommand::Pause(mission) => self.pause(now, under, mission),
            OperatorCommand::Resume(mission) => self.resume(now, under, mission),
            OperatorCommand::Cancel { mission, reason } => self.cancel(now, under, mission, &reason),
            OperatorCommand::Stop { targets, request, sent } => self.stop(now, &targets, &request, sent),
            OperatorCommand::Release(release) => self.release(now, &by, lease, &release),
            OperatorCommand::TakeLease { id, operator, robots, time_to_live } => {
                self.take_lease(now, &by, NewLease { id, operator, robots, time_to_live })
            }
            OperatorCommand::RenewLease { id, time_to_live } => self.renew_lease(now, &by, id, time_to_live),
            OperatorCommand::ReleaseLease(id) => self.release_lease(now, &by, id),
        }
    }

    /// The mission as people see it.
    ///
    /// # Errors
    /// [`Refusal::UnknownMission`].
    pub fn mission(&self, id: MissionId) -> Result<MissionView, Refusal> {
        self.missions.get(id).map(Mission::view).ok_or(Refusal::UnknownMission(id))
    }

    /// All missions, newest first.
    pub fn missions(&self) -> impl Iterator<Item = MissionView> {
        self.missions.values().rev().map(Mission::view)
    }

    /// The cells of a mission that can be done, or why it cannot.
    pub(crate) fn check(&self, spec: &MissionSpec) -> Result<ZoneCells, Refusal> {
        match spec.objective {
            Objective::Survey | Objective::Guard => {}
            Objective::Search | Objective::Patrol | Objective::Deliver => {
                return Err(Refusal::Objective(spec.objective));
            }
        }
        check_text("name", &spec.name)?;
        if let Some(unknown) = spec.robots.iter().find(|robot| !self.robots.knows(robot)) {
            return Err(Refusal::UnknownRobot(unknown.clone()));
        }
        self.check_bounds(&spec.zone)?;
        let zone = self.zone_cells(&spec.zone, &spec.robots);
        match zone {
            Some(zone) if !zone.reachable.is_empty() => Ok(zone),
            Some(zone) => Err(Refusal::NothingReachable { free: zone.free }),
            None => Err(Refusal::NothingReachable { free: 0.0 }),
        }
    }

    /// The zone on the map, as far as the robots that may take part can cover it.
    pub(crate) fn zone_cells(&self, zone: &Polygon, robots: &[AgentId]) -> Option<ZoneCells> {
        let may = |agent: &AgentId| robots.is_empty() || robots.contains(agent);
        let places: Vec<_> = self
            .robots
            .values()
            .filter(|robot| may(robot.id()) && !robot.presence.has_wrong_map())
            .filter_map(crate::robot::Robot::position)
            .collect();
        // The frames are the same, so nothing can fail but a zone ragged beyond all bounds.
        let cells = self.allocator.zone_cells(zone, &places).ok()?;
        let reachable = self.without_hazards(&cells.reachable).ok()?;
        Some(ZoneCells { reachable, ..cells })
    }

    fn check_bounds(&self, zone: &Polygon) -> Result<(), Refusal> {
        let ((low, high), (min, max)) = (zone.bounds(), self.allocator.bounds());
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
        now: MonoTime,
        under: Authority<'_>,
        id: MissionId,
        key: String,
        spec: MissionSpec,
    ) -> Result<Answer, Refusal> {
        check_text("idempotency_key", &key)?;
        if let Some(known) = self.missions.with_key(&key) {
            if *known.spec() == spec {
                return Ok(Answer::Mission(Box::new(known.view())));
            }
            return Err(Refusal::KeyReused { key, mission: known.id() });
        }
        let refused = self
            .check_storage()
            .and_then(|()| self.check_lease(now, under.lease, &spec.robots))
            .and_then(|()| self.check(&spec));
        let zone = match refused {
            Ok(zone) => zone,
            Err(refusal) => {
                let payload = json!({"name": spec.name, "code": refusal.code(), "why": refusal.to_string(), "by": under.by.to_string()});
                self.out.emit_event(now, EventKind::Decision, "mission_refused", &payload);
                return Err(refusal);
            }
        };
        let open = self.missions.open().count();
        if open >= self.config.missions_max {
            return Err(Refusal::TooManyMissions(open));
        }
        self.missions.forget_ended();
        let wall = self.out.wall_now(now);
        let nothing = self.allocator.empty().map_err(|_| Refusal::NothingReachable { free: zone.free })?;
        let new = NewMission { id, key, spec, area: zone.reachable, nothing };
        self.missions.insert(Mission::new(new, now, wall));
        self.emit_command(now, "mission_submitted", id, under.by, "");
        self.enter(now, id, MissionState::Queued, "waits for robots");
        self.try_start(now, id);
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    pub(crate) fn pause(&mut self, now: MonoTime, under: Authority<'_>, id: MissionId) -> Result<Answer, Refusal> {
        let robots = self.controllable(now, under.lease, id)?;
        if self.state_of(id)? == MissionState::Paused {
            return Ok(Answer::Mission(Box::new(self.mission(id)?)));
        }
        self.change(now, id, MissionState::Paused, &format!("paused by {}", under.by), "paused")?;
        self.emit_command(now, "mission_paused", id, under.by, "");
        for agent in robots {
            self.send_order(now, &agent, Order::Pause(id));
        }
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    pub(crate) fn resume(&mut self, now: MonoTime, under: Authority<'_>, id: MissionId) -> Result<Answer, Refusal> {
        let robots = self.controllable(now, under.lease, id)?;
        let mission = self.missions.get(id).ok_or(Refusal::UnknownMission(id))?;
        let Some(back) = mission.paused_from() else {
            return Err(Refusal::State { mission: id, state: mission.state(), attempt: "resumed" });
        };
        self.change(now, id, back, &format!("resumed by {}", under.by), "resumed")?;
        self.emit_command(now, "mission_resumed", id, under.by, "");
        if let Some(mission) = self.missions.get_mut(id) {
            mission.restart_timers(now);
        }
        for agent in robots {
            self.send_order(now, &agent, Order::Resume(id));
            self.reconcile_robot(now, &agent);
        }
        self.try_start(now, id);
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    pub(crate) fn cancel(
        &mut self,
        now: MonoTime,
        under: Authority<'_>,
        id: MissionId,
        reason: &str,
    ) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        self.controllable(now, under.lease, id)?;
        let cancelled = format!("cancelled by {}", under.by);
        let why = if reason.is_empty() { &cancelled } else { reason };
        if self.state_of(id)? == MissionState::Cancelled {
            return Ok(Answer::Mission(Box::new(self.mission(id)?)));
        }
        self.change(now, id, MissionState::Cancelled, why, "cancelled")?;
        self.emit_command(now, "mission_cancelled", id, under.by, reason);
        Ok(Answer::Mission(Box::new(self.mission(id)?)))
    }

    /// Who commanded what of a mission.
    fn emit_command(&mut self, now: MonoTime, name: &str, id: MissionId, by: &Principal, why: &str) {
        let payload = json!({"mission": id.to_string(), "by": by.to_string(), "why": why});
        self.out.emit_event(now, EventKind::Command, name, &payload);
    }

    /// A mission that could be forgotten is not accepted.
    fn check_storage(&self) -> Result<(), Refusal> {
        match &self.storage {
            StorageState::Healthy => Ok(()),
            StorageState::Failing(why) => Err(Refusal::StorageFailing(why.clone())),
        }
    }

    fn state_of(&self, id: MissionId) -> Result<MissionState, Refusal> {
        self.missions.get(id).map(Mission::state).ok_or(Refusal::UnknownMission(id))
    }

    /// The robots at work on a mission, if no other operator has control of them.
    fn controllable(&self, now: MonoTime, lease: Option<Uuid>, id: MissionId) -> Result<Vec<AgentId>, Refusal> {
        let mission = self.missions.get(id).ok_or(Refusal::UnknownMission(id))?;
        let robots: Vec<AgentId> = mission.area().open_slices().map(|(agent, _)| agent.clone()).collect();
        if !robots.is_empty() {
            self.check_lease(now, lease, &robots)?;
        }
        Ok(robots)
    }

    fn change(
        &mut self,
        now: MonoTime,
        id: MissionId,
        to: MissionState,
        why: &str,
        attempt: &'static str,
    ) -> Result<(), Refusal> {
        if self.enter(now, id, to, why) {
            return Ok(());
        }
        Err(Refusal::State { mission: id, state: self.state_of(id)?, attempt })
    }
}

/// Free text is short.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::TextTooLong { field, bytes: text.len() });
    }
    Ok(())
}
