//! Path planning over the costmap: from waypoints to a trajectory, with a budget of searches.

use std::sync::Arc;
use std::time::Duration;

use skein_space::path::{self, AngleOptions, Search};
use skein_space::planning::{PlanningMap, Traversable, nearest_traversable};
use skein_space::sight;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::localization::obstacle_layer::ObstacleLayer;
use crate::navigation::layered_grid::LayeredGrid;
use crate::navigation::trajectory::{Limits, Trajectory};

/// A search costs one token; this is the most that can accumulate.
const SEARCH_TOKENS_MAX: f64 = 3.0;
/// Tokens earned per second, which bounds the average rate of searches.
const SEARCHES_PER_SECOND: f64 = 2.0;
/// The costmap is updated at least this often, so that expired entries disappear.
const COSTMAP_AGE_MAX: Duration = Duration::from_millis(500);
/// A path through several waypoints is planned at least this far, metres.
const HORIZON: f64 = 10.0;
/// Margin above the required clearance at which a straight line needs no search, metres.
const STRAIGHT_MARGIN: f64 = 0.12;
/// Margin above the required clearance that the search prefers, metres.
const PREFERRED_MARGIN: f64 = 0.25;
/// A blocked goal is moved to the nearest free cell within this distance, metres.
const GOAL_SNAP: f64 = 0.35;
/// A robot that stands on a blocked cell starts its path at the nearest free cell within this distance, metres.
const START_SNAP: f64 = 1.0;
/// The path is checked against the current costmap this far ahead, metres.
const CHECK_AHEAD: f64 = 4.0;
/// Bound on the temporary keepouts.
const KEEPOUTS_MAX: usize = 64;
/// Margin around unmapped obstacles above the required clearance, metres: the reflex needs 0.1 m free ahead, and the
/// position is known to half a cell.
const OBSTACLE_MARGIN: f64 = 0.07;

/// A circle that no path crosses until it expires.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TemporaryKeepout {
    pub(crate) at: Point,
    pub(crate) radius: f64,
    pub(crate) until: MonoTime,
    pub(crate) reason: &'static str,
}

/// A circle that no path crosses in this update of the costmap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CircularKeepout {
    pub(crate) at: Point,
    /// Distance that the robot's centre has to keep, metres.
    pub(crate) radius: f64,
}

/// Gives the keepouts of hazards and standing peers for a robot at `own`.
pub(crate) trait KeepoutSource {
    fn keepouts(&self, now: MonoTime, own: Point) -> Vec<CircularKeepout>;
}

/// Inputs of the costmap besides the static map. Keepouts are computed only when the costmap is updated.
#[derive(Clone, Copy)]
pub(crate) struct CostmapSources<'a> {
    pub(crate) obstacles: &'a ObstacleLayer,
    pub(crate) keepouts: &'a dyn KeepoutSource,
}

/// Result of a planning request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanOutcome {
    /// A path to at least the first waypoint exists.
    Path,
    /// The search budget is used up; request again in the next cycle.
    Deferred,
    /// No path to the first waypoint exists.
    NoPath,
}

/// Owns the costmap, the search budget and the trajectory in use.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    costmap: LayeredGrid,
    search: Search,
    limits: Limits,
    trajectory: Trajectory,
    /// Waypoints that the trajectory passes, in order; the last is its end.
    waypoints: Vec<Point>,
    keepouts: Vec<TemporaryKeepout>,
    tokens: f64,
    tokens_at: MonoTime,
    costmap_at: Option<MonoTime>,
    searches: u64,
}

/// Planning limits: below what the body can do, so that the controller has a reserve.
pub(crate) fn limits_for(body: &BodyDescriptor, clearance: Meters) -> Limits {
    Limits {
        speed: body.speed_max.get(),
        speed_min: 0.08_f64.min(body.speed_max.get()),
        yaw_rate: body.yaw_rate_max.get(),
        braking: 0.4 * body.braking_max.get(),
        acceleration: 0.9 * body.acceleration_max.get(),
        radius: body.radius.get(),
        clearance: clearance.get(),
    }
}

