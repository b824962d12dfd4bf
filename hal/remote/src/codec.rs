//! The frames: what is in them, to bytes and back. Nothing here trusts the other side.

use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, NAME_BYTES_MAX};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{
    Kilograms, Meters, MetersPerSecond, MetersPerSecondSquared, Percent, Radians, RadiansPerSecond, WattHours,
};
use thiserror::Error;

use crate::bridge::Bridge;

/// The version of the frames this build speaks. Hello and Refused keep their form in every version.
pub const VERSION: u16 = 2;
/// Longest frame, kind and fields together. A sensor frame with a scan has 1,765 bytes.
pub const FRAME_BYTES_MAX: usize = 4_096;
/// Longest reason of a refusal that is sent, in bytes.
const REASON_BYTES_MAX: usize = 512;
/// First bytes of all, so that a stray program is told apart from an old robot.
const MAGIC: u32 = 0x534b_4244;

/// What was wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Longer than [`FRAME_BYTES_MAX`], or empty.
    #[error("a frame of {0} bytes; 1 to {FRAME_BYTES_MAX} are allowed")]
    Length(usize),
    /// It ends before this field does.
    #[error("the frame ends within {0}")]
    CutOff(&'static str),
    /// More bytes than fields.
    #[error("{0} bytes too many at the end of the frame")]
    Spare(usize),
    /// A kind that is not known, or not at this point.
    #[error("a frame of kind {0} is not expected here")]
    Kind(u8),
    /// A field has a value that means nothing.
    #[error("{field} has no such value: {value}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// What stood there, as its author wrote it.
        value: Unexpected,
    },
}

/// A value that means nothing. A figure is kept as it is: reading frames allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unexpected {
    /// A number that stands for a kind.
    #[error("{0}")]
    Number(u64),
    /// A text, in a greeting only.
    #[error("{0}")]
    Text(String),
}

/// Why a world does not take a robot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The two sides speak different versions.
    #[error("it speaks version {theirs} of the frames, this side {ours}: use builds of the same release")]
    Version {
        /// Of the side that refused.
        theirs: u16,
        /// Of the side that was refused.
        ours: u16,
    },
    /// No body of that name.
    #[error("it has no robot of that name; it has {0}")]
    UnknownRobot(String),
    /// Somebody else drives it.
    #[error("that robot is driven by another process already: end it first, or choose another name")]
    AlreadyConnected,
    /// Another reason, as a sentence.
    #[error("{0}")]
    Other(String),
}

/// What a robot is told when it is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welcome {
    /// The body it drives from now on.
    pub descriptor: BodyDescriptor,
    /// Where that body stands, `map_from_body`.
    pub home: Pose,
}

/// What a robot asks of its body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// [`skein_body::Body::actuate`].
    Actuate(ActuatorFrame),
    /// [`skein_body::Body::halt`].
    Halt,
    /// [`skein_body::Body::restore_power`].
    RestorePower,
}

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const SENSORS: u8 = 4;
const ACTUATE: u8 = 5;
const HALT: u8 = 6;
const RESTORE: u8 = 7;

/// One frame that has been cut out of the stream: its kind and its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) kind: u8,
    fields: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Of the bytes after the length.
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, fields) = body.split_first().ok_or(Malformed::Length(0))?;
        Ok(Self { kind: *kind, fields })
    }
}

/// Checks what a frame's first four bytes say of its length.
pub(crate) fn length_of(prefix: [u8; 4]) -> Result<usize, Malformed> {
    let length = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if length == 0 || length > FRAME_BYTES_MAX { Err(Malformed::Length(length)) } else { Ok(length) }
}

pub(crate) fn write_hello(out: &mut Vec<u8>, agent: &AgentId) {
    frame(out, HELLO, |out| {
        out.extend(MAGIC.to_le_bytes());
        out.extend(VERSION.to_le_bytes());
        text(out, agent.as_str());
    });
}

/// The name a robot gives; refused when it speaks another version.
pub(crate) fn read_hello(raw: Raw<'_>) -> Result<Result<AgentId, Refusal>, Malformed> {
    let mut fields = Fields::of(raw, HELLO)?;
    let magic = fields.u32("magic")?;
    if magic != MAGIC {
        return Err(value("magic", magic));
    }
    let version = fields.u16("version")?;
    if version != VERSION {
        return Ok(Err(Refusal::Version { theirs: VERSION, ours: version }));
    }
    let name = fields.text("agent", NAME_BYTES_MAX)?;
    let agent = AgentId::new(name).map_err(|why| text_value("agent", why))?;
    fields.end()?;
    Ok(Ok(agent))
}

