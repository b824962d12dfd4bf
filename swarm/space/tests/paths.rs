//! Paths have the lengths that an independent search finds, and take only steps that are allowed.

use pathfinding::prelude::dijkstra;
use proptest::prelude::*;
use skein_space::bit_grid::BitGrid;
use skein_space::jump_table::JumpTable;
use skein_space::path::{GridPath, Search, distances, shortest, shortest_into};
use skein_space::planning::Traversable;
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

struct Grid {
    frame: RegionFrame,
    bits: BitGrid,
    table: Option<JumpTable>,
    help: Help,
}

/// What the search is given beside the cells: each kind runs another search.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Help {
    None,
    BitGrid,
    Table,
}

impl Traversable for Grid {
    fn frame(&self) -> &RegionFrame {
        &self.frame
    }
    fn traversable(&self, cell: u32) -> bool {
        self.bits.free(cell)
    }
    fn bit_grid(&self) -> Option<&BitGrid> {
        (self.help == Help::BitGrid).then_some(&self.bits)
    }
    fn jump_table(&self) -> Option<&JumpTable> {
        self.table.as_ref()
    }
}

fn grid(width: u32, height: u32, free: &[bool], help: Help) -> Grid {
    let frame = RegionFrame { origin: Point::default(), resolution: 1.0, width, height };
    let bits = BitGrid::new(width, height, |cell| free[cell as usize]);
    let table = if help == Help::Table { JumpTable::new(&bits) } else { None };
    Grid { frame, bits, table, help }
}

/// Straight and diagonal steps counted apart, so that the oracle compares exactly.
const STRAIGHT: u64 = 1_000_000_000;
const DIAGONAL: u64 = 1_414_213_562;

fn steps(grid: &Grid, cell: u32) -> Vec<(u32, u64)> {
    let (width, height) = (i64::from(grid.frame.width), i64::from(grid.frame.height));
    let (x, y) = (i64::from(cell) % width, i64::from(cell) / width);
    let free =
        |x: i64, y: i64| (0..width).contains(&x) && (0..height).contains(&y) && grid.bits.free((y * width + x) as u32);
    let mut next = Vec::new();
    for dy in -1..=1 {
        for dx in -1..=1 {
            if (dx, dy) != (0, 0) && free(x + dx, y + dy) && free(x + dx, y) && free(x, y + dy) {
                let cost = if dx != 0 && dy != 0 { DIAGONAL } else { STRAIGHT };
                next.push((((y + dy) * width + x + dx) as u32, cost));
            }
        }
    }
    next
}

fn cost(path: &GridPath) -> u64 {
    u64::from(path.straights) * STRAIGHT + u64::from(path.diagonals) * DIAGONAL
}

fn check(grid: &Grid, search: &mut Search, start: u32, goal: u32) -> Result<(), TestCaseError> {
    let oracle = if grid.bits.free(start) {
        dijkstra(&start, |&cell| steps(grid, cell), |&cell| cell == goal).map(|(_, cost)| cost)
    } else {
        None
    };
    let ours = shortest(search, grid, start, goal);
    prop_assert_eq!(ours.as_ref().map(cost), oracle, "from {} to {}", start, goal);
    if let Some(path) = ours {
        prop_assert_eq!((path.cells.first(), path.cells.last()), (Some(&start), Some(&goal)));
        let mut walked = 0;
        for pair in path.cells.windows(2) {
            let step = steps(grid, pair[0]).into_iter().find(|&(next, _)| next == pair[1]);
            prop_assert!(step.is_some(), "no step from {} to {}", pair[0], pair[1]);
            walked += step.map_or(0, |(_, cost)| cost);
        }
        prop_assert_eq!(walked, cost(&path));
    }
    Ok(())
}

