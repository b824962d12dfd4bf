//! The map everyone plans on and the fence nobody leaves, from their files.

use std::path::{Path, PathBuf};

use serde_json::Value;
use skein_space::map::{MAP_PIXELS_MAX, META_BYTES_MAX, MapError, MapMeta, OccupancyMap};
use skein_types::geo::{Datum, Geodetic, GeodeticError};
use skein_types::geometry::Point;
use skein_types::polygon::{Polygon, PolygonError};
use thiserror::Error;

/// Largest fence file.
const FENCE_BYTES_MAX: u64 = 1024 * 1024;
/// An image's header and comments, beside at most two bytes a pixel.
const IMAGE_BYTES_MAX: u64 = 2 * MAP_PIXELS_MAX + 4096;
/// Without a fence of its own a robot stays within the map and this much around it, metres: a body keeps clear of its
/// fence by its radius and more, and every free place on the map must stay within reach.
const AROUND_MAP: f64 = 0.5;

/// Why a place was refused.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file that cannot be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than anything sensible.
    #[error("{} has {bytes} bytes, more than {max}", path.display())]
    TooLarge {
        /// The file that is too large.
        path: PathBuf,
        /// Its size, bytes.
        bytes: u64,
        /// How many it may have.
        max: u64,
    },
    /// The map is wrong.
    #[error("the map {} cannot be used", path.display())]
    Map {
        /// Its YAML.
        path: PathBuf,
        /// What is wrong.
        source: MapError,
    },
    /// The fence is wrong.
    #[error("the fence {} cannot be used", path.display())]
    Fence {
        /// The file of the fence.
        path: PathBuf,
        /// What is wrong.
        source: FenceError,
    },
}

/// What is wrong with a fence.
#[derive(Debug, Error)]
pub enum FenceError {
    /// No JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// Not one polygon.
    #[error("it must hold exactly one GeoJSON Polygon; it holds {0}")]
    NotOnePolygon(String),
    /// No pair of numbers.
    #[error("corner {corner} of ring {ring} is no pair of numbers")]
    Corner {
        /// Which ring; 0 is the outer one.
        ring: usize,
        /// Number of the corner, from 0.
        corner: usize,
    },
    /// Longitude or latitude out of range.
    #[error("corner {corner} of ring {ring}: {source}")]
    Geodetic {
        /// Number of the ring, from 0: the exterior first.
        ring: usize,
        /// Number of the corner in its ring, from 0.
        corner: usize,
        /// What is wrong.
        source: GeodeticError,
    },
    /// Longitude and latitude, and a map that is nowhere.
    #[error(
        "it is in longitude and latitude, but the map has no datum: add one, or \"frame\": \"map\" to its properties"
    )]
    NoDatum,
    /// A frame that is not known.
    #[error("properties.frame is {0}; it is \"map\" (metres) or absent (longitude, latitude)")]
    Frame(String),
    /// No simple polygon.
    #[error(transparent)]
    Polygon(#[from] PolygonError),
}

/// Reads a ROS map: the YAML and the image it names.
///
/// # Errors
/// [`PlaceError`] names the file.
pub fn load_map(yaml: &Path) -> Result<OccupancyMap, PlaceError> {
    let text = String::from_utf8_lossy(&read(yaml, META_BYTES_MAX as u64)?).into_owned();
    let wrong = |source: MapError| PlaceError::Map { path: yaml.to_owned(), source };
    let meta = MapMeta::parse(&text).map_err(|e| wrong(e.into()))?;
    let image = yaml.parent().unwrap_or_else(|| Path::new("")).join(&meta.image);
    OccupancyMap::from_pgm(&meta, &read(&image, IMAGE_BYTES_MAX)?).map_err(wrong)
}

