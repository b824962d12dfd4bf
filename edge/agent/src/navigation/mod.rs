//! From waypoints to a velocity: planner, controller, recovery, and the state of the current goal.
//!
//! ```text
//! waypoints -> planner (costmap, search) -> trajectory -> controller -> ControlOutput
//!                                              recovery (when stuck) -^
//! ```

pub(crate) mod controller;
pub(crate) mod layered_grid;
pub(crate) mod nav_state;
pub(crate) mod planner;
pub(crate) mod recovery;
pub(crate) mod trajectory;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use skein_space::path::Search;
use skein_space::planning::PlanningMap;
use skein_types::body::BodyDescriptor;
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::safety::{Cause, Causes};
use skein_types::sensing::Scan;
use skein_types::time::MonoTime;

use self::controller::{ControlOutput, PathFollower, SpeedLimits};
use self::layered_grid::LayeredGrid;
use self::nav_state::{NavState, Retries};
use self::planner::{CostmapSources, PlanOutcome, Planner, TemporaryKeepout};
use self::recovery::{Recovery, RecoveryStep};
use self::trajectory::Trajectory;
use crate::reporting::Reporting;
use crate::status::{BlockedPlace, PlanStatus};

/// One control cycle: 20 Hz.
pub const CONTROL_PERIOD: Duration = Duration::from_millis(50);

/// The path is checked against the costmap every this many cycles.
const CHECK_EVERY: u64 = 5;
/// Keepout around an unmapped obstacle on the path; then the robot tries the place again.
const OBSTRUCTION_TTL: Duration = Duration::from_secs(60);
/// Keepout where the robot got stuck without seeing why.
const STUCK_TTL: Duration = Duration::from_secs(20);
/// Radius of the keepout where the robot got stuck, metres.
const STUCK_RADIUS: f64 = 0.3;
/// Distance of the keepout in front of a stuck robot, along its path, metres.
const STUCK_AHEAD: f64 = 0.7;
/// The obstacle nearest to the obstruction explains it within this distance, metres.
const OBSTRUCTION_MATCH: f64 = 0.5;
/// Obstructions nearer to each other than this are the same, metres.
const SAME_OBSTACLE: f64 = 0.3;
/// A cross-track error above this makes the robot replan, metres.
const OFF_PATH: f64 = 0.45;
/// A yield path whose end is within this of the one in use is the same, metres.
const SAME_END: f64 = 0.15;
/// Distance at which the end of a yield path counts as reached, metres.
const YIELD_REACHED: f64 = 0.08;
/// A path with less than this remaining is extended to further waypoints, metres.
const EXTEND_BELOW: f64 = 5.0;
/// A robot this near to the end of its path without having arrived needs another path, metres.
const EXHAUSTED: f64 = 0.05;
/// Length of the path that the coordination gets, metres.
const SHARED_LENGTH: f64 = 12.0;
/// Bound on the points of the path that the coordination gets.
const SHARED_POINTS_MAX: usize = 64;
/// Path points shown in the status.
const STATUS_POINTS: usize = 64;
/// A stop distance below this means that the robot is supposed to stand, metres.
const MAY_STAND: f64 = 0.15;

/// What a check for being stuck found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RecoveryCheck {
    /// A keepout was put in front: the task has to choose another goal.
    pub(crate) goal_blocked: bool,
    /// The recovery behavior in progress and its velocity command.
    pub(crate) active: Option<(RecoveryStep, Twist)>,
}

/// Planner, controller, recovery and the state of the current goal.
#[derive(Clone, Debug)]
pub(crate) struct Navigation {
    planner: Planner,
    follower: PathFollower,
    recovery: Recovery,
    state: NavState,
}

impl Navigation {
    pub(crate) fn new(map: Arc<PlanningMap>, body: &BodyDescriptor) -> Self {
        let planner = Planner::new(map, body);
        let follower = PathFollower::new(body.drive, *planner.limits());
        Self { planner, follower, recovery: Recovery::new(), state: NavState::default() }
    }

    /// Another goal begins: drops the path and everything tried for the old goal.
    pub(crate) fn reset(&mut self) {
        self.state.reset();
        self.planner.clear_path();
    }

