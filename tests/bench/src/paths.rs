//! Path search against the `pathfinding` crate's A* on the same grid and the same queries.

use anyhow::{Context, Result, ensure};
use pathfinding::prelude::astar;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use skein_space::movingai::{Grid, Query, parse_scenario, solve};
use skein_space::path::{GridPath, Search};
use skein_space::planning::Traversable;

use crate::clock::median_seconds;
use crate::row::Row;

const ARENA: &str = include_str!("../grids/arena.map");
const ARENA_SCENARIO: &str = include_str!("../grids/arena.map.scen");
const SIDE: u32 = 512;
const GOAL: f64 = 10.0;

/// The shipped benchmark grid with its published optima, and a large grid drawn from a seed.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let arena = Grid::parse(ARENA)?;
    let queries = parse_scenario(ARENA_SCENARIO, &arena)?;
    let (mut search, mut path) = (Search::new(), GridPath::default());
    let wrong = queries.iter().filter(|query| !solve(&mut search, &arena, query, &mut path).agrees()).count();
    let optima = Row {
        name: format!("arena: lengths equal to the {} published optima", queries.len()),
        ours: (queries.len() - wrong) as f64,
        reference: queries.len() as f64,
        ratio: (queries.len() - wrong) as f64 / queries.len().max(1) as f64,
        goal: "all".into(),
        met: wrong == 0,
        unit: "queries",
        how: "every line of the scenario; equal to 1e-4".into(),
    };
    let large = Grid::parse(&cluttered(7)).context("the drawn grid")?;
    let far: Vec<Query> = far_queries(&large, 40);
    let dense = Grid::parse(&scattered(7)).context("the drawn dense grid")?;
    let across = far_queries(&dense, 40);
    Ok(vec![
        optima,
        against(&arena, &queries, "arena 49 x 49", 9)?,
        against(&large, &far, "drawn 512 x 512", 3)?,
        against(&dense, &across, "drawn 512 x 512, 30 % random", 3)?,
    ])
}

fn against(grid: &Grid, queries: &[Query], name: &str, runs: usize) -> Result<Row> {
    let (mut search, mut path) = (Search::new(), GridPath::default());
    let open = Neighbours::of(grid);
    for query in queries {
        let ours = solve(&mut search, grid, query, &mut path).ours;
        let theirs = open.solve(query);
        let same = match (ours, theirs) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-4,
            (None, None) => true,
            _ => false,
        };
        ensure!(same, "line {}: ours is {ours:?}, A* says {theirs:?}", query.line);
    }
    let per_query = |seconds: f64| seconds * 1e6 / queries.len().max(1) as f64;
    let ours = per_query(median_seconds(runs, || {
        for query in queries {
            std::hint::black_box(solve(&mut search, grid, query, &mut path));
        }
    }));
    let reference = per_query(median_seconds(runs, || {
        for query in queries {
            std::hint::black_box(open.solve(query));
        }
    }));
    Ok(Row {
        name: format!("shortest path, {name}"),
        ours,
        reference,
        ratio: reference / ours,
        goal: format!("at least {GOAL} x faster"),
        met: reference / ours >= GOAL,
        unit: "us/query",
        how: format!(
            "{} queries, median of {runs} runs; the reference is pathfinding::astar with the octile heuristic; lengths compared",
            queries.len()
        ),
    })
}

/// The grid as the reference wants it: traversable cells by column and row.
struct Neighbours {
    width: i32,
    height: i32,
    free: Vec<bool>,
}

impl Neighbours {
    fn of(grid: &Grid) -> Self {
        let frame = grid.frame();
        let mut free = vec![false; (frame.width * frame.height) as usize];
        for y in 0..frame.height {
            for x in 0..frame.width {
                free[(y * frame.width + x) as usize] = grid.traversable(grid.cell(x, y));
            }
        }
        Self { width: frame.width as i32, height: frame.height as i32, free }
    }

    fn is_free(&self, x: i32, y: i32) -> bool {
        x >= 0 && y >= 0 && x < self.width && y < self.height && self.free[(y * self.width + x) as usize]
    }

    /// Costs in millionths of a cell, because the reference wants an order on them.
    fn solve(&self, query: &Query) -> Option<f64> {
        const STRAIGHT: u64 = 1_000_000_000;
        const DIAGONAL: u64 = 1_414_213_562;
        let goal = (query.goal.0 as i32, query.goal.1 as i32);
        let start = (query.start.0 as i32, query.start.1 as i32);
        if !self.is_free(start.0, start.1) || !self.is_free(goal.0, goal.1) {
            return None;
        }
        let estimate = |&(x, y): &(i32, i32)| {
            let (dx, dy) = (u64::from(x.abs_diff(goal.0)), u64::from(y.abs_diff(goal.1)));
            STRAIGHT * dx.abs_diff(dy) + DIAGONAL * dx.min(dy)
        };
        let steps = |&(x, y): &(i32, i32)| {
            (-1..=1).flat_map(move |dy| (-1..=1).map(move |dx| (dx, dy))).filter_map(move |(dx, dy)| {
                let open = (dx, dy) != (0, 0)
                    && self.is_free(x + dx, y + dy)
                    && (dx == 0 || dy == 0 || (self.is_free(x + dx, y) && self.is_free(x, y + dy)));
                open.then_some(((x + dx, y + dy), if dx != 0 && dy != 0 { DIAGONAL } else { STRAIGHT }))
            })
        };
        astar(&start, steps, estimate, |place| *place == goal).map(|(_, cost)| cost as f64 / STRAIGHT as f64)
    }
}

/// A MovingAI map with walls and clutter, from a seed.
fn cluttered(seed: u64) -> String {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = vec![vec!['.'; SIDE as usize]; SIDE as usize];
    for _ in 0..900 {
        let (x, y) = (chance.random_range(0..SIDE), chance.random_range(0..SIDE));
        let (w, h) =
            if chance.random_bool(0.5) { (chance.random_range(2..40), 2) } else { (2, chance.random_range(2..40)) };
        for row in rows.iter_mut().skip(y as usize).take(h) {
            for cell in row.iter_mut().skip(x as usize).take(w) {
                *cell = '@';
            }
        }
    }
    let body: Vec<String> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
    format!("type octile\nheight {SIDE}\nwidth {SIDE}\nmap\n{}\n", body.join("\n"))
}

/// A MovingAI map with three cells in ten blocked, from a seed.
fn scattered(seed: u64) -> String {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut row = || (0..SIDE).map(|_| if chance.random_bool(0.3) { '@' } else { '.' }).collect::<String>();
    let body: Vec<String> = (0..SIDE).map(|_| row()).collect();
    format!("type octile\nheight {SIDE}\nwidth {SIDE}\nmap\n{}\n", body.join("\n"))
}

/// Queries from corner to corner and across, between free cells.
fn far_queries(grid: &Grid, count: usize) -> Vec<Query> {
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    let mut queries = Vec::new();
    while queries.len() < count {
        let mut place = || (chance.random_range(0..SIDE), chance.random_range(0..SIDE));
        let (start, goal) = (place(), place());
        let far = start.0.abs_diff(goal.0) + start.1.abs_diff(goal.1) > SIDE / 2;
        if far && grid.traversable(grid.cell(start.0, start.1)) && grid.traversable(grid.cell(goal.0, goal.1)) {
            queries.push(Query { line: queries.len() + 2, bucket: 0, start, goal, published: 0.0 });
        }
    }
    queries
}
