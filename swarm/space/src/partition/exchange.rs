//! Mends slices that are torn and evens them out over their common borders.
//!
//! Indexing: vectors over places have one entry for each place of the padded grid, the others one for each slice.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ground, NOBODY};

/// Largest error of an area that is left alone.
const GOOD_ENOUGH: f64 = 0.03;
/// A slice with less than this share of what it should have is made anew.
const STARVED: f64 = 0.2;
/// Most hand-overs for each slice.
const HANDOVERS_MAX: usize = 12;

/// Rounds of giving torn off parts to a neighbour.
const MENDING_ROUNDS: usize = 4;

/// Leaves every slice only what lies in the area, and there only its largest part and parts that touch no other slice:
/// the ways between its parts may have led outside the area.
pub(super) fn mend(ground: &Ground, slices: usize, owner: &mut [u32]) {
    for (slice, &weight) in owner.iter_mut().zip(&ground.weight) {
        if weight == 0 {
            *slice = NOBODY;
        }
    }
    for _ in 0..MENDING_ROUNDS {
        let mut changed = false;
        for slice in 0..slices as u32 {
            let mut parts = parts(ground, owner, slice);
            parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
            for part in parts.iter().skip(1) {
                if let Some(neighbour) = neighbour(ground, owner, part) {
                    part.iter().for_each(|&place| owner[place as usize] = neighbour);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
}

/// The connected parts of a slice.
fn parts(ground: &Ground, owner: &[u32], slice: u32) -> Vec<Vec<u32>> {
    let mut known = vec![false; ground.padded.places()];
    let mut parts = Vec::new();
    for &first in ground.places.iter().filter(|&&place| owner[place as usize] == slice) {
        if std::mem::replace(&mut known[first as usize], true) {
            continue;
        }
        let (mut part, mut next) = (vec![first], 0);
        while let Some(&place) = part.get(next) {
            next += 1;
            for beside in ground.padded.beside(place) {
                if owner[beside as usize] == slice && !std::mem::replace(&mut known[beside as usize], true) {
                    part.push(beside);
                }
            }
        }
        parts.push(part);
    }
    parts
}

/// The other slice with the longest border to a part.
fn neighbour(ground: &Ground, owner: &[u32], part: &[u32]) -> Option<u32> {
    let own = part.first().map(|&place| owner[place as usize])?;
    let mut borders: BTreeMap<u32, usize> = BTreeMap::new();
    for next in part.iter().flat_map(|&place| ground.padded.beside(place)) {
        let slice = owner[next as usize];
        if slice != own && slice != NOBODY {
            *borders.entry(slice).or_default() += 1;
        }
    }
    borders.into_iter().max_by_key(|&(slice, length)| (length, std::cmp::Reverse(slice))).map(|(slice, _)| slice)
}

/// Hands over between the neighbours that differ most until all areas fit or nothing helps.
pub(super) fn even_out(ground: &Ground, wanted: &[f64], owner: &mut [u32]) {
    let mut exchange = Exchange { ground, wanted, areas: vec![0.0; wanted.len()], useless: BTreeSet::new() };
    exchange.measure(owner);
    for slice in 0..wanted.len() as u32 {
        exchange.revive(owner, slice);
    }
    for _ in 0..HANDOVERS_MAX * wanted.len() {
        if exchange.error() < GOOD_ENOUGH {
            break;
        }
        let Some((from, to)) = exchange.pair(owner) else { break };
        if exchange.hand_over(owner, from, to) {
            exchange.useless.retain(|&(a, b)| ![a, b].iter().any(|slice| [from, to].contains(slice)));
        } else {
            exchange.useless.insert((from, to));
        }
    }
}

struct Exchange<'a> {
    ground: &'a Ground,
    wanted: &'a [f64],
    areas: Vec<f64>,
    /// Pairs between which handing over did not help, until one of them changes.
    useless: BTreeSet<(u32, u32)>,
}

impl Exchange<'_> {
    fn measure(&mut self, owner: &[u32]) {
        self.areas.fill(0.0);
        for &place in &self.ground.places {
            if let Some(area) = self.areas.get_mut(owner[place as usize] as usize) {
                *area += 1.0;
            }
        }
    }

    fn fill(&self, slice: u32) -> f64 {
        self.areas[slice as usize] / self.wanted[slice as usize]
    }

    fn error(&self) -> f64 {
        (0..self.areas.len() as u32).map(|slice| (self.fill(slice) - 1.0).abs()).fold(0.0, f64::max)
    }

    /// The neighbours that differ most: who has too much first.
    fn pair(&self, owner: &[u32]) -> Option<(u32, u32)> {
        let mut borders: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        let mut last = (NOBODY, NOBODY);
        for &place in &self.ground.places {
            let here = owner[place as usize];
            for next in self.ground.padded.ahead(place) {
                let there = owner[next as usize];
                if here != there && here != NOBODY && there != NOBODY && (here, there) != last {
                    last = (here, there);
                    let difference = self.fill(here) - self.fill(there);
                    let pair = if difference > 0.0 { (here, there) } else { (there, here) };
                    borders.insert(pair, difference.abs());
                }
            }
        }
        let open = borders.into_iter().filter(|(pair, by)| *by > GOOD_ENOUGH && !self.useless.contains(pair));
        open.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(pair, _)| pair)
    }

    /// Gives a slice that others have grown over an end of the fullest slice.
    fn revive(&mut self, owner: &mut [u32], slice: u32) {
        let fullest = (0..self.areas.len() as u32).max_by(|&a, &b| self.fill(a).total_cmp(&self.fill(b)));
        let Some(from) = fullest.filter(|&from| self.fill(slice) < STARVED && from != slice) else { return };
        // What is left of it would lie apart from the new place: it goes to the neighbour.
        for part in parts(self.ground, owner, slice) {
            if let Some(neighbour) = neighbour(self.ground, owner, &part) {
                part.iter().for_each(|&place| owner[place as usize] = neighbour);
            }
        }
        self.measure(owner);
        let (has, share, other) = (self.areas[from as usize], self.wanted[slice as usize], self.wanted[from as usize]);
        let any = self.ground.places.iter().copied().find(|&place| owner[place as usize] == from);
        let end = any.and_then(|any| self.gather(owner, from, vec![any], f64::INFINITY).last().copied());
        let Some(end) = end else { return };
        let taken = self.gather(owner, from, vec![end], has * share / (share + other));
        taken.iter().for_each(|&place| owner[place as usize] = slice);
        for cut_off in self.cut_off(owner, from, &taken) {
            owner[cut_off as usize] = slice;
        }
        self.measure(owner);
    }

    /// Moves what makes both equally full; undone when it does not make them more alike.
    fn hand_over(&mut self, owner: &mut [u32], from: u32, to: u32) -> bool {
        let (wanted_from, wanted_to) = (self.wanted[from as usize], self.wanted[to as usize]);
        let before = self.fill(from) - self.fill(to);
        let amount = before * wanted_from * wanted_to / (wanted_from + wanted_to);
        let mut taken = self.nearest(owner, from, to, amount);
        taken.iter().for_each(|&place| owner[place as usize] = to);
        for cut_off in self.cut_off(owner, from, &taken) {
            owner[cut_off as usize] = to;
            taken.push(cut_off);
        }
        let areas = self.areas.clone();
        self.measure(owner);
        let better = (self.fill(from) - self.fill(to)).abs() < 0.9 * before;
        if !better {
            taken.iter().for_each(|&place| owner[place as usize] = from);
            self.areas = areas;
        }
        better
    }

    /// The places of `from` nearest to its border with `to`, as many as hold the amount.
    fn nearest(&self, owner: &[u32], from: u32, to: u32, amount: f64) -> Vec<u32> {
        let at_border = |place: u32| self.ground.padded.beside(place).into_iter().any(|n| owner[n as usize] == to);
        let own = self.ground.places.iter().copied().filter(|&place| owner[place as usize] == from);
        let border = own.filter(|&place| at_border(place)).collect();
        self.gather(owner, from, border, amount)
    }

    /// Places of a slice in order of their distance from some of them, as many as hold the amount.
    fn gather(&self, owner: &[u32], slice: u32, first: Vec<u32>, amount: f64) -> Vec<u32> {
        let padded = &self.ground.padded;
        let mut known = vec![false; padded.places()];
        first.iter().for_each(|&place| known[place as usize] = true);
        let (mut places, mut next) = (first, 0);
        while let Some(&place) = places.get(next).filter(|_| ((next + 1) as f64) <= amount) {
            next += 1;
            for beside in padded.beside(place) {
                if owner[beside as usize] == slice && !std::mem::replace(&mut known[beside as usize], true) {
                    places.push(beside);
                }
            }
        }
        places.truncate(next);
        places
    }

    /// The parts of a slice that taking places from it has cut off from its largest part.
    fn cut_off(&self, owner: &[u32], slice: u32, taken: &[u32]) -> Vec<u32> {
        let mut at_edge = vec![false; owner.len()];
        for &place in taken {
            self.ground.padded.beside(place).into_iter().for_each(|next| at_edge[next as usize] = true);
        }
        let mut parts = parts(self.ground, owner, slice);
        parts.retain(|part| part.iter().any(|&place| at_edge[place as usize]));
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.into_iter().skip(1).flatten().collect()
    }
}
