//! The flags that name a place: files, or the sample inside the program.

use std::path::{Path, PathBuf};

use skein_sim::place::Place;
use skein_sim::sample;
use skein_types::body::BodyDescriptor;
use skein_types::polygon::Polygon;

#[derive(clap::Args)]
pub(crate) struct PlaceArgs {
    /// The map: ROS YAML beside its image; without one it is the sample warehouse.
    #[arg(long, requires = "zone")]
    map: Option<PathBuf>,
    /// The zone: GeoJSON in lon,lat, or in metres of the map when `properties.frame` is "map".
    #[arg(long, requires = "map")]
    zone: Option<PathBuf>,
}

impl PlaceArgs {
    pub(crate) fn load(&self, body: &BodyDescriptor) -> anyhow::Result<(Place, Polygon)> {
        let (Some(map), Some(zone)) = (&self.map, &self.zone) else { return Ok(sample::warehouse(body)?) };
        let place = Place::load(map, body)?;
        let zone = place.load_zone(zone)?;
        Ok((place, zone))
    }

    /// The same flags again, for a command that repeats a run; with a space behind.
    pub(crate) fn flags(&self) -> String {
        let (Some(map), Some(zone)) = (&self.map, &self.zone) else { return String::new() };
        format!("--map {} --zone {} ", quoted(map), quoted(zone))
    }
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_shell() {
        for (path, shown) in [("a/b-1.yaml", "a/b-1.yaml"), ("my map.yaml", "'my map.yaml'"), ("it's", r"'it'\''s'")] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
