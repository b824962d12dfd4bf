//! The agent's thread: all that happens goes through one bounded queue, all that is to be done is dispatched here.
//! Nothing in this loop waits for the network, and nothing the reflex needs waits for this loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_agent::{Agent, AgentStatus, Input, Output};
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::event::Event;
use skein_types::link::AgentReport;
use skein_types::safety::Latch;
use skein_types::telemetry::{AgentTelemetry, LinkState};
use skein_types::time::{MonoTime, WallTime};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::outbox::Outbox;
use crate::rt::{AgentEnd, Gauges, Requests};

/// Messages that wait for the agent: a hundred peers' intents of one second and room for orders.
pub const INBOX_MAX: usize = 1024;
/// Words for the peers that wait for the mesh; ten a second are said.
pub const WORDS_MAX: usize = 32;
/// Longest sleep when the agent has no deadline.
const IDLE_MAX: Duration = Duration::from_millis(50);
/// How often the agent hears how the reflex keeps time.
const STATS_EVERY: Duration = Duration::from_millis(500);
/// A wall clock that differs this much from what the agent reckons was set.
const WALL_SLACK_NANOS: i64 = 20_000_000;
/// Stack of the thread.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// What goes into the queue.
#[derive(Debug)]
pub enum Message {
    /// For the agent as it is.
    Input(Box<Input>),
    /// The supervisor answers, or does not any more.
    Cloud(bool),
    /// The mesh is up, or not.
    Mesh(bool),
    /// Someone wants to see everything.
    Status(oneshot::Sender<Box<AgentStatus>>),
    /// End.
    Stop,
}

/// For the peers.
#[derive(Clone, Debug)]
pub enum Word {
    /// Ten times a second.
    Say(Intent),
    /// At once.
    Warn(Hazard),
    /// An entry of the shared hazard map.
    Map(MapHazard),
}

/// The way into the queue.
#[derive(Clone, Debug)]
pub struct PilotHandle {
    inbox: SyncSender<Message>,
    refused: Arc<AtomicU64>,
    round: Arc<AtomicU64>,
}

/// The queue is full: the agent hangs or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent takes no more messages")]
pub struct AgentBusy;

/// The queue with both its ends, so that others can be given the way in before the agent exists.
pub struct Inbox {
    handle: PilotHandle,
    messages: Receiver<Message>,
}

/// Where the outputs go.
pub struct Sinks {
    /// Slots and ring of the reflex.
    pub reflex: AgentEnd,
    /// The operator latch of the reflex thread, and the request to end it.
    pub requests: Arc<Requests>,
    /// How the reflex keeps time.
    pub gauges: Arc<Gauges>,
    /// For the supervisor.
    pub outbox: Arc<Outbox>,
    /// For the peers.
    pub words: mpsc::Sender<Word>,
    /// The last sample, for those who watch.
    pub telemetry: watch::Sender<Option<Arc<AgentTelemetry>>>,
    /// A person's hand, for who keeps it across restarts.
    pub latch: watch::Sender<Latch>,
}

struct Pilot {
    agent: Agent,
    sinks: Sinks,
    messages: Receiver<Message>,
    link: LinkState,
    /// Wall clock less monotonic clock, as the agent reckons it.
    wall_offset: i64,
    stats_due: MonoTime,
    round: Arc<AtomicU64>,
}

impl PilotHandle {
    /// Puts something into the queue, or says at once that it is full.
    ///
    /// # Errors
    /// [`AgentBusy`].
    pub fn send(&self, message: Message) -> Result<(), AgentBusy> {
        self.inbox.try_send(message).map_err(|error| {
            if matches!(error, TrySendError::Full(_)) {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            AgentBusy
        })
    }

    /// [`Self::send`] of an input.
    ///
    /// # Errors
    /// [`AgentBusy`].
    pub fn input(&self, input: Input) -> Result<(), AgentBusy> {
        self.send(Message::Input(Box::new(input)))
    }

    /// Everything at this moment, if the agent answers in time.
    ///
    /// # Errors
    /// [`AgentBusy`] when the agent takes no question or gives no answer.
    pub async fn status(&self, patience: Duration) -> Result<Box<AgentStatus>, AgentBusy> {
        let (tell, told) = oneshot::channel();
        self.send(Message::Status(tell))?;
        tokio::time::timeout(patience, told).await.map_err(|_| AgentBusy)?.map_err(|_| AgentBusy)
    }

    /// How long ago the agent last went round its loop; `None` before the first time.
    #[must_use]
    pub fn since_round(&self, now: MonoTime) -> Option<Duration> {
        match self.round.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(now.since(MonoTime::from_nanos(nanos))),
        }
    }

