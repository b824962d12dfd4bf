//! One control cycle (20 Hz): selects the behavior and turns it into a velocity, with the peers' consent.

use skein_coord::{Guidance, HoldReason, Input};
use skein_types::body::Drive;
use skein_types::coord::AgentState;
use skein_types::failsafe::LossPolicy;
use skein_types::geometry::{Point, Twist};
use skein_types::ids::AgentId;
use skein_types::safety::{Cause, Causes, FailsafeLevel};
use skein_types::units::Meters;

use crate::behavior::{Behavior, CycleContext};
use crate::navigation::controller::{ControlOutput, SpeedLimits};
use crate::safety::manual::ManualState;
use crate::tasking::Tasking;

/// Speed limit while lidar and map disagree, or near a hazard that is not fully believed, m/s.
const CAUTIOUS: f64 = 0.4;
/// Speed limit without a mesh, as a share of the body's top speed: peers are seen by lidar only.
const MESH_LOST_SHARE: f64 = 0.5;
/// A robot that may drive less than this waits, metres.
const WAITS_BELOW: f64 = 0.3;
/// A standing peer nearer than this on the path makes the robot replan, metres.
const REPLAN_BELOW: f64 = 1.0;
/// Lower bound of the speed limit of commands outside a path, m/s.
const SPEED_LIMIT_MIN: f64 = 0.1;

/// The result of a control cycle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) output: ControlOutput,
    pub(crate) state: AgentState,
    pub(crate) why: String,
}

impl Decision {
    pub(crate) fn stand(state: AgentState, why: impl Into<String>) -> Self {
        Self { output: ControlOutput::STAND, state, why: why.into() }
    }

    /// A velocity that follows no path.
    fn twist(twist: Twist, state: AgentState, why: String) -> Self {
        let speed_limit = twist.speed().max(SPEED_LIMIT_MIN);
        Self { output: ControlOutput { twist, speed_limit, ..ControlOutput::STAND }, state, why }
    }
}

/// The first that applies: latch, motors without power, critical battery, manual control, silent peers, lost links, low
/// battery, task.
fn select_behavior(ctx: &mut CycleContext<'_>, tasking: &mut Tasking) -> Behavior {
    update_safety(ctx, tasking);
    if let Some(reason) = ctx.safety.latch_reason() {
        return Behavior::stand(AgentState::Stopped, reason);
    }
    if ctx.safety.reflex().level >= FailsafeLevel::Land {
        return Behavior::stand(AgentState::Stopped, reflex_stop_reason(ctx));
    }
    if ctx.localization.is_unpowered() {
        return Behavior::stand(AgentState::Fault, "the motors have no power; an operator must release it");
    }
    if ctx.safety.battery().is_critical() {
        return critical_behavior(ctx);
    }
    if let Some(manual) = manual_behavior(ctx) {
        return manual;
    }
    if ctx.config.mesh && ctx.safety.waits_for_peers(ctx.now) {
        return Behavior::stand(AgentState::Waiting, "waits until it hears its peers");
    }
    match ctx.safety.loss_policy(ctx.now, ctx.config) {
        (LossPolicy::Hold, link) => Behavior::stand(AgentState::Waiting, format!("holds: {link} is lost")),
        (LossPolicy::Return, link) => return_behavior(ctx, link),
        (LossPolicy::Continue, _) if ctx.safety.battery().is_low() => ctx.charge().behavior,
        (LossPolicy::Continue, _) => tasking.step(ctx),
    }
}

/// Compares battery, links and the manual command with their limits. A change interrupts the task.
fn update_safety(ctx: &mut CycleContext<'_>, tasking: &mut Tasking) {
    let battery = ctx.localization.frame().map(|frame| frame.battery);
    let changed = ctx.safety.update(ctx.now, battery, ctx.config, ctx.reporting);
    let expired = ctx.safety.expire_manual(ctx.now, ctx.reporting);
    if changed || expired {
        tasking.on_interruption();
        ctx.navigation.reset();
    }
}

/// The reflex has latched by itself (power loss, tip-over, the body's emergency stop), or lands.
fn reflex_stop_reason(ctx: &CycleContext<'_>) -> String {
    let (reflex, drive) = (ctx.safety.reflex(), ctx.config.descriptor.drive);
    let causes = reflex.causes.iter().filter(|cause| cause.action(drive).level() >= FailsafeLevel::Land);
    let names: Vec<&str> = causes.map(Cause::name).collect();
    let action = if reflex.level == FailsafeLevel::Land { "lands" } else { "stopped by the reflex" };
    format!("{action}: {}", names.join(", ").replace('_', " "))
}

