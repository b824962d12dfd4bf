//! What goes into the supervisor and what comes out.

use core::time::Duration;
use skein_types::authority::{Epoch, LatchRequest, Principal};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, CommandId, FleetId, MissionId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand, Hello};
use skein_types::mission::{Mission, MissionSpec};
use skein_types::time::WallTime;
use skein_types::units::{Meters, MetersPerSecond, Percent};
use uuid::Uuid;

use crate::record::Record;
use crate::refusal::Refusal;

/// How the supervisor behaves. Every figure has a sensible default.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisorConfig {
    /// Robots of other fleets are refused.
    pub fleet: FleetId,
    /// Drawn anew for each start of the process, so that no command id and no event id is used twice.
    pub epoch: u64,
    /// Hash of the map, in hex: a robot that reports another one gets no work. Empty: not compared.
    pub map_hash: String,
    /// A robot that is silent for longer is lost.
    pub lost_after: Duration,
    /// Extra time that robots have to come back after the supervisor itself was restarted.
    pub restart_grace: Duration,
    /// An unacknowledged command is sent again after this.
    pub resend_after: Duration,
    /// A robot that never worked is forgotten when it is away for longer.
    pub forget_after: Duration,
    /// Most robots that are known at a time.
    pub robots_max: usize,
    /// A queued mission waits this long after the last robot came, so that it is split once and not six times.
    pub settle: Duration,
    /// A robot that is stopped, charging or faulty for longer hands its work over.
    pub unfit_after: Duration,
    /// A robot whose work does not shrink for longer hands it over.
    pub stuck_after: Duration,
    /// A mission without any robot or progress for longer has failed.
    pub abandon_after: Duration,
    /// Coverage at which a survey is done.
    pub goal: f64,
    /// Coverage at which a survey ends although robots are still at work on the rest.
    pub enough: f64,
    /// How often residual cells are given out again.
    pub retries: u32,
    /// Charge below which a robot gets no new work.
    pub battery_min: Percent,
    /// A robot that is free takes work from another when it could take at least this much, m².
    pub share_area_min: f64,
    /// Most missions that are not at their end.
    pub missions_max: usize,
}

impl SupervisorConfig {
    /// The defaults for a fleet.
    #[must_use]
    pub fn new(fleet: FleetId, epoch: u64) -> Self {
        Self {
            fleet,
            epoch,
            map_hash: String::new(),
            lost_after: Duration::from_secs(5),
            restart_grace: Duration::from_secs(15),
            resend_after: Duration::from_secs(2),
            forget_after: Duration::from_secs(3600),
            robots_max: 4096,
            settle: Duration::from_secs(1),
            unfit_after: Duration::from_secs(15),
            stuck_after: Duration::from_secs(60),
            abandon_after: Duration::from_secs(600),
            goal: 0.99,
            enough: 0.997,
            retries: 2,
            battery_min: Percent(20.0),
            share_area_min: 6.0,
            missions_max: 1000,
        }
    }
}

/// What happens to the supervisor, one at a time.
#[derive(Clone, Debug)]
pub enum Input {
    /// The wall clock, whenever the shell reads it; kept going by the monotonic clock in between.
    Wall(WallTime),
    /// What [`Output::Persist`] recorded before this start, oldest first. Before anything else.
    Restore(Vec<Record>),
    /// A robot opened a stream. A proof in it was verified by the shell.
    Connected(Box<Hello>),
    /// A robot reported something (a `Hello` counts as [`Input::Connected`]).
    Report {
        /// The robot the stream belongs to.
        agent: AgentId,
        /// What it reports; it counts only for this robot.
        report: AgentReport,
    },
    /// A robot's stream ended.
    Disconnected(AgentId),
    /// A second stream, or a second Hello, spoke in the name of a connected robot and was refused.
    IdentityConflict {
        /// The name that was used.
        agent: AgentId,
        /// What happened, for people.
        what: String,
    },
    /// The ledger can be written again, or no longer.
    Storage(StorageState),
    /// An operator or a program requests something; exactly one [`Output::Answer`] follows.
    Request(Box<OperatorRequest>),
    /// Nothing but time passed: a deadline may be due.
    Tick,
}

/// Whether records become durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StorageState {
    /// Records become durable at once.
    #[default]
    Healthy,
    /// They wait in memory; the text says why.
    Failing(String),
}

/// A command of an operator or a program.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorRequest {
    /// The caller, as authenticated by the shell.
    pub by: Principal,
    /// The lease it is given under.
    pub lease: Option<Uuid>,
    /// What is to be done.
    pub command: OperatorCommand,
}

