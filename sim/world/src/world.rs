//! The world: everybody's bodies, one step at a time.
//!
//! Invariants, each held by a test:
//!
//! 1. The same configuration and the same commands in the same steps give the same bytes.
//! 2. What one robot draws from chance does not depend on who else is there.
//! 3. No footprint is inside anything solid after a step, and every touch is counted.
//! 4. Truth is measured, never derived from what robots believe.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::ActuatorFrame;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::{Kilograms, Percent};
use thiserror::Error;

use crate::config::{PEOPLE_MAX, ROBOTS_MAX, STEP, STEP_S, WorldConfig};
use crate::contact::{Collisions, Contact, ContactKind, Contacts};
use crate::lidar::{Fan, blur};
use crate::people::{PERSON_HEIGHT, PERSON_RADIUS, Person};
use crate::robot::{BODY_HEIGHT, Robot, SILENCE_MAX};
use crate::survey::Swept;

/// Steps between two looks at what a robot has swept: 10 Hz.
const SWEEP_EVERY: u64 = 10;
/// A robot that has moved less than this since the last look has swept nothing new, metres.
const SWEEP_MOVED: f64 = 0.005;

/// Why a world was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum WorldError {
    /// More than [`ROBOTS_MAX`].
    #[error("{0} robots are more than {ROBOTS_MAX}")]
    TooManyRobots(usize),
    /// More than [`PEOPLE_MAX`].
    #[error("{0} people are more than {PEOPLE_MAX}")]
    TooManyPeople(usize),
    /// A figure of a body is not usable.
    #[error("the body of robot {0} has a figure that is not positive or not finite")]
    Body(usize),
    /// A robot would start where it does not fit.
    #[error("robot {robot} starts at ({x:.2}, {y:.2}), where it does not fit")]
    StartBlocked {
        /// Number of the robot, from 0.
        robot: usize,
        /// East, metres.
        x: f64,
        /// North, metres.
        y: f64,
    },
    /// Two robots would start in the same place.
    #[error("robots {0} and {1} start in the same place")]
    StartsOverlap(usize, usize),
}

/// Why a command was not obeyed; the robot brakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// There is no robot of this number.
    #[error("there is no robot number {0}")]
    NoRobot(usize),
    /// A velocity is infinite or NaN.
    #[error("the commanded velocity is not finite")]
    NotFinite,
    /// Decided too long ago.
    #[error("the command is {0:?} old, more than {SILENCE_MAX:?}")]
    Late(Duration),
    /// The motors have no power.
    #[error("the motors have no power")]
    Powerless,
}

/// What truly happened, in figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Since the start of the world.
    pub duration_s: f64,
    /// Contacts so far, by kind.
    pub collisions: Collisions,
    /// Robots that drove over a drop-off.
    pub falls: u64,
    /// Smallest distance there ever was between two robots' centres; none with fewer than two.
    pub min_separation_m: Option<f64>,
    /// Which two robots that was, and when.
    pub min_separation_of: Option<(usize, usize, MonoTime)>,
    /// Driven by each robot.
    pub distance_m: Vec<f64>,
    /// What of the zone was swept; none when no zone was given.
    pub coverage: Option<Coverage>,
}

/// What of a zone was swept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of the zone, 0 to 1; 1 for a zone without cells.
    pub ratio: f64,
    /// Area that counts, m².
    pub zone_area_m2: f64,
    /// Of it swept, m².
    pub covered_area_m2: f64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct World {
    config: WorldConfig,
    tick: u64,
    now: MonoTime,
    robots: Vec<Robot>,
    people: Vec<Person>,
    contacts: Contacts,
    separation: Option<(f64, usize, usize, MonoTime)>,
    swept: Option<Swept>,
    fan: Box<Fan>,
    /// Centre and radius of each robot after the last phase of the step.
    discs: Vec<(Point, f64)>,
}

impl World {
    /// Puts everybody in their places. All have sensed once before the first step.
    ///
    /// # Errors
    /// [`WorldError`] when they do not fit.
    pub fn new(config: WorldConfig) -> Result<Self, WorldError> {
        check(&config)?;
        let starts: Vec<Point> = config.robots.iter().map(|spec| spec.start.position).collect();
        let robot = |(number, spec)| Robot::new(config.seed, number, spec, &config.noise, config.start);
        let robots: Vec<Robot> = config.robots.iter().copied().enumerate().map(robot).collect();
        let person = |number| Person::place(config.seed, number, &config.terrain, &starts);
        let people = (0..config.people).filter_map(person).collect();
        let swept = config.survey.clone().map(Swept::new);
        let now = config.start;
        let contacts = Contacts::default();
        let fan = Box::new(Fan::new());
        let mut world =
            Self { config, tick: 0, now, robots, people, contacts, separation: None, swept, fan, discs: Vec::new() };
        world.note_places();
        world.note_separation();
        for number in 0..world.robots.len() {
            world.scan(number);
            world.sweep(number);
        }
        Ok(world)
    }

