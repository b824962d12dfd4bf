//! Exact Euclidean distance from the middle of each planning cell to the nearest pixel that is not free.
//!
//! Two passes (Meijster, Roerdink and Hesselink 2000; lower envelope as Felzenszwalb and Huttenlocher 2012) on a lattice
//! of half pixels, so that pixels have their real extent: the distance is to the pixel's edge, not to its middle.
//! Everything beyond the image counts as not free.
//!
//! Indexing: `columns` has `width` entries, sites and envelope `2 * width + 1`; loops stay within those.

/// An image of pixels and the number of them along the side of a planning cell.
pub(crate) struct Pixels<'a> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) factor: usize,
    pub(crate) free: &'a dyn Fn(usize, usize) -> bool,
}

impl Pixels<'_> {
    pub(crate) fn cells_wide(&self) -> usize {
        self.width.div_ceil(self.factor)
    }

    pub(crate) fn cells_high(&self) -> usize {
        self.height.div_ceil(self.factor)
    }

    /// Distances in pixels, row by row from the south.
    pub(crate) fn clearances(&self) -> Vec<f32> {
        let mut up = ColumnScan::new(self);
        let mut result = Vec::with_capacity(self.cells_wide() * self.cells_high());
        let mut envelope = Envelope::default();
        let mut sites = vec![0_i64; 2 * self.width + 1];
        for row in 0..self.cells_high() {
            let middle = (2 * self.factor * row + self.factor) as i64;
            let columns = up.distances_at(middle);
            for (at, site) in sites.iter_mut().enumerate() {
                // An even place is the edge between two pixels, an odd one the middle of a pixel.
                let (left, right) = (at.checked_sub(1).map(|a| columns[a / 2]), columns.get(at / 2));
                *site = if at % 2 == 1 { columns[at / 2] } else { left.unwrap_or(0).min(*right.unwrap_or(&0)) };
            }
            envelope.build(&sites);
            for column in 0..self.cells_wide() {
                let x = (2 * self.factor * column + self.factor) as i64;
                // A cell that reaches over the border may have its middle beyond it: no distance at all.
                let squared = if x >= 2 * self.width as i64 { 0 } else { envelope.at(x) };
                result.push((squared as f64).sqrt() as f32 * 0.5);
            }
        }
        result
    }
}

/// For each pixel column the nearest pixels that are not free, below and above a line that moves up.
struct ColumnScan<'a, 'b> {
    pixels: &'a Pixels<'b>,
    /// Upper edge of the highest one below the line, in half pixels.
    below: Vec<i64>,
    /// Lower edge of the lowest one not below, in half pixels.
    above: Vec<i64>,
    distances: Vec<i64>,
}

impl<'a, 'b> ColumnScan<'a, 'b> {
    fn new(pixels: &'a Pixels<'b>) -> Self {
        let mut scan = Self {
            pixels,
            below: vec![0; pixels.width],
            above: vec![-2; pixels.width],
            distances: vec![0; pixels.width],
        };
        for x in 0..pixels.width {
            scan.above[x] = scan.next_above(x, 0);
        }
        scan
    }

    fn next_above(&self, x: usize, from: usize) -> i64 {
        let found = (from..self.pixels.height).find(|&y| !(self.pixels.free)(x, y));
        2 * found.unwrap_or(self.pixels.height) as i64
    }

    fn distances_at(&mut self, middle: i64) -> &[i64] {
        for x in 0..self.pixels.width {
            while self.above[x] < 2 * self.pixels.height as i64 && self.above[x] + 2 <= middle {
                self.below[x] = self.above[x] + 2;
                self.above[x] = self.next_above(x, (self.below[x] / 2) as usize);
            }
            let distance = (self.above[x] - middle).min(middle - self.below[x]).max(0);
            self.distances[x] = distance;
        }
        &self.distances
    }
}

/// Lower envelope of parabolas `(x - site)² + height²`.
#[derive(Default)]
struct Envelope {
    /// Site and squared height of each parabola on the envelope.
    parts: Vec<(i64, i64)>,
    /// First x at which each part is the lowest.
    from: Vec<i64>,
    cursor: usize,
}

impl Envelope {
    fn build(&mut self, heights: &[i64]) {
        self.parts.clear();
        self.from.clear();
        self.cursor = 0;
        for (site, &height) in heights.iter().enumerate() {
            self.push(site as i64, height * height);
        }
    }

    fn push(&mut self, site: i64, squared: i64) {
        let mut start = i64::MIN;
        while let (Some(&(other, other_squared)), Some(&other_from)) = (self.parts.last(), self.from.last()) {
            let rise = (squared + site * site) - (other_squared + other * other);
            start = rise.div_euclid(2 * (site - other)) + 1;
            if start > other_from {
                break;
            }
            self.parts.pop();
            self.from.pop();
            start = i64::MIN;
        }
        self.parts.push((site, squared));
        self.from.push(start);
    }

    /// Squared distance at `x`; calls come with rising `x`.
    fn at(&mut self, x: i64) -> i64 {
        while self.from.get(self.cursor + 1).is_some_and(|&from| from <= x) {
            self.cursor += 1;
        }
        self.parts.get(self.cursor).map_or(0, |&(site, squared)| (x - site) * (x - site) + squared)
    }
}
