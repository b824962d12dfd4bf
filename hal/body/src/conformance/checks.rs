//! The checks, each a sentence that holds for every body.

use core::time::Duration;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Twist, wrap_angle};
use skein_types::motion::DriveMode;
use skein_types::sensing::SensorFrame;

use super::{Bench, TICK, ticks};

type Check = (&'static str, fn(&mut Bench<'_>) -> Result<(), String>);

pub(super) const ALL: &[Check] = &[
    ("its descriptor is sound and stays the same", descriptor_is_sound),
    ("what it senses is sound", sensed_is_sound),
    ("its frames are fresh and in order", frames_in_order),
    ("it stands until it is told to move", stands_at_first),
    ("it follows a velocity", follows),
    ("it backs up", backs_up),
    ("it turns the way it is told", turns),
    ("it moves only as its drive can", keeps_to_its_drive),
    ("it keeps to its top speed and rate of turn", keeps_its_limits),
    ("it climbs and descends no faster than it says", keeps_its_climb),
    ("it speeds up no harder than it says", speeds_up_gently),
    ("halt() stops it within its braking distance", halt_stops),
    ("a Halt command stops it, whatever velocity it carries", halt_command_stops),
    ("a Land command stops it over the floor", land_stops),
    ("a Land command brings what flies to the ground", land_reaches_the_ground),
    ("silence stops it", silence_stops),
    ("late commands do not move it", late_commands),
    ("a velocity that is NaN stops it and harms nothing", nan_velocity),
    ("CutPower stops it and is seen", cut_power_stops),
    ("without power nothing moves it", dead_without_power),
    ("with power back it stands until it is told to move", stands_after_power),
];

/// Longest time a body carries on without commands.
const SILENCE: Duration = Duration::from_millis(100);
/// Time that passes between a command and its effect, and back to the sensors, at most.
const LAG: Duration = Duration::from_millis(100);
/// A body that moved less than this, metres, stood.
const STOOD: f64 = 0.02;
/// A body that moves slower than this, m/s or rad/s, stands (its sensors may be noisy).
const STANDS: f64 = 0.05;
/// Steepest tilt on a level floor, radians.
const TILT: f64 = 0.2;
const GRAVITY: f64 = 9.81;
/// Longest time to the ground from where two seconds of climbing lead.
const LANDING: Duration = Duration::from_secs(30);
/// Share by which a true speed may exceed a limit.
const TOLERANCE: f64 = 1.1;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn body(bench: &mut Bench<'_>) -> BodyDescriptor {
    *bench.rig.body().descriptor()
}

/// Half its top speed, straight on.
fn forward(bench: &mut Bench<'_>) -> Twist {
    Twist::planar(body(bench).speed_max.0 * 0.5, 0.0)
}

/// The way from this speed to standing, with the time it may carry on before it brakes.
fn stopping_distance(body: &BodyDescriptor, speed: f64, carries_on: Duration) -> f64 {
    speed * (carries_on + LAG).as_secs_f64() + speed * speed / (2.0 * body.braking_max.0) * TOLERANCE + STOOD
}

fn descriptor_is_sound(bench: &mut Bench<'_>) -> Result<(), String> {
    let first = body(bench);
    ensure(first.is_sound(), || format!("{first:?} is not sound"))?;
    let moving = forward(bench);
    bench.drive(DriveMode::Follow, moving, Duration::from_millis(200))?;
    let later = body(bench);
    ensure(first == later, || format!("it was {first:?} and became {later:?}"))
}

fn sensed_is_sound(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    let moving = forward(bench);
    for _ in 0..50 {
        let frame = bench.sense()?;
        sound(&body, &frame)?;
        bench.command(DriveMode::Follow, moving, Duration::ZERO).map_err(|e| e.to_string())?;
        bench.rig.advance(TICK);
    }
    Ok(())
}