impl OperatorRequest {
    /// A request under no lease.
    #[must_use]
    pub const fn new(by: Principal, command: OperatorCommand) -> Self {
        Self { by, lease: None, command }
    }
}

/// Which robots a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RobotTargets {
    /// Every robot, those that connect later included.
    All,
    /// Robots by name; an empty list is refused.
    These(Vec<AgentId>),
}

/// What an operator or a program may ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorCommand {
    /// A new mission. The same key again gives the same mission; an empty key is none.
    Submit {
        /// Its id, made by the shell.
        id: MissionId,
        /// Idempotency key chosen by the client.
        key: String,
        /// Objective, zone, priority and robots.
        spec: MissionSpec,
    },
    /// Halt a mission's work, keep the orders.
    Pause(MissionId),
    /// Go on with a paused mission.
    Resume(MissionId),
    /// End a mission.
    Cancel {
        /// The mission to end.
        mission: MissionId,
        /// For the record; may be empty.
        reason: String,
    },
    /// STOP or KILL.
    Stop {
        /// The robots to halt.
        targets: RobotTargets,
        /// What is asked, by whom and why.
        request: LatchRequest,
        /// The shell has sent it to the robots' streams already.
        sent: bool,
    },
    /// Release STOP or KILL.
    Release(ReleaseCommand),
    /// Sole control of robots for a while.
    TakeLease {
        /// Its id, made by the shell.
        id: Uuid,
        /// The operator who will hold it.
        operator: OperatorId,
        /// The robots; none named means all.
        robots: Vec<AgentId>,
        /// For how long.
        time_to_live: Duration,
    },
    /// Keep a lease for longer; only its id renews it.
    RenewLease {
        /// The lease, known to its holder alone.
        id: Uuid,
        /// From now on.
        time_to_live: Duration,
    },
    /// Give a lease back.
    ReleaseLease(Uuid),
}

/// A release of STOP or KILL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseCommand {
    /// The robots to release; all means the fleet's register and those of all robots.
    pub targets: RobotTargets,
    /// The request's id, made by the client or by the shell.
    pub request: CommandId,
    /// When, on the requester's wall clock.
    pub at: WallTime,
    /// For the record; may be empty.
    pub reason: String,
    /// The epochs that the operator saw latched; the fleet's without a name. When there are any, only the registers
    /// they name are released; when there are none, every latched one of the targets is, in the epoch that is known.
    pub epochs: Vec<(Option<AgentId>, Epoch)>,
}

/// What the shell has to do, in this order: a record is durable before the next output is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make this durable.
    Persist(Record),
    /// Send this to a robot, if its stream is open.
    Send {
        /// The robot it is for.
        agent: AgentId,
        /// With the id under which it is answered.
        command: CloudCommand,
    },
    /// To the request that was just handled.
    Answer(Result<Answer, Refusal>),
    /// This robot's stream is to be closed.
    RejectRobot {
        /// The robot whose stream is to be closed.
        agent: AgentId,
        /// Why it is refused.
        refusal: Refusal,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The mission as it stands.
    Mission(Box<Mission>),
    /// The latches of these robots change; each robot acknowledges the request under its id.
    Latched {
        /// The request's id: also the id of the commands.
        request: CommandId,
        /// Robots it is for, connected or not.
        robots: Vec<AgentId>,
        /// Names that no known robot has; nothing was done about them.
        unknown: Vec<AgentId>,
        /// Of the robots, those that report already what they should: nothing is sent to them.
        settled: Vec<AgentId>,
    },
    /// The lease that was given.
    Lease(LeaseView),
    /// The lease was given back.
    Released,
}

/// A lease as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Needed to give orders under it and to give it back.
    pub id: Uuid,
    /// The operator who holds it.
    pub operator: OperatorId,
    /// The robots it covers; none named means all.
    pub robots: Vec<AgentId>,
    /// Its end, on the supervisor's wall clock.
    pub expires_at: WallTime,
}

/// Why the supervisor asks to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// Check silent and idle robots, unanswered commands and queued missions.
    Housekeeping,
}

impl core::fmt::Display for TimerKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Housekeeping => f.write_str("check robots, unanswered commands and queued missions"),
        }
    }
}

/// A robot as the planner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Name of the robot.
    pub agent: AgentId,
    /// Where it is, in the map's frame.
    pub at: Point,
    /// What it can do in a given time, m²/s before losses.
    pub ability: f64,
    /// How fast it can go.
    pub speed: MetersPerSecond,
    /// How far its survey sensor sweeps.
    pub sweep_range: Meters,
    /// Seconds of work it has already.
    pub busy: f64,
}
