//! The lane of STOP and KILL: from a request straight to the robots' streams, past the core, the ledger and every queue.
//!
//! ```text
//! gRPC, REST --> StopLane::stop --> slot of each open stream --> robot     (one step for all robots)
//!                     |                                            |
//!                     |             acknowledgements <-------------+
//!                     +--> urgent message to the core: applied, recorded, sent again until the robot reports it
//! ```
//!
//! The core and the lane send the same request under the same command id, so a robot that gets both executes one.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::task::AtomicWaker;
use skein_supervisor::RobotTargets;
use skein_types::authority::{LatchOrder, LatchReport, LatchRequest, LatchScope, LatchSet, Term};
use skein_types::fleet::LatchDurability;
use skein_types::ids::{AgentId, CommandId, Generation};
use skein_types::link::{AgentReport, CloudCommand, CommandOutcome, Order};
use skein_types::time::MonoTime;
use skein_wire::v1;
use tokio::sync::{Notify, mpsc};
use tonic::Status;
use uuid::Uuid;

use crate::clock;

/// Latch orders that may wait for one stream; of more, the latest are kept, which is what the robot ends up with.
const LATCH_SLOTS: usize = 16;
/// A stream that was heard within this time is alive.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// How long a silent stream has to answer a ping.
const PING_WITHIN: Duration = Duration::from_millis(1500);
/// Acknowledgements of one request that may wait to be collected.
const ACKS_MAX: usize = 4096;

/// A lock whose holder cannot have left anything half done: every change under it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sending end of one robot's stream.
pub(crate) struct RobotStream {
    /// Tells streams of the same robot apart.
    pub(crate) number: u64,
    urgent: Mutex<Urgent>,
    waker: AtomicWaker,
    commands: mpsc::Sender<CloudCommand>,
    heard_at: AtomicU64,
    heard: Notify,
    latest: Mutex<Option<LatchReport>>,
}

/// What goes before all other commands.
#[derive(Default)]
struct Urgent {
    latches: VecDeque<CloudCommand>,
    end: Option<Status>,
    ended: bool,
}

/// What the stream's response is made of.
pub(crate) struct CommandStream {
    stream: Arc<RobotStream>,
    commands: mpsc::Receiver<CloudCommand>,
}

impl RobotStream {
    /// Both ends of a new stream. `commands_max`: commands other than latch orders that may wait for it.
    pub(crate) fn new(number: u64, commands_max: usize) -> (Arc<Self>, CommandStream) {
        let (commands, waiting) = mpsc::channel(commands_max);
        let stream = Arc::new(Self {
            number,
            urgent: Mutex::default(),
            waker: AtomicWaker::new(),
            commands,
            heard_at: AtomicU64::new(clock::now().as_nanos()),
            heard: Notify::new(),
            latest: Mutex::default(),
        });
        (stream.clone(), CommandStream { stream, commands: waiting })
    }

    /// Puts a command on the stream; latch orders go before all others. `false` when there is no room.
    pub(crate) fn send(&self, command: CloudCommand) -> bool {
        if !matches!(command.order, Order::Latch(_)) {
            return self.commands.try_send(command).is_ok();
        }
        let mut urgent = lock(&self.urgent);
        urgent.latches.retain(|waiting| waiting.id != command.id);
        if urgent.latches.len() >= LATCH_SLOTS {
            urgent.latches.pop_front();
        }
        urgent.latches.push_back(command);
        drop(urgent);
        self.waker.wake();
        true
    }

    /// Ends the stream with a reason.
    pub(crate) fn refuse(&self, status: Status) {
        lock(&self.urgent).end.get_or_insert(status);
        self.waker.wake();
    }

    /// Ends the stream without one.
    pub(crate) fn finish(&self) {
        lock(&self.urgent).ended = true;
        self.waker.wake();
    }

    /// The latches that the robot last reported on this stream, and whether they are on its disk.
    fn latches(&self) -> (LatchSet, LatchDurability) {
        let latest = lock(&self.latest);
        latest.as_ref().map(|report| (report.latches.clone(), LatchDurability::from(report))).unwrap_or_default()
    }

    fn is_fresh(&self) -> bool {
        let heard = MonoTime::from_nanos(self.heard_at.load(Ordering::Relaxed));
        clock::now().since(heard) <= ALIVE_WITHIN
    }

    /// Something is heard on it, if need be in answer to a ping.
    async fn is_alive(&self) -> bool {
        if self.is_fresh() {
            return true;
        }
        let heard = self.heard.notified();
        // State that is older than any other: a robot merges it into the same registers and acknowledges it.
        let order = Order::Latch(LatchOrder { request: None, state: LatchSet::default() });
        let id = CommandId(Uuid::now_v7());
        self.send(CloudCommand { id, generation: Generation(0), term: Term(0), expires_at: None, order });
        tokio::time::timeout(PING_WITHIN, heard).await.is_ok()
    }
}

