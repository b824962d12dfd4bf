//! The core actor: one thread that has the core and the ledger, and does one round after the other.
//!
//! A round takes what waits (up to a bound), lets the core handle each, commits all records in one transaction, and
//! then sends commands and answers. So a record is durable before anything that depends on it is visible, and a busy
//! time needs no more syncs than a quiet one. While the disk fails records wait in memory: missions under way and
//! latches go on, robots' events are not acknowledged, new missions are refused.
//!
//! What was sent by the [`StopLane`] comes on a channel of its own and is handled before everything else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_supervisor::{Answer, Input, LeaseView, OperatorRequest, Output, Record, Refusal, StorageState, Supervisor};
use skein_types::fleet::{FleetView, RobotView};
use skein_types::ids::{AgentId, MissionId};
use skein_types::link::{AgentReport, CloudCommand, Hello, Order};
use skein_types::mission::{Mission, MissionState};
use skein_types::time::{MonoTime, WallTime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::Status;

use crate::clock;
use crate::ledger::Ledger;
use crate::meter::Meter;
use crate::problem::{Closing, Problem};
use crate::stop_lane::{RobotStream, StopLane};
use crate::store::{Store, StoreError};

/// Messages that may wait: a second of reports of a hundred robots. Beyond that, streams are slowed by their flow
/// control.
pub(crate) const MESSAGES_MAX: usize = 1024;
/// STOPs that may wait to be recorded: they are sent already.
pub(crate) const URGENT_MAX: usize = 256;
/// Messages of one round, so that its commit does not keep the first of them waiting for long.
const ROUND_MAX: usize = 256;
/// How often viewers get a snapshot.
pub(crate) const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);
/// How often a snapshot is kept while anything changes.
const HISTORY_PERIOD: Duration = Duration::from_secs(1);
/// How often the core is told the wall clock.
const WALL_PERIOD: Duration = Duration::from_secs(1);

/// What the core actor is asked to do.
pub(crate) enum CoreMessage {
    /// A robot opened a stream: its commands go there.
    Opened { hello: Box<Hello>, stream: Arc<RobotStream>, reply: oneshot::Sender<Result<(), Refusal>> },
    /// A robot reported something on a stream.
    Report { stream: u64, agent: AgentId, report: AgentReport },
    /// A stream ended.
    Closed { stream: u64, agent: AgentId },
    /// Another stream spoke in the name of a connected robot and was refused.
    IdentityConflict { agent: AgentId, what: String },
    /// An operator or a program requests something.
    Request { request: Box<OperatorRequest>, reply: oneshot::Sender<Result<Answer, Refusal>> },
    /// A copy of the core, to plan with elsewhere.
    Copy(oneshot::Sender<Box<Supervisor>>),
    /// The mission of this id.
    Mission(MissionId, oneshot::Sender<Result<Mission, Refusal>>),
    /// Missions in some states (none named: all), newest first.
    Missions(Vec<MissionState>, oneshot::Sender<Vec<Mission>>),
    /// The robot of this name.
    Robot(AgentId, oneshot::Sender<Result<RobotView, Refusal>>),
    /// All robots, in the order of their names.
    Robots(oneshot::Sender<Vec<RobotView>>),
    /// Leases in force.
    Leases(oneshot::Sender<Vec<LeaseView>>),
}

/// The fleet at a moment, and when each part of it last changed.
#[derive(Clone, Debug)]
pub(crate) struct FleetSnapshot {
    pub(crate) view: FleetView,
    pub(crate) robots: Vec<u64>,
    pub(crate) missions: Vec<u64>,
    /// Of alarms and hazards.
    pub(crate) notices: u64,
}

/// A fleet of nothing.
pub(crate) const fn empty_fleet(at: WallTime) -> FleetView {
    FleetView { sequence: 0, at, robots: Vec::new(), missions: Vec::new(), alarms: Vec::new(), hazards: Vec::new() }
}

impl FleetSnapshot {
    pub(crate) fn empty() -> Self {
        Self { view: empty_fleet(clock::wall()), robots: Vec::new(), missions: Vec::new(), notices: 0 }
    }
}

