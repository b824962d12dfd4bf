//! The round of 20 Hz: from what the robot wants to how it moves.

use serde_json::json;
use skein_coord::{Guidance, HoldReason, OwnState};
use skein_types::coord::{AgentState, HazardKind};
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::AgentId;
use skein_types::mission::Priority;
use skein_types::motion::Setpoint;
use skein_types::safety::{Cause, Causes, FailsafeLevel, Surroundings};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond};
use std::time::Duration;

use crate::agent::Agent;
use crate::behave::Intention;
use crate::course::Tries;
use crate::follow::{Brake, Wish};
use crate::io::{CYCLE, Output, SETPOINT_LIFE};
use crate::mission::Work;
use crate::navigate::{Blocked, Disc, Known, Planned};
use crate::recover::Step;
use crate::route::Route;

/// The way is checked against what was seen since every so many cycles.
const CHECK_EVERY: u64 = 5;
/// A place found blocked is taken out of plans for this long, then looked at again.
const BLOCKED_FOR: Duration = Duration::from_secs(60);
/// A place where the robot got stuck without seeing why is taken out of plans for this long.
const STUCK_FOR: Duration = Duration::from_secs(20);
/// Farther off its way than this the robot plans anew, metres.
const OFF_WAY: f64 = 0.45;
/// A way made aside that ends within this of the one in use is the same, metres.
const SAME_END: f64 = 0.15;
/// A way with less than this left is made longer while there are places for it, metres.
const EXTEND_BELOW: f64 = 5.0;
/// Nearer than this to the end of its way without having arrived, the robot needs another, metres.
const OVER: f64 = 0.05;
/// Where the lidar and the map disagree it drives no faster than this, m/s.
const WARY: f64 = 0.4;
/// How much of the way is told to the coordination, metres.
const TOLD: f64 = 12.0;
/// Most points of the way told to the coordination.
const TOLD_POINTS: usize = 64;
/// A setpoint slower than this is standing.
const STANDS: f64 = 0.03;

/// What the cycle decided.
struct Decision {
    wish: Wish,
    state: AgentState,
    why: String,
}

impl Decision {
    fn stand(state: AgentState, why: impl Into<String>) -> Self {
        Self { wish: Wish::STAND, state, why: why.into() }
    }
}

impl Agent {
    pub(crate) fn cycle(&mut self, now: MonoTime) {
        self.report_cliffs(now);
        let decision = match self.pose() {
            Some(pose) => self.decide(now, &pose),
            None => Decision::stand(AgentState::Idle, "waits for the first word of its localiser"),
        };
        self.narrator.say(now, decision.state, &decision.why);
        self.say_setpoint(now, &decision.wish);
        self.say_surroundings(now);
        self.tell_given_up(now);
        self.report_progress(now);
    }

    fn decide(&mut self, now: MonoTime, pose: &Pose) -> Decision {
        match self.intend(now, pose) {
            Intention::Stand { state, why } => self.stand(now, pose, state, why),
            Intention::Manual { twist, why } => {
                self.ask_guidance(now, pose, AgentState::Stopped, Vec::new());
                self.recovery.rest(now);
                self.follower.forget_speed(&twist);
                let speed_limit = twist.speed().max(0.1);
                let wish = Wish { twist, speed_limit, off: 0.0, left: 0.0 };
                Decision { wish, state: AgentState::Stopped, why }
            }
            Intention::Go { state, why, .. } => self.go(now, pose, state, why),
        }
    }

    /// Stands, and makes room for who asks.
    fn stand(&mut self, now: MonoTime, pose: &Pose, state: AgentState, why: String) -> Decision {
        self.recovery.rest(now);
        match self.ask_guidance(now, pose, state, Vec::new()) {
            Guidance::MoveAside { path, for_agent } => self.make_room(now, pose, &path, &for_agent),
            Guidance::Go | Guidance::Hold { .. } => {
                self.course.aside = None;
                self.follower.forget_speed(&Twist::ZERO);
                Decision::stand(state, why)
            }
        }
    }

