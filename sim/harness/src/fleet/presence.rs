//! Which robots' mesh sessions can see each other.

use std::collections::BTreeSet;

use super::network::{Link, Network};

/// Pairs of robots that see each other, the smaller number first.
#[derive(Debug, Default)]
pub(crate) struct Presence(BTreeSet<(usize, usize)>);

/// A pair that came together or was parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) pair: (usize, usize),
    pub(crate) alive: bool,
}

impl Presence {
    pub(crate) fn sees(&self, robot: usize, peer: usize) -> bool {
        self.0.contains(&(robot.min(peer), robot.max(peer)))
    }

    /// Compares with who lives and which links are open; returns what changed.
    pub(crate) fn update(&mut self, alive: &[bool], network: &Network) -> Vec<Change> {
        let lives = |robot: usize| alive.get(robot).copied().unwrap_or(false);
        let pairs = (0..alive.len()).flat_map(|a| (a + 1..alive.len()).map(move |b| (a, b)));
        let now: BTreeSet<_> =
            pairs.filter(|&(a, b)| lives(a) && lives(b) && network.is_open(Link::mesh(a, b))).collect();
        let parted = self.0.difference(&now).map(|&pair| Change { pair, alive: false });
        let met = now.difference(&self.0).map(|&pair| Change { pair, alive: true });
        let changes = parted.chain(met).collect();
        self.0 = now;
        changes
    }
}