/// What the core actor publishes.
#[derive(Clone)]
pub(crate) struct Published {
    /// Ten snapshots a second while there is a viewer; the latest wins.
    pub(crate) snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    /// The row of the newest event.
    pub(crate) newest: watch::Receiver<i64>,
    /// Whether records become durable.
    pub(crate) storage: watch::Receiver<StorageState>,
}

/// The core, the ledger and the streams.
pub(crate) struct CoreActor {
    supervisor: Supervisor,
    ledger: Ledger,
    meter: Arc<Meter>,
    lane: Arc<StopLane>,
    streams: BTreeMap<AgentId, Arc<RobotStream>>,
    publisher: Publisher,
    wall_at: MonoTime,
    round: Round,
}

/// What was published last, and when.
struct Publisher {
    snapshots: watch::Sender<Arc<FleetSnapshot>>,
    newest: watch::Sender<i64>,
    storage: watch::Sender<StorageState>,
    snapshot_at: MonoTime,
    history_at: MonoTime,
    history_revision: u64,
}

/// What a round has brought so far and waits for its commit.
#[derive(Default)]
struct Round {
    records: Vec<Record>,
    commands: Vec<(AgentId, CloudCommand)>,
    replies: Vec<Reply>,
    /// To the request that is being handled.
    answer: Option<Result<Answer, Refusal>>,
    /// Robots that the input that is being handled refused.
    rejected: Vec<(AgentId, Refusal)>,
}

/// An answer that waits for the commit of its round.
enum Reply {
    Opened(oneshot::Sender<Result<(), Refusal>>, Result<(), Refusal>),
    Answer(oneshot::Sender<Result<Answer, Refusal>>, Result<Answer, Refusal>),
}

impl CoreActor {
    /// Restores the core from the ledger.
    pub(crate) fn new(
        mut supervisor: Supervisor,
        store: Store,
        lane: Arc<StopLane>,
        meter: Arc<Meter>,
    ) -> Result<(Self, Published), StoreError> {
        let now = clock::now();
        supervisor.handle(now, Input::Wall(clock::wall()));
        let loaded = match store.records() {
            Ok(loaded) => loaded,
            // Without the ledger the fleet is not known, but it can be stopped.
            Err(error) if store.failure().is_some() => {
                tracing::error!(%error, "the ledger cannot be read: starting without what it holds");
                Default::default()
            }
            Err(error) => return Err(error),
        };
        for damage in &loaded.damaged {
            tracing::error!(damage, "a record of the ledger is damaged and was left out");
        }
        supervisor.handle(now, Input::Restore(loaded.records));
        lane.set_term(supervisor.term());
        let (snapshots, seen) = watch::channel(Arc::new(FleetSnapshot::empty()));
        let (newest, newest_seen) = watch::channel(store.newest_row());
        let ledger = Ledger::new(store, now);
        let (storage, storage_seen) = watch::channel(ledger.state().clone());
        let publisher =
            Publisher { snapshots, newest, storage, snapshot_at: now, history_at: now, history_revision: 0 };
        let mut actor = Self {
            supervisor,
            ledger,
            meter,
            lane,
            streams: BTreeMap::new(),
            publisher,
            wall_at: now,
            round: Round::default(),
        };
        actor.drain();
        actor.feed(now, Input::Storage(actor.ledger.state().clone()));
        actor.finish_round();
        Ok((actor, Published { snapshots: seen, newest: newest_seen, storage: storage_seen }))
    }

    /// Works until every sender of messages is gone.
    pub(crate) fn run(mut self, mut inbox: CoreInbox, runtime: &tokio::runtime::Handle) {
        loop {
            let wait = self.wait();
            match runtime.block_on(inbox.next(wait)) {
                Received::Closed => return,
                Received::Message(message) => {
                    self.on_message(*message);
                    for _ in 1..ROUND_MAX {
                        let Some(message) = inbox.try_next() else { break };
                        self.on_message(message);
                    }
                }
                Received::Nothing => {}
            }
            self.meter.queue.set(inbox.waiting() as u64);
            self.tick();
            self.finish_round();
            self.publish();
        }
    }

