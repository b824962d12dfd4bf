//! Polygons with holes that cannot be wrong once they exist.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::Point;

/// Most corners one polygon may have, all rings together.
pub const POLYGON_CORNERS_MAX: usize = 10_000;
/// Smallest area that counts as one, m².
pub const POLYGON_AREA_MIN: f64 = 1e-6;

/// A simple polygon with holes, metres in the map's frame. Rings are open (the last corner is not the first again),
/// the exterior runs counter-clockwise and holes clockwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolygonParts", into = "PolygonParts")]
pub struct Polygon {
    exterior: Vec<Point>,
    holes: Vec<Vec<Point>>,
}

/// The unchecked parts of a [`Polygon`], as they come from a file or a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolygonParts {
    /// The outer ring. Corners in the map's frame, metres.
    pub exterior: Vec<Point>,
    /// Rings cut out of it.
    #[serde(default)]
    pub holes: Vec<Vec<Point>>,
}

/// Why a polygon was refused. `ring` 0 is the exterior, the holes follow from 1.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolygonError {
    /// Too few different corners to enclose anything.
    #[error("ring {ring} has {corners} corners; it needs at least 3")]
    TooFewCorners {
        /// Number of the ring; 0 is the exterior.
        ring: usize,
        /// How many corners it has.
        corners: usize,
    },
    /// More than [`POLYGON_CORNERS_MAX`].
    #[error("it has {0} corners, more than {POLYGON_CORNERS_MAX}")]
    TooManyCorners(usize),
    /// A coordinate is infinite or NaN.
    #[error("corner {corner} of ring {ring} is not finite")]
    NotFinite {
        /// Number of the ring; 0 is the exterior.
        ring: usize,
        /// Number of the corner, from 0.
        corner: usize,
    },
    /// A ring encloses no area.
    #[error("ring {ring} encloses no area")]
    NoArea {
        /// Number of the ring; 0 is the exterior.
        ring: usize,
    },
    /// Two edges meet where they should not.
    #[error("edge {edge} of ring {ring} crosses edge {other_edge} of ring {other_ring} near ({x:.3}, {y:.3})")]
    Crossing {
        /// Ring of the first edge.
        ring: usize,
        /// First edge: from this corner to the next.
        edge: usize,
        /// Ring of the second edge.
        other_ring: usize,
        /// Number of the second edge, from 0.
        other_edge: usize,
        /// Where, metres east.
        x: f64,
        /// Where, metres north.
        y: f64,
    },
    /// A hole that is not inside the exterior.
    #[error("hole {hole} lies outside the exterior")]
    HoleOutside {
        /// Which hole, from 1.
        hole: usize,
    },
}

impl TryFrom<PolygonParts> for Polygon {
    type Error = PolygonError;
    fn try_from(parts: PolygonParts) -> Result<Self, PolygonError> {
        Self::new(parts.exterior, parts.holes)
    }
}

impl From<Polygon> for PolygonParts {
    fn from(polygon: Polygon) -> Self {
        Self { exterior: polygon.exterior, holes: polygon.holes }
    }
}

impl Polygon {
    /// Checks the rings and brings them into the one form: open, exterior counter-clockwise, holes clockwise,
    /// no corner twice in a row.
    ///
    /// # Errors
    /// [`PolygonError`] names the ring and the corner.
    pub fn new(exterior: Vec<Point>, holes: Vec<Vec<Point>>) -> Result<Self, PolygonError> {
        let corners = exterior.len() + holes.iter().map(Vec::len).sum::<usize>();
        if corners > POLYGON_CORNERS_MAX {
            return Err(PolygonError::TooManyCorners(corners));
        }
        let exterior = normal_ring(0, exterior, true)?;
        let holes = holes
            .into_iter()
            .enumerate()
            .map(|(i, hole)| normal_ring(i + 1, hole, false))
            .collect::<Result<Vec<_>, _>>()?;
        let polygon = Self { exterior, holes };
        polygon.check_crossings()?;
        polygon.check_holes()?;
        Ok(polygon)
    }

    /// An axis-aligned rectangle.
    ///
    /// # Errors
    /// [`PolygonError`] when it is not finite or has no area.
    pub fn rectangle(min: Point, max: Point) -> Result<Self, PolygonError> {
        Self::new(alloc::vec![min, Point::new(max.x, min.y), max, Point::new(min.x, max.y)], Vec::new())
    }

    /// The outer ring, counter-clockwise, open.
    #[must_use]
    pub fn exterior(&self) -> &[Point] {
        &self.exterior
    }

    /// The holes, clockwise, open.
    #[must_use]
    pub fn holes(&self) -> &[Vec<Point>] {
        &self.holes
    }

    /// All rings, the exterior first.
    pub fn rings(&self) -> impl Iterator<Item = &[Point]> {
        core::iter::once(self.exterior.as_slice()).chain(self.holes.iter().map(Vec::as_slice))
    }

