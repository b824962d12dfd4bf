//! What waits to be sent to the supervisor. Bounded, in memory: nothing in here is claimed to survive the process.
//! In the order in which it is sent:
//!
//! | what | when there is too much | when the stream breaks |
//! |---|---|---|
//! | latch report | only the latest is kept | Hello carries it |
//! | acks | the oldest go | the last ones are sent again |
//! | hazards of the shared map | the oldest go | sent again |
//! | progress | latest per order | the latest of each order is sent again |
//! | telemetry | the oldest batch goes | nothing is sent again |
//! | events | the oldest go, counted as a gap | sent again from the first the supervisor has not kept |

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use skein_types::authority::LatchReport;
use skein_types::coord::MapHazard;
use skein_types::event::{Event, EventBatch};
use skein_types::ids::{BootId, CommandId, Generation, MissionId};
use skein_types::link::{AgentReport, CommandAck, CommandOutcome};
use skein_types::mission::SliceProgress;
use skein_types::telemetry::TelemetryBatch;

/// Acks that wait, and that are sent again after a break: more than a supervisor has under way to one robot.
const ACKS_MAX: usize = 128;
/// Orders whose last progress is remembered.
const PROGRESS_MAX: usize = 16;
/// Batches that wait: half a second; older ones tell nothing that newer ones do not.
const TELEMETRY_MAX: usize = 5;
/// Hazards of the shared map that wait.
const HAZARDS_QUEUED_MAX: usize = 64;
/// Events kept until the supervisor has them, by number and by size of their text.
const EVENTS_MAX: usize = 4096;
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Events sent at once, by number and size: well inside the bound of one message.
const BATCH_MAX: usize = 100;
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// How full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Answers not sent.
    pub acks: usize,
    /// Batches not sent.
    pub telemetry: usize,
    /// Events the supervisor has not said it keeps.
    pub events: usize,
    /// Telemetry batches given up since the boot.
    pub telemetry_dropped: u64,
    /// Events given up since the boot.
    pub events_dropped: u64,
}

/// The queue; filled by the robot, drained by its link.
#[derive(Debug, Default)]
pub struct Outbox {
    latch: Option<LatchReport>,
    hazards: VecDeque<MapHazard>,
    hazards_said: VecDeque<MapHazard>,
    acks: VecDeque<CommandAck>,
    acks_said: VecDeque<CommandAck>,
    progress: VecDeque<Progress>,
    telemetry: VecDeque<TelemetryBatch>,
    events: VecDeque<Event>,
    event_bytes: usize,
    /// Of `events`, so many have been sent on this stream.
    events_sent: usize,
    last_command: Option<CommandId>,
    telemetry_dropped: u64,
    events_dropped: u64,
}

#[derive(Debug)]
struct Progress {
    latest: SliceProgress,
    said: bool,
}

impl Outbox {
    /// Takes a report.
    pub fn report(&mut self, report: AgentReport) {
        match report {
            AgentReport::Ack(ack) => self.ack(ack),
            AgentReport::Progress(progress) => self.progress(progress),
            AgentReport::Telemetry(batch) => self.telemetry(batch),
            AgentReport::Events(batch) => batch.events.into_iter().for_each(|event| self.event(event)),
            AgentReport::Latch(latch) => self.latch = Some(latch),
            AgentReport::Hazards(hazards) => hazards.into_iter().for_each(|hazard| self.hazard(hazard)),
            // Hello is made by the link, for each stream anew.
            AgentReport::Hello(_) => {}
        }
    }

    /// Last command that took effect.
    #[must_use]
    pub const fn last_command(&self) -> Option<CommandId> {
        self.last_command
    }

    /// The order that is being carried out.
    #[must_use]
    pub fn working_on(&self) -> Option<(MissionId, Generation)> {
        let latest = self.progress.back().map(|entry| &entry.latest)?;
        (!latest.state.is_terminal()).then_some((latest.mission, latest.generation))
    }

