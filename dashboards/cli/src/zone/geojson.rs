//! GeoJSON to a polygon in the map's frame; every refusal points at its place in the file.

use serde_json::Value;
use skein_types::geo::{Datum, Geodetic};
use skein_types::geometry::Point;
use skein_types::polygon::{Polygon, PolygonError};

use super::spans::{Step, span_of};
use super::{MapFacts, Zone};
use crate::failure::{Failure, Span};

/// Farther than this from the map's datum a zone is a mistake, metres.
const DATUM_RANGE_M: f64 = 50_000.0;

const FRAME_HELP: &str = "add `datum: {lat: …, lon: …}` to the map's YAML, or `\"frame\": \"map\"` to the zone's properties if it is in metres";

/// A file, its text and the map it may need.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    map: Option<&'a MapFacts>,
}

/// The one polygon of a file.
struct Found<'v> {
    path: Vec<Step>,
    coordinates: &'v Value,
    frame: Option<(Vec<Step>, &'v Value)>,
    name: Option<&'v str>,
}

/// How numbers become metres.
enum Frame {
    Map,
    Geodetic(Datum),
}

pub(super) fn parse(name: &str, text: &str, map: Option<&MapFacts>) -> Result<Zone, Failure> {
    let reader = Reader { name, text, map };
    let root: Value = serde_json::from_str(text).map_err(|error| reader.syntax(&error))?;
    let mut notes = Vec::new();
    let found = reader.find(&root, &mut notes)?;
    let polygon = reader.polygon(&found)?;
    Ok(Zone { name: found.name.map(str::to_owned), polygon, notes })
}

