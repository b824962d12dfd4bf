//! What goes into the core and what comes out of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use skein_space::planning::PlanningMap;
use skein_types::body::BodyDescriptor;
use skein_types::coord::{Hazard, Intent};
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, FleetId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand};
use skein_types::motion::Setpoint;
use skein_types::safety::{Latch, ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::telemetry::{LinkState, ReflexStats};
use skein_types::time::WallTime;

/// One round of the agent: 20 Hz.
pub const CYCLE: Duration = Duration::from_millis(50);
/// How long a setpoint lives: the dead-man of the reflex.
pub const SETPOINT_LIFE: Duration = Duration::from_millis(100);
/// Longest life of one manual command.
pub const OVERRIDE_TTL_MAX: Duration = Duration::from_secs(1);

/// What an agent is born with.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Who.
    pub id: AgentId,
    /// Whose.
    pub fleet: FleetId,
    /// Which life of it.
    pub boot: BootId,
    /// Where it returns to and charges, `map_from_body`.
    pub home: Pose,
    /// Its body.
    pub descriptor: BodyDescriptor,
    /// The map everyone plans on.
    pub map: Arc<PlanningMap>,
    /// What little is chosen by chance (the random part of event ids) comes from this.
    pub seed: u64,
    /// Charge below which it drops its work and charges, percent.
    pub charge_below: f64,
    /// Charge at which it goes back to work, percent.
    pub charge_until: f64,
}

impl AgentConfig {
    /// The usual configuration: charges below 20 % and until 80 %.
    #[must_use]
    pub fn new(
        id: AgentId,
        fleet: FleetId,
        boot: BootId,
        home: Pose,
        descriptor: BodyDescriptor,
        map: Arc<PlanningMap>,
        seed: u64,
    ) -> Self {
        Self { id, fleet, boot, home, descriptor, map, seed, charge_below: 20.0, charge_until: 80.0 }
    }
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// The body senses (100 Hz).
    Sensors(Box<SensorFrame>),
    /// The reflex ticked.
    Reflex(ReflexReport),
    /// A peer said what it means to do.
    Intent(Intent),
    /// A peer saw a danger.
    Hazard(Hazard),
    /// The mesh saw a peer appear or vanish.
    PeerAlive {
        /// Who.
        agent: AgentId,
        /// Appeared (or vanished).
        alive: bool,
    },
    /// The supervisor orders.
    Command(CloudCommand),
    /// The connections changed.
    Link(LinkState),
    /// A person drives by hand.
    Override(OverrideCommand),
    /// How the reflex loop keeps time; at most a few times a second.
    ReflexStats(ReflexStats),
    /// What the wall clock says now. For the record only; give it once at the start and whenever it was set.
    Wall(WallTime),
    /// A deadline has come. Harmless when it has not.
    Cycle,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// For the reflex: how to move (20 Hz).
    Setpoint(Setpoint),
    /// For the reflex: what is around besides what its own sensors see (20 Hz, and at once when a latch or hazard comes).
    Surroundings(Box<Surroundings>),
    /// For all peers (10 Hz).
    Say(Intent),
    /// For all peers, at once.
    Warn(Hazard),
    /// For the supervisor. Of `Progress` and `Telemetry` only the latest matters; every `Ack` does.
    Report(AgentReport),
    /// For the record.
    Event(Event),
    /// The body is to get its motors' power back: a person released a KILL or a power loss.
    RestorePower,
    /// A person's hand changed; the shell keeps it across restarts.
    LatchChanged(Latch),
}

/// A wish of a person who drives by hand. The shell has checked the token and the lease.
#[derive(Clone, Debug, PartialEq)]
pub struct OverrideCommand {
    /// What.
    pub wish: OverrideWish,
    /// For how long; cut to [`OVERRIDE_TTL_MAX`].
    pub ttl: Duration,
    /// Who.
    pub operator: OperatorId,
    /// Why.
    pub reason: String,
}

/// What a person wants the robot to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OverrideWish {
    /// Move like this (body frame).
    Twist(Twist),
    /// Go straight towards this place in the map's frame.
    Target(Point),
}

/// Why the agent wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next round of 20 Hz.
    Cycle,
    /// The agreement with the peers has a timer due.
    Coord,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycle => "next cycle",
            Self::Coord => "coordination timer",
        })
    }
}
