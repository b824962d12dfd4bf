//! Where a test sees, and may change, what passes between a robot's core and its process.

use skein_robot::{RobotInput, RobotOutput};
use skein_types::time::MonoTime;

use super::run::Fleet;

/// Sees what goes into robots' cores and comes out of them; what it returns takes its place, `None` drops it.
pub trait Probe {
    /// Before a robot's core handles an input.
    fn input(&mut self, _now: MonoTime, _robot: usize, input: RobotInput) -> Option<RobotInput> {
        Some(input)
    }

    /// Before the process does what a robot's core wants.
    fn output(&mut self, _now: MonoTime, _robot: usize, output: RobotOutput) -> Option<RobotOutput> {
        Some(output)
    }
}

impl Fleet {
    /// Puts a probe between the robots' cores and their processes, in the place of the one before.
    pub fn set_probe(&mut self, probe: Box<dyn Probe>) {
        self.probe = Some(probe);
    }

    pub(super) fn probe_input(&mut self, robot: usize, input: RobotInput) -> Option<RobotInput> {
        match &mut self.probe {
            Some(probe) => probe.input(self.now, robot, input),
            None => Some(input),
        }
    }

    pub(super) fn probe_output(&mut self, robot: usize, output: RobotOutput) -> Option<RobotOutput> {
        match &mut self.probe {
            Some(probe) => probe.output(self.now, robot, output),
            None => Some(output),
        }
    }
}