    /// Area less the holes, m².
    #[must_use]
    pub fn area(&self) -> f64 {
        self.rings().map(signed_area).sum()
    }

    /// Inside the exterior and outside every hole (even-odd; the border may fall on either side).
    #[must_use]
    pub fn contains(&self, point: Point) -> bool {
        self.rings().fold(false, |inside, ring| inside ^ ring_contains(ring, point))
    }

    /// Smallest and largest corner, metres.
    #[must_use]
    pub fn bounds(&self) -> (Point, Point) {
        let start = (Point::new(f64::INFINITY, f64::INFINITY), Point::new(f64::NEG_INFINITY, f64::NEG_INFINITY));
        self.exterior.iter().fold(start, |(low, high), p| {
            (Point::new(low.x.min(p.x), low.y.min(p.y)), Point::new(high.x.max(p.x), high.y.max(p.y)))
        })
    }

    fn edges(&self) -> impl Iterator<Item = Edge> + '_ {
        self.rings().enumerate().flat_map(|(ring, corners)| {
            corners.iter().zip(corners.iter().cycle().skip(1)).enumerate().map(move |(index, (&a, &b))| Edge {
                ring,
                index,
                count: corners.len(),
                a,
                b,
            })
        })
    }

    /// Sweeps the edges by their left end, so that only edges that overlap in x are compared.
    fn check_crossings(&self) -> Result<(), PolygonError> {
        let mut edges: Vec<Edge> = self.edges().collect();
        edges.sort_by(|p, q| p.left().total_cmp(&q.left()));
        for (i, first) in edges.iter().enumerate() {
            let right = first.right();
            for second in edges.iter().skip(i + 1).take_while(|e| e.left() <= right) {
                if let Some(at) = first.meets(second) {
                    return Err(PolygonError::Crossing {
                        ring: first.ring,
                        edge: first.index,
                        other_ring: second.ring,
                        other_edge: second.index,
                        x: at.x,
                        y: at.y,
                    });
                }
            }
        }
        Ok(())
    }

    fn check_holes(&self) -> Result<(), PolygonError> {
        for (i, hole) in self.holes.iter().enumerate() {
            let Some(&corner) = hole.first() else { continue };
            let in_another = self.holes.iter().enumerate().any(|(j, other)| j != i && ring_contains(other, corner));
            if !ring_contains(&self.exterior, corner) || in_another {
                return Err(PolygonError::HoleOutside { hole: i + 1 });
            }
        }
        Ok(())
    }
}

fn normal_ring(ring: usize, mut corners: Vec<Point>, counter_clockwise: bool) -> Result<Vec<Point>, PolygonError> {
    if let Some(corner) = corners.iter().position(|p| !p.is_finite()) {
        return Err(PolygonError::NotFinite { ring, corner });
    }
    corners.dedup();
    while corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    if corners.len() < 3 {
        return Err(PolygonError::TooFewCorners { ring, corners: corners.len() });
    }
    let area = signed_area(&corners);
    if !area.is_finite() || area.abs() < POLYGON_AREA_MIN {
        // A bow tie can enclose zero on balance: say what is really wrong with it.
        let edges = Polygon { exterior: corners, holes: Vec::new() };
        edges.check_crossings()?;
        return Err(PolygonError::NoArea { ring });
    }
    if (area > 0.0) != counter_clockwise {
        corners.reverse();
    }
    Ok(corners)
}

/// Shoelace formula: positive when counter-clockwise.
fn signed_area(ring: &[Point]) -> f64 {
    ring.iter().zip(ring.iter().cycle().skip(1)).map(|(a, b)| a.cross(*b)).sum::<f64>() / 2.0
}

fn ring_contains(ring: &[Point], p: Point) -> bool {
    ring.iter().zip(ring.iter().cycle().skip(1)).fold(false, |inside, (a, b)| {
        let spans = (a.y > p.y) != (b.y > p.y);
        inside ^ (spans && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x)
    })
}

struct Edge {
    ring: usize,
    index: usize,
    count: usize,
    a: Point,
    b: Point,
}

impl Edge {
    fn left(&self) -> f64 {
        self.a.x.min(self.b.x)
    }

    fn right(&self) -> f64 {
        self.a.x.max(self.b.x)
    }

    fn follows(&self, other: &Self) -> bool {
        self.ring == other.ring && (other.index + 1) % other.count == self.index
    }

    /// Where the two edges meet although they should not; neighbours may share their common corner only.
    fn meets(&self, other: &Self) -> Option<Point> {
        if self.follows(other) {
            return overlap_beyond(other.b, other.a, self.b);
        }
        if other.follows(self) {
            return overlap_beyond(self.b, self.a, other.b);
        }
        segments_meet(self.a, self.b, other.a, other.b)
    }
}

