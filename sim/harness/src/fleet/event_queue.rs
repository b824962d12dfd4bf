//! The queue of the virtual clock: what happens when.

use std::collections::BTreeMap;
use std::rc::Rc;

use skein_types::authority::{LatchRequest, LatchSet};
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum SimEvent {
    /// Bytes of a robot's stream reach the supervisor.
    ReportArrives { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// Bytes of the supervisor reach a robot.
    CommandArrives { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// A peer's message reaches a robot.
    PeerMessageArrives { robot: usize, from: usize, kind: PeerMessage, bytes: Rc<[u8]> },
    /// A robot's mesh session sees a peer appear or vanish.
    PeerSeen { robot: usize, peer: usize, alive: bool },
    /// An attempt to open a stream reaches the supervisor's machine.
    DialArrives { robot: usize, stream: u64 },
    /// The supervisor's answer reaches the robot.
    DialAnswered { robot: usize, stream: u64 },
    /// A robot finds its stream broken.
    StreamBroken { robot: usize, stream: u64 },
    /// The supervisor finds a robot's stream broken.
    StreamGone { robot: usize, stream: u64 },
    /// A robot's disk has done with a save of this start of the process.
    Saved { robot: usize, start: u32, ticket: u64 },
    /// An operator presses a button.
    Press(usize),
    /// An operator has seen registers and decides about a release.
    Decide { press: usize, seen: Box<LatchSet> },
    /// An operator's request reaches the supervisor.
    RequestAtSupervisor { target: Option<AgentId>, request: Box<LatchRequest> },
    /// An operator's request reaches a robot's debug API.
    RequestAtRobot { robot: usize, caller: u64, target: Option<AgentId>, request: Box<LatchRequest> },
    /// An operator submits the mission.
    Submit,
    /// The fault of this number begins.
    FaultBegins(usize),
    /// The fault of this number ends.
    FaultEnds(usize),
}

/// Messages between robots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerMessage {
    Intent,
    Hazard,
    /// An entry of the shared hazard map.
    MapHazard,
    Gossip,
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
            queue.schedule(at(time), SimEvent::Press(robot));
        }
        let mut order = Vec::new();
        while let Some(SimEvent::Press(robot)) = queue.pop_until(at(5)) {
            order.push(robot);
        }
        assert_eq!(order, [2, 1, 3]);
        assert_eq!(queue.next_at(), Some(at(9)));
    }
}