    /// Messages refused because the queue was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        let (inbox, messages) = sync_channel(INBOX_MAX);
        Self { handle: PilotHandle { inbox, refused: Arc::default(), round: Arc::default() }, messages }
    }
}

impl Inbox {
    /// The way in.
    #[must_use]
    pub fn handle(&self) -> PilotHandle {
        self.handle.clone()
    }

    /// What has come and nobody has taken, where there is no agent.
    pub fn try_take(&mut self) -> Option<Message> {
        self.messages.try_recv().ok()
    }

    /// Starts the agent's thread. It ends with [`Message::Stop`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self, agent: Agent, sinks: Sinks) -> std::io::Result<JoinHandle<()>> {
        let pilot = Pilot {
            agent,
            sinks,
            messages: self.messages,
            link: LinkState::default(),
            wall_offset: i64::MIN,
            stats_due: MonoTime::ZERO,
            round: self.handle.round,
        };
        Builder::new().name("skein-agent".into()).stack_size(STACK_BYTES).spawn(move || pilot.run())
    }
}

impl Pilot {
    fn run(mut self) {
        loop {
            let now = clock::now();
            self.round.store(now.as_nanos(), Ordering::Relaxed);
            self.tell_wall(now, clock::wall());
            self.take_ticks();
            self.take_cycle();
            match self.messages.recv_timeout(self.pause()) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn pause(&self) -> Duration {
        let now = clock::now();
        self.agent.next_deadline().map_or(IDLE_MAX, |(deadline, _)| deadline.since(now).min(IDLE_MAX))
    }

    fn take_ticks(&mut self) {
        while let Ok(record) = self.sinks.reflex.records.pop() {
            self.handle(Input::Sensors(Box::new(record.frame)));
            self.handle(Input::Reflex(record.report));
        }
        let now = clock::now();
        if now >= self.stats_due {
            self.stats_due = now + STATS_EVERY;
            self.handle(Input::ReflexStats(self.sinks.gauges.stats()));
        }
    }

    fn take_cycle(&mut self) {
        let now = clock::now();
        if self.agent.next_deadline().is_some_and(|(deadline, _)| deadline <= now) {
            self.handle(Input::Cycle);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.handle(*input),
            Message::Cloud(cloud) => self.relink(LinkState { cloud, ..self.link }),
            Message::Mesh(mesh) => self.relink(LinkState { mesh, ..self.link }),
            // Whoever asked may have lost patience.
            Message::Status(tell) => drop(tell.send(Box::new(self.agent.status(clock::now())))),
            Message::Stop => {}
        }
    }

    fn relink(&mut self, link: LinkState) {
        self.link = link;
        self.handle(Input::Link(link));
    }

    fn tell_wall(&mut self, now: MonoTime, wall: WallTime) {
        let offset = wall.unix_nanos().saturating_sub(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        if offset.saturating_sub(self.wall_offset).saturating_abs() > WALL_SLACK_NANOS {
            self.wall_offset = offset;
            self.handle(Input::Wall(wall));
        }
    }

    fn handle(&mut self, input: Input) {
        self.agent.handle(clock::now(), input);
        while let Some(output) = self.agent.poll_output() {
            self.dispatch(output);
        }
    }

    fn dispatch(&mut self, output: Output) {
        match output {
            Output::Setpoint(setpoint) => self.sinks.reflex.setpoint.write(setpoint),
            Output::Surroundings(surroundings) => self.sinks.reflex.surroundings.write(*surroundings),
            Output::PublishIntent(intent) => self.say(Word::Say(intent)),
            Output::PublishHazard(hazard) => self.say(Word::Warn(hazard)),
            Output::PublishMapHazard(entry) => self.say(Word::Map(entry)),
            Output::MapHazard(entry) => self.report(AgentReport::Hazards(vec![entry])),
            Output::Report(report) => self.report(report),
            Output::Event(event) => self.record(event),
            // The reflex restores it in the tick that reads the release.
            Output::RestorePower => {}
            Output::LatchChanged(latch) => {
                self.sinks.requests.set_latch(latch);
                tracing::warn!(?latch, "the latch changed");
                self.sinks.latch.send_replace(latch);
            }
        }
    }

    fn say(&self, word: Word) {
        // A mesh that takes no words is a mesh that is down; the peers notice the silence.
        if self.sinks.words.try_send(word).is_err() {
            tracing::trace!("the mesh takes no words");
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
