//! Missions are looked after: begun, handed over, shared and brought to their end.

use std::collections::BTreeMap;

use core::cmp::Reverse;
use core::time::Duration;
use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{MissionState, Objective};
use skein_types::region::{Region, RegionError};

use crate::api::{At, Worker};
use crate::intake::CRUISE;
use crate::mission::Part;
use crate::supervisor::Supervisor;
use crate::work::Work;

/// Squares that nobody could be given are offered again after this.
const OFFER_AGAIN: Duration = Duration::from_secs(2);
/// A part is left alone for this long before work is taken from it.
const PART_RESTS: Duration = Duration::from_secs(8);
/// What a robot sweeps of its sensor's widest strip: turns, overlaps and walls cost the rest.
const SWEEP_YIELD: f64 = 0.5;
/// How often free robots may take work in one mission, for each of its robots.
const SHARES_PER_ROBOT: u32 = 4;

/// Squares that nobody has, and who is not to get them if anybody else can.
struct Piece {
    region: Region,
    not_to: Option<AgentId>,
}

impl Supervisor {
    /// The urgent first, then the older.
    pub(crate) fn look_after_missions(&mut self, now: At) {
        let open = self.missions.values().filter(|mission| !mission.state().is_terminal());
        let mut ids: Vec<(Reverse<_>, MissionId)> = open.map(|m| (Reverse(m.spec.priority), m.id)).collect();
        ids.sort_unstable();
        for (_, id) in ids {
            match self.missions.get(&id).map(crate::mission::Mission::state) {
                Some(MissionState::Queued) => self.start_if_possible(now, id),
                Some(MissionState::Assigned | MissionState::Running) => self.tend(now, id),
                Some(
                    MissionState::Draft
                    | MissionState::Paused
                    | MissionState::Done
                    | MissionState::Failed
                    | MissionState::Cancelled,
                )
                | None => {}
            }
        }
    }

