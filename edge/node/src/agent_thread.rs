//! The agent's thread: everything that happens goes through one mailbox, everything that is to be done is dispatched
//! here. Nothing in this loop waits for the network, and nothing the reflex needs waits for this loop.
//!
//! The mailbox has lanes that do not push each other out:
//!
//! | lane | when there is too much |
//! |---|---|
//! | latches, connections | only the latest counts |
//! | orders and manual commands | refused with [`AgentBusy`], so that the sender knows |
//! | peers | the oldest go: newer intents and hazards say more |
//! | questions | refused |

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_agent::{Agent, AgentStatus, Input, Output};
use skein_robot::tactical::TacticalCore;
use skein_types::authority::LatchSet;
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::event::Event;
use skein_types::ids::OperatorId;
use skein_types::link::AgentReport;
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::MonoTime;
use tokio::sync::{broadcast, oneshot, watch};

use crate::clock;
use crate::hazard_thread::HazardLane;
use crate::heartbeat::Heartbeat;
use crate::outbox::SharedOutbox;
use crate::rt::{AgentEnd, Gauges};

/// Orders that wait: a supervisor has far fewer under way to one robot.
pub const ORDERS_MAX: usize = 256;
/// Messages of peers that wait: one second of a hundred peers.
pub const PEERS_MAX: usize = 1024;
/// Questions that wait.
const QUESTIONS_MAX: usize = 32;
/// Messages of peers that are taken between two looks at ticks and deadlines.
const PEERS_AT_ONCE: usize = 64;
/// Longest sleep when the agent has no deadline.
const IDLE_MAX: Duration = Duration::from_millis(50);
/// How often the agent hears how the reflex keeps time.
const STATS_EVERY: Duration = Duration::from_millis(500);
/// Stack of the thread.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// The lane is full: the agent hangs or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent takes no more messages")]
pub struct AgentBusy;

/// What waits for the agent.
#[derive(Debug, Default)]
struct Mail {
    latch: Option<LatchSet>,
    cloud: Option<bool>,
    mesh: Option<bool>,
    orders: VecDeque<Input>,
    peers: VecDeque<Input>,
    questions: VecDeque<oneshot::Sender<Box<AgentStatus>>>,
    stop: bool,
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.latch.is_none()
            && self.cloud.is_none()
            && self.mesh.is_none()
            && self.orders.is_empty()
            && self.peers.is_empty()
            && self.questions.is_empty()
            && !self.stop
    }
}

#[derive(Debug, Default)]
struct Shared {
    mail: Mutex<Mail>,
    ready: Condvar,
    refused: AtomicU64,
    heartbeat: Heartbeat,
}

/// The way to the agent, for any thread.
#[derive(Clone, Debug, Default)]
pub struct AgentMailbox(Arc<Shared>);

impl AgentMailbox {
    /// The latches changed.
    pub fn latch(&self, latches: LatchSet) {
        self.put(|mail| mail.latch = Some(latches));
    }

    /// The supervisor answers, or not.
    pub fn cloud(&self, cloud: bool) {
        self.put(|mail| mail.cloud = Some(cloud));
    }

    /// The mesh is up, or not.
    pub fn mesh(&self, mesh: bool) {
        self.put(|mail| mail.mesh = Some(mesh));
    }

    /// An order or a manual command, for the agent's next cycle.
    ///
    /// # Errors
    /// [`AgentBusy`] when the lane is full.
    pub fn order(&self, input: Input) -> Result<(), AgentBusy> {
        self.put(|mail| push(&mut mail.orders, input, ORDERS_MAX)).inspect_err(|_| self.count_refused())
    }

    /// A peer spoke; when the lane is full the oldest goes.
    pub fn peer(&self, input: Input) {
        let full = self.put(|mail| {
            let full = mail.peers.len() >= PEERS_MAX;
            if full {
                mail.peers.pop_front();
            }
            mail.peers.push_back(input);
            full
        });
        if full {
            self.count_refused();
        }
    }

