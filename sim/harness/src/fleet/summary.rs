//! What came of a run, put together at its end.

use skein_world::World;

use super::monitor::SEPARATION_MARGIN;
use super::report::{Check, FleetReport, MissionReport, RobotReport};
use super::run::{Fleet, SUBMIT_AT};

/// Coverage that must be reached.
const COVERAGE_MIN: f64 = 0.99;

impl Fleet {
    pub(super) fn report(&self) -> FleetReport {
        let world = self.world.borrow();
        let truth = world.truth();
        let mission = self.record.mission().map(|mission| MissionReport {
            state: mission.state,
            reason: mission.reason.clone(),
            covered: mission.covered.0 / 100.0,
            duration_s: self.record.ended_at().map(|at| at.as_secs_f64() - SUBMIT_AT.as_secs_f64()),
        });
        let per_robot = (0..self.robots.len()).filter_map(|number| self.robot_report(&world, number)).collect();
        let coverage = truth.coverage;
        let mut report = FleetReport {
            seed: self.config.seed,
            robots: self.robots.len(),
            duration_s: self.now.as_secs_f64(),
            mission,
            coverage_ratio: coverage.map_or(0.0, |c| c.ratio),
            zone_area_m2: coverage.map_or(0.0, |c| c.zone_area_m2),
            collisions: truth.collisions,
            min_separation_m: truth.min_separation_m,
            min_separation_of: truth.min_separation_of.map(|(a, b, at)| (a + 1, b + 1, at.as_secs_f64())),
            distance_total_m: truth.distance_m.iter().sum(),
            per_robot,
            messages: (self.transport.network().messages, self.transport.network().bytes),
            undecodable: self.record.undecodable().to_vec(),
            refusals: self.supervisor.refusals.clone(),
            events_kept: self.supervisor.events,
            checks: Vec::new(),
            acknowledgements: self.operators.acknowledgements.clone(),
            incidents: self.monitor.incidents.clone(),
        };
        report.checks = self.checks(&report);
        report
    }

    fn robot_report(&self, world: &World, number: usize) -> Option<RobotReport> {
        let robot = self.robots.get(number)?;
        let slices = self.record.mission().into_iter().flat_map(|mission| &mission.slices);
        let own = slices.filter(|slice| slice.agent == *robot.id());
        Some(RobotReport {
            robot: robot.id().clone(),
            alive: robot.is_alive(),
            distance_m: world.driven(number)?,
            battery: world.frame(number)?.battery.charge.0,
            parts: own.map(|slice| (slice.state, slice.area, slice.reason.clone())).collect(),
            why: robot.telemetry.as_ref().map(|sample| sample.why.clone()).unwrap_or_default(),
            refused_commands: robot.refused_commands(),
            counters: robot.status(self.now).map(|status| status.counters),
        })
    }

    fn checks(&self, report: &FleetReport) -> Vec<Check> {
        let check = |what, holds, seen| Check { what, holds, seen };
        let state = report.mission.as_ref().map(|mission| mission.state);
        let least = 2.0 * self.config.body.radius.0 + SEPARATION_MARGIN;
        let separation = report.min_separation_m.unwrap_or(f64::INFINITY);
        let audit = self.record.audit();
        vec![
            check("no robot touched anything", report.collisions.total() == 0, format!("{:?}", report.collisions)),
            check(
                "centres stayed apart by both radii and 0.1 m",
                separation > least,
                format!("{separation:.3} m of {least:.3} m"),
            ),
            check("the mission came to its end", state.is_some_and(|state| state.is_terminal()), format!("{state:?}")),
            check(
                "at least 99 % was swept",
                report.coverage_ratio >= COVERAGE_MIN,
                format!("{:.4}", report.coverage_ratio),
            ),
            check(
                "every message could be decoded",
                self.record.undecodable().is_empty(),
                self.record.undecodable().first().cloned().unwrap_or_default(),
            ),
            check("the supervisor's books are right", audit.is_ok(), audit.err().cloned().unwrap_or_default()),
            check(
                "no robot moved against its latch, without a setpoint or over its fence",
                self.monitor.violations == 0,
                format!("{} violations", self.monitor.violations),
            ),
        ]
    }
}
