//! What a mission would do, before anything moves.

use skein_types::ids::AgentId;
use skein_types::mission::{MissionSpec, Objective, Preview, PreviewSlice, Verdict, VerdictLevel};
use skein_types::region::Region;
use skein_types::time::MonoTime;
use skein_types::units::{Meters, Percent, Seconds};

use crate::allocation::{CRUISE, ZoneCells};
use crate::api::Worker;
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

/// What a robot draws while it works, watts: a figure for estimates only.
const WORKING_POWER: f64 = 40.0;

impl Supervisor {
    /// What would happen, before anything moves. Nothing is stored.
    ///
    /// # Errors
    /// [`Refusal`] when the mission would not be accepted.
    pub fn preview(&self, now: MonoTime, spec: &MissionSpec) -> Result<Preview, Refusal> {
        let zone = self.check(spec)?;
        let workers = self.workers_for(now, &spec.robots);
        let mut verdicts = self.zone_verdicts(spec, &zone);
        if workers.is_empty() {
            verdicts.push(verdict(
                VerdictLevel::Warning,
                "no_robots",
                "no robot is free for it now: it would wait in the queue",
            ));
        }
        let mut slices = match spec.objective {
            Objective::Survey => self.survey_slices(&zone.reachable, &workers),
            Objective::Guard => self.guard_slices(spec, &zone.reachable, &workers),
            Objective::Search | Objective::Patrol | Objective::Deliver => Vec::new(),
        };
        slices.retain(|slice| !slice.region.is_empty() || !slice.path.is_empty());
        for slice in &slices {
            verdicts.extend(self.energy_verdict(slice));
        }
        let area = zone.reachable.area();
        let longest = slices.iter().map(|slice| slice.duration.0).fold(0.0, f64::max);
        Ok(Preview {
            area,
            unreachable_area: (zone.free - area).max(0.0),
            slices,
            duration: Seconds(longest),
            verdicts,
        })
    }

    fn zone_verdicts(&self, spec: &MissionSpec, zone: &ZoneCells) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let ((low, high), (min, max)) = (spec.zone.bounds(), self.allocator.bounds());
        if low.x < min.x || low.y < min.y || high.x > max.x || high.y > max.y {
            verdicts.push(verdict(VerdictLevel::Warning, "zone_leaves_map", "part of the zone lies outside the map"));
        }
        let unreachable = zone.free - zone.reachable.area();
        if unreachable > 0.01 * zone.free {
            let text = format!("{unreachable:.1} m² of the zone's free area cannot be reached");
            verdicts.push(verdict(VerdictLevel::Info, "partly_unreachable", &text));
        }
        verdicts
    }

    fn survey_slices(&self, area: &Region, workers: &[Worker]) -> Vec<PreviewSlice> {
        let Ok((regions, _)) = self.allocator.allot(area, workers) else { return Vec::new() };
        let slice = |(worker, region): (&Worker, Region)| {
            let tour = self.allocator.tour(&region, worker.at, worker.sweep_range);
            let duration = Seconds(tour.length.0 / (worker.speed.0 * CRUISE).max(0.01));
            PreviewSlice {
                agent: worker.agent.clone(),
                path: core::iter::once(worker.at).chain(tour.viewpoints).collect(),
                distance: tour.length,
                duration,
                energy: self.energy(&worker.agent, duration),
                reason: format!("{:.0} m², the cell nearest to it by what it can do", region.area()),
                region,
            }
        };
        workers.iter().zip(regions).map(slice).collect()
    }

    fn guard_slices(&self, spec: &MissionSpec, area: &Region, workers: &[Worker]) -> Vec<PreviewSlice> {
        let posts = self.allocator.spread(area, spec.robots.len().max(1));
        let Ok(nothing) = self.allocator.empty() else { return Vec::new() };
        let mut left: Vec<&Worker> = workers.iter().collect();
        let mut slices = Vec::new();
        for post in posts {
            let distance = |worker: &&Worker| worker.at.distance(post);
            let nearest = left.iter().enumerate().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
            let Some(worker) = nearest.map(|(index, _)| index).map(|index| left.remove(index)) else { break };
            let distance = Meters(self.allocator.path_length(worker.at, post).unwrap_or(0.0));
            let duration = Seconds(distance.0 / (worker.speed.0 * CRUISE).max(0.01));
            slices.push(PreviewSlice {
                agent: worker.agent.clone(),
                region: nothing.clone(),
                path: vec![worker.at, post],
                distance,
                duration,
                energy: self.energy(&worker.agent, duration),
                reason: "nearest to the place".to_owned(),
            });
        }
        slices
    }

    /// Charge that some time of work costs, at [`WORKING_POWER`].
    fn energy(&self, agent: &AgentId, duration: Seconds) -> Percent {
        let capacity = self.robots.get(agent).map_or(f64::INFINITY, |robot| robot.record().body.battery_capacity.0);
        Percent(100.0 * WORKING_POWER * duration.0 / 3600.0 / capacity)
    }

    fn energy_verdict(&self, slice: &PreviewSlice) -> Option<Verdict> {
        let charge = self.robots.get(&slice.agent)?.telemetry()?.battery;
        let left = charge.0 - slice.energy.0;
        (left < self.config.battery_min.0).then(|| {
            let text =
                format!("{} has {:.0} % and would end with {left:.0} %: it will have to charge", slice.agent, charge.0);
            verdict(VerdictLevel::Warning, "low_charge", &text)
        })
    }
}

fn verdict(level: VerdictLevel, code: &str, text: &str) -> Verdict {
    Verdict { level, code: code.to_owned(), text: text.to_owned() }
}