    /// Drops the path; failed attempts still count.
    pub(crate) fn clear_path(&mut self) {
        self.planner.clear_path();
    }

    /// The robot is not supposed to move: no recovery, and the next speed ramps up from zero.
    pub(crate) fn stand(&mut self, now: MonoTime) {
        self.recovery.reset(now);
        self.follower.reset_speed(&Twist::ZERO);
    }

    /// The robot is not supposed to move along its path: ends a recovery in progress.
    pub(crate) const fn end_recovery(&mut self, now: MonoTime) {
        self.recovery.reset(now);
    }

    /// Something else moves the robot at this velocity (body frame).
    pub(crate) fn moved_externally(&mut self, now: MonoTime, twist: &Twist) {
        self.recovery.reset(now);
        self.follower.reset_speed(twist);
    }

    /// The robot is at the goal, or at the end of its path where it cannot get nearer. `within` in metres.
    pub(crate) fn has_arrived(&self, pose: &Pose, goal: Point, within: f64) -> bool {
        let ends_there = self.planner.waypoints().last() == Some(&goal);
        pose.position.distance(goal) < within || (ends_there && self.planner.at_end(pose.position, within))
    }

    /// The path leads to this single waypoint and the robot is within a distance (metres) of its end.
    pub(crate) fn is_at_end_of(&self, waypoint: Point, own: Point, within: f64) -> bool {
        self.planner.waypoints() == [waypoint] && self.planner.at_end(own, within)
    }

    /// The path continues after its first waypoint.
    pub(crate) fn has_further_waypoints(&self) -> bool {
        self.planner.waypoints().len() > 1
    }

    pub(crate) fn waypoint_passed(&mut self, waypoint: Point) {
        self.planner.waypoint_passed(waypoint);
    }

    /// Plans again in the next cycle. The first reason given is kept.
    pub(crate) fn request_replan(&mut self, reason: &'static str) {
        self.state.replan_reason.get_or_insert(reason);
    }

    /// Like [`Self::request_replan`], but replaces an earlier reason.
    pub(crate) const fn override_replan(&mut self, reason: &'static str) {
        self.state.replan_reason = Some(reason);
    }

    pub(crate) const fn retries_mut(&mut self) -> &mut Retries {
        &mut self.state.retries
    }

    /// The next attempt to reach the goal has to wait.
    pub(crate) fn is_waiting_to_retry(&self, now: MonoTime) -> bool {
        self.state.retries.is_waiting(now)
    }

    /// Remaining length of the path, metres.
    pub(crate) fn remaining_length(&self) -> f64 {
        self.planner.trajectory().length() - self.planner.trajectory().along()
    }

    /// The path ahead for the coordination, from the robot's position.
    pub(crate) fn shared_path(&self, own: Point) -> Vec<Point> {
        let mut path = vec![own];
        path.extend(self.planner.trajectory().points_ahead(SHARED_POINTS_MAX, SHARED_LENGTH).into_iter().skip(1));
        path
    }

    pub(crate) const fn costmap(&self) -> &LayeredGrid {
        self.planner.costmap()
    }

    /// Whether the search budget allows a search now.
    pub(crate) fn may_search(&mut self, now: MonoTime) -> bool {
        self.planner.may_search(now)
    }

    /// The costmap and the memory of a search that the caller makes; charges the budget for it.
    pub(crate) fn begin_search(&mut self) -> (&LayeredGrid, &mut Search) {
        self.planner.count_search();
        self.planner.search_parts()
    }

    pub(crate) fn update_costmap(&mut self, now: MonoTime, own: Point, sources: &CostmapSources<'_>) {
        self.planner.update_costmap(now, sources, own);
    }

    /// Updates the costmap when it is due.
    pub(crate) fn refresh_costmap(&mut self, now: MonoTime, own: Point, sources: &CostmapSources<'_>) {
        if self.planner.costmap_stale(now) {
            self.planner.update_costmap(now, sources, own);
        }
    }

