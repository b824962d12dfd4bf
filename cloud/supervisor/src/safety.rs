//! STOP, KILL and release: latched in the robot, acknowledged one by one.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, CommandId};
use skein_types::link::Order;

use crate::api::{Answer, At, Record, Whom};
use crate::intake::check_text;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Halts robots until a person releases them. Needs no lease.
    pub(crate) fn stop(&mut self, now: At, whom: &Whom, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        let robots = self.whom(whom)?;
        if *whom == Whom::All {
            self.stop_all = Some(reason.to_owned());
            self.keep(Record::StopAll(self.stop_all.clone()));
        }
        self.note(now, EventKind::Safety, "stop", &json!({"all": *whom == Whom::All, "why": reason}));
        Ok(self.command_each(now, robots, &Order::Stop(reason.to_owned())))
    }

    /// Cuts the power of one robot. Needs no lease, but a reason.
    pub(crate) fn kill(&mut self, now: At, robot: &AgentId, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        if reason.trim().is_empty() {
            return Err(Refusal::Missing("reason"));
        }
        let robots = self.whom(&Whom::These(vec![robot.clone()]))?;
        self.note(now, EventKind::Safety, "kill", &json!({"robot": robot.as_str(), "why": reason}));
        Ok(self.command_each(now, robots, &Order::Kill(reason.to_owned())))
    }

    /// Releases STOP or KILL.
    pub(crate) fn release(&mut self, now: At, whom: &Whom, reason: &str) -> Result<Answer, Refusal> {
        check_text("reason", reason)?;
        let robots = self.whom(whom)?;
        if *whom == Whom::All && self.stop_all.take().is_some() {
            self.keep(Record::StopAll(None));
        }
        self.note(now, EventKind::Safety, "release", &json!({"all": *whom == Whom::All, "why": reason}));
        Ok(self.command_each(now, robots, &Order::Release(reason.to_owned())))
    }

    fn command_each(&mut self, now: At, robots: Vec<AgentId>, order: &Order) -> Answer {
        let mut commands: Vec<(AgentId, CommandId)> = Vec::new();
        for agent in robots {
            if let Some(id) = self.command(now, &agent, order.clone()) {
                self.touch_robot(&agent);
                commands.push((agent, id));
            }
        }
        Answer::Commands(commands)
    }

    fn whom(&self, whom: &Whom) -> Result<Vec<AgentId>, Refusal> {
        match whom {
            Whom::All => Ok(self.robots.keys().cloned().collect()),
            Whom::These(named) if named.is_empty() => Err(Refusal::Missing("robots")),
            Whom::These(named) => match named.iter().find(|robot| !self.robots.contains_key(robot)) {
                Some(unknown) => Err(Refusal::UnknownRobot(unknown.clone())),
                None => Ok(named.clone()),
            },
        }
    }
}
