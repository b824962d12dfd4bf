//! A planning map with more on it: peers, hazards and what a robot has learnt since it got the map.

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::Meters;

use crate::boards::Boards;
use crate::planning::{Passable, PlanningMap};

/// A planning map on which discs and squares are closed to the middle of the robot, for one or a few searches.
#[derive(Clone, Debug)]
pub struct Overlay<'a> {
    map: &'a PlanningMap,
    boards: Boards,
    discs: Vec<(Point, f64)>,
}

impl<'a> Overlay<'a> {
    /// The map as it is.
    #[must_use]
    pub fn new(map: &'a PlanningMap) -> Self {
        Self { map, boards: map.passable_boards().clone(), discs: Vec::new() }
    }

    /// The map below.
    #[must_use]
    pub const fn map(&self) -> &'a PlanningMap {
        self.map
    }

    /// Closes every square whose middle is nearer than `radius`: for a peer, the distance its centre and ours must keep.
    pub fn block_disc(&mut self, center: Point, radius: Meters) {
        if !center.is_finite() || !radius.is_finite() || radius.0 <= 0.0 {
            return;
        }
        for_disc(self.map.frame(), center, radius, |square| self.boards.set(square, false));
        self.discs.push((center, radius.0));
    }

    /// Closes one square.
    pub fn block(&mut self, square: u32) {
        self.boards.set(square, false);
    }

    /// Closes a set of squares; one with another frame changes nothing.
    pub fn block_region(&mut self, region: &Region) {
        if region.frame() == self.map.frame() {
            region.squares().for_each(|square| self.boards.set(square, false));
        }
    }

    /// Opens every square nearer than `radius` that the map itself lets pass: a robot must be able to leave the place
    /// where it is, whoever stands beside it.
    pub fn free_disc(&mut self, center: Point, radius: Meters) {
        let map = self.map;
        for_disc(map.frame(), center, radius, |square| {
            if map.passable(square) {
                self.boards.set(square, true);
            }
        });
    }
}

impl Passable for Overlay<'_> {
    fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }

    fn passable(&self, square: u32) -> bool {
        self.boards.free(square)
    }

    /// A disc's edge keeps the robot's middle away just as the edge of the passable squares does.
    fn clearance(&self, square: u32) -> f32 {
        let at = self.map.frame().center_of(square);
        let keep = self.map.params().clearance.0;
        let to_discs = self.discs.iter().map(|&(center, radius)| (center.distance(at) - radius + keep) as f32);
        to_discs.fold(self.map.clearance(square), f32::min)
    }

    fn boards(&self) -> Option<&Boards> {
        Some(&self.boards)
    }
}

/// Calls `visit` for every square whose middle is nearer to `center` than `radius`.
pub fn for_disc(frame: &RegionFrame, center: Point, radius: Meters, mut visit: impl FnMut(u32)) {
    if !center.is_finite() || !radius.is_finite() || radius.0 <= 0.0 {
        return;
    }
    let reach = radius.0 / frame.resolution;
    let (x, y) = ((center.x - frame.origin.x) / frame.resolution, (center.y - frame.origin.y) / frame.resolution);
    // Middles lie at half squares; the clamps keep both ends inside the frame.
    let ends = |middle: f64, half: f64, count: u32| {
        let first = (middle - half - 0.5).ceil().clamp(0.0, f64::from(count)) as u32;
        let end = ((middle + half - 0.5).floor() + 1.0).clamp(0.0, f64::from(count)) as u32;
        first..end
    };
    for row in ends(y, reach, frame.height) {
        let dy = f64::from(row) + 0.5 - y;
        let half = (reach * reach - dy * dy).max(0.0).sqrt();
        for column in ends(x, half, frame.width) {
            visit(row * frame.width + column);
        }
    }
}