    fn go(&mut self, now: MonoTime, pose: &Pose, state: AgentState, why: String) -> Decision {
        let mut path = vec![pose.position];
        path.extend(self.navigator.route().points_ahead(TOLD_POINTS, TOLD).into_iter().skip(1));
        match self.ask_guidance(now, pose, state, path) {
            Guidance::Go => self.drive(now, pose, Brake::NONE, state, why),
            Guidance::Hold { at_distance, for_agent, reason } => {
                if reason == HoldReason::Obstacle && at_distance.get() < 1.0 {
                    self.course.replan.get_or_insert("a peer that does not move is in the way");
                }
                let brake = Brake { stop_in: at_distance.get(), ..Brake::NONE };
                let waits = at_distance.get() < 0.3;
                let why = if waits { hold_sentence(&for_agent, reason) } else { why };
                let state = if waits { AgentState::Waiting } else { state };
                self.drive(now, pose, brake, state, why)
            }
            Guidance::MoveAside { path, for_agent } => self.make_room(now, pose, &path, &for_agent),
        }
    }

    /// Follows the own way.
    fn drive(&mut self, now: MonoTime, pose: &Pose, brake: Brake, state: AgentState, why: String) -> Decision {
        if self.course.aside.take().is_some() {
            self.course.replan = Some("it made room and is somewhere else now");
            let twist = self.sensed.frame().map(|frame| frame.twist).unwrap_or_default();
            self.follower.forget_speed(&twist);
            return Decision::stand(state, why);
        }
        if let Some(decision) = self.recover(now, pose, brake.stop_in, state) {
            return decision;
        }
        let speed = if self.map_disagrees { WARY } else { f64::INFINITY };
        let brake = Brake { clear: self.clear_ahead(), speed, ..brake };
        let dt = CYCLE.as_secs_f64();
        let wish = self.follower.step(self.navigator.route_mut(), pose, &brake, dt);
        if wish.off > OFF_WAY {
            self.course.replan = Some("it is off its way");
        }
        let held = self.reflex.level >= FailsafeLevel::Hold;
        let why = if held { held_sentence(self.reflex.causes, self.reflex.clear_distance) } else { why };
        Decision { wish, state, why }
    }

    /// Gets out of someone's way.
    fn make_room(&mut self, now: MonoTime, pose: &Pose, path: &[Point], for_agent: &AgentId) -> Decision {
        let why = format!("makes room for {for_agent}");
        let end = path.last().copied().unwrap_or(pose.position);
        let same = self.course.aside.as_ref().and_then(Route::end).is_some_and(|old| old.distance(end) < SAME_END);
        if !same {
            let route = self.navigator.adopt(path);
            self.follower.begin(&route, pose, true);
            self.course.aside = Some(route);
        }
        if end.distance(pose.position) < 0.08 {
            self.recovery.rest(now);
            self.follower.forget_speed(&Twist::ZERO);
            return Decision::stand(AgentState::Yielding, why);
        }
        if let Some(decision) = self.recover(now, pose, f64::INFINITY, AgentState::Yielding) {
            return decision;
        }
        let brake = Brake { clear: self.clear_ahead(), ..Brake::NONE };
        let Some(route) = &mut self.course.aside else { return Decision::stand(AgentState::Yielding, why) };
        let wish = self.follower.step(route, pose, &brake, CYCLE.as_secs_f64());
        Decision { wish, state: AgentState::Yielding, why }
    }

    /// Watches for being stuck; leads out of it.
    fn recover(&mut self, now: MonoTime, pose: &Pose, stop_in: f64, state: AgentState) -> Option<Decision> {
        let wants = stop_in > 0.15;
        let scan = &self.sensed.frame()?.scan;
        if let Some(step) = self.recovery.watch(now, pose, wants, scan) {
            self.counters.recoveries += 1;
            let causes: Vec<Cause> = self.reflex.causes.iter().collect();
            let payload = json!({ "step": step.name(), "at": pose.position, "reflex": causes });
            self.note(now, EventKind::Decision, "stuck", &payload);
            if step == Step::Block {
                self.block_ahead(now, pose);
                self.skip_place(now, "got stuck on the way there");
            }
        }
        let step = self.recovery.step()?;
        let twist = self.recovery.drive(now, pose, self.config.descriptor.yaw_rate_max.get());
        if twist.is_none() {
            self.course.replan = Some("it was stuck");
            self.follower.forget_speed(&Twist::ZERO);
        }
        let twist = twist?;
        let wish = Wish { twist, speed_limit: twist.speed().max(0.1), off: 0.0, left: 0.0 };
        Some(Decision { wish, state, why: format!("is stuck: {}", step.name().replace('_', " ")) })
    }

