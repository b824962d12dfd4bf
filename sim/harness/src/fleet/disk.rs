//! A robot's disk: what is being kept, what is kept, and what a crash leaves of it.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_robot::latch::{Found, LatchFileContents};

use super::random::SplitMix;

/// Longest that a sound disk takes.
const SAVE_MS: u64 = 12;
/// Longest that a slow disk takes.
const SLOW_SAVE_MS: u64 = 2_500;

/// The disk of one robot's machine.
#[derive(Debug, Default)]
pub(crate) struct SimDisk {
    kept: Option<Box<LatchFileContents>>,
    torn: bool,
    /// Saves under way, by start of the process and ticket.
    under_way: BTreeMap<(u32, u64), Box<LatchFileContents>>,
}

impl SimDisk {
    /// Begins a save; returns how long it takes.
    pub(crate) fn begin(
        &mut self,
        save: (u32, u64),
        contents: Box<LatchFileContents>,
        slow: bool,
        random: &mut SplitMix,
    ) -> Duration {
        self.under_way.insert(save, contents);
        Duration::from_millis(1 + random.below(if slow { SLOW_SAVE_MS } else { SAVE_MS }))
    }

    /// A save ends; `None` when a crash ended it before.
    pub(crate) fn end(&mut self, save: (u32, u64), full: bool) -> Option<Result<(), String>> {
        let contents = self.under_way.remove(&save)?;
        if full {
            return Some(Err("no space left on device".to_owned()));
        }
        self.kept = Some(contents);
        self.torn = false;
        Some(Ok(()))
    }

    /// The process dies: a save under way has been kept or not. When the machine dies with it, the write may be torn.
    pub(crate) fn crash(&mut self, with_machine: bool, full: bool, random: &mut SplitMix) {
        let Some((_, contents)) = core::mem::take(&mut self.under_way).pop_last() else { return };
        match random.below(3) {
            0 if !full => self.kept = Some(contents),
            1 if with_machine => self.torn = true,
            _ => {}
        }
    }

    /// What a start of the process finds.
    pub(crate) fn found(&self) -> Found {
        match (&self.kept, self.torn) {
            (last, true) => Found::Unreadable { reason: "the checksum is wrong".to_owned(), last: last.clone() },
            (Some(kept), false) => Found::Contents(kept.clone()),
            (None, false) => Found::Nothing,
        }
    }
}
