//! What must hold between any two steps, and after a quiet time.

use skein_robot::latch::LatchOutcome;
use skein_types::authority::LatchScope;
use skein_types::safety::Latch;

use super::model::{Process, Register};
use super::world::World;

impl World {
    pub(crate) fn check_stands_after_power_cut(&mut self, robot: usize) {
        let site = &self.robots[robot];
        let lost_power =
            site.disk.kept.as_ref().is_some_and(|kept| kept.kernel_boot != format!("kernel-{}", site.kernel));
        if lost_power && site.view.level == Latch::Released {
            self.fail(format!("the machine of rover-{} lost its power and the robot may move", robot + 1));
        }
    }

    /// What must hold between any two steps.
    pub(crate) fn check(&mut self) {
        for robot in 0..self.robots.len() {
            let Some(authority) = self.robots[robot].authority.as_ref() else { continue };
            let (latches, view) = (authority.latches().clone(), self.robots[robot].view);
            if view.level != latches.level() {
                self.fail(format!(
                    "the reflex of rover-{} reads {:?}, the latch is {:?}",
                    robot + 1,
                    view.level,
                    latches.level()
                ));
            }
            for (register, found) in [(Register::Robot(robot), &latches.own), (Register::Fleet, &latches.fleet)] {
                if let Err(what) = self.model.check(Process::Robot(robot), register, found) {
                    self.fail(what);
                }
            }
        }
        for register in self.registers() {
            let found = self.supervisor.register(self.now, register);
            if let Some(Err(what)) = found.map(|found| self.model.check(Process::Supervisor, register, &found)) {
                self.fail(what);
            }
        }
    }

    /// After a quiet time all copies of a register are the same; without a supervisor, all know a stop of the fleet.
    pub(crate) fn check_agreement(&mut self) {
        let robots = (0..self.robots.len()).filter_map(|robot| {
            self.robots[robot].authority.as_ref().map(|authority| (robot, authority.latches().clone()))
        });
        let robots: Vec<_> = robots.collect();
        let newest = robots.iter().map(|(_, latches)| latches.fleet.clone()).max().unwrap_or_default();
        for (robot, latches) in robots {
            for (register, found) in [(Register::Robot(robot), latches.own), (Register::Fleet, latches.fleet)] {
                let other = match self.supervisor.register(self.now, register) {
                    Some(wanted) => wanted,
                    None if register == Register::Fleet && newest.is_latched() => newest.clone(),
                    None => continue,
                };
                if found != other {
                    self.fail(format!("rover-{} has {register:?} {found:?}, others {other:?}", robot + 1));
                }
            }
        }
    }

    /// What is acknowledged as kept is on the disk, or something later.
    pub(crate) fn check_kept(&mut self, robot: usize, outcome: &LatchOutcome) {
        let kept = self.robots[robot].disk.kept.as_ref().map(|kept| kept.latches.clone()).unwrap_or_default();
        for scope in [LatchScope::Robot, LatchScope::Fleet] {
            let (on_disk, said) = (kept.get(scope), outcome.latches.get(scope));
            if on_disk < said {
                self.fail(format!("rover-{} acknowledged {said:?} as kept; its disk has {on_disk:?}", robot + 1));
            }
        }
    }
}
