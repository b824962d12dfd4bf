//! Zones become the right cells, areas are shared out fairly, and sweeps show what they promise.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use proptest::prelude::*;
use skein_space::map::{Cell, OccupancyMap};
use skein_space::partition::{Site, split};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_space::sight::visible_cells;
use skein_space::sweep;
use skein_space::zone::{ZoneError, reachable_zone, zone_region};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::{Meters, Radians};

/// Rooms of 5 m by 4 m with doors of 1 m, shelves in some, and one room without a door.
fn building(columns: u32, rows: u32) -> PlanningMap {
    let frame =
        RegionFrame { origin: Point::new(-3.0, 1.0), resolution: 0.1, width: columns * 50 + 1, height: rows * 40 + 1 };
    let wall = |cell: u32| {
        let (x, y) = (cell % frame.width, cell / frame.width);
        let (room, floor) = (x / 50, y / 40);
        let closed = room == columns - 1 && floor == rows - 1;
        let outer = x == 0 || y == 0 || x == frame.width - 1 || y == frame.height - 1;
        let door_x = x % 50 == 0 && (15..25).contains(&(y % 40)) && !outer && !closed;
        let door_y = y % 40 == 0 && (30..40).contains(&(x % 50)) && !outer && !closed;
        let shelf = (room + floor) % 2 == 0 && (8..11).contains(&(y % 40)) && (10..35).contains(&(x % 50));
        ((x % 50 == 0 && !door_x) || (y % 40 == 0 && !door_y)) || shelf
    };
    let map = OccupancyMap::from_cells(frame, |cell| if wall(cell) { Cell::Occupied } else { Cell::Free });
    PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap()
}

fn everywhere(map: &PlanningMap, from: Point) -> Region {
    map.reachable_from(&[from])
}

fn connected_parts(region: &Region) -> usize {
    let mut left: std::collections::BTreeSet<u32> = region.cells().collect();
    let width = region.frame().width;
    let mut parts = 0;
    while let Some(first) = left.pop_first() {
        parts += 1;
        let mut stack = vec![first];
        while let Some(cell) = stack.pop() {
            stack.extend(
                [cell + 1, cell - 1, cell + width, cell.wrapping_sub(width)].into_iter().filter(|n| left.remove(n)),
            );
        }
    }
    parts
}

const START: Point = Point::new(-1.0, 3.5);

#[test]
fn a_room_without_a_door_is_not_reachable() {
    let map = building(4, 3);
    let reach = everywhere(&map, START);
    let middle = |room: f64, floor: f64| {
        map.frame().cell_of(Point::new(-3.0 + 5.0 * room + 2.5, 1.0 + 4.0 * floor + 3.0)).unwrap()
    };
    assert!(reach.contains(middle(0.0, 0.0)) && reach.contains(middle(2.0, 2.0)));
    assert!(!map.blocked(middle(3.0, 2.0)) && !reach.contains(middle(3.0, 2.0)));
    assert!(reach.cells().all(|cell| !map.blocked(cell)));
}

#[test]
fn zones_out_of_place_are_refused_with_what_is_wrong() {
    let map = building(3, 2);
    let zone = |x0, y0, x1, y1| Polygon::rectangle(Point::new(x0, y0), Point::new(x1, y1)).unwrap();
    let check = |polygon: &Polygon| reachable_zone(&map, polygon, &[START]);
    assert!(matches!(check(&zone(100.0, 0.0, 110.0, 5.0)), Err(ZoneError::OutsideMap { .. })));
    assert!(matches!(check(&zone(-2.04, 3.04, -2.03, 3.045)), Err(ZoneError::TooSmall { .. })));
    // Inside a shelf, then inside the closed room.
    assert!(matches!(check(&zone(-1.9, 1.85, -0.1, 2.05)), Err(ZoneError::NothingFree)));
    assert!(matches!(check(&zone(8.0, 6.0, 11.0, 8.5)), Err(ZoneError::NothingReachable { .. })));
    assert!(check(&zone(-2.5, 2.5, 1.0, 4.0)).is_ok());
}

