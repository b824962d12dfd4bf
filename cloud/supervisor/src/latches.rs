//! STOP, KILL and release: latched in the robot, acknowledged one by one.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, CommandId};
use skein_types::link::Order;
use skein_types::time::MonoTime;

use crate::api::{Answer, RobotTargets};
use crate::commands::check_text;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Halts robots until an operator releases them. Needs no lease.
    pub(crate) fn stop(&mut self, now: MonoTime, targets: &RobotTargets, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        let robots = self.resolve(targets)?;
        let all = *targets == RobotTargets::All;
        if all {
            self.stop_all = Some(reason.to_owned());
            self.out.persist(Record::StopAll(self.stop_all.clone()));
        }
        self.out.emit_event(now, EventKind::Safety, "stop", &json!({"all": all, "why": reason}));
        Ok(self.order_each(now, robots, &Order::Stop(reason.to_owned())))
    }

    /// Cuts the power of one robot. Needs no lease, but a reason.
    pub(crate) fn kill(&mut self, now: MonoTime, robot: &AgentId, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        if reason.trim().is_empty() {
            return Err(Refusal::Missing("reason"));
        }
        let robots = self.resolve(&RobotTargets::These(vec![robot.clone()]))?;
        self.out.emit_event(now, EventKind::Safety, "kill", &json!({"robot": robot.as_str(), "why": reason}));
        Ok(self.order_each(now, robots, &Order::Kill(reason.to_owned())))
    }

    /// Releases STOP or KILL.
    pub(crate) fn release(&mut self, now: MonoTime, targets: &RobotTargets, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        let robots = self.resolve(targets)?;
        let all = *targets == RobotTargets::All;
        if all && self.stop_all.take().is_some() {
            self.out.persist(Record::StopAll(None));
        }
        self.out.emit_event(now, EventKind::Safety, "release", &json!({"all": all, "why": reason}));
        Ok(self.order_each(now, robots, &Order::Release(reason.to_owned())))
    }

    fn order_each(&mut self, now: MonoTime, robots: Vec<AgentId>, order: &Order) -> Answer {
        let mut commands: Vec<(AgentId, CommandId)> = Vec::new();
        for agent in robots {
            if let Some(id) = self.send_order(now, &agent, order.clone()) {
                self.mark_robot_changed(&agent);
                commands.push((agent, id));
            }
        }
        Answer::Commands(commands)
    }

    fn resolve(&self, targets: &RobotTargets) -> Result<Vec<AgentId>, Refusal> {
        match targets {
            RobotTargets::All => Ok(self.robots.keys().cloned().collect()),
            RobotTargets::These(named) if named.is_empty() => Err(Refusal::Missing("robots")),
            RobotTargets::These(named) => match named.iter().find(|robot| !self.robots.contains_key(robot)) {
                Some(unknown) => Err(Refusal::UnknownRobot(unknown.clone())),
                None => Ok(named.clone()),
            },
        }
    }
}