impl Reader<'_> {
    fn syntax(&self, error: &serde_json::Error) -> Failure {
        let before = self.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let at = (before + error.column().saturating_sub(1)).min(self.text.len().saturating_sub(1));
        let at = self.text.floor_char_boundary(at);
        Failure::in_file(self.name, self.text, at..at, format!("{} is not JSON: {error}", self.name), "here")
            .help("a zone is a GeoJSON file: one Polygon, Feature or FeatureCollection")
    }

    fn wrong(&self, path: &[Step], message: impl Into<String>, label: &str) -> Failure {
        let span: Span = span_of(self.text, path);
        // A whole ring as a label would fill the screen: its first line says where it is.
        let line = self.text.get(span.clone()).and_then(|part| part.lines().next()).map_or(0, str::len);
        Failure::in_file(self.name, self.text, span.start..span.start + line, message, label)
    }

    fn find<'v>(&self, root: &'v Value, notes: &mut Vec<String>) -> Result<Found<'v>, Failure> {
        match root.get("type").and_then(Value::as_str) {
            Some("FeatureCollection") => self.in_collection(root, notes),
            Some("Feature") => self.in_feature(root, Vec::new(), root),
            Some(_) => self.in_geometry(root, Vec::new(), root, None),
            None => Err(self
                .wrong(&[], format!("{} is not GeoJSON: it has no `type`", self.name), "a `type` belongs here")
                .help("a zone is one Polygon, Feature or FeatureCollection")),
        }
    }

    fn in_collection<'v>(&self, root: &'v Value, notes: &mut Vec<String>) -> Result<Found<'v>, Failure> {
        let none = Vec::new();
        let features = root.get("features").and_then(Value::as_array).unwrap_or(&none);
        let kind = |feature: &Value| feature.pointer("/geometry/type").and_then(Value::as_str).map(str::to_owned);
        let is_area = |feature: &&Value| kind(feature).is_some_and(|kind| kind.ends_with("Polygon"));
        let areas = features.iter().filter(is_area).count();
        let first = root.get("features").and_then(Value::as_array).and_then(|all| all.iter().position(|f| is_area(&f)));
        match (areas, first) {
            (1, Some(index)) => {
                if features.len() > 1 {
                    notes.push(format!("{} other features are not areas and were left out", features.len() - 1));
                }
                let path = vec![Step::Key("features"), Step::Index(index)];
                let feature = root.pointer(&format!("/features/{index}")).unwrap_or(&Value::Null);
                self.in_feature(feature, path, root)
            }
            _ => Err(self
                .wrong(
                    &[Step::Key("features")],
                    format!("the collection has {areas} areas; a zone is one"),
                    "one feature with a Polygon belongs here",
                )
                .help("keep one Polygon in the file; for several areas submit several missions")),
        }
    }

    fn in_feature<'v>(&self, feature: &'v Value, path: Vec<Step>, root: &'v Value) -> Result<Found<'v>, Failure> {
        let name = feature.pointer("/properties/name").and_then(Value::as_str);
        let mut inner = path.clone();
        inner.push(Step::Key("geometry"));
        let Some(geometry) = feature.get("geometry").filter(|geometry| geometry.is_object()) else {
            return Err(self.wrong(&inner, "the feature has no geometry", "a Polygon belongs here"));
        };
        let mut found = self.in_geometry(geometry, inner, root, name)?;
        if let Some(frame) = feature.pointer("/properties/frame") {
            let mut at = path;
            at.extend([Step::Key("properties"), Step::Key("frame")]);
            found.frame = Some((at, frame));
        }
        Ok(found)
    }

    fn in_geometry<'v>(
        &self,
        geometry: &'v Value,
        path: Vec<Step>,
        root: &'v Value,
        name: Option<&'v str>,
    ) -> Result<Found<'v>, Failure> {
        let at = |steps: &[Step]| [path.as_slice(), steps].concat();
        let kind = geometry.get("type").and_then(Value::as_str).unwrap_or("nothing");
        let coordinates = geometry.get("coordinates");
        let parts = coordinates.and_then(Value::as_array).map_or(0, Vec::len);
        let (inner, coordinates) = match (kind, coordinates) {
            ("Polygon", Some(coordinates)) => (at(&[Step::Key("coordinates")]), coordinates),
            ("MultiPolygon", Some(all)) if parts == 1 => {
                (at(&[Step::Key("coordinates"), Step::Index(0)]), all.get(0).unwrap_or(all))
            }
            ("MultiPolygon", Some(_)) => {
                let message = format!("a zone is one polygon; this MultiPolygon has {parts}");
                return Err(self
                    .wrong(&at(&[Step::Key("type")]), message, "several areas")
                    .help("split it into one file for each polygon and submit a mission for each"));
            }
            ("Polygon", None) => return Err(self.wrong(&path, "the Polygon has no coordinates", "here")),
            (other, _) => {
                let message = format!("a zone is a Polygon, not {other}");
                return Err(self.wrong(&at(&[Step::Key("type")]), message, "not an area"));
            }
        };
        Ok(Found { path: inner, coordinates, frame: frame_of(root), name })
    }

    /// The numbers are checked before the frame: a file with both mistakes names the wrong number first.
    fn polygon(&self, found: &Found<'_>) -> Result<Polygon, Failure> {
        let rings = self.rings(found)?;
        let is_geodetic = self.is_geodetic(found)?;
        if is_geodetic {
            self.each(found, &rings, |place, path| self.geodetic(*place, path).map(drop))?;
        }
        let frame = self.frame(found, is_geodetic)?;
        let corners = self.each(found, &rings, |place, path| self.position(*place, path, &frame))?;
        let mut corners = corners.into_iter();
        Polygon::new(corners.next().unwrap_or_default(), corners.collect())
            .map_err(|error| self.no_polygon(found, &error))
    }

    /// Two finite numbers for each position.
    fn rings(&self, found: &Found<'_>) -> Result<Vec<Vec<[f64; 2]>>, Failure> {
        let rings = found.coordinates.as_array().filter(|rings| !rings.is_empty()).ok_or_else(|| {
            self.wrong(&found.path, "the Polygon has no rings", "a list of rings belongs here: [[[x, y], …]]")
        })?;
        let mut read = Vec::with_capacity(rings.len());
        for (r, ring) in rings.iter().enumerate() {
            let path = [found.path.as_slice(), &[Step::Index(r)]].concat();
            let positions =
                ring.as_array().ok_or_else(|| self.wrong(&path, "a ring is a list of positions", "here"))?;
            let numbers = positions.iter().enumerate().map(|(i, position)| {
                let path = [path.as_slice(), &[Step::Index(i)]].concat();
                self.two_numbers(position, &path)
            });
            read.push(numbers.collect::<Result<Vec<_>, Failure>>()?);
        }
        Ok(read)
    }

    fn two_numbers(&self, position: &Value, path: &[Step]) -> Result<[f64; 2], Failure> {
        let number = |index: usize| position.get(index).and_then(Value::as_f64).filter(|value| value.is_finite());
        match (number(0), number(1)) {
            (Some(first), Some(second)) => Ok([first, second]),
            _ => Err(self.wrong(path, "a position is two numbers", "[x, y] or [longitude, latitude] belongs here")),
        }
    }

    /// Each position through `read`, with its path in the file.
    fn each<T>(
        &self,
        found: &Found<'_>,
        rings: &[Vec<[f64; 2]>],
        read: impl Fn(&[f64; 2], &[Step]) -> Result<T, Failure>,
    ) -> Result<Vec<Vec<T>>, Failure> {
        let ring = |(r, ring): (usize, &Vec<[f64; 2]>)| {
            let path = |i: usize| [found.path.as_slice(), &[Step::Index(r), Step::Index(i)]].concat();
            ring.iter().enumerate().map(|(i, place)| read(place, &path(i))).collect()
        };
        rings.iter().enumerate().map(ring).collect()
    }

    fn no_polygon(&self, found: &Found<'_>, error: &PolygonError) -> Failure {
        let (ring, corner) = match error {
            PolygonError::TooFewCorners { ring, .. } | PolygonError::NoArea { ring } => (*ring, None),
            PolygonError::NotFinite { ring, corner } => (*ring, Some(*corner)),
            PolygonError::Crossing { ring, edge, .. } => (*ring, Some(*edge)),
            PolygonError::HoleOutside { hole } => (*hole, None),
            PolygonError::TooManyCorners(_) => (0, None),
        };
        let mut path = found.path.clone();
        path.push(Step::Index(ring));
        let label = match (error, corner) {
            (PolygonError::Crossing { .. }, _) => "this ring crosses itself or another",
            (_, Some(_)) => "this corner",
            (_, None) => "this ring",
        };
        self.wrong(&path, format!("the zone is not a usable polygon: {error}"), label)
            .help("ring 0 is the outside, the holes follow from 1; corners and edges count from 0, along the ring counter-clockwise outside and clockwise in holes")
    }

    fn is_geodetic(&self, found: &Found<'_>) -> Result<bool, Failure> {
        match found.frame.as_ref().map(|(path, value)| (path, value.as_str())) {
            Some((_, Some("map"))) => Ok(false),
            None | Some((_, Some("wgs84" | "lonlat" | "EPSG:4326" | "CRS84"))) => Ok(true),
            Some((path, _)) => Err(self
                .wrong(path, "the zone's frame is unknown", "not a frame")
                .help("\"map\" is metres in the map's frame; \"wgs84\", or nothing, is longitude and latitude")),
        }
    }

    fn frame(&self, found: &Found<'_>, is_geodetic: bool) -> Result<Frame, Failure> {
        if !is_geodetic {
            return Ok(Frame::Map);
        }
        let Some(map) = self.map else {
            let message = "the zone is in longitude and latitude, and no map is named that says where it lies";
            return Err(self
                .wrong(&found.path, message, "degrees")
                .help(format!("name the map with --map; {FRAME_HELP}")));
        };
        let no_datum = || {
            let message = format!("the zone is in longitude and latitude, and {} has no datum", map.path.display());
            self.wrong(&found.path, message, "degrees").help(FRAME_HELP)
        };
        map.datum.map(Frame::Geodetic).ok_or_else(no_datum)
    }

    fn position(&self, place: [f64; 2], path: &[Step], frame: &Frame) -> Result<Point, Failure> {
        match frame {
            Frame::Map => Ok(Point::new(place[0], place[1])),
            Frame::Geodetic(datum) => self.place(*datum, place, path),
        }
    }

    fn geodetic(&self, [lon, lat]: [f64; 2], path: &[Step]) -> Result<Geodetic, Failure> {
        Geodetic::new(lon, lat)
            .map_err(|error| self.wrong(path, error.to_string(), "longitude first, then latitude").help(FRAME_HELP))
    }

    fn place(&self, datum: Datum, [lon, lat]: [f64; 2], path: &[Step]) -> Result<Point, Failure> {
        let point = datum.map_from_geodetic(self.geodetic([lon, lat], path)?);
        if point.norm() <= DATUM_RANGE_M {
            return Ok(point);
        }
        let swapped = Geodetic::new(lat, lon).map(|place| datum.map_from_geodetic(place).norm() <= DATUM_RANGE_M);
        if swapped == Ok(true) {
            return Err(self
                .wrong(path, "longitude and latitude are swapped", "latitude stands first")
                .help("GeoJSON positions are [longitude, latitude]; turned round, they lie at the map"));
        }
        let km = point.norm() / 1000.0;
        let Datum(Geodetic { lon: datum_lon, lat: datum_lat }) = datum;
        let message = format!("the zone lies {km:.0} km from the map's datum: lon {datum_lon}, lat {datum_lat}");
        Err(self
            .wrong(path, message, "too far away")
            .help("is this the right map? If the numbers are metres, say `\"frame\": \"map\"`"))
    }
}

