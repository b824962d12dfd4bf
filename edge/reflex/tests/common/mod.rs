//! A small place with walls, and a disc in it that moves as the reflex says.
#![allow(dead_code, unreachable_pub, reason = "a module that each test takes its part of")]

pub mod bench;

use core::time::Duration;
use skein_reflex::{Reflex, ReflexConfig, ReflexOutput};
use skein_types::authority::LatchView;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::Surroundings;
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond, Percent, Radians};

pub const TICK: Duration = Duration::from_millis(10);
const DT: f64 = 0.01;

/// A generator that is the same everywhere.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal, nearly.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }
}

/// Straight walls and round posts.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub walls: Vec<(Point, Point)>,
    pub posts: Vec<(Point, f64)>,
}

impl Place {
    pub fn wall(mut self, from: (f64, f64), to: (f64, f64)) -> Self {
        self.walls.push((Point::new(from.0, from.1), Point::new(to.0, to.1)));
        self
    }

    pub fn post(mut self, at: (f64, f64), radius: f64) -> Self {
        self.posts.push((Point::new(at.0, at.1), radius));
        self
    }

    pub fn room(self, low: (f64, f64), high: (f64, f64)) -> Self {
        self.wall(low, (high.0, low.1))
            .wall((high.0, low.1), high)
            .wall(high, (low.0, high.1))
            .wall((low.0, high.1), low)
    }

    /// From a point to the nearest surface.
    pub fn distance(&self, p: Point) -> f64 {
        let walls = self.walls.iter().map(|(a, b)| p.distance_to_segment(*a, *b));
        let posts = self.posts.iter().map(|(c, r)| p.distance(*c) - r);
        walls.chain(posts).fold(f64::INFINITY, f64::min)
    }

    fn ray(&self, from: Point, heading: f64, longest: f64) -> f64 {
        let direction = Point::from_heading(heading);
        let mut nearest = f64::INFINITY;
        for (a, b) in &self.walls {
            let along = *b - *a;
            let cross = direction.cross(along);
            if cross.abs() < 1e-12 {
                continue;
            }
            let t = (*a - from).cross(along) / cross;
            let s = (*a - from).cross(direction) / cross;
            if t > 0.0 && (0.0..=1.0).contains(&s) {
                nearest = nearest.min(t);
            }
        }
        for (centre, radius) in &self.posts {
            let to = *centre - from;
            let along = to.dot(direction);
            let aside = to.norm_squared() - along * along;
            let inside = radius * radius - aside;
            if inside >= 0.0 && along > 0.0 {
                nearest = nearest.min(along - inside.sqrt());
            }
        }
        if nearest <= longest { nearest } else { f64::INFINITY }
    }
}

/// One robot in a place.
pub struct Run {
    pub place: Place,
    pub reflex: Reflex,
    pub pose: Pose,
    pub twist: Twist,
    pub now: MonoTime,
    pub frame: SensorFrame,
    pub surroundings: Surroundings,
    pub output: Option<ReflexOutput>,
    pub descriptor: BodyDescriptor,
    /// Nearest any surface came to the centre.
    pub nearest: f64,
    /// Standard deviation of the lidar.
    pub noise: f64,
    /// Share of the beams that drop out.
    pub dropout: f64,
    dice: Dice,
    pending: Option<(MonoTime, Scan)>,
    ticks: u64,
    command: (DriveMode, Twist),
}

impl Run {
    pub fn new(place: Place, start: Pose) -> Self {
        Self::with_body(place, start, BodyDescriptor::rover())
    }

