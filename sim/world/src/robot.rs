//! One robot: its body's state, what it was told, what it senses.

use core::time::Duration;

use skein_types::body::Drive;
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::sensing::{Battery, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Kilograms, Percent, Radians};

use crate::chance::{Chance, LIFE_STREAM};
use crate::config::{Noise, RobotSpec, STEP_S};
use crate::drive::{DriveCommand, Slip, follow, tilt};
use crate::localiser::{Localiser, Odometry};
use crate::terrain::Terrain;

/// Longest silence before the body brakes by itself, and the age of the oldest command it obeys.
pub const SILENCE_MAX: Duration = Duration::from_millis(100);
/// How far beyond the footprint the drop-off sensors look, metres.
pub const CLIFF_REACH: f64 = 0.4;
/// Robots meet only when their heights differ by less than this, metres.
pub(crate) const BODY_HEIGHT: f64 = 0.5;
/// The bumper shows a touch for so many steps.
const BUMPER_STEPS: u64 = 10;
/// A charger reaches so far from the place where the robot started, metres.
const CHARGER_REACH: f64 = 0.3;
/// Power in watts: always, per m/s driven, per rad/s turned, hovering, from the charger.
const IDLE_W: f64 = 10.0;
const DRIVE_W: f64 = 50.0;
const TURN_W: f64 = 5.0;
const HOVER_W: f64 = 150.0;
const CHARGER_W: f64 = 400.0;
/// Walls are left by a hair, so that standing beside one is no touch.
const HAIR: f64 = 1e-6;
/// Most walls looked at in one step.
const WALLS_MAX: usize = 4;

/// The body of one robot: its true state and its sensors.
#[derive(Clone, Debug)]
pub(crate) struct Robot {
    pub(crate) spec: RobotSpec,
    pub(crate) pose: Pose,
    pub(crate) twist: Twist,
    pub(crate) driven: f64,
    pub(crate) frame: SensorFrame,
    pub(crate) chance: Chance,
    pub(crate) payload: Kilograms,
    pub(crate) powered: bool,
    /// The body's own emergency-stop button is pressed.
    pub(crate) estop: bool,
    pub(crate) fell: bool,
    pub(crate) swept_from: Option<Point>,
    command: DriveCommand,
    told_at: MonoTime,
    slip: Slip,
    odometry: Odometry,
    localiser: Localiser,
    charge_wh: f64,
    touched_at: Option<u64>,
    /// Radians, from its own acceleration.
    tilt: f64,
}

impl Robot {
    pub(crate) fn new(seed: u64, number: usize, spec: RobotSpec, noise: &Noise, now: MonoTime) -> Self {
        let mut life = Chance::new(seed, LIFE_STREAM + number as u64);
        let mut robot = Self {
            spec,
            pose: spec.start,
            twist: Twist::ZERO,
            driven: 0.0,
            frame: SensorFrame::unknown(spec.descriptor.lidar_range),
            chance: Chance::new(seed, number as u64),
            payload: Kilograms::ZERO,
            powered: true,
            estop: false,
            fell: false,
            swept_from: None,
            command: DriveCommand::Halt,
            told_at: now,
            slip: Slip::default(),
            odometry: Odometry::new(noise, &mut life),
            localiser: Localiser::new(noise, spec.start, &mut life),
            charge_wh: spec.descriptor.battery_capacity.0,
            touched_at: None,
            tilt: 0.0,
        };
        robot.sense(0, now, noise, &[]);
        robot
    }

    /// What the motors are told; the caller has checked its age and its numbers.
    pub(crate) fn tell(&mut self, now: MonoTime, frame: &ActuatorFrame) {
        self.told_at = now;
        self.command = match frame.mode {
            DriveMode::Follow => DriveCommand::Follow(frame.twist),
            DriveMode::Halt => DriveCommand::Halt,
            DriveMode::Land => DriveCommand::Land,
            DriveMode::CutPower => {
                self.powered = false;
                DriveCommand::Halt
            }
        };
    }

    pub(crate) fn halt(&mut self) {
        self.command = DriveCommand::Halt;
    }

    /// Power comes back, movement does not. What fell down a drop-off stays there.
    pub(crate) fn restore_power(&mut self) -> bool {
        self.command = DriveCommand::Halt;
        self.powered = self.charge_wh > 0.0 && !self.fell;
        self.powered
    }

    /// Moves on by one step. `true` when it met something solid.
    pub(crate) fn drive(&mut self, now: MonoTime, noise: &Noise, terrain: &Terrain) -> bool {
        let command = match self.command {
            _ if !self.powered => DriveCommand::Powerless,
            DriveCommand::Follow(_) if now.since(self.told_at) > SILENCE_MAX => DriveCommand::Halt,
            command => command,
        };
        let before = self.twist;
        self.twist = follow(&self.spec.descriptor, before, command);
        self.tilt = tilt(&self.spec.descriptor, &before, &self.twist);
        if noise.slip > 0.0 {
            self.slip.wander(&mut self.chance, noise.slip);
        }
        if self.twist == Twist::ZERO {
            return false;
        }
        let before = self.pose;
        let mut next = before.moved(&self.slip.apply(self.twist), STEP_S);
        if next.z <= 0.0 {
            next.z = 0.0;
            self.twist.vz = self.twist.vz.max(0.0);
        }
        let met = self.keep_out_of_walls(before, &mut next, terrain);
        self.driven += next.position.distance(before.position);
        self.pose = next;
        met
    }

