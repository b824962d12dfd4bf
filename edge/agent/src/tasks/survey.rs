//! Survey: cover a region with the sensor, first along planned viewpoints, then from residual ones.

use serde_json::json;
use skein_space::planning::PlanningMap;
use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::mission::SliceState;
use skein_types::safety::Cause;

use super::coverage::{Coverage, CoverageMemory};
use super::{Task, TaskStep};
use crate::behavior::{ARRIVED, Behavior, CycleContext};
use crate::navigation::nav_state::Retries;
use crate::navigation::planner::PlanOutcome;

/// A viewpoint followed by others counts as reached at this distance, so that corners are rounded, metres.
const PASSED: f64 = 0.35;
/// A viewpoint counts as reached at this distance when the reflex lets the robot come no nearer, metres.
const HELD_NEAR: f64 = 0.40;
/// A residual viewpoint counts as reached at this distance, metres.
const EXACT: f64 = 0.08;
/// Waypoints handed to the planner at once.
const WAYPOINTS_MAX: usize = 16;
/// Dropping a redundant viewpoint farther away than this is worth a new path, metres.
const SHORTCUT: f64 = 0.7;
/// Redundant viewpoints dropped in one cycle.
const DROPPED_AT_ONCE: usize = 4;

/// An assignment to cover a region.
#[derive(Debug)]
pub(crate) struct SurveyTask {
    coverage: Coverage,
    /// The viewpoint chosen for remaining cells after the planned viewpoints.
    residual: Option<Point>,
    /// Version of the coverage at the last check of the viewpoints.
    checked_version: u64,
    /// Cells given up since the last report.
    given_up: u64,
}

impl SurveyTask {
    pub(crate) const fn new(coverage: Coverage) -> Self {
        Self { coverage, residual: None, checked_version: 0, given_up: 0 }
    }

    fn is_begun(&self) -> bool {
        self.coverage.version() > 0
    }

    fn choose(&mut self, ctx: &mut CycleContext<'_>) -> Behavior {
        let state = if self.is_begun() { AgentState::Executing } else { AgentState::MovingToStart };
        if ctx.navigation.is_waiting_to_retry(ctx.now) {
            return Behavior::stand(state, "what remains cannot be reached now; tries again");
        }
        let waypoints = self.waypoints();
        if waypoints.is_empty() { self.choose_residual(ctx, state) } else { self.drive(ctx, &waypoints, state) }
    }

    fn waypoints(&self) -> Vec<Point> {
        match self.residual {
            Some(residual) => vec![residual],
            None => self.coverage.viewpoints().iter().take(WAYPOINTS_MAX).copied().collect(),
        }
    }

    fn drive(&mut self, ctx: &mut CycleContext<'_>, waypoints: &[Point], state: AgentState) -> Behavior {
        match ctx.ensure_path(waypoints) {
            PlanOutcome::Path => {
                *ctx.navigation.retries_mut() = Retries::default();
                Behavior::Go { state, why: self.why() }
            }
            PlanOutcome::Deferred => Behavior::stand(state, "plans a path to its next viewpoint"),
            PlanOutcome::NoPath => {
                self.skip_goal(ctx, "no path there now");
                Behavior::stand(state, "skips a viewpoint that it cannot reach now")
            }
        }
    }

    fn why(&self) -> String {
        let percent = self.coverage.percent();
        if self.residual.is_some() {
            return format!("covers what remains, {percent:.0} % covered");
        }
        let (number, count) = self.coverage.viewpoint_number();
        format!("covers viewpoint {number} of {count}, {percent:.0} % covered")
    }

    /// All planned viewpoints are done: chooses a viewpoint for remaining cells.
    fn choose_residual(&mut self, ctx: &mut CycleContext<'_>, state: AgentState) -> Behavior {
        if !ctx.navigation.may_search(ctx.now) {
            return Behavior::stand(state, "chooses a viewpoint for what remains");
        }
        ctx.update_costmap();
        let (costmap, search) = ctx.navigation.begin_search();
        if let Some(viewpoint) = self.coverage.choose_residual_viewpoint(costmap, search, ctx.pose.position) {
            self.residual = Some(viewpoint);
            return self.drive(ctx, &[viewpoint], state);
        }
        if ctx.navigation.retries_mut().record_failure(ctx.now) {
            self.given_up += self.coverage.give_up_remaining("cannot be reached: something is in the way");
            *ctx.navigation.retries_mut() = Retries::default();
        }
        Behavior::stand(state, "what remains cannot be reached now; tries again")
    }

