//! Splitting a zone with holes among many robots.

use anyhow::{Context, Result, ensure};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::partition::{Site, split};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_space::zone::reachable_zone;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;
use skein_types::region::RegionFrame;

use crate::clock::median_seconds;
use crate::row::Row;

const ROBOTS: usize = 50;
const GOAL_S: f64 = 1.0;

/// 50 robots, one zone of 70 m by 50 m with holes, racks inside.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let map = hall()?;
    let square = |x: f64, y: f64, s: f64| {
        vec![Point::new(x, y), Point::new(x + s, y), Point::new(x + s, y + s), Point::new(x, y + s)]
    };
    let outer = vec![Point::new(1.0, 1.0), Point::new(71.0, 1.0), Point::new(71.0, 51.0), Point::new(1.0, 51.0)];
    let zone = Polygon::new(outer, vec![square(10.0, 20.0, 6.0), square(33.0, 8.0, 5.0), square(55.0, 30.0, 8.0)])?;
    let robots: Vec<Point> =
        (0..ROBOTS).map(|i| Point::new(2.5 + 1.2 * (i % 10) as f64, 1.8 + 1.2 * (i / 10) as f64)).collect();
    let region = reachable_zone(&map, &zone, &robots)?;
    let sites: Vec<Site> = robots.iter().map(|at| Site { at: *at, weight: 1.0 }).collect();
    let slices = split(&map, &region, &sites);
    let given: u64 = slices.iter().map(skein_types::region::Region::len).sum();
    ensure!(given == region.len(), "{given} of {} cells were given out", region.len());
    let largest = slices.iter().map(skein_types::region::Region::len).max().context("no slices")?;
    let seconds = median_seconds(5, || {
        std::hint::black_box(split(&map, &region, &sites));
    });
    Ok(vec![Row {
        name: format!("split a zone with holes among {ROBOTS} robots"),
        ours: seconds,
        reference: GOAL_S,
        ratio: seconds / GOAL_S,
        goal: "under 1 s".into(),
        met: seconds < GOAL_S,
        unit: "s",
        how: format!(
            "{} cells of 0.1 m, robots start in one corner, median of 5; the largest slice is {:.2} x the mean",
            region.len(),
            largest as f64 * ROBOTS as f64 / region.len() as f64
        ),
    }])
}

/// A hall of 72 m by 52 m with rows of racks.
fn hall() -> Result<PlanningMap> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.1, width: 720, height: 520 };
    let map = OccupancyMap::from_cells(frame, |cell| {
        let at = frame.center_of(cell);
        let wall = at.x < 0.3 || at.y < 0.3 || at.x > 71.7 || at.y > 51.7;
        let rack = at.y > 12.0 && at.y < 40.0 && at.x % 6.0 < 1.2 && (at.y % 14.0) > 2.0;
        if wall || rack { Cell::Occupied } else { Cell::Free }
    });
    Ok(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover()))?)
}
