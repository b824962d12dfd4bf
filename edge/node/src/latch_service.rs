//! The latch between threads: every writer changes it here, under one lock that is never held over I/O.
//!
//! ```text
//!   uplink ─────┐                       ┌──► LatchCell ──► reflex thread (each tick)
//!   debug API ──┤   lock, handle,       ├──► save slot ──► thread skein-disk ──► latch file ──► Saved
//!   mesh hook ──┼──► publish, dispatch ─┼──► caller of the debug API, outbox, agent's mailbox
//!   reflex ─────┤   (thread skein-latch └──► gossip slot ──► mesh
//!   clock ──────┘    looks every 20 ms)
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_robot::latch::{
    KnownLatches, LatchAuthority, LatchFileContents, LatchInput, LatchOutcome, LatchOutput, LatchPath, LeaseHeld,
};
use skein_types::authority::{LatchGossip, LatchReport, LatchRequest, LatchSet, LeaseGrant, Term};
use skein_types::ids::{AgentId, OperatorId};
use skein_types::link::{AgentReport, CommandAck};
use skein_types::time::MonoTime;
use tokio::sync::{oneshot, watch};

use crate::agent_thread::AgentMailbox;
use crate::clock;
use crate::heartbeat::Heartbeat;
use crate::latch_file::LatchFile;
use crate::outbox::SharedOutbox;
use crate::rt::LatchCell;

/// How often the latch thread looks at what the reflex latched; the body stands already by then.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The disk thread looks whether it is to end this often.
const DISK_LOOKS_EVERY: Duration = Duration::from_millis(200);
/// Callers of the debug API that wait at once.
const CALLERS_MAX: usize = 64;
const STACK_BYTES: usize = 256 * 1024;

/// What waits to be written.
type SaveJob = (u64, Box<LatchFileContents>);

/// The latch of this robot, for all threads.
pub struct LatchService {
    authority: Mutex<LatchAuthority>,
    cell: Arc<LatchCell>,
    callers: Mutex<BTreeMap<u64, oneshot::Sender<LatchOutcome>>>,
    next_caller: AtomicU64,
    save: Mutex<Option<SaveJob>>,
    save_ready: Condvar,
    outbox: Arc<SharedOutbox>,
    mailbox: AgentMailbox,
    gossip: watch::Sender<Option<Arc<LatchGossip>>>,
    heartbeat: Arc<Heartbeat>,
    ending: Mutex<bool>,
    ended: Condvar,
}

/// The two threads while they run.
pub struct LatchThreads {
    service: Arc<LatchService>,
    threads: Vec<JoinHandle<()>>,
}

impl LatchService {
    /// Around an authority that has just been started; its first outputs are dispatched here, so that the cell holds
    /// the kept latch before the reflex thread begins.
    #[must_use]
    pub fn new(
        authority: LatchAuthority,
        cell: Arc<LatchCell>,
        outbox: Arc<SharedOutbox>,
        mailbox: AgentMailbox,
    ) -> Arc<Self> {
        let service = Self {
            authority: Mutex::new(authority),
            cell,
            callers: Mutex::default(),
            next_caller: AtomicU64::new(1),
            save: Mutex::default(),
            save_ready: Condvar::new(),
            outbox,
            mailbox,
            gossip: watch::channel(None).0,
            heartbeat: Arc::default(),
            ending: Mutex::new(false),
            ended: Condvar::new(),
        };
        service.dispatch(&mut lock(&service.authority));
        Arc::new(service)
    }

