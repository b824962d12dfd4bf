//! Points, poses, polygons, regions, bodies.

use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::polygon::{POLYGON_CORNERS_MAX, Polygon};
use skein_types::region::{REGION_RUNS_MAX, Region, RegionError, RegionFrame, Run};
use skein_types::safety::{FailsafeLevel, Latch};
use skein_types::units::{Kilograms, Meters, MetersPerSecond, MetersPerSecondSquared, RadiansPerSecond, WattHours};

use crate::error::{At, Fault, WireError};
use crate::read::{finite, list, nested, one_of, points, same_variants, xy};
use crate::v1;

same_variants!(v1::Drive, Drive: Differential, Holonomic, Multirotor);
same_variants!(v1::Latch, Latch: Released, Stop, Kill);
same_variants!(v1::FailsafeLevel, FailsafeLevel: None, Warn, Slow, Hold, Return, Land, Stop, Kill);

impl TryFrom<v1::Point> for Point {
    type Error = WireError;
    fn try_from(wire: v1::Point) -> Result<Self, WireError> {
        Ok(Self { x: finite(wire.x).at("x")?, y: finite(wire.y).at("y")? })
    }
}

impl From<Point> for v1::Point {
    fn from(point: Point) -> Self {
        Self { x: point.x, y: point.y }
    }
}

impl TryFrom<v1::Pose> for Pose {
    type Error = WireError;
    fn try_from(wire: v1::Pose) -> Result<Self, WireError> {
        Ok(Self {
            position: Point { x: finite(wire.x).at("x")?, y: finite(wire.y).at("y")? },
            z: finite(wire.z).at("z")?,
            heading: finite(wire.heading).at("heading")?,
        })
    }
}

impl From<Pose> for v1::Pose {
    fn from(pose: Pose) -> Self {
        Self { x: pose.position.x, y: pose.position.y, z: pose.z, heading: pose.heading }
    }
}

impl TryFrom<v1::Twist> for Twist {
    type Error = WireError;
    fn try_from(wire: v1::Twist) -> Result<Self, WireError> {
        Ok(Self {
            vx: finite(wire.vx).at("vx")?,
            vy: finite(wire.vy).at("vy")?,
            vz: finite(wire.vz).at("vz")?,
            yaw_rate: finite(wire.yaw_rate).at("yaw_rate")?,
        })
    }
}

impl From<Twist> for v1::Twist {
    fn from(twist: Twist) -> Self {
        Self { vx: twist.vx, vy: twist.vy, vz: twist.vz, yaw_rate: twist.yaw_rate }
    }
}

struct Corners(Vec<Point>);

impl TryFrom<v1::Ring> for Corners {
    type Error = WireError;
    fn try_from(wire: v1::Ring) -> Result<Self, WireError> {
        points(&wire.xy, POLYGON_CORNERS_MAX, "xy").map(Self)
    }
}

impl TryFrom<v1::Polygon> for Polygon {
    type Error = WireError;
    fn try_from(wire: v1::Polygon) -> Result<Self, WireError> {
        let Corners(exterior) = nested(wire.exterior, "exterior")?;
        let holes: Vec<Corners> = list(wire.holes, POLYGON_CORNERS_MAX / 3, "holes")?;
        Ok(Self::new(exterior, holes.into_iter().map(|Corners(hole)| hole).collect())?)
    }
}

impl From<Polygon> for v1::Polygon {
    fn from(polygon: Polygon) -> Self {
        Self {
            exterior: Some(v1::Ring { xy: xy(polygon.exterior()) }),
            holes: polygon.holes().iter().map(|hole| v1::Ring { xy: xy(hole) }).collect(),
        }
    }
}

impl TryFrom<v1::RegionFrame> for RegionFrame {
    type Error = WireError;
    fn try_from(wire: v1::RegionFrame) -> Result<Self, WireError> {
        Ok(Self {
            origin: nested(wire.origin, "origin")?,
            resolution: finite(wire.resolution).at("resolution")?,
            width: wire.width,
            height: wire.height,
        })
    }
}

