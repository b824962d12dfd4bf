//! Which cells a robot could have swept, by the poses that it reported itself.
//!
//! A coarse grid over the map, one bit a cell: a cell is marked when a reported pose was within the reach of the survey
//! sensor. Between two reports that are far apart in time (the link was down) everything is marked that the robot could
//! have passed on its way from one pose to the other at its top speed. Sight is not considered, so walls let it mark too
//! much, never too little.

use core::time::Duration;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::region::{Region, RegionError, RegionFrame};
use skein_types::time::MonoTime;

/// Most bits of one robot's grid: 8 KiB.
const BITS_MAX: usize = 65_536;
/// Added to the sensor's reach for the error of the pose and the delay of its report, metres.
const MARGIN: f64 = 1.0;
/// A reported reach beyond this is not believed, metres.
const REACH_MAX: f64 = 10.0;
/// A pose that moved less than this marks nothing new, metres.
const STEP: f64 = 0.2;
/// Reports that are further apart are a gap.
const GAP: Duration = Duration::from_secs(1);

/// The evidence of one robot.
#[derive(Clone, Debug)]
pub(crate) struct SweepEvidence {
    frame: RegionFrame,
    /// Map cells to one coarse cell, along each axis.
    factor: u32,
    columns: u32,
    rows: u32,
    bits: Vec<u64>,
    last: Option<(Point, MonoTime)>,
    marked: Option<Point>,
}

impl SweepEvidence {
    pub(crate) fn new(frame: RegionFrame) -> Self {
        let mut factor = 1;
        let cells = |factor: u32| {
            let (columns, rows) = (frame.width.div_ceil(factor), frame.height.div_ceil(factor));
            (columns as usize).saturating_mul(rows as usize)
        };
        while cells(factor) > BITS_MAX {
            factor += 1;
        }
        let words = cells(factor).div_ceil(64);
        Self {
            frame,
            factor,
            columns: frame.width.div_ceil(factor),
            rows: frame.height.div_ceil(factor),
            bits: vec![0; words],
            last: None,
            marked: None,
        }
    }

    /// The robot reports where it is.
    pub(crate) fn observe(&mut self, now: MonoTime, at: Point, body: &BodyDescriptor) {
        let reach = reach_of(body);
        if let Some((before, then)) = self.last.filter(|(_, then)| now.since(*then) > GAP) {
            let travel = body.speed_max.0 * now.since(then).as_secs_f64();
            self.mark_ellipse(before, at, travel, reach);
        }
        self.last = Some((at, now));
        if self.marked.is_none_or(|marked| marked.distance(at) >= STEP) {
            self.marked = Some(at);
            self.mark_ellipse(at, at, 0.0, reach);
        }
    }

    /// Marks what can be seen from within `reach` of a path of length `travel` between two places.
    fn mark_ellipse(&mut self, from: Point, to: Point, travel: f64, reach: f64) {
        let side = self.side();
        // The middle of a coarse cell stands for all of it.
        let sum = travel.max(from.distance(to)) + 2.0 * (reach + side);
        let middle = (from + to) * 0.5;
        let (origin, half) = (self.frame.origin, sum / 2.0);
        let (low_x, high_x) = self.span(middle.x - half, middle.x + half, origin.x, self.columns);
        let (low_y, high_y) = self.span(middle.y - half, middle.y + half, origin.y, self.rows);
        for row in low_y..high_y {
            for column in low_x..high_x {
                let cell = Point::new(
                    self.frame.origin.x + (f64::from(column) + 0.5) * side,
                    self.frame.origin.y + (f64::from(row) + 0.5) * side,
                );
                if cell.distance(from) + cell.distance(to) <= sum {
                    self.mark(column, row);
                }
            }
        }
    }

    fn side(&self) -> f64 {
        self.frame.resolution * f64::from(self.factor)
    }

    /// The coarse columns (or rows) that an interval touches.
    fn span(&self, low: f64, high: f64, origin: f64, count: u32) -> (u32, u32) {
        let index = |value: f64| ((value - origin) / self.side()).floor().clamp(0.0, f64::from(count));
        (index(low) as u32, (index(high) as u32).saturating_add(1).min(count))
    }