    /// The time at the end of the last step.
    #[must_use]
    pub const fn now(&self) -> MonoTime {
        self.now
    }

    /// How many robots there are.
    #[must_use]
    pub fn robots(&self) -> usize {
        self.robots.len()
    }

    /// What a robot is.
    #[must_use]
    pub fn descriptor(&self, robot: usize) -> Option<&BodyDescriptor> {
        self.robots.get(robot).map(|r| &r.spec.descriptor)
    }

    /// Where a robot started, `map_from_body`; its charger stands there.
    #[must_use]
    pub fn home(&self, robot: usize) -> Option<Pose> {
        self.robots.get(robot).map(|r| r.spec.start)
    }

    /// Where a robot truly is, `map_from_body`.
    #[must_use]
    pub fn pose(&self, robot: usize) -> Option<Pose> {
        self.robots.get(robot).map(|r| r.pose)
    }

    /// How a robot truly moves, in its own frame.
    #[must_use]
    pub fn twist(&self, robot: usize) -> Option<Twist> {
        self.robots.get(robot).map(|r| r.twist)
    }

    /// Where people are.
    pub fn people(&self) -> impl Iterator<Item = Point> + '_ {
        self.people.iter().map(|person| person.position)
    }

    /// What a robot senses, as of the last step.
    #[must_use]
    pub fn frame(&self, robot: usize) -> Option<&SensorFrame> {
        self.robots.get(robot).map(|r| &r.frame)
    }

    /// A command to a robot, from now on.
    ///
    /// # Errors
    /// [`CommandError`]; the robot brakes then.
    pub fn actuate(&mut self, robot: usize, frame: &ActuatorFrame) -> Result<(), CommandError> {
        let now = self.now;
        let body = self.robots.get_mut(robot).ok_or(CommandError::NoRobot(robot))?;
        let age = now.since(frame.at);
        let fault = if !frame.twist.is_finite() {
            Some(CommandError::NotFinite)
        } else if age > SILENCE_MAX {
            Some(CommandError::Late(age))
        } else {
            None
        };
        // Cutting the power is obeyed however old and odd the rest of the frame is.
        let cuts = frame.mode == skein_types::motion::DriveMode::CutPower;
        if let Some(fault) = fault.filter(|_| !cuts) {
            body.halt();
            return Err(fault);
        }
        body.tell(now, frame);
        Ok(())
    }

    /// Brakes a robot.
    pub fn halt(&mut self, robot: usize) {
        if let Some(body) = self.robots.get_mut(robot) {
            body.halt();
        }
    }

    /// Gives a robot's motors power again; it moves only when told to.
    ///
    /// # Errors
    /// [`CommandError::Powerless`] when the battery is empty or the robot has fallen.
    pub fn restore_power(&mut self, robot: usize) -> Result<(), CommandError> {
        let body = self.robots.get_mut(robot).ok_or(CommandError::NoRobot(robot))?;
        if body.restore_power() { Ok(()) } else { Err(CommandError::Powerless) }
    }

    /// A fault: the motors of a robot lose their power.
    pub fn cut_power(&mut self, robot: usize) {
        if let Some(body) = self.robots.get_mut(robot) {
            body.powered = false;
        }
    }

    /// Presses a robot's own emergency-stop button, or lets it go.
    pub fn press_estop(&mut self, robot: usize, pressed: bool) {
        if let Some(body) = self.robots.get_mut(robot) {
            body.estop = pressed;
        }
    }

    /// Puts a load on a robot.
    pub fn set_payload(&mut self, robot: usize, payload: Kilograms) {
        if let Some(body) = self.robots.get_mut(robot) {
            body.payload = payload.max(Kilograms::ZERO);
        }
    }

    /// Fills or drains a robot's battery.
    pub fn set_charge(&mut self, robot: usize, charge: Percent) {
        if let Some(body) = self.robots.get_mut(robot) {
            body.set_charge(charge);
        }
    }

    /// As many steps as end at or before a time.
    pub fn advance_to(&mut self, until: MonoTime) {
        while self.now + STEP <= until {
            self.step();
        }
    }

    /// One step of [`STEP`].
    pub fn step(&mut self) {
        self.tick += 1;
        self.now = self.now + STEP;
        self.drive();
        self.note_places();
        self.walk();
        self.meet();
        self.note_separation();
        for number in 0..self.robots.len() {
            if let Some(robot) = self.robots.get_mut(number) {
                robot.spend();
                robot.sense(self.tick, self.now, &self.config.noise, &self.config.cliffs);
            }
            let turn = self.tick + number as u64;
            let every = u64::from(self.config.lidar_every);
            if every > 0 && turn.is_multiple_of(every) {
                self.scan(number);
            }
            if turn.is_multiple_of(SWEEP_EVERY) {
                self.sweep(number);
            }
        }
    }

    fn drive(&mut self) {
        for (number, robot) in self.robots.iter_mut().enumerate() {
            robot.chance.at_tick(self.tick);
            if robot.drive(self.now, &self.config.noise, &self.config.terrain) {
                robot.touched(self.tick);
                let place = robot.pose.position;
                let contact = Contact { at: self.now, kind: ContactKind::RobotWall, robot: number, other: None, place };
                self.contacts.touch(self.tick, contact);
            }
        }
    }

    fn walk(&mut self) {
        if self.people.is_empty() {
            return;
        }
        let low = self.robots.iter().filter(|r| r.pose.z < PERSON_HEIGHT);
        let discs: Vec<(Point, f64)> = low.map(|r| (r.pose.position, r.spec.descriptor.radius.0)).collect();
        for person in &mut self.people {
            person.step(self.tick, self.config.distraction, &self.config.terrain, &discs);
        }
    }

    fn note_places(&mut self) {
        self.discs.clear();
        self.discs.extend(self.robots.iter().map(|r| (r.pose.position, r.spec.descriptor.radius.0)));
    }

    /// Pushes apart what overlaps, and counts it.
    fn meet(&mut self) {
        let mut pushed = false;
        for number in 0..self.discs.len() {
            for other in number + 1..self.discs.len() {
                pushed |= self.meet_robot(number, other);
            }
            for person in 0..self.people.len() {
                pushed |= self.meet_person(number, person);
            }
        }
        if pushed {
            self.note_places();
        }
    }

    fn meet_robot(&mut self, number: usize, other: usize) -> bool {
        let (Some(&(a, ra)), Some(&(b, rb))) = (self.discs.get(number), self.discs.get(other)) else { return false };
        let gap = b - a;
        if gap.norm_squared() >= (ra + rb) * (ra + rb) || !self.same_height(number, other) {
            return false;
        }
        let distance = gap.norm();
        let along = if distance > 0.0 { gap * distance.recip() } else { Point::new(1.0, 0.0) };
        let push = along * ((ra + rb - distance) / 2.0);
        for (index, by) in [(number, push * -1.0), (other, push)] {
            if let Some(robot) = self.robots.get_mut(index) {
                robot.pushed(by, &self.config.terrain);
                robot.touched(self.tick);
            }
        }
        let contact =
            Contact { at: self.now, kind: ContactKind::RobotRobot, robot: number, other: Some(other), place: a };
        self.contacts.touch(self.tick, contact);
        true
    }

    fn same_height(&self, number: usize, other: usize) -> bool {
        let z = |index: usize| self.robots.get(index).map_or(0.0, |r| r.pose.z);
        (z(number) - z(other)).abs() < BODY_HEIGHT
    }

    fn meet_person(&mut self, number: usize, person: usize) -> bool {
        let (Some(robot), Some(human)) = (self.robots.get_mut(number), self.people.get_mut(person)) else {
            return false;
        };
        let reach = robot.spec.descriptor.radius.0 + PERSON_RADIUS;
        let gap = human.position - robot.pose.position;
        let distance = gap.norm();
        if distance >= reach || robot.pose.z >= PERSON_HEIGHT {
            return false;
        }
        let along = if distance > 0.0 { gap * distance.recip() } else { Point::new(1.0, 0.0) };
        human.pushed(along * (reach - distance), &self.config.terrain);
        robot.pushed(Point::default(), &self.config.terrain);
        robot.touched(self.tick);
        let place = robot.pose.position;
        let kind = ContactKind::RobotPerson;
        let contact = Contact { at: self.now, kind, robot: number, other: Some(person), place };
        self.contacts.touch(self.tick, contact);
        true
    }

    fn note_separation(&mut self) {
        for (number, (a, _)) in self.discs.iter().enumerate() {
            for (other, (b, _)) in self.discs.iter().enumerate().skip(number + 1) {
                let squared = (*b - *a).norm_squared();
                let nearer = self.separation.is_none_or(|(least, ..)| squared < least * least);
                if nearer && self.same_height(number, other) {
                    self.separation = Some((squared.sqrt(), number, other, self.now));
                }
            }
        }
    }

    fn scan(&mut self, number: usize) {
        let Some(pose) = self.pose(number) else { return };
        let same_height = |other: &Robot| (other.pose.z - pose.z).abs() < BODY_HEIGHT;
        let others = self.robots.iter().enumerate().filter(|(other, robot)| *other != number && same_height(robot));
        let mut discs: Vec<(Point, f64)> = others.map(|(_, r)| (r.pose.position, r.spec.descriptor.radius.0)).collect();
        if pose.z < PERSON_HEIGHT {
            discs.extend(self.people().map(|at| (at, PERSON_RADIUS)));
        }
        let now = self.now;
        let Some(robot) = self.robots.get_mut(number) else { return };
        let range = robot.spec.descriptor.lidar_range.0;
        discs.retain(|(center, radius)| center.distance(pose.position) < range + radius);
        let scan = &mut robot.frame.scan;
        self.fan.look(&self.config.terrain, &pose, range as f32, discs.into_iter(), &mut scan.ranges);
        blur(&mut scan.ranges, &self.config.noise, range as f32, &mut robot.chance);
        scan.at = now;
    }

    fn sweep(&mut self, number: usize) {
        let (Some(swept), Some(robot)) = (&mut self.swept, self.robots.get_mut(number)) else { return };
        let here = robot.pose.position;
        if robot.swept_from.is_none_or(|before| before.distance(here) > SWEEP_MOVED) {
            robot.swept_from = Some(here);
            swept.sweep(here, robot.spec.descriptor.sweep_range);
        }
    }

    /// The contacts there were, oldest first, up to [`crate::contact::CONTACTS_KEPT`].
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts.kept
    }

    /// Cells of the zone that nobody has swept yet.
    #[must_use]
    pub fn unswept(&self) -> Vec<u32> {
        self.swept.iter().flat_map(Swept::open_cells).collect()
    }

    /// How far a robot has driven, metres.
    #[must_use]
    pub fn driven(&self, robot: usize) -> Option<f64> {
        self.robots.get(robot).map(|r| r.driven)
    }

    /// What of the zone is swept so far; none when no zone was given.
    #[must_use]
    pub fn coverage(&self) -> Option<Coverage> {
        self.swept.as_ref().map(coverage)
    }

    /// What truly happened so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        Truth {
            duration_s: self.tick as f64 * STEP_S,
            collisions: self.contacts.counts,
            falls: self.robots.iter().filter(|r| r.fell).count() as u64,
            min_separation_m: self.separation.map(|(least, ..)| least),
            min_separation_of: self.separation.map(|(_, a, b, at)| (a, b, at)),
            distance_m: self.robots.iter().map(|r| r.driven).collect(),
            coverage: self.coverage(),
        }
    }
}

