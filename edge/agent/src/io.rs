//! Inputs and outputs of the core.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skein_types::authority::{LatchSet, Principal};
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::event::Event;
use skein_types::geometry::{Point, Twist};
use skein_types::ids::{AgentId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand};
use skein_types::motion::Setpoint;
use skein_types::safety::{ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::telemetry::{LinkState, ReflexStats};
use skein_types::time::WallTime;
use thiserror::Error;

/// Upper bound on the duration of one manual command.
pub const OVERRIDE_TTL_MAX: Duration = Duration::from_secs(1);

/// What happened outside the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// A sensor frame of the body (100 Hz).
    Sensors(Box<SensorFrame>),
    /// The report of a reflex tick (100 Hz).
    Reflex(ReflexReport),
    /// A peer's intent (10 Hz per peer).
    Intent(Intent),
    /// A hazard reported by a peer.
    Hazard(Hazard),
    /// An entry of the shared hazard map, from a peer.
    MapHazard {
        /// The peer that sent it.
        from: AgentId,
        /// What it says.
        entry: MapHazard,
    },
    /// Entries of the shared hazard map, from the supervisor.
    Hazards(Vec<MapHazard>),
    /// The liveliness token of a peer appeared on the mesh or vanished.
    PeerAlive {
        /// Name of the peer.
        agent: AgentId,
        /// True when the token appeared.
        alive: bool,
    },
    /// A command of the supervisor.
    Command(CloudCommand),
    /// The state of the connections changed.
    Link(LinkState),
    /// The registers that the robot obeys, at the start and whenever they changed.
    Latch(LatchSet),
    /// A manual command of an operator. The shell has checked token and lease, and [`crate::Agent::may_override`].
    Override(OverrideCommand),
    /// An operator gives control back: the robot continues its task.
    GiveBack {
        /// The operator, for the record.
        by: Principal,
    },
    /// Timing statistics of the reflex loop; at most a few times a second.
    ReflexStats(ReflexStats),
    /// A reading of the wall clock, used only to date records; give it at the start and whenever the clock was set.
    Wall(WallTime),
    /// A deadline of [`crate::Agent::next_deadline`] has come. Harmless when it has not.
    Cycle,
}

/// What has to be done outside the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the reflex: the velocity command (20 Hz).
    Setpoint(Setpoint),
    /// For the reflex: peers, hazards and causes (20 Hz, and at once when a hazard comes).
    Surroundings(Box<Surroundings>),
    /// For all peers (10 Hz).
    PublishIntent(Intent),
    /// For all peers, at once.
    PublishHazard(Hazard),
    /// For all peers: an entry of the shared hazard map.
    PublishMapHazard(MapHazard),
    /// An entry of the shared hazard map changed: for the supervisor.
    MapHazard(MapHazard),
    /// For the supervisor. Of `Progress` and `Telemetry` only the latest matters; every `Ack` does.
    Report(AgentReport),
    /// For the outbox.
    Event(Event),
}

/// A manual command.
#[derive(Clone, Debug, PartialEq)]
pub struct OverrideCommand {
    /// The requested motion.
    pub motion: OverrideMotion,
    /// How long it holds; clamped to [`OVERRIDE_TTL_MAX`].
    pub ttl: Duration,
    /// The operator who gave it.
    pub operator: OperatorId,
    /// The operator's reason, for the record.
    pub reason: String,
}

/// The motion of a manual command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OverrideMotion {
    /// A velocity (body frame).
    Twist(Twist),
    /// A straight line towards a point (map frame).
    Target(Point),
}

/// The reason for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// The next control cycle (20 Hz).
    Cycle,
    /// A timer of the coordination with peers.
    Coordination,
}

impl fmt::Display for TimerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycle => "control cycle",
            Self::Coordination => "coordination timer",
        })
    }
}

/// Why a robot refuses a manual command.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManualRefused {
    /// STOP or KILL holds.
    #[error("the robot is latched by {by} ({reason}); release it first")]
    Latched {
        /// The principal that latched it.
        by: Principal,
        /// The principal's reason.
        reason: String,
    },
    /// The motors have no power.
    #[error("the motors have no power")]
    Unpowered,
    /// The robot does not know its pose, so its fence cannot be kept.
    #[error("the robot has no pose estimate yet")]
    NoPose,
    /// The sensors are silent: the robot may have moved since.
    #[error("the pose is {} ms old", .age.as_millis())]
    StalePose {
        /// Age of the pose.
        age: Duration,
    },
    /// The command carries NaN or infinity.
    #[error("a value of the command is not finite")]
    NotFinite,
}
