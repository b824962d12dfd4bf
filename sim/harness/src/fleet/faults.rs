//! Faults begin and end.

use std::collections::BTreeSet;

use super::fault::{FaultKind, FaultSpec, LinkKind};
use super::network::Endpoint;
use super::run::Fleet;
use super::sim_robot::{Disk, SimRobot};

impl Fleet {
    pub(super) fn begin_fault(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        let struck = self.struck(&fault);
        match fault.kind {
            FaultKind::Kill => {
                for robot in struck {
                    self.robots.get_mut(robot).into_iter().for_each(SimRobot::die);
                    self.break_stream(robot);
                }
            }
            FaultKind::Hang => self.each(&struck, |robot| robot.set_hung(true)),
            FaultKind::HangAgent => self.each(&struck, |robot| robot.set_agent_hung(true)),
            FaultKind::PowerLoss => struck.iter().for_each(|robot| self.world.borrow_mut().cut_power(*robot)),
            FaultKind::Cut(kind) => {
                self.network.cut(number, kind, struck.clone());
                if kind == LinkKind::Cloud {
                    struck.into_iter().for_each(|robot| self.break_stream(robot));
                }
            }
            FaultKind::Impair(kind, how) => self.network.impair(number, kind, how, struck),
            FaultKind::SplitMesh => {
                let last = fault.robot.unwrap_or(self.robots.len().saturating_sub(1) / 2);
                self.network.split_mesh(number, last);
            }
            FaultKind::DiskFull => self.each(&struck, |robot| robot.set_disk(Disk::Full)),
            FaultKind::SlowDisk => self.each(&struck, |robot| robot.set_disk(Disk::Slow)),
            FaultKind::KillCloud => {
                self.supervisor.die();
                (0..self.robots.len()).for_each(|robot| self.break_stream(robot));
            }
            FaultKind::HangCloud => self.supervisor.set_hung(true),
            FaultKind::CloudDiskFull => self.supervisor.set_disk_full(true),
        }
        self.update_presence();
    }

    pub(super) fn end_fault(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        let struck = self.struck(&fault);
        self.network.mend(number);
        match fault.kind {
            FaultKind::Kill => {
                for robot in struck {
                    self.robots.get_mut(robot).into_iter().for_each(|r| r.start(self.now));
                    self.dial_soon(robot);
                }
            }
            FaultKind::Hang => {
                self.each(&struck, |robot| robot.set_hung(false));
                struck.into_iter().for_each(|robot| self.deliver_held(Endpoint::Robot(robot)));
            }
            FaultKind::HangAgent => self.each(&struck, |robot| robot.set_agent_hung(false)),
            FaultKind::DiskFull | FaultKind::SlowDisk => self.each(&struck, |robot| robot.set_disk(Disk::Sound)),
            FaultKind::KillCloud => {
                let commands = self.supervisor.start(self.now);
                self.send_commands(commands);
            }
            FaultKind::HangCloud => {
                self.supervisor.set_hung(false);
                self.deliver_held(Endpoint::Supervisor);
            }
            FaultKind::CloudDiskFull => self.supervisor.set_disk_full(false),
            FaultKind::PowerLoss | FaultKind::Cut(_) | FaultKind::Impair(..) | FaultKind::SplitMesh => {}
        }
        self.update_presence();
    }

    fn struck(&self, fault: &FaultSpec) -> BTreeSet<usize> {
        fault.robot.map_or_else(|| (0..self.robots.len()).collect(), |robot| BTreeSet::from([robot]))
    }

    fn each(&mut self, numbers: &BTreeSet<usize>, change: impl Fn(&mut SimRobot)) {
        for number in numbers {
            self.robots.get_mut(*number).into_iter().for_each(&change);
        }
    }
}