    fn mark(&mut self, column: u32, row: u32) {
        let bit = row as usize * self.columns as usize + column as usize;
        if let Some(word) = self.bits.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// The robot could have swept this map cell.
    fn covers(&self, cell: u32) -> bool {
        let (column, row) =
            (cell % self.frame.width.max(1) / self.factor, cell / self.frame.width.max(1) / self.factor);
        let bit = row as usize * self.columns as usize + column as usize;
        self.bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Nothing was heard of the robot for a while: it may be anywhere it could have got to, and have swept there.
    fn cover_silence(&mut self, now: MonoTime, body: &BodyDescriptor) {
        if let Some((before, then)) = self.last.filter(|(_, then)| now.since(*then) > GAP) {
            let travel = body.speed_max.0 * now.since(then).as_secs_f64();
            self.mark_ellipse(before, before, 2.0 * travel, reach_of(body));
        }
    }

    /// What must still be swept: what the robot reports, and what it says it swept but could not have seen; and the
    /// number of cells of the latter.
    pub(crate) fn believed(
        &mut self,
        now: MonoTime,
        body: &BodyDescriptor,
        remaining: &Region,
        reported: &Region,
    ) -> Result<(Region, usize), RegionError> {
        self.cover_silence(now, body);
        let swept = remaining.difference(reported)?;
        let unseen: Vec<u32> = swept.cells().filter(|cell| !self.covers(*cell)).collect();
        if unseen.is_empty() {
            return Ok((reported.clone(), 0));
        }
        let count = unseen.len();
        Ok((reported.union(&Region::from_cells(*remaining.frame(), unseen)?)?, count))
    }
}

/// How far from its pose a robot can have swept, metres.
fn reach_of(body: &BodyDescriptor) -> f64 {
    body.sweep_range.0.min(REACH_MAX) + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: RegionFrame =
        RegionFrame { origin: Point { x: -10.0, y: -10.0 }, resolution: 0.1, width: 900, height: 700 };

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_millis(1000 * seconds)
    }

    fn region(center: Point, side: f64) -> Region {
        let near = |cell: &u32| {
            let offset = FRAME.center_of(*cell) - center;
            offset.x.abs() < side / 2.0 && offset.y.abs() < side / 2.0
        };
        Region::from_cells(FRAME, (0..FRAME.width * FRAME.height).filter(near)).unwrap()
    }

    fn unbelieved(evidence: &mut SweepEvidence, now: MonoTime, claimed: &Region) -> usize {
        let nothing = Region::empty(FRAME).unwrap();
        evidence.believed(now, &BodyDescriptor::rover(), claimed, &nothing).unwrap().1
    }

    #[test]
    fn cells_within_reach_are_believed_and_others_are_not() {
        let mut evidence = SweepEvidence::new(FRAME);
        evidence.observe(at(1), Point::new(5.0, 5.0), &BodyDescriptor::rover());
        assert!(evidence.bits.len() * 64 <= BITS_MAX + 64);
        assert_eq!(unbelieved(&mut evidence, at(1), &region(Point::new(5.0, 5.0), 3.0)), 0);
        let far = region(Point::new(15.0, 5.0), 3.0);
        assert_eq!(unbelieved(&mut evidence, at(1), &far) as u64, far.len());
        let (left, _) =
            evidence.believed(at(1), &BodyDescriptor::rover(), &far, &Region::empty(FRAME).unwrap()).unwrap();
        assert_eq!(left, far, "it must still be swept");
    }

    #[test]
    fn silence_credits_what_could_be_reached_meanwhile_and_no_more() {
        let mut evidence = SweepEvidence::new(FRAME);
        evidence.observe(at(1), Point::new(5.0, 5.0), &BodyDescriptor::rover());
        let (near, far) = (region(Point::new(12.0, 5.0), 2.0), region(Point::new(40.0, 40.0), 2.0));
        assert!(unbelieved(&mut evidence.clone(), at(2), &near) > 0);
        assert_eq!(unbelieved(&mut evidence, at(11), &near), 0);
        assert_eq!(unbelieved(&mut evidence, at(11), &far) as u64, far.len());
    }

    #[test]
    fn a_gap_between_two_poses_credits_the_ways_between_them() {
        let mut evidence = SweepEvidence::new(FRAME);
        let body = BodyDescriptor::rover();
        evidence.observe(at(1), Point::new(0.0, 0.0), &body);
        evidence.observe(at(13), Point::new(10.0, 0.0), &body);
        assert_eq!(unbelieved(&mut evidence, at(13), &region(Point::new(5.0, 1.0), 2.0)), 0);
        assert!(unbelieved(&mut evidence, at(13), &region(Point::new(5.0, 30.0), 2.0)) > 0);
    }
}
