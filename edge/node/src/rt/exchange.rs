//! What the reflex thread shares with the others: latest-wins slots downward, one ring upward. Nobody waits for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};
use skein_body::SafeBody;
use skein_types::authority::LatchView;
use skein_types::coord::Hazard;
use skein_types::geometry::Point;
use skein_types::motion::Setpoint;
use skein_types::safety::{HAZARDS_MAX, HazardDisc, Latch, ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::Meters;
use triple_buffer::{Input, Output, triple_buffer};

use super::gauges::Gauges;

/// Ticks on their way to the agent: more than half a second, far longer than its longest cycle.
pub const RECORDS_MAX: usize = 64;
/// Bodies on their way in or out: at most one is exchanged at a time.
const BODIES_MAX: usize = 2;
/// How long a hazard straight from the mesh counts by itself; by then the agent has taken it up or dismissed it.
const STRAIGHT_FOR: Duration = Duration::from_secs(1);

/// Hazards straight from the mesh.
pub type Hazards = [Option<HazardDisc>; HAZARDS_MAX];

/// One tick, for the agent.
#[derive(Clone, Copy, Debug)]
pub struct TickRecord {
    /// What was sensed.
    pub frame: SensorFrame,
    /// What the reflex made of it.
    pub report: ReflexReport,
}

/// The operator latch as the next tick reads it, and the request to end.
#[derive(Debug, Default)]
pub struct Requests {
    /// A packed [`LatchView`].
    latch: AtomicU64,
    finish: AtomicBool,
}

impl Requests {
    /// Sets the level of the operator latch; the next tick reads it. A release raises the stamp.
    pub fn set_latch(&self, level: Latch) {
        let before = self.latch();
        let stamp = before.stamp.saturating_add(u64::from(level == Latch::Released));
        self.latch.store(LatchView { level, stamp }.pack(), Ordering::Release);
    }

    /// The loop is to halt the body and end.
    pub fn finish(&self) {
        self.finish.store(true, Ordering::Release);
    }

    pub(super) fn latch(&self) -> LatchView {
        LatchView::unpack(self.latch.load(Ordering::Acquire))
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finish.load(Ordering::Acquire)
    }
}

/// The agent's end.
pub struct AgentEnd {
    /// How to move.
    pub setpoint: Input<Setpoint>,
    /// What is around.
    pub surroundings: Input<Surroundings>,
    /// What happened, tick by tick.
    pub records: Consumer<TickRecord>,
}

/// The end of whoever finds the body again when it is lost.
pub struct BodyEnd<B> {
    /// New bodies.
    pub attach: Producer<Box<SafeBody<B>>>,
    /// Lost bodies, to be dropped where dropping may take time.
    pub lost: Consumer<Box<SafeBody<B>>>,
}

/// The mesh's end: a hazard is in the reflex's slot when [`Self::put`] returns.
pub struct HazardEnd {
    table: Hazards,
    slot: Input<Hazards>,
}

/// The reflex thread's end.
pub struct ReflexEnd<B> {
    pub(super) setpoint: Output<Setpoint>,
    pub(super) surroundings: Output<Surroundings>,
    pub(super) hazards: Output<Hazards>,
    pub(super) records: Producer<TickRecord>,
    pub(super) attach: Consumer<Box<SafeBody<B>>>,
    pub(super) lost: Producer<Box<SafeBody<B>>>,
    pub(super) requests: Arc<Requests>,
    pub(super) gauges: Arc<Gauges>,
}

/// All ends of one exchange.
pub struct Ends<B> {
    /// For the reflex thread.
    pub reflex: ReflexEnd<B>,
    /// For the agent.
    pub agent: AgentEnd,
    /// For the keeper of the body.
    pub body: BodyEnd<B>,
    /// For the mesh.
    pub hazards: HazardEnd,
    /// For anyone.
    pub requests: Arc<Requests>,
    /// For anyone.
    pub gauges: Arc<Gauges>,
}

/// Makes the ends. All memory is taken here.
#[must_use]
pub fn exchange<B>() -> Ends<B> {
    let (setpoint_in, setpoint) = triple_buffer(&Setpoint::none());
    let (surroundings_in, surroundings) = triple_buffer(&Surroundings::empty());
    let (slot, hazards) = triple_buffer(&[None; HAZARDS_MAX]);
    let (records, records_out) = RingBuffer::new(RECORDS_MAX);
    let (attach_in, attach) = RingBuffer::new(BODIES_MAX);
    let (lost, lost_out) = RingBuffer::new(BODIES_MAX);
    let (requests, gauges) = (Arc::<Requests>::default(), Arc::<Gauges>::default());
    Ends {
        reflex: ReflexEnd {
            setpoint,
            surroundings,
            hazards,
            records,
            attach,
            lost,
            requests: Arc::clone(&requests),
            gauges: Arc::clone(&gauges),
        },
        agent: AgentEnd { setpoint: setpoint_in, surroundings: surroundings_in, records: records_out },
        body: BodyEnd { attach: attach_in, lost: lost_out },
        hazards: HazardEnd { table: [None; HAZARDS_MAX], slot },
        requests,
        gauges,
    }
}

impl HazardEnd {
    /// Puts a hazard where the next tick sees it: in place of an older word about the same place, of one that has
    /// expired, or else of the one that expires first.
    pub fn put(&mut self, now: MonoTime, hazard: &Hazard) {
        let valid_until = now + hazard.time_to_live.min(STRAIGHT_FOR);
        let disc = HazardDisc { position: hazard.position, radius: hazard.radius, valid_until };
        let rank = |slot: &Option<HazardDisc>| match slot {
            Some(known) if same_place(known, &disc) => (0, MonoTime::ZERO),
            Some(known) if known.valid_until <= now => (1, known.valid_until),
            None => (1, MonoTime::ZERO),
            Some(known) => (2, known.valid_until),
        };
        if let Some(slot) = self.table.iter_mut().min_by_key(|slot| rank(slot)) {
            *slot = Some(disc);
        }
        self.slot.write(self.table);
    }
}

fn same_place(a: &HazardDisc, b: &HazardDisc) -> bool {
    a.position == b.position && a.radius == b.radius
}

/// The agent's picture with the hazards it may not have seen yet. When there are more than fit, the nearest stay.
#[must_use]
pub fn with_hazards(now: MonoTime, agents: &Surroundings, straight: &Hazards, here: Point) -> Surroundings {
    let mut merged = *agents;
    let gap = |disc: &HazardDisc| Meters(disc.position.distance(here)) - disc.radius;
    for disc in straight.iter().flatten().filter(|disc| disc.valid_until > now) {
        if merged.hazards.iter().flatten().any(|known| same_place(known, disc)) {
            continue;
        }
        let farness = |slot: &Option<HazardDisc>| slot.as_ref().map_or(f64::INFINITY, |known| gap(known).get());
        let farthest = merged.hazards.iter_mut().max_by(|a, b| farness(a).total_cmp(&farness(b)));
        if let Some(slot) = farthest.filter(|slot| farness(slot) > gap(disc).get()) {
            *slot = Some(*disc);
        }
    }
    packed(&mut merged.hazards);
    merged
}

/// `None` after the last, as the type promises.
fn packed(hazards: &mut Hazards) {
    let mut kept = [None; HAZARDS_MAX];
    for (slot, hazard) in kept.iter_mut().zip(hazards.iter().flatten()) {
        *slot = Some(*hazard);
    }
    *hazards = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::coord::HazardKind;
    use skein_types::ids::{AgentId, BootId};
    use skein_types::time::WallTime;
    use uuid::Uuid;

    fn hazard(x: f64, millis: u64) -> Hazard {
        Hazard {
            reporter: AgentId::new("rover-2").unwrap(),
            sequence: 1,
            kind: HazardKind::Cliff,
            position: Point::new(x, 0.0),
            radius: Meters(0.3),
            boot: BootId(Uuid::nil()),
            age: Duration::ZERO,
            time_to_live: Duration::from_millis(millis),
            seen_at: WallTime::default(),
        }
    }

    fn places(surroundings: &Surroundings) -> Vec<f64> {
        surroundings.hazards.iter().flatten().map(|disc| disc.position.x).collect()
    }

    #[test]
    fn a_slot_gives_the_latest_value_and_never_waits() {
        let mut ends = exchange::<()>();
        for sequence in 1..=5 {
            ends.agent.setpoint.write(Setpoint { sequence, ..Setpoint::none() });
        }
        assert_eq!(ends.reflex.setpoint.read().sequence, 5);
        assert_eq!(ends.reflex.setpoint.read().sequence, 5);
    }

    #[test]
    fn a_hazard_is_in_the_slot_at_once_and_counts_until_it_expires() {
        let mut ends = exchange::<()>();
        let now = MonoTime::from_millis(1_000);
        ends.hazards.put(now, &hazard(1.0, 300));
        let straight = *ends.reflex.hazards.read();
        let at = |millis| {
            with_hazards(now + Duration::from_millis(millis), &Surroundings::empty(), &straight, Point::default())
        };
        assert_eq!(places(&at(0)), [1.0]);
        assert_eq!(places(&at(299)), [1.0]);
        assert!(places(&at(300)).is_empty());
    }

    #[test]
    fn saying_it_again_takes_no_second_place_and_a_flood_pushes_out_what_ends_first() {
        let mut ends = exchange::<()>();
        let now = MonoTime::from_millis(1_000);
        for _ in 0..100 {
            ends.hazards.put(now, &hazard(1.0, 900));
        }
        assert_eq!(ends.reflex.hazards.read().iter().flatten().count(), 1);
        for i in 0..HAZARDS_MAX {
            ends.hazards.put(now, &hazard(10.0 + i as f64, 100 + i as u64));
        }
        let table = *ends.reflex.hazards.read();
        assert!(table.iter().flatten().any(|disc| disc.position.x == 1.0), "the longest lived stays");
        assert!(!table.iter().flatten().any(|disc| disc.position.x == 10.0), "the shortest lived went");
    }

    #[test]
    fn the_nearest_stay_when_there_are_more_than_fit_and_there_is_no_gap() {
        let now = MonoTime::from_millis(1_000);
        let disc =
            |x: f64| HazardDisc { position: Point::new(x, 0.0), radius: Meters(0.3), valid_until: MonoTime::MAX };
        let mut agents = Surroundings::empty();
        for (i, slot) in agents.hazards.iter_mut().enumerate() {
            *slot = Some(disc(2.0 + i as f64));
        }
        let mut straight = [None; HAZARDS_MAX];
        straight[3] = Some(disc(1.0));
        straight[4] = Some(disc(99.0));
        straight[5] = Some(disc(2.0));
        let merged = with_hazards(now, &agents, &straight, Point::default());
        let seen = places(&merged);
        assert!(seen.contains(&1.0) && !seen.contains(&99.0) && !seen.contains(&17.0), "{seen:?}");
        assert_eq!(seen.iter().filter(|x| **x == 2.0).count(), 1);
        let alone = with_hazards(now, &Surroundings::empty(), &straight, Point::default());
        assert!(alone.hazards[..3].iter().all(Option::is_some) && alone.hazards[3].is_none());
    }
}