fn sound(body: &BodyDescriptor, frame: &SensorFrame) -> Result<(), String> {
    let estimate = &frame.estimate;
    ensure(estimate.pose.is_finite() && frame.odometry.is_finite(), || "a pose is NaN".into())?;
    ensure(estimate.position_std.0 >= 0.0 && estimate.heading_std.0 >= 0.0, || "an uncertainty is negative".into())?;
    ensure(frame.twist.is_finite(), || "the measured velocity is NaN".into())?;
    ensure((0.0..=100.0).contains(&frame.battery.charge.0), || format!("a charge of {}", frame.battery.charge))?;
    ensure((0.0..=body.payload_max.0).contains(&frame.payload.0), || format!("a payload of {}", frame.payload))?;
    ensure(frame.tilt.0.abs() < TILT + own_tilt(body), || format!("a tilt of {} on a level floor", frame.tilt))?;
    ensure(!frame.bumper && frame.cliff == [false; 4], || "bumper or cliff on a free floor".into())?;
    ensure(frame.motors_powered, || "the motors have no power at the start".into())?;
    ensure(!frame.emergency_stop, || "its emergency stop is pressed at the start".into())?;
    let longest = frame.scan.range_max.0 * TOLERANCE;
    let range_ok = |r: &f32| r.is_nan() || *r == f32::INFINITY || (0.0..=longest).contains(&f64::from(*r));
    ensure(frame.scan.ranges.iter().all(range_ok), || "a range is negative or beyond the longest".into())?;
    let blind = frame.scan.ranges.iter().filter(|r| r.is_nan()).count();
    ensure(blind * 4 < frame.scan.ranges.len(), || format!("{blind} beams dropped out at once"))
}

/// Radians: what flies tilts to accelerate.
fn own_tilt(body: &BodyDescriptor) -> f64 {
    match body.drive {
        Drive::Differential | Drive::Holonomic => 0.0,
        Drive::Multirotor => (body.acceleration_max.max(body.braking_max).0 / GRAVITY).atan(),
    }
}

fn frames_in_order(bench: &mut Bench<'_>) -> Result<(), String> {
    let mut last = bench.sense()?;
    let started = bench.rig.now();
    let mut scans = 0;
    for _ in 0..100 {
        bench.command(DriveMode::Halt, Twist::ZERO, Duration::ZERO).map_err(|e| e.to_string())?;
        bench.rig.advance(TICK);
        let (frame, now) = (bench.sense()?, bench.rig.now());
        ensure(frame.sequence >= last.sequence, || format!("sequence {} after {}", frame.sequence, last.sequence))?;
        ensure(frame.at >= last.at, || format!("a frame of {} after one of {}", frame.at, last.at))?;
        ensure(frame.scan.at >= last.scan.at, || "a scan older than the one before".into())?;
        ensure(frame.estimate.at >= last.estimate.at, || "a pose older than the one before".into())?;
        let parts = [frame.at, frame.scan.at, frame.estimate.at];
        ensure(parts.iter().all(|at| *at <= now), || format!("a time in the future at {now}"))?;
        ensure(now.since(frame.at) <= LAG, || format!("a frame {:?} old", now.since(frame.at)))?;
        scans += u32::from(frame.scan.at > last.scan.at);
        last = frame;
    }
    let now = bench.rig.now();
    ensure(scans >= 5, || format!("{scans} scans in {:?}", now.since(started)))?;
    ensure(now.since(last.estimate.at).as_millis() <= 500, || format!("a pose of {} at {now}", last.estimate.at))
}

fn stands_at_first(bench: &mut Bench<'_>) -> Result<(), String> {
    let before = bench.rig.truth();
    bench.keep_silent(Duration::from_secs(1))?;
    let moved = bench.rig.truth().position.distance(before.position);
    ensure(moved < STOOD, || format!("it moved {moved:.3} m without a command"))
}

fn follows(bench: &mut Bench<'_>) -> Result<(), String> {
    straight(bench, 0.5)
}

fn backs_up(bench: &mut Bench<'_>) -> Result<(), String> {
    straight(bench, -0.25)
}

