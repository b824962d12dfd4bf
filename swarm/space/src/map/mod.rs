//! Occupancy maps as ROS `map_server` stores them: an image and a YAML file that says how to read it.

mod meta;
mod pgm;
mod turn;

use skein_types::geo::Datum;
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use thiserror::Error;

pub use meta::{MapMeta, MetaError, Mode, Shade};
pub use pgm::PgmError;

/// Most pixels a map may have.
pub const MAP_PIXELS_MAX: u64 = 64_000_000;
/// Most bytes the YAML beside a map may have.
pub const META_BYTES_MAX: usize = 64 * 1024;

/// What is known about a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Known to be free.
    Free,
    /// Not known: never seen, between the thresholds, or beyond the map.
    Unknown,
    /// Known to be occupied.
    Occupied,
}

/// Why a map was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MapError {
    /// The YAML is wrong.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The image is wrong.
    #[error(transparent)]
    Image(#[from] PgmError),
    /// Turning the map by the yaw of its origin would make it too large.
    #[error("turned by its origin's yaw the map has {0} pixels, more than {MAP_PIXELS_MAX}")]
    TurnedTooLarge(u64),
}

/// A map in the shape of ROS `nav_msgs/OccupancyGrid`, its axes along x (east) and y (north).
#[derive(Clone, Debug, PartialEq)]
pub struct OccupancyMap {
    frame: RegionFrame,
    /// -1 unknown, else occupancy in percent; row 0 is the southernmost.
    values: Vec<i8>,
    /// Percent at and below which a value counts as free.
    free_max: i8,
    datum: Option<Datum>,
}

impl OccupancyMap {
    /// Reads the image as the YAML says. An origin with a yaw is resampled onto a grid along the axes, where a cell
    /// takes the worst of what it overlaps.
    ///
    /// # Errors
    /// [`MapError`] names the place in the image and what is wrong with it.
    pub fn from_pgm(meta: &MapMeta, bytes: &[u8]) -> Result<Self, MapError> {
        let image = pgm::decode(bytes)?;
        let values = image.shades_from_south().map(|shade| meta.value_of(shade)).collect();
        let frame = RegionFrame {
            origin: meta.origin.position,
            resolution: meta.resolution,
            width: image.width,
            height: image.height,
        };
        let map = Self { frame, values, free_max: meta.free_max(), datum: meta.datum };
        if meta.origin.heading == 0.0 { Ok(map) } else { turn::straighten(&map, meta.origin.heading) }
    }

    /// A map made of cells, row 0 southernmost; missing cells are unknown.
    #[must_use]
    pub fn from_cells(frame: RegionFrame, cell_at: impl Fn(u32) -> Cell) -> Self {
        let count = u32::try_from(frame.cells().min(MAP_PIXELS_MAX)).unwrap_or(0);
        let values = (0..count)
            .map(|cell| match cell_at(cell) {
                Cell::Free => 0,
                Cell::Unknown => -1,
                Cell::Occupied => 100,
            })
            .collect();
        Self { frame, values, free_max: 0, datum: None }
    }

    /// Where the pixels lie: one cell per pixel.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// Where the map touches the earth, if its YAML says so.
    #[must_use]
    pub const fn datum(&self) -> Option<Datum> {
        self.datum
    }

    /// ROS occupancy of a pixel: -1 unknown, else percent. Outside the map it is unknown.
    #[must_use]
    pub fn value(&self, cell: u32) -> i8 {
        self.values.get(cell as usize).copied().unwrap_or(-1)
    }

    /// What is known about a pixel; outside the map nothing is. Occupancy between free and certain counts as unknown.
    #[must_use]
    pub fn cell(&self, cell: u32) -> Cell {
        match self.value(cell) {
            100 => Cell::Occupied,
            value if value < 0 || value > self.free_max => Cell::Unknown,
            _ => Cell::Free,
        }
    }

    /// What is known about the place at a point.
    #[must_use]
    pub fn cell_at(&self, point: Point) -> Cell {
        self.frame.cell_of(point).map_or(Cell::Unknown, |cell| self.cell(cell))
    }

    /// BLAKE3 of everything that planning depends on: two processes with the same hash plan on the same map.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"skein occupancy map 1");
        for number in [self.frame.origin.x, self.frame.origin.y, self.frame.resolution] {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        hasher.update(&self.frame.width.to_le_bytes()).update(&self.frame.height.to_le_bytes());
        let datum = self.datum.map_or([f64::NAN; 2], |d| [d.0.lon, d.0.lat]);
        for number in datum {
            hasher.update(&number.to_bits().to_le_bytes());
        }
        let cells: Vec<u8> = self.values.iter().map(|value| value.to_le_bytes()[0]).collect();
        hasher.update(&self.free_max.to_le_bytes()).update(&cells);
        *hasher.finalize().as_bytes()
    }
}
