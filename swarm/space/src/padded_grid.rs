//! A grid with a closed border around its cells, so the eight neighbours of an open place exist.

/// Open cells with a closed border, as fast to look at as it gets. A *place* is an index into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PaddedGrid {
    width: u32,
    height: u32,
    /// Whether each place is open.
    pub(crate) open: Vec<bool>,
}

impl PaddedGrid {
    pub(crate) fn new(width: u32, height: u32, open: impl Fn(u32) -> bool) -> Self {
        let stride = width as usize + 2;
        let mut padded = Self { width, height, open: vec![false; stride * (height as usize + 2)] };
        for row in 0..height {
            let base = (row as usize + 1) * stride + 1;
            for column in 0..width {
                padded.open[base + column as usize] = open(row * width + column);
            }
        }
        padded
    }

    /// Places from one row to the next.
    pub(crate) const fn stride(&self) -> usize {
        self.width as usize + 2
    }

    pub(crate) fn places(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn is_open(&self, place: u32) -> bool {
        self.open[place as usize]
    }

    /// The place of a cell, if it is open.
    pub(crate) fn place(&self, cell: u32) -> Option<u32> {
        let (row, column) = (cell / self.width.max(1), cell % self.width.max(1));
        let place = (row + 1) * (self.width + 2) + column + 1;
        (row < self.height && self.is_open(place)).then_some(place)
    }

    /// The place in a column and row of the grid.
    pub(crate) const fn at(&self, column: u32, row: u32) -> u32 {
        (row + 1) * (self.width + 2) + column + 1
    }

    pub(crate) fn cell(&self, place: u32) -> u32 {
        let stride = self.width + 2;
        (place / stride - 1) * self.width + place % stride - 1
    }

    /// The four places that share an edge with one inside the border.
    pub(crate) fn beside(&self, place: u32) -> [u32; 4] {
        let stride = self.width + 2;
        [place + 1, place - 1, place + stride, place - stride]
    }

    /// The places to the east and the north, so that a walk over all places meets every pair once.
    pub(crate) fn ahead(&self, place: u32) -> [u32; 2] {
        [place + 1, place + self.width + 2]
    }
}
