//! Benchmark files are read as their authors mean them, wrong ones are refused by line, and lengths are the optima.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use proptest::prelude::*;
use skein_space::movingai::{Grid, parse_scenario, solve};
use skein_space::path::{GridPath, Search};
use skein_space::planning::Traversable;

const MAP: &str = "type octile\nheight 4\nwidth 5\nmap\n.G@..\n.S@.T\n...W.\nO....\n";

fn scenario(lines: &str) -> String {
    format!("version 1\n{lines}")
}

fn map_error(from: &str, to: &str) -> String {
    Grid::parse(&MAP.replace(from, to)).unwrap_err().to_string()
}

fn scenario_error(text: &str) -> String {
    parse_scenario(text, &Grid::parse(MAP).unwrap()).unwrap_err().to_string()
}

#[test]
fn ground_shallow_water_and_swamp_can_be_passed_and_nothing_else() {
    let grid = Grid::parse(MAP).unwrap();
    let free = |x, y| grid.traversable(grid.cell(x, y));
    assert!(free(0, 0) && free(1, 0) && free(1, 1));
    assert!(!free(2, 0) && !free(4, 1) && !free(3, 2) && !free(0, 3));
}

#[test]
fn every_line_is_solved_and_compared() {
    let grid = Grid::parse(&MAP.replace('\n', "\r\n")).unwrap();
    // Round the wall, straight down, nowhere to go, and a blocked start.
    let lines = "0\ta.map\t5\t4\t0\t0\t4\t3\t5.82842712\n1 a.map 5 4 0 0 0 2 2\n1\ta b.map\t5\t4\t1\t1\t1\t1\t0\n2\ta.map\t5\t4\t2\t0\t0\t0\t1\n2\ta.map\t5\t4\t0\t0\t4\t0\t9\n";
    let queries = parse_scenario(&scenario(lines), &grid).unwrap();
    let (mut search, mut path) = (Search::new(), GridPath::default());
    let solved: Vec<_> = queries.iter().map(|query| solve(&mut search, &grid, query, &mut path)).collect();
    let lengths: Vec<Option<f64>> = solved.iter().skip(1).map(|s| s.ours).collect();
    assert_eq!(lengths, [Some(2.0), Some(0.0), None, None]);
    assert!(solved[0].agrees(), "{:?}", solved[0]);
    assert!(solved[1].agrees() && solved[2].agrees() && !solved[3].agrees());
    assert_eq!((solved[1].line, solved[1].start, solved[1].goal), (3, (0, 0), (0, 2)));
}

#[test]
fn wrong_maps_are_refused_by_line() {
    for (from, to, wanted) in [
        ("type octile", "type hex", "line 1"),
        ("height 4", "height -4", "line 2"),
        ("height 4", "width 4", "line 3"),
        ("width 5", "width 6", "row 0"),
        ("height 4", "height 5", "4 of 5 rows"),
        ("width 5", "width 40000000000", "line 3"),
        ("height 4\nwidth 5", "height 4000000\nwidth 50000", "4000000"),
        ("map\n", "", "line 4"),
        ("..W.", "..W?", "'?'"),
        ("..W.", "..W", "row 2"),
    ] {
        let message = map_error(from, to);
        assert!(message.contains(wanted), "{to:?}: {message}");
    }
    assert!(Grid::parse("").is_err());
}

#[test]
fn wrong_scenarios_are_refused_by_line() {
    let line = |l: &str| scenario_error(&scenario(&format!("0 a.map 5 4 0 0 1 1 1.41421356\n{l}\n")));
    assert!(scenario_error("").contains("line 1"));
    assert!(scenario_error("version 2\n").contains("version 1"));
    for (text, wanted) in [
        ("0 a.map 6 4 0 0 1 1 1", "5 x 4"),
        ("0 a.map 5 4 0 0 5 1 1", "goal (5, 1)"),
        ("0 a.map 5 4 0 0 1 1 nan", "length"),
        ("0 a.map 5 4 0 0 1 1 -1", "length"),
        ("0 a.map 5 4 x 0 1 1 1", "start"),
        ("0 a.map 5 4 0 0 1", "7 fields"),
    ] {
        let message = line(text);
        assert!(message.contains("line 3") && message.contains(wanted), "{text}: {message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_fall_over(text in "(type octile\n)?(height [0-9]{1,2}\n)?(width [0-9]{1,2}\n)?(map\n)?[.@TGWOS\n ]{0,60}", lines in "(version 1\n)?[0-9a .\t\n-]{0,80}") {
        let _ = Grid::parse(&text);
        let _ = parse_scenario(&lines, &Grid::parse(MAP).unwrap());
    }
}
