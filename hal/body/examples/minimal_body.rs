//! A body in one file: two driven wheels behind a motor controller, and wheel odometry for the pose.
//!
//! ```console
//! $ cargo run -p skein-body --example minimal_body
//! ```
//!
//! It runs the conformance suite over the body, then drives it inside a [`SafeBody`] until the envelope halts it.
//! A real driver replaces [`MotorController`] by calls to its hardware, and the pose by its localisation.

use core::time::Duration;

use skein_body::conformance::{self, Rig, TICK};
use skein_body::{Body, BodyError, Fence, SafeBody};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::sensing::{Battery, PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, Percent, Radians};

/// Distance between the wheels, metres.
const TRACK: f64 = 0.4;
/// The controller stops the wheels when commands stop for this long, and refuses commands that are older.
const SILENCE: Duration = Duration::from_millis(100);
/// Period of the lidar.
const SCAN_PERIOD: Duration = Duration::from_millis(100);

/// Left and right wheel, metres per second at the rim.
type Wheels = [f64; 2];

/// What a motor controller does in its firmware: ramps, a watchdog, and a power switch.
struct MotorController {
    wanted: Wheels,
    speed: Wheels,
    commanded_at: MonoTime,
    powered: bool,
    speed_up: f64,
    slow_down: f64,
}

impl MotorController {
    fn advance(&mut self, now: MonoTime, span: Duration) {
        if !self.powered || now.since(self.commanded_at) > SILENCE {
            self.wanted = [0.0; 2];
        }
        let dt = span.as_secs_f64();
        for (speed, wanted) in self.speed.iter_mut().zip(self.wanted) {
            let slower = wanted.abs() < speed.abs() || wanted * *speed < 0.0;
            let step = if slower { self.slow_down } else { self.speed_up } * dt;
            *speed += (wanted - *speed).clamp(-step, step);
        }
    }

    fn twist(&self) -> Twist {
        let [left, right] = self.speed;
        Twist::planar((left + right) / 2.0, (right - left) / TRACK)
    }
}

struct Rover {
    descriptor: BodyDescriptor,
    motors: MotorController,
    pose: Pose,
    simulated_to: MonoTime,
    frame: SensorFrame,
}

impl Rover {
    fn new(now: MonoTime) -> Self {
        let descriptor = BodyDescriptor::rover();
        let motors = MotorController {
            wanted: [0.0; 2],
            speed: [0.0; 2],
            commanded_at: MonoTime::ZERO,
            powered: true,
            speed_up: descriptor.acceleration_max.0,
            slow_down: descriptor.braking_max.0,
        };
        let frame = SensorFrame {
            battery: Battery { charge: Percent(100.0), charging: false },
            ..SensorFrame::unknown(descriptor.lidar_range)
        };
        Self { descriptor, motors, pose: Pose::default(), simulated_to: now, frame }
    }

    /// The wheels turn until now. Hardware does this by itself.
    fn simulate_to(&mut self, now: MonoTime) {
        while self.simulated_to < now {
            self.simulated_to = self.simulated_to + TICK;
            self.motors.advance(self.simulated_to, TICK);
            self.pose = self.pose.moved(&self.motors.twist(), TICK.as_secs_f64());
        }
    }

    /// Wheel speeds for a velocity, within what the descriptor promises.
    fn wheels(&self, twist: &Twist) -> Wheels {
        let forward = twist.vx.clamp(-self.descriptor.speed_max.0, self.descriptor.speed_max.0);
        let rate = twist.yaw_rate.clamp(-self.descriptor.yaw_rate_max.0, self.descriptor.yaw_rate_max.0);
        [forward - rate * TRACK / 2.0, forward + rate * TRACK / 2.0]
    }
}

impl Body for Rover {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.simulate_to(now);
        self.frame.at = now;
        self.frame.sequence += 1;
        self.frame.estimate =
            PoseEstimate { pose: self.pose, position_std: Meters(0.02), heading_std: Radians(0.02), at: now };
        self.frame.odometry = self.pose;
        self.frame.twist = self.motors.twist();
        self.frame.motors_powered = self.motors.powered;
        if now.since(self.frame.scan.at) >= SCAN_PERIOD {
            self.frame.scan.at = now; // every range stays infinite: nothing in sight
        }
        Ok(self.frame)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.motors.wanted = [0.0; 2]; // whatever is wrong below, the rover brakes
        let age = now.since(frame.at);
        match frame.mode {
            DriveMode::CutPower => self.motors.powered = false,
            DriveMode::Halt | DriveMode::Land => {}
            DriveMode::Follow if !frame.twist.is_finite() => return Err(BodyError::NotFinite),
            DriveMode::Follow if age > SILENCE => return Err(BodyError::Late { age, limit: SILENCE }),
            DriveMode::Follow => {
                self.motors.wanted = self.wheels(&frame.twist);
                self.motors.commanded_at = frame.at;
            }
        }
        Ok(())
    }

    fn halt(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.motors.wanted = [0.0; 2];
        Ok(())
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.motors.powered = true;
        self.motors.wanted = [0.0; 2];
        Ok(())
    }
}

/// The rover on a bench: its time, and its true place.
struct Bench {
    rover: Rover,
    now: MonoTime,
}

impl Rig for Bench {
    fn body(&mut self) -> &mut dyn Body {
        &mut self.rover
    }

    fn now(&self) -> MonoTime {
        self.now
    }

    fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        self.rover.simulate_to(self.now);
    }

    fn truth(&self) -> Pose {
        self.rover.pose
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = MonoTime::from_millis(1_000);
    let checks = conformance::run(&mut || Bench { rover: Rover::new(start), now: start })?;
    println!("conformance: {checks} checks passed");

    let mut body = SafeBody::new(Rover::new(start), Fence::unbounded());
    let mut now = start;
    for sequence in 0..300 {
        body.sense(now)?;
        if sequence < 150 {
            let twist = Twist::planar(0.5, 0.0);
            body.actuate(now, &ActuatorFrame { at: now, sequence, mode: DriveMode::Follow, twist })?;
        } // from here on no more commands: the envelope halts the body
        now = now + TICK;
    }
    let at = body.sense(now)?;
    println!(
        "drove 1.5 s at 0.5 m/s and fell silent: x = {:.2} m, {:.2} m/s",
        at.estimate.pose.position.x, at.twist.vx
    );
    Ok(())
}
