//! The YAML beside a map image.

use serde::Deserialize;
use skein_types::geo::{Datum, Geodetic, GeodeticError};
use skein_types::geometry::Pose;
use thiserror::Error;

use super::META_BYTES_MAX;

/// How shades become occupancy, as ROS `map_server` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Free, occupied or unknown by two thresholds.
    #[default]
    Trinary,
    /// As trinary, with percent in between.
    Scale,
    /// The shade's number is the percent; above 100 is unknown.
    Raw,
}

/// What the YAML beside a map says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MapMeta {
    /// The image, as written: relative to the YAML's folder unless absolute.
    pub image: String,
    /// Side of a pixel, metres.
    pub resolution: f64,
    /// Pose of the south-west corner of the image in the map's frame.
    pub origin: Pose,
    /// Whether white means occupied.
    pub negate: bool,
    /// Darker than this share is occupied.
    pub occupied_thresh: f64,
    /// Lighter than this share is free.
    pub free_thresh: f64,
    /// How shades become occupancy.
    pub mode: Mode,
    /// Where the map's (0, 0) touches the earth.
    pub datum: Option<Datum>,
}

/// Why the YAML beside a map was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MetaError {
    /// Larger than [`META_BYTES_MAX`].
    #[error("the map's YAML has {0} bytes, more than {META_BYTES_MAX}: is this the image?")]
    TooLarge(usize),
    /// No YAML, or a key is missing or has the wrong type.
    #[error("the map's YAML is unusable: {0}")]
    Yaml(String),
    /// A key has a value that cannot be.
    #[error("`{key}` is {value}; it must be {wanted}")]
    Value {
        /// Name of the key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The datum is no place on the earth.
    #[error("`datum` is wrong: {0}")]
    Datum(#[from] GeodeticError),
}

#[derive(Deserialize)]
struct Parts {
    image: String,
    resolution: f64,
    origin: Vec<f64>,
    #[serde(default)]
    negate: Flag,
    occupied_thresh: f64,
    free_thresh: f64,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    datum: Option<DatumParts>,
}

#[derive(Deserialize)]
struct DatumParts {
    lat: f64,
    lon: f64,
}

/// ROS writes 0 and 1; people write false and true.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(i64),
}

impl Default for Flag {
    fn default() -> Self {
        Self::Bool(false)
    }
}

impl MapMeta {
    /// Reads the YAML and checks every figure.
    ///
    /// # Errors
    /// [`MetaError`] names the line or the key.
    pub fn parse(yaml: &str) -> Result<Self, MetaError> {
        if yaml.len() > META_BYTES_MAX {
            return Err(MetaError::TooLarge(yaml.len()));
        }
        let parts: Parts =
            serde_yaml_ng::from_str(yaml).map_err(|error| MetaError::Yaml(shortened(&error.to_string())))?;
        parts.check()
    }

    /// ROS occupancy of a shade: -1 unknown, else percent.
    #[must_use]
    pub fn value_of(&self, shade: Shade) -> i8 {
        if self.mode == Mode::Raw {
            return match shade.to_byte() {
                percent @ 0..=100 => percent.cast_signed(),
                _ => -1,
            };
        }
        let lightness = shade.share();
        let occupied = if self.negate { lightness } else { 1.0 - lightness };
        if occupied > self.occupied_thresh {
            100
        } else if occupied < self.free_thresh {
            0
        } else if self.mode == Mode::Trinary {
            -1
        } else {
            // The map_server documentation's gradient; in 0..=99 because both thresholds have been passed.
            let ratio = (occupied - self.free_thresh) / (self.occupied_thresh - self.free_thresh);
            (99.0 * ratio).clamp(0.0, 99.0) as i8
        }
    }

    /// Percent at and below which a value counts as free.
    pub(super) fn free_max(&self) -> i8 {
        match self.mode {
            // In 0..=99, so the conversion is exact to a percent.
            Mode::Raw => (self.free_thresh * 100.0).floor().clamp(0.0, 99.0) as i8,
            Mode::Trinary | Mode::Scale => 0,
        }
    }
}

impl Parts {
    fn check(self) -> Result<MapMeta, MetaError> {
        if self.image.is_empty() {
            return Err(wrong("image", "empty", "the name of a .pgm file"));
        }
        if !(0.001..=10.0).contains(&self.resolution) {
            return Err(wrong("resolution", self.resolution, "metres per pixel, 0.001 to 10"));
        }
        let [x, y, yaw] = *self.origin.as_slice() else {
            return Err(wrong("origin", format!("{:?}", self.origin), "three numbers: [x, y, yaw]"));
        };
        if !(x.abs() <= 1e7 && y.abs() <= 1e7 && yaw.is_finite()) {
            return Err(wrong("origin", format!("{:?}", self.origin), "finite, within 10,000 km"));
        }
        if !(0.0..=1.0).contains(&self.occupied_thresh) {
            return Err(wrong("occupied_thresh", self.occupied_thresh, "a share between 0 and 1"));
        }
        if !(0.0..self.occupied_thresh).contains(&self.free_thresh) {
            return Err(wrong("free_thresh", self.free_thresh, "a share from 0 to below occupied_thresh"));
        }
        let negate = match self.negate {
            Flag::Bool(flag) => flag,
            Flag::Number(0) => false,
            Flag::Number(1) => true,
            Flag::Number(other) => return Err(wrong("negate", other, "0 or 1")),
        };
        let datum = self.datum.map(|d| Geodetic::new(d.lon, d.lat)).transpose()?.map(Datum);
        Ok(MapMeta {
            image: self.image,
            resolution: self.resolution,
            origin: Pose::new(x, y, yaw),
            negate,
            occupied_thresh: self.occupied_thresh,
            free_thresh: self.free_thresh,
            mode: self.mode,
            datum,
        })
    }
}

fn wrong(key: &'static str, value: impl ToString, wanted: &'static str) -> MetaError {
    MetaError::Value { key, value: value.to_string(), wanted }
}

/// Lightness of a pixel: `value` of `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shade {
    /// 0 is black.
    pub value: u16,
    /// This is white; not zero.
    pub max: u16,
}

impl Shade {
    fn share(self) -> f64 {
        f64::from(self.value) / f64::from(self.max.max(1))
    }

    /// On the scale 0 to 255, rounded.
    fn to_byte(self) -> u8 {
        // In 0..=255 because `value <= max`.
        libm::round(self.share() * 255.0) as u8
    }
}

/// The YAML reader repeats what it does not understand, however long that is.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 160;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS_MAX).chain(['…']).collect()
}