    /// Makes sure that there is a path through the waypoints, a new one where the old one does not hold.
    pub(crate) fn ensure_path(
        &mut self,
        now: MonoTime,
        pose: &Pose,
        waypoints: &[Point],
        sources: &CostmapSources<'_>,
        reporting: &mut Reporting,
    ) -> PlanOutcome {
        self.check_path(now, pose, sources, reporting);
        let trajectory = self.planner.trajectory();
        let (empty, remaining) = (trajectory.is_empty(), self.remaining_length());
        let more = self.planner.waypoints().len() < waypoints.len();
        let extend = more && remaining < EXTEND_BELOW && self.state.may_extend(now);
        let other = self.planner.waypoints().first() != waypoints.first();
        let exhausted = self.planner.at_end(pose.position, EXHAUSTED);
        if !(empty || other || extend || exhausted || self.state.replan_reason.is_some()) {
            return PlanOutcome::Path;
        }
        let usable = !empty && !other;
        if self.state.yield_path.is_some() && usable {
            return PlanOutcome::Path;
        }
        self.planner.update_costmap(now, sources, pose.position);
        let outcome = self.planner.plan(now, pose.position, waypoints);
        reporting.counters_mut().searches = self.planner.searches();
        match outcome {
            PlanOutcome::Path => {
                self.start_path(now, pose, reporting);
                PlanOutcome::Path
            }
            PlanOutcome::Deferred if usable => PlanOutcome::Path,
            PlanOutcome::Deferred | PlanOutcome::NoPath => outcome,
        }
    }

    fn start_path(&mut self, now: MonoTime, pose: &Pose, reporting: &mut Reporting) {
        if let Some(reason) = self.state.replan_reason.take() {
            reporting.counters_mut().replans += 1;
            let payload = json!({ "reason": reason, "length_m": self.planner.trajectory().length() });
            reporting.emit_event(now, EventKind::Decision, "replanned", &payload);
        }
        let may_reverse = self.state.retries != Retries::default();
        self.follower.start(self.planner.trajectory(), pose, may_reverse);
    }

    /// Compares the next metres of the path with the present costmap.
    fn check_path(&mut self, now: MonoTime, pose: &Pose, sources: &CostmapSources<'_>, reporting: &mut Reporting) {
        if !reporting.counters().cycles.is_multiple_of(CHECK_EVERY) || self.planner.trajectory().is_empty() {
            return;
        }
        self.refresh_costmap(now, pose.position, sources);
        if self.state.replan_reason.is_some() {
            return;
        }
        if let Some((at, ahead)) = self.planner.first_obstruction(pose.position) {
            self.keep_out_of_obstruction(now, at, ahead, sources, reporting);
            self.state.replan_reason = Some("an unmapped obstacle is on the path");
        }
    }

    /// Puts a keepout on the obstacle that blocks the path, so that the robot does not try again at once.
    fn keep_out_of_obstruction(
        &mut self,
        now: MonoTime,
        at: Point,
        ahead: f64,
        sources: &CostmapSources<'_>,
        reporting: &mut Reporting,
    ) {
        let frame = *self.planner.costmap().map().frame();
        let obstacles = sources.obstacles.obstacles().map(|cell| frame.center_of(cell));
        let nearest = obstacles.min_by(|a, b| a.distance(at).total_cmp(&b.distance(at)));
        let Some(obstacle) = nearest.filter(|nearest| nearest.distance(at) < OBSTRUCTION_MATCH) else { return };
        let known = self.planner.keepouts().iter().any(|keepout| keepout.at.distance(obstacle) < SAME_OBSTACLE);
        let radius = self.planner.limits().clearance;
        let until = now + OBSTRUCTION_TTL;
        self.planner.add_keepout(TemporaryKeepout { at: obstacle, radius, until, reason: "an unmapped obstacle" });
        if !known {
            let retry = OBSTRUCTION_TTL.as_secs();
            let payload = json!({ "at": obstacle, "ahead_m": ahead, "on_map": false, "retried_in_s": retry });
            reporting.emit_event(now, EventKind::Decision, "path_blocked", &payload);
        }
    }

    /// Ends yielding. True when the robot was yielding: it is not where its path expects it, so it replans.
    pub(crate) fn end_yield(&mut self, twist: &Twist) -> bool {
        let yielded = self.state.yield_path.take().is_some();
        if yielded {
            self.state.replan_reason = Some("the robot left its path to yield");
            self.follower.reset_speed(twist);
        }
        yielded
    }