    /// Pushes the footprint out of whatever solid it would enter; back to where it was when that does not help.
    fn keep_out_of_walls(&mut self, before: Pose, next: &mut Pose, terrain: &Terrain) -> bool {
        let radius = self.spec.descriptor.radius.0;
        let mut met = false;
        for _ in 0..WALLS_MAX {
            let Some((wall, distance)) = terrain.nearest_solid(next.position, radius) else { break };
            met = true;
            let away = (next.position - wall) * distance.max(f64::MIN_POSITIVE).recip();
            if distance == 0.0 {
                break;
            }
            next.position = next.position + away * (radius - distance + HAIR);
        }
        if met {
            if terrain.nearest_solid(next.position, radius).is_some() {
                next.position = before.position;
            }
            let moved = (next.position - before.position).rotated(-before.heading) * STEP_S.recip();
            self.slow_to(moved);
        }
        met
    }

    /// Keeps of the velocity only what the obstacle left of it.
    fn slow_to(&mut self, moved: Point) {
        let keep = |wanted: f64, got: f64| {
            if got * wanted > 0.0 { wanted.signum() * got.abs().min(wanted.abs()) } else { 0.0 }
        };
        self.twist.vx = keep(self.twist.vx, moved.x);
        self.twist.vy = keep(self.twist.vy, moved.y);
    }

    /// Pushed by something that moves: stays out of walls, or does not move.
    pub(crate) fn pushed(&mut self, by: Point, terrain: &Terrain) {
        let to = self.pose.position + by;
        if terrain.nearest_solid(to, self.spec.descriptor.radius.0).is_none() {
            self.pose.position = to;
        }
        self.twist.vx = 0.0;
        self.twist.vy = 0.0;
    }

    pub(crate) fn touched(&mut self, tick: u64) {
        self.touched_at = Some(tick);
    }

    /// One step of the battery. An empty one cuts the power.
    pub(crate) fn spend(&mut self) {
        let body = &self.spec.descriptor;
        let speed = self.twist.speed();
        let charging = self.is_charging();
        let load = 1.0 + self.payload.0 / body.payload_max.0.max(1.0);
        let flies = body.drive == Drive::Multirotor && self.powered && self.pose.z > 0.0;
        let mut watts = IDLE_W + load * (DRIVE_W * speed + TURN_W * self.twist.yaw_rate.abs());
        watts += if flies { HOVER_W * load } else { 0.0 };
        watts -= if charging { CHARGER_W } else { 0.0 };
        self.charge_wh = (self.charge_wh - watts * STEP_S / 3_600.0).clamp(0.0, body.battery_capacity.0);
        self.powered &= self.charge_wh > 0.0;
    }

    fn is_charging(&self) -> bool {
        let near = self.pose.position.distance(self.spec.start.position) < CHARGER_REACH;
        near && self.twist == Twist::ZERO && !self.fell
    }

    pub(crate) fn set_charge(&mut self, charge: Percent) {
        let share = (charge.0 / 100.0).clamp(0.0, 1.0);
        self.charge_wh = self.spec.descriptor.battery_capacity.0 * if share.is_nan() { 0.0 } else { share };
    }

    /// Everything but the lidar, as the sensors have it at the end of this step.
    pub(crate) fn sense(&mut self, tick: u64, now: MonoTime, noise: &Noise, cliffs: &[Polygon]) {
        let wheels = self.twist;
        let battery = Battery {
            charge: Percent(100.0 * self.charge_wh / self.spec.descriptor.battery_capacity.0),
            charging: self.is_charging(),
        };
        self.odometry.add(&wheels);
        self.localiser.step(noise, self.pose, &mut self.chance);
        let frame = &mut self.frame;
        frame.at = now;
        frame.sequence += 1;
        frame.estimate = self.localiser.estimate(noise, now);
        frame.odometry = self.odometry.pose;
        frame.twist = measured(wheels, noise.twist, &mut self.chance);
        frame.battery = battery;
        frame.payload = self.payload;
        let shaken = if noise.tilt > 0.0 { (noise.tilt * self.chance.normal()).abs() } else { 0.0 };
        frame.tilt = Radians(self.tilt + shaken);
        frame.bumper = self.touched_at.is_some_and(|at| tick - at < BUMPER_STEPS);
        frame.motors_powered = self.powered;
        frame.emergency_stop = self.estop;
        frame.on_ground = self.pose.z <= 0.0;
        self.look_down(cliffs);
    }

    /// Drop-offs in front, left, behind and right; over one with its centre, a robot on wheels has fallen.
    fn look_down(&mut self, cliffs: &[Polygon]) {
        if cliffs.is_empty() || self.pose.z > 0.0 {
            self.frame.cliff = [false; 4];
            return;
        }
        let reach = self.spec.descriptor.radius.0 + CLIFF_REACH;
        let missing = |at: Point| cliffs.iter().any(|cliff| cliff.contains(at));
        let quarter = core::f64::consts::FRAC_PI_2;
        self.frame.cliff = core::array::from_fn(|side| {
            let heading = wrap_angle(self.pose.heading + quarter * side as f64);
            missing(self.pose.position + Point::from_heading(heading) * reach)
        });
        if missing(self.pose.position) {
            self.fell = true;
            self.powered = false;
        }
    }
}

/// What wheels and gyroscope say; they are sure when nothing turns.
fn measured(twist: Twist, noise: f64, chance: &mut Chance) -> Twist {
    if noise == 0.0 || twist == Twist::ZERO {
        return twist;
    }
    let mut around = |value: f64| if value == 0.0 { 0.0 } else { value + noise * chance.normal() };
    Twist { vx: around(twist.vx), vy: around(twist.vy), vz: around(twist.vz), yaw_rate: around(twist.yaw_rate) }
}
