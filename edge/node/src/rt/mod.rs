//! The reflex thread: 100 Hz with absolute deadlines on a clock that never jumps.
//!
//! Invariants:
//! 1. A tick never allocates, locks, logs or waits; it shares only the slots and rings of [`mod@exchange`].
//! 2. A tick that did not begin within its period is counted as missed, and the schedule keeps its phase.
//! 3. Without a body, or when the process ends, the last command to the body is to halt.

pub mod exchange;
pub mod gauges;
pub mod latch_cell;
pub mod latency_histogram;
pub mod privileges;
mod tick;
mod wake;

pub use exchange::{AgentEnd, BodyEnd, Ends, HazardEnd, ReflexEnd, Requests, SensedEnd, TickRecord, exchange};
pub use gauges::Gauges;
pub use latch_cell::LatchCell;
pub use privileges::{Granted, WantedPrivileges};
pub use skein_robot::rt::PERIOD;
pub use tick::Ticker;
pub use wake::Wake;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_body::Body;
use skein_types::time::MonoTime;

use crate::clock;

/// Stack of the thread: the loop uses a few of it; all of it is touched at the start.
const STACK_BYTES: usize = 256 * 1024;
const TOUCHED_BYTES: usize = 128 * 1024;
/// A body is told to halt for at most this long at the end.
const HALT_FOR: Duration = Duration::from_secs(3);
/// Frames in a row that show a standing body before it is believed.
const STANDING_FRAMES: u32 = 5;

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The body was told to halt and its sensors show that it stands.
    Standing,
    /// The body was told to halt; it did not show in time that it stands.
    Told,
    /// There was no body any more; it halts by its own silence limit.
    NoBody,
}

/// The running thread.
pub struct RtThread {
    thread: JoinHandle<Ending>,
    granted: Receiver<Granted>,
}

impl RtThread {
    /// Starts the loop.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<B: Body + Send + 'static>(
        ticker: Ticker<B>,
        gauges: std::sync::Arc<Gauges>,
        wanted: WantedPrivileges,
    ) -> std::io::Result<Self> {
        let (tell, granted) = sync_channel(1);
        let thread = Builder::new()
            .name("skein-reflex".into())
            .stack_size(STACK_BYTES)
            .spawn(move || prepared(ticker, &gauges, &wanted, &tell))?;
        Ok(Self { thread, granted })
    }

    /// What the system granted; waits until the thread has asked.
    #[must_use]
    pub fn granted(&self) -> Granted {
        self.granted.recv().unwrap_or_default()
    }

    /// The loop has ended by itself.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end that [`Requests::finish`] asked for: bounded by [`HALT_FOR`].
    #[must_use]
    pub fn join(self) -> Ending {
        self.thread.join().unwrap_or(Ending::NoBody)
    }
}

fn prepared<B: Body>(
    ticker: Ticker<B>,
    gauges: &Gauges,
    wanted: &WantedPrivileges,
    tell: &SyncSender<Granted>,
) -> Ending {
    // The receiver may be gone already when the process ends at once.
    let _nobody_asks = tell.send(privileges::ask(wanted));
    touch_stack();
    run(ticker, gauges)
}

#[inline(never)]
fn touch_stack() {
    std::hint::black_box([1_u8; TOUCHED_BYTES]);
}

fn run<B: Body>(mut ticker: Ticker<B>, gauges: &Gauges) -> Ending {
    let mut deadline = clock::now() + PERIOD;
    while !ticker.is_finishing() {
        clock::sleep_until(deadline);
        let begun = clock::now();
        let late = begun.since(deadline);
        gauges.begin(begun, late);
        ticker.tick(begun);
        gauges.duration.record(clock::now().since(begun));
        deadline = next_deadline(deadline, late);
    }
    halted(ticker, deadline)
}

/// The first deadline of the same phase after the period in which this tick began.
fn next_deadline(deadline: MonoTime, late: Duration) -> MonoTime {
    let periods = u32::try_from(late.as_nanos() / PERIOD.as_nanos()).unwrap_or(u32::MAX).saturating_add(1);
    deadline + PERIOD.saturating_mul(periods)
}

fn halted<B: Body>(mut ticker: Ticker<B>, begun: MonoTime) -> Ending {
    let mut deadline = begun;
    let mut standing = 0;
    while deadline.since(begun) < HALT_FOR {
        let stands = ticker.halt(clock::now());
        if !ticker.has_body() {
            return Ending::NoBody;
        }
        standing = if stands { standing + 1 } else { 0 };
        if standing >= STANDING_FRAMES {
            return Ending::Standing;
        }
        deadline = deadline + PERIOD;
        clock::sleep_until(deadline);
    }
    Ending::Told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_schedule_keeps_its_phase_and_never_asks_for_a_tick_in_the_past(
            start in 0_u64..1_000_000_000_000,
            late_us in 0_u64..2_000_000,
        ) {
            let deadline = MonoTime::from_nanos(start);
            let late = Duration::from_micros(late_us);
            let next = next_deadline(deadline, late);
            prop_assert_eq!(next.since(deadline).as_nanos() % PERIOD.as_nanos(), 0);
            prop_assert!(next > deadline + late && next.since(deadline + late) <= PERIOD);
        }
    }
}