/// Two edges leave the same corner; they overlap when they leave it in the same direction.
fn overlap_beyond(corner: Point, one: Point, two: Point) -> Option<Point> {
    let (u, v) = (one - corner, two - corner);
    (u.cross(v) == 0.0 && u.dot(v) > 0.0).then_some(corner)
}

fn segments_meet(a: Point, b: Point, c: Point, d: Point) -> Option<Point> {
    let side = |p: Point, q: Point, r: Point| (q - p).cross(r - p);
    let (abc, abd, cda, cdb) = (side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b));
    if ((abc > 0.0) != (abd > 0.0))
        && ((cda > 0.0) != (cdb > 0.0))
        && abc != 0.0
        && abd != 0.0
        && cda != 0.0
        && cdb != 0.0
    {
        return Some(a.lerp(b, cda / (cda - cdb)));
    }
    let on = |p: Point, q: Point, r: Point| {
        r.x >= p.x.min(q.x) && r.x <= p.x.max(q.x) && r.y >= p.y.min(q.y) && r.y <= p.y.max(q.y)
    };
    [(abc, a, b, c), (abd, a, b, d), (cda, c, d, a), (cdb, c, d, b)]
        .into_iter()
        .find(|&(turn, p, q, r)| turn == 0.0 && on(p, q, r))
        .map(|(_, _, _, r)| r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn p(x: f64, y: f64) -> Point {
        Point::new(x, y)
    }

    #[test]
    fn a_square_with_a_hole_knows_its_area_whatever_way_round_it_was_drawn() {
        let square = vec![p(0.0, 0.0), p(0.0, 4.0), p(4.0, 4.0), p(4.0, 0.0), p(0.0, 0.0)];
        let hole = vec![p(1.0, 1.0), p(2.0, 1.0), p(2.0, 2.0), p(1.0, 2.0)];
        let polygon = Polygon::new(square, vec![hole]).unwrap();
        assert_eq!(polygon.area(), 15.0);
        assert_eq!(polygon.exterior().len(), 4);
        assert!(polygon.contains(p(3.0, 3.0)));
        assert!(!polygon.contains(p(1.5, 1.5)));
        assert!(!polygon.contains(p(5.0, 1.0)));
    }

    #[test]
    fn what_is_no_polygon_is_refused_with_the_reason() {
        let bow_tie = vec![p(0.0, 0.0), p(2.0, 2.0), p(2.0, 0.0), p(0.0, 2.0)];
        assert!(matches!(Polygon::new(bow_tie, vec![]), Err(PolygonError::Crossing { .. })));
        let line = vec![p(0.0, 0.0), p(1.0, 1.0), p(0.0, 0.0)];
        assert!(matches!(Polygon::new(line, vec![]), Err(PolygonError::TooFewCorners { corners: 2, .. })));
        let flat = vec![p(0.0, 0.0), p(1.0, 0.0), p(2.0, 0.0)];
        assert!(Polygon::new(flat, vec![]).is_err());
        let nan = vec![p(0.0, 0.0), p(f64::NAN, 0.0), p(2.0, 3.0)];
        assert_eq!(Polygon::new(nan, vec![]), Err(PolygonError::NotFinite { ring: 0, corner: 1 }));
        let square = || vec![p(0.0, 0.0), p(4.0, 0.0), p(4.0, 4.0), p(0.0, 4.0)];
        let far = vec![p(9.0, 9.0), p(9.5, 9.0), p(9.0, 9.5)];
        assert_eq!(Polygon::new(square(), vec![far]), Err(PolygonError::HoleOutside { hole: 1 }));
        let across = vec![p(3.0, 1.0), p(5.0, 1.0), p(5.0, 2.0), p(3.0, 2.0)];
        assert!(matches!(Polygon::new(square(), vec![across]), Err(PolygonError::Crossing { .. })));
        let many = (0..POLYGON_CORNERS_MAX + 1).map(|i| p(i as f64, 0.0)).collect();
        assert!(matches!(Polygon::new(many, vec![]), Err(PolygonError::TooManyCorners(_))));
    }

    #[test]
    fn a_touching_corner_counts_as_a_crossing() {
        let pinched = vec![p(0.0, 0.0), p(2.0, 0.0), p(2.0, 2.0), p(1.0, 0.0), p(0.0, 2.0)];
        assert!(matches!(Polygon::new(pinched, vec![]), Err(PolygonError::Crossing { .. })));
    }

    #[test]
    fn a_polygon_survives_a_round_trip_through_json() {
        let polygon = Polygon::rectangle(p(0.0, 0.0), p(3.0, 2.0)).unwrap();
        let text = serde_json::to_string(&polygon).unwrap();
        assert_eq!(serde_json::from_str::<Polygon>(&text).unwrap(), polygon);
        assert!(serde_json::from_str::<Polygon>(r#"{"exterior":[]}"#).is_err());
    }
}
