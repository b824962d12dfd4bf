//! A zone from a GeoJSON file: longitude and latitude (RFC 7946), or metres of the map's own frame when its
//! `properties.frame` is `"map"`.

use serde_json::Value;
use skein_types::geo::{Datum, Geodetic, GeodeticError};
use skein_types::geometry::Point;
use skein_types::polygon::{Polygon, PolygonError};
use thiserror::Error;

/// Most bytes a zone file may have.
pub const ZONE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a zone was refused.
#[derive(Debug, Error)]
pub enum ZoneFileError {
    /// Not JSON at all.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but not one polygon.
    #[error("{0}")]
    Shape(String),
    /// A position that is none.
    #[error("corner {corner} of ring {ring} is {found}; it must be two numbers")]
    Position {
        /// Which ring, 0 is the exterior.
        ring: usize,
        /// Number of the corner, from 0.
        corner: usize,
        /// What is there.
        found: String,
    },
    /// A place that is not on the earth.
    #[error("corner {corner} of ring {ring} is no place on the earth")]
    Geodetic {
        /// Which ring, 0 is the exterior.
        ring: usize,
        /// Number of the corner, from 0.
        corner: usize,
        /// What is wrong.
        source: GeodeticError,
    },
    /// Longitude and latitude need to know where the map is.
    #[error(
        "it is in longitude and latitude, but the map's YAML has no `datum: {{lat: …, lon: …}}`; add one, or draw in metres of the map and set `properties.frame` to \"map\""
    )]
    NoDatum,
    /// `properties.frame` is something else.
    #[error("properties.frame is {0}; it may be \"map\" (metres) or missing (longitude and latitude)")]
    Frame(String),
    /// The corners make no polygon.
    #[error("the polygon is refused")]
    Polygon(#[from] PolygonError),
}

/// Reads a zone: a polygon, a feature with one, or a collection of exactly one such feature.
///
/// # Errors
/// [`ZoneFileError`] names the ring and the corner.
pub fn parse_zone(text: &str, datum: Option<Datum>) -> Result<Polygon, ZoneFileError> {
    let root: Value = serde_json::from_str(text)?;
    let feature = only_feature(&root)?;
    let rings = rings_of(feature)?;
    let in_map_frame = match feature.get("properties").and_then(|properties| properties.get("frame")) {
        None | Some(Value::Null) => false,
        Some(Value::String(frame)) if frame == "map" => true,
        Some(other) => return Err(ZoneFileError::Frame(other.to_string())),
    };
    let convert = match (in_map_frame, datum) {
        (true, _) => None,
        (false, Some(datum)) => Some(datum),
        (false, None) => return Err(ZoneFileError::NoDatum),
    };
    let mut rings = rings.iter().enumerate().map(|(number, ring)| read_ring(number, ring, convert));
    let exterior = rings.next().ok_or_else(|| ZoneFileError::Shape("the polygon has no rings".into()))??;
    let holes = rings.collect::<Result<Vec<_>, _>>()?;
    Ok(Polygon::new(exterior, holes)?)
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("nothing that GeoJSON knows")
}

fn only_feature(root: &Value) -> Result<&Value, ZoneFileError> {
    if kind(root) != "FeatureCollection" {
        return Ok(root);
    }
    match root.get("features").and_then(Value::as_array).map(Vec::as_slice) {
        Some([feature]) => Ok(feature),
        Some(features) => {
            Err(ZoneFileError::Shape(format!("it has {} features; a zone is exactly one", features.len())))
        }
        None => Err(ZoneFileError::Shape("its `features` is no list".into())),
    }
}

fn rings_of(feature: &Value) -> Result<&[Value], ZoneFileError> {
    let geometry = if kind(feature) == "Feature" { feature.get("geometry").unwrap_or(&Value::Null) } else { feature };
    let list = |value: Option<&'_ Value>| -> Option<usize> { value.and_then(Value::as_array).map(Vec::len) };
    let coordinates = geometry.get("coordinates");
    let rings = match kind(geometry) {
        "Polygon" => coordinates,
        "MultiPolygon" if list(coordinates) == Some(1) => coordinates.and_then(|all| all.get(0)),
        other => return Err(ZoneFileError::Shape(format!("it is a {other}; a zone is one Polygon"))),
    };
    let rings = rings.and_then(Value::as_array);
    rings.map(Vec::as_slice).ok_or_else(|| ZoneFileError::Shape("its `coordinates` is no list of rings".into()))
}