fn straight(bench: &mut Bench<'_>, share: f64) -> Result<(), String> {
    let body = body(bench);
    let wanted = Twist::planar(body.speed_max.0 * share, 0.0);
    let ramp = Duration::from_secs_f64(wanted.vx.abs() / body.acceleration_max.0) + LAG * 2;
    bench.drive(DriveMode::Follow, wanted, ramp)?;
    let (before, odometry) = (bench.rig.truth(), bench.sense()?.odometry);
    bench.drive(DriveMode::Follow, wanted, Duration::from_secs(1))?;
    let moved = before.body_from_map(bench.rig.truth().position);
    let off = (moved.x - wanted.vx).abs().max(moved.y.abs());
    ensure(off < 0.15 * wanted.vx.abs() + STOOD, || format!("told {:.2} m/s it went {moved:?} in 1 s", wanted.vx))?;
    let frame = bench.sense()?;
    let reckoned = odometry.body_from_map(frame.odometry.position).x;
    ensure((reckoned - moved.x).abs() < 0.2 * moved.x.abs() + STOOD, || {
        format!("its odometry says {reckoned:.3} m, it went {:.3} m", moved.x)
    })?;
    ensure((frame.twist.vx - wanted.vx).abs() < 0.25 * wanted.vx.abs() + STANDS, || {
        format!("it measures {:.3} m/s at {:.3} m/s", frame.twist.vx, wanted.vx)
    })
}

fn turns(bench: &mut Bench<'_>) -> Result<(), String> {
    for share in [0.5, -0.5] {
        let wanted = Twist::planar(0.0, body(bench).yaw_rate_max.0 * share);
        bench.drive(DriveMode::Follow, wanted, Duration::from_secs(1))?;
        let before = bench.rig.truth();
        bench.drive(DriveMode::Follow, wanted, Duration::from_millis(500))?;
        let after = bench.rig.truth();
        let turned = wrap_angle(after.heading - before.heading);
        let expected = wanted.yaw_rate * 0.5;
        ensure((turned - expected).abs() < 0.2 * expected.abs() + STANDS, || {
            format!("told {:.2} rad/s it turned {turned:.3} rad in 0.5 s", wanted.yaw_rate)
        })?;
        let moved = after.position.distance(before.position);
        ensure(moved < STOOD, || format!("turning in place it went {moved:.3} m"))?;
        ensure(
            (bench.sense()?.twist.yaw_rate - wanted.yaw_rate).abs() < 0.25 * wanted.yaw_rate.abs() + STANDS,
            || "it measures another rate of turn".into(),
        )?;
    }
    Ok(())
}

fn keeps_to_its_drive(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    let sideways = Twist { vy: body.speed_max.0 * 0.4, ..Twist::ZERO };
    let up = Twist { vz: body.speed_max.0 * 0.2, ..Twist::ZERO };
    let before = bench.rig.truth();
    bench.insist(DriveMode::Follow, sideways, Duration::from_millis(1500), Duration::ZERO)?;
    let aside = before.body_from_map(bench.rig.truth().position);
    bench.insist(DriveMode::Follow, up, Duration::from_millis(1000), Duration::ZERO)?;
    let climbed = bench.rig.truth().z - before.z;
    match body.drive {
        Drive::Differential => {
            ensure(aside.norm() < STOOD, || format!("on two wheels it went sideways by {:.3} m", aside.norm()))?;
        }
        Drive::Holonomic | Drive::Multirotor => {
            ensure(aside.y > sideways.vy * 0.5, || format!("told to go left it went {aside:?}"))?;
        }
    }
    match body.drive {
        Drive::Differential | Drive::Holonomic => {
            ensure(climbed.abs() < STOOD, || format!("on wheels it climbed {climbed:.3} m"))
        }
        Drive::Multirotor => ensure(climbed > up.vz * 0.3, || format!("told to climb it climbed {climbed:.3} m")),
    }
}

fn keeps_its_limits(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    let fast = Twist::planar(body.speed_max.0 * 50.0, 0.0);
    let spinning = Twist::planar(0.0, body.yaw_rate_max.0 * 50.0);
    let mut before = bench.rig.truth();
    for tick in 0..200 {
        bench.sense()?;
        let wild = if tick < 110 { fast } else { spinning };
        let _cut_down_or_refused = bench.command(DriveMode::Follow, wild, Duration::ZERO);
        bench.rig.advance(TICK);
        let after = bench.rig.truth();
        let speed = after.position.distance(before.position) / TICK.as_secs_f64();
        let rate = wrap_angle(after.heading - before.heading).abs() / TICK.as_secs_f64();
        ensure(speed <= body.speed_max.0 * TOLERANCE, || format!("{speed:.2} m/s is beyond {}", body.speed_max))?;
        ensure(rate <= body.yaw_rate_max.0 * TOLERANCE, || format!("{rate:.2} rad/s is beyond {}", body.yaw_rate_max))?;
        before = after;
    }
    Ok(())
}

