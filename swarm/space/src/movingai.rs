//! Grid benchmarks in the MovingAI format: `.map` and `.scen`.
//!
//! Columns run to the east and rows downwards, as the files count them. `.`, `G` and `S` can be passed; `@`, `O`, `T`
//! and `W` cannot. A diagonal step needs both cells beside it.

use skein_types::geometry::Point;
use skein_types::region::{REGION_CELLS_MAX, RegionFrame};
use thiserror::Error;

use crate::bit_grid::BitGrid;
use crate::jump_table::JumpTable;
use crate::path::{GridPath, Search, shortest_into};
use crate::planning::Traversable;

/// Most lines one scenario may have.
pub const QUERIES_MAX: usize = 1_000_000;

/// Why a benchmark file was refused. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MovingAiError {
    /// A header line is missing or wrong.
    #[error("line {line} of the map is {found:?}; it should be {wanted}")]
    Header {
        /// Number of the line, from 1.
        line: usize,
        /// What is there.
        found: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// More cells than a grid may have.
    #[error("the map has {width} x {height} cells, more than {REGION_CELLS_MAX} in all")]
    TooLarge {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// A row is missing or has another length than the header says.
    #[error("row {row} of the map (line {line}) has {found} cells instead of {width}")]
    Row {
        /// Which row, from 0.
        row: u32,
        /// Number of the line, from 1.
        line: usize,
        /// Number of cells that are there.
        found: usize,
        /// Cells the header promises.
        width: u32,
    },
    /// The file ends early.
    #[error("the map ends after {found} of {height} rows")]
    Truncated {
        /// Number of rows that are there.
        found: u32,
        /// Rows the header promises.
        height: u32,
    },
    /// A cell of no known kind.
    #[error("column {column} of row {row} of the map (line {line}) is {found:?}, none of . G S @ O T W")]
    Cell {
        /// Which column, from 0.
        column: usize,
        /// Which row, from 0.
        row: u32,
        /// Number of the line, from 1.
        line: usize,
        /// What is there.
        found: char,
    },
    /// A line of the scenario cannot be read.
    #[error("line {line} of the scenario: {what}")]
    Query {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// A benchmark grid, ready to be searched: jump distances are worked out when it is read.
#[derive(Clone, Debug)]
pub struct Grid {
    frame: RegionFrame,
    bits: BitGrid,
    table: Option<JumpTable>,
}

impl Traversable for Grid {
    fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    fn traversable(&self, cell: u32) -> bool {
        self.bits.free(cell)
    }

    fn bit_grid(&self) -> Option<&BitGrid> {
        Some(&self.bits)
    }

    fn jump_table(&self) -> Option<&JumpTable> {
        self.table.as_ref()
    }
}

impl Grid {
    /// Reads a `.map`.
    ///
    /// # Errors
    /// [`MovingAiError`] names the line.
    pub fn parse(text: &str) -> Result<Self, MovingAiError> {
        let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end()));
        header(lines.next(), 1, "type octile", |line| (line.split_whitespace().eq(["type", "octile"])).then_some(0))?;
        let (mut width, mut height) = (None, None);
        for line in [2, 3] {
            let wanted = "height or width and a number above zero";
            let (key, value) = header(lines.next(), line, wanted, |text| {
                let (key, value) = text.split_once(char::is_whitespace)?;
                let value = value.trim().parse::<u32>().ok().filter(|&v| v > 0)?;
                matches!(key, "height" | "width").then(|| (key.to_owned(), value))
            })?;
            if key == "height" { height = Some(value) } else { width = Some(value) }
        }
        let both = width.zip(height);
        let (width, height) = header(Some((3, "")), 3, "height and width, once each", |_| both)?;
        header(lines.next(), 4, "map", |line| (line.trim() == "map").then_some(0))?;
        if u64::from(width) * u64::from(height) > REGION_CELLS_MAX {
            return Err(MovingAiError::TooLarge { width, height });
        }
        let mut free = Vec::with_capacity(width as usize * height as usize);
        for row in 0..height {
            let (line, text) = lines.next().ok_or(MovingAiError::Truncated { found: row, height })?;
            read_row(text, row, line, width, &mut free)?;
        }
        let frame = RegionFrame { origin: Point::default(), resolution: 1.0, width, height };
        let bits = BitGrid::new(width, height, |cell| free[cell as usize]);
        let table = JumpTable::new(&bits);
        Ok(Self { frame, bits, table })
    }

    /// The cell in a column and a row, counted from the top left.
    #[must_use]
    pub fn cell(&self, column: u32, row: u32) -> u32 {
        row * self.frame.width + column
    }
}

fn header<T>(
    line: Option<(usize, &str)>,
    number: usize,
    wanted: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, MovingAiError> {
    let text = line.map_or("", |(_, text)| text);
    read(text).ok_or_else(|| MovingAiError::Header { line: number, found: text.chars().take(40).collect(), wanted })
}

fn read_row(text: &str, row: u32, line: usize, width: u32, free: &mut Vec<bool>) -> Result<(), MovingAiError> {
    let found = text.chars().count();
    if found != width as usize {
        return Err(MovingAiError::Row { row, line, found, width });
    }
    for (column, kind) in text.chars().enumerate() {
        free.push(match kind {
            '.' | 'G' | 'S' => true,
            '@' | 'O' | 'T' | 'W' => false,
            found => return Err(MovingAiError::Cell { column, row, line, found }),
        });
    }
    Ok(())
}

/// One line of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Line in the file, from 1.
    pub line: usize,
    /// The difficulty the file gives it.
    pub bucket: u32,
    /// Column and row of the start.
    pub start: (u32, u32),
    /// Column and row of the goal.
    pub goal: (u32, u32),
    /// Length of the shortest path according to the file, in cells.
    pub published: f64,
}

/// Reads a `.scen` for a grid.
///
/// # Errors
/// [`MovingAiError::Query`] names the line: not readable, made for a map of another size, or outside the map.
pub fn parse_scenario(text: &str, grid: &Grid) -> Result<Vec<Query>, MovingAiError> {
    let mut queries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let bad = |what: String| MovingAiError::Query { line: number, what };
        if index == 0 {
            if !matches!(line.split_whitespace().collect::<Vec<_>>().as_slice(), ["version", "1" | "1.0"]) {
                return Err(bad(format!(
                    "it is {:?}; it should be version 1",
                    line.chars().take(40).collect::<String>()
                )));
            }
        } else if !line.trim().is_empty() {
            if queries.len() == QUERIES_MAX {
                return Err(bad(format!("more than {QUERIES_MAX} queries")));
            }
            queries.push(read_query(line, number, grid).map_err(bad)?);
        }
    }
    if text.is_empty() {
        return Err(MovingAiError::Query { line: 1, what: "the file is empty".into() });
    }
    Ok(queries)
}