/// What the file as a whole says of its frame: in its properties or beside its type.
fn frame_of(root: &Value) -> Option<(Vec<Step>, &Value)> {
    let in_properties =
        root.pointer("/properties/frame").map(|frame| (vec![Step::Key("properties"), Step::Key("frame")], frame));
    in_properties.or_else(|| root.get("frame").map(|frame| (vec![Step::Key("frame")], frame)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use std::path::PathBuf;

    const SQUARE: &str = "[[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]], [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]]";

    fn facts(datum: Option<(f64, f64)>) -> MapFacts {
        MapFacts {
            path: PathBuf::from("m.yaml"),
            image: PathBuf::from("m.pgm"),
            resolution: 0.1,
            bounds: (Point::new(0.0, 0.0), Point::new(10.0, 10.0)),
            datum: datum.map(|(lon, lat)| Datum(Geodetic { lon, lat })),
        }
    }

    fn polygon(coordinates: &str) -> String {
        format!(r#"{{"type": "Polygon", "coordinates": {coordinates}}}"#)
    }

    fn in_map_frame(coordinates: &str) -> String {
        let geometry = polygon(coordinates);
        format!(r#"{{"type": "Feature", "properties": {{"frame": "map", "name": "yard"}}, "geometry": {geometry}}}"#)
    }

    fn refusal(text: &str, datum: Option<(f64, f64)>) -> String {
        let failure = parse("z.geojson", text, Some(&facts(datum))).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let mut out = String::new();
        miette::NarratableReportHandler::new().render_report(&mut out, &failure).unwrap();
        out
    }

    #[test]
    fn a_zone_in_metres_is_found_wherever_the_file_says_so() {
        let feature = in_map_frame(SQUARE);
        let geometry = polygon(SQUARE);
        let plain = format!(r#"{{"type": "Feature", "properties": {{}}, "geometry": {geometry}}}"#);
        let point = r#"{"type": "Feature", "properties": null, "geometry": {"type": "Point", "coordinates": [0, 0]}}"#;
        let files = [
            feature.clone(),
            format!(r#"{{"type": "FeatureCollection", "features": [{point}, {feature}]}}"#),
            format!(r#"{{"type": "FeatureCollection", "properties": {{"frame": "map"}}, "features": [{plain}]}}"#),
            format!(r#"{{"type": "FeatureCollection", "frame": "map", "features": [{plain}]}}"#),
            format!(r#"{{"type": "Polygon", "frame": "map", "coordinates": {SQUARE}}}"#),
            format!(r#"{{"type": "MultiPolygon", "frame": "map", "coordinates": [{SQUARE}]}}"#),
        ];
        for file in files {
            let zone = parse("z", &file, None).unwrap_or_else(|failure| panic!("{file}: {failure}"));
            assert_eq!((zone.polygon.area(), zone.polygon.holes().len()), (15.0, 1), "{file}");
        }
        assert_eq!(parse("z", &feature, None).unwrap().name.as_deref(), Some("yard"));
    }

    #[test]
    fn a_zone_in_degrees_lies_where_the_datum_says() {
        let degrees =
            "[[[11.5755, 48.1374], [11.5765, 48.1374], [11.5765, 48.1384], [11.5755, 48.1384], [11.5755, 48.1374]]]";
        let zone = parse("z", &polygon(degrees), Some(&facts(Some((11.5755, 48.1374))))).unwrap();
        let (low, high) = zone.polygon.bounds();
        assert!(low.norm() < 1e-6, "{low:?}");
        assert!((high.x - 74.4).abs() < 0.1 && (high.y - 111.2).abs() < 0.1, "{high:?}");
    }

    #[test]
    fn degrees_without_a_datum_swapped_axes_and_far_places_are_told_apart() {
        assert!(refusal(&polygon(SQUARE), None).contains("has no datum"));
        assert!(refusal(&polygon(SQUARE), None).contains("datum: {lat"));
        let swapped = "[[[48.1374, 11.5755], [48.1374, 11.5765], [48.1384, 11.5765]]]";
        assert!(refusal(&polygon(swapped), Some((11.5755, 48.1374))).contains("are swapped"));
        let impossible = "[[[37.8, -122.3], [37.8, -122.2], [37.9, -122.2]]]";
        assert!(refusal(&polygon(impossible), Some((-122.3, 37.8))).contains("swapped?"));
        assert!(refusal(&polygon(SQUARE), Some((11.5755, 48.1374))).contains("km from the map's datum: lon 11.5755"));
        // The wrong number is named although the datum is missing as well.
        assert!(refusal(&polygon("[[[0, 0], [4, 100], [4, 4]]]"), None).contains("100"));
        assert!(refusal(&polygon("[[[0, 0], [4, null], [4, 4]]]"), None).contains("two numbers"));
    }

    #[test]
    fn a_broken_file_is_pointed_at_by_its_line() {
        let report = refusal("{\n  \"type\": \"Polygon\",\n  \"coordinates\": [[[0, 0], [1, 0] [1, 1]]]\n}", None);
        assert!(report.contains("not JSON") && report.contains("line 3"), "{report}");
        let bad_number = in_map_frame("[\n[[0, 0],\n[4, \"x\"],\n[4, 4]]]");
        let report = refusal(&bad_number, None);
        assert!(report.contains("two numbers") && report.contains("line 3"), "{report}");
        let bow_tie = in_map_frame("[[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]");
        let report = refusal(&bow_tie, None);
        assert!(report.contains("crosses") && report.contains("ring 0"), "{report}");
        let outside = in_map_frame("[[[0, 0], [4, 0], [4, 4]], [[9, 9], [9.5, 9], [9.5, 9.5]]]");
        assert!(refusal(&outside, None).contains("outside the exterior"));
    }

    #[test]
    fn what_is_no_single_area_is_refused_with_the_reason() {
        assert!(refusal("[]", None).contains("no `type`"));
        assert!(refusal(r#"{"type": "Point", "coordinates": [1, 2]}"#, None).contains("not Point"));
        assert!(refusal(r#"{"type": "Polygon"}"#, None).contains("no coordinates"));
        assert!(refusal(r#"{"type": "Feature", "properties": {}, "geometry": null}"#, None).contains("no geometry"));
        assert!(refusal(r#"{"type": "FeatureCollection", "features": []}"#, None).contains("0 areas"));
        let two = format!(r#"{{"type": "MultiPolygon", "frame": "map", "coordinates": [{SQUARE}, {SQUARE}]}}"#);
        assert!(refusal(&two, None).contains("has 2"));
        assert!(refusal(&in_map_frame("[]"), None).contains("no rings"));
        assert!(refusal(&in_map_frame("[7]"), None).contains("list of positions"));
        let frame = in_map_frame(SQUARE).replace("\"map\"", "\"moon\"");
        assert!(refusal(&frame, None).contains("frame is unknown"));
    }
}
