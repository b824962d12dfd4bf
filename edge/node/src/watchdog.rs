//! Watches threads and tasks from a thread of its own: notices what is dead or hangs, tells the service manager, reads
//! what the process costs.
//!
//! | what | noticed after | then |
//! |---|---|---|
//! | reflex thread stands still | 0.1 s | the process ends after 3 s; the body halts by its own silence limit |
//! | agent thread hangs | 0.9 s | the reflex halts the body after 0.1 s; the process ends after 3 s |
//! | agent, latch or hazard thread is dead | 0.2 s | the process ends with the body halted |
//! | the asynchronous tasks do not run | 0.9 s | the process ends after 3 s |
//! | one task ends, panics or hangs | 0.9 s | it is started again ([`crate::supervise`]) |
//!
//! A process that was itself suspended for a while finds all of it late once: what counts is looks in a row, not time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_types::time::MonoTime;
use tokio::sync::oneshot;

use crate::agent_thread::AgentMailbox;
use crate::clock;
use crate::heartbeat::{HANGS_AFTER, Heartbeat};
use crate::notify::Notify;
use crate::rt::Gauges;
use crate::vitals::Vitals;

/// How often everything is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks in a row that found a stall before the process gives up: 3 s.
const STALLED_LOOKS_MAX: u32 = 15;
/// Looks between two readings of the process's cost: 1 s.
const VITALS_EVERY: u32 = 5;
/// After a fatal finding the process has this long to end in order.
const END_WITHIN: Duration = Duration::from_secs(10);
/// `EX_SOFTWARE`: the process could not even end in order.
const EXIT_STUCK: i32 = 70;
const STACK_BYTES: usize = 128 * 1024;

