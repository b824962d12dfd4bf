//! Who may stop a robot, and the register that remembers it.
//!
//! # Terms
//!
//! - *Request*: what one principal asked once ([`LatchRequest`]). It travels as it is over every path and takes effect
//!   once, however often and over however many paths it arrives.
//! - *Register*: the state that requests lead to ([`LatchRegister`]). Two copies of it merge, in any order and any
//!   number of times, to the same state.
//! - *Epoch*: counts the releases of a register. A release names the epoch that it ends.
//!
//! ```text
//!            STOP, KILL                 RELEASE(e)
//!  (e, Released) ──────► (e, Stop|Kill) ──────────► (e+1, Released)
//!                           │      ▲
//!                           └──────┘ another STOP or KILL: (e+1, the higher level)
//! ```
//!
//! A second request opens the next epoch so that a release which is under way for the first one cannot undo it. A stop
//! also lifts the epoch to the second (Unix time) in which it was made: a robot that was parted from the fleet while
//! the fleet was stopped and released does not lose a later stop of its own to that release. Where the clocks of two
//! operators differ by more than the time between release and stop, the merge order alone decides.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{AgentId, BootId, CommandId, FleetId, NameError, OperatorId};
use crate::safety::Latch;
use crate::time::WallTime;

/// Who commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A person.
    Operator(OperatorId),
    /// A robot, about itself (lost power, tip-over, emergency-stop button).
    Robot(AgentId),
    /// A program without a person behind it.
    Service(OperatorId),
}

/// Why a text names no principal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrincipalError {
    /// There is no `kind:` in front.
    #[error("has no kind; write operator:NAME, robot:NAME or service:NAME")]
    NoKind,
    /// The kind is none of the three.
    #[error("has the unknown kind {0:?}; kinds are operator, robot and service")]
    UnknownKind(String),
    /// The name is refused.
    #[error("has a name that {0}")]
    Name(#[from] NameError),
}

impl Principal {
    /// The name without the kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Operator(name) | Self::Service(name) => name.as_str(),
            Self::Robot(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Robot(name) => write!(f, "robot:{name}"),
            Self::Service(name) => write!(f, "service:{name}"),
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let (kind, name) = text.split_once(':').ok_or(PrincipalError::NoKind)?;
        match kind {
            "operator" => Ok(Self::Operator(OperatorId::new(name)?)),
            "robot" => Ok(Self::Robot(AgentId::new(name)?)),
            "service" => Ok(Self::Service(OperatorId::new(name)?)),
            unknown => Err(PrincipalError::UnknownKind(unknown.to_string())),
        }
    }
}

impl TryFrom<String> for Principal {
    type Error = PrincipalError;
    fn try_from(text: String) -> Result<Self, PrincipalError> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

/// Counts the releases of a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a release opens. The last one has no next: it can be reached only by a forged message, and then
    /// stays latched.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The lowest epoch of a stop that is made at this time: its second since 1970.
    #[must_use]
    const fn made_at(at: WallTime) -> Self {
        let seconds = at.unix_nanos().div_euclid(1_000_000_000);
        Self(if seconds > 0 { seconds.unsigned_abs() } else { 0 })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Counts the reigns of planners: a supervisor takes a higher one at each start, and robots refuse commands of a lower
/// one than they have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The next reign.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// Which register of a robot a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchScope {
    /// The robot's own register.
    Robot,
    /// The register that all robots of the fleet share.
    Fleet,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchAction {
    /// Stand (ground) or hover (air) until released.
    Stop,
    /// Cut the power of the motors until released.
    Kill,
    /// End the latch of this epoch, and of no later one.
    Release {
        /// The epoch that the principal saw latched.
        epoch: Epoch,
    },
}

impl LatchAction {
    /// Asks to stop, one way or the other: such a request needs no lease, no token and no term.
    #[must_use]
    pub const fn is_stopping(self) -> bool {
        matches!(self, Self::Stop | Self::Kill)
    }

    /// The name in the record and in the debug API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Release { .. } => "release",
        }
    }
}

/// One request about a latch. The same id over any number of paths takes effect once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchRequest {
    /// Made where the request was made.
    pub id: CommandId,
    /// Which register.
    pub scope: LatchScope,
    /// What is asked.
    pub action: LatchAction,
    /// For people; at most [`REASON_BYTES_MAX`] are kept in a register.
    pub reason: String,
    /// Who asks.
    pub by: Principal,
    /// When, on the requester's wall clock: for people, and to tell apart two requests of one epoch.
    pub at: WallTime,
}

/// Longest reason that a register carries, bytes: sixty-four registers fit into one message between robots.
pub const REASON_BYTES_MAX: usize = 96;