fn read_query(text: &str, line: usize, grid: &Grid) -> Result<Query, String> {
    // Names of maps may contain spaces: bucket first, eight numbers last.
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [bucket, _, .., width, height, sx, sy, gx, gy, published] = *parts.as_slice() else {
        return Err(format!(
            "{} fields instead of 9: bucket, map, width, height, start x y, goal x y, length",
            parts.len()
        ));
    };
    let number = |name: &str, text: &str| text.parse::<u32>().map_err(|_| format!("{name} is {text:?}, not a number"));
    let (width, height) = (number("width", width)?, number("height", height)?);
    let frame = &grid.frame;
    if (width, height) != (frame.width, frame.height) {
        return Err(format!("made for a map of {width} x {height}; this one has {} x {}", frame.width, frame.height));
    }
    let place = |name: &str, x: &str, y: &str| {
        let (x, y) = (number(name, x)?, number(name, y)?);
        let inside = x < frame.width && y < frame.height;
        if inside { Ok((x, y)) } else { Err(format!("{name} ({x}, {y}) lies outside the map")) }
    };
    let published = published
        .parse::<f64>()
        .ok()
        .filter(|length| length.is_finite() && *length >= 0.0)
        .ok_or_else(|| format!("length is {published:?}, not a number"))?;
    Ok(Query {
        line,
        bucket: number("bucket", bucket)?,
        start: place("start", sx, sy)?,
        goal: place("goal", gx, gy)?,
        published,
    })
}

/// A query and what we found.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column and row of the start.
    pub start: (u32, u32),
    /// Column and row of the goal.
    pub goal: (u32, u32),
    /// Length of our path in cells; `None` when there is none.
    pub ours: Option<f64>,
    /// Length according to the file.
    pub published: f64,
}

impl Solved {
    /// Whether ours is as long as the published one, which files give to 8 digits or fewer.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.ours.is_some_and(|ours| (ours - self.published).abs() <= 1e-4 + self.published * 1e-6)
    }
}

/// Solves one query; the caller takes the time. `path` is reused and holds the cells afterwards.
pub fn solve(search: &mut Search, grid: &Grid, query: &Query, path: &mut GridPath) -> Solved {
    let (start, goal) = (grid.cell(query.start.0, query.start.1), grid.cell(query.goal.0, query.goal.1));
    let found = shortest_into(search, grid, start, goal, path);
    Solved {
        line: query.line,
        start: query.start,
        goal: query.goal,
        ours: found.then(|| path.length()),
        published: query.published,
    }
}
