//! A small place for fleets in tests.

use std::path::Path;
use std::time::Duration;

use skein_sim::fleet::FleetConfig;
use skein_sim::place::Place;
use skein_space::map::{Cell, OccupancyMap};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;
use skein_types::region::RegionFrame;

/// Two rooms of 6 m × 6 m, a door 1.2 m wide between them, a shelf in each.
pub(crate) fn rooms() -> Place {
    let frame = RegionFrame { origin: Point::new(-6.5, -3.5), resolution: 0.05, width: 260, height: 140 };
    let is_wall = |at: Point| {
        let outside = at.x.abs() > 6.0 || at.y.abs() > 3.0;
        let middle = at.x.abs() < 0.1 && at.y.abs() > 0.6;
        let shelf = (at.x.abs() - 3.0).abs() < 0.3 && (at.y - 1.0).abs() < 1.0;
        outside || middle || shelf
    };
    let cell = |cell| if is_wall(frame.center_of(cell)) { Cell::Occupied } else { Cell::Free };
    let map = OccupancyMap::from_cells(frame, cell);
    Place::new(map, &BodyDescriptor::rover(), Path::new("rooms.yaml")).unwrap()
}

pub(crate) fn zone() -> Polygon {
    Polygon::rectangle(Point::new(-5.9, -2.9), Point::new(5.9, 2.9)).unwrap()
}

pub(crate) fn config(robots: usize, seed: u64) -> FleetConfig {
    FleetConfig { limit: Duration::from_secs(900), ..FleetConfig::new(rooms(), zone(), robots, seed) }
}
