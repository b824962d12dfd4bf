//! What goes into the supervisor and what comes out.

use core::time::Duration;
use serde::{Deserialize, Serialize};
use skein_types::body::BodyDescriptor;
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand, CommandOutcome, Hello};
use skein_types::mission::{Mission, MissionSpec, MissionState, SliceState};
use skein_types::region::Region;
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, MetersPerSecond, Percent};
use uuid::Uuid;

use crate::refusal::Refusal;

/// How the supervisor behaves. Every figure has a sensible default.
#[derive(Clone, Debug, PartialEq)]
pub struct SupervisorConfig {
    /// Robots of other fleets are refused.
    pub fleet: FleetId,
    /// Drawn anew for each start of the process, so that no command and no event of two lives share an id.
    pub epoch: u64,
    /// Hash of the map, in hex: a robot that says another one gets no work. Empty: not compared.
    pub map_hash: String,
    /// A robot that is silent for longer is lost.
    pub lost_after: Duration,
    /// Extra time that robots have to come back after the supervisor itself was restarted.
    pub restart_grace: Duration,
    /// An unacknowledged command is sent again after this.
    pub resend_after: Duration,
    /// A release is not tried for longer than this: nobody expects it any more.
    pub release_expiry: Duration,
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
    /// How often squares that were left over are given out again.
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
            release_expiry: Duration::from_secs(10),
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
    /// What [`Output::Persist`] said in earlier lives, oldest first. Before anything else.
    Restore(Vec<Record>),
    /// A robot opened a stream.
    Connected(Box<Hello>),
    /// A robot said something (a `Hello` counts as [`Input::Connected`]).
    Report {
        /// Who.
        agent: AgentId,
        /// What.
        report: AgentReport,
    },
    /// A robot's stream ended.
    Gone(AgentId),
    /// A person or a program wants something; exactly one [`Output::Answer`] follows.
    Request(Box<Wish>),
    /// Time passed.
    Tick,
}

/// A wish with the name of who has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The lease it is given under.
    pub lease: Option<Uuid>,
    /// What is wanted.
    pub request: Request,
}

impl Wish {
    /// A wish under no lease.
    #[must_use]
    pub const fn new(request: Request) -> Self {
        Self { lease: None, request }
    }
}

/// Which robots a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Every robot, those that come later included.
    All,
    /// These.
    These(Vec<AgentId>),
}

/// What a person or a program may want.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// A new mission. The same key again gives the same mission; an empty key is none.
    Submit {
        /// Its id, made by the shell.
        id: MissionId,
        /// Chosen by the client.
        key: String,
        /// What is wanted.
        spec: MissionSpec,
    },
    /// Halt a mission's work, keep the orders.
    Pause(MissionId),
    /// Go on with it.
    Resume(MissionId),
    /// End it.
    Cancel {
        /// Which.
        mission: MissionId,
        /// Why; may be empty.
        reason: String,
    },
    /// Halt robots until a person releases them.
    Stop {
        /// Whom.
        whom: Whom,
        /// Why; may be empty.
        reason: String,
    },
    /// Cut the power of one robot.
    Kill {
        /// Whose.
        robot: AgentId,
        /// Why; may not be empty.
        reason: String,
    },
    /// Release STOP or KILL.
    Release {
        /// Whom.
        whom: Whom,
        /// Why; may be empty.
        reason: String,
    },
    /// Sole control of robots for a while.
    TakeLease {
        /// Its id, made by the shell.
        id: Uuid,
        /// Who asks.
        operator: OperatorId,
        /// Over which robots; none named means all.
        robots: Vec<AgentId>,
        /// For how long.
        time_to_live: Duration,
    },
    /// Gives it back.
    ReleaseLease(Uuid),
}

