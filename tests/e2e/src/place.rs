//! A small building on disk.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

const RESOLUTION: f64 = 0.05;

/// A folder with a map and a zone in it; gone when dropped.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// Two rooms of 7 m by 8 m with a door 1.4 m wide between them and a rack in each.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn two_rooms() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("skein-e2e-").tempdir()?;
        let (width, height) = (292_usize, 160_usize);
        let mut image = format!("P5\n{width} {height}\n255\n").into_bytes();
        for row in (0..height).rev() {
            for column in 0..width {
                let (x, y) = (column as f64 * RESOLUTION, row as f64 * RESOLUTION);
                let outer = !(0.2..14.4).contains(&x) || !(0.2..7.8).contains(&y);
                let between = (7.2..7.4).contains(&x) && !(3.2..4.6).contains(&y);
                let rack = ((3.2..4.2).contains(&x) || (10.4..11.4).contains(&x)) && (2.4..5.4).contains(&y);
                image.push(if outer || between || rack { 0 } else { 254 });
            }
        }
        fs::write(folder.path().join("rooms.pgm"), image)?;
        let meta = format!(
            "image: rooms.pgm\nmode: trinary\nresolution: {RESOLUTION}\norigin: [0.0, 0.0, 0.0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n"
        );
        fs::write(folder.path().join("rooms.yaml"), meta)?;
        let place = Self { folder };
        place.write_zone("zone.geojson", &[[0.0, 0.0], [14.6, 0.0], [14.6, 8.0], [0.0, 8.0], [0.0, 0.0]])?;
        Ok(place)
    }

    /// The map's YAML.
    #[must_use]
    pub fn map(&self) -> PathBuf {
        self.path("rooms.yaml")
    }

    /// The zone over both rooms.
    #[must_use]
    pub fn zone(&self) -> PathBuf {
        self.path("zone.geojson")
    }

    /// A file in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a zone in the map's frame.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_zone(&self, name: &str, ring: &[[f64; 2]]) -> Result<PathBuf> {
        let feature = serde_json::json!({
            "type": "Feature",
            "properties": { "frame": "map" },
            "geometry": { "type": "Polygon", "coordinates": [ring] },
        });
        self.write(name, feature.to_string().as_bytes())
    }

    /// Writes any file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }
}