pub(crate) fn write_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    frame(out, WELCOME, |out| {
        let body = &welcome.descriptor;
        out.push(match body.drive {
            Drive::Differential => 0,
            Drive::Holonomic => 1,
            Drive::Multirotor => 2,
        });
        floats(
            out,
            &[
                body.radius.0,
                body.speed_max.0,
                body.yaw_rate_max.0,
                body.acceleration_max.0,
                body.braking_max.0,
                body.sweep_range.0,
                body.lidar_range.0,
                body.battery_capacity.0,
                body.payload_max.0,
            ],
        );
        write_pose(out, &welcome.home);
    });
}

pub(crate) fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    frame(out, REFUSED, |out| {
        let (code, version, reason) = match refusal {
            Refusal::Version { theirs, .. } => (0_u8, *theirs, ""),
            Refusal::UnknownRobot(known) => (1, VERSION, known.as_str()),
            Refusal::AlreadyConnected => (2, VERSION, ""),
            Refusal::Other(reason) => (3, VERSION, reason.as_str()),
        };
        out.push(code);
        out.extend(version.to_le_bytes());
        let end = reason.floor_char_boundary(REASON_BYTES_MAX);
        text(out, reason.get(..end).unwrap_or_default());
    });
}

/// The answer to a hello.
pub(crate) fn read_answer(raw: Raw<'_>) -> Result<Result<Welcome, Refusal>, Malformed> {
    if raw.kind == REFUSED {
        return read_refusal(raw).map(Err);
    }
    let mut fields = Fields::of(raw, WELCOME)?;
    let drive = match fields.u8("drive")? {
        0 => Drive::Differential,
        1 => Drive::Holonomic,
        2 => Drive::Multirotor,
        other => return Err(value("drive", other)),
    };
    let descriptor = BodyDescriptor {
        drive,
        radius: Meters(fields.f64("radius")?),
        speed_max: MetersPerSecond(fields.f64("speed_max")?),
        yaw_rate_max: RadiansPerSecond(fields.f64("yaw_rate_max")?),
        acceleration_max: MetersPerSecondSquared(fields.f64("acceleration_max")?),
        braking_max: MetersPerSecondSquared(fields.f64("braking_max")?),
        sweep_range: Meters(fields.f64("sweep_range")?),
        lidar_range: Meters(fields.f64("lidar_range")?),
        battery_capacity: WattHours(fields.f64("battery_capacity")?),
        payload_max: Kilograms(fields.f64("payload_max")?),
    };
    let home = fields.pose("home")?;
    fields.end()?;
    if !descriptor.is_sound() {
        return Err(text_value("descriptor", format_args!("{descriptor:?}")));
    }
    if !home.is_finite() {
        return Err(text_value("home", format_args!("{home:?}")));
    }
    Ok(Ok(Welcome { descriptor, home }))
}

fn read_refusal(raw: Raw<'_>) -> Result<Refusal, Malformed> {
    let mut fields = Fields::of(raw, REFUSED)?;
    let code = fields.u8("refusal")?;
    let version = fields.u16("version")?;
    let reason = fields.text("reason", REASON_BYTES_MAX)?.to_string();
    fields.end()?;
    match code {
        0 => Ok(Refusal::Version { theirs: version, ours: VERSION }),
        1 => Ok(Refusal::UnknownRobot(reason)),
        2 => Ok(Refusal::AlreadyConnected),
        3 => Ok(Refusal::Other(reason)),
        other => Err(value("refusal", other)),
    }
}

pub(crate) fn write_command(out: &mut Vec<u8>, now: MonoTime, command: &Command) {
    match command {
        Command::Halt => frame(out, HALT, |_| {}),
        Command::RestorePower => frame(out, RESTORE, |_| {}),
        Command::Actuate(actuator) => frame(out, ACTUATE, |out| {
            out.extend(now.as_nanos().to_le_bytes());
            out.extend(age(now, actuator.at).to_le_bytes());
            out.extend(actuator.sequence.to_le_bytes());
            out.push(match actuator.mode {
                DriveMode::Follow => 0,
                DriveMode::Halt => 1,
                DriveMode::Land => 2,
                DriveMode::CutPower => 3,
            });
            write_twist(out, &actuator.twist);
        }),
    }
}