/// What the shell has to do, in this order: a record is durable before the next output is looked at.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Keep this.
    Persist(Record),
    /// Send this to a robot, if its stream is open.
    Send {
        /// To whom.
        agent: AgentId,
        /// What.
        command: CloudCommand,
    },
    /// To the request that was just handled.
    Answer(Result<Answer, Refusal>),
    /// This robot's stream is to be closed.
    TurnAway {
        /// Whose.
        agent: AgentId,
        /// Why.
        refusal: Refusal,
    },
    /// A robot answered a command that a person waits for.
    Acknowledged {
        /// Who.
        agent: AgentId,
        /// Which.
        command: CommandId,
        /// How it fared.
        outcome: CommandOutcome,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The mission as it stands.
    Mission(Box<Mission>),
    /// Commands on their way, one for each robot.
    Commands(Vec<(AgentId, CommandId)>),
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
    /// Who holds it.
    pub operator: OperatorId,
    /// Over which robots; none named means all.
    pub robots: Vec<AgentId>,
    /// Until when, on the supervisor's wall clock.
    pub expires_at: WallTime,
}

/// What must survive the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A mission as it stands; replaces the one before.
    Mission(Box<MissionRecord>),
    /// A robot as it is known; replaces the one before.
    Robot(Box<RobotRecord>),
    /// STOP for everyone, and why; `None` when it was released.
    StopAll(Option<String>),
    /// Entries of the record, of robots or of the supervisor. Twice the same entry is once.
    Events(Vec<Event>),
}

/// Everything about a mission that a new life of the supervisor needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissionRecord {
    /// Which.
    pub id: MissionId,
    /// The client's key; empty when there was none.
    pub key: String,
    /// What was asked.
    pub spec: MissionSpec,
    /// Where it is.
    pub state: MissionState,
    /// Where it was before it was paused.
    pub paused_from: Option<MissionState>,
    /// Why it is there.
    pub reason: String,
    /// The squares it is measured by.
    pub area: Region,
    /// Squares that nobody has now.
    pub unowned: Region,
    /// Squares that a robot left over; tried again when all else is done.
    pub leftover: Region,
    /// Places to hold that nobody holds now.
    pub posts: Vec<Point>,
    /// Parts, one a robot.
    pub parts: Vec<PartRecord>,
    /// How often left-over squares were given out again.
    pub retried: u32,
    /// When it was accepted.
    pub submitted_at: WallTime,
    /// When it last changed.
    pub updated_at: WallTime,
}

/// One robot's part of a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Whose.
    pub agent: AgentId,
    /// Of which order.
    pub generation: Generation,
    /// Where it is with it.
    pub state: SliceState,
    /// Why.
    pub reason: String,
    /// Squares it was given, as area, m².
    pub given_area: f64,
    /// What is still to be swept.
    pub remaining: Region,
    /// Of a former part: how much of it was left when it was taken away, m².
    pub left_area: f64,
    /// The place to hold, of a guard.
    pub post: Option<Point>,
    /// It was taken away: kept only to be shown.
    pub former: bool,
}

/// Everything about a robot that a new life of the supervisor needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobotRecord {
    /// Who.
    pub agent: AgentId,
    /// Its last known life.
    pub boot: BootId,
    /// What body.
    pub body: BodyDescriptor,
    /// Where it started.
    pub home: Pose,
    /// Of the last order.
    pub generation: Generation,
    /// Where its debug API listens.
    pub debug_address: String,
    /// Version of its software.
    pub software: String,
}

/// Why the supervisor wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Look after the silent, the idle, the unacknowledged and the queued.
    Housekeeping,
}

impl core::fmt::Display for Why {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Housekeeping => f.write_str("look after the silent, the idle, the unacknowledged and the queued"),
        }
    }
}

/// Where a robot is, for planning: its place and what it can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Who.
    pub agent: AgentId,
    /// Where.
    pub at: Point,
    /// What it can do in a given time, relative to others.
    pub ability: f64,
    /// How fast it can go.
    pub speed: MetersPerSecond,
    /// How far its survey sensor sweeps.
    pub sweep_range: Meters,
    /// Seconds of work it has already.
    pub busy: f64,
}

/// When something last happened, for ages.
pub(crate) type At = MonoTime;
