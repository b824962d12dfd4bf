//! STOP, KILL and release as commands, and the reconciliation of latches with each robot.

use serde_json::json;
use skein_types::authority::{LatchAction, LatchReport, LatchRequest, Principal};
use skein_types::event::EventKind;
use skein_types::fleet::AlarmSeverity;
use skein_types::ids::AgentId;
use skein_types::link::{CommandAck, CommandOutcome, Order};
use skein_types::safety::Latch;
use skein_types::time::MonoTime;

use crate::alarms::NewAlarm;
use crate::api::{Answer, Output, ReleaseCommand, RobotTargets};
use crate::commands::check_text;
use crate::latches::{is_plausible, scope_of};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// STOP or KILL. Needs no lease and is never refused for robots that are known. `sent`: the shell has sent it.
    pub(crate) fn stop(
        &mut self,
        now: MonoTime,
        targets: &RobotTargets,
        request: &LatchRequest,
        sent: bool,
    ) -> Result<Answer, Refusal> {
        check_text("reason", &request.reason)?;
        let (robots, unknown) = self.split_known(targets)?;
        if request.action == LatchAction::Kill && request.reason.trim().is_empty() {
            return Err(Refusal::Missing("reason"));
        }
        if self.latches.is_first(request.id) {
            let all = *targets == RobotTargets::All;
            let payload = json!({
                "all": all, "robots": names(targets), "why": request.reason, "by": request.by.to_string(),
                "request": request.id.to_string(),
            });
            self.out.emit_event(now, EventKind::Safety, request.action.name(), &payload);
            self.apply_to_targets(targets, &robots, request);
        }
        for agent in &robots {
            self.send_latch(now, agent, sent);
            self.mark_robot_changed(agent);
        }
        Ok(Answer::Latched { request: request.id, robots, unknown, settled: Vec::new() })
    }

    fn apply_to_targets(&mut self, targets: &RobotTargets, robots: &[AgentId], request: &LatchRequest) {
        let each: Vec<Option<&AgentId>> = match targets {
            RobotTargets::All => vec![None],
            RobotTargets::These(_) => robots.iter().map(Some).collect(),
        };
        for target in each {
            let request = LatchRequest { scope: scope_of(target), ..request.clone() };
            if self.latches.apply(target, &request).is_ok() {
                self.persist_latch(target);
            }
        }
    }

    /// Releases STOP or KILL: of named robots, or of the fleet and all robots. All of it or nothing.
    pub(crate) fn release(
        &mut self,
        now: MonoTime,
        by: &Principal,
        lease: Option<uuid::Uuid>,
        command: &ReleaseCommand,
    ) -> Result<Answer, Refusal> {
        check_text("reason", &command.reason)?;
        if by.name() == ANONYMOUS {
            return Err(Refusal::OperatorMissing);
        }
        let robots = self.resolve(&command.targets)?;
        let all = command.targets == RobotTargets::All;
        self.check_lease(now, lease, if all { &[] } else { &robots })?;
        if !all && self.latches.fleet().is_latched() {
            return Err(Refusal::FleetStopped { by: self.latches.fleet().by.clone() });
        }
        let releases = self.plan_release(by, command, &robots)?;
        let payload = json!({
            "all": all, "robots": names(&command.targets), "why": command.reason, "by": by.to_string(),
            "request": command.request.to_string(),
        });
        self.out.emit_event(now, EventKind::Safety, "release", &payload);
        for (target, request) in &releases {
            if self.latches.apply(target.as_ref(), request).is_ok() {
                self.persist_latch(target.as_ref());
            }
        }
        for agent in &robots {
            self.send_latch(now, agent, false);
            self.mark_robot_changed(agent);
        }
        let settled = robots.iter().filter(|agent| self.is_settled(agent)).cloned().collect();
        Ok(Answer::Latched { request: command.request, robots, unknown: Vec::new(), settled })
    }

    /// The release of each register that is meant. Where epochs are named, only the registers they are named for are: an
    /// operator who saw only the fleet's STOP must not undo that of a robot. Where none is named, every latched register
    /// of the targets is released in the epoch that is known.
    fn plan_release(
        &self,
        by: &Principal,
        command: &ReleaseCommand,
        robots: &[AgentId],
    ) -> Result<Vec<(Option<AgentId>, LatchRequest)>, Refusal> {
        let fleet = (command.targets == RobotTargets::All).then_some(None);
        let mut releases = Vec::new();
        for target in fleet.into_iter().chain(robots.iter().cloned().map(Some)) {
            let register = match &target {
                None => self.latches.fleet().clone(),
                Some(agent) => self.latches.of(agent).own,
            };
            let named = command.epochs.iter().find(|(robot, _)| *robot == target).map(|(_, epoch)| *epoch);
            if named.is_none() && !(command.epochs.is_empty() && register.is_latched()) {
                continue;
            }
            let request = LatchRequest {
                id: command.request,
                scope: scope_of(target.as_ref()),
                action: LatchAction::Release { epoch: named.unwrap_or(register.epoch) },
                reason: command.reason.clone(),
                by: by.clone(),
                at: command.at,
            };
            if let Err(refused) = self.latches.check(target.as_ref(), &request) {
                return Err(Refusal::Release { robot: target, refused });
            }
            releases.push((target, request));
        }
        Ok(releases)
    }

    /// The robot is connected and reports what it should.
    fn is_settled(&self, agent: &AgentId) -> bool {
        let reported = self
            .robots
            .get(agent)
            .filter(|robot| robot.presence.is_connected())
            .and_then(|robot| robot.latch.reported());
        reported.is_some_and(|report| self.latches.order_for(agent, Some(&report.latches)).is_none())
    }

    /// A robot reports its latches, in Hello or at a change.
    pub(crate) fn on_latch_report(&mut self, now: MonoTime, agent: &AgentId, report: LatchReport) {
        self.raise_term(now, report.term);
        let merged = self.latches.on_report(agent, &report.latches);
        self.check_plausible(now, agent, &report);
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let changed = robot.latch.on_report(report.clone());
        if merged.own {
            self.persist_latch(Some(agent));
        }
        if merged.fleet {
            self.persist_latch(None);
        }
        if changed {
            let held = report.latches.holding();
            let payload = json!({
                "robot": agent.as_str(), "latch": report.latches.level(), "by": held.by.to_string(),
                "why": held.reason, "kept": report.kept, "own_epoch": report.latches.own.epoch.0,
                "fleet_epoch": report.latches.fleet.epoch.0,
            });
            self.out.emit_event(now, EventKind::Safety, "latch_reported", &payload);
            self.check_kept(now, agent, &report);
            self.mark_robot_changed(agent);
        }
        if merged.fleet {
            self.send_fleet_latch(now);
        } else {
            self.send_latch(now, agent, false);
        }
        if changed && report.latches.level() == Latch::Released {
            self.reconcile_robot(now, agent);
        }
    }

    /// A register that could never be released again is not taken over, and is said.
    fn check_plausible(&mut self, now: MonoTime, agent: &AgentId, report: &LatchReport) {
        let id = format!("latch_implausible:{agent}");
        if is_plausible(&report.latches) {
            self.clear_alarm(now, &id);
            return;
        }
        self.raise_alarm(
            now,
            NewAlarm {
                id: &id,
                severity: AlarmSeverity::Critical,
                code: "latch_implausible",
                robot: Some(agent),
                text: format!(
                    "{agent} reports a latch in an epoch that cannot be: stop it by hand and look what it runs"
                ),
                lingers: None,
            },
        );
    }

    fn check_kept(&mut self, now: MonoTime, agent: &AgentId, report: &LatchReport) {
        let id = format!("latch_not_kept:{agent}");
        if report.kept || report.latches.level() == Latch::Released {
            self.clear_alarm(now, &id);
            return;
        }
        let text = format!(
            "{agent} is stopped but could not write it to its disk ({}): free space there before it restarts",
            report.error
        );
        self.raise_alarm(
            now,
            NewAlarm {
                id: &id,
                severity: AlarmSeverity::Critical,
                code: "latch_not_kept",
                robot: Some(agent),
                text,
                lingers: None,
            },
        );
    }

    /// The fleet's register changed: every robot with a stream gets it.
    fn send_fleet_latch(&mut self, now: MonoTime) {
        let connected: Vec<AgentId> = self.robots.connected().map(|robot| robot.id().clone()).collect();
        for agent in connected {
            self.send_latch(now, &agent, false);
        }
    }

    /// Sends a robot the latches it should have, while it reports others; the same command id while they are the same.
    pub(crate) fn send_latch(&mut self, now: MonoTime, agent: &AgentId, sent: bool) {
        let resend_after = self.config.resend_after;
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let reported = robot.latch.reported().map(|report| &report.latches);
        let order = self.latches.order_for(agent, reported);
        let Some(order) = order.filter(|_| robot.presence.is_connected()) else {
            robot.latch.forget_order();
            return;
        };
        let fresh = self.out.next_command();
        let Some(id) = robot.latch.due(now, resend_after, &order, fresh, sent) else { return };
        let command = self.out.command(id, robot.generation(), Order::Latch(order));
        self.out.act(Output::Send { agent: agent.clone(), command });
    }

    /// `true` when the answer was to a latch order.
    pub(crate) fn on_latch_ack(&mut self, now: MonoTime, agent: &AgentId, ack: &CommandAck) -> bool {
        let done = matches!(ack.outcome, CommandOutcome::Accepted | CommandOutcome::Done);
        if done && self.latches.on_ack(agent, ack.command) {
            self.persist_latch(Some(agent));
        }
        let Some(robot) = self.robots.get_mut(agent) else { return false };
        if !robot.latch.is_sending(ack.command) {
            return false;
        }
        let payload = json!({
            "robot": agent.as_str(), "command": ack.command.to_string(), "outcome": &ack.outcome,
        });
        self.out.emit_event(now, EventKind::Command, "command_acknowledged", &payload);
        self.mark_robot_changed(agent);
        true
    }

    pub(crate) fn persist_latch(&mut self, target: Option<&AgentId>) {
        let record = self.latches.record(target);
        self.out.persist(Record::Latch(Box::new(record)));
    }

    /// The robots of a STOP that are known, and those that are not. A name that is wrong must not keep the others from
    /// being stopped.
    fn split_known(&self, targets: &RobotTargets) -> Result<(Vec<AgentId>, Vec<AgentId>), Refusal> {
        let RobotTargets::These(named) = targets else { return Ok((self.resolve(targets)?, Vec::new())) };
        let (known, unknown): (Vec<_>, Vec<_>) = named.iter().cloned().partition(|robot| self.robots.knows(robot));
        match unknown.first() {
            Some(first) if known.is_empty() => Err(Refusal::UnknownRobot(first.clone())),
            None if known.is_empty() => Err(Refusal::Missing("robots")),
            Some(_) | None => Ok((known, unknown)),
        }
    }

    /// All targets of a request; each must be known.
    fn resolve(&self, targets: &RobotTargets) -> Result<Vec<AgentId>, Refusal> {
        match targets {
            RobotTargets::All => Ok(self.robots.keys().cloned().collect()),
            RobotTargets::These(named) if named.is_empty() => Err(Refusal::Missing("robots")),
            RobotTargets::These(named) => match named.iter().find(|robot| !self.robots.knows(robot)) {
                Some(unknown) => Err(Refusal::UnknownRobot(unknown.clone())),
                None => Ok(named.clone()),
            },
        }
    }
}

/// The name of an operator who gave none.
pub(crate) const ANONYMOUS: &str = "anonymous";

fn names(targets: &RobotTargets) -> Vec<&str> {
    match targets {
        RobotTargets::All => Vec::new(),
        RobotTargets::These(named) => named.iter().map(AgentId::as_str).collect(),
    }
}
