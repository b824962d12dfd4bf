//! What is seen agrees with lines sampled finely, cell by cell.

use proptest::prelude::*;
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_space::sight::{line_cells, line_free, raycast, visible_cells};
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

fn map(width: u32, height: u32, free: &[bool]) -> Option<PlanningMap> {
    let frame = RegionFrame { origin: Point::new(-1.0, 2.0), resolution: 0.1, width, height };
    let map = OccupancyMap::from_cells(frame, |cell| if free[cell as usize] { Cell::Free } else { Cell::Occupied });
    PlanningMap::new(&map, &PlanningParams { resolution: Meters(0.1), clearance: Meters(0.04) }).ok()
}

/// How deep the line goes into anything blocked, from many samples: positive means surely blocked, and a line whose
/// samples keep off by a hair is surely free.
fn sampled(map: &PlanningMap, from: Point, to: Point, hair: f64) -> Option<bool> {
    let frame = map.frame();
    let blocked = |p: Point| frame.cell_of(p).is_none_or(|cell| map.blocked(cell));
    let (mut touched, mut near) = (false, false);
    for i in 0..=3000 {
        let p = from.lerp(to, f64::from(i) / 3000.0);
        touched |= blocked(p);
        near |= [(hair, 0.0), (-hair, 0.0), (0.0, hair), (0.0, -hair)]
            .into_iter()
            .any(|(x, y)| blocked(p + Point::new(x, y)));
    }
    if touched == near { Some(!touched) } else { None }
}

fn any_map() -> impl Strategy<Value = (u32, u32, Vec<bool>)> {
    (3_u32..70, 3_u32..30, 0.6_f64..0.99).prop_flat_map(|(w, h, density)| {
        (Just(w), Just(h), prop::collection::vec(prop::bool::weighted(density), (w * h) as usize))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn visible_cells_are_those_with_a_free_line((w, h, free) in any_map(), x in 0.0_f64..1.0, y in 0.0_f64..1.0, range in 0.2_f64..4.5) {
        let Some(map) = map(w, h, &free) else { return Ok(()) };
        let frame = *map.frame();
        let from = frame.origin + Point::new(x * f64::from(w), y * f64::from(h)) * 0.1;
        let mut seen = vec![0; (w * h) as usize];
        visible_cells(&map, from, Meters(range), |cell| seen[cell as usize] += 1);
        let home = frame.cell_of(from).unwrap();
        for cell in 0..w * h {
            let center = frame.center_of(cell);
            let distance = center.distance(from);
            let expected = !map.blocked(home) && !map.blocked(cell) && line_free(&map, from, center);
            if (distance - range).abs() > 1e-9 {
                prop_assert_eq!(seen[cell as usize], u32::from(expected && distance < range), "cell {}", cell);
            }
        }
    }

    #[test]
    fn lines_are_free_when_all_their_points_are((w, h, free) in any_map(), ends in prop::array::uniform4(0.001_f64..0.999)) {
        let Some(map) = map(w, h, &free) else { return Ok(()) };
        let at = |x: f64, y: f64| map.frame().origin + Point::new(x * f64::from(w), y * f64::from(h)) * 0.1;
        let (from, to) = (at(ends[0], ends[1]), at(ends[2], ends[3]));
        if let Some(expected) = sampled(&map, from, to, 0.003) {
            prop_assert_eq!(line_free(&map, from, to), expected);
            prop_assert_eq!(line_free(&map, to, from), expected);
        }
    }

    #[test]
    fn a_ray_ends_where_the_line_to_its_end_stops_being_free((w, h, free) in any_map(), x in 0.01_f64..0.99, y in 0.01_f64..0.99, heading in -3.2_f64..3.2) {
        let Some(map) = map(w, h, &free) else { return Ok(()) };
        let from = map.frame().origin + Point::new(x * f64::from(w), y * f64::from(h)) * 0.1;
        let way = Point::from_heading(heading);
        match raycast(&map, from, heading, Meters(3.0)) {
            Some(distance) => {
                prop_assert!(distance.0 < 1e-6 || line_free(&map, from, from + way * (distance.0 - 1e-6)));
                prop_assert!(!line_free(&map, from, from + way * (distance.0 + 1e-6)));
            }
            None => prop_assert!(line_free(&map, from, from + way * 3.0)),
        }
    }

    #[test]
    fn the_shares_of_a_line_in_its_cells_add_up(ends in prop::array::uniform4(0.01_f64..0.99)) {
        let frame = RegionFrame { origin: Point::new(5.0, -3.0), resolution: 0.25, width: 40, height: 30 };
        let at = |x: f64, y: f64| frame.origin + Point::new(x * 10.0, y * 7.5);
        let mut sum = 0.0;
        let inside = line_cells(&frame, at(ends[0], ends[1]), at(ends[2], ends[3]), |_, share| {
            sum += share;
            true
        });
        prop_assert!(inside);
        prop_assert!((sum - 1.0).abs() < 1e-9);
    }
}

#[test]
fn nothing_is_seen_through_the_gap_between_two_cells_that_touch_at_a_corner() {
    let mut free = vec![true; 100];
    (free[4 * 10 + 5], free[5 * 10 + 4]) = (false, false);
    let map = map(10, 10, &free).unwrap();
    let (a, b) = (map.frame().center_of(44), map.frame().center_of(55));
    assert!(!line_free(&map, a, b));
}

#[test]
fn nothing_is_seen_from_inside_a_wall_or_outside_the_map() {
    let mut free = vec![true; 100];
    free[0] = false;
    let map = map(10, 10, &free).unwrap();
    for from in [map.frame().center_of(0), Point::new(-5.0, 0.0), Point::new(f64::NAN, 0.0)] {
        visible_cells(&map, from, Meters(2.0), |cell| panic!("sees {cell}"));
    }
    assert_eq!(raycast(&map, map.frame().center_of(0), 0.0, Meters(1.0)), Some(Meters(0.0)));
}
