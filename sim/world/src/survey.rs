//! What of a zone has truly been swept.

use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_types::geometry::Point;
use skein_types::region::Region;
use skein_types::units::Meters;

/// What is to be swept, and on which map sight is judged.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The conservative grid that everybody plans on.
    pub map: Arc<PlanningMap>,
    /// The squares that count: those of the zone that can be swept.
    pub zone: Region,
}

/// The squares that a robot's true place has had within range and in sight.
#[derive(Clone, Debug)]
pub(crate) struct Swept {
    survey: Survey,
    /// Still to be swept, one a square of the frame.
    open: Vec<bool>,
    left: u64,
}

impl Swept {
    pub(crate) fn new(survey: Survey) -> Self {
        let mut open = vec![false; survey.map.frame().squares() as usize];
        let mut left = 0;
        for square in survey.zone.squares() {
            if let Some(place) = open.get_mut(square as usize) {
                *place = true;
                left += 1;
            }
        }
        Self { survey, open, left }
    }

    pub(crate) fn sweep(&mut self, from: Point, range: Meters) {
        let (open, left) = (&mut self.open, &mut self.left);
        skein_space::sight::visible_squares(&self.survey.map, from, range, |square| {
            if let Some(place) = open.get_mut(square as usize)
                && *place
            {
                *place = false;
                *left -= 1;
            }
        });
    }

    /// Squares of the zone, and those of them that are swept.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let all = self.survey.zone.len();
        (all, all - self.left)
    }

    pub(crate) fn square_area(&self) -> f64 {
        let side = self.survey.map.frame().resolution;
        side * side
    }

    /// Squares of the zone that nobody has swept.
    pub(crate) fn open_squares(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.open).filter(|(_, open)| **open).map(|(square, _)| square)
    }
}
