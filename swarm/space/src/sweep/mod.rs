//! How one robot sees all of an area.
//!
//! Viewpoints are laid along boustrophedon lanes wherever the robot can stand; what they miss (corners, places behind
//! shelves) gets viewpoints of its own. Then the way through all of them is shortened by the distances that are really
//! driven, viewpoints that show nothing of their own are dropped, and the others move as near to the way as their view
//! allows.

mod look;
mod tour;

use skein_types::geometry::Point;
use skein_types::region::Region;
use skein_types::units::{Meters, Radians};

use crate::planning::{PlanningMap, region_where};
use look::Look;
use tour::Tour;

/// A plan to sweep an area: a robot that visits the viewpoints in order and looks around at each sees the cells of
/// `swept`.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepPlan {
    /// Where to look from, in order, in the middle of traversable cells.
    pub viewpoints: Vec<Point>,
    /// Length of the way from the start through all viewpoints over traversable cells: an estimate a little above what
    /// straight lines need.
    pub length: Meters,
    /// Direction of the lanes, radians counter-clockwise from east, in [0, π).
    pub direction: Radians,
    /// Cells of the area that are seen.
    pub swept: Region,
    /// Cells of the area that cannot be seen from anywhere the robot gets to, and a few (at most 1 in 500) that would
    /// each have needed a way of their own.
    pub unseen: Region,
}

/// Plans a sweep of `region` from `start` with a sensor that sees as far as `range`. Viewpoints use the range to the
/// full: who passes them by a hand's breadth should plan with that much less than the sensor's range. Lanes run along `direction`, or
/// along whichever of two directions, across or along the map, makes the way shorter.
#[must_use]
pub fn plan(map: &PlanningMap, region: &Region, start: Point, range: Meters, direction: Option<Radians>) -> SweepPlan {
    let standing = map.standing_from(&[start]);
    let draft = |angle: f64| Draft::new(map, region, &standing, start, range, angle);
    let best = match direction {
        Some(direction) => draft(direction.0.rem_euclid(std::f64::consts::PI)),
        None => {
            let (across, along) = (draft(0.0), draft(std::f64::consts::FRAC_PI_2));
            if along.tour.length() < across.tour.length() { along } else { across }
        }
    };
    best.finish(map)
}

/// Rounds of dropping and moving viewpoints and ordering them anew.
const SETTLING_ROUNDS: usize = 2;

/// Viewpoints that show everything, in a good order.
struct Draft<'a> {
    look: Look<'a>,
    tour: Tour<'a>,
    angle: f64,
}

impl<'a> Draft<'a> {
    fn new(map: &'a PlanningMap, region: &Region, standing: &Region, start: Point, range: Meters, angle: f64) -> Self {
        let mut look = Look::new(map, region, standing, range);
        look.lanes(start, angle);
        look.residual();
        let mut tour = Tour::new(map, start, look.viewpoints());
        tour.shorten();
        Self { look, tour, angle }
    }

    fn finish(mut self, map: &PlanningMap) -> SweepPlan {
        for _ in 0..SETTLING_ROUNDS {
            self.look.settle(&mut self.tour);
            self.tour.shorten();
        }
        let look = self.look;
        SweepPlan {
            length: Meters(self.tour.length()),
            viewpoints: self.tour.viewpoints(),
            direction: Radians(self.angle),
            swept: region_where(*map.frame(), |cell| look.is_seen(cell)),
            unseen: region_where(*map.frame(), |cell| look.is_missed(cell)),
        }
    }
}