fn coverage(swept: &Swept) -> Coverage {
    let (all, done) = swept.counts();
    Coverage {
        ratio: if all == 0 { 1.0 } else { done as f64 / all as f64 },
        zone_area_m2: all as f64 * swept.cell_area(),
        covered_area_m2: done as f64 * swept.cell_area(),
    }
}

fn check(config: &WorldConfig) -> Result<(), WorldError> {
    if config.robots.len() > ROBOTS_MAX {
        return Err(WorldError::TooManyRobots(config.robots.len()));
    }
    if config.people > PEOPLE_MAX {
        return Err(WorldError::TooManyPeople(config.people));
    }
    for (number, spec) in config.robots.iter().enumerate() {
        if !spec.descriptor.is_sound() || !spec.start.is_finite() {
            return Err(WorldError::Body(number));
        }
        let Point { x, y } = spec.start.position;
        if config.terrain.nearest_solid(spec.start.position, spec.descriptor.radius.0).is_some() {
            return Err(WorldError::StartBlocked { robot: number, x, y });
        }
        let overlaps = |other: &crate::RobotSpec| {
            let apart = other.start.position.distance(spec.start.position);
            apart < other.descriptor.radius.0 + spec.descriptor.radius.0
                && (other.start.z - spec.start.z).abs() < BODY_HEIGHT
        };
        if let Some(other) = config.robots.iter().take(number).position(overlaps) {
            return Err(WorldError::StartsOverlap(other, number));
        }
    }
    Ok(())
}
