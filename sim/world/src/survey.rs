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
    /// The cells that count: those of the zone that can be swept.
    pub zone: Region,
}

/// The cells that a robot's true place has had within range and in sight.
#[derive(Clone, Debug)]
pub(crate) struct Swept {
    survey: Survey,
    /// Still to be swept, one a cell of the frame.
    open: Vec<bool>,
    left: u64,
}

impl Swept {
    pub(crate) fn new(survey: Survey) -> Self {
        let mut open = vec![false; survey.map.frame().cells() as usize];
        let mut left = 0;
        for cell in survey.zone.cells() {
            if let Some(place) = open.get_mut(cell as usize) {
                *place = true;
                left += 1;
            }
        }
        Self { survey, open, left }
    }

    pub(crate) fn sweep(&mut self, from: Point, range: Meters) {
        let (open, left) = (&mut self.open, &mut self.left);
        skein_space::sight::visible_cells(&self.survey.map, from, range, |cell| {
            if let Some(place) = open.get_mut(cell as usize)
                && *place
            {
                *place = false;
                *left -= 1;
            }
        });
    }

    /// Cells of the zone, and those of them that are swept.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let all = self.survey.zone.len();
        (all, all - self.left)
    }

    pub(crate) fn cell_area(&self) -> f64 {
        let side = self.survey.map.frame().resolution;
        side * side
    }

    /// Cells of the zone that nobody has swept.
    pub(crate) fn open_cells(&self) -> impl Iterator<Item = u32> + '_ {
        (0_u32..).zip(&self.open).filter(|(_, open)| **open).map(|(cell, _)| cell)
    }
}
