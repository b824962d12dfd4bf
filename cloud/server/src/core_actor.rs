//! The core: one thread that has the core and the store, and does one round after the other.
//!
//! A round takes what waits (up to a bound), lets the core handle each, commits all records in one transaction, and
//! then sends commands and answers. So a record is always durable before anybody can know of what depends on it, and a
//! busy time needs no more syncs than a quiet one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_supervisor::{Answer, Input, OperatorRequest, Output, Record, Refusal, Supervisor};
use skein_types::fleet::{FleetView, RobotView};
use skein_types::ids::{AgentId, CommandId, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandOutcome, Hello};
use skein_types::mission::{Mission, MissionState};
use skein_types::time::MonoTime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock;
use crate::meter::Meter;
use crate::store::{Store, StoreError};

/// Jobs that may wait: a second of reports of a hundred robots. Beyond that, streams are slowed by their flow control.
pub(crate) const MESSAGES_MAX: usize = 1024;
/// Jobs of one round, so that its commit does not keep the first of them waiting for long.
const ROUND_MAX: usize = 256;
/// How often viewers get a snapshot.
pub(crate) const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);
/// How often a snapshot is kept while anything changes.
const HISTORY_PERIOD: Duration = Duration::from_secs(1);
/// How often the core is told the wall clock.
const WALL_PERIOD: Duration = Duration::from_secs(1);

/// What the core is asked to do.
pub(crate) enum CoreMessage {
    /// A robot opened a stream: its commands go there.
    Opened { hello: Box<Hello>, to: mpsc::Sender<CloudCommand>, reply: oneshot::Sender<Result<u64, Refusal>> },
    /// A robot said something on a stream.
    Report { stream: u64, agent: AgentId, report: AgentReport },
    /// A stream ended.
    Closed { stream: u64, agent: AgentId },
    /// A person or a program wants something.
    Request { request: Box<OperatorRequest>, reply: oneshot::Sender<Result<Answer, Refusal>> },
    /// Like [`CoreMessage::Request`]; the answers of the robots that it commands are wanted, too.
    Command { request: Box<OperatorRequest>, reply: oneshot::Sender<Result<CommandedRobots, Refusal>> },
    /// A copy of the core, to plan with elsewhere.
    Copy(oneshot::Sender<Box<Supervisor>>),
    /// One mission.
    Mission(MissionId, oneshot::Sender<Result<Mission, Refusal>>),
    /// Missions in some states (none named: all), newest first.
    Missions(Vec<MissionState>, oneshot::Sender<Vec<Mission>>),
    /// One robot.
    Robot(AgentId, oneshot::Sender<Result<RobotView, Refusal>>),
    /// All robots.
    Robots(oneshot::Sender<Vec<RobotView>>),
}

/// Commands on their way and what the robots say to them, as it comes.
pub(crate) struct CommandedRobots {
    pub(crate) commands: Vec<(AgentId, CommandId)>,
    pub(crate) outcomes: mpsc::Receiver<(AgentId, CommandOutcome)>,
}

/// A snapshot of the fleet, and when each part of it last changed.
#[derive(Clone, Debug)]
pub(crate) struct FleetSnapshot {
    pub(crate) view: FleetView,
    pub(crate) robots: Vec<u64>,
    pub(crate) missions: Vec<u64>,
}

impl FleetSnapshot {
    pub(crate) fn empty() -> Self {
        let view = FleetView {
            sequence: 0,
            at: clock::wall(),
            robots: Vec::new(),
            missions: Vec::new(),
            alarms: Vec::new(),
            hazards: Vec::new(),
        };
        Self { view, robots: Vec::new(), missions: Vec::new() }
    }
}

/// What the core publishes.
#[derive(Clone)]
pub(crate) struct Published {
    /// Ten snapshots a second while anybody looks; the latest wins.
    pub(crate) snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    /// The row of the newest entry of the record.
    pub(crate) newest: watch::Receiver<i64>,
}