    /// How full it is.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        Backlog {
            acks: self.acks.len(),
            telemetry: self.telemetry.len(),
            events: self.events.len(),
            telemetry_dropped: self.telemetry_dropped,
            events_dropped: self.events_dropped,
        }
    }

    fn ack(&mut self, ack: CommandAck) {
        if matches!(ack.outcome, CommandOutcome::Accepted | CommandOutcome::Done) {
            self.last_command = Some(ack.command);
        }
        push_bounded(&mut self.acks, ack, ACKS_MAX);
    }

    fn progress(&mut self, mut new: SliceProgress) {
        let same = |entry: &Progress| entry.latest.mission == new.mission && entry.latest.generation == new.generation;
        let before = self.progress.iter().position(same).and_then(|index| self.progress.remove(index));
        // A report without a region means it did not change: the last one reported stays true.
        new.remaining = new.remaining.or_else(|| before.and_then(|entry| entry.latest.remaining));
        push_bounded(&mut self.progress, Progress { latest: new, said: false }, PROGRESS_MAX);
    }

    fn hazard(&mut self, hazard: MapHazard) {
        push_bounded(&mut self.hazards, hazard, HAZARDS_QUEUED_MAX);
    }

    fn telemetry(&mut self, batch: TelemetryBatch) {
        self.telemetry_dropped += u64::from(push_bounded(&mut self.telemetry, batch, TELEMETRY_MAX));
    }

    /// Takes an event.
    pub fn event(&mut self, event: Event) {
        self.event_bytes += size_of_event(&event);
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || self.event_bytes > EVENT_BYTES_MAX {
            self.forget_oldest_event();
            self.events_dropped += 1;
        }
    }

    fn forget_oldest_event(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.event_bytes -= size_of_event(&event);
            self.events_sent = self.events_sent.saturating_sub(1);
        }
    }

    /// The next thing to send on the present stream.
    pub fn next_report(&mut self) -> Option<AgentReport> {
        if let Some(latch) = self.latch.take() {
            return Some(AgentReport::Latch(latch));
        }
        if let Some(ack) = self.acks.pop_front() {
            push_bounded(&mut self.acks_said, ack.clone(), ACKS_MAX);
            return Some(AgentReport::Ack(ack));
        }
        if !self.hazards.is_empty() {
            let hazards: Vec<MapHazard> = self.hazards.drain(..).collect();
            for hazard in &hazards {
                push_bounded(&mut self.hazards_said, hazard.clone(), HAZARDS_QUEUED_MAX);
            }
            return Some(AgentReport::Hazards(hazards));
        }
        if let Some(entry) = self.progress.iter_mut().find(|entry| !entry.said) {
            entry.said = true;
            return Some(AgentReport::Progress(entry.latest.clone()));
        }
        if let Some(batch) = self.telemetry.pop_front() {
            return Some(AgentReport::Telemetry(batch));
        }
        self.next_events().map(AgentReport::Events)
    }

    fn next_events(&mut self) -> Option<EventBatch> {
        let mut bytes = 0;
        let fits = |event: &&Event| {
            bytes += size_of_event(event);
            bytes <= BATCH_BYTES_MAX
        };
        let events: Vec<Event> =
            self.events.iter().skip(self.events_sent).take(BATCH_MAX).take_while(fits).cloned().collect();
        self.events_sent += events.len();
        (!events.is_empty()).then_some(EventBatch { events })
    }

    /// A new stream begins: what may have been lost with the old one is sent again.
    pub fn begin_stream(&mut self) {
        self.latch = None;
        let hazards = std::mem::take(&mut self.hazards);
        let said = std::mem::take(&mut self.hazards_said);
        said.into_iter().chain(hazards).for_each(|hazard| self.hazard(hazard));
        let mut again = std::mem::take(&mut self.acks_said);
        again.append(&mut self.acks);
        for ack in again {
            push_bounded(&mut self.acks, ack, ACKS_MAX);
        }
        self.progress.iter_mut().for_each(|entry| entry.said = false);
        self.events_sent = 0;
    }

    /// The supervisor has made events of a boot durable, up to and with this one.
    pub fn kept(&mut self, boot: BootId, sequence: u64) {
        while self.events.front().is_some_and(|event| event.boot == boot && event.sequence <= sequence) {
            self.forget_oldest_event();
        }
    }
}

fn size_of_event(event: &Event) -> usize {
    size_of::<Event>() + event.name.len() + event.payload.len()
}

