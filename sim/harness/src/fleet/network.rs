//! The virtual network: how long a message takes, and what becomes of it while a link is impaired or cut.
//!
//! A cloud link is a stream and behaves like TCP: order is kept, a lost segment is sent again and delays all that follows.
//! Mesh and debug links carry single messages, which can be lost, doubled and overtaken.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_types::time::MonoTime;

use super::fault::{Impairment, LinkKind};
use super::random::SplitMix;

/// Shortest and longest delay of a message on a sound link, microseconds.
const DELAY_US: (u64, u64) = (1_500, 9_000);
/// Largest additional delay while a link is slow or out of order, microseconds (story 14).
const SLOW_US: u64 = 500_000;
/// Delay until a lost segment of a stream has been sent again, microseconds: 200 ms to 1 s (RFC 6298 timers).
const RESEND_US: (u64, u64) = (200_000, 1_000_000);
/// Share of messages that an impairment strikes, in a thousand.
const LOST: u64 = 200;
const DOUBLED: u64 = 250;
const OVERTAKEN: u64 = 300;

/// An end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Supervisor,
    /// An operator's command line.
    Console,
    /// A robot's number, from 0.
    Robot(usize),
}

impl Endpoint {
    const fn robot(self) -> Option<usize> {
        match self {
            Self::Supervisor | Self::Console => None,
            Self::Robot(number) => Some(number),
        }
    }
}

/// One direction between two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) kind: LinkKind,
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
}

impl Link {
    pub(crate) const fn report(robot: usize) -> Self {
        Self { kind: LinkKind::Cloud, from: Endpoint::Robot(robot), to: Endpoint::Supervisor }
    }

    pub(crate) const fn command(robot: usize) -> Self {
        Self { kind: LinkKind::Cloud, from: Endpoint::Supervisor, to: Endpoint::Robot(robot) }
    }

    pub(crate) const fn debug(robot: usize) -> Self {
        Self { kind: LinkKind::Debug, from: Endpoint::Console, to: Endpoint::Robot(robot) }
    }

    pub(crate) const fn mesh(from: usize, to: usize) -> Self {
        Self { kind: LinkKind::Mesh, from: Endpoint::Robot(from), to: Endpoint::Robot(to) }
    }

    fn touches(&self, robot: usize) -> bool {
        self.from.robot() == Some(robot) || self.to.robot() == Some(robot)
    }
}