fn keeps_its_climb(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    let most = body.vertical_speed_max().0 * TOLERANCE;
    let mut before = bench.rig.truth();
    for tick in 0..300 {
        bench.sense()?;
        let vz = body.speed_max.0 * if tick < 150 { 50.0 } else { -50.0 };
        let _cut_down_or_refused = bench.command(DriveMode::Follow, Twist { vz, ..Twist::ZERO }, Duration::ZERO);
        bench.rig.advance(TICK);
        let after = bench.rig.truth();
        let climb = (after.z - before.z).abs() / TICK.as_secs_f64();
        ensure(climb <= most, || format!("it climbs or descends at {climb:.2} m/s; at most {most:.2} m/s"))?;
        before = after;
    }
    Ok(())
}

fn speeds_up_gently(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    let wanted = Twist::planar(body.speed_max.0, 0.0);
    let before = bench.rig.truth();
    let span = Duration::from_millis(300);
    bench.drive(DriveMode::Follow, wanted, span)?;
    let moved = bench.rig.truth().position.distance(before.position);
    let most = 0.5 * body.acceleration_max.0 * (span.as_secs_f64() + TICK.as_secs_f64()).powi(2) * TOLERANCE;
    ensure(moved <= most + 0.005, || format!("{moved:.3} m in {span:?} from standing; at most {most:.3} m"))
}

fn run_up(bench: &mut Bench<'_>) -> Result<f64, String> {
    let body = body(bench);
    let wanted = forward(bench);
    let ramp = Duration::from_secs_f64(wanted.vx / body.acceleration_max.0) + LAG * 2;
    bench.drive(DriveMode::Follow, wanted, ramp)?;
    Ok(wanted.vx)
}