/// A latch that merges. `Ord` is the merge order: epoch, then level, then the earlier request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchRegister {
    /// How often it was released, and how often a second request came while it was latched.
    pub epoch: Epoch,
    /// What holds.
    pub level: Latch,
    /// Reason given by the request that set it, at most 96 bytes.
    pub reason: String,
    /// Who set it.
    pub by: Principal,
    /// When, on the requester's wall clock.
    pub at: WallTime,
    /// The request that set it.
    pub request: CommandId,
}

/// Why a release has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseRefused {
    /// Somebody stopped it after the stop that the release is about.
    #[error("stopped again by {by} in epoch {epoch}; look why, then release that epoch")]
    LatchedAgain {
        /// The epoch that is latched now.
        epoch: Epoch,
        /// Who stopped it.
        by: Principal,
    },
    /// The release names an epoch that has not been.
    #[error("epoch {named} has not been reached; the register is in epoch {epoch}")]
    UnknownEpoch {
        /// The epoch in the request.
        named: Epoch,
        /// The epoch of the register.
        epoch: Epoch,
    },
}

impl Default for LatchRegister {
    fn default() -> Self {
        Self::released()
    }
}

impl LatchRegister {
    /// Never latched.
    #[must_use]
    pub fn released() -> Self {
        Self {
            epoch: Epoch(0),
            level: Latch::Released,
            reason: String::new(),
            by: Principal::Service(OperatorId::initial()),
            at: WallTime::from_unix_nanos(0),
            request: CommandId(Uuid::nil()),
        }
    }

    /// STOP or KILL holds.
    #[must_use]
    pub fn is_latched(&self) -> bool {
        self.level != Latch::Released
    }

    /// What both know: the later epoch, within it the higher level, within that the earlier request.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        if other > self { other.clone() } else { self.clone() }
    }

    /// The register after a request.
    ///
    /// # Errors
    /// [`ReleaseRefused`] when a release is not about the epoch that is latched. STOP and KILL are never refused.
    pub fn apply(&self, request: &LatchRequest) -> Result<Self, ReleaseRefused> {
        match request.action {
            LatchAction::Stop => Ok(self.raised(request, Latch::Stop)),
            LatchAction::Kill => Ok(self.raised(request, Latch::Kill)),
            LatchAction::Release { epoch } => self.ended(request, epoch),
        }
    }

    fn raised(&self, request: &LatchRequest, level: Latch) -> Self {
        if self.request == request.id && self.level >= level {
            return self.clone();
        }
        let epoch = if self.is_latched() { self.epoch.next() } else { self.epoch };
        Self::set_by(request, epoch.max(Epoch::made_at(request.at)), self.level.max(level))
    }

    fn ended(&self, request: &LatchRequest, named: Epoch) -> Result<Self, ReleaseRefused> {
        match (named.cmp(&self.epoch), self.is_latched()) {
            (Ordering::Equal, true) => Ok(Self::set_by(request, self.epoch.next(), Latch::Released)),
            (Ordering::Less | Ordering::Equal, false) => Ok(self.clone()),
            (Ordering::Less, true) => Err(ReleaseRefused::LatchedAgain { epoch: self.epoch, by: self.by.clone() }),
            (Ordering::Greater, _) => Err(ReleaseRefused::UnknownEpoch { named, epoch: self.epoch }),
        }
    }

    fn set_by(request: &LatchRequest, epoch: Epoch, level: Latch) -> Self {
        let mut reason = request.reason.clone();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Self { epoch, level, reason, by: request.by.clone(), at: request.at, request: request.id }
    }

    fn order(&self) -> impl Ord + '_ {
        let tie = (Reverse(self.at), &self.by, self.request, self.reason.as_str());
        (self.epoch, self.level, tie)
    }
}

impl PartialOrd for LatchRegister {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LatchRegister {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// The two registers that a robot obeys: its own and the fleet's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchSet {
    /// Of this robot.
    pub own: LatchRegister,
    /// Of the whole fleet.
    pub fleet: LatchRegister,
}

impl LatchSet {
    /// The stricter of the two.
    #[must_use]
    pub fn level(&self) -> Latch {
        self.own.level.max(self.fleet.level)
    }

    /// The register that holds the robot; the robot's own when both hold it alike.
    #[must_use]
    pub fn holding(&self) -> &LatchRegister {
        if self.fleet.level > self.own.level { &self.fleet } else { &self.own }
    }

    /// The register of a scope.
    #[must_use]
    pub const fn get(&self, scope: LatchScope) -> &LatchRegister {
        match scope {
            LatchScope::Robot => &self.own,
            LatchScope::Fleet => &self.fleet,
        }
    }

