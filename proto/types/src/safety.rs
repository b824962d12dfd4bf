//! The failsafe ladder, its causes, and what the reflex knows of its surroundings besides its own sensors.

use serde::{Deserialize, Serialize};

use crate::geometry::Point;
use crate::time::MonoTime;
use crate::units::{Meters, MetersPerSecond};

/// How far the robot is from doing as it is told; the worst of all causes wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailsafeLevel {
    /// All is well.
    #[default]
    None,
    /// Someone should look; nothing changes.
    Warn,
    /// Slower than asked.
    Slow,
    /// Stands until the cause is gone.
    Hold,
    /// Drives home and stays there.
    Return,
    /// Descends where it is.
    Land,
    /// Stands until a person releases it.
    Stop,
    /// Power cut until a person restores it.
    Kill,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        /// Why the robot does not do what was asked; what is done about it says [`crate::failsafe::TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$doc])* $name = $bit,)*
        }

        impl Cause {
            /// Every cause, in the order of its bits.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire, in logs and in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

causes! {
    /// Something is within the avoid distance on the way.
    ObstacleAvoid = 0, "obstacle_avoid";
    /// Something is within the stop distance on the way.
    ObstacleStop = 1, "obstacle_stop";
    /// A peer comes near to the path: slower.
    PeerClose = 2, "peer_close";
    /// No fresh setpoint.
    DeadMan = 3, "dead_man";
    /// The lidar is too old: everything is assumed to be full of obstacles.
    StaleScan = 4, "stale_scan";
    /// The pose is too old or too uncertain to keep the fence.
    StalePose = 5, "stale_pose";
    /// The whole sensor frame is too old.
    StaleFrame = 6, "stale_frame";
    /// The floor is missing on the way.
    Cliff = 7, "cliff";
    /// Tilted more than it may drive with.
    Tilt = 8, "tilt";
    /// Faster than it may be.
    OverSpeed = 9, "over_speed";
    /// The bumper was touched.
    Bumper = 10, "bumper";
    /// A hazard that a peer reported lies on the path.
    Hazard = 11, "hazard";
    /// The fence would be crossed.
    Fence = 12, "fence";
    /// A person pressed STOP.
    OperatorStop = 13, "operator_stop";
    /// A person pressed KILL.
    OperatorKill = 14, "operator_kill";
    /// The motors lost their power.
    PowerLoss = 15, "power_loss";
    /// Charge too low to work on.
    BatteryLow = 16, "battery_low";
    /// Charge too low to move safely.
    BatteryCritical = 17, "battery_critical";
    /// A reading of a sensor is NaN or infinite.
    SensorFault = 18, "sensor_fault";
    /// A setpoint asks for what the body cannot do; it was cut down.
    SetpointClamped = 19, "setpoint_clamped";
    /// The loop itself ran late.
    LateTick = 20, "late_tick";
    /// No message from the supervisor.
    CloudLost = 21, "cloud_lost";
    /// No message from any peer that was heard before.
    MeshLost = 22, "mesh_lost";
    /// The body's own emergency-stop input is or was pressed.
    EmergencyStop = 23, "emergency_stop";
    /// A peer is on the path within the braking distance.
    PeerStop = 24, "peer_stop";
    /// A hazard that a peer reported is near to the path: slower.
    HazardClose = 25, "hazard_close";
}

/// A set of causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Causes(u32);

impl Causes {
    /// No cause.
    pub const NONE: Self = Self(0);

    /// Adds a cause.
    pub fn insert(&mut self, cause: Cause) {
        self.0 |= 1 << cause as u8;
    }

    /// Takes a cause away.
    pub fn remove(&mut self, cause: Cause) {
        self.0 &= !(1 << cause as u8);
    }

    /// The same set with a cause more.
    #[must_use]
    pub const fn with(self, cause: Cause) -> Self {
        Self(self.0 | 1 << cause as u8)
    }

    /// Whether a cause is there.
    #[must_use]
    pub const fn contains(self, cause: Cause) -> bool {
        self.0 & (1 << cause as u8) != 0
    }

    /// No cause at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of the others is there.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The causes, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.iter().copied().filter(move |cause| self.contains(*cause))
    }

    /// The strictest level that any of them asks for on any kind of body.
    #[must_use]
    pub fn level(self) -> FailsafeLevel {
        self.iter().map(Cause::level).max().unwrap_or_default()
    }

    /// The set as bits, for the wire.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From bits; `None` when a bit means nothing here.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        let known = Cause::ALL.iter().fold(0_u32, |all, cause| all | 1 << *cause as u8);
        (bits & !known == 0).then_some(Self(bits))
    }
}

/// Operator latch: a stop that lasts until an operator releases it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latch {
    /// Free to move.
    #[default]
    Released,
    /// STOP: brake, hover.
    Stop,
    /// KILL: power off.
    Kill,
}

/// Most peers the reflex looks at: the nearest ones.
pub const PEERS_MAX: usize = 16;
/// Most hazards the reflex looks at: the nearest ones.
pub const HAZARDS_MAX: usize = 16;

/// Another robot, as a moving disc in the map's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerDisc {
    /// Centre when last heard.
    pub position: Point,
    /// Velocity in the map's frame, m/s.
    pub velocity: Point,
    /// Radius of its footprint.
    pub radius: Meters,
    /// When that was.
    pub at: MonoTime,
}

/// A place to keep out of, in the map's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HazardDisc {
    /// Its centre, in the map's frame.
    pub position: Point,
    /// How far it reaches.
    pub radius: Meters,
    /// Forgotten after this.
    pub valid_until: MonoTime,
}

/// What the reflex knows besides its own sensors. Fixed size: copied into the loop, never locked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Peers nearby; `None` after the last.
    pub peers: [Option<PeerDisc>; PEERS_MAX],
    /// Hazards nearby; `None` after the last.
    pub hazards: [Option<HazardDisc>; HAZARDS_MAX],
    /// Causes found elsewhere (link, mesh, fence) that the ladder must count.
    pub causes: Causes,
}

impl Surroundings {
    /// No peers, no hazards, no causes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { peers: [None; PEERS_MAX], hazards: [None; HAZARDS_MAX], causes: Causes::NONE }
    }
}

/// What one tick of the reflex found and did, for the agent and the record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReflexReport {
    /// Time of the tick.
    pub at: MonoTime,
    /// Rises by one each tick of this boot.
    pub sequence: u64,
    /// Where on the ladder.
    pub level: FailsafeLevel,
    /// Failsafe causes that are active.
    pub causes: Causes,
    /// Free distance from the footprint along the way it would sweep; infinite when nothing is near.
    pub clear_distance: Meters,
    /// The distance at which it would have stopped.
    pub stop_distance: Meters,
    /// The fastest it allowed on this way.
    pub speed_allowed: MetersPerSecond,
    /// How many ticks were missed since the boot.
    pub missed_ticks: u64,
}

impl ReflexReport {
    /// Before the first tick.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            at: MonoTime::ZERO,
            sequence: 0,
            level: FailsafeLevel::Hold,
            causes: Causes::NONE,
            clear_distance: Meters(f64::INFINITY),
            stop_distance: Meters::ZERO,
            speed_allowed: MetersPerSecond::ZERO,
            missed_ticks: 0,
        }
    }
}