/// Says whether the oldest had to go.
fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) -> bool {
    let full = queue.len() >= max;
    if full {
        queue.pop_front();
    }
    queue.push_back(item);
    full
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::event::{EventHash, EventKind};
    use skein_types::geometry::Point;
    use skein_types::ids::{AgentId, EventId};
    use skein_types::mission::SliceState;
    use skein_types::region::{Region, RegionFrame};
    use skein_types::time::{MonoTime, WallTime};
    use skein_types::units::Percent;
    use uuid::Uuid;

    const BOOT: BootId = BootId(Uuid::from_u128(7));

    fn event(sequence: u64, bytes: usize) -> Event {
        Event {
            id: EventId(Uuid::from_u128(u128::from(sequence))),
            agent: AgentId::new("rover-1").unwrap(),
            boot: BOOT,
            sequence,
            at: WallTime::default(),
            mono: MonoTime::ZERO,
            kind: EventKind::System,
            name: "tested".into(),
            payload: "x".repeat(bytes),
            previous: EventHash::default(),
        }
    }

    fn ack(n: u128, outcome: CommandOutcome) -> AgentReport {
        AgentReport::Ack(CommandAck { command: CommandId(Uuid::from_u128(n)), outcome })
    }

    fn progress(generation: u64, state: SliceState, remaining: Option<Region>) -> AgentReport {
        AgentReport::Progress(SliceProgress {
            mission: MissionId(Uuid::from_u128(1)),
            generation: Generation(generation),
            state,
            reason: String::new(),
            covered: Percent(10.0),
            remaining,
            eta: None,
        })
    }

    fn drained(outbox: &mut Outbox) -> Vec<AgentReport> {
        std::iter::from_fn(|| outbox.next_report()).collect()
    }

    fn sequences(reports: &[AgentReport]) -> Vec<u64> {
        let batches = reports.iter().filter_map(|report| match report {
            AgentReport::Events(batch) => Some(&batch.events),
            _ => None,
        });
        batches.flatten().map(|event| event.sequence).collect()
    }

    #[test]
    fn answers_go_first_and_are_said_again_on_a_new_stream() {
        let mut outbox = Outbox::default();
        outbox.event(event(0, 1));
        outbox.report(AgentReport::Telemetry(TelemetryBatch { samples: Vec::new() }));
        outbox.report(ack(1, CommandOutcome::Accepted));
        let said = drained(&mut outbox);
        assert!(matches!(said[..], [AgentReport::Ack(_), AgentReport::Telemetry(_), AgentReport::Events(_)]));
        outbox.report(ack(2, CommandOutcome::Done));
        outbox.begin_stream();
        let again = drained(&mut outbox);
        assert_eq!(again[..2], [ack(1, CommandOutcome::Accepted), ack(2, CommandOutcome::Done)]);
        assert_eq!(outbox.last_command(), Some(CommandId(Uuid::from_u128(2))));
    }

    #[test]
    fn progress_is_the_latest_of_each_order_and_a_region_told_once_is_not_lost() {
        let frame = RegionFrame { origin: Point::default(), resolution: 0.1, width: 10, height: 10 };
        let region = Region::new(frame, Vec::new()).unwrap();
        let mut outbox = Outbox::default();
        outbox.report(progress(1, SliceState::Executing, Some(region.clone())));
        outbox.report(progress(1, SliceState::Done, None));
        outbox.report(progress(2, SliceState::Accepted, None));
        let expected = vec![progress(1, SliceState::Done, Some(region)), progress(2, SliceState::Accepted, None)];
        assert_eq!(drained(&mut outbox), expected);
        assert!(drained(&mut outbox).is_empty());
        outbox.begin_stream();
        assert_eq!(drained(&mut outbox), expected);
        assert_eq!(outbox.working_on(), Some((MissionId(Uuid::from_u128(1)), Generation(2))));
        outbox.report(progress(2, SliceState::Failed, None));
        assert_eq!(outbox.working_on(), None);
    }

    #[test]
    fn events_stay_until_they_are_kept_and_come_again_on_a_new_stream() {
        let mut outbox = Outbox::default();
        (0..250).for_each(|i| outbox.event(event(i, 10)));
        let first = drained(&mut outbox);
        assert_eq!(sequences(&first), (0..250).collect::<Vec<_>>());
        assert_eq!(first.len(), 3, "in batches of a hundred");
        outbox.kept(BOOT, 99);
        outbox.kept(BootId(Uuid::from_u128(8)), 200);
        assert!(drained(&mut outbox).is_empty());
        outbox.begin_stream();
        assert_eq!(sequences(&drained(&mut outbox)), (100..250).collect::<Vec<_>>());
        outbox.kept(BOOT, 1_000);
        assert_eq!(outbox.backlog().events, 0);
    }

    #[test]
    fn the_bounds_hold_and_what_is_given_up_is_counted() {
        let mut outbox = Outbox::default();
        (0..5_000).for_each(|i| outbox.event(event(i, 10)));
        assert_eq!((outbox.backlog().events, outbox.backlog().events_dropped), (EVENTS_MAX, 5_000 - EVENTS_MAX as u64));
        let mut heavy = Outbox::default();
        (0..1_000).for_each(|i| heavy.event(event(i, 16 * 1024)));
        assert!(heavy.event_bytes <= EVENT_BYTES_MAX && heavy.backlog().events_dropped > 700);
        let batches = drained(&mut heavy);
        assert_eq!(sequences(&batches).last(), Some(&999));
        assert!(batches.len() >= EVENT_BYTES_MAX / BATCH_BYTES_MAX - 1, "{}", batches.len());
        for _ in 0..20 {
            outbox.report(AgentReport::Telemetry(TelemetryBatch { samples: Vec::new() }));
        }
        assert_eq!((outbox.backlog().telemetry, outbox.backlog().telemetry_dropped), (TELEMETRY_MAX, 15));
    }
}