pub(crate) fn read_command(raw: Raw<'_>, now: MonoTime, bridge: &mut Bridge) -> Result<Command, Malformed> {
    match raw.kind {
        HALT => Fields::of(raw, HALT)?.end().map(|()| Command::Halt),
        RESTORE => Fields::of(raw, RESTORE)?.end().map(|()| Command::RestorePower),
        _ => {
            let mut fields = Fields::of(raw, ACTUATE)?;
            let sent = fields.u64("sent")?;
            let age = fields.u64("age")?;
            let sequence = fields.u64("sequence")?;
            let mode = match fields.u8("mode")? {
                0 => DriveMode::Follow,
                1 => DriveMode::Halt,
                2 => DriveMode::Land,
                3 => DriveMode::CutPower,
                other => return Err(value("mode", other)),
            };
            let twist = fields.twist("twist")?;
            fields.end()?;
            if !twist.is_finite() {
                return Err(value("twist", twist.vx.to_bits()));
            }
            bridge.received(now, sent);
            Ok(Command::Actuate(ActuatorFrame { at: bridge.local(now, sent, age), sequence, mode, twist }))
        }
    }
}

/// Flags of a sensor frame, after the four cliffs.
const BUMPER: u8 = 1 << 4;
const POWERED: u8 = 1 << 5;
const CHARGING: u8 = 1 << 6;
const HAS_SCAN: u8 = 1 << 7;
/// More flags of a sensor frame.
const ESTOP: u8 = 1 << 0;
const ON_GROUND: u8 = 1 << 1;

pub(crate) fn write_sensors(out: &mut Vec<u8>, now: MonoTime, sensors: &SensorFrame, with_scan: bool) {
    frame(out, SENSORS, |out| {
        out.extend(now.as_nanos().to_le_bytes());
        out.extend(age(now, sensors.at).to_le_bytes());
        out.extend(sensors.sequence.to_le_bytes());
        out.extend(age(now, sensors.estimate.at).to_le_bytes());
        write_pose(out, &sensors.estimate.pose);
        floats(out, &[sensors.estimate.position_std.0, sensors.estimate.heading_std.0]);
        write_pose(out, &sensors.odometry);
        write_twist(out, &sensors.twist);
        floats(out, &[sensors.battery.charge.0, sensors.payload.0, sensors.tilt.0]);
        let cliffs = sensors.cliff.iter().rev().fold(0_u8, |bits, cliff| bits << 1 | u8::from(*cliff));
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        out.push(
            cliffs
                | flag(sensors.bumper, BUMPER)
                | flag(sensors.motors_powered, POWERED)
                | flag(sensors.battery.charging, CHARGING)
                | flag(with_scan, HAS_SCAN),
        );
        out.push(flag(sensors.emergency_stop, ESTOP) | flag(sensors.on_ground, ON_GROUND));
        if with_scan {
            out.extend(age(now, sensors.scan.at).to_le_bytes());
            floats(out, &[sensors.scan.range_max.0]);
            out.extend(sensors.scan.ranges.iter().flat_map(|range| range.to_le_bytes()));
        }
    });
}

