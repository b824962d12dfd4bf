//! A robot that is free takes cells from the largest slice.

use core::time::Duration;
use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::MissionId;
use skein_types::region::Region;
use skein_types::time::MonoTime;

use crate::allocation::{CRUISE, SWEEP_YIELD};
use crate::api::Worker;
use crate::area::Slice;
use crate::assignment::Work;
use crate::supervisor::Supervisor;

/// A slice is left alone for this long after it was given out.
const SLICE_REST: Duration = Duration::from_secs(8);
/// How often free robots may take work in one mission, for each of its robots.
const REBALANCES_PER_ROBOT: u32 = 4;

impl Supervisor {
    /// Divides the largest slice with the free robot that gains most, if it gets there in time to be of use.
    pub(crate) fn rebalance(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id) else { return };
        let area = mission.area();
        let bound = REBALANCES_PER_ROBOT * (area.slices().len() as u32 + 1);
        if !area.unowned().is_empty() || mission.rebalanced() >= bound || !mission.is_under_way() {
            return;
        }
        let rested = |slice: &Slice| now.since(slice.given_at) >= SLICE_REST && slice.post.is_none();
        let largest = area
            .open_slices()
            .filter(|(_, slice)| rested(slice))
            .max_by(|a, b| a.1.remaining.area().total_cmp(&b.1.remaining.area()));
        let Some((owner, slice)) = largest else { return };
        let (owner, region) = (owner.clone(), slice.remaining.clone());
        let Some(owner) = self.robots.get(&owner).filter(|robot| self.is_fit(now, robot)) else { return };
        let owner = owner.worker(0.0);
        let free = self.workers_for(now, &mission.spec().robots);
        let gain = |worker: &Worker| {
            let travel = self.allocator.distance_to(&region, worker.at) / (worker.speed.0 * CRUISE).max(0.01);
            (region.area() - travel * SWEEP_YIELD * worker.ability) / 2.0
        };
        let best = free.into_iter().map(|worker| (gain(&worker), worker)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((gain, helper)) = best.filter(|(gain, _)| *gain >= self.config.share_area_min) else { return };
        self.divide_between(now, id, &region, (&owner, &helper), gain);
    }

    /// Cuts one slice in two: what the owner keeps and what the helper takes.
    fn divide_between(&mut self, now: MonoTime, id: MissionId, region: &Region, pair: (&Worker, &Worker), area: f64) {
        let (owner, helper) = pair;
        let cut = self.allocator.cut(region, owner.at, helper.at, area);
        let cut = cut.and_then(|(kept, taken)| {
            let whole = self.with_open_slice(id, &helper.agent, &taken)?;
            Ok((kept, taken, whole))
        });
        let Ok((kept, taken, whole)) = cut else { return };
        if let Some(mission) = self.missions.get_mut(id) {
            mission.note_rebalance();
        }
        let payload = json!({
            "mission": id.to_string(), "from": owner.agent.as_str(), "to": helper.agent.as_str(), "area_m2": taken.area(),
        });
        self.out.emit_event(now, EventKind::Decision, "slice_split", &payload);
        let keeps = format!("{} takes a share", helper.agent);
        let takes = format!("a share of what {} had left", owner.agent);
        self.assign(now, id, &owner.agent, Work::Sweep(kept), &keeps);
        self.assign(now, id, &helper.agent, Work::Sweep(whole), &takes);
    }
}