    /// Until when there is nothing to do but for new messages.
    fn wait(&self) -> Instant {
        let now = clock::now();
        let looked_at = self.publisher.snapshots.receiver_count() > 1;
        let snapshot = if looked_at { self.publisher.snapshot_at } else { self.publisher.history_at };
        let core = self.supervisor.next_deadline().map_or(MonoTime::MAX, |(at, _)| at);
        let retry = self.ledger.next_retry().unwrap_or(MonoTime::MAX);
        let next = core.min(snapshot).min(self.wall_at).min(retry);
        // The one clock of waiting; how long is decided on the clock of the core.
        #[expect(clippy::disallowed_methods, reason = "the runtime's own clock is what its timer wants")]
        let runtime_now = Instant::from_std(std::time::Instant::now());
        runtime_now + next.since(now)
    }

    fn on_message(&mut self, message: CoreMessage) {
        let now = clock::now();
        match message {
            CoreMessage::Opened { hello, stream, reply } => self.on_opened(now, hello, stream, reply),
            CoreMessage::Report { stream, agent, report } => self.on_report(now, stream, agent, report),
            CoreMessage::Closed { stream, agent } => {
                if self.is_current(stream, &agent) {
                    self.streams.remove(&agent);
                    self.lane.remove(&agent, stream);
                    self.feed(now, Input::Disconnected(agent));
                }
            }
            CoreMessage::IdentityConflict { agent, what } => self.feed(now, Input::IdentityConflict { agent, what }),
            CoreMessage::Request { request, reply } => self.on_request(now, request, reply),
            CoreMessage::Copy(reply) => drop(reply.send(Box::new(self.supervisor.clone()))),
            CoreMessage::Mission(id, reply) => drop(reply.send(self.supervisor.mission(id))),
            CoreMessage::Missions(states, reply) => {
                let wanted = |mission: &Mission| states.is_empty() || states.contains(&mission.state);
                drop(reply.send(self.supervisor.missions().filter(wanted).collect()));
            }
            CoreMessage::Robot(agent, reply) => drop(reply.send(self.supervisor.robot(now, &agent))),
            CoreMessage::Robots(reply) => drop(reply.send(self.supervisor.fleet_view(now).robots)),
            CoreMessage::Leases(reply) => drop(reply.send(self.supervisor.leases())),
        }
    }

    fn on_opened(
        &mut self,
        now: MonoTime,
        hello: Box<Hello>,
        stream: Arc<RobotStream>,
        reply: oneshot::Sender<Result<(), Refusal>>,
    ) {
        let agent = hello.agent.clone();
        let before = self.streams.insert(agent.clone(), stream.clone());
        self.lane.insert(agent.clone(), stream.clone());
        self.feed(now, Input::Connected(hello));
        let rejected = core::mem::take(&mut self.round.rejected);
        let answer = match rejected.into_iter().find(|(name, _)| *name == agent) {
            None => {
                if let Some(before) = before {
                    before.refuse(Status::aborted("a newer stream of this robot took over"));
                }
                Ok(())
            }
            Some((_, refusal)) => {
                self.put_back(agent, stream.number, before);
                Err(refusal)
            }
        };
        self.round.replies.push(Reply::Opened(reply, answer));
    }

    /// A stream was refused: the one before, if any, is the robot's again.
    fn put_back(&mut self, agent: AgentId, refused: u64, before: Option<Arc<RobotStream>>) {
        self.lane.remove(&agent, refused);
        match before {
            Some(before) => {
                self.lane.insert(agent.clone(), before.clone());
                self.streams.insert(agent, before);
            }
            None => drop(self.streams.remove(&agent)),
        }
    }

