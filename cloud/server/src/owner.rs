//! The owner: one thread that has the core and the store, and does one round after the other.
//!
//! A round takes what waits (up to a bound), lets the core handle each, commits all records in one transaction, and
//! then sends commands and answers. So a record is always durable before anybody can know of what depends on it, and a
//! busy time needs no more syncs than a quiet one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skein_supervisor::{Answer, Input, Output, Record, Refusal, Supervisor, Wish};
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
pub(crate) const JOBS_MAX: usize = 1024;
/// Jobs of one round, so that its commit does not keep the first of them waiting for long.
const ROUND_MAX: usize = 256;
/// How often viewers get a picture.
pub(crate) const PICTURE_PERIOD: Duration = Duration::from_millis(100);
/// How often a picture is kept while anything changes.
const HISTORY_PERIOD: Duration = Duration::from_secs(1);
/// How often the core is told the wall clock.
const WALL_PERIOD: Duration = Duration::from_secs(1);

/// What the owner is asked to do.
pub(crate) enum Job {
    /// A robot opened a stream: its commands go there.
    Opened { hello: Box<Hello>, to: mpsc::Sender<CloudCommand>, reply: oneshot::Sender<Result<u64, Refusal>> },
    /// A robot said something on a stream.
    Report { stream: u64, agent: AgentId, report: AgentReport },
    /// A stream ended.
    Closed { stream: u64, agent: AgentId },
    /// A person or a program wants something.
    Wish { wish: Box<Wish>, reply: oneshot::Sender<Result<Answer, Refusal>> },
    /// Like [`Job::Wish`]; the answers of the robots that it commands are wanted, too.
    Command { wish: Box<Wish>, reply: oneshot::Sender<Result<Commanded, Refusal>> },
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
pub(crate) struct Commanded {
    pub(crate) commands: Vec<(AgentId, CommandId)>,
    pub(crate) outcomes: mpsc::Receiver<(AgentId, CommandOutcome)>,
}

/// A picture of the fleet, and when each part of it last changed.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) view: FleetView,
    pub(crate) robots: Vec<u64>,
    pub(crate) missions: Vec<u64>,
}

impl Picture {
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

/// What the owner publishes.
#[derive(Clone)]
pub(crate) struct Published {
    /// Ten pictures a second while anybody looks; the latest wins.
    pub(crate) pictures: watch::Receiver<Arc<Picture>>,
    /// The row of the newest entry of the record.
    pub(crate) newest: watch::Receiver<i64>,
}

struct Stream {
    number: u64,
    to: mpsc::Sender<CloudCommand>,
}

/// The core, the store and the streams.
pub(crate) struct Owner {
    supervisor: Supervisor,
    store: Store,
    meter: Arc<Meter>,
    streams: BTreeMap<AgentId, Stream>,
    opened: u64,
    waiting: BTreeMap<CommandId, mpsc::Sender<(AgentId, CommandOutcome)>>,
    pictures: watch::Sender<Arc<Picture>>,
    newest: watch::Sender<i64>,
    picture_at: MonoTime,
    history_at: MonoTime,
    wall_at: MonoTime,
    history_revision: u64,
    /// Outputs of this round that wait for its commit.
    after: Vec<Output>,
    records: Vec<Record>,
    replies: Vec<Reply>,
    answer: Option<Result<Answer, Refusal>>,
    turned_away: Option<Refusal>,
}

/// An answer that waits for the commit of its round.
enum Reply {
    Opened(oneshot::Sender<Result<u64, Refusal>>, Result<u64, Refusal>),
    Wish(oneshot::Sender<Result<Answer, Refusal>>, Result<Answer, Refusal>),
    Command(oneshot::Sender<Result<Commanded, Refusal>>, Result<Commanded, Refusal>),
}

impl Owner {
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
        let (pictures, seen) = watch::channel(Arc::new(Picture::empty()));
        let (newest, newest_seen) = watch::channel(store.newest_row());
        let mut owner = Self {
            supervisor,
            store,
            meter,
            streams: BTreeMap::new(),
            opened: 0,
            waiting: BTreeMap::new(),
            pictures,
            newest,
            picture_at: now,
            history_at: now,
            wall_at: now,
            history_revision: 0,
            after: Vec::new(),
            records: Vec::new(),
            replies: Vec::new(),
            answer: None,
            turned_away: None,
        };
        owner.drain();
        owner.finish_round()?;
        Ok((owner, Published { pictures: seen, newest: newest_seen }))
    }

    /// Works until every sender of jobs is gone. Returns early only when nothing can be kept any more: to go on
    /// without a record would break every promise.
    pub(crate) fn run(
        mut self,
        mut jobs: mpsc::Receiver<Job>,
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
        let looked_at = self.pictures.receiver_count() > 1;
        let picture = if looked_at { self.picture_at } else { self.history_at };
        let core = self.supervisor.next_deadline().map_or(MonoTime::MAX, |(at, _)| at);
        let next = core.min(picture).min(self.wall_at);
        // The one clock of waiting; how long is decided on the clock of the core.
        #[expect(clippy::disallowed_methods, reason = "the runtime's own clock is what its timer wants")]
        let runtime_now = Instant::from_std(std::time::Instant::now());
        runtime_now + next.since(now)
    }