impl Stream for CommandStream {
    type Item = Result<v1::CloudCommand, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Registered first: what is sent after the look below wakes us again.
        self.stream.waker.register(context.waker());
        let mut urgent = lock(&self.stream.urgent);
        if let Some(command) = urgent.latches.pop_front() {
            return Poll::Ready(Some(Ok(command.into())));
        }
        if let Some(status) = urgent.end.take() {
            urgent.ended = true;
            return Poll::Ready(Some(Err(status)));
        }
        if urgent.ended {
            return Poll::Ready(None);
        }
        drop(urgent);
        self.commands.poll_recv(context).map(|command| command.map(|command| Ok(command.into())))
    }
}

/// All open streams, and the requests whose acknowledgements are collected.
#[derive(Default)]
pub(crate) struct StopLane {
    streams: Mutex<BTreeMap<AgentId, Arc<RobotStream>>>,
    collectors: Mutex<BTreeMap<CommandId, mpsc::Sender<(AgentId, CommandOutcome)>>>,
    term: AtomicU64,
}

impl StopLane {
    /// The term that commands carry.
    pub(crate) fn set_term(&self, term: Term) {
        self.term.store(term.0, Ordering::Relaxed);
    }

    /// A stream takes the place of the one before, which is returned.
    pub(crate) fn insert(&self, agent: AgentId, stream: Arc<RobotStream>) -> Option<Arc<RobotStream>> {
        lock(&self.streams).insert(agent, stream)
    }

    pub(crate) fn get(&self, agent: &AgentId) -> Option<Arc<RobotStream>> {
        lock(&self.streams).get(agent).cloned()
    }

    /// A stream ended; a newer one of the same robot stays. `true` when it was the current one.
    pub(crate) fn remove(&self, agent: &AgentId, number: u64) -> bool {
        let mut streams = lock(&self.streams);
        let current = streams.get(agent).is_some_and(|stream| stream.number == number);
        if current {
            streams.remove(agent);
        }
        current
    }

    /// The robot's stream still answers: no other may take its place.
    pub(crate) async fn is_taken(&self, agent: &AgentId) -> bool {
        match self.get(agent) {
            Some(stream) => stream.is_alive().await,
            None => false,
        }
    }

    /// Puts a STOP or KILL on the streams of all its targets, in one step: those that have one.
    pub(crate) fn stop(&self, targets: &RobotTargets, request: &LatchRequest) -> Vec<AgentId> {
        let scope = match targets {
            RobotTargets::All => LatchScope::Fleet,
            RobotTargets::These(_) => LatchScope::Robot,
        };
        let request = LatchRequest { scope, ..request.clone() };
        let order = Order::Latch(LatchOrder { request: Some(request.clone()), state: LatchSet::default() });
        let term = Term(self.term.load(Ordering::Relaxed));
        let command = CloudCommand { id: request.id, generation: Generation(0), term, expires_at: None, order };
        let meant = |agent: &AgentId| match targets {
            RobotTargets::All => true,
            RobotTargets::These(named) => named.contains(agent),
        };
        let streams = lock(&self.streams);
        let meant = streams.iter().filter(|(agent, _)| meant(agent));
        meant.filter(|(_, stream)| stream.send(command.clone())).map(|(agent, _)| agent.clone()).collect()
    }

    /// The latches that a connected robot last reported, and whether they are on its disk.
    pub(crate) fn latches(&self, agent: &AgentId) -> (LatchSet, LatchDurability) {
        self.get(agent).map(|stream| stream.latches()).unwrap_or_default()
    }

    pub(crate) fn is_connected(&self, agent: &AgentId) -> bool {
        lock(&self.streams).contains_key(agent)
    }

    /// A robot reported something: noted before it waits for the core.
    pub(crate) fn on_report(&self, agent: &AgentId, stream: &RobotStream, report: &AgentReport) {
        stream.heard_at.store(clock::now().as_nanos(), Ordering::Relaxed);
        stream.heard.notify_waiters();
        match report {
            AgentReport::Latch(report) => *lock(&stream.latest) = Some(report.clone()),
            AgentReport::Hello(hello) => *lock(&stream.latest) = Some(hello.latch.clone()),
            AgentReport::Ack(ack) => {
                if let Some(collector) = lock(&self.collectors).get(&ack.command) {
                    // Beyond the bound the robot counts as silent; the core hears of it all the same.
                    let _full = collector.try_send((agent.clone(), ack.outcome.clone()));
                }
            }
            AgentReport::Telemetry(_) | AgentReport::Progress(_) | AgentReport::Events(_) | AgentReport::Hazards(_) => {
            }
        }
    }

    /// Collects the acknowledgements of a request until it is dropped.
    pub(crate) fn collect(self: &Arc<Self>, request: CommandId) -> Acks {
        let (to, acks) = mpsc::channel(ACKS_MAX);
        lock(&self.collectors).insert(request, to);
        Acks { lane: self.clone(), request, acks }
    }
}

/// Acknowledgements of one request.
pub(crate) struct Acks {
    lane: Arc<StopLane>,
    request: CommandId,
    acks: mpsc::Receiver<(AgentId, CommandOutcome)>,
}

impl Acks {
    /// The next acknowledgement.
    pub(crate) async fn next(&mut self) -> Option<(AgentId, CommandOutcome)> {
        self.acks.recv().await
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        lock(&self.lane.collectors).remove(&self.request);
    }
}
