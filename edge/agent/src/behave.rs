//! What the robot wants now: stand, be driven, or go somewhere, and why.
//!
//! The first that applies wins: a person's latch, motors without power, a person who drives, an empty battery, the
//! order in hand, the way home, nothing.

use serde_json::json;
use skein_types::coord::AgentState;
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::mission::SliceState;
use skein_types::safety::{Cause, Latch};
use skein_types::time::MonoTime;

use crate::agent::Agent;
use crate::course::Tries;
use crate::mission::{Task, Work};
use crate::navigate::Planned;

/// Nearer than this a place is reached, metres.
const ARRIVED: f64 = 0.15;
/// A viewpoint on the way to others is passed at this distance: corners are rounded, metres.
const PASSED: f64 = 0.35;
/// A viewpoint this near counts as reached when the reflex lets the robot come no nearer, metres.
const HELD_NEAR: f64 = 0.40;
/// What was left over is looked for from this near to the chosen place, metres.
const EXACTLY: f64 = 0.08;
/// A robot that holds a place goes back to it when it was moved farther than this, metres.
const DISPLACED: f64 = 0.5;
/// Most places handed to the planner at once.
const PLACES_MAX: usize = 16;
/// Skipping a viewpoint farther away than this is worth another way, metres.
const SHORTCUT: f64 = 0.7;

/// What the robot wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Intention {
    /// Be still; make room when asked, unless the state says otherwise.
    Stand { state: AgentState, why: String },
    /// A person drives.
    Manual { twist: Twist, why: String },
    /// Go through these places.
    Go { places: Vec<Point>, state: AgentState, why: String },
}

impl Intention {
    fn stand(state: AgentState, why: impl Into<String>) -> Self {
        Self::Stand { state, why: why.into() }
    }
}

impl Agent {
    /// The one decision of the cycle about what to do.
    pub(crate) fn intend(&mut self, now: MonoTime, pose: &Pose) -> Intention {
        self.watch_battery(now);
        match self.latch {
            Latch::Stop => return Intention::stand(AgentState::Stopped, format!("stopped: {}", self.latch_reason)),
            Latch::Kill => return Intention::stand(AgentState::Stopped, format!("power cut: {}", self.latch_reason)),
            Latch::Released => {}
        }
        if self.sensed.frame().is_some_and(|frame| !frame.motors_powered) {
            return Intention::stand(AgentState::Fault, "the motors have no power; a person has to release it");
        }
        if let Some(manual) = self.by_hand(now, pose) {
            return manual;
        }
        if self.needs_charge {
            return self.charge(now, pose);
        }
        if self.work.as_ref().is_some_and(Work::active) {
            return self.at_work(now, pose);
        }
        if let Some(work) = self.work.as_ref().filter(|work| work.state() == SliceState::Paused) {
            return Intention::stand(AgentState::Idle, work.reason().to_owned());
        }
        if self.going_home {
            return self.go_home(now, pose);
        }
        Intention::stand(AgentState::Idle, "has nothing to do")
    }

    fn by_hand(&mut self, now: MonoTime, pose: &Pose) -> Option<Intention> {
        let manual = self.manual.as_ref()?;
        if manual.until > now {
            let why = format!("driven by {}: {}", manual.operator, manual.reason);
            return Some(Intention::Manual { twist: manual.twist(pose, &self.config.descriptor), why });
        }
        let payload = json!({ "operator": manual.operator });
        self.manual = None;
        self.course.forget();
        self.navigator.forget();
        self.note(now, EventKind::Command, "override_ends", &payload);
        None
    }

