//! The costmap: the static map with an overlay of obstacles, hazards, keepouts and standing peers.

use skein_space::bit_grid::BitGrid;
use skein_space::planning::{PlanningMap, Traversable};
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use std::sync::Arc;

/// Static map plus an overlay that can be removed again without copying the map.
#[derive(Clone, Debug)]
pub(crate) struct LayeredGrid {
    map: Arc<PlanningMap>,
    bits: BitGrid,
    overlay: Vec<u32>,
}

impl Traversable for LayeredGrid {
    fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }

    fn traversable(&self, cell: u32) -> bool {
        self.bits.free(cell)
    }

    fn clearance(&self, cell: u32) -> f32 {
        self.map.clearance(cell)
    }

    fn bit_grid(&self) -> Option<&BitGrid> {
        Some(&self.bits)
    }
}

impl LayeredGrid {
    /// The static map alone.
    pub(crate) fn new(map: Arc<PlanningMap>) -> Self {
        let frame = *map.frame();
        let bits = match Traversable::bit_grid(&*map) {
            Some(bits) => bits.clone(),
            None => BitGrid::new(frame.width, frame.height, |cell| map.traversable(cell)),
        };
        Self { map, bits, overlay: Vec::new() }
    }

    /// The static layer.
    pub(crate) const fn map(&self) -> &Arc<PlanningMap> {
        &self.map
    }

    /// Removes the overlay.
    pub(crate) fn clear_overlay(&mut self) {
        for cell in self.overlay.drain(..) {
            self.bits.set(cell, true);
        }
    }

    /// Blocks every cell whose centre is nearer than `radius` metres to a point.
    pub(crate) fn block_circle(&mut self, at: Point, radius: f64) {
        let frame = *self.map.frame();
        for cell in cells_within(&frame, at, radius) {
            if self.bits.free(cell) {
                self.bits.set(cell, false);
                self.overlay.push(cell);
            }
        }
    }

    /// Frees the overlay (not the static map) within `radius` metres of a point: a robot that stands there has to
    /// leave.
    pub(crate) fn unblock_circle(&mut self, at: Point, radius: f64) {
        let frame = *self.map.frame();
        let inside = |cell: &u32| frame.center_of(*cell).distance(at) < radius;
        let bits = &mut self.bits;
        self.overlay.retain(|cell| {
            if inside(cell) {
                bits.set(*cell, true);
                return false;
            }
            true
        });
    }

    /// Smallest clearance of the static map along a straight line, metres.
    pub(crate) fn clearance_along(&self, from: Point, to: Point) -> f64 {
        let frame = self.map.frame();
        let steps = (from.distance(to) / frame.resolution).ceil().clamp(1.0, 4000.0) as u32;
        (0..=steps)
            .map(|step| self.clearance_at(from.lerp(to, f64::from(step) / f64::from(steps))))
            .fold(f64::INFINITY, f64::min)
    }

    /// Clearance of the static map at a point, metres; zero outside.
    pub(crate) fn clearance_at(&self, at: Point) -> f64 {
        self.map.frame().cell_of(at).map_or(0.0, |cell| f64::from(self.map.clearance(cell)))
    }

    /// Whether a robot's centre may be at a point.
    pub(crate) fn traversable_at(&self, at: Point) -> bool {
        self.map.frame().cell_of(at).is_some_and(|cell| self.bits.free(cell))
    }
}

/// Cells whose centre is nearer than `radius` metres to a point.
pub(crate) fn cells_within(frame: &RegionFrame, at: Point, radius: f64) -> impl Iterator<Item = u32> + use<> {
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
        .filter(move |cell| frame.center_of(*cell).distance(at) < radius)
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
        let map = OccupancyMap::from_cells(frame, |cell| {
            let (x, y) = (cell % 160, cell / 160);
            let wall = !(8..152).contains(&x) || !(8..104).contains(&y);
            let pillar = (100..108).contains(&x) && (60..68).contains(&y);
            if wall || pillar { Cell::Occupied } else { Cell::Free }
        });
        Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap())
    }

    proptest! {
        #[test]
        fn clearing_the_overlay_restores_the_map(circles in prop::collection::vec((-1.0_f64..9.0, -1.0_f64..7.0, 0.0_f64..2.0), 0..6)) {
            let map = hall();
            let mut grid = LayeredGrid::new(map.clone());
            for (x, y, radius) in &circles {
                grid.block_circle(Point::new(*x, *y), *radius);
            }
            for cell in 0..map.frame().cells() as u32 {
                let center = map.frame().center_of(cell);
                let covered = circles.iter().any(|(x, y, radius)| center.distance(Point::new(*x, *y)) < *radius);
                prop_assert_eq!(grid.traversable(cell), map.traversable(cell) && !covered);
            }
            grid.clear_overlay();
            prop_assert!((0..map.frame().cells() as u32).all(|cell| grid.traversable(cell) == map.traversable(cell)));
        }
    }

    #[test]
    fn around_the_robot_only_the_map_blocks() {
        let mut grid = LayeredGrid::new(hall());
        let own = Point::new(2.0, 2.0);
        grid.block_circle(own, 1.0);
        grid.unblock_circle(own, 0.3);
        assert!(grid.traversable_at(own) && !grid.traversable_at(Point::new(2.6, 2.0)));
        grid.unblock_circle(Point::new(0.5, 2.0), 0.5);
        assert!(!grid.traversable_at(Point::new(0.5, 2.0)), "a wall stays a wall");
    }
}