    /// What both know.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        Self { own: self.own.merge(&other.own), fleet: self.fleet.merge(&other.fleet) }
    }

    /// The registers after a request.
    ///
    /// # Errors
    /// As [`LatchRegister::apply`].
    pub fn apply(&self, request: &LatchRequest) -> Result<Self, ReleaseRefused> {
        let changed = self.get(request.scope).apply(request)?;
        Ok(match request.scope {
            LatchScope::Robot => Self { own: changed, fleet: self.fleet.clone() },
            LatchScope::Fleet => Self { own: self.own.clone(), fleet: changed },
        })
    }

    /// What the reflex reads.
    #[must_use]
    pub fn view(&self) -> LatchView {
        LatchView { level: self.level(), stamp: self.own.epoch.0.saturating_add(self.fleet.epoch.0) }
    }
}

/// What the reflex reads each tick: small enough for one atomic load of 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchView {
    /// The stricter of both registers.
    pub level: Latch,
    /// Sum of both epochs. It never falls, and a release is a higher stamp with [`Latch::Released`]: so a release
    /// between two ticks is seen even when the latch before it was not.
    pub stamp: u64,
}

/// Bits of a packed view that hold the level.
const LEVEL_BITS: u32 = 2;
/// Highest stamp that a packed view can hold.
const STAMP_MAX: u64 = u64::MAX >> LEVEL_BITS;

impl LatchView {
    /// Both fields in 64 bits, for one atomic store.
    #[must_use]
    pub const fn pack(self) -> u64 {
        let stamp = if self.stamp > STAMP_MAX { STAMP_MAX } else { self.stamp };
        stamp << LEVEL_BITS | self.level as u64
    }

    /// The inverse of [`Self::pack`]. A level that has no meaning reads as KILL.
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        let level = match word & 0b11 {
            0 => Latch::Released,
            1 => Latch::Stop,
            _ => Latch::Kill,
        };
        Self { level, stamp: word >> LEVEL_BITS }
    }
}

/// Who is in control of a robot, as the supervisor tells the robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// Names the lease in commands.
    pub id: Uuid,
    /// Who holds it.
    pub operator: OperatorId,
    /// How long it lasts from when this was sent.
    pub remaining: Duration,
}

/// What a robot reports about who controls it: at each Hello and at each change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchReport {
    /// What it obeys.
    pub latches: LatchSet,
    /// What it obeys is on its disk, file and folder.
    pub kept: bool,
    /// Why it is not; empty when it is.
    pub error: String,
    /// A person drives it, or did and has not given it back.
    pub manual: bool,
    /// The lease that it knows of.
    pub lease: Option<LeaseGrant>,
    /// The highest term that it has seen.
    pub term: Term,
}

/// An order about latches from the supervisor: the robot merges the state, then applies the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchOrder {
    /// What somebody asked, as it was asked.
    pub request: Option<LatchRequest>,
    /// What the supervisor knows.
    pub state: LatchSet,
}

/// Most registers of other robots in one gossip message.
pub const GOSSIP_ROBOTS_MAX: usize = 64;
/// Most requests that one gossip message relays.
pub const GOSSIP_REQUESTS_MAX: usize = 16;

/// A request on its way to a robot that its maker cannot reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayedRequest {
    /// Whose register; the fleet's when none is named.
    pub target: Option<AgentId>,
    /// As it was asked.
    pub request: LatchRequest,
}

/// What a robot passes on to its peers about latches: at each change and once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchGossip {
    /// The robot that passes it on.
    pub sender: AgentId,
    /// Its boot.
    pub boot: BootId,
    /// Rises by one each gossip message of this boot.
    pub sequence: u64,
    /// The fleet's register.
    pub fleet: LatchRegister,
    /// Registers of robots, the sender's own among them; at most [`GOSSIP_ROBOTS_MAX`].
    pub robots: Vec<(AgentId, LatchRegister)>,
    /// Requests that are being passed on; at most [`GOSSIP_REQUESTS_MAX`].
    pub requests: Vec<RelayedRequest>,
}

