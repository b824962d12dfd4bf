//! The queue of the virtual clock: what happens when.

use std::collections::BTreeMap;
use std::rc::Rc;

use skein_types::ids::BootId;
use skein_types::safety::Latch;
use skein_types::time::MonoTime;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum SimEvent {
    /// Bytes of a robot's stream reach the supervisor.
    ReportArrives { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// Bytes of the supervisor reach a robot.
    CommandArrives { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// A peer's intent reaches a robot.
    IntentArrives { robot: usize, bytes: Rc<[u8]> },
    /// A peer's hazard reaches a robot.
    HazardArrives { robot: usize, bytes: Rc<[u8]> },
    /// An entry of a peer's hazard map reaches a robot.
    MapHazardArrives { robot: usize, from: usize, bytes: Rc<[u8]> },
    /// A robot's mesh session sees a peer appear or vanish.
    PeerSeen { robot: usize, peer: usize, alive: bool },
    /// A robot tries to open a stream.
    Dial { robot: usize },
    /// Both ends of a stream find it broken.
    Hangup { robot: usize, stream: u64 },
    /// A robot's disk has kept a latch.
    LatchKept { robot: usize, boot: BootId, latch: Latch },
    /// An operator submits the mission.
    Submit,
    /// The fault of this number begins.
    FaultBegins(usize),
    /// The fault of this number ends.
    FaultEnds(usize),
}

/// Events in order of time; events of one moment keep the order in which they were scheduled.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    queue: BTreeMap<(MonoTime, u64), SimEvent>,
    scheduled: u64,
}

impl EventQueue {
    pub(crate) fn schedule(&mut self, at: MonoTime, event: SimEvent) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), event);
    }

    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next event at or before a time.
    pub(crate) fn pop_until(&mut self, now: MonoTime) -> Option<SimEvent> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_scheduling() {
        let mut queue = EventQueue::default();
        let at = MonoTime::from_millis;
        for (time, robot) in [(5, 1), (3, 2), (5, 3), (9, 4)] {
            queue.schedule(at(time), SimEvent::Dial { robot });
        }
        let mut order = Vec::new();
        while let Some(SimEvent::Dial { robot }) = queue.pop_until(at(5)) {
            order.push(robot);
        }
        assert_eq!(order, [2, 1, 3]);
        assert_eq!(queue.next_at(), Some(at(9)));
    }
}
