//! The shortest way through viewpoints, near enough: 2-opt and Or-opt on the distances that are driven.
//!
//! Indexing: `stops` and the matrix have the same order; stop 0 is the start; `order` is a permutation of the stops.

use skein_types::geometry::Point;
use skein_types::units::Meters;

use crate::path::{Coarse, Flood, Seed};
use crate::planning::{PlanningMap, nearest_traversable};

/// How far floods go, metres. Farther pairs are hardly ever neighbours on a good way and get an estimate.
const REACH: f64 = 14.0;
/// Most stops that are ordered together; more are taken in pieces as they come.
const STOPS_MAX: usize = 800;
/// Passes over all pairs before giving up on more improvement.
const PASSES: usize = 60;

pub(super) struct Tour<'a> {
    map: &'a PlanningMap,
    coarse: Coarse,
    flood: Flood,
    start: u32,
    /// Viewpoints in order.
    route: Vec<u32>,
    fields: [Vec<f32>; 2],
    /// Length of the way when it was last ordered, metres.
    length: f64,
}

impl<'a> Tour<'a> {
    pub(super) fn new(map: &'a PlanningMap, start: Point, viewpoints: &[u32]) -> Self {
        let start = nearest_traversable(map, start, Meters(1.0)).or(viewpoints.first().copied()).unwrap_or(0);
        let (coarse, route) = (Coarse::new(map), viewpoints.to_vec());
        Self { map, coarse, flood: Flood::default(), start, route, fields: Default::default(), length: 0.0 }
    }

    pub(super) fn viewpoint(&self, index: usize) -> Option<u32> {
        self.route.get(index).copied()
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.route.remove(index);
    }

    pub(super) fn replace(&mut self, index: usize, cell: u32) {
        self.route[index] = cell;
    }

    /// What the way through a stop is longer than the way past it, metres.
    pub(super) fn detour(&mut self, index: usize) -> f64 {
        let before = if index == 0 { self.start } else { self.route[index - 1] };
        let here = self.place(self.route[index]);
        let [mut field, other] = std::mem::take(&mut self.fields);
        let to_here = self.field(before, here, &mut field);
        let saved = match self.route.get(index + 1).copied() {
            Some(after) => {
                let past = field[self.place(after) as usize];
                to_here + self.field(after, here, &mut field) - past
            }
            None => to_here,
        };
        self.fields = [field, other];
        // Infinite or unknown when the stops lie far apart: then nothing is known to be saved.
        if saved.is_finite() { f64::from(saved) * self.coarse.resolution() } else { 0.0 }
    }

    /// Cells from which the way from the stop before to the stop after is shorter than now, best first.
    pub(super) fn nearer_places(&mut self, index: usize) -> impl Iterator<Item = u32> + use<> {
        let before = if index == 0 { self.start } else { self.route[index - 1] };
        let after = self.route.get(index + 1).copied();
        let here = self.place(self.route[index]);
        let mut places: Vec<(f32, u32)> = Vec::new();
        let [mut to_before, mut to_after] = std::mem::take(&mut self.fields);
        let now_before = self.field(before, here, &mut to_before);
        let now_after = after.map_or(0.0, |after| self.field(after, here, &mut to_after));
        let now = now_before + now_after;
        if now.is_finite() {
            for (place, &distance) in (0_u32..).zip(&to_before) {
                let total = distance + if after.is_some() { to_after[place as usize] } else { 0.0 };
                if total < now - 0.5 {
                    places.push((total, place));
                }
            }
        }
        self.fields = [to_before, to_after];
        places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // Few of the best are the same as all: neighbours hardly differ.
        let every = places.len().div_ceil(64).max(1);
        let cells: Vec<u32> =
            places.into_iter().step_by(every).map(|(_, place)| self.coarse.middle_of(place)).collect();
        cells.into_iter()
    }

    /// Distances from a stop, at least as far as to the place `until`; returns the distance of that.
    fn field(&mut self, from: u32, until: u32, into: &mut Vec<f32>) -> f32 {
        let seeds = [Seed { place: self.place(from), owner: 0, offset: 0.0 }];
        let there = self.map.frame().center_of(self.coarse.middle_of(until));
        let straight = self.map.frame().center_of(from).distance(there);
        // Most ways are hardly longer than the straight line.
        for limit in [1.3 * straight + 0.5, REACH.max(3.0 * straight)] {
            into.clear();
            into.resize(self.coarse.padded.places(), f32::INFINITY);
            let limit = (limit / self.coarse.resolution()) as f32;
            self.flood.run(&self.coarse.padded, &seeds, limit, |place, _, distance| into[place as usize] = distance);
            if into[until as usize].is_finite() {
                break;
            }
        }
        into[until as usize]
    }

    fn place(&self, cell: u32) -> u32 {
        self.coarse.place(self.map, cell)
    }

    /// Shortens the way piece by piece.
    pub(super) fn shorten(&mut self) {
        let route = std::mem::take(&mut self.route);
        let mut from = self.start;
        self.length = 0.0;
        for piece in route.chunks(STOPS_MAX) {
            let stops: Vec<u32> = std::iter::once(from).chain(piece.iter().copied()).collect();
            let (order, length) = Order::new(self.matrix(&stops)).improve();
            self.length += f64::from(length);
            self.route.extend(order.into_iter().skip(1).map(|stop| stops[stop]));
            from = self.route.last().copied().unwrap_or(from);
        }
    }