/// Takes a sensor frame into `sensors`; the scan stays the one that was there when the frame brings none. Figures that
/// are NaN pass: the reflex takes them for a broken sensor, which is what they are.
pub(crate) fn read_sensors(
    raw: Raw<'_>,
    now: MonoTime,
    bridge: &mut Bridge,
    sensors: &mut SensorFrame,
) -> Result<(), Malformed> {
    let mut fields = Fields::of(raw, SENSORS)?;
    let sent = fields.u64("sent")?;
    let frame_age = fields.u64("age")?;
    let sequence = fields.u64("sequence")?;
    let estimate_age = fields.u64("estimate age")?;
    let pose = fields.pose("estimate")?;
    let position_std = Meters(fields.f64("position_std")?);
    let heading_std = Radians(fields.f64("heading_std")?);
    let odometry = fields.pose("odometry")?;
    let twist = fields.twist("twist")?;
    let charge = Percent(fields.f64("charge")?);
    let payload = Kilograms(fields.f64("payload")?);
    let tilt = Radians(fields.f64("tilt")?);
    let flags = fields.u8("flags")?;
    let more = fields.u8("more flags")?;
    bridge.received(now, sent);
    let scan = if flags & HAS_SCAN == 0 {
        sensors.scan
    } else {
        let scan_age = fields.u64("scan age")?;
        let range_max = Meters(fields.f64("range_max")?);
        let mut ranges = [f32::NAN; BEAMS];
        for range in &mut ranges {
            *range = f32::from_le_bytes(fields.array("ranges")?);
        }
        Scan { at: bridge.local(now, sent, scan_age), ranges, range_max }
    };
    fields.end()?;
    let estimate = PoseEstimate { pose, position_std, heading_std, at: bridge.local(now, sent, estimate_age) };
    *sensors = SensorFrame {
        at: bridge.local(now, sent, frame_age),
        sequence,
        estimate,
        odometry,
        twist,
        scan,
        battery: Battery { charge, charging: flags & CHARGING != 0 },
        payload,
        tilt,
        cliff: [flags & 1 != 0, flags & 2 != 0, flags & 4 != 0, flags & 8 != 0],
        bumper: flags & BUMPER != 0,
        motors_powered: flags & POWERED != 0,
        emergency_stop: more & ESTOP != 0,
        on_ground: more & ON_GROUND != 0,
    };
    Ok(())
}

fn age(now: MonoTime, at: MonoTime) -> u64 {
    now.as_nanos().saturating_sub(at.as_nanos())
}

fn value(field: &'static str, number: impl Into<u64>) -> Malformed {
    Malformed::Value { field, value: Unexpected::Number(number.into()) }
}

/// Only for what is read before the real-time loop has the body.
fn text_value(field: &'static str, text: impl core::fmt::Display) -> Malformed {
    Malformed::Value { field, value: Unexpected::Text(text.to_string()) }
}

/// Appends a frame with its length in front. A frame of ours is never longer than the bound.
fn frame(out: &mut Vec<u8>, kind: u8, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.push(kind);
    fields(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_le_bytes());
    }
}

fn floats(out: &mut Vec<u8>, values: &[f64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn write_pose(out: &mut Vec<u8>, pose: &Pose) {
    floats(out, &[pose.position.x, pose.position.y, pose.z, pose.heading]);
}

fn write_twist(out: &mut Vec<u8>, twist: &Twist) {
    floats(out, &[twist.vx, twist.vy, twist.vz, twist.yaw_rate]);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The fields of a frame that are not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn of(raw: Raw<'a>, kind: u8) -> Result<Self, Malformed> {
        if raw.kind == kind { Ok(Self(raw.fields)) } else { Err(Malformed::Kind(raw.kind)) }
    }

    fn take(&mut self, bytes: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Malformed::CutOff(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::CutOff(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array(field).map(|[byte]: [u8; 1]| byte)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Malformed> {
        self.array(field).map(u16::from_le_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.array(field).map(u32::from_le_bytes)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.array(field).map(u64::from_le_bytes)
    }

    fn f64(&mut self, field: &'static str) -> Result<f64, Malformed> {
        self.array(field).map(f64::from_le_bytes)
    }

    fn pose(&mut self, field: &'static str) -> Result<Pose, Malformed> {
        let position = Point::new(self.f64(field)?, self.f64(field)?);
        Ok(Pose { position, z: self.f64(field)?, heading: self.f64(field)? })
    }

    fn twist(&mut self, field: &'static str) -> Result<Twist, Malformed> {
        Ok(Twist { vx: self.f64(field)?, vy: self.f64(field)?, vz: self.f64(field)?, yaw_rate: self.f64(field)? })
    }

    fn text(&mut self, field: &'static str, longest: usize) -> Result<&'a str, Malformed> {
        let length = usize::from(self.u16(field)?);
        if length > longest {
            return Err(text_value(field, format_args!("{length} bytes; at most {longest} are allowed")));
        }
        let bytes = self.take(length, field)?;
        core::str::from_utf8(bytes).map_err(|_| text_value(field, "bytes that are no UTF-8"))
    }

    fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Spare(self.0.len())) }
    }
}