fn star(center: Point, radii: &[f64], scale: f64) -> Vec<Point> {
    let turn = std::f64::consts::TAU / radii.len() as f64;
    radii.iter().enumerate().map(|(i, r)| center + Point::from_heading(i as f64 * turn) * (r * scale)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_zone_is_the_cells_whose_middles_are_inside(
        x in -2.0_f64..8.0, y in 0.0_f64..6.0,
        outer in prop::collection::vec(1.5_f64..6.0, 3..12),
        hole in prop::collection::vec(0.2_f64..0.6, 3..9),
    ) {
        let frame = RegionFrame { origin: Point::new(-3.0, -1.0), resolution: 0.13, width: 70, height: 50 };
        let center = Point::new(x, y);
        let Ok(polygon) = Polygon::new(star(center, &outer, 1.0), vec![star(center, &hole, 0.8)]) else { return Ok(()) };
        let nothing = || Region::empty(frame).unwrap();
        // A zone beside the map is refused; then no middle may be inside.
        let region = zone_region(&frame, &polygon).unwrap_or_else(|_| nothing());
        for cell in 0..frame.cells() as u32 {
            prop_assert_eq!(region.contains(cell), polygon.contains(frame.center_of(cell)), "cell {}", cell);
        }
    }
}

fn check_split(map: &PlanningMap, region: &Region, sites: &[Site], tolerance: f64) -> Vec<Region> {
    let slices = split(map, region, sites);
    assert_eq!(slices.len(), sites.len());
    let mut given: Vec<u32> = slices.iter().flat_map(|slice| slice.cells().collect::<Vec<_>>()).collect();
    given.sort_unstable();
    assert!(given.into_iter().eq(region.cells()), "every cell once");
    let total: f64 = sites.iter().map(|site| site.weight).sum();
    for (slice, site) in slices.iter().zip(sites) {
        let share = slice.len() as f64 / region.len() as f64 * total / site.weight;
        assert!((share - 1.0).abs() < tolerance, "{share} of its share");
    }
    slices
}

#[test]
fn robots_that_start_side_by_side_get_equal_connected_parts() {
    let map = building(5, 4);
    let region = everywhere(&map, START);
    for count in [2_u32, 3, 6, 10] {
        let sites: Vec<Site> = (0..count)
            .map(|i| Site { at: START + Point::new(f64::from(i % 4), f64::from(i / 4)) * 0.5, weight: 1.0 })
            .collect();
        let slices = check_split(&map, &region, &sites, 0.15);
        assert!(slices.iter().all(|slice| connected_parts(slice) == 1), "{count} robots");
    }
}

#[test]
fn fifty_robots_in_one_corner_of_a_hall_with_racks_all_get_their_part() {
    let frame = RegionFrame { origin: Point::default(), resolution: 0.2, width: 360, height: 260 };
    let map = OccupancyMap::from_cells(frame, |cell| {
        let at = frame.center_of(cell);
        let wall = at.x < 0.3 || at.y < 0.3 || at.x > 71.7 || at.y > 51.7;
        let rack = at.y > 12.0 && at.y < 40.0 && at.x % 6.0 < 1.2 && (at.y % 14.0) > 2.0;
        if wall || rack { Cell::Occupied } else { Cell::Free }
    });
    let map = PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap();
    let box_at = |x: f64, y: f64, s: f64| star(Point::new(x, y), &[s, s, s, s], 1.0);
    let outer = vec![Point::new(1.0, 1.0), Point::new(71.0, 1.0), Point::new(71.0, 51.0), Point::new(1.0, 51.0)];
    let zone = Polygon::new(outer, vec![box_at(13.0, 23.0, 4.0), box_at(59.0, 34.0, 6.0)]).unwrap();
    let robots: Vec<Point> =
        (0..50).map(|i| Point::new(2.5 + 1.2 * f64::from(i % 10), 1.8 + 1.2 * f64::from(i / 10))).collect();
    let region = reachable_zone(&map, &zone, &robots).unwrap();
    let sites: Vec<Site> = robots.iter().map(|&at| Site { at, weight: 1.0 }).collect();
    check_split(&map, &region, &sites, 0.15);
}

#[test]
fn who_can_do_more_gets_more() {
    let map = building(4, 3);
    let region = everywhere(&map, START);
    let at = |x, y| START + Point::new(x, y);
    let weights = [(0.0, 0.0, 1.0), (1.0, 0.0, 2.0), (0.0, 1.0, 0.5), (8.0, 4.0, 1.5)];
    let sites: Vec<Site> = weights.map(|(x, y, weight)| Site { at: at(x, y), weight }).to_vec();
    check_split(&map, &region, &sites, 0.15);
}

#[test]
fn each_robot_works_near_where_it_starts() {
    let map = building(4, 1);
    let region = everywhere(&map, START);
    let sites = [12.0, 7.0, 2.0, -1.0].map(|x| Site { at: Point::new(x - 0.3, 3.5), weight: 1.0 });
    let slices = split(&map, &region, &sites);
    for (slice, site) in slices.iter().zip(&sites) {
        assert!(slice.contains(map.frame().cell_of(site.at).unwrap()));
    }
}

#[test]
fn odd_requests_to_split_still_give_every_cell_once() {
    let map = building(3, 2);
    let all = map.free();
    let site = |x: f64, weight| Site { at: Point::new(x, 3.5), weight };
    assert!(split(&map, &all, &[]).is_empty());
    let nothing = Region::empty(*map.frame()).unwrap();
    assert!(split(&map, &nothing, &[site(0.0, 1.0), site(1.0, 1.0)]).iter().all(Region::is_empty));
    // Walls as well as free cells, a room nobody reaches, weights that are no weights, sites outside the map.
    let frame = *map.frame();
    let whole = Region::from_cells(frame, 0..frame.cells() as u32).unwrap();
    for sites in [vec![site(0.0, f64::NAN), site(1.0, 0.0)], vec![site(1e9, 1.0), site(f64::NAN, 1.0), site(0.0, 1.0)]]
    {
        let slices = split(&map, &whole, &sites);
        assert_eq!(slices.iter().map(Region::len).sum::<u64>(), whole.len());
    }
    // More robots than cells.
    let few = Region::from_cells(frame, 3000..3003).unwrap();
    let slices = split(&map, &few, &[site(0.0, 1.0); 8]);
    assert_eq!(slices.iter().map(Region::len).sum::<u64>(), 3);
}

/// Share of the region that is seen from the viewpoints, looked at afresh.
fn swept_share(map: &PlanningMap, region: &Region, viewpoints: &[Point], range: Meters) -> f64 {
    let mut seen = vec![false; map.frame().cells() as usize];
    for &viewpoint in viewpoints {
        assert!(map.traversable_at(viewpoint), "{viewpoint:?} is no place to stand");
        visible_cells(map, viewpoint, range, |cell| seen[cell as usize] = true);
    }
    region.cells().filter(|&cell| seen[cell as usize]).count() as f64 / region.len() as f64
}

#[test]
fn a_sweep_shows_everything_reachable_whatever_the_direction_of_its_lanes() {
    let map = building(4, 3);
    let region = everywhere(&map, START);
    let range = Meters(2.0);
    for direction in [None, Some(0.0), Some(0.7), Some(1.6), Some(-2.0)] {
        let plan = sweep::plan(&map, &region, START, range, direction.map(Radians));
        let share = swept_share(&map, &region, &plan.viewpoints, range);
        assert!(share >= 0.995, "{share} with lanes along {direction:?}");
        let together = plan.swept.union(&plan.unseen).unwrap();
        assert_eq!(together, region);
        let claimed = plan.swept.len() as f64 / region.len() as f64;
        assert!((claimed - share).abs() < 1e-9, "claims {claimed}, shows {share}");
    }
}

#[test]
fn a_sweep_of_an_open_hall_drives_little_more_than_its_lanes() {
    let frame = RegionFrame { origin: Point::default(), resolution: 0.1, width: 200, height: 120 };
    let border = |cell: u32| cell.is_multiple_of(200) || cell % 200 == 199 || cell / 200 == 0 || cell / 200 == 119;
    let map = OccupancyMap::from_cells(frame, |cell| if border(cell) { Cell::Occupied } else { Cell::Free });
    let map = PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap();
    let start = Point::new(1.0, 1.0);
    let region = everywhere(&map, start);
    let plan = sweep::plan(&map, &region, start, Meters(2.0), None);
    // Four lanes of 16 to 18 m at 3.7 m from each other, and the ways between them.
    assert!(plan.length.0 < 90.0, "{}", plan.length);
}

#[test]
fn a_sweep_leaves_out_what_cannot_be_seen_and_says_so() {
    let map = building(3, 2);
    let plan = sweep::plan(&map, &map.free(), START, Meters(2.0), None);
    let closed_room = map.frame().cell_of(Point::new(9.5, 8.0)).unwrap();
    assert!(plan.unseen.contains(closed_room));
    assert_eq!(plan.swept.union(&plan.unseen).unwrap(), map.free());
    let nothing = Region::empty(*map.frame()).unwrap();
    let plan = sweep::plan(&map, &nothing, START, Meters(2.0), None);
    assert!(plan.viewpoints.is_empty() && plan.length == Meters(0.0));
    let nowhere = sweep::plan(&map, &map.free(), Point::new(f64::NAN, 0.0), Meters(2.0), None);
    assert!(nowhere.viewpoints.is_empty() && nowhere.unseen == map.free());
}

#[test]
fn the_same_question_has_the_same_answer() {
    let map = building(4, 3);
    let region = everywhere(&map, START);
    let sites = [0.0, 1.0, 2.0].map(|x| Site { at: START + Point::new(x, 0.0), weight: 1.0 });
    assert_eq!(split(&map, &region, &sites), split(&map, &region, &sites));
    let plan = || sweep::plan(&map, &region, START, Meters(2.0), None);
    assert_eq!(plan(), plan());
}