/// From half its top speed, with what `stop` does each tick, it must come to stand where it should and stay there.
fn stops_by(
    bench: &mut Bench<'_>,
    carries_on: Duration,
    stop: fn(&mut Bench<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let body = body(bench);
    let speed = run_up(bench)?;
    let before = bench.rig.truth();
    for _ in 0..200 {
        bench.sense()?;
        stop(bench)?;
        bench.rig.advance(TICK);
    }
    let (stopped, most) = (bench.rig.truth(), stopping_distance(&body, speed, carries_on));
    let went = stopped.position.distance(before.position);
    ensure(went <= most, || format!("it went {went:.3} m on from {speed:.2} m/s; at most {most:.3} m"))?;
    for _ in 0..50 {
        bench.sense()?;
        stop(bench)?;
        bench.rig.advance(TICK);
    }
    let crept = bench.rig.truth().position.distance(stopped.position);
    ensure(crept < STOOD, || format!("it crept {crept:.3} m after it had stopped"))?;
    let frame = bench.sense()?;
    ensure(frame.twist.speed() < STANDS, || format!("standing, it measures {:.3} m/s", frame.twist.speed()))
}

fn halt_stops(bench: &mut Bench<'_>) -> Result<(), String> {
    stops_by(bench, Duration::ZERO, |bench| {
        let now = bench.rig.now();
        bench.rig.body().halt(now).map_err(|e| e.to_string())
    })
}

fn halt_command_stops(bench: &mut Bench<'_>) -> Result<(), String> {
    stops_by(bench, Duration::ZERO, |bench| {
        let still_going = forward(bench);
        bench.command(DriveMode::Halt, still_going, Duration::ZERO).map_err(|e| e.to_string())
    })
}

fn land_stops(bench: &mut Bench<'_>) -> Result<(), String> {
    stops_by(bench, Duration::ZERO, |bench| {
        let still_going = forward(bench);
        bench.command(DriveMode::Land, still_going, Duration::ZERO).map_err(|e| e.to_string())
    })
}

fn land_reaches_the_ground(bench: &mut Bench<'_>) -> Result<(), String> {
    let body = body(bench);
    if body.drive != Drive::Multirotor {
        return Ok(());
    }
    let start = bench.rig.truth().z;
    let up = Twist { vz: body.vertical_speed_max().0 * 0.8, ..Twist::ZERO };
    bench.drive(DriveMode::Follow, up, Duration::from_secs(2))?;
    let climbed = bench.rig.truth().z - start;
    ensure(climbed > 0.5 * up.vz, || format!("told to climb it climbed {climbed:.3} m"))?;
    ensure(!bench.sense()?.on_ground, || "it reports the ground in the air".into())?;
    for _ in 0..ticks(LANDING) {
        bench.drive(DriveMode::Land, Twist::ZERO, TICK)?;
        if bench.sense()?.on_ground {
            let reported = bench.rig.truth().z;
            bench.drive(DriveMode::Land, Twist::ZERO, Duration::from_secs(1))?;
            let fell = reported - bench.rig.truth().z;
            return ensure(fell < STOOD, || format!("it reports the ground {fell:.3} m above it"));
        }
    }
    Err(format!("after {LANDING:?} of Land it reports no ground"))
}

fn silence_stops(bench: &mut Bench<'_>) -> Result<(), String> {
    stops_by(bench, SILENCE, |_| Ok(()))
}

fn late_commands(bench: &mut Bench<'_>) -> Result<(), String> {
    let moving = forward(bench);
    bench.rig.advance(Duration::from_secs(2));
    let before = bench.rig.truth();
    bench.insist(DriveMode::Follow, moving, Duration::from_secs(1), Duration::from_millis(500))?;
    let moved = bench.rig.truth().position.distance(before.position);
    ensure(moved < STOOD, || format!("commands of half a second ago moved it {moved:.3} m"))
}

fn nan_velocity(bench: &mut Bench<'_>) -> Result<(), String> {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for twist in [
            Twist::planar(bad, 0.0),
            Twist::planar(0.0, bad),
            Twist { vy: bad, ..Twist::ZERO },
            Twist { vz: bad, ..Twist::ZERO },
        ] {
            let accepted = bench.command(DriveMode::Follow, twist, Duration::ZERO);
            ensure(accepted.is_err(), || format!("{twist:?} was accepted"))?;
            let before = bench.rig.truth();
            bench.insist(DriveMode::Follow, twist, Duration::from_millis(200), Duration::ZERO)?;
            let after = bench.rig.truth();
            ensure(after.is_finite() && after.position.distance(before.position) < STOOD, || {
                format!("{twist:?} moved it to {after:?}")
            })?;
        }
    }
    let body = body(bench);
    sound(&body, &bench.sense()?)?;
    follows(bench)
}

fn cut_power_stops(bench: &mut Bench<'_>) -> Result<(), String> {
    stops_by(bench, Duration::ZERO, |bench| {
        bench.command(DriveMode::CutPower, Twist::ZERO, Duration::ZERO).map_err(|e| e.to_string())
    })?;
    ensure(!bench.sense()?.motors_powered, || "after CutPower it still reports power".into())
}

fn dead_without_power(bench: &mut Bench<'_>) -> Result<(), String> {
    bench.drive(DriveMode::CutPower, Twist::ZERO, Duration::from_millis(100))?;
    let (before, moving) = (bench.rig.truth(), forward(bench));
    bench.insist(DriveMode::Follow, moving, Duration::from_secs(1), Duration::ZERO)?;
    let moved = bench.rig.truth().position.distance(before.position);
    ensure(moved < STOOD, || format!("without power it moved {moved:.3} m"))?;
    ensure(!bench.sense()?.motors_powered, || "power came back by itself".into())
}

fn stands_after_power(bench: &mut Bench<'_>) -> Result<(), String> {
    let moving = forward(bench);
    bench.drive(DriveMode::Follow, moving, Duration::from_millis(300))?;
    bench.drive(DriveMode::CutPower, Twist::ZERO, Duration::from_secs(2))?;
    let now = bench.rig.now();
    bench.rig.body().restore_power(now).map_err(|e| format!("restore_power failed: {e}"))?;
    let before = bench.rig.truth();
    bench.keep_silent(Duration::from_secs(1))?;
    let moved = bench.rig.truth().position.distance(before.position);
    ensure(moved < STOOD, || format!("with the power back it moved {moved:.3} m by itself"))?;
    ensure(bench.sense()?.motors_powered, || "after restore_power it reports no power".into())?;
    follows(bench)
}
