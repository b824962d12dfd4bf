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
            alarms: Vec::new(),
            hazards: Vec::new(),
        }
    }

    /// The revisions at which the robots and missions of [`Self::fleet_view`] last changed, in its order.
    #[must_use]
    pub fn revisions(&self) -> (Vec<u64>, Vec<u64>) {
        let robots = self.robots.values().map(|robot| robot.revision).collect();
        (robots, self.missions.values().map(|mission| mission.revision).collect())
    }

    /// How many robots were ever seen.
    #[must_use]
    pub fn known(&self) -> usize {
        self.robots.len()
    }

    /// How many missions are not at their end.
    #[must_use]
    pub fn missions_open(&self) -> usize {
        self.missions.values().filter(|mission| !mission.state().is_terminal()).count()
    }

    /// How many robots have an open stream.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.robots.values().filter(|robot| robot.connected).count()
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

impl Supervisor {
    /// Looks for a broken invariant, for tests: squares that two have or nobody, and robots that think otherwise.
    ///
    /// # Errors
    /// A sentence that names it.
    pub fn audit(&self) -> Result<(), String> {
        for mission in self.missions.values() {
            let mut seen = self.terrain.empty().map_err(|e| e.to_string())?;
            let parts = mission.parts.values().map(|part| &part.remaining);
            let all = [&mission.unowned, &mission.leftover].into_iter().chain(parts);
            for region in all {
                if !seen.intersection(region).map_err(|e| e.to_string())?.is_empty() {
                    return Err(format!("{}: squares are given twice", mission.id));
                }
                seen = seen.union(region).map_err(|e| e.to_string())?;
            }
            if !seen.difference(&mission.area).map_err(|e| e.to_string())?.is_empty() {
                return Err(format!("{}: squares outside its area are given", mission.id));
            }
            if mission.state().is_terminal() {
                continue;
            }
            for (agent, part) in mission.open_parts() {
                let robot = self.robots.get(agent).ok_or(format!("{agent} is not known"))?;
                if robot.mission != Some(mission.id) || part.generation > robot.known.generation {
                    return Err(format!("{agent} does not know of its part of {}", mission.id));
                }
            }
        }
        Ok(())
    }
}
