//! Processes start and die, streams break, faults begin and end.

use skein_robot::latch::{Found, LatchAuthority, Start};
use skein_types::authority::LatchView;
use skein_types::ids::FleetId;

use super::model::Process;
use super::script::Fault;
use super::world::{Event, REDIAL, World, agent, boot_id, wall};

impl World {
    pub(crate) fn start(&mut self, robot: usize) {
        let site = &mut self.robots[robot];
        site.boot += 1;
        let boot = boot_id(self.script.seed, robot, site.boot);
        let found = match (&site.disk.kept, site.disk.torn) {
            (None, _) => Found::Nothing,
            (Some(kept), false) => Found::Contents(kept.clone()),
            (Some(kept), true) => Found::Unreadable { reason: "checksum".to_owned(), last: Some(kept.clone()) },
        };
        let found = self.seam.found(found);
        let kernel_boot =
            if self.seam.hides_lost_power() { "same".to_owned() } else { format!("kernel-{}", site.kernel) };
        let start = Start {
            robot: agent(robot),
            fleet: FleetId::new("sim").unwrap(),
            boot,
            kernel_boot,
            now: self.now,
            wall: wall(self.now),
            mesh_may_release: false,
        };
        site.authority = Some(LatchAuthority::start(self.now, &start, found));
        site.unanswered.clear();
        self.drain(robot);
        self.at(self.now + REDIAL, Event::Redial { robot });
    }

    pub(crate) fn die(&mut self, robot: usize, with_machine: bool) {
        let coin = self.below(3);
        let site = &mut self.robots[robot];
        site.authority = None;
        site.held.clear();
        site.view = LatchView::default();
        // A write under way is on the disk or not; a cut of the machine's power may damage what is there.
        let under_way = std::mem::take(&mut site.disk.under_way);
        if with_machine && coin == 1 && site.disk.kept.is_some() {
            site.disk.torn = true;
        } else if let Some((_, contents)) = under_way.into_iter().next_back().filter(|_| coin == 0 && !site.disk.full) {
            site.disk.kept = Some(contents);
        }
        if with_machine {
            site.kernel += 1;
        }
        self.lose_stream(robot);
        self.model.on_death(Process::Robot(robot));
    }

    pub(crate) fn redial(&mut self, robot: usize) {
        let site = &self.robots[robot];
        if site.authority.is_none() || site.linked {
            return;
        }
        if !self.cloud_open(robot) || !self.supervisor.is_up() {
            self.at(self.now + REDIAL, Event::Redial { robot });
            return;
        }
        let Some(report) = site.authority.as_ref().map(|authority| authority.report(self.now)) else { return };
        let boot = boot_id(self.script.seed, robot, site.boot);
        self.robots[robot].stream += 1;
        self.robots[robot].linked = true;
        let orders = self.supervisor.on_hello(self.now, robot, boot, report);
        self.send_orders(orders);
        self.note_supervisor();
    }

    pub(crate) fn lose_stream(&mut self, robot: usize) {
        self.robots[robot].stream += 1;
        if std::mem::take(&mut self.robots[robot].linked) {
            let orders = self.supervisor.on_gone(self.now, robot);
            self.send_orders(orders);
        }
    }

    pub(crate) fn break_stream(&mut self, robot: usize) {
        self.lose_stream(robot);
        self.at(self.now + REDIAL, Event::Redial { robot });
    }

    pub(crate) fn begin(&mut self, index: usize) {
        self.active.insert(index);
        let fault = self.script.faults[index].fault.clone();
        self.log.push(format!("{} begins {fault:?}", self.now));
        match fault {
            Fault::Kill(robot) => self.die(robot, false),
            Fault::PowerCut(robot) => self.die(robot, true),
            Fault::Hang(robot) => self.robots[robot].hung = true,
            Fault::DiskFull(robot) => self.robots[robot].disk.full = true,
            Fault::SlowDisk(robot) => self.robots[robot].disk.slow = true,
            Fault::CutCloud(robot) => self.break_stream(robot),
            Fault::KillSupervisor => {
                self.supervisor.die();
                self.model.on_death(Process::Supervisor);
                (0..self.robots.len()).for_each(|robot| self.break_stream(robot));
            }
            Fault::SupervisorDiskFull => drop(self.supervisor.set_disk_full(self.now, true)),
            Fault::CutMesh(_) | Fault::SplitMesh(_) | Fault::CutDebug(_) | Fault::Impaired => {}
        }
    }

    pub(crate) fn end(&mut self, index: usize) {
        self.active.remove(&index);
        let fault = self.script.faults[index].fault.clone();
        self.log.push(format!("{} ends {fault:?}", self.now));
        match fault {
            Fault::Kill(robot) | Fault::PowerCut(robot) => {
                let dead = self.is_active(|other| *other == Fault::Kill(robot) || *other == Fault::PowerCut(robot));
                if !dead && self.robots[robot].authority.is_none() {
                    self.start(robot);
                    self.check_stands_after_power_cut(robot);
                }
            }
            Fault::Hang(robot) => {
                self.robots[robot].hung = self.is_active(|other| *other == Fault::Hang(robot));
                for event in std::mem::take(&mut self.robots[robot].held) {
                    self.at(self.now, event);
                }
            }
            Fault::DiskFull(robot) => {
                self.robots[robot].disk.full = self.is_active(|other| *other == Fault::DiskFull(robot))
            }
            Fault::SlowDisk(robot) => {
                self.robots[robot].disk.slow = self.is_active(|other| *other == Fault::SlowDisk(robot))
            }
            Fault::KillSupervisor => {
                if !self.is_active(|other| *other == Fault::KillSupervisor) {
                    self.supervisor.start(self.now, self.seam.forgets_wanted());
                }
            }
            Fault::SupervisorDiskFull => {
                let full = self.is_active(|other| *other == Fault::SupervisorDiskFull);
                let orders = self.supervisor.set_disk_full(self.now, full);
                self.send_orders(orders);
            }
            Fault::CutCloud(_) | Fault::CutMesh(_) | Fault::SplitMesh(_) | Fault::CutDebug(_) | Fault::Impaired => {}
        }
    }
}
