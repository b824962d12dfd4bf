//! The state that requests lead to, and how two copies of it merge.

use alloc::string::String;
use core::cmp::{Ordering, Reverse};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::principal::Principal;
use super::request::{Epoch, LatchAction, LatchRequest, LatchScope};
use crate::ids::{CommandId, OperatorId};
use crate::safety::Latch;
use crate::time::WallTime;

/// Longest reason that a register carries, bytes: sixty-four registers fit into one message between robots.
pub const REASON_BYTES_MAX: usize = 96;

/// A latch that merges. `Ord` is the merge order: epoch, then level, then the earlier request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchRegister {
    /// How often it was released, and how often a second request came while it was latched.
    pub epoch: Epoch,
    /// The level that holds: released, STOP or KILL.
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
    /// A register that was never latched.
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
}