struct Stream {
    number: u64,
    to: mpsc::Sender<CloudCommand>,
}

/// The core, the store and the streams.
pub(crate) struct CoreActor {
    supervisor: Supervisor,
    store: Store,
    meter: Arc<Meter>,
    streams: BTreeMap<AgentId, Stream>,
    opened: u64,
    waiting: BTreeMap<CommandId, mpsc::Sender<(AgentId, CommandOutcome)>>,
    snapshots: watch::Sender<Arc<FleetSnapshot>>,
    newest: watch::Sender<i64>,
    snapshot_at: MonoTime,
    history_at: MonoTime,
    wall_at: MonoTime,
    history_revision: u64,
    /// Outputs of this round that wait for its commit.
    after: Vec<Output>,
    records: Vec<Record>,
    replies: Vec<Reply>,
    answer: Option<Result<Answer, Refusal>>,
    rejected: Option<Refusal>,
}

/// An answer that waits for the commit of its round.
enum Reply {
    Opened(oneshot::Sender<Result<u64, Refusal>>, Result<u64, Refusal>),
    OperatorRequest(oneshot::Sender<Result<Answer, Refusal>>, Result<Answer, Refusal>),
    Command(oneshot::Sender<Result<CommandedRobots, Refusal>>, Result<CommandedRobots, Refusal>),
}

impl CoreActor {
    /// Restores the core from the store.
    pub(crate) fn new(
        mut supervisor: Supervisor,
        store: Store,
        meter: Arc<Meter>,
    ) -> Result<(Self, Published), StoreError> {
        let now = clock::now();
        supervisor.handle(now, Input::Wall(clock::wall()));
        let records = store.records()?;
        if !records.is_empty() {
            supervisor.handle(now, Input::Restore(records));
        }
        let (snapshots, seen) = watch::channel(Arc::new(FleetSnapshot::empty()));
        let (newest, newest_seen) = watch::channel(store.newest_row());
        let mut core = Self {
            supervisor,
            store,
            meter,
            streams: BTreeMap::new(),
            opened: 0,
            waiting: BTreeMap::new(),
            snapshots,
            newest,
            snapshot_at: now,
            history_at: now,
            wall_at: now,
            history_revision: 0,
            after: Vec::new(),
            records: Vec::new(),
            replies: Vec::new(),
            answer: None,
            rejected: None,
        };
        core.drain();
        core.finish_round()?;
        Ok((core, Published { snapshots: seen, newest: newest_seen }))
    }

