//! One tick of the real-time core, between the slots and rings of [`mod@super::exchange`]. No allocation, no lock, no
//! log, no early return.

use std::sync::atomic::Ordering;

use skein_body::{Body, Loss, SafeBody};
use skein_reflex::Reflex;
use skein_robot::rt::{LostBody, RealtimeCore, TickInputs};
use skein_types::time::MonoTime;

use super::exchange::ReflexEnd;

/// The loop's own state.
pub struct Ticker<B> {
    core: RealtimeCore<B>,
    end: ReflexEnd<B>,
}

impl<B: Body> Ticker<B> {
    /// A loop that owns its body.
    #[must_use]
    pub fn new(body: Box<SafeBody<B>>, reflex: Reflex, end: ReflexEnd<B>) -> Self {
        end.gauges.body.store(true, Ordering::Relaxed);
        Self { core: RealtimeCore::new(body, reflex), end }
    }

    /// Runs one tick.
    pub fn tick(&mut self, now: MonoTime) {
        self.take_body();
        let inputs = TickInputs {
            latch: self.end.latch.view(),
            setpoint: self.end.setpoint.read(),
            surroundings: self.end.surroundings.read(),
            hazards: self.end.hazards.read(),
        };
        let outcome = self.core.tick(now, &inputs);
        let record = outcome.record;
        self.end.latch.latched(record.latched, record.latch);
        let mut found = false;
        for sensed in outcome.hazards.iter().flatten() {
            // A full ring holds newer news of the same places.
            found |= self.end.sensed.push(*sensed).is_ok();
        }
        if found {
            self.end.wake.raise();
        }
        let gauges = &self.end.gauges;
        gauges.set_position(record.frame.estimate.pose.position);
        gauges.set_speed(record.frame.twist.speed());
        gauges.refused.fetch_add(u64::from(outcome.refused), Ordering::Relaxed);
        if self.end.records.push(record).is_err() {
            gauges.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(lost) = outcome.lost {
            self.give_back(lost);
        }
    }

    /// Halts and senses once; says whether the body stands.
    pub fn halt(&mut self, now: MonoTime) -> bool {
        self.core.halt(now)
    }

    /// The loop is to end.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        self.end.requests.is_finishing()
    }

    /// There is a body to halt.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        self.core.has_body()
    }

    fn take_body(&mut self) {
        if let Ok(body) = self.end.attach.pop() {
            if let Some(body) = self.core.attach(body) {
                self.give_back(LostBody { body, why: Loss::Closed });
            }
            self.end.gauges.body.store(true, Ordering::Relaxed);
        }
    }

    /// Hands a body that is gone to where dropping it may take its time.
    fn give_back(&mut self, lost: LostBody<B>) {
        // The ring holds more than can be under way; were it full, dropping here is late but not wrong.
        drop(self.end.lost.push(lost));
        // Written last: a thread that reads `false` finds the old body in the ring.
        self.end.gauges.body.store(false, Ordering::Release);
    }
}