/// Too little charge to move: the reflex lands a flyer, and a robot on wheels stands.
fn critical_behavior(ctx: &CycleContext<'_>) -> Behavior {
    let charge = ctx.localization.battery().charge.get();
    let action = match ctx.config.descriptor.drive {
        Drive::Multirotor => "lands",
        Drive::Differential | Drive::Holonomic => "stands",
    };
    Behavior::stand(AgentState::Fault, format!("{action}: {charge:.0} % charge is too low to move"))
}

fn manual_behavior(ctx: &CycleContext<'_>) -> Option<Behavior> {
    match ctx.safety.manual() {
        ManualState::Automatic => None,
        ManualState::Driving(control) => {
            let why = format!("driven by {}: {}", control.operator(), control.reason());
            Some(Behavior::Manual { twist: control.twist(&ctx.pose, &ctx.config.descriptor), why })
        }
        ManualState::Holding { operator } => {
            Some(Behavior::stand(AgentState::Stopped, format!("stands until {operator} gives control back")))
        }
    }
}

/// Returns home because a link is lost, and waits there.
fn return_behavior(ctx: &mut CycleContext<'_>, link: &str) -> Behavior {
    let home = ctx.config.home.position;
    if ctx.has_arrived(home) {
        return Behavior::stand(AgentState::Idle, format!("waits at home: {link} is lost"));
    }
    ctx.approach(home, AgentState::Returning, format!("returns home: {link} is lost")).behavior
}

/// Runs the cycle up to its velocity.
pub(crate) fn decide(ctx: &mut CycleContext<'_>, tasking: &mut Tasking) -> Decision {
    match select_behavior(ctx, tasking) {
        Behavior::Stand { state, why } => stand(ctx, tasking, state, why),
        Behavior::Manual { twist, why } => {
            guidance(ctx, tasking, AgentState::Stopped, Vec::new());
            ctx.navigation.moved_externally(ctx.now, &twist);
            Decision::twist(twist, AgentState::Stopped, why)
        }
        Behavior::Go { state, why } => go(ctx, tasking, state, why),
    }
}

/// Announces the robot's own state and path to the peers and asks whether it may go on.
fn guidance(ctx: &mut CycleContext<'_>, tasking: &Tasking, state: AgentState, path: Vec<Point>) -> Guidance {
    let own = ctx.own_state(state, path, tasking.priority());
    ctx.coordination.step_coordinator(ctx.now, Input::Own(own.clone()), ctx.reporting);
    ctx.refresh_costmap();
    ctx.coordination.guidance(ctx.now, &own, ctx.navigation.costmap(), ctx.reporting)
}

/// Stands, and yields to peers that ask for it.
fn stand(ctx: &mut CycleContext<'_>, tasking: &mut Tasking, state: AgentState, why: String) -> Decision {
    ctx.navigation.end_recovery(ctx.now);
    match guidance(ctx, tasking, state, Vec::new()) {
        Guidance::MoveAside { path, for_agent } => execute_yield(ctx, tasking, &path, &for_agent),
        Guidance::Go | Guidance::Hold { .. } => {
            ctx.navigation.drop_yield_path();
            ctx.navigation.stand(ctx.now);
            Decision::stand(state, why)
        }
    }
}

fn go(ctx: &mut CycleContext<'_>, tasking: &mut Tasking, state: AgentState, why: String) -> Decision {
    let path = ctx.navigation.shared_path(ctx.pose.position);
    match guidance(ctx, tasking, state, path) {
        Guidance::Go => follow_path(ctx, tasking, f64::INFINITY, state, why),
        Guidance::Hold { at_distance, for_agent, reason } => {
            let stop_distance = at_distance.get();
            if reason == HoldReason::Obstacle && stop_distance < REPLAN_BELOW {
                ctx.navigation.request_replan("a standing peer is on the path");
            }
            if stop_distance < WAITS_BELOW {
                let why = wait_reason(&for_agent, reason);
                follow_path(ctx, tasking, stop_distance, AgentState::Waiting, why)
            } else {
                follow_path(ctx, tasking, stop_distance, state, why)
            }
        }
        Guidance::MoveAside { path, for_agent } => execute_yield(ctx, tasking, &path, &for_agent),
    }
}

