//! The benchmark grids that others publish: every line of a MovingAI scenario, solved and timed.

use serde::Serialize;
use skein_space::movingai::{Grid, MovingAiError, Query, Solved, parse_scenario, solve};
use skein_space::path::{GridPath, Search};

use crate::clock;

/// Most bytes of a map or a scenario file.
pub const GRID_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What came of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct GridReport {
    /// Each line of the scenario.
    pub queries: Vec<QueryReport>,
    /// All of them together.
    pub summary: GridSummary,
}

/// What came of one line.
#[derive(Clone, Debug, Serialize)]
pub struct QueryReport {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column and row of the start.
    pub start: (u32, u32),
    /// Column and row of the goal.
    pub goal: (u32, u32),
    /// Length of our path, cells; null when we found none.
    pub length: Option<f64>,
    /// Length of the shortest path according to the file, cells.
    pub published: f64,
    /// Ours less the published one; null when we found none.
    pub error: Option<f64>,
    /// Whether they agree to the digits that the file gives.
    pub optimal: bool,
    /// How long the search took, µs.
    pub micros: f64,
}

/// All queries together.
#[derive(Clone, Debug, Serialize)]
pub struct GridSummary {
    /// How many there are.
    pub queries: usize,
    /// How many are as short as the file says.
    pub optimal: usize,
    /// How many we found no path for.
    pub unsolved: usize,
    /// Largest difference of length either way, cells.
    pub worst_error: f64,
    /// Time per query.
    pub micros: Micros,
}

/// Times in microseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Micros {
    /// Half of the queries took at most this.
    pub p50: f64,
    /// 99 % took at most this.
    pub p99: f64,
    /// Mean of all queries.
    pub mean: f64,
    /// All of them.
    pub total: f64,
}

/// Solves every line of a scenario.
///
/// # Errors
/// [`MovingAiError`] names the line that cannot be read.
pub fn run(map: &str, scenario: &str) -> Result<GridReport, MovingAiError> {
    let grid = Grid::parse(map)?;
    let queries = parse_scenario(scenario, &grid)?;
    let (mut search, mut path) = (Search::new(), GridPath::default());
    // The first search makes room for all that follow; its time is not that of a search.
    if let Some(first) = queries.first() {
        solve(&mut search, &grid, first, &mut path);
    }
    let queries: Vec<QueryReport> = queries.iter().map(|query| timed(&grid, query, &mut search, &mut path)).collect();
    let summary = summarise(&queries);
    Ok(GridReport { queries, summary })
}

fn timed(grid: &Grid, query: &Query, search: &mut Search, path: &mut GridPath) -> QueryReport {
    let started = clock::now();
    let solved = solve(search, grid, query, path);
    let micros = clock::now().secs_since(started) * 1e6;
    let optimal = solved.agrees();
    let Solved { line, start, goal, ours, published } = solved;
    QueryReport { line, start, goal, length: ours, published, error: ours.map(|l| l - published), optimal, micros }
}

fn summarise(queries: &[QueryReport]) -> GridSummary {
    let mut times: Vec<f64> = queries.iter().map(|query| query.micros).collect();
    times.sort_by(f64::total_cmp);
    let total: f64 = times.iter().sum();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).or(times.last()).copied().unwrap_or(0.0);
    GridSummary {
        queries: queries.len(),
        optimal: queries.iter().filter(|query| query.optimal).count(),
        unsolved: queries.iter().filter(|query| query.length.is_none()).count(),
        worst_error: queries.iter().filter_map(|query| query.error).fold(0.0, |worst, e| worst.max(e.abs())),
        micros: Micros { p50: at(0.5), p99: at(0.99), mean: total / times.len().max(1) as f64, total },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "type octile\nheight 3\nwidth 4\nmap\n....\n.@@.\n....\n";

    #[test]
    fn each_line_is_solved_and_compared() {
        let scenario = "version 1\n0\tm.map\t4\t3\t0\t1\t3\t1\t5.0\n0\tm.map\t4\t3\t0\t0\t3\t0\t9.0\n";
        let report = run(MAP, scenario).unwrap();
        assert_eq!(report.summary.queries, 2);
        assert_eq!(report.summary.optimal, 1);
        assert!((report.summary.worst_error - 6.0).abs() < 1e-9);
        assert_eq!(report.queries[0].length, Some(5.0));
        assert!(report.summary.micros.total >= report.summary.micros.p50);
    }

    #[test]
    fn no_queries_are_no_division_by_zero() {
        let report = run(MAP, "version 1\n").unwrap();
        assert_eq!(report.summary.queries, 0);
        assert_eq!(report.summary.micros.mean, 0.0);
    }
}
