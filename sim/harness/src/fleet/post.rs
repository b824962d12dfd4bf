//! What happens when: the queue of the virtual clock, and a network with delays.

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use skein_types::time::MonoTime;

/// Shortest and longest way of a message.
const DELAY_US: (u64, u64) = (1_500, 9_000);

/// Who sends or receives: a robot's number, or the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Cloud,
    Robot(usize),
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Bytes of a robot's stream reach the supervisor.
    Report { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// Bytes of the supervisor reach a robot.
    Command { robot: usize, stream: u64, bytes: Rc<[u8]> },
    /// A peer's intent reaches a robot.
    Intent { robot: usize, bytes: Rc<[u8]> },
    /// A peer's hazard reaches a robot.
    Hazard { robot: usize, bytes: Rc<[u8]> },
    /// A robot's mesh sees a peer come or go.
    Peer { robot: usize, peer: usize, alive: bool },
    /// A robot tries to open a stream.
    Dial { robot: usize },
    /// A stream is found dead.
    Hangup { robot: usize, stream: u64 },
    /// A person hands in the mission.
    Submit,
    /// A fault begins.
    Begin(usize),
    /// A fault ends.
    End(usize),
}

/// The queue. Same seed, same order.
#[derive(Debug)]
pub(crate) struct Post {
    queue: BTreeMap<(MonoTime, u64), Happening>,
    count: u64,
    /// Messages of one party to another keep their order.
    last: BTreeMap<(Party, Party), MonoTime>,
    chance: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Post {
    pub(crate) fn new(seed: u64) -> Self {
        Self { queue: BTreeMap::new(), count: 0, last: BTreeMap::new(), chance: seed, messages: 0, bytes: 0 }
    }

    /// At an exact time.
    pub(crate) fn at(&mut self, when: MonoTime, what: Happening) {
        self.count += 1;
        self.queue.insert((when, self.count), what);
    }

    /// Over the network: after a delay, in order.
    pub(crate) fn send(&mut self, now: MonoTime, from: Party, to: Party, size: usize, what: Happening) {
        let spread = DELAY_US.1 - DELAY_US.0;
        let delay = Duration::from_micros(DELAY_US.0 + self.draw() % spread);
        let earliest = self.last.get(&(from, to)).copied().unwrap_or(MonoTime::ZERO);
        let arrives = (now + delay).max(earliest);
        self.last.insert((from, to), arrives);
        self.messages += 1;
        self.bytes += size as u64;
        self.at(arrives, what);
    }

    /// 64 bits of chance (splitmix64, Steele and others 2014).
    pub(crate) fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.chance)
    }

    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next thing that happens at or before a time.
    pub(crate) fn take(&mut self, now: MonoTime) -> Option<Happening> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, what)| what)
    }
}

/// The finaliser of SplitMix64: nearby numbers become unlike ones.
pub(crate) const fn mixed(number: u64) -> u64 {
    let once = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_between_two_parties_arrive_late_and_in_order() {
        let mut post = Post::new(1);
        let mut now = MonoTime::ZERO;
        for robot in 0..200 {
            now = now + Duration::from_micros(100);
            post.send(now, Party::Cloud, Party::Robot(0), 1, Happening::Dial { robot });
        }
        let mut order = Vec::new();
        while let Some(at) = post.next_at() {
            assert!(at > MonoTime::from_nanos(DELAY_US.0 * 1_000));
            if let Some(Happening::Dial { robot }) = post.take(at) {
                order.push(robot);
            }
        }
        assert!(order.iter().copied().eq(0..200));
    }
}