/// Follows the robot's own path, to a stop within `stop_distance` metres.
fn follow_path(
    ctx: &mut CycleContext<'_>,
    tasking: &mut Tasking,
    stop_distance: f64,
    state: AgentState,
    why: String,
) -> Decision {
    if ctx.navigation.end_yield(&ctx.localization.twist()) {
        return Decision::stand(state, why);
    }
    if let Some(decision) = recover(ctx, tasking, stop_distance, state) {
        return decision;
    }
    let limits = SpeedLimits { stop_distance, speed: speed_limit(ctx), clear: ctx.safety.clear_distance() };
    let output = ctx.navigation.follow_path(&ctx.pose, &limits);
    let why = if ctx.safety.reflex_holds() { hold_reason(ctx) } else { why };
    Decision { output, state, why }
}

/// Speed limit from what the robot does not know, m/s.
fn speed_limit(ctx: &CycleContext<'_>) -> f64 {
    let doubtful = ctx.coordination.doubtful_hazard_near(ctx.now, ctx.pose.position);
    let map = if doubtful || ctx.localization.map_disagrees() { CAUTIOUS } else { f64::INFINITY };
    let top = ctx.config.descriptor.speed_max.get();
    let mesh = if ctx.safety.links().is_mesh_lost() { MESH_LOST_SHARE * top } else { f64::INFINITY };
    map.min(mesh)
}

/// Leaves the path of a peer that goes first.
fn execute_yield(ctx: &mut CycleContext<'_>, tasking: &mut Tasking, path: &[Point], for_agent: &AgentId) -> Decision {
    let why = format!("yields to {for_agent}");
    if !ctx.navigation.begin_yield(&ctx.pose, path) {
        ctx.navigation.stand(ctx.now);
        return Decision::stand(AgentState::Yielding, why);
    }
    if let Some(decision) = recover(ctx, tasking, f64::INFINITY, AgentState::Yielding) {
        return decision;
    }
    let limits = SpeedLimits { clear: ctx.safety.clear_distance(), ..SpeedLimits::NONE };
    let output = ctx.navigation.execute_yield(&ctx.pose, &limits);
    Decision { output, state: AgentState::Yielding, why }
}

/// Checks for being stuck; `Some` while a recovery behavior moves the robot.
fn recover(
    ctx: &mut CycleContext<'_>,
    tasking: &mut Tasking,
    stop_distance: f64,
    state: AgentState,
) -> Option<Decision> {
    let scan = &ctx.localization.frame()?.scan;
    let yaw_rate_max = ctx.config.descriptor.yaw_rate_max.get();
    let causes = ctx.safety.reflex().causes;
    let check = ctx.navigation.recover(ctx.now, &ctx.pose, stop_distance, scan, yaw_rate_max, (causes, ctx.reporting));
    if check.goal_blocked && ctx.safety.allows_task() {
        tasking.skip_goal(ctx, "the robot got stuck on the path there");
    }
    let (step, twist) = check.active?;
    Some(Decision::twist(twist, state, format!("is stuck: {}", step.name().replace('_', " "))))
}

fn wait_reason(peer: &AgentId, reason: HoldReason) -> String {
    match reason {
        HoldReason::GiveWay => format!("waits for {peer}, which goes first"),
        HoldReason::Follow => format!("waits behind {peer}"),
        HoldReason::Cornered => format!("cannot yield to {peer}, which has to back out"),
        HoldReason::Obstacle => format!("waits: {peer} stands on the path"),
    }
}

fn hold_reason(ctx: &CycleContext<'_>) -> String {
    let reflex = ctx.safety.reflex();
    causes_text(reflex.causes, reflex.clear_distance)
}

fn causes_text(causes: Causes, clear: Meters) -> String {
    let names: Vec<&str> = causes.iter().filter(|c| c.level() >= FailsafeLevel::Hold).map(Cause::name).collect();
    let what = if names.is_empty() { "the reflex".to_owned() } else { names.join(", ").replace('_', " ") };
    if clear.get().is_finite() {
        format!("holds: {what}, {:.2} m free ahead", clear.get())
    } else {
        format!("holds: {what}")
    }
}
