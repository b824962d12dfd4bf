//! What the reflex thread shares with the others: latest-wins slots downward, rings upward. Nobody waits for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};
use skein_body::SafeBody;
use skein_robot::hazard::{HazardSlots, SensedHazard, StraightHazards};
pub use skein_robot::robot::RECORDS_MAX;
pub use skein_robot::rt::{LostBody, TickRecord};
use skein_types::coord::Hazard;
use skein_types::motion::Setpoint;
use skein_types::safety::{HAZARDS_MAX, Surroundings};
use skein_types::time::MonoTime;
use triple_buffer::{Input, Output, triple_buffer};

use super::gauges::Gauges;
use super::latch_cell::LatchCell;
use super::wake::Wake;

/// Bodies on their way in or out: at most one is exchanged at a time.
const BODIES_MAX: usize = 2;
/// Sensed hazards on their way to the mesh: four seconds of a robot that feels a drop-off on all sides.
const SENSED_RING: usize = 16;

/// Requests that are made once and stay until they are met.
#[derive(Debug, Default)]
pub struct Requests {
    finish: AtomicBool,
}

impl Requests {
    /// The loop is to halt the body and end.
    pub fn finish(&self) {
        self.finish.store(true, Ordering::Release);
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

/// The body connector's end.
pub struct BodyEnd<B> {
    /// Bodies that have connected, for the reflex thread to take over.
    pub attach: Producer<Box<SafeBody<B>>>,
    /// Lost bodies, to be dropped where dropping may take time.
    pub lost: Consumer<LostBody<B>>,
}

/// The receiving mesh's end: a hazard is in the reflex's slot when [`Self::put`] returns.
pub struct HazardEnd {
    slots: HazardSlots,
    slot: Input<StraightHazards>,
    gauges: Arc<Gauges>,
}

/// The sending mesh's end: hazards straight from the sensing tick.
pub struct SensedEnd {
    /// What was sensed.
    pub sensed: Consumer<SensedHazard>,
    /// Raised by the tick that sensed it.
    pub wake: Arc<Wake>,
}

/// The reflex thread's end.
pub struct ReflexEnd<B> {
    pub(super) latch: Arc<LatchCell>,
    pub(super) setpoint: Output<Setpoint>,
    pub(super) surroundings: Output<Surroundings>,
    pub(super) hazards: Output<StraightHazards>,
    pub(super) records: Producer<TickRecord>,
    pub(super) sensed: Producer<SensedHazard>,
    pub(super) wake: Arc<Wake>,
    pub(super) attach: Consumer<Box<SafeBody<B>>>,
    pub(super) lost: Producer<LostBody<B>>,
    pub(super) requests: Arc<Requests>,
    pub(super) gauges: Arc<Gauges>,
}

/// All ends of one exchange.
pub struct Ends<B> {
    /// For the reflex thread.
    pub reflex: ReflexEnd<B>,
    /// For the agent.
    pub agent: AgentEnd,
    /// For the body connector.
    pub body: BodyEnd<B>,
    /// For the mesh's callback.
    pub hazards: HazardEnd,
    /// For the hazard thread.
    pub sensed: SensedEnd,
    /// For the latch service.
    pub latch: Arc<LatchCell>,
    /// What other threads ask of the reflex thread.
    pub requests: Arc<Requests>,
    /// What the reflex thread measures.
    pub gauges: Arc<Gauges>,
}

/// Makes the ends. All memory is taken here.
#[must_use]
pub fn exchange<B>() -> Ends<B> {
    let (setpoint_in, setpoint) = triple_buffer(&Setpoint::none());
    let (surroundings_in, surroundings) = triple_buffer(&Surroundings::empty());
    let (slot, hazards) = triple_buffer(&[None; HAZARDS_MAX]);
    let (records, records_out) = RingBuffer::new(RECORDS_MAX);
    let (sensed, sensed_out) = RingBuffer::new(SENSED_RING);
    let (attach_in, attach) = RingBuffer::new(BODIES_MAX);
    let (lost, lost_out) = RingBuffer::new(BODIES_MAX);
    let (requests, gauges) = (Arc::<Requests>::default(), Arc::<Gauges>::default());
    let (latch, wake) = (Arc::<LatchCell>::default(), Arc::<Wake>::default());
    Ends {
        reflex: ReflexEnd {
            latch: Arc::clone(&latch),
            setpoint,
            surroundings,
            hazards,
            records,
            sensed,
            wake: Arc::clone(&wake),
            attach,
            lost,
            requests: Arc::clone(&requests),
            gauges: Arc::clone(&gauges),
        },
        agent: AgentEnd { setpoint: setpoint_in, surroundings: surroundings_in, records: records_out },
        body: BodyEnd { attach: attach_in, lost: lost_out },
        hazards: HazardEnd { slots: HazardSlots::default(), slot, gauges: Arc::clone(&gauges) },
        sensed: SensedEnd { sensed: sensed_out, wake },
        latch,
        requests,
        gauges,
    }
}

impl HazardEnd {
    /// Puts a hazard where the next tick reads it.
    pub fn put(&mut self, now: MonoTime, hazard: &Hazard) {
        let discs = self.slots.put(now, self.gauges.position(), hazard);
        self.slot.write(discs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::coord::HazardKind;
    use skein_types::geometry::Point;
    use skein_types::ids::{AgentId, BootId};
    use skein_types::time::WallTime;
    use skein_types::units::Meters;
    use std::time::Duration;
    use uuid::Uuid;

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
    fn a_hazard_is_in_the_slot_when_put_returns_and_the_nearest_to_the_robot_stay() {
        let mut ends = exchange::<()>();
        ends.gauges.set_position(Point::new(100.0, 0.0));
        for i in 0..40_u32 {
            let hazard = Hazard {
                reporter: AgentId::new(format!("rover-{}", i % 5)).unwrap(),
                boot: BootId(Uuid::nil()),
                sequence: 1,
                kind: HazardKind::Cliff,
                position: Point::new(f64::from(i) * 4.0, 0.0),
                radius: Meters(0.3),
                time_to_live: Duration::from_millis(900),
                age: Duration::ZERO,
                seen_at: WallTime::default(),
            };
            ends.hazards.put(MonoTime::from_millis(1_000), &hazard);
        }
        let table = *ends.reflex.hazards.read();
        assert!(table.iter().flatten().any(|disc| disc.position.x == 100.0));
        assert!(table.iter().flatten().all(|disc| (disc.position.x - 100.0).abs() <= 36.0), "{table:?}");
    }
}
