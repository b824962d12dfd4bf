//! `zone`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `zone`.
#[derive(Debug, Subcommand)]
pub(crate) enum Zone {
    /// Checks that a file is a usable zone; shows its size and place
    #[command(after_help = "Example:\n  skein zone check zone.geojson --map MAP.yaml")]
    Check(ZoneFile),
    /// Writes a zone in metres of the map's frame, as GeoJSON, to stdout
    #[command(after_help = "Example:\n  skein zone import field.geojson --map MAP.yaml > field.map.geojson")]
    Import(ZoneFile),
}

/// A zone file and its map.
#[derive(Clone, Debug, Args)]
pub(crate) struct ZoneFile {
    /// GeoJSON: a Polygon, a Feature or a FeatureCollection
    pub file: PathBuf,
    /// Map the zone belongs to [default: that of the fleet that is up here]
    #[arg(long, alias = "world", value_name = "MAP.yaml")]
    pub map: Option<PathBuf>,
}
