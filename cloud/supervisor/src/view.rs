//! The fleet as people see it.

use skein_types::authority::Term;
use skein_types::fleet::{FleetView, RobotView};
use skein_types::ids::AgentId;

use skein_types::time::MonoTime;

use crate::mission::Mission;
use crate::refusal::Refusal;
use crate::robot::Robot;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// The whole fleet, with the age of each robot's last report.
    #[must_use]
    pub fn fleet_view(&self, now: MonoTime) -> FleetView {
        self.changes(now, 0)
    }

    /// What changed after a revision; its own `sequence` is the revision to ask with the next time.
    #[must_use]
    pub fn changes(&self, now: MonoTime, since: u64) -> FleetView {
        let robots = self.robots.values().filter(|robot| robot.revision() > since);
        let missions = self.missions.values().filter(|mission| mission.revision() > since);
        FleetView {
            sequence: self.out.revision(),
            at: self.out.wall_now(now),
            robots: robots.map(|robot| self.robot_view(now, robot)).collect(),
            missions: missions.map(Mission::view).collect(),
            alarms: self.alarms.list(),
            hazards: self.hazards.list(),
        }
    }

    /// The revisions at which the robots and missions of [`Self::fleet_view`] last changed, in its order.
    #[must_use]
    pub fn revisions(&self) -> (Vec<u64>, Vec<u64>) {
        let robots = self.robots.values().map(Robot::revision).collect();
        (robots, self.missions.values().map(Mission::revision).collect())
    }

    /// The revision at which an alarm or a hazard last changed.
    #[must_use]
    pub fn notices_revision(&self) -> u64 {
        self.alarms.revision().max(self.hazards.revision())
    }

    /// The term of this start, in every command.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.out.term()
    }

    fn robot_view(&self, now: MonoTime, robot: &Robot) -> RobotView {
        robot.view(now, self.latches.of(robot.id()))
    }

    /// How many robots are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.robots.len()
    }

    /// How many missions are not at their end.
    #[must_use]
    pub fn missions_open(&self) -> usize {
        self.missions.open().count()
    }

    /// How many robots have an open stream.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.robots.connected().count()
    }

    /// The robot of this name, with the age of its last report.
    ///
    /// # Errors
    /// [`Refusal::UnknownRobot`].
    pub fn robot(&self, now: MonoTime, agent: &AgentId) -> Result<RobotView, Refusal> {
        self.robots
            .get(agent)
            .map(|robot| self.robot_view(now, robot))
            .ok_or_else(|| Refusal::UnknownRobot(agent.clone()))
    }

    /// Rises with every change that people may see.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.out.revision()
    }
}

impl Supervisor {
    /// Looks for a broken invariant, for tests: cells with two owners or none, and robots whose state contradicts their slice.
    ///
    /// # Errors
    /// A sentence that names it.
    pub fn audit(&self) -> Result<(), String> {
        for mission in self.missions.values() {
            let id = mission.id();
            mission.area().audit().map_err(|error| format!("{id}: {error}"))?;
            if mission.state().is_terminal() {
                continue;
            }
            for (agent, slice) in mission.area().open_slices() {
                let robot = self.robots.get(agent).ok_or(format!("{agent} is not known"))?;
                if robot.duty.mission() != Some(id) || slice.generation > robot.generation() {
                    return Err(format!("{agent} does not know of its slice of {id}"));
                }
            }
        }
        Ok(())
    }
}