    fn on_report(&mut self, now: MonoTime, stream: u64, agent: AgentId, report: AgentReport) {
        if !self.is_current(stream, &agent) {
            return;
        }
        self.meter.reports.add(1);
        self.feed(now, Input::Report { agent, report });
        for (agent, refusal) in core::mem::take(&mut self.round.rejected) {
            if let Some(stream) = self.streams.get(&agent) {
                stream.refuse(Problem::from(refusal).into());
            }
        }
    }

    fn is_current(&self, stream: u64, agent: &AgentId) -> bool {
        self.streams.get(agent).is_some_and(|current| current.number == stream)
    }

    fn on_request(
        &mut self,
        now: MonoTime,
        request: Box<OperatorRequest>,
        reply: oneshot::Sender<Result<Answer, Refusal>>,
    ) {
        self.meter.requests.add(1);
        self.feed(now, Input::Request(request));
        let Some(answer) = self.round.answer.take() else { return };
        if answer.is_err() {
            self.meter.refusals.add(1);
        }
        self.round.replies.push(Reply::Answer(reply, answer));
    }

    fn feed(&mut self, now: MonoTime, input: Input) {
        self.supervisor.handle(now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.supervisor.poll_output() {
            match output {
                Output::Persist(record) => self.round.records.push(record),
                Output::Answer(answer) => self.round.answer = Some(answer),
                Output::RejectRobot { agent, refusal } => self.round.rejected.push((agent, refusal)),
                Output::Send { agent, command } => self.round.commands.push((agent, command)),
            }
        }
    }

    fn tick(&mut self) {
        let now = clock::now();
        if now >= self.wall_at {
            self.wall_at = now + WALL_PERIOD;
            self.feed(now, Input::Wall(clock::wall()));
        }
        if self.supervisor.next_deadline().is_some_and(|(at, _)| now >= at) {
            self.feed(now, Input::Tick);
        }
    }

    /// Makes the round durable, then lets its consequences out.
    fn finish_round(&mut self) {
        let durable = self.write();
        for (agent, command) in core::mem::take(&mut self.round.commands) {
            // A robot forgets its events when they are acknowledged: only what is on the disk is.
            if durable || !matches!(command.order, Order::EventsKept { .. }) {
                self.send(&agent, command);
            }
        }
        for reply in self.round.replies.drain(..) {
            // A caller that is gone needs no answer.
            match reply {
                Reply::Opened(to, answer) => drop(to.send(answer)),
                Reply::Answer(to, answer) => drop(to.send(answer)),
            }
        }
        self.lane.set_term(self.supervisor.term());
    }

    /// Writes the round's records; tells the core when the disk begins to fail or works again.
    fn write(&mut self) -> bool {
        let begin = clock::now();
        let count = self.round.records.len();
        let written = self.ledger.append(begin, self.round.records.drain(..));
        if count > 0 && written.durable {
            self.meter.commits.add(1);
            let micros = clock::now().since(begin).as_micros();
            self.meter.commit_micros.add(u64::try_from(micros).unwrap_or(u64::MAX));
        }
        self.meter.events.add(written.events);
        self.meter.events_lost.set(self.ledger.lost_events());
        if written.events > 0 {
            self.publisher.newest.send_replace(self.ledger.newest_row());
        }
        if *self.publisher.storage.borrow() != *self.ledger.state() {
            let state = self.ledger.state().clone();
            if state == StorageState::Healthy {
                tracing::info!("the ledger can be written again");
            }
            self.meter.degraded.set(u64::from(state != StorageState::Healthy));
            self.publisher.storage.send_replace(state.clone());
            self.feed(clock::now(), Input::Storage(state));
        }
        written.durable
    }

    fn send(&self, agent: &AgentId, command: CloudCommand) {
        let Some(stream) = self.streams.get(agent) else { return };
        if stream.send(command) {
            self.meter.commands.add(1);
        } else {
            self.meter.unsent.add(1);
        }
    }

    /// Shows the fleet to viewers, and keeps a snapshot for later.
    fn publish(&mut self) {
        let now = clock::now();
        let publisher = &mut self.publisher;
        if now >= publisher.snapshot_at {
            publisher.snapshot_at = now + SNAPSHOT_PERIOD;
            self.meter.robots_connected.set(self.supervisor.connected() as u64);
            self.meter.robots_known.set(self.supervisor.known() as u64);
            self.meter.missions_open.set(self.supervisor.missions_open() as u64);
            // One receiver is kept to make others from.
            if publisher.snapshots.receiver_count() > 1 {
                let (robots, missions) = self.supervisor.revisions();
                let notices = self.supervisor.notices_revision();
                let view = self.supervisor.fleet_view(now);
                self.meter.snapshots.add(1);
                publisher.snapshots.send_replace(Arc::new(FleetSnapshot { view, robots, missions, notices }));
            }
        }
        if now >= publisher.history_at {
            publisher.history_at = now + HISTORY_PERIOD;
            let revision = self.supervisor.revision();
            if revision != publisher.history_revision {
                publisher.history_revision = revision;
                self.ledger.append_snapshot(self.supervisor.fleet_view(now));
            }
        }
    }
}

/// Makes the two ways to the core actor.
pub(crate) fn channels() -> (CoreHandle, CoreInbox) {
    let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
    let (urgent, urgent_inbox) = mpsc::channel(URGENT_MAX);
    (CoreHandle { messages, urgent }, CoreInbox { messages: inbox, urgent: urgent_inbox })
}

/// What waits for the core actor.
pub(crate) struct CoreInbox {
    messages: mpsc::Receiver<CoreMessage>,
    urgent: mpsc::Receiver<CoreMessage>,
}

enum Received {
    Message(Box<CoreMessage>),
    /// Nothing came in time.
    Nothing,
    /// No sender is left.
    Closed,
}

impl CoreInbox {
    /// The next message, an urgent one first.
    async fn next(&mut self, until: Instant) -> Received {
        let message = tokio::select! {
            biased;
            message = self.urgent.recv() => message,
            message = self.messages.recv() => message,
            () = tokio::time::sleep_until(until) => return Received::Nothing,
        };
        // Both channels have the same senders.
        message.map_or(Received::Closed, |message| Received::Message(Box::new(message)))
    }

