//! What of the latch survives the process, and what a start makes of it.
//!
//! ```text
//!   what is found                                   what holds after the start
//!   ─────────────────────────────────────────────   ──────────────────────────────────
//!   nothing                                         released (first start of this robot)
//!   a readable record, ended in order               as it was
//!   a readable record, same kernel boot, no end     as it was (a crash); the 5th within 2 min: STOP
//!   a readable record, other kernel boot, no end    STOP: the machine lost its power
//!   anything else                                   STOP: the record cannot be trusted
//! ```

use core::time::Duration;

use serde::{Deserialize, Serialize};
use skein_types::authority::{LatchSet, Term};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, OperatorId};
use skein_types::time::{MonoTime, WallTime};

/// Version of [`LatchFileContents`].
pub const RECORD_VERSION: u32 = 1;
/// So many starts without an orderly end within [`CRASH_WINDOW`] latch STOP.
pub const CRASHES_MAX: usize = 5;
/// See [`CRASHES_MAX`].
pub const CRASH_WINDOW: Duration = Duration::from_secs(120);

/// Everything about authority that survives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchFileContents {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The robot's fleet: a record of another fleet is not trusted.
    pub fleet: FleetId,
    /// The robot: a record of another robot is not trusted.
    pub robot: AgentId,
    /// The two registers.
    pub latches: LatchSet,
    /// The highest term seen.
    pub term: Term,
    /// The operator who has control and has not given it back.
    #[serde(default)]
    pub manual: Option<OperatorId>,
    /// The kernel's boot id at the time of writing.
    pub kernel_boot: String,
    /// The process ended in order, with the body standing.
    pub clean: bool,
    /// Starts that followed no orderly end, on the clock that counts since the kernel's boot.
    pub starts: Vec<MonoTime>,
    /// Requests that took effect, oldest first, so that a late copy does not.
    pub recent: Vec<CommandId>,
}

/// What was found at a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No record: the robot's first start.
    Nothing,
    /// A record.
    Contents(Box<LatchFileContents>),
    /// Something that is no whole record.
    Unreadable {
        /// What is wrong with it.
        reason: String,
        /// The last whole record, for its epochs.
        last: Option<Box<LatchFileContents>>,
    },
}

/// The circumstances of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Name of the robot: another robot's record is not trusted.
    pub robot: AgentId,
    /// Name of its fleet: another fleet's record is not trusted.
    pub fleet: FleetId,
    /// This boot of its process.
    pub boot: BootId,
    /// `/proc/sys/kernel/random/boot_id`; empty when it cannot be read, which counts as another one.
    pub kernel_boot: String,
    /// Since the kernel's boot.
    pub now: MonoTime,
    /// For the record.
    pub wall: WallTime,
    /// The mesh authenticates its peers, so a release may come over it. Otherwise it only stops.
    pub mesh_may_release: bool,
}

/// What a start begins with.
pub(super) struct Begun {
    pub(super) latches: LatchSet,
    pub(super) term: Term,
    pub(super) manual: Option<OperatorId>,
    pub(super) starts: Vec<MonoTime>,
    pub(super) recent: Vec<CommandId>,
    /// Why the robot stops itself, if it does.
    pub(super) stop: Option<String>,
}

pub(super) fn begin(start: &Start, found: Found) -> Begun {
    match found {
        Found::Nothing => Begun::first(),
        Found::Contents(record) => match distrust(start, &record) {
            None => resumed(start, *record),
            Some(why) => Begun { stop: Some(why), ..Begun::first() },
        },
        Found::Unreadable { reason, last } => {
            let last = last.filter(|record| distrust(start, record).is_none());
            let begun = last.map_or_else(Begun::first, |record| resumed(start, *record));
            Begun { stop: Some(format!("the kept latch cannot be read: {reason}")), ..begun }
        }
    }
}

impl Begun {
    fn first() -> Self {
        Self {
            latches: LatchSet::default(),
            term: Term::default(),
            manual: None,
            starts: Vec::new(),
            recent: Vec::new(),
            stop: None,
        }
    }
}

fn distrust(start: &Start, record: &LatchFileContents) -> Option<String> {
    if record.version != RECORD_VERSION {
        return Some(format!("the kept latch has version {}; this software reads {RECORD_VERSION}", record.version));
    }
    (record.robot != start.robot || record.fleet != start.fleet)
        .then(|| format!("the kept latch is that of {} in fleet {}", record.robot, record.fleet))
}

fn resumed(start: &Start, record: LatchFileContents) -> Begun {
    let LatchFileContents { latches, term, manual, kernel_boot, clean, mut starts, recent, .. } = record;
    let same_boot = !start.kernel_boot.is_empty() && start.kernel_boot == kernel_boot;
    let mut stop = None;
    if clean {
        starts.clear();
    } else if same_boot {
        starts.retain(|at| start.now.since(*at) < CRASH_WINDOW);
        starts.push(start.now);
        if starts.len() >= CRASHES_MAX {
            starts.clear();
            stop = Some(format!("it crashed {CRASHES_MAX} times within {} s", CRASH_WINDOW.as_secs()));
        }
    } else {
        starts.clear();
        stop = Some("the machine lost its power".to_owned());
    }
    Begun { latches, term, manual, starts, recent, stop }
}