    /// Everything at this moment, if the agent answers in time.
    ///
    /// # Errors
    /// [`AgentBusy`] when the agent takes no question or gives no answer.
    pub async fn status(&self, patience: Duration) -> Result<Box<AgentStatus>, AgentBusy> {
        let (tell, told) = oneshot::channel();
        self.put(|mail| push(&mut mail.questions, tell, QUESTIONS_MAX))?;
        tokio::time::timeout(patience, told).await.map_err(|_| AgentBusy)?.map_err(|_| AgentBusy)
    }

    /// The thread is to end.
    pub fn stop(&self) {
        self.put(|mail| mail.stop = true);
    }

    /// How long ago the agent last went round its loop; `None` before the first time.
    #[must_use]
    pub fn since_round(&self, now: MonoTime) -> Option<Duration> {
        self.0.heartbeat.age(now)
    }

    /// Messages refused or dropped because a lane was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// An order that waits, where there is no agent.
    #[must_use]
    pub fn try_order(&self) -> Option<Input> {
        self.lock().orders.pop_front()
    }

    /// A question that waits, where there is no agent.
    #[cfg(test)]
    pub(crate) fn try_question(&self) -> Option<oneshot::Sender<Box<AgentStatus>>> {
        self.lock().questions.pop_front()
    }

    fn put<T>(&self, change: impl FnOnce(&mut Mail) -> T) -> T {
        let changed = change(&mut self.lock());
        self.0.ready.notify_one();
        changed
    }

    /// What waits, of peers only so many; waits for at most `pause` until there is something.
    fn take(&self, pause: Duration) -> Mail {
        let mail = self.lock();
        let waited = self.0.ready.wait_timeout_while(mail, pause, |mail| mail.is_empty());
        let (mut mail, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = mail.peers.len().min(PEERS_AT_ONCE);
        let peers = mail.peers.drain(..count).collect();
        let rest = std::mem::take(&mut mail.peers);
        let taken = Mail { peers, ..std::mem::take(&mut *mail) };
        mail.peers = rest;
        taken
    }

    /// Held for a few moves of memory only.
    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.0.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}

fn push<T>(lane: &mut VecDeque<T>, item: T, max: usize) -> Result<(), AgentBusy> {
    if lane.len() >= max {
        return Err(AgentBusy);
    }
    lane.push_back(item);
    Ok(())
}

/// Where the outputs go.
pub struct Sinks {
    /// Slots and ring of the reflex.
    pub reflex: AgentEnd,
    /// How the reflex keeps time.
    pub gauges: Arc<Gauges>,
    /// For the supervisor.
    pub outbox: Arc<SharedOutbox>,
    /// For the peers: the newest intent.
    pub intent: watch::Sender<Option<Intent>>,
    /// For the peers: entries of the shared hazard map.
    pub map: broadcast::Sender<MapHazard>,
    /// For the peers: hazards, in their own lane.
    pub hazards: HazardLane,
    /// The last sample, for the debug API.
    pub telemetry: watch::Sender<Option<Arc<AgentTelemetry>>>,
    /// Hears which operator has control.
    pub manual: Box<dyn Fn(Option<OperatorId>) + Send>,
}

/// The loop of the thread.
pub struct AgentThread {
    core: TacticalCore,
    sinks: Sinks,
    mailbox: AgentMailbox,
    stats_due: MonoTime,
    manual: Option<OperatorId>,
}

impl AgentThread {
    /// Starts the thread. It ends with [`AgentMailbox::stop`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(agent: Agent, mailbox: AgentMailbox, sinks: Sinks) -> std::io::Result<JoinHandle<()>> {
        let core = TacticalCore::new(agent);
        let thread = Self { core, sinks, mailbox, stats_due: MonoTime::ZERO, manual: None };
        Builder::new().name("skein-agent".into()).stack_size(STACK_BYTES).spawn(move || thread.run())
    }

    fn run(mut self) {
        loop {
            let now = clock::now();
            self.mailbox.0.heartbeat.beat(now);
            self.core.on_wall(now, clock::wall());
            self.take_ticks();
            self.core.catch_up(clock::now());
            self.drain();
            let mail = self.mailbox.take(self.pause());
            if mail.stop {
                return;
            }
            self.take(mail);
        }
    }