    fn watch_battery(&mut self, now: MonoTime) {
        if self.sensed.frame().is_none() {
            return;
        }
        let charge = self.sensed.battery().charge.get();
        if !self.needs_charge && charge < self.config.charge_below {
            self.needs_charge = true;
            self.course.forget();
            self.navigator.forget();
            self.note(now, EventKind::Decision, "charge_low", &json!({ "charge": charge, "goes": "home" }));
        } else if self.needs_charge && charge >= self.config.charge_until {
            self.needs_charge = false;
            self.course.forget();
            self.navigator.forget();
            self.note(now, EventKind::Decision, "charged", &json!({ "charge": charge }));
        }
    }

    fn charge(&mut self, now: MonoTime, pose: &Pose) -> Intention {
        let battery = self.sensed.battery();
        let charge = battery.charge.get();
        let there = pose.position.distance(self.config.home.position) < ARRIVED;
        if battery.charging || there {
            let why = if battery.charging { "charges" } else { "waits at its charger for current" };
            let until = self.config.charge_until;
            return Intention::stand(AgentState::Charging, format!("{why}: {charge:.0} % of {until:.0} %"));
        }
        let why = format!("returns to charge at {charge:.0} %");
        self.head_for(now, pose, self.config.home.position, AgentState::Returning, why)
    }

    fn go_home(&mut self, now: MonoTime, pose: &Pose) -> Intention {
        let home = self.config.home.position;
        if self.arrived(pose, home) {
            self.going_home = false;
            self.navigator.forget();
            self.note(now, EventKind::StateChange, "home", &json!({ "at": pose.position }));
            return Intention::stand(AgentState::Idle, "is home");
        }
        self.head_for(now, pose, home, AgentState::Returning, "returns home".to_owned())
    }

    fn at_work(&mut self, now: MonoTime, pose: &Pose) -> Intention {
        if self.work.as_ref().is_some_and(|work| work.state() == SliceState::Accepted) {
            self.enter_state(now, SliceState::MovingToStart, "");
        }
        let Some(work) = self.work.as_mut() else { return Intention::stand(AgentState::Idle, "has nothing to do") };
        match &mut work.task {
            Task::Survey(_) => self.survey(now, pose),
            Task::GoTo { goal, .. } => {
                let goal = *goal;
                self.go_to(now, pose, goal)
            }
            Task::Return => {
                let home = self.config.home.position;
                if self.arrived(pose, home) {
                    self.enter_state(now, SliceState::Done, "is home");
                    return Intention::stand(AgentState::Idle, "is home");
                }
                self.head_for(now, pose, home, AgentState::Returning, "returns home as ordered".to_owned())
            }
            Task::Charge => {
                let charge = self.sensed.battery().charge.get();
                if charge >= self.config.charge_until {
                    self.enter_state(now, SliceState::Done, "is charged");
                    return Intention::stand(AgentState::Idle, "is charged");
                }
                self.charge(now, pose)
            }
        }
    }

    fn go_to(&mut self, now: MonoTime, pose: &Pose, place: Point) -> Intention {
        let arrived = self.arrived(pose, place);
        let Some(Work { task: Task::GoTo { hold, since, .. }, .. }) = self.work.as_mut() else {
            return Intention::stand(AgentState::Idle, "has nothing to do");
        };
        let displaced = since.is_some() && pose.position.distance(place) > DISPLACED;
        if !arrived && (since.is_none() || displaced) {
            let state = if displaced { AgentState::Executing } else { AgentState::MovingToStart };
            return self.head_for(now, pose, place, state, "drives to its place".to_owned());
        }
        let begun = *since.get_or_insert(now);
        let (hold, held) = (*hold, now.since(begun));
        self.enter_state(now, SliceState::Executing, "holds its place");
        match hold {
            Some(hold) if held >= hold => {
                self.enter_state(now, SliceState::Done, "held its place as long as ordered");
                Intention::stand(AgentState::Idle, "has nothing to do")
            }
            Some(hold) => {
                let left = (hold - held).as_secs();
                Intention::stand(AgentState::Executing, format!("holds its place for {left} s more"))
            }
            None => Intention::stand(AgentState::Executing, "holds its place"),
        }
    }

