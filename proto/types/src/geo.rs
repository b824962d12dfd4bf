//! Latitude and longitude, at the outermost edge only.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::Point;

/// Mean radius of the meridian and the parallel are taken from WGS 84 at the datum.
const WGS84_A: f64 = 6_378_137.0;
const WGS84_E2: f64 = 6.694_379_990_141_316e-3;

/// A place on the earth, degrees. The order of the fields is GeoJSON's: longitude first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geodetic {
    /// Degrees east, -180 to 180.
    pub lon: f64,
    /// Degrees north, -90 to 90.
    pub lat: f64,
}

/// Why a place on the earth was refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum GeodeticError {
    /// Out of range: often the two were swapped.
    #[error("latitude {0} is outside -90 to 90: are longitude and latitude swapped?")]
    Latitude(f64),
    /// Out of range.
    #[error("longitude {0} is outside -180 to 180")]
    Longitude(f64),
}

impl Geodetic {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`GeodeticError`] names the one that is out of range.
    pub fn new(lon: f64, lat: f64) -> Result<Self, GeodeticError> {
        if !(-90.0..=90.0).contains(&lat) {
            return Err(GeodeticError::Latitude(lat));
        }
        if !(-180.0..=180.0).contains(&lon) {
            return Err(GeodeticError::Longitude(lon));
        }
        Ok(Self { lon, lat })
    }
}

/// Where the map's frame touches the earth: the place of the map's (0, 0), with x east and y north.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datum(pub Geodetic);

impl Datum {
    /// Metres per degree of longitude and latitude at the datum (WGS 84 radii of curvature).
    fn meters_per_degree(&self) -> Point {
        let lat = self.0.lat.to_radians();
        let s = libm::sin(lat);
        let w = 1.0 - WGS84_E2 * s * s;
        let meridian = WGS84_A * (1.0 - WGS84_E2) / (w * libm::sqrt(w));
        let normal = WGS84_A / libm::sqrt(w);
        Point::new((normal * libm::cos(lat)).to_radians(), meridian.to_radians())
    }

    /// A place on the earth in the map's frame. Flat-earth: good to a centimetre within a few kilometres.
    #[must_use]
    pub fn map_from_geodetic(&self, place: Geodetic) -> Point {
        let scale = self.meters_per_degree();
        Point::new((place.lon - self.0.lon) * scale.x, (place.lat - self.0.lat) * scale.y)
    }

    /// The way back.
    #[must_use]
    pub fn geodetic_from_map(&self, point: Point) -> Geodetic {
        let scale = self.meters_per_degree();
        Geodetic { lon: self.0.lon + point.x / scale.x, lat: self.0.lat + point.y / scale.y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_north_of_munich_is_its_known_length_and_swapped_axes_are_seen() {
        let datum = Datum(Geodetic::new(11.5755, 48.1374).unwrap());
        let north = datum.map_from_geodetic(Geodetic::new(11.5755, 48.1474).unwrap());
        assert!((north.y - 1112.0).abs() < 1.0 && north.x.abs() < 1e-9, "{north:?}");
        let east = datum.map_from_geodetic(Geodetic::new(11.5855, 48.1374).unwrap());
        assert!((east.x - 744.4).abs() < 1.0 && east.y.abs() < 1e-9, "{east:?}");
        assert_eq!(Geodetic::new(48.1, 111.5), Err(GeodeticError::Latitude(111.5)));
        assert!(Geodetic::new(f64::NAN, 1.0).is_err());
    }

    #[test]
    fn there_and_back_is_the_same_place() {
        let datum = Datum(Geodetic::new(-122.3, 37.8).unwrap());
        let point = Point::new(123.4, -567.8);
        assert!(datum.map_from_geodetic(datum.geodetic_from_map(point)).distance(point) < 1e-6);
    }
}