    /// The place in front is not tried for a while.
    fn block_ahead(&mut self, now: MonoTime, pose: &Pose) {
        let ahead = self.navigator.route().walk(0.7).last().map(|(at, _)| at);
        let at = ahead.unwrap_or_else(|| pose.map_from_body(Point::new(0.6, 0.0)));
        self.navigator.block(Blocked { at, radius: 0.3, until: now + STUCK_FOR, reason: "got stuck here" });
    }

    fn clear_ahead(&self) -> f64 {
        let clear = self.reflex.clear_distance.get();
        if clear.is_nan() { f64::INFINITY } else { clear }
    }

    /// Makes sure that there is a way through the places, a fresh one where the old one does not hold.
    pub(crate) fn prepare(&mut self, now: MonoTime, pose: &Pose, places: &[Point]) -> Planned {
        self.check_way(now, pose);
        let route = self.navigator.route();
        let left = route.length() - route.along();
        let extend = self.navigator.passes().len() < places.len() && left < EXTEND_BELOW && self.course.may_extend(now);
        let other = self.navigator.passes().first() != places.first();
        let over = self.navigator.ended(pose.position, OVER);
        if !(route.is_empty() || other || extend || over || self.course.replan.is_some()) {
            return Planned::Way;
        }
        if self.course.aside.is_some() && !route.is_empty() && !other {
            return Planned::Way;
        }
        let had_way = !route.is_empty() && !other;
        self.lay_terrain(now, pose.position);
        let planned = self.navigator.plan(now, pose.position, places);
        self.counters.searches = self.navigator.searches();
        match planned {
            Planned::Way => {
                if let Some(reason) = self.course.replan.take() {
                    self.counters.replans += 1;
                    let payload = json!({ "reason": reason, "length_m": self.navigator.route().length() });
                    self.note(now, EventKind::Decision, "replanned", &payload);
                }
                let may_reverse = self.course.tries != Tries::default();
                self.follower.begin(self.navigator.route(), pose, may_reverse);
                Planned::Way
            }
            Planned::Later if had_way => Planned::Way,
            Planned::Later | Planned::None => planned,
        }
    }

    /// The next metres of the way against what was seen since it was planned.
    fn check_way(&mut self, now: MonoTime, pose: &Pose) {
        if !self.counters.cycles.is_multiple_of(CHECK_EVERY) || self.navigator.route().is_empty() {
            return;
        }
        if self.navigator.stale(now) {
            self.lay_terrain(now, pose.position);
        }
        if self.course.replan.is_some() {
            return;
        }
        if let Some((at, ahead)) = self.navigator.obstructed(pose.position) {
            let frame = *self.config.map.frame();
            let seen = self.evidence.obstacles().map(|square| frame.center_of(square));
            let thing = seen.min_by(|a, b| a.distance(at).total_cmp(&b.distance(at))).filter(|s| s.distance(at) < 0.5);
            if let Some(thing) = thing {
                let known = self.navigator.blocked().iter().any(|blocked| blocked.at.distance(thing) < 0.3);
                let radius = self.navigator.limits().clearance;
                self.navigator.block(Blocked {
                    at: thing,
                    radius,
                    until: now + BLOCKED_FOR,
                    reason: "something stands here",
                });
                if !known {
                    let payload = json!({ "at": thing, "ahead_m": ahead, "on_map": false, "tried_again_in_s": 60 });
                    self.note(now, EventKind::Decision, "way_blocked", &payload);
                }
            }
            self.course.replan = Some("something is in the way that is on no map");
        }
    }

    /// Lays what is known over the map.
    pub(crate) fn lay_terrain(&mut self, now: MonoTime, own: Point) {
        let radius = self.config.descriptor.radius.get();
        let hazards = self.coord.surroundings_hazards(now, own);
        let mut discs: Vec<Disc> =
            self.coord.obstacles(now).map(|o| Disc { at: o.position, keep: o.radius.get() }).collect();
        discs.extend(hazards.iter().flatten().map(|h| Disc { at: h.position, keep: h.radius.get() + radius + 0.1 }));
        self.navigator.lay(now, &Known { evidence: &self.evidence, discs: &discs }, own);
    }

