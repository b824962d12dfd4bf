//! Any-angle paths stay where a robot may be, are short and keep from walls where there is room.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use proptest::prelude::*;
use skein_space::map::{Cell, OccupancyMap};
use skein_space::path::{AngleOptions, Search, any_angle, path_length, shortest};
use skein_space::planning::{PlanningMap, PlanningParams, nearest_traversable};
use skein_space::sight::line_passable;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

fn map(width: u32, height: u32, wall: impl Fn(u32, u32) -> bool) -> PlanningMap {
    let frame = RegionFrame { origin: Point::new(-1.0, 3.0), resolution: 0.1, width, height };
    let cell = |cell: u32| if wall(cell % width, cell / width) { Cell::Occupied } else { Cell::Free };
    PlanningMap::new(&OccupancyMap::from_cells(frame, cell), &PlanningParams::for_body(&BodyDescriptor::rover()))
        .unwrap()
}

/// Two halls with a wall between them that has a door of 0.8 m and one of 2.5 m.
fn halls() -> PlanningMap {
    map(160, 100, |x, y| x == 80 && !(20..28).contains(&y) && !(70..95).contains(&y))
}

fn at(x: f64, y: f64) -> Point {
    Point::new(-1.0 + x, 3.0 + y)
}

fn comfortable(map: &PlanningMap) -> AngleOptions {
    AngleOptions::comfortable(map.params().clearance)
}

#[test]
fn a_path_through_the_open_is_one_straight_line() {
    let map = halls();
    let path = any_angle(&mut Search::new(), &map, at(1.0, 1.0), at(6.3, 8.7), &AngleOptions::SHORTEST).unwrap();
    assert_eq!(path, [at(1.0, 1.0), at(6.3, 8.7)]);
}

#[test]
fn a_narrow_door_is_passed_when_the_way_round_is_long() {
    let map = halls();
    for options in [AngleOptions::SHORTEST, comfortable(&map)] {
        let path = any_angle(&mut Search::new(), &map, at(5.0, 2.0), at(11.0, 2.0), &options).unwrap();
        assert!(path_length(&path).0 < 6.6, "{path:?}");
    }
}

#[test]
fn a_comfortable_path_keeps_more_distance_than_the_shortest() {
    // A pillar in the way: the shortest path touches its clearance.
    let map = map(100, 60, |x, y| (45..55).contains(&x) && (25..35).contains(&y));
    let least = |path: &[Point]| {
        let legs = path.windows(2).flat_map(|leg| (0..=50).map(move |i| leg[0].lerp(leg[1], f64::from(i) / 50.0)));
        legs.map(|p| map.clearance(map.frame().cell_of(p).unwrap())).fold(f32::INFINITY, f32::min)
    };
    let mut search = Search::new();
    let mut between =
        |options: &AngleOptions| any_angle(&mut search, &map, at(2.0, 3.0), at(8.0, 3.0), options).unwrap();
    let (short, wide) = (between(&AngleOptions::SHORTEST), between(&comfortable(&map)));
    assert!(least(&short) < 0.4 && least(&wide) > 0.44, "{} {}", least(&short), least(&wide));
    assert!(path_length(&wide).0 < path_length(&short).0 + 0.4);
}

#[test]
fn a_start_against_a_wall_is_left_and_a_goal_in_a_wall_has_no_path() {
    let map = halls();
    let mut search = Search::new();
    let path = any_angle(&mut search, &map, at(7.9, 5.0), at(2.0, 5.0), &comfortable(&map)).unwrap();
    assert_eq!((path.first(), path.last()), (Some(&at(7.9, 5.0)), Some(&at(2.0, 5.0))));
    assert!(path[1..].windows(2).all(|leg| line_passable(&map, leg[0], leg[1])));
    assert_eq!(any_angle(&mut search, &map, at(2.0, 5.0), at(8.05, 5.0), &comfortable(&map)), None);
    assert_eq!(any_angle(&mut search, &map, at(2.0, 5.0), at(99.0, 5.0), &comfortable(&map)), None);
    assert_eq!(any_angle(&mut search, &map, at(f64::NAN, 5.0), at(2.0, 5.0), &comfortable(&map)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn paths_are_passable_and_hardly_longer_than_on_the_grid(
        pillars in prop::collection::vec((0_u32..90, 0_u32..60, 1_u32..12, 1_u32..12), 0..25),
        ends in prop::array::uniform4(0.5_f64..5.5),
    ) {
        let map = map(90, 60, |x, y| pillars.iter().any(|&(px, py, w, h)| (px..px + w).contains(&x) && (py..py + h).contains(&y)));
        let mut search = Search::new();
        let place = |x: f64, y: f64| nearest_traversable(&map, at(x * 1.5, y), Meters(1.0));
        let (Some(start), Some(goal)) = (place(ends[0], ends[1]), place(ends[2], ends[3])) else { return Ok(()) };
        let (from, to) = (map.frame().center_of(start), map.frame().center_of(goal));
        let grid = shortest(&mut search, &map, start, goal).map(|path| path.length() * 0.1);
        for options in [AngleOptions::SHORTEST, comfortable(&map)] {
            let path = any_angle(&mut search, &map, from, to, &options);
            prop_assert_eq!(path.is_some(), grid.is_some());
            let (Some(path), Some(grid)) = (path, grid) else { continue };
            prop_assert_eq!((path.first(), path.last()), (Some(&from), Some(&to)));
            prop_assert!(path.windows(2).all(|leg| line_passable(&map, leg[0], leg[1])), "{:?}", path);
            let length = path_length(&path).0;
            prop_assert!(length >= from.distance(to) - 1e-9);
            if options == AngleOptions::SHORTEST {
                prop_assert!(length <= grid + 1e-6, "{} on the grid, {} at any angle", grid, length);
            }
        }
    }

    #[test]
    fn the_nearest_passable_cell_is_the_nearest_of_all(
        pillars in prop::collection::vec((0_u32..50, 0_u32..40, 1_u32..20, 1_u32..20), 0..12),
        x in -1.0_f64..6.0, y in -1.0_f64..5.0, max in 0.1_f64..3.0,
    ) {
        let map = map(50, 40, |cx, cy| (cx, cy) == (49, 0) || pillars.iter().any(|&(px, py, w, h)| px < 40 && (px..px + w).contains(&cx) && (py..py + h).contains(&cy)));
        let (frame, point) = (*map.frame(), at(x, y));
        let inside = frame.cell_of(point).filter(|&cell| map.traversable(cell));
        let distances = (0..2000).filter(|&cell| map.traversable(cell)).map(|cell| frame.center_of(cell).distance(point));
        let least = distances.fold(f64::INFINITY, f64::min);
        match (nearest_traversable(&map, point, Meters(max)), inside) {
            (found, Some(home)) => prop_assert_eq!(found, Some(home)),
            (Some(found), None) => prop_assert!((frame.center_of(found).distance(point) - least).abs() < 1e-9),
            (None, None) => prop_assert!(least > max),
        }
    }
}
