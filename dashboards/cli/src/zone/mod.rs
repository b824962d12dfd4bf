//! Zones: one polygon out of a GeoJSON file, in metres of the map's frame.
//!
//! RFC 7946 coordinates are longitude and latitude; they need the map's `datum`. A file that says `"frame": "map"` (in
//! the feature's `properties`, the collection's, or as a member beside `type`) is in metres of the map's own frame. One
//! zone is one polygon, holes included: a `MultiPolygon` of several is refused, because a mission has one zone, and only
//! a person can decide about the gap between two of them.

mod geojson;
mod map;
mod spans;

use std::fs;
use std::path::Path;

use serde_json::json;
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;

pub(crate) use map::MapFacts;

use crate::failure::{Exit, Failure};

/// Largest zone file, in bytes: ten thousand corners with every digit fit three times.
const ZONE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A zone read from a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Zone {
    /// Name in the file.
    pub name: Option<String>,
    /// In the map's frame.
    pub polygon: Polygon,
    /// Notes for the person who gave the file.
    pub notes: Vec<String>,
}

/// Reads a zone file. The map is needed for zones in longitude and latitude.
pub(crate) fn read(path: &Path, map: Option<&MapFacts>) -> Result<Zone, Failure> {
    let size = fs::metadata(path).map_err(|error| Failure::io("open", path, &error))?.len();
    if size > ZONE_BYTES_MAX {
        let message = format!("{} has {size} bytes; a zone file has at most {ZONE_BYTES_MAX}", path.display());
        return Err(Failure::usage(message).help("simplify the polygon: ten thousand corners are plenty"));
    }
    let bytes = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{name} is not text"))
            .help("a zone is a GeoJSON file: one Polygon, Feature or FeatureCollection")
    })?;
    geojson::parse(&name, &text, map)
}

/// The zone as GeoJSON in the map's frame, as every part of the system reads it.
pub(crate) fn to_geojson(zone: &Zone) -> serde_json::Value {
    let ring = |corners: &[Point]| -> Vec<[f64; 2]> {
        corners.iter().chain(corners.first()).map(|corner| [corner.x, corner.y]).collect()
    };
    let rings: Vec<_> = zone.polygon.rings().map(ring).collect();
    json!({
        "type": "Feature",
        "properties": { "name": zone.name, "frame": "map" },
        "geometry": { "type": "Polygon", "coordinates": rings },
    })
}

/// Checks that a zone overlaps a map, and notes a part outside. The supervisor decides which part robots can reach.
pub(crate) fn check_inside(zone: &Zone, map: &MapFacts) -> Result<Option<String>, Failure> {
    let (low, high) = zone.polygon.bounds();
    let (south_west, north_east) = map.bounds;
    let misses = high.x <= south_west.x || low.x >= north_east.x || high.y <= south_west.y || low.y >= north_east.y;
    let describe =
        |low: Point, high: Point| format!("x {:.1} to {:.1}, y {:.1} to {:.1}", low.x, high.x, low.y, high.y);
    if misses {
        let message = format!(
            "the zone lies outside the map: it spans {}; the map spans {} (metres)",
            describe(low, high),
            describe(south_west, north_east)
        );
        return Err(Failure::new(Exit::Refused, message)
            .help("check the zone's frame: GeoJSON is lon,lat unless its properties say \"frame\": \"map\""));
    }
    let sticks_out = low.x < south_west.x || low.y < south_west.y || high.x > north_east.x || high.y > north_east.y;
    Ok(sticks_out
        .then(|| format!("part of the zone lies outside the map, which spans {}", describe(south_west, north_east))))
}
