//! The map everyone plans on, from its two files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_space::map::{MapError, MapMeta, MetaError, OccupancyMap};
use skein_space::planning::{PlanningError, PlanningMap, PlanningParams};
use skein_types::body::BodyDescriptor;
use skein_types::geo::Datum;
use thiserror::Error;

/// Largest YAML file that is looked at.
const YAML_BYTES_MAX: u64 = 64 * 1024;
/// Largest image that is looked at.
const IMAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a map cannot be used.
#[derive(Debug, Error)]
pub enum MapFileError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file that cannot be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than any map.
    #[error("{path} has {bytes} bytes, more than {max}: it is no map")]
    TooLarge {
        /// The file that is too large.
        path: PathBuf,
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        max: u64,
    },
    /// The YAML file does not describe a map.
    #[error("{path}: {source}")]
    Meta {
        /// The YAML file of the map.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: MetaError,
    },
    /// The image is none.
    #[error("{path}: {source}")]
    Image {
        /// The image that the YAML names.
        path: PathBuf,
        /// What is wrong with it.
        source: MapError,
    },
    /// Nobody could plan on it.
    #[error("{path}: {source}")]
    Planning {
        /// The YAML file of the map.
        path: PathBuf,
        /// Why nothing can be planned on it.
        source: PlanningError,
    },
}

/// A map, ready to plan on.
#[derive(Clone, Debug)]
pub struct LoadedMap {
    /// The grid that work is split on.
    pub planning: Arc<PlanningMap>,
    /// Hash of its content, in hex.
    pub hash: String,
    /// Where it touches the earth, if its file says so.
    pub datum: Option<Datum>,
}

/// Reads a ROS map: a YAML file and the image it names.
///
/// # Errors
/// [`MapFileError`] names the file and what is wrong with it.
pub fn load(yaml: &Path) -> Result<LoadedMap, MapFileError> {
    let text = String::from_utf8_lossy(&read(yaml, YAML_BYTES_MAX)?).into_owned();
    let meta = MapMeta::parse(&text).map_err(|source| MapFileError::Meta { path: yaml.to_owned(), source })?;
    let image = yaml.parent().unwrap_or_else(|| Path::new("")).join(&meta.image);
    let map = OccupancyMap::from_pgm(&meta, &read(&image, IMAGE_BYTES_MAX)?)
        .map_err(|source| MapFileError::Image { path: image.clone(), source })?;
    let params = PlanningParams::for_body(&BodyDescriptor::rover());
    let planning = PlanningMap::new(&map, &params).map_err(|source| MapFileError::Planning { path: image, source })?;
    let hash = map.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(LoadedMap { planning: Arc::new(planning), hash, datum: meta.datum })
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, MapFileError> {
    let failed = |source| MapFileError::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > max {
        return Err(MapFileError::TooLarge { path: path.to_owned(), bytes, max });
    }
    std::fs::read(path).map_err(failed)
}
