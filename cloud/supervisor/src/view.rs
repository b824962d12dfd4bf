//! The fleet as people see it.

use skein_types::fleet::{FleetView, RobotView};
use skein_types::ids::AgentId;

use crate::api::At;
use crate::mission::Mission;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// A picture of everything, with the age of every robot's last word.
    #[must_use]
    pub fn fleet_view(&self, now: At) -> FleetView {
        self.changes(now, 0)
    }

    /// A picture of what changed after a revision; its own `sequence` is the revision to ask with the next time.
    #[must_use]
    pub fn changes(&self, now: At, since: u64) -> FleetView {
        let robots = self.robots.values().filter(|robot| robot.revision > since);
        let missions = self.missions.values().filter(|mission| mission.revision > since);
        FleetView {
            sequence: self.revision,
            at: self.wall_now(now),
            robots: robots.map(|robot| robot.view(now)).collect(),
            missions: missions.map(Mission::view).collect(),
        }
    }

    /// One robot.
    ///
    /// # Errors
    /// [`Refusal::UnknownRobot`].
    pub fn robot(&self, now: At, agent: &AgentId) -> Result<RobotView, Refusal> {
        self.robots.get(agent).map(|robot| robot.view(now)).ok_or_else(|| Refusal::UnknownRobot(agent.clone()))
    }

    /// Rises with every change that people may see.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}