    /// Starts the thread that looks after time and reflex, and the one that writes the file.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self: &Arc<Self>, file: LatchFile) -> std::io::Result<LatchThreads> {
        let (looking, saving) = (Arc::clone(self), Arc::clone(self));
        let latch = Builder::new().name("skein-latch".into()).stack_size(STACK_BYTES);
        let disk = Builder::new().name("skein-disk".into()).stack_size(STACK_BYTES);
        let threads = vec![latch.spawn(move || looking.look())?, disk.spawn(move || saving.save_all(file))?];
        Ok(LatchThreads { service: Arc::clone(self), threads })
    }

    /// One change from any thread: in the cell of the reflex when this returns.
    pub fn handle(&self, input: LatchInput) {
        let mut authority = self.lock();
        authority.handle(clock::now(), input);
        self.dispatch(&mut authority);
    }

    /// A request at this robot. The latch is in the cell when this returns; the answer comes when the disk has it.
    pub fn request(&self, target: Option<AgentId>, request: LatchRequest) -> oneshot::Receiver<LatchOutcome> {
        let (tell, told) = oneshot::channel();
        let caller = self.next_caller.fetch_add(1, Ordering::Relaxed);
        let mut callers = lock(&self.callers);
        if callers.len() >= CALLERS_MAX {
            // The oldest has given up long ago: an answer takes two seconds at most.
            callers.pop_first();
        }
        callers.insert(caller, tell);
        drop(callers);
        self.handle(LatchInput::Request { from: LatchPath::DebugApi(caller), target, request });
        told
    }

    /// Takes or renews the lease at the robot.
    ///
    /// # Errors
    /// [`LeaseHeld`] names the holder.
    pub fn take_lease(&self, operator: &OperatorId) -> Result<LeaseGrant, LeaseHeld> {
        let mut authority = self.lock();
        let taken = authority.take_lease(clock::now(), operator);
        self.dispatch(&mut authority);
        taken
    }

    /// Ends the lease; `false` when this operator does not hold it.
    pub fn give_back_lease(&self, operator: &OperatorId) -> bool {
        let mut authority = self.lock();
        let ended = authority.give_back_lease(clock::now(), operator);
        self.dispatch(&mut authority);
        ended
    }

    /// What Hello and `/status` say.
    #[must_use]
    pub fn report(&self) -> LatchReport {
        self.lock().report(clock::now())
    }

    /// What the robot obeys.
    #[must_use]
    pub fn latches(&self) -> LatchSet {
        self.lock().latches().clone()
    }

    /// The operator who has control, for the agent at its start.
    #[must_use]
    pub fn manual(&self) -> Option<OperatorId> {
        self.lock().manual().cloned()
    }

    /// The highest term seen.
    #[must_use]
    pub fn term(&self) -> Term {
        self.lock().term()
    }

    /// The latches of other robots as they and their peers pass them on.
    #[must_use]
    pub fn known(&self) -> Vec<(AgentId, KnownLatches)> {
        self.lock().known().map(|(robot, known)| (robot.clone(), known.clone())).collect()
    }

    /// What the peers are to hear; the newest message only.
    #[must_use]
    pub fn gossip(&self) -> watch::Receiver<Option<Arc<LatchGossip>>> {
        self.gossip.subscribe()
    }

    /// When the latch thread last went round.
    #[must_use]
    pub fn heartbeat(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.heartbeat)
    }

    /// The lock, after the authority has heard what the reflex latched meanwhile: nothing is decided without it.
    fn lock(&self) -> MutexGuard<'_, LatchAuthority> {
        let mut authority = lock(&self.authority);
        if let Some((causes, stamp)) = self.cell.reflex_latched() {
            authority.handle(clock::now(), LatchInput::ReflexLatched { causes, stamp, at: clock::wall() });
            self.dispatch(&mut authority);
        }
        authority
    }

    /// Every step is a short move of memory; what the reflex reads is written first.
    fn dispatch(&self, authority: &mut LatchAuthority) {
        while let Some(output) = authority.poll_output() {
            match output {
                LatchOutput::Publish(view) => {
                    self.cell.publish(view);
                    tracing::warn!(level = ?view.level, "latch");
                }
                LatchOutput::Save { ticket, contents } => {
                    *lock(&self.save) = Some((ticket, contents));
                    self.save_ready.notify_one();
                }
                LatchOutput::Ack { path, outcome } => self.ack(path, outcome),
                LatchOutput::Inform(latches) => self.mailbox.latch(latches),
                LatchOutput::Report(report) => self.outbox.report(AgentReport::Latch(report)),
                LatchOutput::Gossip(gossip) => drop(self.gossip.send_replace(Some(Arc::from(gossip)))),
            }
        }
    }

    fn ack(&self, path: LatchPath, outcome: LatchOutcome) {
        match path {
            LatchPath::Supervisor(command) => {
                let outcome = outcome.command_outcome();
                self.outbox.report(AgentReport::Ack(CommandAck { command, outcome }));
            }
            LatchPath::DebugApi(caller) => {
                let waiting = lock(&self.callers).remove(&caller);
                // A caller that has gone needs no answer.
                if let Some(tell) = waiting {
                    drop(tell.send(outcome));
                }
            }
            LatchPath::Mesh => {}
        }
    }

    /// The latch thread: time, and what the reflex latches.
    fn look(&self) {
        loop {
            self.heartbeat.beat(clock::now());
            let due = {
                let mut authority = self.lock();
                if authority.next_deadline() <= clock::now() {
                    authority.handle(clock::now(), LatchInput::Tick);
                    self.dispatch(&mut authority);
                }
                authority.next_deadline()
            };
            let pause = due.since(clock::now()).min(LOOK_EVERY).max(Duration::from_millis(1));
            let ending = lock(&self.ending);
            let ending = self.ended.wait_timeout(ending, pause).unwrap_or_else(PoisonError::into_inner).0;
            if *ending {
                return;
            }
        }
    }

    /// The disk thread: one save at a time, the newest content.
    fn save_all(&self, mut file: LatchFile) {
        loop {
            if let Some((ticket, contents)) = self.next_save() {
                let result = file.save(&contents).map_err(|error| error.to_string());
                if let Err(error) = &result {
                    tracing::error!(error, "the latch is not kept");
                }
                self.handle(LatchInput::Saved { ticket, result });
            } else if *lock(&self.ending) {
                return;
            }
        }
    }

    fn next_save(&self) -> Option<SaveJob> {
        let job = lock(&self.save);
        let (mut job, _) = self
            .save_ready
            .wait_timeout_while(job, DISK_LOOKS_EVERY, |job| job.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        job.take()
    }
}

impl LatchThreads {
    /// One of them ended without being told.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !*lock(&self.service.ending) && self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Marks the end as an orderly one, when the body was seen to stand, and ends both threads. A disk that hangs is
    /// left behind after `within`.
    pub fn end(&self, stands: bool, within: Duration) {
        if stands {
            self.service.handle(LatchInput::CleanShutdown);
        }
        let deadline = clock::now() + within;
        wait_until(deadline, || !stands || self.service.report().kept);
        *lock(&self.service.ending) = true;
        self.service.ended.notify_all();
        wait_until(deadline, || self.threads.iter().all(JoinHandle::is_finished));
    }
}

fn wait_until(deadline: MonoTime, holds: impl Fn() -> bool) {
    while !holds() && clock::now() < deadline {
        clock::sleep_until(clock::now() + Duration::from_millis(2));
    }
}

/// Every state between two changes is a sound one, so a panic elsewhere does not close the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
