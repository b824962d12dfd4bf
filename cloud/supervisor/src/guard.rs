//! Guards: places to hold, each by one robot.

use skein_types::ids::MissionId;
use skein_types::region::Region;
use skein_types::time::MonoTime;

use crate::api::Worker;
use crate::assignment::Work;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Spreads places to hold over the area, one for each named robot, and sends robots there.
    pub(crate) fn start_guard(&mut self, now: MonoTime, id: MissionId, area: &Region, robots: usize) {
        let posts = self.allocator.spread(area, robots.max(1));
        let set = self.missions.get_mut(id).map(|mission| mission.set_posts(posts));
        if matches!(set, Some(Ok(()))) {
            self.assign_posts(now, id);
        }
    }

    /// Places that no robot holds go to the robots with the shortest path to them.
    pub(crate) fn assign_posts(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id).filter(|mission| !mission.posts().is_empty()) else { return };
        let mut workers = self.workers_for(now, &mission.spec().robots);
        let posts = mission.posts().to_vec();
        if workers.is_empty() {
            return;
        }
        let mut left = Vec::new();
        for post in posts {
            let length = |worker: &Worker| self.allocator.path_length(worker.at, post).unwrap_or(f64::INFINITY);
            let lengths = workers.iter().enumerate().map(|(index, worker)| (length(worker), index));
            let nearest = lengths.filter(|(length, _)| length.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
            match nearest.map(|(_, index)| workers.remove(index)) {
                Some(worker) => self.assign(now, id, &worker.agent, Work::Hold(post), "it gets there first"),
                None => left.push(post),
            }
        }
        if let Some(mission) = self.missions.get_mut(id) {
            mission.keep_open_posts(left);
        }
    }
}