    pub fn with_body(place: Place, start: Pose, descriptor: BodyDescriptor) -> Self {
        let mut run = Self {
            reflex: Reflex::new(ReflexConfig::new(descriptor)),
            frame: SensorFrame::unknown(descriptor.lidar_range),
            pose: start,
            twist: Twist::ZERO,
            now: MonoTime::from_millis(10_000),
            surroundings: Surroundings::empty(),
            output: None,
            descriptor,
            nearest: place.distance(start.position),
            noise: 0.01,
            dropout: 0.01,
            dice: Dice(7),
            pending: None,
            ticks: 0,
            command: (DriveMode::Halt, Twist::ZERO),
            place,
        };
        run.frame.battery = Battery { charge: Percent(90.0), charging: false };
        run.frame.motors_powered = true;
        run.frame.scan = run.revolution();
        run
    }

    pub fn seeded(mut self, seed: u64) -> Self {
        self.dice = Dice(seed);
        self
    }

    /// One tick: what is wanted, at most how fast.
    pub fn tick(&mut self, wanted: Twist, limit: f64) -> ReflexOutput {
        self.sense();
        let setpoint = Setpoint {
            twist: wanted,
            speed_limit: MetersPerSecond(limit),
            sequence: self.ticks,
            at: self.now,
            valid_until: self.now + Duration::from_millis(100),
        };
        let output = self.reflex.tick(self.now, &self.frame, &setpoint, &self.surroundings, LatchView::default());
        self.advance(&output);
        self.output = Some(output);
        output
    }

    pub fn drive(&mut self, wanted: Twist, limit: f64, seconds: f64) {
        for _ in 0..(seconds / DT) as usize {
            self.tick(wanted, limit);
        }
    }

    fn sense(&mut self) {
        if self.ticks.is_multiple_of(10) {
            self.pending = Some((self.now + 2 * TICK, self.revolution()));
        }
        if let Some((due, scan)) = self.pending
            && due <= self.now
        {
            self.frame.scan = scan;
            self.pending = None;
        }
        self.frame.at = self.now;
        self.frame.sequence += 1;
        self.frame.odometry = self.pose;
        self.frame.twist = self.twist;
        self.frame.estimate =
            PoseEstimate { pose: self.pose, position_std: Meters(0.02), heading_std: Radians(0.01), at: self.now };
    }

    fn revolution(&mut self) -> Scan {
        let mut ranges = [f32::INFINITY; BEAMS];
        for (beam, range) in ranges.iter_mut().enumerate() {
            let truth = self.place.ray(
                self.pose.position,
                self.pose.heading + Scan::angle_of(beam),
                self.descriptor.lidar_range.0,
            );
            *range = if self.dice.share() < self.dropout {
                f32::NAN
            } else {
                (truth + self.noise * self.dice.normal()) as f32
            };
        }
        Scan { at: self.now, ranges, range_max: self.descriptor.lidar_range }
    }

    /// The command takes effect one tick after it was given.
    fn advance(&mut self, output: &ReflexOutput) {
        let (mode, wanted) = std::mem::replace(&mut self.command, (output.actuators.mode, output.actuators.twist));
        let wanted = if mode == DriveMode::Follow { wanted } else { Twist::ZERO };
        let (faster, slower) = (self.descriptor.acceleration_max.0 * DT, self.descriptor.braking_max.0 * DT);
        let axis = |has: f64, wanted: f64| {
            let target = if has * wanted < 0.0 { 0.0 } else { wanted };
            let step = if target.abs() > has.abs() { faster } else { slower };
            has + (target - has).clamp(-step, step)
        };
        let before = self.twist;
        let turn = |has: f64, wanted: f64| has + (wanted - has).clamp(-0.1, 0.1);
        self.twist = Twist {
            vx: axis(before.vx, wanted.vx),
            vy: if self.descriptor.drive == Drive::Differential { 0.0 } else { axis(before.vy, wanted.vy) },
            vz: 0.0,
            yaw_rate: turn(before.yaw_rate, wanted.yaw_rate),
        };
        self.pose = self.pose.moved(&self.twist, DT);
        self.now = self.now + TICK;
        self.ticks += 1;
        self.nearest = self.nearest.min(self.place.distance(self.pose.position));
    }
}
