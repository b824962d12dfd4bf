//! How far the disk is behind what the robot obeys, and the acks that wait for it.
//!
//! The newest content counts as a *version*. One save is under way at a time; its ticket is the version that it
//! carries. An ack waits until a version is saved that holds what the ack is about, or says "not kept" and why.

use core::time::Duration;
use std::collections::VecDeque;

use skein_types::authority::LatchSet;
use skein_types::ids::CommandId;
use skein_types::time::MonoTime;

use super::messages::{LatchOutcome, LatchOutput, LatchPath, LatchVerdict};

/// Acks that wait for the disk; more are answered at once as not kept.
pub(super) const WAITING_MAX: usize = 64;
/// A disk that takes longer than this has not kept it, as far as an ack says.
pub(super) const SAVE_WITHIN: Duration = Duration::from_secs(2);
/// After a failure the disk is tried again this often.
pub(super) const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// An ack before it is known whether what it is about is on the disk.
#[derive(Clone, Debug)]
pub(super) struct PendingAck {
    pub(super) path: LatchPath,
    pub(super) request: CommandId,
    pub(super) verdict: LatchVerdict,
    /// What the robot obeyed after the request: what is kept may not be what it obeys by the time of the ack.
    pub(super) latches: LatchSet,
}

impl PendingAck {
    /// Whether what it says has to be on the disk first.
    const fn is_about_content(&self) -> bool {
        match self.verdict {
            LatchVerdict::Relayed | LatchVerdict::Refused(_) => false,
            LatchVerdict::Applied | LatchVerdict::AlreadyDone => true,
        }
    }

    fn into_output(self, kept: Result<(), String>) -> LatchOutput {
        let outcome = LatchOutcome {
            request: self.request,
            verdict: self.verdict,
            latches: self.latches,
            kept: kept.is_ok(),
            error: kept.err().unwrap_or_default(),
        };
        LatchOutput::Ack { path: self.path, outcome }
    }
}

/// A save that the shell has been given.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    ticket: u64,
    since: MonoTime,
    overdue: bool,
}

/// What is saved, what is being saved, and who waits for it.
#[derive(Clone, Debug)]
pub(super) struct Persistence {
    /// Rises with each change of what is to be kept.
    version: u64,
    saved: u64,
    under_way: Option<UnderWay>,
    error: String,
    again_at: MonoTime,
    /// Each ack with the version that it needs.
    waiting: VecDeque<(u64, PendingAck)>,
}

impl Persistence {
    /// Nothing is saved yet and the first content is due.
    pub(super) const fn new() -> Self {
        Self {
            version: 1,
            saved: 0,
            under_way: None,
            error: String::new(),
            again_at: MonoTime::ZERO,
            waiting: VecDeque::new(),
        }
    }

    /// The newest content is on the disk.
    pub(super) const fn is_kept(&self) -> bool {
        self.saved == self.version
    }

    /// Why the newest content is not on the disk; empty while nothing is known to be wrong.
    pub(super) fn error(&self) -> &str {
        &self.error
    }

    /// There is something new to keep: a disk that has just failed is tried again at once.
    pub(super) const fn on_change(&mut self, now: MonoTime) {
        self.on_minor_change();
        self.again_at = now;
    }

    /// There is something new to keep, at the next attempt.
    pub(super) const fn on_minor_change(&mut self) {
        self.version += 1;
    }

    /// When [`Self::check_overdue`] or [`Self::next_save`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<MonoTime> {
        match self.under_way {
            Some(save) if !save.overdue => Some(save.since + SAVE_WITHIN),
            Some(_) => None,
            None => (!self.is_kept()).then_some(self.again_at),
        }
    }

    /// The ack if it can be given at once: where nothing is to be kept, or where too many wait. Otherwise it waits.
    pub(super) fn ack(&mut self, ack: PendingAck) -> Option<LatchOutput> {
        let needs = if ack.is_about_content() { self.version } else { 0 };
        if needs <= self.saved {
            return Some(ack.into_output(Ok(())));
        }
        if self.waiting.len() >= WAITING_MAX {
            return Some(ack.into_output(Err("too many requests wait for the disk".to_owned())));
        }
        self.waiting.push_back((needs, ack));
        None
    }

    /// The disk has answered; the acks that this decides. A ticket that is not under way says nothing.
    pub(super) fn on_saved(&mut self, now: MonoTime, ticket: u64, result: Result<(), String>) -> Vec<LatchOutput> {
        if self.under_way.take_if(|save| save.ticket == ticket).is_none() {
            return Vec::new();
        }
        match result {
            Ok(()) => {
                self.saved = ticket;
                self.error.clear();
                self.answer(|needs| needs <= ticket, &Ok(()))
            }
            Err(why) => {
                self.again_at = now + SAVE_AGAIN;
                self.error.clone_from(&why);
                self.answer(|_| true, &Err(why))
            }
        }
    }

    /// A save that takes too long: the acks that cannot wait for it.
    pub(super) fn check_overdue(&mut self, now: MonoTime) -> Vec<LatchOutput> {
        if let Some(save) = self.under_way.as_mut()
            && !save.overdue
            && now.since(save.since) >= SAVE_WITHIN
        {
            save.overdue = true;
            self.error = format!("the disk does not answer within {} s", SAVE_WITHIN.as_secs());
        }
        if !self.under_way.is_some_and(|save| save.overdue) {
            return Vec::new();
        }
        let why = Err(self.error.clone());
        self.answer(|_| true, &why)
    }

    /// The ticket of the save that is to begin now.
    pub(super) fn next_save(&mut self, now: MonoTime) -> Option<u64> {
        if self.under_way.is_some() || self.is_kept() || now < self.again_at {
            return None;
        }
        self.under_way = Some(UnderWay { ticket: self.version, since: now, overdue: false });
        Some(self.version)
    }

    /// Acks that wait for the disk.
    #[cfg(test)]
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    fn answer(&mut self, which: impl Fn(u64) -> bool, kept: &Result<(), String>) -> Vec<LatchOutput> {
        let (answered, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(needs, _)| which(*needs));
        self.waiting = waiting;
        answered.into_iter().map(|(_, ack)| ack.into_output(kept.clone())).collect()
    }
}