fn any_grid() -> impl Strategy<Value = (u32, u32, Vec<bool>)> {
    (1_u32..90, 1_u32..24, 0.05_f64..0.95, any::<bool>()).prop_flat_map(|(w, h, density, turned)| {
        let (w, h) = if turned { (h, w) } else { (w, h) };
        (Just(w), Just(h), prop::collection::vec(prop::bool::weighted(density), (w * h) as usize))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn shortest_paths_are_as_long_as_dijkstras((w, h, free) in any_grid(), ends in prop::collection::vec((any::<u32>(), any::<u32>()), 8)) {
        let mut search = Search::new();
        for help in [Help::Table, Help::BitGrid, Help::None] {
            let grid = grid(w, h, &free, help);
            for &(start, goal) in &ends {
                check(&grid, &mut search, start % (w * h), goal % (w * h))?;
            }
        }
    }

    #[test]
    fn boards_changed_cell_by_cell_are_as_if_made_anew((w, h, free) in any_grid(), changes in prop::collection::vec(any::<u32>(), 0..60)) {
        let mut wanted = free.clone();
        let mut bits = BitGrid::new(w, h, |cell| free[cell as usize]);
        for change in changes {
            let cell = change % (w * h);
            wanted[cell as usize] = !wanted[cell as usize];
            bits.set(cell, wanted[cell as usize]);
        }
        prop_assert_eq!(bits, BitGrid::new(w, h, |cell| wanted[cell as usize]));
    }

    #[test]
    fn a_distance_field_agrees_with_the_shortest_path_to_every_cell((w, h, free) in any_grid(), start in any::<u32>()) {
        let grid = grid(w, h, &free, Help::BitGrid);
        let start = start % (w * h);
        let mut search = Search::new();
        let field = distances(&mut search, &grid, start, Meters(f64::INFINITY));
        for cell in 0..w * h {
            let path = shortest(&mut search, &grid, start, cell).map(|p| p.length());
            match (field.to(cell), path) {
                (Some(there), Some(path)) => prop_assert!((there.0 - path).abs() < 1e-3, "{} {}", there, path),
                (there, path) => prop_assert_eq!(there.is_some(), path.is_some()),
            }
        }
    }
}

/// Long straight walls and few of them: jumps over many words of the bits.
#[test]
fn shortest_paths_on_wide_open_grids_are_as_long_as_dijkstras() {
    let (w, h) = (150, 140);
    let mut free = vec![true; w * h];
    for i in 0..110 {
        free[(20 + i % 3) * w + i + 10] = false;
        free[(i + 15) * w + 70] = false;
        free[(i + 5) * w + 130] = false;
        free[100 * w + i + 35] = false;
    }
    let mut search = Search::new();
    for help in [Help::Table, Help::BitGrid, Help::None] {
        let grid = grid(w as u32, h as u32, &free, help);
        for (start, goal) in [(0, 20_999), (149, 3_000), (7_000, 12_345), (20_850, 75), (15_049, 9_910)] {
            check(&grid, &mut search, start, goal).unwrap();
        }
    }
}

#[test]
fn there_is_no_path_from_or_to_outside_the_grid() {
    let grid = grid(4, 4, &[true; 16], Help::Table);
    let mut search = Search::new();
    assert_eq!(shortest(&mut search, &grid, 0, 16), None);
    assert_eq!(shortest(&mut search, &grid, u32::MAX, 0), None);
    assert_eq!(shortest(&mut search, &grid, 5, 5).map(|p| p.cells), Some(vec![5]));
}

#[test]
fn a_path_that_is_reused_forgets_the_one_before() {
    let grid = grid(3, 1, &[true, true, false], Help::BitGrid);
    let (mut search, mut path) = (Search::new(), GridPath::default());
    assert!(shortest_into(&mut search, &grid, 0, 1, &mut path));
    assert_eq!(path.cells, [0, 1]);
    assert!(!shortest_into(&mut search, &grid, 0, 2, &mut path));
    assert_eq!(path, GridPath::default());
}
