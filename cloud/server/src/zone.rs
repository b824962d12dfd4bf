//! Zones as people write them in JSON: corners in metres of the map, or GeoJSON.

use axum::http::StatusCode;
use serde_json::Value;
use skein_types::geo::{Datum, Geodetic};
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;

use crate::problem::Problem;

fn bad(path: &str, what: impl core::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad_zone",
        format!("field {path} {what}"),
        "a zone is {\"exterior\": [[x, y], …], \"holes\": […]} in metres of the map, or a GeoJSON polygon",
    )
}

/// How the numbers of a corner become a place on the map.
#[derive(Clone, Copy)]
enum Frame {
    /// Metres in the map's own frame.
    Map,
    /// Longitude and latitude.
    Earth(Datum),
}

/// Reads a zone. GeoJSON is longitude, latitude unless its properties (or itself) say `frame: "map"`.
pub(crate) fn polygon(zone: &Value, datum: Option<Datum>) -> Result<Polygon, Problem> {
    match zone.get("type").and_then(Value::as_str) {
        None => {
            let exterior = zone.get("exterior").ok_or_else(|| bad("zone.exterior", "is missing"))?;
            let holes = match zone.get("holes") {
                None | Some(Value::Null) => &[],
                Some(holes) => list(holes, "zone.holes")?,
            };
            build(exterior, "zone.exterior", holes, "zone.holes", Frame::Map)
        }
        Some("FeatureCollection") => match list(zone.get("features").unwrap_or(&Value::Null), "zone.features")? {
            [feature] => polygon(feature, datum),
            features => Err(bad("zone.features", format!("has {} features; it needs exactly one", features.len()))),
        },
        Some("Feature") => {
            let geometry = zone.get("geometry").ok_or_else(|| bad("zone.geometry", "is missing"))?;
            geometry_polygon(geometry, frame(zone.get("properties"), datum)?)
        }
        Some("Polygon") => geometry_polygon(zone, frame(Some(zone), datum)?),
        Some(other) => Err(bad("zone.type", format!("is {other:?}; it must be Polygon or a Feature with one"))),
    }
}

fn frame(properties: Option<&Value>, datum: Option<Datum>) -> Result<Frame, Problem> {
    match properties.and_then(|properties| properties.get("frame")).and_then(Value::as_str) {
        Some("map") => Ok(Frame::Map),
        Some(other) => Err(bad("zone.properties.frame", format!("is {other:?}; \"map\" is the only one there is"))),
        None => datum.map(Frame::Earth).ok_or_else(|| {
            bad("zone", "is in longitude and latitude, but the map's file has no datum; give metres with properties.frame \"map\"")
        }),
    }
}

fn geometry_polygon(geometry: &Value, frame: Frame) -> Result<Polygon, Problem> {
    if geometry.get("type").and_then(Value::as_str) != Some("Polygon") {
        return Err(bad("zone.geometry.type", "must be Polygon"));
    }
    let rings = list(geometry.get("coordinates").unwrap_or(&Value::Null), "zone.coordinates")?;
    let (exterior, holes) = rings.split_first().ok_or_else(|| bad("zone.coordinates", "is empty"))?;
    build(exterior, "zone.coordinates[0]", holes, "zone.coordinates", frame)
}

fn build(exterior: &Value, path: &str, holes: &[Value], holes_path: &str, frame: Frame) -> Result<Polygon, Problem> {
    let exterior = ring(exterior, path, frame)?;
    let hole = |(i, hole): (usize, &Value)| ring(hole, &format!("{holes_path}[{i}]"), frame);
    let holes = holes.iter().enumerate().map(hole).collect::<Result<_, _>>()?;
    Polygon::new(exterior, holes).map_err(|error| bad("zone", format!("is no usable polygon: {error}")))
}

fn ring(ring: &Value, path: &str, frame: Frame) -> Result<Vec<Point>, Problem> {
    list(ring, path)?.iter().enumerate().map(|(i, at)| corner(at, &format!("{path}[{i}]"), frame)).collect()
}

fn corner(corner: &Value, path: &str, frame: Frame) -> Result<Point, Problem> {
    let pair = match corner {
        Value::Array(numbers) => (numbers.first(), numbers.get(1)),
        other => (other.get("x"), other.get("y")),
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let (Some(a), Some(b)) = (number(pair.0), number(pair.1)) else {
        return Err(bad(path, "must be two numbers, [x, y] or {\"x\": …, \"y\": …}"));
    };
    match frame {
        Frame::Map => Ok(Point::new(a, b)),
        Frame::Earth(datum) => {
            let place = Geodetic::new(a, b).map_err(|error| bad(path, error))?;
            Ok(datum.map_from_geodetic(place))
        }
    }
}

fn list<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], Problem> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| bad(path, "must be a list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn datum() -> Datum {
        Datum(Geodetic::new(11.5755, 48.1374).unwrap())
    }

    #[test]
    fn all_spellings_of_a_square_give_the_same_square() {
        let square = polygon(&json!({"exterior": [[0, 0], [10, 0], [10, 10], [0, 10]]}), None).unwrap();
        let spelled = json!({"exterior": [{"x": 0, "y": 0}, {"x": 10, "y": 0}, {"x": 10, "y": 10}, {"x": 0, "y": 10}]});
        assert_eq!(polygon(&spelled, None).unwrap(), square);
        let ring = json!([[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]);
        let geometry = json!({"type": "Polygon", "coordinates": [ring]});
        let feature = json!({"type": "Feature", "properties": {"frame": "map"}, "geometry": geometry});
        assert_eq!(polygon(&feature, Some(datum())).unwrap(), square);
        let collection = json!({"type": "FeatureCollection", "features": [feature]});
        assert_eq!(polygon(&collection, None).unwrap(), square);
    }

    #[test]
    fn geojson_is_longitude_first_and_swapped_axes_land_elsewhere_or_are_refused() {
        let d = datum();
        let place = |x: f64, y: f64| {
            let at = d.geodetic_from_map(Point::new(x, y));
            json!([at.lon, at.lat])
        };
        let ring = json!([place(0.0, 0.0), place(10.0, 0.0), place(10.0, 10.0), place(0.0, 10.0)]);
        let zone = json!({"type": "Polygon", "coordinates": [ring]});
        let found = polygon(&zone, Some(d)).unwrap();
        assert!((found.area() - 100.0).abs() < 1e-3, "{}", found.area());
        let swapped = json!({"type": "Polygon", "coordinates": [[[48.1, 111.5], [48.2, 111.5], [48.2, 111.6]]]});
        assert!(format!("{:?}", polygon(&swapped, Some(d)).unwrap_err()).contains("swapped"));
        assert!(format!("{:?}", polygon(&zone, None).unwrap_err()).contains("datum"));
    }

    #[test]
    fn nonsense_is_refused_with_the_field() {
        let refused = |zone: Value| format!("{:?}", polygon(&zone, None).unwrap_err());
        assert!(refused(json!({})).contains("zone.exterior is missing"));
        assert!(refused(json!(7)).contains("zone.exterior is missing"));
        assert!(refused(json!({"exterior": [[0, 0], ["a", 0], [1, 1]]})).contains("zone.exterior[1]"));
        let bow = json!({"exterior": [[0, 0], [10, 10], [10, 0], [0, 10]]});
        assert!(refused(bow).contains("crosses"));
        assert!(refused(json!({"type": "Point"})).contains("zone.type"));
    }
}
