//! Where the robot is, and what it sees that the map does not show.

pub(crate) mod hazard_check;
pub(crate) mod obstacle_layer;
mod peer_sight;
pub(crate) mod pose_filter;
pub(crate) mod still_obstacles;

use std::time::Duration;

use skein_coord::Sight;
use skein_space::planning::PlanningMap;
use skein_types::body::Drive;
use skein_types::coord::Intent;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::sensing::{Battery, SensorFrame};
use skein_types::time::MonoTime;

use self::hazard_check::{HazardCheck, ReportedObstacle};
use self::obstacle_layer::{ObstacleLayer, PeerMask};
use self::pose_filter::{FrameEffect, PoseFilter};
use self::still_obstacles::StillObstacles;
use crate::config::AgentConfig;

/// Expired evidence is removed this often.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);
/// A consistency of lidar and map below this means a wrong map or a wrong pose.
const INCONSISTENT: f64 = 0.35;
/// A consistency above this ends the disagreement.
const CONSISTENT: f64 = 0.5;
/// A measured payload above this counts as carrying, kilograms.
const PAYLOAD_MIN: f64 = 0.5;

/// The pose filter, the obstacle layer, and whether lidar and map agree.
#[derive(Clone, Debug)]
pub(crate) struct Localization {
    filter: PoseFilter,
    obstacles: ObstacleLayer,
    hazard_check: HazardCheck,
    still: StillObstacles,
    map_disagrees: bool,
    expired_at: MonoTime,
}

impl Localization {
    pub(crate) fn new() -> Self {
        let (filter, obstacles) = (PoseFilter::new(), ObstacleLayer::new());
        let (hazard_check, still) = (HazardCheck::default(), StillObstacles::default());
        Self { filter, obstacles, hazard_check, still, map_disagrees: false, expired_at: MonoTime::ZERO }
    }

    /// Takes a sensor frame.
    pub(crate) fn on_frame(&mut self, frame: Box<SensorFrame>) -> FrameEffect {
        self.filter.on_frame(frame)
    }

    /// Adds the newest lidar revolution to the obstacle layer, unless the pose is in doubt. Returns whether lidar and map
    /// disagree when that has just changed.
    pub(crate) fn integrate_scan(&mut self, now: MonoTime, map: &PlanningMap, peers: &[PeerMask]) -> Option<bool> {
        let frame = self.filter.frame()?;
        let pose = self.filter.pose_at(frame.scan.at)?;
        if self.filter.is_contradicted() {
            return None;
        }
        self.obstacles.integrate(now, map, &pose, &frame.scan, peers);
        if now.since(self.expired_at) >= EXPIRE_EVERY {
            self.expired_at = now;
            self.obstacles.expire(now);
        }
        self.compare_with_map()
    }

    /// What the newest lidar revolution says of the position in a peer's intent.
    pub(crate) fn sight_of(&self, config: &AgentConfig, intent: &Intent) -> Sight {
        let Some(frame) = self.filter.frame().filter(|_| config.descriptor.drive != Drive::Multirotor) else {
            return Sight::Unknown;
        };
        match self.filter.pose_at(frame.scan.at) {
            Some(pose) if !self.filter.is_contradicted() => {
                peer_sight::sight_of(&config.map, &pose, &frame.scan, intent.pose.position, intent.radius.get())
            }
            _ => Sight::Unknown,
        }
    }

    /// The reported obstacles that the newest lidar revolution confirms to be gone.
    pub(crate) fn check_obstacles(
        &mut self,
        reported: impl Iterator<Item = ReportedObstacle>,
    ) -> Vec<ReportedObstacle> {
        let Some(frame) = self.filter.frame() else { return Vec::new() };
        match self.filter.pose_at(frame.scan.at) {
            Some(pose) if !self.filter.is_contradicted() => self.hazard_check.on_scan(&pose, &frame.scan, reported),
            _ => Vec::new(),
        }
    }

    /// Unmapped obstacles that stand still and have not been reported lately. None while the peers are not heard: each of
    /// them would look like one.
    pub(crate) fn still_obstacles(
        &mut self,
        now: MonoTime,
        map: &PlanningMap,
        hears_peers: bool,
    ) -> Vec<ReportedObstacle> {
        match self.trusted_pose() {
            Some(pose) if hears_peers && !self.map_disagrees => {
                self.still.update(now, pose.position, map, &self.obstacles)
            }
            _ => {
                self.still.forget();
                Vec::new()
            }
        }
    }

    fn compare_with_map(&mut self) -> Option<bool> {
        let limit = if self.map_disagrees { CONSISTENT } else { INCONSISTENT };
        let disagrees = self.obstacles.consistency() < limit;
        let changed = disagrees != self.map_disagrees;
        self.map_disagrees = disagrees;
        changed.then_some(disagrees)
    }

    /// The last accepted sensor frame.
    pub(crate) fn frame(&self) -> Option<&SensorFrame> {
        self.filter.frame()
    }

    /// `map_from_body` now. `None` before the first estimate.
    pub(crate) fn pose(&self) -> Option<Pose> {
        self.filter.pose()
    }

    /// When the pose was measured: the time of the odometry that carries it.
    pub(crate) fn pose_at(&self) -> MonoTime {
        self.filter.frame().map_or(MonoTime::ZERO, |frame| frame.at)
    }

    /// The pose, unless the localizer contradicts it at the moment.
    pub(crate) fn trusted_pose(&self) -> Option<Pose> {
        self.filter.pose().filter(|_| !self.filter.is_contradicted())
    }

    /// Body frame; zero before the first frame.
    pub(crate) fn twist(&self) -> Twist {
        self.filter.frame().map(|frame| frame.twist).unwrap_or_default()
    }

    /// Map frame, m/s.
    pub(crate) fn velocity(&self) -> Point {
        let twist = self.twist();
        Point::new(twist.vx, twist.vy).rotated(self.pose().map_or(0.0, |pose| pose.heading))
    }

    pub(crate) fn battery(&self) -> Battery {
        self.filter.battery()
    }

    /// The body reports that its motors have no power.
    pub(crate) fn is_unpowered(&self) -> bool {
        self.filter.frame().is_some_and(|frame| !frame.motors_powered)
    }

    /// The body carries a payload.
    pub(crate) fn is_carrying(&self) -> bool {
        self.filter.frame().is_some_and(|frame| frame.payload.get() > PAYLOAD_MIN)
    }

    pub(crate) const fn obstacles(&self) -> &ObstacleLayer {
        &self.obstacles
    }

    /// Too few beams measure what the map predicts.
    pub(crate) const fn map_disagrees(&self) -> bool {
        self.map_disagrees
    }

    /// Where the cliff sensors miss the floor, at the edge of a footprint with this radius (metres), map frame.
    pub(crate) fn cliffs(&self, radius: f64) -> Vec<Point> {
        let (Some(pose), Some(frame)) = (self.pose(), self.filter.frame()) else { return Vec::new() };
        let sensors =
            [Point::new(radius, 0.0), Point::new(0.0, radius), Point::new(-radius, 0.0), Point::new(0.0, -radius)];
        let missing = sensors.iter().zip(frame.cliff).filter(|(_, missing)| *missing);
        missing.map(|(at, _)| pose.map_from_body(*at)).collect()
    }
}