    fn arrived(&self, pose: &Pose, place: Point) -> bool {
        let ends_there = self.navigator.passes().last() == Some(&place);
        pose.position.distance(place) < ARRIVED || (ends_there && self.navigator.ended(pose.position, ARRIVED))
    }

    /// Go to one place; what to do when there is no way is the same for all such errands.
    fn head_for(&mut self, now: MonoTime, pose: &Pose, place: Point, state: AgentState, why: String) -> Intention {
        if self.course.tries.waits(now) {
            return Intention::stand(state, format!("{why}, but finds no way; tries again"));
        }
        match self.prepare(now, pose, &[place]) {
            Planned::Way => {
                self.course.tries.next_at = None;
                Intention::Go { places: vec![place], state, why }
            }
            Planned::Later => Intention::stand(state, format!("{why}; looks for a way")),
            Planned::None => {
                let last = self.course.tries.fail(now);
                self.note(
                    now,
                    EventKind::Decision,
                    "no_way",
                    &json!({ "to": place, "tries": self.course.tries.count }),
                );
                let by_order = self.work.as_ref().is_some_and(Work::active) && !self.needs_charge;
                if last && by_order {
                    self.enter_state(now, SliceState::Failed, "found no way to its place");
                }
                Intention::stand(state, format!("{why}, but finds no way; tries again"))
            }
        }
    }

    fn survey(&mut self, now: MonoTime, pose: &Pose) -> Intention {
        self.count_off(pose);
        let Some(Work { task: Task::Survey(survey), .. }) = self.work.as_ref() else {
            return Intention::stand(AgentState::Idle, "has nothing to do");
        };
        let (complete, begun) = (survey.complete(), survey.version() > 0);
        if begun && self.work.as_ref().is_some_and(|work| work.state() == SliceState::MovingToStart) {
            self.enter_state(now, SliceState::Executing, "");
        }
        if complete {
            return self.finish_survey(now);
        }
        let state = if begun { AgentState::Executing } else { AgentState::MovingToStart };
        if self.course.tries.waits(now) {
            return Intention::stand(state, "what is left cannot be reached now; tries again");
        }
        let places = self.survey_places();
        if places.is_empty() {
            return self.look_for_leftovers(now, pose, state);
        }
        self.drive_survey(now, pose, places, state)
    }

    fn drive_survey(&mut self, now: MonoTime, pose: &Pose, places: Vec<Point>, state: AgentState) -> Intention {
        match self.prepare(now, pose, &places) {
            Planned::Way => {
                self.course.tries = Tries::default();
                Intention::Go { places, state, why: self.survey_sentence() }
            }
            Planned::Later => Intention::stand(state, "looks for a way to its next viewpoint"),
            Planned::None => {
                self.skip_place(now, "no way there now");
                Intention::stand(state, "skips a viewpoint it cannot reach now")
            }
        }
    }

    fn survey_places(&self) -> Vec<Point> {
        match (&self.work, self.course.leftover) {
            (Some(Work { task: Task::Survey(survey), .. }), None) => {
                survey.viewpoints().iter().take(PLACES_MAX).copied().collect()
            }
            (_, Some(leftover)) => vec![leftover],
            (_, None) => Vec::new(),
        }
    }

    fn survey_sentence(&self) -> String {
        let Some(Work { task: Task::Survey(survey), .. }) = &self.work else { return String::new() };
        let covered = survey.covered();
        if self.course.leftover.is_some() {
            return format!("looks at what was left over, {covered:.0} % swept");
        }
        let (lane, lanes) = survey.lane();
        format!("sweeps viewpoint {lane} of {lanes}, {covered:.0} % swept")
    }

