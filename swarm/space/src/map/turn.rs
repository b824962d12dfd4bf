//! Maps whose origin has a yaw, brought onto a grid along the axes.

use skein_types::geometry::{Point, Pose};
use skein_types::region::RegionFrame;

use super::{Cell, MAP_PIXELS_MAX, MapError, OccupancyMap};

/// Shares of a cell's side at which it is compared with the source: its border and its middle, so that a wall one
/// pixel thick leaves no gap.
const SAMPLES: [f64; 3] = [0.001, 0.5, 0.999];

/// The same map with yaw zero. A cell takes the worst of the pixels it overlaps.
pub(super) fn straighten(map: &OccupancyMap, yaw: f64) -> Result<OccupancyMap, MapError> {
    let source = map.frame;
    let map_from_image = Pose { position: source.origin, z: 0.0, heading: yaw };
    let frame = bounding_frame(&source, &map_from_image);
    if frame.cells() > MAP_PIXELS_MAX {
        return Err(MapError::TurnedTooLarge(frame.cells()));
    }
    let mut values = Vec::with_capacity(frame.cells() as usize);
    for row in 0..frame.height {
        for column in 0..frame.width {
            values.push(worst(map, &map_from_image, &frame, column, row));
        }
    }
    Ok(OccupancyMap { frame, values, free_max: map.free_max, datum: map.datum })
}

fn bounding_frame(source: &RegionFrame, map_from_image: &Pose) -> RegionFrame {
    let (w, h) = (f64::from(source.width) * source.resolution, f64::from(source.height) * source.resolution);
    let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(x, y)| map_from_image.map_from_body(Point::new(x, y)));
    let low = corners.iter().fold(corners[0], |a, b| Point::new(a.x.min(b.x), a.y.min(b.y)));
    let high = corners.iter().fold(corners[0], |a, b| Point::new(a.x.max(b.x), a.y.max(b.y)));
    // A quarter turn must not gain a row from rounding.
    let cells = |length: f64| (length / source.resolution - 1e-6).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
    RegionFrame {
        origin: low,
        resolution: source.resolution,
        width: cells(high.x - low.x),
        height: cells(high.y - low.y),
    }
}

fn worst(map: &OccupancyMap, map_from_image: &Pose, frame: &RegionFrame, column: u32, row: u32) -> i8 {
    let image = RegionFrame { origin: Point::default(), ..map.frame };
    let mut worst = (Cell::Free, 0_i8);
    for share_y in SAMPLES {
        for share_x in SAMPLES {
            let x = frame.origin.x + (f64::from(column) + share_x) * frame.resolution;
            let y = frame.origin.y + (f64::from(row) + share_y) * frame.resolution;
            let at = image.cell_of(map_from_image.body_from_map(Point::new(x, y)));
            let value = at.map_or(-1, |cell| map.value(cell));
            let cell = at.map_or(Cell::Unknown, |cell| map.cell(cell));
            worst = worst.max((cell, value));
        }
    }
    worst.1
}