/// Bytes that a robot signs to prove in its Hello that it holds the key of its name: a domain separator, the
/// supervisor's challenge, then fleet, name, boot and public key.
#[must_use]
pub fn hello_message(
    challenge: &[u8; 32],
    fleet: &FleetId,
    agent: &AgentId,
    boot: BootId,
    public_key: &[u8; 32],
) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend_from_slice(b"skein-hello-v1");
    message.extend_from_slice(challenge);
    message.extend_from_slice(fleet.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(agent.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(boot.0.as_bytes());
    message.extend_from_slice(public_key);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str) -> Principal {
        Principal::Operator(OperatorId::new(name).unwrap())
    }

    fn request(id: u128, action: LatchAction) -> LatchRequest {
        LatchRequest {
            id: CommandId(Uuid::from_u128(id)),
            scope: LatchScope::Robot,
            action,
            reason: "smoke".into(),
            by: operator("ada"),
            at: WallTime::from_unix_nanos(i64::try_from(id).unwrap()),
        }
    }

    fn release(id: u128, epoch: u64) -> LatchRequest {
        request(id, LatchAction::Release { epoch: Epoch(epoch) })
    }

    #[test]
    fn a_release_ends_the_epoch_it_names_once() {
        let stopped = LatchRegister::released().apply(&request(1, LatchAction::Stop)).unwrap();
        assert_eq!((stopped.epoch, stopped.level), (Epoch(0), Latch::Stop));
        let free = stopped.apply(&release(2, 0)).unwrap();
        assert_eq!((free.epoch, free.level), (Epoch(1), Latch::Released));
        assert_eq!(free.apply(&release(2, 0)), Ok(free.clone()), "done already");
        assert_eq!(
            stopped.apply(&release(3, 7)),
            Err(ReleaseRefused::UnknownEpoch { named: Epoch(7), epoch: Epoch(0) })
        );
    }

    #[test]
    fn a_release_under_way_does_not_undo_a_second_stop() {
        let first = LatchRegister::released().apply(&request(1, LatchAction::Stop)).unwrap();
        let under_way = first.apply(&release(2, first.epoch.0)).unwrap();
        let second = first.apply(&request(3, LatchAction::Stop)).unwrap();
        assert!(second.merge(&under_way).is_latched() && under_way.merge(&second).is_latched());
        assert!(matches!(second.apply(&release(4, 0)), Err(ReleaseRefused::LatchedAgain { .. })));
        assert!(!second.apply(&release(5, second.epoch.0)).unwrap().is_latched());
    }

    #[test]
    fn a_kill_after_a_stop_stays_a_kill_and_a_stop_after_a_kill_does_not_lower_it() {
        let killed = LatchRegister::released()
            .apply(&request(1, LatchAction::Stop))
            .and_then(|stopped| stopped.apply(&request(2, LatchAction::Kill)))
            .unwrap();
        assert_eq!(killed.level, Latch::Kill);
        assert_eq!(killed.apply(&request(3, LatchAction::Stop)).unwrap().level, Latch::Kill);
    }

    #[test]
    fn the_request_that_set_a_register_changes_nothing_when_it_comes_again() {
        let stop = request(1, LatchAction::Stop);
        let stopped = LatchRegister::released().apply(&stop).unwrap();
        assert_eq!(stopped.apply(&stop), Ok(stopped.clone()));
    }

    #[test]
    fn a_robot_obeys_the_stricter_register_and_says_which() {
        let fleet_stop = LatchRequest { scope: LatchScope::Fleet, ..request(1, LatchAction::Stop) };
        let set = LatchSet::default().apply(&fleet_stop).unwrap();
        assert_eq!((set.level(), set.holding()), (Latch::Stop, &set.fleet));
        let killed = set.apply(&request(2, LatchAction::Kill)).unwrap();
        assert_eq!((killed.level(), killed.holding()), (Latch::Kill, &killed.own));
        let released = killed.apply(&release(3, 0)).unwrap();
        assert_eq!(released.level(), Latch::Stop, "the fleet's STOP still holds");
        assert!(released.view().stamp > set.view().stamp);
    }

    #[test]
    fn a_view_fits_into_one_word_and_nonsense_in_it_reads_as_kill() {
        for level in [Latch::Released, Latch::Stop, Latch::Kill] {
            for stamp in [0, 1, 77, STAMP_MAX] {
                let view = LatchView { level, stamp };
                assert_eq!(LatchView::unpack(view.pack()), view);
            }
        }
        assert_eq!(LatchView::unpack(0b11).level, Latch::Kill);
        assert_eq!(LatchView::unpack(LatchView { level: Latch::Stop, stamp: u64::MAX }.pack()).level, Latch::Stop);
    }

    #[test]
    fn a_principal_reads_back_and_nonsense_is_named() {
        for text in ["operator:ada", "robot:rover-1", "service:skein-cloud"] {
            assert_eq!(text.parse::<Principal>().unwrap().to_string(), text);
        }
        assert_eq!("ada".parse::<Principal>(), Err(PrincipalError::NoKind));
        assert!(matches!("king:ada".parse::<Principal>(), Err(PrincipalError::UnknownKind(_))));
        assert!(matches!("robot:Rover".parse::<Principal>(), Err(PrincipalError::Name(_))));
    }
}
