//! What the command line needs of a ROS map: its place and its size. The supervisor, the robots and the world read the rest.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use skein_types::geo::{Datum, Geodetic};
use skein_types::geometry::Point;

use crate::failure::{Exit, Failure};

/// Largest YAML file of a map, in bytes.
const YAML_BYTES_MAX: u64 = 64 * 1024;
/// The header of a PGM file is looked for in this many bytes.
const HEADER_BYTES: u64 = 4096;

/// A map's file with its place and size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MapFacts {
    /// The YAML file.
    pub path: PathBuf,
    /// The image it names.
    pub image: PathBuf,
    /// Side of a pixel, metres.
    pub resolution: f64,
    /// South-west and north-east corner, metres.
    pub bounds: (Point, Point),
    /// Where (0, 0) lies on the earth, if the file says so.
    pub datum: Option<Datum>,
}

#[derive(Deserialize)]
#[serde(expecting = "a map description")]
struct MapYaml {
    image: String,
    resolution: f64,
    origin: Vec<f64>,
    datum: Option<DatumYaml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a datum: {lat, lon}")]
struct DatumYaml {
    lat: f64,
    lon: f64,
}

impl MapFacts {
    /// Reads the YAML file and the header of its image.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let bytes = beginning(path, YAML_BYTES_MAX + 1)?;
        if bytes.len() as u64 > YAML_BYTES_MAX {
            return Err(not_a_map(&name, "it is larger than any map description"));
        }
        let text = String::from_utf8(bytes).map_err(|_| not_a_map(&name, "it is not text"))?;
        let yaml: MapYaml = serde_yaml_ng::from_str(&text).map_err(|error| yaml_problem(&name, &text, &error))?;
        let wrong = |message: &str| not_a_map(&name, message);
        let (Some(&x), Some(&y)) = (yaml.origin.first(), yaml.origin.get(1)) else {
            return Err(wrong("its `origin` needs x, y and yaw"));
        };
        if !(yaml.resolution.is_finite() && yaml.resolution > 0.0 && x.is_finite() && y.is_finite()) {
            return Err(wrong("its `resolution` must be above zero and its `origin` finite"));
        }
        let image = path.parent().unwrap_or_else(|| Path::new("")).join(&yaml.image);
        let (width, height) = pgm_size(&image)?;
        let south_west = Point::new(x, y);
        let size = Point::new(f64::from(width) * yaml.resolution, f64::from(height) * yaml.resolution);
        let datum = yaml.datum.map(|datum| Geodetic::new(datum.lon, datum.lat).map(Datum)).transpose();
        let datum = datum.map_err(|error| wrong(&format!("its `datum` is wrong: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            image,
            resolution: yaml.resolution,
            bounds: (south_west, south_west + size),
            datum,
        })
    }
}

fn beginning(path: &Path, bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| Failure::io("open", path, &error))?;
    file.take(bytes).read_to_end(&mut content).map_err(|error| Failure::io("read", path, &error))?;
    Ok(content)
}

fn not_a_map(name: &str, why: &str) -> Failure {
    Failure::usage(format!("{name} is not a ROS map: {why}")).help(
        "a map is a YAML file with `image`, `resolution` and `origin`, beside a PGM image, as map_saver writes them",
    )
}

fn yaml_problem(name: &str, text: &str, error: &serde_yaml_ng::Error) -> Failure {
    let Some(place) = error.location() else { return not_a_map(name, &error.to_string()) };
    let at = place.index().min(text.len());
    Failure::in_file(name, text, at..at, format!("{name} is not a ROS map: {error}"), "here")
        .help("a map needs `image`, `resolution` and `origin: [x, y, yaw]`; `datum: {lat, lon}` is optional")
}

/// Width and height out of the header: `P5` or `P2`, numbers, comments from `#` to the end of the line.
fn pgm_size(path: &Path) -> Result<(u32, u32), Failure> {
    let header = beginning(path, HEADER_BYTES)?;
    let text = String::from_utf8_lossy(&header);
    let bare: String = text.lines().flat_map(|line| [line.split('#').next().unwrap_or(""), " "]).collect();
    let mut words = bare.split_ascii_whitespace();
    let magic = words.next();
    let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).filter(|n| *n > 0);
    match (magic, number(), number(), number()) {
        (Some("P5" | "P2"), Some(width), Some(height), Some(_)) => Ok((width, height)),
        _ => Err(Failure::new(Exit::Usage, format!("{} is not a PGM image", path.display()))
            .help("the `image` of the map's YAML must be a PGM file (P5 or P2) with width, height and largest value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn map(yaml: &str, pgm: &[u8]) -> Result<MapFacts, Failure> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("m.pgm"), pgm).unwrap();
        fs::write(folder.path().join("m.yaml"), yaml).unwrap();
        MapFacts::read(&folder.path().join("m.yaml"))
    }

    #[test]
    fn a_map_says_where_it_lies() {
        let yaml = "image: m.pgm\nresolution: 0.5\norigin: [-1, 2, 0]\nnegate: 0\ndatum: {lat: 48.1, lon: 11.5}\n";
        let facts = map(yaml, b"P5\n# by hand\n4 6 # size\n255\n\xff\xff").unwrap();
        assert_eq!(facts.bounds, (Point::new(-1.0, 2.0), Point::new(1.0, 5.0)));
        assert_eq!(facts.datum, Some(Datum(Geodetic { lon: 11.5, lat: 48.1 })));
    }

    #[test]
    fn what_is_no_map_is_refused_with_the_reason() {
        let good = "image: m.pgm\nresolution: 0.5\norigin: [-1, 2, 0]\n";
        let message = |yaml: &str, pgm: &[u8]| map(yaml, pgm).unwrap_err().to_string();
        assert!(message("resolution: [", b"").contains("is not a ROS map"));
        assert!(message("hello", b"").contains("expected a map description"));
        assert!(message(&format!("{good}datum: 3\n"), b"P5 1 1 255 ").contains("expected a datum: {lat, lon}"));
        assert!(message("image: m.pgm\nresolution: 0.5\norigin: [1]\n", b"P5 1 1 255 ").contains("origin"));
        assert!(message("image: m.pgm\nresolution: .nan\norigin: [1, 1, 0]\n", b"P5 1 1 255 ").contains("resolution"));
        assert!(message(good, b"\x89PNG....").contains("is not a PGM image"));
        assert!(message(&format!("{good}datum: {{lat: 111, lon: 1}}\n"), b"P5 1 1 255 ").contains("swapped"));
        assert_eq!(
            map("image: other.pgm\nresolution: 1\norigin: [0, 0, 0]\n", b"").unwrap_err().exit(),
            Exit::NotFound
        );
    }
}