    /// Works until every sender of jobs is gone. Returns early only when nothing can be kept any more: to go on
    /// without a record would break every promise.
    pub(crate) fn run(
        mut self,
        mut jobs: mpsc::Receiver<CoreMessage>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<(), StoreError> {
        loop {
            let wait = self.wait();
            let first = runtime.block_on(async { tokio::time::timeout_at(wait, jobs.recv()).await });
            match first {
                Ok(None) => return Ok(()),
                Ok(Some(job)) => {
                    self.take(job);
                    for _ in 1..ROUND_MAX {
                        let Ok(job) = jobs.try_recv() else { break };
                        self.take(job);
                    }
                }
                Err(_elapsed) => {}
            }
            self.meter.queue.set(jobs.len() as u64);
            self.tick();
            self.finish_round()?;
            self.publish()?;
        }
    }

    /// Until when there is nothing to do but for new jobs.
    fn wait(&self) -> Instant {
        let now = clock::now();
        let looked_at = self.snapshots.receiver_count() > 1;
        let snapshot = if looked_at { self.snapshot_at } else { self.history_at };
        let core = self.supervisor.next_deadline().map_or(MonoTime::MAX, |(at, _)| at);
        let next = core.min(snapshot).min(self.wall_at);
        // The one clock of waiting; how long is decided on the clock of the core.
        #[expect(clippy::disallowed_methods, reason = "the runtime's own clock is what its timer wants")]
        let runtime_now = Instant::from_std(std::time::Instant::now());
        runtime_now + next.since(now)
    }

    fn take(&mut self, job: CoreMessage) {
        let now = clock::now();
        match job {
            CoreMessage::Opened { hello, to, reply } => self.open(now, hello, to, reply),
            CoreMessage::Report { stream, agent, report } => {
                if self.is_current(stream, &agent) {
                    self.meter.reports.add(1);
                    self.feed(now, Input::Report { agent, report });
                }
            }
            CoreMessage::Closed { stream, agent } => {
                if self.is_current(stream, &agent) {
                    self.streams.remove(&agent);
                    self.feed(now, Input::Disconnected(agent));
                }
            }
            CoreMessage::Request { request, reply } => {
                if let Some(answer) = self.ask(now, request) {
                    self.replies.push(Reply::OperatorRequest(reply, answer));
                }
            }
            CoreMessage::Command { request, reply } => {
                let Some(answer) = self.ask(now, request) else { return };
                let commanded = answer.map(|answer| self.await_outcomes(answer));
                self.replies.push(Reply::Command(reply, commanded));
            }
            CoreMessage::Copy(reply) => drop(reply.send(Box::new(self.supervisor.clone()))),
            CoreMessage::Mission(id, reply) => drop(reply.send(self.supervisor.mission(id))),
            CoreMessage::Missions(states, reply) => {
                let wanted = |mission: &Mission| states.is_empty() || states.contains(&mission.state);
                drop(reply.send(self.supervisor.missions().filter(wanted).collect()));
            }
            CoreMessage::Robot(agent, reply) => drop(reply.send(self.supervisor.robot(now, &agent))),
            CoreMessage::Robots(reply) => drop(reply.send(self.supervisor.fleet_view(now).robots)),
        }
    }

    fn open(
        &mut self,
        now: MonoTime,
        hello: Box<Hello>,
        to: mpsc::Sender<CloudCommand>,
        reply: oneshot::Sender<Result<u64, Refusal>>,
    ) {
        let agent = hello.agent.clone();
        self.opened += 1;
        let number = self.opened;
        // A newer stream of the same robot takes the place of the old, whose task ends when its commands end.
        let before = self.streams.insert(agent.clone(), Stream { number, to });
        self.feed(now, Input::Connected(hello));
        let answer = match self.rejected.take() {
            None => Ok(number),
            Some(refusal) => {
                match before {
                    Some(before) => self.streams.insert(agent, before),
                    None => self.streams.remove(&agent),
                };
                Err(refusal)
            }
        };
        self.replies.push(Reply::Opened(reply, answer));
    }

    fn is_current(&self, stream: u64, agent: &AgentId) -> bool {
        self.streams.get(agent).is_some_and(|current| current.number == stream)
    }

    fn ask(&mut self, now: MonoTime, request: Box<OperatorRequest>) -> Option<Result<Answer, Refusal>> {
        self.meter.requests.add(1);
        self.feed(now, Input::Request(request));
        let answer = self.answer.take();
        if matches!(answer, Some(Err(_))) {
            self.meter.refusals.add(1);
        }
        answer
    }

    fn await_outcomes(&mut self, answer: Answer) -> CommandedRobots {
        let commands = match answer {
            Answer::Commands(commands) => commands,
            Answer::Mission(_) | Answer::Lease(_) | Answer::Released => Vec::new(),
        };
        self.waiting.retain(|_, to| !to.is_closed());
        // One answer for each command, so there is always room.
        let (to, outcomes) = mpsc::channel(commands.len().max(1));
        self.waiting.extend(commands.iter().map(|(_, command)| (*command, to.clone())));
        CommandedRobots { commands, outcomes }
    }

    fn feed(&mut self, now: MonoTime, input: Input) {
        self.supervisor.handle(now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.supervisor.poll_output() {
            match output {
                Output::Persist(record) => self.records.push(record),
                Output::Answer(answer) => self.answer = Some(answer),
                Output::RejectRobot { refusal, .. } => self.rejected = Some(refusal),
                Output::Send { .. } | Output::Acknowledged { .. } => self.after.push(output),
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
    fn finish_round(&mut self) -> Result<(), StoreError> {
        if !self.records.is_empty() {
            let before = clock::now();
            let kept = self.store.keep(&self.records)?;
            self.records.clear();
            self.meter.commits.add(1);
            self.meter.commit_micros.add(u64::try_from(clock::now().since(before).as_micros()).unwrap_or(u64::MAX));
            self.meter.events.add(kept.events);
            if kept.events > 0 {
                self.newest.send_replace(self.store.newest_row());
            }
        }
        for output in core::mem::take(&mut self.after) {
            match output {
                Output::Send { agent, command } => self.send(&agent, command),
                Output::Acknowledged { agent, command, outcome } => {
                    if let Some(to) = self.waiting.remove(&command) {
                        // Whoever asked may have given up waiting.
                        drop(to.try_send((agent, outcome)));
                    }
                }
                Output::Persist(_) | Output::Answer(_) | Output::RejectRobot { .. } => {}
            }
        }
        for reply in self.replies.drain(..) {
            // A caller that is gone needs no answer.
            match reply {
                Reply::Opened(to, answer) => drop(to.send(answer)),
                Reply::OperatorRequest(to, answer) => drop(to.send(answer)),
                Reply::Command(to, answer) => drop(to.send(answer)),
            }
        }
        Ok(())
    }

    fn send(&mut self, agent: &AgentId, command: CloudCommand) {
        let Some(stream) = self.streams.get(agent) else { return };
        match stream.to.try_send(command) {
            Ok(()) => self.meter.commands.add(1),
            Err(_full_or_closed) => self.meter.unsent.add(1),
        }
    }

    /// Shows the fleet to whoever looks, and keeps a snapshot for later.
    fn publish(&mut self) -> Result<(), StoreError> {
        let now = clock::now();
        let (show, keep) = (now >= self.snapshot_at, now >= self.history_at);
        let changed = self.supervisor.revision() != self.history_revision;
        if show {
            self.snapshot_at = now + SNAPSHOT_PERIOD;
            self.count();
            // One receiver is kept to make others from.
            if self.snapshots.receiver_count() > 1 {
                let (robots, missions) = self.supervisor.revisions();
                let view = self.supervisor.fleet_view(now);
                self.meter.snapshots.add(1);
                self.snapshots.send_replace(Arc::new(FleetSnapshot { view, robots, missions }));
            }
        }
        if keep {
            self.history_at = now + HISTORY_PERIOD;
            if changed {
                self.history_revision = self.supervisor.revision();
                self.store.append_snapshot(self.supervisor.fleet_view(now))?;
            }
        }
        Ok(())
    }

    fn count(&self) {
        let open = self.supervisor.missions_open();
        self.meter.robots_connected.set(self.supervisor.connected() as u64);
        self.meter.robots_known.set(self.supervisor.known() as u64);
        self.meter.missions_open.set(open as u64);
    }
}

/// A way to the core for everybody else.
#[derive(Clone)]
pub(crate) struct CoreHandle {
    jobs: mpsc::Sender<CoreMessage>,
}

/// The core is gone: the process is ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing;

impl CoreHandle {
    pub(crate) const fn new(jobs: mpsc::Sender<CoreMessage>) -> Self {
        Self { jobs }
    }

    /// Hands a job over, waiting while the core is full.
    pub(crate) async fn send(&self, job: CoreMessage) -> Result<(), Closing> {
        self.jobs.send(job).await.map_err(|_| Closing)
    }

    /// Asks something and waits for the answer.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> CoreMessage) -> Result<T, Closing> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply)).await?;
        answer.await.map_err(|_| Closing)
    }

    /// Whether the core still takes jobs.
    pub(crate) fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }
}
