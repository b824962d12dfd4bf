//! A* cell by cell, for grids without bits.

use super::{Search, octile};
use crate::planning::Traversable;

/// Whether the goal was reached; parents are in the scratch space. Both ends are traversable.
pub(super) fn search(search: &mut Search, grid: &impl Traversable, start: u32, goal: u32) -> bool {
    let frame = *grid.frame();
    let width = frame.width;
    let (goal_x, goal_y) = (goal % width, goal / width);
    let to_go = |cell: u32| octile((cell % width).abs_diff(goal_x), (cell / width).abs_diff(goal_y));
    search.begin((width, frame.height), start, to_go(start));
    if start == goal {
        return true;
    }
    search.open.push(to_go(start), start);
    while let Some((cell, node)) = search.pop(to_go) {
        for_neighbours(grid, cell, |next, length| {
            search.reach(next, node.g + length, to_go, cell, 0);
        });
    }
    search.best.is_finite()
}

/// The cells one step away and the lengths of the steps.
#[inline]
fn for_neighbours(grid: &impl Traversable, cell: u32, mut visit: impl FnMut(u32, f64)) {
    let frame = grid.frame();
    let (width, column, row) = (frame.width, cell % frame.width, cell / frame.width);
    let traversable = |inside: bool, next: u32| inside && grid.traversable(next);
    let east = traversable(column + 1 < width, cell.wrapping_add(1));
    let west = traversable(column > 0, cell.wrapping_sub(1));
    let north = traversable(row + 1 < frame.height, cell.wrapping_add(width));
    let south = traversable(row > 0, cell.wrapping_sub(width));
    for (open, next) in [
        (east, cell.wrapping_add(1)),
        (west, cell.wrapping_sub(1)),
        (north, cell.wrapping_add(width)),
        (south, cell.wrapping_sub(width)),
    ] {
        if open {
            visit(next, 1.0);
        }
    }
    for (open, next) in [
        (east && north, cell.wrapping_add(width).wrapping_add(1)),
        (west && north, cell.wrapping_add(width).wrapping_sub(1)),
        (east && south, cell.wrapping_sub(width).wrapping_add(1)),
        (west && south, cell.wrapping_sub(width).wrapping_sub(1)),
    ] {
        if open && grid.traversable(next) {
            visit(next, std::f64::consts::SQRT_2);
        }
    }
}