    fn take(&mut self, job: Job) {
        let now = clock::now();
        match job {
            Job::Opened { hello, to, reply } => self.open(now, hello, to, reply),
            Job::Report { stream, agent, report } => {
                if self.is_current(stream, &agent) {
                    self.meter.reports.add(1);
                    self.feed(now, Input::Report { agent, report });
                }
            }
            Job::Closed { stream, agent } => {
                if self.is_current(stream, &agent) {
                    self.streams.remove(&agent);
                    self.feed(now, Input::Gone(agent));
                }
            }
            Job::Wish { wish, reply } => {
                if let Some(answer) = self.ask(now, wish) {
                    self.replies.push(Reply::Wish(reply, answer));
                }
            }
            Job::Command { wish, reply } => {
                let Some(answer) = self.ask(now, wish) else { return };
                let commanded = answer.map(|answer| self.await_outcomes(answer));
                self.replies.push(Reply::Command(reply, commanded));
            }
            Job::Copy(reply) => drop(reply.send(Box::new(self.supervisor.clone()))),
            Job::Mission(id, reply) => drop(reply.send(self.supervisor.mission(id))),
            Job::Missions(states, reply) => {
                let wanted = |mission: &Mission| states.is_empty() || states.contains(&mission.state);
                drop(reply.send(self.supervisor.missions().filter(wanted).collect()));
            }
            Job::Robot(agent, reply) => drop(reply.send(self.supervisor.robot(now, &agent))),
            Job::Robots(reply) => drop(reply.send(self.supervisor.fleet_view(now).robots)),
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
        let answer = match self.turned_away.take() {
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

    fn ask(&mut self, now: MonoTime, wish: Box<Wish>) -> Option<Result<Answer, Refusal>> {
        self.meter.requests.add(1);
        self.feed(now, Input::Request(wish));
        let answer = self.answer.take();
        if matches!(answer, Some(Err(_))) {
            self.meter.refusals.add(1);
        }
        answer
    }

    fn await_outcomes(&mut self, answer: Answer) -> Commanded {
        let commands = match answer {
            Answer::Commands(commands) => commands,
            Answer::Mission(_) | Answer::Lease(_) | Answer::Released => Vec::new(),
        };
        self.waiting.retain(|_, to| !to.is_closed());
        // One answer for each command, so there is always room.
        let (to, outcomes) = mpsc::channel(commands.len().max(1));
        self.waiting.extend(commands.iter().map(|(_, command)| (*command, to.clone())));
        Commanded { commands, outcomes }
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
                Output::TurnAway { refusal, .. } => self.turned_away = Some(refusal),
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
                Output::Persist(_) | Output::Answer(_) | Output::TurnAway { .. } => {}
            }
        }
        for reply in self.replies.drain(..) {
            // A caller that is gone needs no answer.
            match reply {
                Reply::Opened(to, answer) => drop(to.send(answer)),
                Reply::Wish(to, answer) => drop(to.send(answer)),
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

    /// Shows the fleet to whoever looks, and keeps a picture for later.
    fn publish(&mut self) -> Result<(), StoreError> {
        let now = clock::now();
        let (show, keep) = (now >= self.picture_at, now >= self.history_at);
        let changed = self.supervisor.revision() != self.history_revision;
        if show {
            self.picture_at = now + PICTURE_PERIOD;
            self.count();
            // One receiver is kept to make others from.
            if self.pictures.receiver_count() > 1 {
                let (robots, missions) = self.supervisor.revisions();
                let view = self.supervisor.fleet_view(now);
                self.meter.pictures.add(1);
                self.pictures.send_replace(Arc::new(Picture { view, robots, missions }));
            }
        }
        if keep {
            self.history_at = now + HISTORY_PERIOD;
            if changed {
                self.history_revision = self.supervisor.revision();
                self.store.keep_picture(self.supervisor.fleet_view(now))?;
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

/// A way to the owner for everybody else.
#[derive(Clone)]
pub(crate) struct Desk {
    jobs: mpsc::Sender<Job>,
}

/// The owner is gone: the process is ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing;

impl Desk {
    pub(crate) const fn new(jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs }
    }

    /// Hands a job over, waiting while the desk is full.
    pub(crate) async fn hand_over(&self, job: Job) -> Result<(), Closing> {
        self.jobs.send(job).await.map_err(|_| Closing)
    }

    /// Asks something and waits for the answer.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Closing> {
        let (reply, answer) = oneshot::channel();
        self.hand_over(job(reply)).await?;
        answer.await.map_err(|_| Closing)
    }

    /// Whether the owner still takes jobs.
    pub(crate) fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }
}