    /// Splits a queued mission among the robots that are free.
    pub(crate) fn start_if_possible(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id) else { return };
        let settling = now < self.arrival_at || now.since(self.arrival_at) < self.config.settle;
        if mission.state() != MissionState::Queued || (settling && !self.robots.is_empty()) {
            return;
        }
        let workers = self.workers_for(now, &mission.spec);
        if workers.is_empty() {
            return;
        }
        let spec = mission.spec.clone();
        let Some(ground) = self.ground(&spec.zone, &spec.robots) else { return };
        if ground.reachable.is_empty() {
            self.explain(now, id, "none of the robots that are here can reach the zone");
            return;
        }
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.area = ground.reachable.clone();
            mission.unowned = ground.reachable.clone();
        }
        match spec.objective {
            Objective::Guard => {
                let posts = self.terrain.spread(&ground.reachable, spec.robots.len().max(1));
                if let (Some(mission), Ok(none)) = (self.missions.get_mut(&id), self.terrain.empty()) {
                    mission.posts = posts;
                    mission.unowned = none;
                }
                self.man_posts(now, id);
            }
            Objective::Survey | Objective::Search | Objective::Patrol | Objective::Deliver => {
                self.split(now, id, &ground.reachable, workers);
            }
        }
        let given = self.missions.get(&id).map_or(0, |mission| mission.parts.len());
        if given > 0 {
            self.enter(now, id, MissionState::Assigned, &format!("split among {given} robots"));
        }
    }

    fn split(&mut self, now: At, id: MissionId, area: &Region, workers: Vec<Worker>) {
        let workers = self.nearest_few(area, workers);
        let Ok((parts, left)) = self.terrain.allot(area, &workers) else { return };
        for (worker, part) in workers.iter().zip(parts) {
            if !part.is_empty() {
                self.assign(now, id, &worker.agent, Work::Sweep(part), "its cell of the split");
            }
        }
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.unowned = left;
        }
    }

    /// Not more robots than the area is worth: the nearest.
    fn nearest_few(&self, area: &Region, mut workers: Vec<Worker>) -> Vec<Worker> {
        let enough = (area.area() / self.config.share_area_min).ceil().max(1.0) as usize;
        if workers.len() > enough {
            workers.sort_by_cached_key(|worker| {
                let seconds = worker.busy + self.terrain.distance_to(area, worker.at) / worker.speed.0.max(0.01);
                (ordered(seconds), worker.agent.clone())
            });
            workers.truncate(enough);
        }
        workers
    }

    /// One round of care for a mission under way.
    fn tend(&mut self, now: At, id: MissionId) {
        self.take_from_the_unable(now, id);
        let waits = self
            .missions
            .get(&id)
            .is_some_and(|mission| !mission.unowned.is_empty() && now.since(mission.divided_at) >= OFFER_AGAIN);
        if waits {
            self.give_out(now, id);
        }
        self.man_posts(now, id);
        self.share(now, id);
        self.conclude(now, id);
    }

    /// Work of robots that are lost, cannot work or do not get on goes to others, if there are any.
    fn take_from_the_unable(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id) else { return };
        let unable: Vec<(AgentId, String)> = mission
            .open_parts()
            .filter_map(|(agent, part)| self.why_unable(now, agent, part).map(|why| (agent.clone(), why)))
            .collect();
        if unable.is_empty() {
            return;
        }
        let able = |worker: &Worker| unable.iter().all(|(agent, _)| *agent != worker.agent);
        if !self.helpers(now, id).iter().any(able) {
            return;
        }
        for (agent, why) in &unable {
            if let Some(robot) = self.robots.get_mut(agent) {
                robot.rests_until = robot.rests_until.max(now + PART_RESTS);
            }
            self.take_away(now, id, agent, why);
        }
        self.give_out(now, id);
    }

    fn why_unable(&self, now: At, agent: &AgentId, part: &Part) -> Option<String> {
        let robot = self.robots.get(agent)?;
        if !robot.is_alive(now) {
            return Some(format!("{agent} has not been heard for {} s", self.config.lost_after.as_secs()));
        }
        if robot.unfit_since.is_some_and(|since| now.since(since) >= self.config.unfit_after) {
            let why = robot.unfit(self.config.battery_min)?;
            return Some(format!("{agent} {why}"));
        }
        let stuck = now.since(part.moved_at) >= self.config.stuck_after;
        (stuck && part.post.is_none())
            .then(|| format!("{agent} got nothing done for {} s", self.config.stuck_after.as_secs()))
    }

    /// Robots that may take work of a mission under way: those at work on it, and the free ones.
    fn helpers(&self, now: At, id: MissionId) -> Vec<Worker> {
        let Some(mission) = self.missions.get(&id) else { return Vec::new() };
        let may = |agent: &AgentId| mission.spec.robots.is_empty() || mission.spec.robots.contains(agent);
        let mut helpers = Vec::new();
        for (agent, robot) in self.robots.iter().filter(|(agent, _)| may(agent)) {
            let part = mission.parts.get(agent).filter(|part| !part.state.is_terminal());
            let worker = robot.worker(0.0);
            match part {
                Some(part) if self.is_fit(now, robot) => {
                    let busy = part.remaining.area() / (SWEEP_YIELD * worker.ability).max(0.01);
                    helpers.push(Worker { busy, ..worker });
                }
                Some(_) => {}
                None if self.is_free(now, robot) => helpers.push(worker),
                None => {}
            }
        }
        helpers
    }

    /// Gives squares that nobody has to those who will be ready first.
    fn give_out(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id) else { return };
        let piece = Piece { region: mission.unowned.clone(), not_to: None };
        // A square that falls to nobody stays unowned, and is offered again.
        let _ragged = self.give_out_pieces(now, id, &[piece]);
    }

    /// Gives out pieces of what nobody has, each to others than its last owner if there are any; one order a robot.
    fn give_out_pieces(&mut self, now: At, id: MissionId, pieces: &[Piece]) -> Result<(), RegionError> {
        let mut orders: BTreeMap<AgentId, Region> = BTreeMap::new();
        for Piece { region, not_to } in pieces.iter().filter(|piece| !piece.region.is_empty()) {
            let mut helpers = self.helpers(now, id);
            if helpers.iter().any(|worker| Some(&worker.agent) != not_to.as_ref()) {
                helpers.retain(|worker| Some(&worker.agent) != not_to.as_ref());
            }
            let helpers = self.nearest_few(region, ready_in_time(region, helpers));
            let (parts, _left) = self.terrain.allot(region, &helpers)?;
            for (worker, part) in helpers.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
                let whole = match orders.get(&worker.agent) {
                    Some(before) => before.union(&part)?,
                    None => part,
                };
                orders.insert(worker.agent.clone(), whole);
            }
        }
        let Some(mission) = self.missions.get_mut(&id) else { return Ok(()) };
        mission.divided_at = now;
        for part in orders.values() {
            mission.unowned = mission.unowned.difference(part)?;
        }
        for (agent, part) in orders {
            let whole = self.with_open_part(id, &agent, &part)?;
            self.assign(now, id, &agent, Work::Sweep(whole), "work that was left over");
        }
        Ok(())
    }

    /// Squares together with what the robot is still at work on. What it left over stays left over.
    fn with_open_part(&self, id: MissionId, agent: &AgentId, more: &Region) -> Result<Region, RegionError> {
        let part = self.missions.get(&id).and_then(|mission| mission.parts.get(agent));
        match part.filter(|part| !part.state.is_terminal()) {
            Some(part) => part.remaining.union(more),
            None => Ok(more.clone()),
        }
    }

    /// Places that nobody holds go to the robots that get there cheapest.
    fn man_posts(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id).filter(|mission| !mission.posts.is_empty()) else { return };
        let mut workers = self.workers_for(now, &mission.spec);
        let posts = mission.posts.clone();
        if workers.is_empty() {
            return;
        }
        let mut left = Vec::new();
        for post in posts {
            let way = |worker: &Worker| self.terrain.way(worker.at, post).unwrap_or(f64::INFINITY);
            let ways = workers.iter().enumerate().map(|(index, worker)| (way(worker), index));
            let nearest = ways.filter(|(way, _)| way.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
            match nearest.map(|(_, index)| workers.remove(index)) {
                Some(worker) => self.assign(now, id, &worker.agent, Work::Hold(post), "it gets there first"),
                None => left.push(post),
            }
        }
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.posts = left;
        }
    }

    /// A robot that is free takes a share of the largest part, if it gets there in time to be of use.
    fn share(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id) else { return };
        let bound = SHARES_PER_ROBOT * (mission.parts.len() as u32 + 1);
        if !mission.unowned.is_empty() || mission.shared >= bound || !mission.is_under_way() {
            return;
        }
        let rested = |part: &Part| now.since(part.given_at) >= PART_RESTS && part.post.is_none();
        let largest = mission
            .open_parts()
            .filter(|(_, part)| rested(part))
            .max_by(|a, b| a.1.remaining.area().total_cmp(&b.1.remaining.area()));
        let Some((owner, part)) = largest else { return };
        let (owner, region) = (owner.clone(), part.remaining.clone());
        let Some(owner) = self.robots.get(&owner).filter(|robot| self.is_fit(now, robot)) else { return };
        let owner = owner.worker(0.0);
        let free = self.workers_for(now, &mission.spec);
        let gain = |worker: &Worker| {
            let travel = self.terrain.distance_to(&region, worker.at) / (worker.speed.0 * CRUISE).max(0.01);
            (region.area() - travel * SWEEP_YIELD * worker.ability) / 2.0
        };
        let best = free.into_iter().map(|worker| (gain(&worker), worker)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((gain, helper)) = best.filter(|(gain, _)| *gain >= self.config.share_area_min) else { return };
        self.divide_between(now, id, &region, (&owner, &helper), gain);
    }

    /// Cuts one part in two: what the owner keeps and what the helper takes.
    fn divide_between(&mut self, now: At, id: MissionId, region: &Region, pair: (&Worker, &Worker), area: f64) {
        let (owner, helper) = pair;
        let cut = self.terrain.cut(region, owner.at, helper.at, area);
        let cut = cut.and_then(|(kept, taken)| {
            let whole = self.with_open_part(id, &helper.agent, &taken)?;
            Ok((kept, taken, whole))
        });
        let Ok((kept, taken, whole)) = cut else { return };
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.shared += 1;
        }
        let payload = json!({
            "mission": id.to_string(), "from": owner.agent.as_str(), "to": helper.agent.as_str(), "area_m2": taken.area(),
        });
        self.note(now, EventKind::Decision, "shared", &payload);
        let keeps = format!("{} takes a share", helper.agent);
        let takes = format!("a share of what {} had left", owner.agent);
        self.assign(now, id, &owner.agent, Work::Sweep(kept), &keeps);
        self.assign(now, id, &helper.agent, Work::Sweep(whole), &takes);
    }

    /// Ends a mission that is at its goal or cannot get there; gives out again what was left over.
    pub(crate) fn conclude(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id).filter(|mission| mission.is_under_way()) else { return };
        let (open, covered) = (mission.open_parts().count(), mission.covered());
        let abandoned = now.since(mission.moved_at) >= self.config.abandon_after;
        let guard = mission.spec.objective == Objective::Guard;
        // Whoever is to come home would lose that order with the rest: it may finish.
        let enough = covered >= self.config.enough && !mission.spec.return_home;
        if !guard && (mission.left() == 0 || enough || (open == 0 && covered >= self.config.goal)) {
            let why = format!("{:.2} % of {:.1} m² swept", 100.0 * covered, mission.area.area());
            self.enter(now, id, MissionState::Done, &why);
        } else if abandoned && !(guard && open > 0) {
            let why = format!(
                "no robot got anything done for {} s; {:.2} % swept",
                self.config.abandon_after.as_secs(),
                100.0 * covered
            );
            self.enter(now, id, MissionState::Failed, &why);
        } else {
            let ended = mission.parts.values().any(|part| part.state.is_terminal());
            if (guard && ended) || (!guard && open == 0 && (ended || mission.retried > 0)) {
                self.try_again(now, id);
            }
        }
    }

    /// Everybody is ready, but the goal is not reached.
    fn try_again(&mut self, now: At, id: MissionId) {
        let Some(mission) = self.missions.get(&id) else { return };
        let ended = mission.parts.iter().filter(|(_, part)| part.state.is_terminal());
        let owners: Vec<AgentId> = ended.map(|(agent, _)| agent.clone()).collect();
        if mission.retried >= self.config.retries {
            let why = self.why_failed(id);
            self.enter(now, id, MissionState::Failed, &why);
            return;
        }
        if self.helpers(now, id).is_empty() {
            self.explain(now, id, "waits for a robot that can go on");
            return;
        }
        let mut pieces = Vec::new();
        for owner in owners {
            let part = self.missions.get(&id).and_then(|mission| mission.parts.get(&owner));
            let Some(part) = part.filter(|part| !part.remaining.is_empty() || part.post.is_some()) else { continue };
            let why = part.reason.clone();
            pieces.push(Piece { region: part.remaining.clone(), not_to: Some(owner.clone()) });
            self.take_away(now, id, &owner, &why);
        }
        let Some(mission) = self.missions.get_mut(&id) else { return };
        mission.retried += 1;
        pieces.push(Piece { region: mission.leftover.clone(), not_to: None });
        if mission.take_up_leftover().is_ok() {
            let _ragged = self.give_out_pieces(now, id, &pieces);
        }
        self.man_posts(now, id);
    }

    fn why_failed(&self, id: MissionId) -> String {
        let Some(mission) = self.missions.get(&id) else { return String::new() };
        let left = mission.parts.values().find(|part| !part.remaining.is_empty());
        let regions = [&mission.unowned, &mission.leftover].into_iter().chain(left.map(|part| &part.remaining));
        let place = regions
            .filter_map(|region| region.squares().next().map(|square| region.frame().center_of(square)))
            .next()
            .map(|at| format!(", some of it near ({:.1}, {:.1})", at.x, at.y))
            .unwrap_or_default();
        let said = left.map(|part| format!("; the robot said: {}", part.reason)).unwrap_or_default();
        let area = mission.area.area() * (1.0 - mission.covered());
        format!(
            "{:.2} % swept; {area:.1} m² are left over after {} more attempts{place}{said}",
            100.0 * mission.covered(),
            mission.retried
        )
    }

    fn explain(&mut self, now: At, id: MissionId, why: &str) {
        let wall = self.wall_now(now);
        let Some(mission) = self.missions.get_mut(&id).filter(|mission| mission.reason() != why) else { return };
        mission.explain(why, wall);
        self.touch_mission(id);
    }
}

/// Those who will be ready before this area could be swept by all together; who would be ready later anyway is spared.
fn ready_in_time(area: &Region, mut workers: Vec<Worker>) -> Vec<Worker> {
    loop {
        let rates = workers.iter().map(|worker| SWEEP_YIELD * worker.ability);
        let busy: f64 = workers.iter().map(|worker| SWEEP_YIELD * worker.ability * worker.busy).sum();
        let ready = (area.area() + busy) / rates.sum::<f64>().max(0.01);
        let before = workers.len();
        if before > 1 {
            workers.retain(|worker| worker.busy <= ready);
        }
        if workers.len() == before {
            return workers;
        }
    }
}

/// Sortable seconds, in whole milliseconds.
fn ordered(seconds: f64) -> u64 {
    // Negative and NaN become zero, infinite becomes the largest.
    (seconds * 1000.0) as u64
}
