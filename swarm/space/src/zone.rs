//! Polygons as cells.

use skein_types::geometry::Point;
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionError, RegionFrame, Run};
use thiserror::Error;

use crate::planning::PlanningMap;

/// Why a zone cannot be worked in.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ZoneError {
    /// It does not overlap the map.
    #[error(
        "the zone ({min_x:.1}, {min_y:.1}) to ({max_x:.1}, {max_y:.1}) lies outside the map ({map_min_x:.1}, {map_min_y:.1}) to ({map_max_x:.1}, {map_max_y:.1}) m: is it in another frame?"
    )]
    OutsideMap {
        /// West edge of the zone, metres.
        min_x: f64,
        /// South edge of the zone.
        min_y: f64,
        /// East edge of the zone.
        max_x: f64,
        /// North edge of the zone.
        max_y: f64,
        /// West edge of the map.
        map_min_x: f64,
        /// South edge of the map.
        map_min_y: f64,
        /// East edge of the map.
        map_max_x: f64,
        /// North edge of the map.
        map_max_y: f64,
    },
    /// It contains the middle of no cell.
    #[error("the zone is smaller than a cell of the map ({resolution} m)")]
    TooSmall {
        /// Side of a cell, metres.
        resolution: f64,
    },
    /// Walls or unknown ground everywhere in it.
    #[error("the zone has no free area on the map")]
    NothingFree,
    /// Free area, but no robot gets there.
    #[error("no robot can reach any of the zone's {free:.1} m² of free area from where the robots are")]
    NothingReachable {
        /// Free area of the zone, m².
        free: f64,
    },
    /// Too ragged to be written down.
    #[error("the zone is too ragged: {0}")]
    Region(#[from] RegionError),
}

/// The cells whose middles lie in a polygon, walls and all.
///
/// # Errors
/// [`ZoneError`] when it lies outside the map or holds the middle of no cell.
pub fn zone_region(frame: &RegionFrame, polygon: &Polygon) -> Result<Region, ZoneError> {
    let (low, high) = polygon.bounds();
    let (map_low, map_high) = (frame.origin, far_corner(frame));
    if high.x <= map_low.x || high.y <= map_low.y || low.x >= map_high.x || low.y >= map_high.y {
        return Err(ZoneError::OutsideMap {
            min_x: low.x,
            min_y: low.y,
            max_x: high.x,
            max_y: high.y,
            map_min_x: map_low.x,
            map_min_y: map_low.y,
            map_max_x: map_high.x,
            map_max_y: map_high.y,
        });
    }
    let region = Region::new(*frame, rasterise(frame, polygon)?)?;
    if region.is_empty() { Err(ZoneError::TooSmall { resolution: frame.resolution }) } else { Ok(region) }
}

/// The part of a polygon that robots at the given places can sweep: reachable cells of the zone.
///
/// # Errors
/// [`ZoneError`] tells apart a zone outside the map, one without free area and one out of reach.
pub fn reachable_zone(map: &PlanningMap, polygon: &Polygon, robots: &[Point]) -> Result<Region, ZoneError> {
    let zone = zone_region(map.frame(), polygon)?;
    let free = zone.intersection(&map.free())?;
    if free.is_empty() {
        return Err(ZoneError::NothingFree);
    }
    let reachable = free.intersection(&map.reachable_from(robots))?;
    if reachable.is_empty() { Err(ZoneError::NothingReachable { free: free.area() }) } else { Ok(reachable) }
}

fn far_corner(frame: &RegionFrame) -> Point {
    frame.origin + Point::new(f64::from(frame.width), f64::from(frame.height)) * frame.resolution
}

/// Row by row: the crossings of the row's middle line with the edges, in order, enclose the runs in pairs.
fn rasterise(frame: &RegionFrame, polygon: &Polygon) -> Result<Vec<Run>, ZoneError> {
    let edges = Edges::from_south(frame, polygon);
    let (mut runs, mut active, mut next): (Vec<Run>, Vec<usize>, usize) = (Vec::new(), Vec::new(), 0);
    let mut crossings = Vec::new();
    for row in 0..frame.height {
        let y = frame.origin.y + (f64::from(row) + 0.5) * frame.resolution;
        while edges.list.get(next).is_some_and(|edge| edge.low.y <= y) {
            active.push(next);
            next += 1;
        }
        active.retain(|&edge| edges.list[edge].high.y > y);
        crossings.clear();
        crossings.extend(active.iter().map(|&edge| edges.list[edge].x_at(y)));
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            push_run(frame, row, pair[0], pair[1], &mut runs);
        }
        if runs.len() > skein_types::region::REGION_RUNS_MAX {
            return Err(RegionError::TooManyRuns(runs.len()).into());
        }
    }
    Ok(runs)
}

/// The cells of a row whose middles are in `[from, to)`.
fn push_run(frame: &RegionFrame, row: u32, from: f64, to: f64, runs: &mut Vec<Run>) {
    let column =
        |x: f64| ((x - frame.origin.x) / frame.resolution - 0.5).ceil().clamp(0.0, f64::from(frame.width)) as u32;
    let (first, end) = (column(from), column(to));
    if first >= end {
        return;
    }
    let start = row * frame.width + first;
    match runs.last_mut() {
        Some(run) if run.start + run.length == start => run.length += end - first,
        _ => runs.push(Run { start, length: end - first }),
    }
}

struct Edge {
    low: Point,
    high: Point,
}

impl Edge {
    fn x_at(&self, y: f64) -> f64 {
        self.low.x + (self.high.x - self.low.x) * (y - self.low.y) / (self.high.y - self.low.y)
    }
}

/// Edges that are not level, by their lower end.
struct Edges {
    list: Vec<Edge>,
}

impl Edges {
    fn from_south(frame: &RegionFrame, polygon: &Polygon) -> Self {
        let top = far_corner(frame).y;
        let mut list: Vec<Edge> = polygon
            .rings()
            .flat_map(|ring| ring.iter().zip(ring.iter().cycle().skip(1)))
            .filter(|(a, b)| a.y != b.y)
            .map(|(&a, &b)| if a.y < b.y { Edge { low: a, high: b } } else { Edge { low: b, high: a } })
            .filter(|edge| edge.low.y < top)
            .collect();
        list.sort_by(|a, b| a.low.y.total_cmp(&b.low.y));
        Self { list }
    }
}