    fn matrix(&mut self, stops: &[u32]) -> Matrix {
        let places: Vec<u32> = stops.iter().map(|&stop| self.place(stop)).collect();
        let limit = (REACH / self.coarse.resolution()) as f32;
        let mut meters = vec![0.0; stops.len() * stops.len()];
        for (i, &place) in places.iter().enumerate() {
            self.flood.run(&self.coarse.padded, &[Seed { place, owner: 0, offset: 0.0 }], limit, |_, _, _| {});
            for (j, &other) in places.iter().enumerate() {
                let driven = self.flood.distance(other) * self.coarse.resolution() as f32;
                let straight =
                    self.map.frame().center_of(stops[i]).distance(self.map.frame().center_of(stops[j])) as f32;
                let estimate = 1.5 * straight.max(REACH as f32);
                meters[i * stops.len() + j] = if driven.is_finite() { driven.max(straight) } else { estimate };
            }
        }
        Matrix { count: stops.len(), meters }
    }

    /// Length of the way when it was last ordered, metres.
    pub(super) const fn length(&self) -> f64 {
        self.length
    }

    /// The viewpoints in order.
    pub(super) fn viewpoints(&self) -> Vec<Point> {
        self.route.iter().map(|&cell| self.map.frame().center_of(cell)).collect()
    }
}

struct Matrix {
    count: usize,
    meters: Vec<f32>,
}

impl Matrix {
    fn between(&self, a: usize, b: usize) -> f32 {
        self.meters[a * self.count + b]
    }
}

/// An order of stops that begins with stop 0 and may end anywhere.
struct Order {
    matrix: Matrix,
    order: Vec<usize>,
}

impl Order {
    fn new(matrix: Matrix) -> Self {
        let order = (0..matrix.count).collect();
        Self { matrix, order }
    }

    /// The better of two: the lanes as they were laid, and always the nearest next, each improved.
    fn improve(mut self) -> (Vec<usize>, f32) {
        self.descend();
        let (lanes, lanes_length) = (self.order.clone(), self.length());
        self.order = self.nearest_first();
        self.descend();
        let length = self.length();
        if length < lanes_length { (self.order, length) } else { (lanes, lanes_length) }
    }

    fn length(&self) -> f32 {
        self.order.windows(2).map(|pair| self.matrix.between(pair[0], pair[1])).sum()
    }

    fn nearest_first(&self) -> Vec<usize> {
        let mut left: Vec<usize> = (1..self.matrix.count).collect();
        let mut order: Vec<usize> = (0..self.matrix.count.min(1)).collect();
        while let Some(&at) = order.last() {
            let nearest = (0..left.len())
                .min_by(|&a, &b| self.matrix.between(at, left[a]).total_cmp(&self.matrix.between(at, left[b])));
            let Some(nearest) = nearest else { break };
            order.push(left.swap_remove(nearest));
        }
        order
    }

    fn descend(&mut self) {
        for _ in 0..PASSES {
            let turned = self.two_opt();
            let moved = self.or_opt();
            if !turned && !moved {
                break;
            }
        }
    }

    /// Distance from the stop at one position to that at another; none past the end.
    fn leg(&self, from: usize, to: usize) -> f32 {
        if to < self.order.len() { self.matrix.between(self.order[from], self.order[to]) } else { 0.0 }
    }

    /// Turns stretches round wherever that makes the way shorter.
    fn two_opt(&mut self) -> bool {
        let (count, mut better) = (self.order.len(), false);
        for i in 0..count.saturating_sub(2) {
            for j in i + 2..count {
                let now = self.leg(i, i + 1) + self.leg(j, j + 1);
                let turned = self.leg(i, j) + self.leg(i + 1, j + 1);
                if turned + 1e-4 < now {
                    self.order[i + 1..=j].reverse();
                    better = true;
                }
            }
        }
        better
    }

    /// Moves up to three stops in a row to where they cost less, either way round.
    fn or_opt(&mut self) -> bool {
        let (count, mut better) = (self.order.len(), false);
        for length in 1..=3 {
            for i in 1..count.saturating_sub(length - 1) {
                better |= self.move_stretch(i, length);
            }
        }
        better
    }

    fn move_stretch(&mut self, i: usize, length: usize) -> bool {
        let (count, end) = (self.order.len(), i + length - 1);
        if end >= count {
            return false;
        }
        let closing = if end + 1 < count { self.leg(i - 1, end + 1) } else { 0.0 };
        let saved = self.leg(i - 1, i) + self.leg(end, end + 1) - closing;
        let mut best = (1e-4, None);
        for k in (0..count).filter(|&k| k + 1 < i || k > end) {
            let now = self.leg(k, k + 1);
            let forward = self.leg(k, i) + if k + 1 < count { self.leg(end, k + 1) } else { 0.0 } - now;
            let backward = self.leg(k, end) + if k + 1 < count { self.leg(i, k + 1) } else { 0.0 } - now;
            for (cost, turn) in [(forward, false), (backward, true)] {
                if saved - cost > best.0 {
                    best = (saved - cost, Some((k, turn)));
                }
            }
        }
        let (_, Some((k, turn))) = best else { return false };
        let mut stretch: Vec<usize> = self.order.drain(i..=end).collect();
        if turn {
            stretch.reverse();
        }
        let at = if k > end { k + 1 - length } else { k + 1 };
        self.order.splice(at..at, stretch);
        true
    }
}