impl From<RegionFrame> for v1::RegionFrame {
    fn from(frame: RegionFrame) -> Self {
        Self {
            origin: Some(frame.origin.into()),
            resolution: frame.resolution,
            width: frame.width,
            height: frame.height,
        }
    }
}

impl TryFrom<v1::Region> for Region {
    type Error = WireError;
    fn try_from(wire: v1::Region) -> Result<Self, WireError> {
        let frame: RegionFrame = nested(wire.frame, "frame")?;
        let runs = runs_from_gaps(&wire.runs)?;
        Self::new(frame, runs).map_err(|error| match error {
            RegionError::Frame { .. } | RegionError::TooLarge(_) => located(error, "frame".to_owned()),
            RegionError::Run { index } => located(error, format!("runs[{index}]")),
            RegionError::TooManyRuns(_) | RegionError::FramesDiffer => error.into(),
        })
    }
}

fn located(error: RegionError, field: String) -> WireError {
    WireError::from(error).within(&field)
}

impl From<Region> for v1::Region {
    fn from(region: Region) -> Self {
        let mut end = 0_u32;
        let mut runs = Vec::with_capacity(region.runs().len() * 2);
        for run in region.runs() {
            runs.extend([run.start - end, run.length]);
            end = run.start + run.length;
        }
        Self { frame: Some((*region.frame()).into()), runs }
    }
}

/// Undoes the coding of runs as the gap before and the length.
fn runs_from_gaps(numbers: &[u32]) -> Result<Vec<Run>, WireError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::NoPairs(numbers.len())).at("runs");
    }
    crate::read::count(pairs.len(), REGION_RUNS_MAX).at("runs")?;
    let mut end = 0_u64;
    let mut runs = Vec::with_capacity(pairs.len());
    for (index, &[gap, length]) in pairs.iter().enumerate() {
        let start = end + u64::from(gap);
        end = start + u64::from(length);
        let Ok(start) = u32::try_from(start) else {
            return Err(Fault::OutOfRange { value: start, max: u32::MAX.into() }).at_index("runs", index);
        };
        runs.push(Run { start, length });
    }
    Ok(runs)
}

impl TryFrom<v1::BodyDescriptor> for BodyDescriptor {
    type Error = WireError;
    fn try_from(wire: v1::BodyDescriptor) -> Result<Self, WireError> {
        let body = Self {
            drive: one_of::<v1::Drive, _>(wire.drive).at("drive")?,
            radius: Meters(finite(wire.radius).at("radius")?),
            speed_max: MetersPerSecond(finite(wire.speed_max).at("speed_max")?),
            yaw_rate_max: RadiansPerSecond(finite(wire.yaw_rate_max).at("yaw_rate_max")?),
            acceleration_max: MetersPerSecondSquared(finite(wire.acceleration_max).at("acceleration_max")?),
            braking_max: MetersPerSecondSquared(finite(wire.braking_max).at("braking_max")?),
            sweep_range: Meters(finite(wire.sweep_range).at("sweep_range")?),
            lidar_range: Meters(finite(wire.lidar_range).at("lidar_range")?),
            battery_capacity: WattHours(finite(wire.battery_capacity).at("battery_capacity")?),
            payload_max: Kilograms(finite(wire.payload_max).at("payload_max")?),
        };
        if body.is_sound() { Ok(body) } else { Err(Fault::Body.into()) }
    }
}

impl From<BodyDescriptor> for v1::BodyDescriptor {
    fn from(body: BodyDescriptor) -> Self {
        Self {
            drive: v1::Drive::from(body.drive).into(),
            radius: body.radius.0,
            speed_max: body.speed_max.0,
            yaw_rate_max: body.yaw_rate_max.0,
            acceleration_max: body.acceleration_max.0,
            braking_max: body.braking_max.0,
            sweep_range: body.sweep_range.0,
            lidar_range: body.lidar_range.0,
            battery_capacity: body.battery_capacity.0,
            payload_max: body.payload_max.0,
        }
    }
}