/// The content hash of a map, in hex.
#[must_use]
pub fn hash_of(map: &OccupancyMap) -> String {
    map.hash().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fence of a file, or the map's own bounds.
///
/// # Errors
/// [`PlaceError`] names the file.
pub fn load_fence(file: Option<&Path>, map: &OccupancyMap) -> Result<Polygon, PlaceError> {
    let wrong = |source| PlaceError::Fence { path: file.unwrap_or_else(|| Path::new("of the map")).to_owned(), source };
    match file {
        Some(path) => parse_fence(&read(path, FENCE_BYTES_MAX)?, map.datum()).map_err(wrong),
        None => around(map).map_err(|e| wrong(e.into())),
    }
}

fn around(map: &OccupancyMap) -> Result<Polygon, PolygonError> {
    let frame = map.frame();
    let low = frame.origin - Point::new(AROUND_MAP, AROUND_MAP);
    let size = Point::new(f64::from(frame.width), f64::from(frame.height)) * frame.resolution;
    let high = frame.origin + size + Point::new(AROUND_MAP, AROUND_MAP);
    let corners = vec![low, Point::new(high.x, low.y), high, Point::new(low.x, high.y)];
    Polygon::new(corners, Vec::new())
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, PlaceError> {
    let failed = |source| PlaceError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > max {
        return Err(PlaceError::TooLarge { path: path.to_owned(), bytes, max });
    }
    std::fs::read(path).map_err(failed)
}

/// One GeoJSON Polygon, alone or in a feature: longitude and latitude (RFC 7946), or metres of the map's own frame when
/// its `properties.frame` is `"map"`.
fn parse_fence(bytes: &[u8], datum: Option<Datum>) -> Result<Polygon, FenceError> {
    let root: Value = serde_json::from_slice(bytes)?;
    let feature = the_one_feature(&root)?;
    let geometry = feature.get("geometry").unwrap_or(feature);
    if geometry["type"] != "Polygon" {
        return Err(FenceError::NotOnePolygon(format!("a {}", geometry["type"])));
    }
    let frame = feature.pointer("/properties/frame").or_else(|| root.pointer("/properties/frame"));
    let datum = match frame {
        None => Some(datum.ok_or(FenceError::NoDatum)?),
        Some(Value::String(word)) if word == "map" => None,
        Some(other) => return Err(FenceError::Frame(other.to_string())),
    };
    let none = Vec::new();
    let rings = geometry["coordinates"].as_array().unwrap_or(&none).iter().enumerate();
    let mut rings = rings.map(|(index, ring)| read_ring(index, ring, datum)).collect::<Result<Vec<_>, _>>()?;
    if rings.is_empty() {
        return Err(FenceError::NotOnePolygon("a Polygon without coordinates".into()));
    }
    let exterior = rings.remove(0);
    Ok(Polygon::new(exterior, rings)?)
}

fn the_one_feature(root: &Value) -> Result<&Value, FenceError> {
    let Some(features) = root.get("features").and_then(Value::as_array) else { return Ok(root) };
    match features.as_slice() {
        [one] => Ok(one),
        many => Err(FenceError::NotOnePolygon(format!("{} features", many.len()))),
    }
}

fn read_ring(ring: usize, corners: &Value, datum: Option<Datum>) -> Result<Vec<Point>, FenceError> {
    let none = Vec::new();
    let read = |(corner, pair): (usize, &Value)| {
        let (Some(x), Some(y)) = (pair.get(0).and_then(Value::as_f64), pair.get(1).and_then(Value::as_f64)) else {
            return Err(FenceError::Corner { ring, corner });
        };
        match datum {
            None => Ok(Point::new(x, y)),
            Some(datum) => Geodetic::new(x, y)
                .map(|place| datum.map_from_geodetic(place))
                .map_err(|source| FenceError::Geodetic { ring, corner, source }),
        }
    };
    corners.as_array().unwrap_or(&none).iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = r#"{"type":"Feature","properties":{"frame":"map"},"geometry":
        {"type":"Polygon","coordinates":[[[0,0],[4,0],[4,3],[0,3],[0,0]]]}}"#;

    #[test]
    fn a_fence_in_metres_is_taken_as_it_is() {
        let fence = parse_fence(SQUARE.as_bytes(), None).unwrap();
        assert!((fence.area() - 12.0).abs() < 1e-9);
        let in_collection = format!(r#"{{"type":"FeatureCollection","features":[{SQUARE}]}}"#);
        assert_eq!(parse_fence(in_collection.as_bytes(), None).unwrap(), fence);
    }

    #[test]
    fn a_fence_in_longitude_and_latitude_needs_a_datum_and_the_right_order() {
        let ring = |pairs: &str| format!(r#"{{"type":"Polygon","coordinates":[[{pairs}]]}}"#);
        let right = ring("[11.5755,48.1374],[11.5756,48.1374],[11.5756,48.1375],[11.5755,48.1375]");
        assert!(matches!(parse_fence(right.as_bytes(), None), Err(FenceError::NoDatum)));
        let datum = Some(Datum(Geodetic::new(11.5755, 48.1374).unwrap()));
        let area = parse_fence(right.as_bytes(), datum).unwrap().area();
        assert!((area - 7.44 * 11.12).abs() < 0.5, "{area}");
        let swapped = ring("[48.1,111.5],[48.2,111.5],[48.2,111.6]");
        assert!(matches!(parse_fence(swapped.as_bytes(), datum), Err(FenceError::Geodetic { corner: 0, .. })));
    }

    #[test]
    fn what_is_no_single_simple_polygon_is_refused_with_a_reason() {
        let refused = |text: &str| parse_fence(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused("{").contains("not JSON"));
        assert!(refused("{}").contains("exactly one GeoJSON Polygon"));
        assert!(refused(r#"{"type":"FeatureCollection","features":[]}"#).contains("0 features"));
        assert!(refused(&SQUARE.replace("Polygon", "Point")).contains("Point"));
        assert!(refused(&SQUARE.replace("\"map\"", "\"world\"")).contains("\"world\""));
        assert!(refused(&SQUARE.replace("[4,0]", "[4]")).contains("corner 1 of ring 0"));
        assert!(refused(&SQUARE.replace("[4,3],[0,3]", "[0,3],[4,3]")).contains("crosses"));
    }
}