    fn try_next(&mut self) -> Option<CoreMessage> {
        self.urgent.try_recv().or_else(|_| self.messages.try_recv()).ok()
    }

    fn waiting(&self) -> usize {
        self.messages.len() + self.urgent.len()
    }
}

/// Sends messages to the core actor.
#[derive(Clone)]
pub(crate) struct CoreHandle {
    messages: mpsc::Sender<CoreMessage>,
    urgent: mpsc::Sender<CoreMessage>,
}

impl CoreHandle {
    /// Hands a message over, waiting while the queue is full.
    pub(crate) async fn send(&self, message: CoreMessage) -> Result<(), Closing> {
        self.messages.send(message).await.map_err(|_| Closing)
    }

    /// A place in the queue, once there is one.
    pub(crate) async fn reserve(&self) -> Result<mpsc::Permit<'_, CoreMessage>, Closing> {
        self.messages.reserve().await.map_err(|_| Closing)
    }

    /// Hands a message over ahead of all others, or gives it back when that queue is full, too.
    pub(crate) fn send_urgent(&self, message: CoreMessage) -> Result<(), Box<CoreMessage>> {
        self.urgent.try_send(message).map_err(|error| Box::new(error.into_inner()))
    }

    /// Like [`Self::send_urgent`], waiting while the queue is full.
    pub(crate) async fn wait_urgent(&self, message: CoreMessage) -> Result<(), Closing> {
        self.urgent.send(message).await.map_err(|_| Closing)
    }

    /// Asks something and waits for the answer.
    pub(crate) async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> CoreMessage) -> Result<T, Closing> {
        let (reply, answer) = oneshot::channel();
        self.send(message(reply)).await?;
        answer.await.map_err(|_| Closing)
    }

    /// Whether the core actor still takes messages.
    pub(crate) fn is_open(&self) -> bool {
        !self.messages.is_closed()
    }
}