    /// Ends viewpoints that were reached or that show nothing new any more.
    fn check_viewpoints(&mut self, ctx: &mut CycleContext<'_>) {
        let held = ctx.safety.reflex().causes.contains(Cause::ObstacleStop);
        match self.residual {
            Some(residual) => self.check_residual(ctx, residual, held),
            None => self.check_planned(ctx, held),
        }
    }

    fn check_residual(&mut self, ctx: &mut CycleContext<'_>, residual: Point, held: bool) {
        let (map, own) = (&ctx.config.map, ctx.pose.position);
        let changed = self.checked_version != self.coverage.version();
        let seen = changed && self.coverage.gain(map, residual, 1) == 0;
        let distance = own.distance(residual);
        let ended = ctx.navigation.is_at_end_of(residual, own, EXACT);
        if seen || ended || distance < EXACT || (held && distance < HELD_NEAR) {
            self.given_up += self.coverage.residual_attempted(map, "not visible from where it can be reached");
            self.residual = None;
            ctx.navigation.clear_path();
        }
        self.checked_version = self.coverage.version();
    }

    fn check_planned(&mut self, ctx: &mut CycleContext<'_>, held: bool) {
        let Some(front) = self.coverage.viewpoints().front().copied() else { return };
        let own = ctx.pose.position;
        let distance = own.distance(front);
        let near = if ctx.navigation.has_further_waypoints() { PASSED } else { ARRIVED };
        let ended = ctx.navigation.is_at_end_of(front, own, ARRIVED);
        let reached = distance < near || ended || (held && distance < HELD_NEAR);
        if reached {
            self.coverage.advance();
            ctx.navigation.waypoint_passed(front);
        }
        if reached || self.checked_version != self.coverage.version() {
            self.checked_version = self.coverage.version();
            self.drop_redundant(ctx);
        }
    }

    fn drop_redundant(&mut self, ctx: &mut CycleContext<'_>) {
        let before = self.coverage.viewpoints().front().copied();
        if self.coverage.drop_redundant(&ctx.config.map, DROPPED_AT_ONCE)
            && let Some(dropped) = before
        {
            if dropped.distance(ctx.pose.position) > SHORTCUT {
                ctx.navigation.override_replan("the next viewpoint is covered already");
            } else {
                ctx.navigation.waypoint_passed(dropped);
            }
        }
    }

    fn finish(&self) -> TaskStep {
        let (percent, losses) = (self.coverage.percent(), self.coverage.losses());
        let reason = if losses.is_empty() {
            format!("covered {percent:.1} %")
        } else {
            format!("covered {percent:.1} %, gave up {losses}")
        };
        TaskStep::from(Behavior::stand(AgentState::Idle, reason.clone())).request_transition(SliceState::Done, reason)
    }
}

impl Task for SurveyTask {
    fn name(&self) -> &'static str {
        "survey"
    }

    fn step(&mut self, ctx: &mut CycleContext<'_>, state: SliceState) -> TaskStep {
        self.check_viewpoints(ctx);
        let begun = self.is_begun() && state == SliceState::MovingToStart;
        let mut step = if self.coverage.is_complete() { self.finish() } else { TaskStep::from(self.choose(ctx)) };
        if begun {
            step.transitions.insert(0, (SliceState::Executing, String::new()));
        }
        step
    }

    fn on_position(&mut self, map: &PlanningMap, position: Point) {
        self.coverage.mark_covered(map, position);
    }

    fn on_interruption(&mut self) {
        self.residual = None;
        self.checked_version = 0;
    }

    fn skip_goal(&mut self, ctx: &mut CycleContext<'_>, reason: &str) {
        let skipped = self.residual.or_else(|| self.coverage.viewpoints().front().copied());
        if self.residual.take().is_some() {
            self.given_up += self.coverage.residual_attempted(&ctx.config.map, "no path to where it is visible from");
        } else {
            self.coverage.advance();
        }
        ctx.navigation.clear_path();
        ctx.emit_decision("viewpoint_skipped", &json!({ "at": skipped, "reason": reason }));
    }

    fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    fn coverage(&self) -> Option<&Coverage> {
        Some(&self.coverage)
    }

    fn into_memory(self: Box<Self>) -> Option<CoverageMemory> {
        Some(self.coverage.into_memory())
    }
}
