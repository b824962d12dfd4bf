//! The sample warehouse, inside the program: a batch needs no files.

use std::path::Path;

use skein_types::body::BodyDescriptor;
use skein_types::polygon::Polygon;

use crate::place::{Place, PlaceError};
use crate::zone::parse_zone;

const NAME: &str = "the sample warehouse";
const META: &str = include_str!("../../maps/warehouse.yaml");
const IMAGE: &[u8] = include_bytes!("../../maps/warehouse.pgm");
const ZONE: &str = include_str!("../../maps/warehouse.zone.geojson");

/// The warehouse and the zone drawn in it.
///
/// # Errors
/// Never, as long as the files it is made of are sound; a test holds that.
pub fn warehouse(body: &BodyDescriptor) -> Result<(Place, Polygon), PlaceError> {
    let place = Place::from_bytes(META, IMAGE, body, Path::new(NAME))?;
    let zone = parse_zone(ZONE, place.map.datum());
    let zone = zone.map_err(|source| PlaceError::ZoneFile { path: NAME.into(), source })?;
    Ok((place, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_sound() {
        let (place, zone) = warehouse(&BodyDescriptor::rover()).unwrap();
        assert!(place.start(&zone, 10, 1).unwrap().region.area() > 500.0);
    }
}
