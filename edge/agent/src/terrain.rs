//! The map with what is known beyond it laid over: obstacles, hazards, places given up for a while, peers that stand.

use skein_space::bit_grid::BitGrid;
use skein_space::planning::{PlanningMap, Traversable};
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use std::sync::Arc;

/// A grid to plan on.
#[derive(Clone, Debug)]
pub(crate) struct Terrain {
    map: Arc<PlanningMap>,
    bits: BitGrid,
    covered: Vec<u32>,
}

impl Traversable for Terrain {
    fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }

    fn traversable(&self, square: u32) -> bool {
        self.bits.free(square)
    }

    fn clearance(&self, square: u32) -> f32 {
        self.map.clearance(square)
    }

    fn bit_grid(&self) -> Option<&BitGrid> {
        Some(&self.bits)
    }
}

impl Terrain {
    /// The bare map.
    pub(crate) fn new(map: Arc<PlanningMap>) -> Self {
        let frame = *map.frame();
        let bits = match Traversable::bit_grid(&*map) {
            Some(bits) => bits.clone(),
            None => BitGrid::new(frame.width, frame.height, |square| map.traversable(square)),
        };
        Self { map, bits, covered: Vec::new() }
    }

    /// The map below.
    pub(crate) const fn map(&self) -> &Arc<PlanningMap> {
        &self.map
    }

    /// Takes everything off again.
    pub(crate) fn clear(&mut self) {
        for square in self.covered.drain(..) {
            self.bits.set(square, true);
        }
    }

    /// Blocks every square whose middle is nearer than `radius` to a point.
    pub(crate) fn block_disc(&mut self, at: Point, radius: f64) {
        let frame = *self.map.frame();
        for square in squares_within(&frame, at, radius) {
            if self.bits.free(square) {
                self.bits.set(square, false);
                self.covered.push(square);
            }
        }
    }

    /// Frees what lies within `radius` of a point and was blocked here (not by the map): a robot that stands there has
    /// to get away.
    pub(crate) fn unblock_disc(&mut self, at: Point, radius: f64) {
        let frame = *self.map.frame();
        let inside = |square: &u32| frame.center_of(*square).distance(at) < radius;
        let bits = &mut self.bits;
        self.covered.retain(|square| {
            if inside(square) {
                bits.set(*square, true);
                return false;
            }
            true
        });
    }

    /// Smallest clearance of the map along a straight line, metres.
    pub(crate) fn clearance_along(&self, from: Point, to: Point) -> f64 {
        let frame = self.map.frame();
        let steps = (from.distance(to) / frame.resolution).ceil().clamp(1.0, 4000.0) as u32;
        (0..=steps)
            .map(|step| self.clearance_at(from.lerp(to, f64::from(step) / f64::from(steps))))
            .fold(f64::INFINITY, f64::min)
    }

    /// Clearance of the map at a point, metres.
    pub(crate) fn clearance_at(&self, at: Point) -> f64 {
        self.map.frame().square_of(at).map_or(0.0, |square| f64::from(self.map.clearance(square)))
    }

    /// Whether the middle of a robot may be at a point.
    pub(crate) fn traversable_at(&self, at: Point) -> bool {
        self.map.frame().square_of(at).is_some_and(|square| self.bits.free(square))
    }
}

/// Squares whose middle is nearer than `radius` to a point.
pub(crate) fn squares_within(frame: &RegionFrame, at: Point, radius: f64) -> impl Iterator<Item = u32> + use<> {
    let frame = *frame;
    let column = |x: f64, limit: u32| ((x / frame.resolution).floor().max(0.0) as u32).min(limit);
    let (west, east) = (
        column(at.x - radius - frame.origin.x, frame.width),
        column(at.x + radius - frame.origin.x + frame.resolution, frame.width),
    );
    let (south, north) = (
        column(at.y - radius - frame.origin.y, frame.height),
        column(at.y + radius - frame.origin.y + frame.resolution, frame.height),
    );
    (south..north)
        .flat_map(move |row| (west..east).map(move |column| row * frame.width + column))
        .filter(move |square| frame.center_of(*square).distance(at) < radius)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_space::map::{Cell, OccupancyMap};
    use skein_space::planning::PlanningParams;
    use skein_types::body::BodyDescriptor;

    /// A hall of 7.2 m by 4.8 m with walls of 0.4 m around it and a pillar in it.
    pub(crate) fn hall() -> Arc<PlanningMap> {
        let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: 160, height: 112 };
        let map = OccupancyMap::from_cells(frame, |square| {
            let (x, y) = (square % 160, square / 160);
            let wall = !(8..152).contains(&x) || !(8..104).contains(&y);
            let pillar = (100..108).contains(&x) && (60..68).contains(&y);
            if wall || pillar { Cell::Occupied } else { Cell::Free }
        });
        Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_laid_over_the_map_comes_off_again(discs in prop::collection::vec((-1.0_f64..9.0, -1.0_f64..7.0, 0.0_f64..2.0), 0..6)) {
            let map = hall();
            let mut terrain = Terrain::new(map.clone());
            for (x, y, radius) in &discs {
                terrain.block_disc(Point::new(*x, *y), *radius);
            }
            for square in 0..map.frame().squares() as u32 {
                let center = map.frame().center_of(square);
                let covered = discs.iter().any(|(x, y, radius)| center.distance(Point::new(*x, *y)) < *radius);
                prop_assert_eq!(terrain.traversable(square), map.traversable(square) && !covered);
            }
            terrain.clear();
            prop_assert!((0..map.frame().squares() as u32).all(|square| terrain.traversable(square) == map.traversable(square)));
        }
    }

    #[test]
    fn around_the_robot_only_the_map_itself_blocks() {
        let mut terrain = Terrain::new(hall());
        let own = Point::new(2.0, 2.0);
        terrain.block_disc(own, 1.0);
        terrain.unblock_disc(own, 0.3);
        assert!(terrain.traversable_at(own) && !terrain.traversable_at(Point::new(2.6, 2.0)));
        terrain.unblock_disc(Point::new(0.5, 2.0), 0.5);
        assert!(!terrain.traversable_at(Point::new(0.5, 2.0)), "a wall stays a wall");
    }
}