    fn ask_guidance(&mut self, now: MonoTime, pose: &Pose, state: AgentState, path: Vec<Point>) -> Guidance {
        let own = OwnState {
            pose: *pose,
            velocity: self.velocity(),
            path,
            state,
            priority: self.work.as_ref().filter(|work| work.active()).map_or(Priority::NORMAL, |work| work.priority),
            carrying: self.sensed.frame().is_some_and(|frame| frame.payload.get() > 0.5),
            emergency: false,
            wall: self.record.wall(now),
        };
        self.tell_coord(now, skein_coord::Input::Own(own.clone()));
        if self.navigator.stale(now) {
            self.lay_terrain(now, pose.position);
        }
        let guidance = self.coord.guidance(now, self.navigator.terrain(), &own);
        self.drain_coord(now);
        guidance
    }

    /// A drop-off that the body feels is a danger to all.
    fn report_cliffs(&mut self, now: MonoTime) {
        let (Some(pose), Some(frame)) = (self.pose(), self.sensed.frame()) else { return };
        let reach = self.config.descriptor.radius.get();
        let ways = [Point::new(reach, 0.0), Point::new(0.0, reach), Point::new(-reach, 0.0), Point::new(0.0, -reach)];
        let felt: Vec<Point> = ways
            .iter()
            .zip(frame.cliff)
            .filter(|(_, missing)| *missing)
            .map(|(way, _)| pose.map_from_body(*way))
            .collect();
        for position in felt {
            let seen = skein_coord::Input::HazardSeen { kind: HazardKind::Cliff, position, radius: Meters(0.2) };
            self.tell_coord(now, seen);
        }
    }

    /// Stand, at once.
    pub(crate) fn stand_still(&mut self, now: MonoTime) {
        self.recovery.rest(now);
        self.follower.forget_speed(&Twist::ZERO);
        self.say_setpoint(now, &Wish::STAND);
    }

    fn say_setpoint(&mut self, now: MonoTime, wish: &Wish) {
        self.setpoints += 1;
        let standing = wish.twist.speed() < STANDS && wish.twist.yaw_rate.abs() < STANDS;
        self.outputs.push_back(Output::Setpoint(Setpoint {
            twist: if standing { Twist::ZERO } else { wish.twist },
            speed_limit: MetersPerSecond(wish.speed_limit.max(0.05).min(self.config.descriptor.speed_max.get())),
            sequence: self.setpoints,
            at: now,
            valid_until: now + SETPOINT_LIFE,
        }));
    }

    pub(crate) fn say_surroundings(&mut self, now: MonoTime) {
        let near = self.pose().map_or(self.config.home.position, |pose| pose.position);
        let surroundings = Surroundings {
            latch: self.latch,
            peers: self.coord.surroundings_peers(near),
            hazards: self.coord.surroundings_hazards(now, near),
            causes: self.causes(),
        };
        self.outputs.push_back(Output::Surroundings(Box::new(surroundings)));
    }

    /// Causes that the agent finds; the reflex finds its own.
    pub(crate) fn causes(&self) -> Causes {
        let mut causes = Causes::NONE;
        if self.link_seen.cloud && !self.link.cloud {
            causes.insert(Cause::CloudLost);
        }
        if self.link_seen.mesh && !self.link.mesh {
            causes.insert(Cause::MeshLost);
        }
        if self.needs_charge {
            causes.insert(Cause::BatteryLow);
        }
        causes
    }

    fn tell_given_up(&mut self, now: MonoTime) {
        let squares = std::mem::take(&mut self.course.given_up);
        if squares > 0 {
            let area = squares as f64 * self.config.map.frame().resolution.powi(2);
            let mission = self.work.as_ref().map(|work: &Work| work.mission);
            self.note(now, EventKind::Decision, "given_up", &json!({ "mission": mission, "area_m2": area }));
        }
    }
}

fn hold_sentence(peer: &AgentId, reason: HoldReason) -> String {
    match reason {
        HoldReason::GiveWay => format!("waits for {peer}, which goes first"),
        HoldReason::Follow => format!("waits behind {peer}"),
        HoldReason::Cornered => format!("cannot get out of the way of {peer}, which has to back out"),
        HoldReason::Obstacle => format!("waits: {peer} stands in the way"),
    }
}

fn held_sentence(causes: Causes, clear: Meters) -> String {
    let names: Vec<&str> = causes.iter().filter(|c| c.level() >= FailsafeLevel::Hold).map(Cause::name).collect();
    let what = if names.is_empty() { "the reflex".to_owned() } else { names.join(", ").replace('_', " ") };
    if clear.get().is_finite() {
        format!("holds: {what}, {:.2} m free ahead", clear.get())
    } else {
        format!("holds: {what}")
    }
}