fn read_ring(ring: usize, corners: &Value, datum: Option<Datum>) -> Result<Vec<Point>, ZoneFileError> {
    let corners =
        corners.as_array().ok_or_else(|| ZoneFileError::Shape(format!("ring {ring} is no list of positions")))?;
    let read = |(corner, position): (usize, &Value)| {
        let numbers = position.as_array().filter(|p| p.len() >= 2);
        let at = |index: usize| numbers.and_then(|p| p.get(index)).and_then(Value::as_f64);
        let (Some(x), Some(y)) = (at(0), at(1)) else {
            let found = position.to_string().chars().take(60).collect();
            return Err(ZoneFileError::Position { ring, corner, found });
        };
        let Some(datum) = datum else { return Ok(Point::new(x, y)) };
        let place = Geodetic::new(x, y).map_err(|source| ZoneFileError::Geodetic { ring, corner, source })?;
        Ok(datum.map_from_geodetic(place))
    };
    corners.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = "[[[0,0],[4,0],[4,3],[0,3],[0,0]]]";

    fn feature(coordinates: &str, properties: &str) -> String {
        format!(
            r#"{{"type":"Feature","properties":{properties},"geometry":{{"type":"Polygon","coordinates":{coordinates}}}}}"#
        )
    }

    #[test]
    fn metres_of_the_map_are_taken_as_they_are() {
        let zone = parse_zone(&feature(SQUARE, r#"{"frame":"map"}"#), None).unwrap();
        assert_eq!(zone.area(), 12.0);
        let collection =
            format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, feature(SQUARE, r#"{"frame":"map"}"#));
        assert_eq!(parse_zone(&collection, None).unwrap(), zone);
    }

    #[test]
    fn longitude_and_latitude_need_a_datum_and_come_out_in_metres() {
        let drawn = "[[[11.5755,48.1374],[11.5765,48.1374],[11.5765,48.1384],[11.5755,48.1384]]]";
        assert!(matches!(parse_zone(&feature(drawn, "{}"), None), Err(ZoneFileError::NoDatum)));
        let datum = Datum(Geodetic::new(11.5755, 48.1374).unwrap());
        let zone = parse_zone(&feature(drawn, "null"), Some(datum)).unwrap();
        assert!((zone.area() - 74.4 * 111.2).abs() < 20.0, "{}", zone.area());
        let swapped = "[[[48.1374,111.5755],[48.1374,111.5765],[48.1384,111.5765]]]";
        assert!(matches!(parse_zone(&feature(swapped, "{}"), Some(datum)), Err(ZoneFileError::Geodetic { .. })));
    }

    #[test]
    fn what_is_no_zone_is_refused_with_its_reason() {
        let map = r#"{"frame":"map"}"#;
        for (text, reason) in [
            ("{".to_owned(), "JSON"),
            ("[1,2]".to_owned(), "a zone is one Polygon"),
            (r#"{"type":"Point","coordinates":[1,2],"properties":{"frame":"map"}}"#.to_owned(), "Point"),
            (r#"{"type":"FeatureCollection","features":[]}"#.to_owned(), "0 features"),
            (feature("[[[0,0],[1,null],[1,1]]]", map), "corner 1 of ring 0"),
            (feature("[[[0,0],[2,2],[2,0],[0,2]]]", map), "crosses"),
            (feature("7", map), "coordinates"),
            (feature(SQUARE, r#"{"frame":"earth"}"#), "earth"),
            (feature("[]", map), "no rings"),
            (feature("[[[0,0],[1e999,0],[1,1]]]", map), "JSON"),
        ] {
            let error = format!("{:#}", anyhow::Error::from(parse_zone(&text, None).unwrap_err()));
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
