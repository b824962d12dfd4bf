//! Faults begin and end.

use std::collections::BTreeSet;

use super::fault::{FaultKind, FaultSpec, LinkKind};
use super::network::Endpoint;
use super::run::Fleet;

impl Fleet {
    pub(super) fn begin_fault(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        let struck = self.struck(&fault);
        match fault.kind {
            FaultKind::PowerLoss => struck.iter().for_each(|robot| self.world.borrow_mut().cut_power(*robot)),
            FaultKind::Cut(kind) => {
                self.transport.network_mut().cut(number, kind, struck.clone());
                if kind == LinkKind::Cloud {
                    struck.into_iter().for_each(|robot| self.break_stream(robot));
                }
            }
            FaultKind::Impair(kind, how) => self.transport.network_mut().impair(number, kind, how, struck),
            FaultKind::SplitMesh => {
                let last = fault.robot.unwrap_or(self.robots.len().saturating_sub(1) / 2);
                self.transport.network_mut().split_mesh(number, last);
            }
            FaultKind::Liar => drop(self.liars.insert(number, fault.robot.unwrap_or(0))),
            FaultKind::Kill
            | FaultKind::PowerCut
            | FaultKind::Hang
            | FaultKind::HangAgent
            | FaultKind::DiskFull
            | FaultKind::SlowDisk => {
                struck.into_iter().for_each(|robot| self.begin_robot_fault(robot, number, fault.kind))
            }
            FaultKind::KillCloud | FaultKind::HangCloud | FaultKind::CloudDiskFull => {
                self.supervisor.begin_fault(number, fault.kind);
                if fault.kind == FaultKind::KillCloud {
                    (0..self.robots.len()).for_each(|robot| self.break_stream(robot));
                }
            }
        }
        self.update_presence();
    }

    pub(super) fn end_fault(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        let struck = self.struck(&fault);
        self.transport.network_mut().mend(number);
        self.liars.remove(&number);
        match fault.kind {
            FaultKind::Kill
            | FaultKind::PowerCut
            | FaultKind::Hang
            | FaultKind::HangAgent
            | FaultKind::DiskFull
            | FaultKind::SlowDisk => struck.into_iter().for_each(|robot| self.end_robot_fault(robot, number)),
            FaultKind::KillCloud | FaultKind::HangCloud | FaultKind::CloudDiskFull => {
                let commands = self.supervisor.end_fault(self.now, number);
                self.send_commands(commands);
                if !self.supervisor.is_hung() {
                    self.transport.deliver_held(self.now, Endpoint::Supervisor);
                }
            }
            FaultKind::PowerLoss
            | FaultKind::Cut(_)
            | FaultKind::Impair(..)
            | FaultKind::SplitMesh
            | FaultKind::Liar => {}
        }
        self.update_presence();
    }

    fn begin_robot_fault(&mut self, robot: usize, fault: usize, kind: FaultKind) {
        let stream = self.robots.get(robot).map(|r| r.stream);
        self.robots.get_mut(robot).into_iter().for_each(|r| r.begin_fault(fault, kind));
        if let Some(stream) = stream.filter(|_| !self.is_alive(robot)) {
            self.lose_stream(robot, stream);
        }
    }

    fn end_robot_fault(&mut self, robot: usize, fault: usize) {
        let now = self.now;
        self.robots.get_mut(robot).into_iter().for_each(|r| r.end_fault(now, fault));
        if self.robots.get(robot).is_some_and(|r| !r.is_hung()) {
            self.transport.deliver_held(self.now, Endpoint::Robot(robot));
        }
        self.send_outputs(robot);
    }

    fn struck(&self, fault: &FaultSpec) -> BTreeSet<usize> {
        fault.robot.map_or_else(|| (0..self.robots.len()).collect(), |robot| BTreeSet::from([robot]))
    }
}