/// What is wrong with links at this moment. Faults may overlap, so each is kept by its number.
#[derive(Debug, Default)]
pub(crate) struct Network {
    random: Option<SplitMix>,
    /// The robots whose links of a kind are cut, by fault.
    cuts: BTreeMap<usize, (LinkKind, BTreeSet<usize>)>,
    /// The robots whose links of a kind are impaired, by fault.
    impaired: BTreeMap<usize, (LinkKind, Impairment, BTreeSet<usize>)>,
    /// Robots with numbers up to this are in one part of the mesh, the others in another, by fault.
    splits: BTreeMap<usize, usize>,
    /// When the last message of a link arrives.
    last: BTreeMap<Link, MonoTime>,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Some(SplitMix::new(seed)), ..Self::default() }
    }

    /// The network's random numbers.
    pub(crate) fn random(&mut self) -> &mut SplitMix {
        self.random.get_or_insert(SplitMix::new(0))
    }

    pub(crate) fn cut(&mut self, fault: usize, kind: LinkKind, robots: BTreeSet<usize>) {
        self.cuts.insert(fault, (kind, robots));
    }

    pub(crate) fn split_mesh(&mut self, fault: usize, last_of_first_part: usize) {
        self.splits.insert(fault, last_of_first_part);
    }

    pub(crate) fn impair(&mut self, fault: usize, kind: LinkKind, how: Impairment, robots: BTreeSet<usize>) {
        self.impaired.insert(fault, (kind, how, robots));
    }

    /// Ends whatever a fault did to the network.
    pub(crate) fn mend(&mut self, fault: usize) {
        self.cuts.remove(&fault);
        self.splits.remove(&fault);
        self.impaired.remove(&fault);
    }

    /// Whether a robot's links of a kind are all cut.
    pub(crate) fn is_isolated(&self, kind: LinkKind, robot: usize) -> bool {
        self.cuts.values().any(|(cut, robots)| *cut == kind && robots.contains(&robot))
    }

    pub(crate) fn is_open(&self, link: Link) -> bool {
        let isolated = |end: Endpoint| end.robot().is_some_and(|robot| self.is_isolated(link.kind, robot));
        let parted = match (link.kind, link.from, link.to) {
            (LinkKind::Mesh, Endpoint::Robot(a), Endpoint::Robot(b)) => {
                self.splits.values().any(|last| (a <= *last) != (b <= *last))
            }
            _ => false,
        };
        !isolated(link.from) && !isolated(link.to) && !parted
    }

    fn suffers(&self, link: Link, how: Impairment) -> bool {
        self.impaired.values().any(|(kind, impairment, robots)| {
            *kind == link.kind && *impairment == how && robots.iter().any(|robot| link.touches(*robot))
        })
    }

    /// When a message of `size` bytes arrives: never, once or twice.
    pub(crate) fn send(&mut self, now: MonoTime, link: Link, size: usize) -> Vec<MonoTime> {
        if !self.is_open(link) {
            return Vec::new();
        }
        self.messages += 1;
        self.bytes += size as u64;
        let delay = self.delay(link);
        if link.kind == LinkKind::Cloud {
            return vec![self.in_order(link, now + delay)];
        }
        if self.suffers(link, Impairment::Loss) && self.random().happens(LOST) {
            return Vec::new();
        }
        let overtaken = self.suffers(link, Impairment::Reorder) && self.random().happens(OVERTAKEN);
        let first = if overtaken {
            now + delay + Duration::from_micros(self.random().below(SLOW_US))
        } else {
            self.in_order(link, now + delay)
        };
        let doubled = self.suffers(link, Impairment::Duplicate) && self.random().happens(DOUBLED);
        let again = doubled.then(|| first + Duration::from_micros(self.random().below(SLOW_US)));
        core::iter::once(first).chain(again).collect()
    }

    fn delay(&mut self, link: Link) -> Duration {
        let (slow, lossy) = (self.suffers(link, Impairment::Delay), self.suffers(link, Impairment::Loss));
        let random = self.random();
        let mut micros = DELAY_US.0 + random.below(DELAY_US.1 - DELAY_US.0);
        if slow {
            micros += random.below(SLOW_US);
        }
        if lossy && link.kind == LinkKind::Cloud && random.happens(LOST) {
            micros += RESEND_US.0 + random.below(RESEND_US.1 - RESEND_US.0);
        }
        Duration::from_micros(micros)
    }

    fn in_order(&mut self, link: Link, wanted: MonoTime) -> MonoTime {
        let arrives = self.last.get(&link).map_or(wanted, |last| wanted.max(*last));
        self.last.insert(link, arrives);
        arrives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link::mesh(0, 1);

    fn arrivals(network: &mut Network, link: Link) -> Vec<Vec<MonoTime>> {
        (0..400).map(|number| network.send(MonoTime::from_millis(number * 20), link, 1)).collect()
    }

    fn impaired(kind: LinkKind, how: Impairment) -> Network {
        let mut network = Network::new(1);
        network.impair(0, kind, how, BTreeSet::from([1]));
        network
    }

    fn is_ordered(arrivals: &[Vec<MonoTime>]) -> bool {
        arrivals.iter().flatten().is_sorted()
    }

    #[test]
    fn a_sound_link_delivers_each_message_once_late_and_in_order() {
        let mut network = Network::new(1);
        let got = arrivals(&mut network, LINK);
        assert!(is_ordered(&got) && got.iter().all(|times| times.len() == 1));
        assert!(got[0][0] >= MonoTime::from_nanos(DELAY_US.0 * 1_000));
        assert_eq!(network.messages, 400);
    }

    #[test]
    fn each_impairment_of_the_mesh_shows_and_ends_with_its_fault() {
        let lost = arrivals(&mut impaired(LinkKind::Mesh, Impairment::Loss), LINK);
        assert!((40..160).contains(&lost.iter().filter(|times| times.is_empty()).count()));
        let doubled = arrivals(&mut impaired(LinkKind::Mesh, Impairment::Duplicate), LINK);
        assert!((50..160).contains(&doubled.iter().filter(|times| times.len() == 2).count()));
        assert!(!is_ordered(&arrivals(&mut impaired(LinkKind::Mesh, Impairment::Reorder), LINK)));
        let mut network = impaired(LinkKind::Mesh, Impairment::Reorder);
        network.mend(0);
        assert!(is_ordered(&arrivals(&mut network, LINK)));
    }

    #[test]
    fn a_stream_keeps_order_and_loses_nothing() {
        for how in Impairment::ALL {
            let got = arrivals(&mut impaired(LinkKind::Cloud, *how), Link::command(1));
            assert!(is_ordered(&got) && got.iter().all(|times| times.len() == 1), "{how:?}");
        }
    }

    #[test]
    fn impairments_strike_only_the_links_they_name() {
        let got = arrivals(&mut impaired(LinkKind::Mesh, Impairment::Loss), Link::mesh(2, 3));
        assert!(got.iter().all(|times| times.len() == 1));
    }

    #[test]
    fn cuts_and_splits_part_what_they_name_and_overlap() {
        let mut network = Network::new(1);
        network.cut(0, LinkKind::Mesh, BTreeSet::from([1]));
        network.cut(1, LinkKind::Mesh, BTreeSet::from([1]));
        network.split_mesh(2, 2);
        assert!(!network.is_open(LINK) && network.is_open(Link::command(1)));
        assert!(network.is_open(Link::mesh(0, 2)) && !network.is_open(Link::mesh(2, 3)));
        network.mend(0);
        assert!(!network.is_open(LINK));
        network.mend(1);
        network.mend(2);
        assert!(network.is_open(LINK) && network.is_open(Link::mesh(2, 3)));
    }
}