    /// Viewpoints that were reached or show nothing new any more are done with.
    fn count_off(&mut self, pose: &Pose) {
        let map = self.config.map.clone();
        let held = self.reflex.causes.contains(Cause::ObstacleStop);
        let Some(Work { task: Task::Survey(survey), .. }) = self.work.as_mut() else { return };
        if let Some(leftover) = self.course.leftover {
            let seen = self.course.looked_version != survey.version() && survey.gain(&map, leftover, 1) == 0;
            let distance = pose.position.distance(leftover);
            let ended = self.navigator.passes() == [leftover] && self.navigator.ended(pose.position, EXACTLY);
            let there = ended || distance < EXACTLY || (held && distance < HELD_NEAR);
            if seen || there {
                let lost = survey.tried_leftover(&map, "not to be seen from where it can be reached");
                self.course.given_up += lost;
                self.course.leftover = None;
                self.navigator.forget();
            }
            self.course.looked_version = survey.version();
            return;
        }
        let Some(front) = survey.viewpoints().front().copied() else { return };
        let distance = pose.position.distance(front);
        let near = if self.navigator.passes().len() > 1 { PASSED } else { ARRIVED };
        let ended = self.navigator.passes() == [front] && self.navigator.ended(pose.position, ARRIVED);
        let reached = distance < near || ended || (held && distance < HELD_NEAR);
        if reached {
            survey.pass();
            self.navigator.passed(front);
        }
        if reached || self.course.looked_version != survey.version() {
            self.course.looked_version = survey.version();
            let before = survey.viewpoints().front().copied();
            if survey.drop_useless(&map, 4)
                && let Some(dropped) = before
            {
                if dropped.distance(pose.position) > SHORTCUT {
                    self.course.replan = Some("the next viewpoint was already seen");
                } else {
                    self.navigator.passed(dropped);
                }
            }
        }
    }

    /// The first place cannot be got to.
    pub(crate) fn skip_place(&mut self, now: MonoTime, why: &str) {
        let map = self.config.map.clone();
        let Some(Work { task: Task::Survey(survey), .. }) = self.work.as_mut() else { return };
        let place = self.course.leftover.or_else(|| survey.viewpoints().front().copied());
        if self.course.leftover.take().is_some() {
            self.course.given_up += survey.tried_leftover(&map, "no way to where it could be seen from");
        } else {
            survey.pass();
        }
        self.navigator.forget();
        self.note(now, EventKind::Decision, "viewpoint_skipped", &json!({ "at": place, "reason": why }));
    }

    /// All planned viewpoints are done: chooses a place to see something that is left.
    fn look_for_leftovers(&mut self, now: MonoTime, pose: &Pose, state: AgentState) -> Intention {
        if !self.navigator.may_search(now) {
            return Intention::stand(state, "looks for what is left");
        }
        self.lay_terrain(now, pose.position);
        self.navigator.searched();
        let Some(Work { task: Task::Survey(survey), .. }) = self.work.as_mut() else {
            return Intention::stand(state, "has nothing to do");
        };
        let (terrain, search) = self.navigator.planner();
        if let Some(place) = survey.choose_leftover(terrain, search, pose.position) {
            self.course.leftover = Some(place);
            return self.drive_survey(now, pose, vec![place], state);
        }
        if self.course.tries.fail(now) {
            let lost = survey.give_up_rest("cannot be reached: something is in the way");
            self.course.given_up += lost;
            self.course.tries = Tries::default();
        }
        Intention::stand(state, "what is left cannot be reached now; tries again")
    }

    fn finish_survey(&mut self, now: MonoTime) -> Intention {
        let Some(Work { task: Task::Survey(survey), .. }) = &self.work else {
            return Intention::stand(AgentState::Idle, "has nothing to do");
        };
        let (covered, loss) = (survey.covered(), survey.loss());
        let reason = if loss.is_empty() {
            format!("swept {covered:.1} %")
        } else {
            format!("swept {covered:.1} %, gave up {loss}")
        };
        self.enter_state(now, SliceState::Done, &reason);
        Intention::stand(AgentState::Idle, reason)
    }
}
