//! Free cells as bits, kept along rows and along columns, with the places where a straight search must stop.
//!
//! A straight walk stops before a blocked cell and at a cell from which a shortest path may turn: one beside
//! which a wall ends (without corner cutting it can be passed only there). Both are bits, so sixty-four cells are
//! looked at together. The idea is block-based jump point search (Harabor and Grastien 2014); the rule for turning is
//! the one for grids without corner cutting.
//!
//! Indexing: every word index is `(line + 1) * words + at / 64` with `line` in `-1..=count` and `at` in `0..=length`;
//! the vectors hold `(count + 2) * words` words and `words = length / 64 + 1`.

/// Free cells of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitGrid {
    width: u32,
    height: u32,
    pub(crate) rows: Lines,
    pub(crate) columns: Lines,
}

impl BitGrid {
    /// From a function that tells which cells (`row * width + column`) are free.
    #[must_use]
    pub fn new(width: u32, height: u32, free: impl Fn(u32) -> bool) -> Self {
        let mut rows = Lines::new(height as usize, width as usize);
        let mut columns = Lines::new(width as usize, height as usize);
        for y in 0..height {
            for x in 0..width {
                if free(y * width + x) {
                    rows.put(y as usize, x as usize, true);
                    columns.put(x as usize, y as usize, true);
                }
            }
        }
        rows.find_stops();
        columns.find_stops();
        Self { width, height, rows, columns }
    }

    /// Cells from west to east.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Cells from south to north.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Whether a cell is free; none is outside.
    #[must_use]
    pub fn free(&self, cell: u32) -> bool {
        let (x, y) = (cell % self.width.max(1), cell / self.width.max(1));
        y < self.height && self.rows.is_open(y as usize, x as usize)
    }

    /// Whether the cell in a column and row is free; the cells just outside the border are not.
    pub(crate) fn free_at(&self, x: i32, y: i32) -> bool {
        self.rows.is_open_or_beyond(y, x)
    }

    /// Up to 64 cells of a row as bits, the first at `column`; what lies outside is not free.
    pub(crate) fn window(&self, column: i32, row: i32) -> u64 {
        if row < 0 || row >= self.height as i32 { 0 } else { self.rows.window(row as usize, column) }
    }

    /// Frees or blocks a cell.
    pub fn set(&mut self, cell: u32, free: bool) {
        let (x, y) = ((cell % self.width.max(1)) as usize, (cell / self.width.max(1)) as usize);
        if y < self.height as usize && self.rows.is_open(y, x) != free {
            self.rows.put(y, x, free);
            self.columns.put(x, y, free);
            self.rows.find_stops_around(y, x);
            self.columns.find_stops_around(x, y);
        }
    }
}

/// Parallel lines of cells with a blocked line on either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    count: usize,
    words: usize,
    open: Vec<u64>,
    stop_up: Vec<u64>,
    stop_down: Vec<u64>,
}

impl Lines {
    fn new(count: usize, length: usize) -> Self {
        let words = length / 64 + 1;
        let size = (count + 2) * words;
        Self { count, words, open: vec![0; size], stop_up: vec![u64::MAX; size], stop_down: vec![u64::MAX; size] }
    }

    fn put(&mut self, line: usize, at: usize, open: bool) {
        let word = &mut self.open[(line + 1) * self.words + at / 64];
        let bit = 1_u64 << (at % 64);
        if open { *word |= bit } else { *word &= !bit }
    }

    pub(crate) fn is_open(&self, line: usize, at: usize) -> bool {
        self.open[(line + 1) * self.words + at / 64] >> (at % 64) & 1 == 1
    }

    /// Lines -1 and `count` and places -1 and `length` are blocked.
    #[inline]
    fn is_open_or_beyond(&self, line: i32, at: i32) -> bool {
        at >= 0 && self.is_open_at(line, at)
    }

    #[inline]
    fn is_open_at(&self, line: i32, at: i32) -> bool {
        let index = (line + 1) as usize * self.words + at as usize / 64;
        self.open[index] >> (at as u32 % 64) & 1 == 1
    }

    fn window(&self, line: usize, from: i32) -> u64 {
        let word = |index: i32| {
            let inside = (0..self.words as i32).contains(&index);
            if inside { self.open[(line + 1) * self.words + index as usize] } else { 0 }
        };
        let (index, shift) = (from.div_euclid(64), from.rem_euclid(64) as u32);
        if shift == 0 { word(index) } else { word(index) >> shift | word(index + 1) << (64 - shift) }
    }

    fn find_stops(&mut self) {
        for line in 0..self.count {
            for word in 0..self.words {
                self.find_stop(line, word);
            }
        }
    }

    fn find_stops_around(&mut self, line: usize, at: usize) {
        let word = at / 64;
        for line in line.saturating_sub(1)..=(line + 1).min(self.count - 1) {
            for word in word.saturating_sub(1)..=(word + 1).min(self.words - 1) {
                self.find_stop(line, word);
            }
        }
    }

    fn find_stop(&mut self, line: usize, word: usize) {
        let here = (line + 1) * self.words + word;
        let (mut up, mut down) = (!self.open[here], !self.open[here]);
        for side in [here - self.words, here + self.words] {
            let open = self.open[side];
            let before = if word > 0 { self.open[side - 1] >> 63 } else { 0 };
            let after = if word + 1 < self.words { self.open[side + 1] << 63 } else { 0 };
            up |= open & !(open << 1 | before);
            down |= open & !(open >> 1 | after);
        }
        self.stop_up[here] = up;
        self.stop_down[here] = down;
    }

    /// Whether a walk up the line stops at an open place to turn.
    pub(crate) fn stops_up(&self, line: i32, at: i32) -> bool {
        self.stop_up[(line + 1) as usize * self.words + at as usize / 64] >> (at % 64) & 1 == 1
    }

    /// Whether a walk down the line stops at an open place to turn.
    pub(crate) fn stops_down(&self, line: i32, at: i32) -> bool {
        self.stop_down[(line + 1) as usize * self.words + at as usize / 64] >> (at % 64) & 1 == 1
    }

    /// First place above `at` where a walk along the line stops.
    #[inline]
    pub(crate) fn next_stop_up(&self, line: i32, at: i32) -> i32 {
        let base = (line + 1) as usize * self.words;
        let from = (at + 1) as usize;
        let mut word = from / 64;
        let mut bits = self.stop_up[base + word] & (u64::MAX << (from % 64));
        while bits == 0 {
            // The place after the last is blocked and has its bit, so this ends within the line.
            word += 1;
            bits = self.stop_up[base + word];
        }
        (word * 64) as i32 + bits.trailing_zeros() as i32
    }

    /// First place below `at` where a walk along the line stops; -1 at its end.
    #[inline]
    pub(crate) fn next_stop_down(&self, line: i32, at: i32) -> i32 {
        let base = (line + 1) as usize * self.words;
        let at = at as usize;
        let mut word = at / 64;
        let mut bits = self.stop_down[base + word] & !(u64::MAX << (at % 64));
        while bits == 0 {
            if word == 0 {
                return -1;
            }
            word -= 1;
            bits = self.stop_down[base + word];
        }
        (word * 64) as i32 + 63 - bits.leading_zeros() as i32
    }
}
