//! A map and a zone from their files, ready to be a world.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_space::map::{Cell, MAP_PIXELS_MAX, META_BYTES_MAX, MapError, MapMeta, OccupancyMap};
use skein_space::planning::{PlanningError, PlanningMap, PlanningParams};
use skein_space::zone::{ZoneError, reachable_zone, zone_region};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose};
use skein_types::polygon::{Polygon, PolygonError};
use skein_types::region::Region;
use skein_world::placement::{PlacementError, start_places};
use skein_world::{RobotSpec, Survey, Terrain, TerrainError, WorldConfig};
use thiserror::Error;

use crate::zone::{ZONE_BYTES_MAX, ZoneFileError, parse_zone};

/// Margin of the fence around a map, metres: a body keeps clear of its fence by its radius and more, and every free
/// place of the map must stay within reach.
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
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file that is too large.
        path: PathBuf,
        /// What is allowed.
        limit: u64,
    },
    /// A file is no text.
    #[error("{} is no UTF-8 text", path.display())]
    NotText {
        /// The file that is not UTF-8.
        path: PathBuf,
    },
    /// The map is wrong.
    #[error("map {}", path.display())]
    Map {
        /// Its YAML.
        path: PathBuf,
        /// What is wrong.
        source: MapError,
    },
    /// Nobody can plan on the map.
    #[error("map {}", path.display())]
    Planning {
        /// Its YAML.
        path: PathBuf,
        /// Why nothing can be planned on it.
        source: PlanningError,
    },
    /// Nothing to drive on.
    #[error(transparent)]
    Terrain(#[from] TerrainError),
    /// The zone file is wrong.
    #[error("zone {}", path.display())]
    ZoneFile {
        /// The file of the zone.
        path: PathBuf,
        /// What is wrong.
        source: ZoneFileError,
    },
    /// The zone does not fit the map.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The robots do not fit.
    #[error(transparent)]
    Placement(#[from] PlacementError),
}

/// A map, what robots plan on, and what is truly solid.
#[derive(Clone, Debug)]
pub struct Place {
    /// The map as imported.
    pub map: OccupancyMap,
    /// The conservative grid.
    pub planning: Arc<PlanningMap>,
    /// What is truly solid: everything that is not known to be free.
    pub terrain: Arc<Terrain>,
}

impl Place {
    /// Makes a place of a map for one kind of body.
    ///
    /// # Errors
    /// [`PlanningError`] or [`TerrainError`] as [`PlaceError`], with the name given for the map.
    pub fn new(map: OccupancyMap, body: &BodyDescriptor, name: &Path) -> Result<Self, PlaceError> {
        let planning = PlanningMap::new(&map, &PlanningParams::for_body(body))
            .map_err(|source| PlaceError::Planning { path: name.to_owned(), source })?;
        let terrain = Terrain::new(*map.frame(), |cell| map.cell(cell) != Cell::Free)?;
        Ok(Self { map, planning: Arc::new(planning), terrain: Arc::new(terrain) })
    }

    /// Reads a ROS map: the YAML and the image it names.
    ///
    /// # Errors
    /// [`PlaceError`] names the file.
    pub fn load(yaml: &Path, body: &BodyDescriptor) -> Result<Self, PlaceError> {
        let text = read_text(yaml, META_BYTES_MAX as u64)?;
        let meta = read_meta(&text, yaml)?;
        let image = yaml.parent().unwrap_or(Path::new("")).join(&meta.image);
        Self::from_meta(&meta, &read_bounded(&image, MAP_PIXELS_MAX * 4)?, body, yaml)
    }

    /// The same from what the two files hold; `name` is said where something is wrong.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_bytes(yaml: &str, image: &[u8], body: &BodyDescriptor, name: &Path) -> Result<Self, PlaceError> {
        Self::from_meta(&read_meta(yaml, name)?, image, body, name)
    }

    fn from_meta(meta: &MapMeta, image: &[u8], body: &BodyDescriptor, name: &Path) -> Result<Self, PlaceError> {
        let map = OccupancyMap::from_pgm(meta, image);
        Self::new(map.map_err(|source| PlaceError::Map { path: name.to_owned(), source })?, body, name)
    }

    /// Hash of the map in hex: who has the same plans on the same.
    #[must_use]
    pub fn map_hash(&self) -> String {
        self.map.hash().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The fence of robots that have no other: the map's outline and half a metre around it.
    ///
    /// # Errors
    /// [`PolygonError`] for a map without area.
    pub fn outline(&self) -> Result<Polygon, PolygonError> {
        let frame = self.map.frame();
        let around = Point::new(AROUND_MAP, AROUND_MAP);
        let size = Point::new(f64::from(frame.width), f64::from(frame.height)) * frame.resolution;
        Polygon::rectangle(frame.origin - around, frame.origin + size + around)
    }

    /// Reads a zone file.
    ///
    /// # Errors
    /// [`PlaceError`] names the file and what is wrong in it.
    pub fn load_zone(&self, file: &Path) -> Result<Polygon, PlaceError> {
        let text = read_text(file, ZONE_BYTES_MAX)?;
        parse_zone(&text, self.map.datum()).map_err(|source| PlaceError::ZoneFile { path: file.to_owned(), source })
    }

    /// Places robots near a zone, and says which cells of it they can sweep.
    ///
    /// # Errors
    /// [`PlaceError`] when the zone is not on the map or the robots do not fit.
    pub fn start(&self, zone: &Polygon, robots: usize, seed: u64) -> Result<Start, PlaceError> {
        let inside = zone_region(self.planning.frame(), zone)?;
        let poses = start_places(&self.planning, &inside, robots, seed)?;
        let points: Vec<Point> = poses.iter().map(|pose| pose.position).collect();
        let region = reachable_zone(&self.planning, zone, &points)?;
        Ok(Start { poses, region })
    }

    /// A world with robots of one kind at their places.
    #[must_use]
    pub fn world(&self, start: &Start, body: BodyDescriptor, seed: u64) -> WorldConfig {
        let spec = |&pose: &Pose| RobotSpec { descriptor: body, start: pose };
        WorldConfig {
            robots: start.poses.iter().map(spec).collect(),
            survey: Some(Survey { map: Arc::clone(&self.planning), zone: start.region.clone() }),
            ..WorldConfig::new(seed, Arc::clone(&self.terrain))
        }
    }
}

/// Where robots start, and what is to be swept.
#[derive(Clone, Debug)]
pub struct Start {
    /// One pose a robot.
    pub poses: Vec<Pose>,
    /// The cells of the zone that can be swept from there.
    pub region: Region,
}

fn read_meta(yaml: &str, name: &Path) -> Result<MapMeta, PlaceError> {
    MapMeta::parse(yaml).map_err(|error| PlaceError::Map { path: name.to_owned(), source: error.into() })
}

/// Reads a file of bounded size.
///
/// # Errors
/// [`PlaceError::Read`] or [`PlaceError::TooLarge`].
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, PlaceError> {
    use std::io::Read;
    let failed = |source| PlaceError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(PlaceError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Reads a text file of bounded size.
///
/// # Errors
/// As [`read_bounded`], and [`PlaceError::NotText`].
pub fn read_text(path: &Path, limit: u64) -> Result<String, PlaceError> {
    String::from_utf8(read_bounded(path, limit)?).map_err(|_| PlaceError::NotText { path: path.to_owned() })
}