impl Planner {
    pub(crate) fn new(map: Arc<PlanningMap>, body: &BodyDescriptor) -> Self {
        let limits = limits_for(body, map.params().clearance);
        Self {
            costmap: LayeredGrid::new(map),
            search: Search::new(),
            limits,
            trajectory: Trajectory::default(),
            waypoints: Vec::new(),
            keepouts: Vec::new(),
            tokens: SEARCH_TOKENS_MAX,
            tokens_at: MonoTime::ZERO,
            costmap_at: None,
            searches: 0,
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn trajectory(&self) -> &Trajectory {
        &self.trajectory
    }

    pub(crate) const fn trajectory_mut(&mut self) -> &mut Trajectory {
        &mut self.trajectory
    }

    pub(crate) const fn searches(&self) -> u64 {
        self.searches
    }

    pub(crate) const fn costmap(&self) -> &LayeredGrid {
        &self.costmap
    }

    /// The costmap and the scratch memory of a search, for a search outside the planner.
    pub(crate) const fn search_parts(&mut self) -> (&LayeredGrid, &mut Search) {
        (&self.costmap, &mut self.search)
    }

    /// The robot is within a distance (metres) of the end of its path, where it cannot get nearer to the goal.
    pub(crate) fn at_end(&self, own: Point, within: f64) -> bool {
        let left = self.trajectory.length() - self.trajectory.along();
        left <= within && self.trajectory.end().is_some_and(|end| end.distance(own) < within)
    }

    /// Removes the first waypoint once the robot has passed it.
    pub(crate) fn waypoint_passed(&mut self, place: Point) {
        if self.waypoints.first() == Some(&place) {
            self.waypoints.remove(0);
        }
    }

    /// The waypoints ahead.
    pub(crate) fn waypoints(&self) -> &[Point] {
        &self.waypoints
    }

    pub(crate) fn keepouts(&self) -> &[TemporaryKeepout] {
        &self.keepouts
    }

    /// Drops the trajectory in use.
    pub(crate) fn clear_path(&mut self) {
        self.trajectory = Trajectory::default();
        self.waypoints.clear();
    }

    /// Adds a keepout, or extends the one at the same place.
    pub(crate) fn add_keepout(&mut self, keepout: TemporaryKeepout) {
        self.costmap_at = None;
        if let Some(known) = self.keepouts.iter_mut().find(|known| known.at.distance(keepout.at) < 0.15) {
            known.until = known.until.max(keepout.until);
            return;
        }
        if self.keepouts.len() < KEEPOUTS_MAX {
            self.keepouts.push(keepout);
        }
    }

    /// Whether the budget allows a search now.
    pub(crate) fn may_search(&mut self, now: MonoTime) -> bool {
        let earned = now.secs_since(self.tokens_at) * SEARCHES_PER_SECOND;
        self.tokens = (self.tokens + earned).min(SEARCH_TOKENS_MAX);
        self.tokens_at = now;
        self.tokens >= 1.0
    }

    /// Charges the budget for a search made with [`Self::search_parts`].
    pub(crate) fn count_search(&mut self) {
        self.tokens -= 1.0;
        self.searches += 1;
    }

    /// Rebuilds the overlay. Around the robot itself only the static map blocks: the robot has to leave.
    pub(crate) fn update_costmap(&mut self, now: MonoTime, sources: &CostmapSources<'_>, own: Point) {
        self.keepouts.retain(|keepout| keepout.until > now);
        self.costmap.clear_overlay();
        let frame = *self.costmap.frame();
        for cell in sources.obstacles.obstacles() {
            self.costmap.block_circle(frame.center_of(cell), self.limits.clearance + OBSTACLE_MARGIN);
        }
        for keepout in &self.keepouts {
            self.costmap.block_circle(keepout.at, keepout.radius);
        }
        for keepout in sources.keepouts.keepouts(now, own) {
            self.costmap.block_circle(keepout.at, keepout.radius);
        }
        self.costmap.unblock_circle(own, 0.2);
        self.costmap_at = Some(now);
    }

    /// The costmap is older than [`COSTMAP_AGE_MAX`].
    pub(crate) fn costmap_stale(&self, now: MonoTime) -> bool {
        self.costmap_at.is_none_or(|at| now.since(at) >= COSTMAP_AGE_MAX)
    }

    /// Plans a trajectory through the waypoints as far as [`HORIZON`]. The costmap must be up to date.
    pub(crate) fn plan(&mut self, now: MonoTime, from: Point, waypoints: &[Point]) -> PlanOutcome {
        let mut corners = vec![from];
        let mut passed = Vec::new();
        let (mut at, mut length) = (self.start(from), 0.0);
        if at.distance(from) > 0.05 {
            corners.push(at);
        }
        for waypoint in waypoints {
            if length > HORIZON {
                break;
            }
            let leg = match self.leg(now, at, *waypoint, passed.is_empty() || length < 3.0) {
                Ok(leg) => leg,
                Err(planned) if passed.is_empty() => return planned,
                Err(_) => break,
            };
            length += path::path_length(&leg).get();
            at = leg.last().copied().unwrap_or(at);
            corners.extend(leg.iter().skip(1));
            passed.push(*waypoint);
        }
        self.trajectory = Trajectory::new(&corners, &self.limits, |point| self.costmap.clearance_at(point));
        self.waypoints = passed;
        PlanOutcome::Path
    }

    /// A trajectory through corners that were planned elsewhere.
    pub(crate) fn trajectory_through(&self, corners: &[Point]) -> Trajectory {
        Trajectory::new(corners, &self.limits, |point| self.costmap.clearance_at(point))
    }

    fn start(&self, from: Point) -> Point {
        if self.costmap.traversable_at(from) {
            return from;
        }
        let nearest = nearest_traversable(&self.costmap, from, Meters(START_SNAP));
        nearest.map_or(from, |cell| self.costmap.frame().center_of(cell))
    }

    /// One path from point to point: straight where the clearance suffices, else searched.
    fn leg(&mut self, now: MonoTime, from: Point, to: Point, search: bool) -> Result<Vec<Point>, PlanOutcome> {
        let to = self.snap(to).ok_or(PlanOutcome::NoPath)?;
        let straight_clearance = self.limits.clearance + STRAIGHT_MARGIN;
        if sight::line_passable(&self.costmap, from, to) && self.costmap.clearance_along(from, to) >= straight_clearance
        {
            return Ok(vec![from, to]);
        }
        if !search || !self.may_search(now) {
            return Err(PlanOutcome::Deferred);
        }
        // A search between near points is cheap; only distant ones cost a full token.
        self.tokens -= (from.distance(to) / 8.0).clamp(0.1, 1.0);
        self.searches += 1;
        let options = AngleOptions { comfortable: Meters(self.limits.clearance + PREFERRED_MARGIN), penalty: 6.0 };
        path::any_angle(&mut self.search, &self.costmap, from, to, &options).ok_or(PlanOutcome::NoPath)
    }

    fn snap(&self, goal: Point) -> Option<Point> {
        if self.costmap.traversable_at(goal) {
            return Some(goal);
        }
        nearest_traversable(&self.costmap, goal, Meters(GOAL_SNAP)).map(|cell| self.costmap.frame().center_of(cell))
    }

    /// The first point of the trajectory within [`CHECK_AHEAD`] that is now blocked: where, and how far along (metres).
    pub(crate) fn first_obstruction(&self, own: Point) -> Option<(Point, f64)> {
        self.trajectory.points_within(CHECK_AHEAD).find(|(at, _)| {
            at.distance(own) > 0.3 && !self.costmap.traversable_at(*at) && self.costmap.map().traversable_at(*at)
        })
    }
}