    fn pause(&self) -> Duration {
        let now = clock::now();
        self.core.next_deadline().map_or(IDLE_MAX, |(deadline, _)| deadline.since(now).min(IDLE_MAX))
    }

    fn take_ticks(&mut self) {
        while let Ok(record) = self.sinks.reflex.records.pop() {
            self.core.on_tick(clock::now(), &record);
            self.drain();
        }
        let now = clock::now();
        if now >= self.stats_due {
            self.stats_due = now + STATS_EVERY;
            self.core.handle(now, Input::ReflexStats(self.sinks.gauges.stats()));
            self.drain();
        }
    }

    fn take(&mut self, mail: Mail) {
        let now = clock::now();
        if let Some(latches) = mail.latch {
            self.core.on_latch(now, &latches);
        }
        if let Some(cloud) = mail.cloud {
            self.core.on_cloud(now, cloud);
        }
        if let Some(mesh) = mail.mesh {
            self.core.on_mesh(now, mesh);
        }
        self.drain();
        for input in mail.orders.into_iter().chain(mail.peers) {
            self.core.handle(clock::now(), input);
            self.drain();
        }
        for tell in mail.questions {
            // The caller may have timed out and gone.
            drop(tell.send(Box::new(self.core.agent().status(clock::now()))));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.dispatch(output);
        }
        if self.core.manual() != self.manual.as_ref() {
            self.manual = self.core.manual().cloned();
            (self.sinks.manual)(self.manual.clone());
        }
    }

    fn dispatch(&mut self, output: Output) {
        match output {
            Output::Setpoint(setpoint) => self.sinks.reflex.setpoint.write(setpoint),
            Output::Surroundings(surroundings) => self.sinks.reflex.surroundings.write(*surroundings),
            Output::PublishIntent(intent) => drop(self.sinks.intent.send_replace(Some(intent))),
            Output::PublishHazard(hazard) => self.warn(hazard),
            Output::Report(report) => self.report(report),
            Output::Event(event) => self.record(event),
            Output::PublishMapHazard(entry) => drop(self.sinks.map.send(entry)),
            Output::MapHazard(entry) => self.sinks.outbox.report(AgentReport::Hazards(vec![entry])),
        }
    }

    fn warn(&self, hazard: Hazard) {
        if !self.sinks.hazards.report(hazard) {
            tracing::trace!("the hazard lane is full");
        }
    }

    fn report(&self, report: AgentReport) {
        if let AgentReport::Telemetry(batch) = &report
            && let Some(last) = batch.samples.last()
        {
            self.sinks.telemetry.send_replace(Some(Arc::new(last.clone())));
        }
        self.sinks.outbox.report(report);
    }

    fn record(&self, event: Event) {
        tracing::info!(target: "skein_edge::event", kind = ?event.kind, name = %event.name, payload = %event.payload);
        self.sinks.outbox.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::ids::AgentId;

    fn peer(number: usize) -> Input {
        Input::PeerAlive { agent: AgentId::new(format!("rover-{number}")).unwrap(), alive: true }
    }

    #[test]
    fn a_flood_of_peers_keeps_neither_orders_nor_latches_out() {
        let mailbox = AgentMailbox::default();
        (0..3 * PEERS_MAX).for_each(|number| mailbox.peer(peer(number)));
        mailbox.latch(LatchSet::default());
        mailbox.order(Input::Cycle).unwrap();
        let mail = mailbox.take(Duration::ZERO);
        assert!(mail.latch.is_some() && mail.orders.len() == 1);
        assert_eq!(mail.peers.len(), PEERS_AT_ONCE);
        let Some(Input::PeerAlive { agent, .. }) = mail.peers.front() else { panic!("a peer") };
        assert_eq!(agent.as_str(), format!("rover-{}", 2 * PEERS_MAX), "the oldest went");
        assert_eq!(mailbox.refused(), 2 * PEERS_MAX as u64);
    }

    #[test]
    fn a_full_lane_of_orders_refuses_by_name() {
        let mailbox = AgentMailbox::default();
        (0..ORDERS_MAX).for_each(|_| mailbox.order(Input::Cycle).unwrap());
        assert_eq!(mailbox.order(Input::Cycle), Err(AgentBusy));
    }
}
