//! The sample warehouse, inside this program so that `skein demo` needs no file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const FILES: [(&str, &[u8]); 3] = [
    ("warehouse.pgm", include_bytes!("../../../../sim/maps/warehouse.pgm")),
    ("warehouse.yaml", include_bytes!("../../../../sim/maps/warehouse.yaml")),
    ("warehouse.zone.geojson", include_bytes!("../../../../sim/maps/warehouse.zone.geojson")),
];

/// Writes the map and its zone into a folder; returns the YAML file and the zone.
pub(crate) fn write(folder: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| Failure::io("write", &path, &error))?;
    }
    Ok((folder.join("warehouse.yaml"), folder.join("warehouse.zone.geojson")))
}