/// Why the process cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The reflex loop does not come back.
    #[error("the reflex thread stands still")]
    ReflexStalled,
    /// The agent does not come back.
    #[error("the agent thread hangs")]
    AgentHangs,
    /// A thread has died.
    #[error("the {0} thread is dead")]
    Dead(&'static str),
    /// A thread or the runtime does not come back.
    #[error("{0} hangs")]
    Hangs(&'static str),
}

/// Whether a thread ended without being told.
pub type IsDead = Box<dyn Fn() -> bool + Send>;

/// Everything that is watched.
pub struct Watchdog {
    /// The reflex thread.
    pub gauges: Arc<Gauges>,
    /// The agent thread.
    pub agent: AgentMailbox,
    /// Threads by name.
    pub threads: Vec<(&'static str, IsDead)>,
    /// What else goes round, by name.
    pub heartbeats: Vec<(&'static str, Arc<Heartbeat>)>,
    /// CPU time and memory of the process.
    pub vitals: Arc<Vitals>,
    /// The service manager.
    pub notify: Arc<Notify>,
}

/// The running thread.
pub struct WatchdogHandle {
    thread: JoinHandle<()>,
    ending: Arc<AtomicBool>,
}

/// How many looks in a row found something amiss.
#[derive(Default)]
struct Streaks {
    reflex: u32,
    agent: u32,
    others: Vec<u32>,
}

impl Watchdog {
    /// Starts the thread; the receiver hears of what only a new process cures.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<(WatchdogHandle, oneshot::Receiver<Fatal>)> {
        let (tell, told) = oneshot::channel();
        let ending = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&ending);
        let thread = Builder::new()
            .name("skein-watchdog".into())
            .stack_size(STACK_BYTES)
            .spawn(move || self.run(&seen, tell))?;
        Ok((WatchdogHandle { thread, ending }, told))
    }

    fn run(self, ending: &AtomicBool, tell: oneshot::Sender<Fatal>) {
        let mut streaks = Streaks { others: vec![0; self.heartbeats.len()], ..Streaks::default() };
        let (mut looks, mut mark) = (0_u32, None);
        let mut alive_due = clock::now();
        while !ending.load(Ordering::Acquire) {
            let now = clock::now();
            if let Some(fatal) = self.look(now, &mut streaks) {
                // A thread that ended in order is not dead.
                if !ending.load(Ordering::Acquire) {
                    give_up(fatal, tell, ending);
                }
                return;
            }
            if looks.is_multiple_of(VITALS_EVERY) {
                mark = Some(self.vitals.read(mark));
            }
            looks = looks.wrapping_add(1);
            if let Some(every) = self.notify.watchdog_every()
                && streaks.all_well()
                && now >= alive_due
            {
                alive_due = now + every;
                self.notify.alive();
            }
            clock::sleep_until(now + LOOK_EVERY);
        }
    }

    fn look(&self, now: MonoTime, streaks: &mut Streaks) -> Option<Fatal> {
        if let Some((name, _)) = self.threads.iter().find(|(_, is_dead)| is_dead()) {
            return Some(Fatal::Dead(name));
        }
        if count(&mut streaks.reflex, self.gauges.is_stalled(now), || {
            tracing::error!(since = ?self.gauges.since_tick(now), "the reflex thread is late");
        }) {
            return Some(Fatal::ReflexStalled);
        }
        let hangs = |age: Option<Duration>| age.is_some_and(|age| age > HANGS_AFTER);
        if count(&mut streaks.agent, hangs(self.agent.since_round(now)), || {
            tracing::error!("the agent does not go round; the reflex halts the robot");
        }) {
            return Some(Fatal::AgentHangs);
        }
        for ((name, heartbeat), streak) in self.heartbeats.iter().zip(&mut streaks.others) {
            if count(streak, hangs(heartbeat.age(now)), || tracing::error!(name, "does not go round")) {
                return Some(Fatal::Hangs(name));
            }
        }
        None
    }
}

impl Streaks {
    fn all_well(&self) -> bool {
        self.reflex == 0 && self.agent == 0 && self.others.iter().all(|streak| *streak == 0)
    }
}

/// Counts looks in a row; says once that something is amiss, and returns whether it has lasted too long.
fn count(streak: &mut u32, amiss: bool, say: impl FnOnce()) -> bool {
    *streak = if amiss { *streak + 1 } else { 0 };
    if *streak == 1 {
        say();
    }
    *streak >= STALLED_LOOKS_MAX
}

/// Reports it, and ends the process by force when it does not end by itself.
fn give_up(fatal: Fatal, tell: oneshot::Sender<Fatal>, ending: &AtomicBool) {
    tracing::error!(%fatal, "the process ends");
    let _ending_already = tell.send(fatal);
    let deadline = clock::now() + END_WITHIN;
    while !ending.load(Ordering::Acquire) {
        if clock::now() >= deadline {
            std::process::exit(EXIT_STUCK);
        }
        clock::sleep_until(clock::now() + LOOK_EVERY);
    }
}

impl WatchdogHandle {
    /// Ends the watch, for the orderly end of the process.
    pub fn end(self) {
        self.ending.store(true, Ordering::Release);
        drop(self.thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn watchdog(threads: Vec<(&'static str, IsDead)>, heartbeats: Vec<(&'static str, Arc<Heartbeat>)>) -> Watchdog {
        Watchdog {
            gauges: Arc::default(),
            agent: AgentMailbox::default(),
            threads,
            heartbeats,
            vitals: Arc::default(),
            notify: Arc::new(Notify::from_environment()),
        }
    }

    #[test]
    fn before_anything_has_begun_nothing_is_late() {
        let dog = watchdog(Vec::new(), vec![("runtime", Arc::default())]);
        let mut streaks = Streaks { others: vec![0], ..Streaks::default() };
        assert_eq!(dog.look(MonoTime::from_millis(60_000), &mut streaks), None);
        assert!(streaks.all_well());
    }

    #[test]
    fn a_hang_is_noticed_within_a_second_and_fatal_after_looks_in_a_row() {
        let heartbeat = Arc::<Heartbeat>::default();
        let dog = watchdog(Vec::new(), vec![("runtime", Arc::clone(&heartbeat))]);
        let mut streaks = Streaks { others: vec![0], ..Streaks::default() };
        heartbeat.beat(MonoTime::from_millis(1_000));
        assert_eq!(dog.look(MonoTime::from_millis(1_700), &mut streaks), None);
        assert!(streaks.all_well());
        for look in 1..STALLED_LOOKS_MAX {
            assert_eq!(dog.look(MonoTime::from_millis(1_701), &mut streaks), None, "{look}");
            assert!(!streaks.all_well());
        }
        assert_eq!(dog.look(MonoTime::from_millis(1_701), &mut streaks), Some(Fatal::Hangs("runtime")));
        heartbeat.beat(MonoTime::from_millis(90_000));
        assert_eq!(dog.look(MonoTime::from_millis(90_001), &mut streaks), None);
        assert!(streaks.all_well(), "a process that was suspended needs one look to be well");
    }

    #[test]
    fn a_dead_thread_is_fatal_at_the_next_look() {
        let dead = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&dead);
        let dog = watchdog(vec![("agent", Box::new(move || seen.load(Ordering::Acquire)))], Vec::new());
        let mut streaks = Streaks::default();
        assert_eq!(dog.look(MonoTime::ZERO, &mut streaks), None);
        dead.store(true, Ordering::Release);
        assert_eq!(dog.look(MonoTime::ZERO, &mut streaks), Some(Fatal::Dead("agent")));
    }
}