    /// The robot stands: a yield path has no meaning any more.
    pub(crate) fn drop_yield_path(&mut self) {
        self.state.yield_path = None;
    }

    /// Follows the path for one cycle.
    pub(crate) fn follow_path(&mut self, pose: &Pose, limits: &SpeedLimits) -> ControlOutput {
        let dt = CONTROL_PERIOD.as_secs_f64();
        let output = self.follower.step(self.planner.trajectory_mut(), pose, limits, dt);
        if output.cross_track > OFF_PATH {
            self.state.replan_reason = Some("the robot is off its path");
        }
        output
    }

    /// Takes a path on which to yield. True when the robot has not yet reached its end.
    pub(crate) fn begin_yield(&mut self, pose: &Pose, path: &[Point]) -> bool {
        let end = path.last().copied().unwrap_or(pose.position);
        let current = self.state.yield_path.as_ref().and_then(Trajectory::end);
        if current.is_none_or(|current| current.distance(end) >= SAME_END) {
            let trajectory = self.planner.trajectory_through(path);
            self.follower.start(&trajectory, pose, true);
            self.state.yield_path = Some(trajectory);
        }
        end.distance(pose.position) >= YIELD_REACHED
    }

    /// Follows the yield path for one cycle.
    pub(crate) fn execute_yield(&mut self, pose: &Pose, limits: &SpeedLimits) -> ControlOutput {
        let Some(trajectory) = &mut self.state.yield_path else { return ControlOutput::STAND };
        self.follower.step(trajectory, pose, limits, CONTROL_PERIOD.as_secs_f64())
    }

    /// Starts or continues a recovery when the robot should move (its stop distance, metres, is large) and does not.
    pub(crate) fn recover(
        &mut self,
        now: MonoTime,
        pose: &Pose,
        stop_distance: f64,
        scan: &Scan,
        yaw_rate_max: f64,
        (causes, reporting): (Causes, &mut Reporting),
    ) -> RecoveryCheck {
        let begun = self.recovery.check_progress(now, pose, stop_distance > MAY_STAND, scan);
        if let Some(step) = begun {
            reporting.counters_mut().recoveries += 1;
            let causes: Vec<Cause> = causes.iter().collect();
            let payload = json!({ "step": step.name(), "at": pose.position, "reflex": causes });
            reporting.emit_event(now, EventKind::Decision, "stuck", &payload);
        }
        let goal_blocked = begun == Some(RecoveryStep::AddKeepout);
        if goal_blocked {
            self.keep_out_ahead(now, pose);
        }
        let Some(step) = self.recovery.step() else { return RecoveryCheck { goal_blocked, active: None } };
        let twist = self.recovery.control(now, pose, yaw_rate_max);
        if twist.is_none() {
            self.state.replan_reason = Some("the robot was stuck");
            self.follower.reset_speed(&Twist::ZERO);
        }
        RecoveryCheck { goal_blocked, active: twist.map(|twist| (step, twist)) }
    }

    fn keep_out_ahead(&mut self, now: MonoTime, pose: &Pose) {
        let ahead = self.planner.trajectory().points_within(STUCK_AHEAD).last().map(|(at, _)| at);
        let at = ahead.unwrap_or_else(|| pose.map_from_body(Point::new(0.6, 0.0)));
        let until = now + STUCK_TTL;
        self.planner.add_keepout(TemporaryKeepout { at, radius: STUCK_RADIUS, until, reason: "the robot got stuck" });
    }

    /// The plan for the status, without viewpoints of a survey.
    pub(crate) fn status(&self) -> PlanStatus {
        PlanStatus {
            path: self.planner.trajectory().points_ahead(STATUS_POINTS, f64::INFINITY),
            length: self.remaining_length(),
            viewpoints: self.planner.waypoints().to_vec(),
            eta: None,
        }
    }

    /// Temporary keepouts for the status.
    pub(crate) fn blocked_places(&self, now: MonoTime) -> Vec<BlockedPlace> {
        let active = self.planner.keepouts().iter().filter(|keepout| keepout.until > now);
        let places = active.map(|keepout| BlockedPlace {
            at: keepout.at,
            radius: keepout.radius,
            expires_in: keepout.until.secs_since(now),
            reason: keepout.reason.to_owned(),
        });
        places.collect()
    }
}
