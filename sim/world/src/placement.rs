//! Where robots start: free places close together, in the part of the zone where most of it can be reached.

use skein_space::planning::PlanningMap;
use skein_types::geometry::{Point, Pose};
use skein_types::region::Region;
use thiserror::Error;

use crate::chance::{Chance, PLACEMENT_STREAM};

/// Robots start at least this far from each other, metres between centres.
pub const START_GAP_MIN: f64 = 1.0;
/// What is tried in turn: gap between robots, clearance around each, and how far from the first one, metres.
const TRIES: [(f64, f32, u32); 4] =
    [(1.5, 0.6, 20), (1.25, 0.6, 20), (START_GAP_MIN, 0.6, 30), (START_GAP_MIN, 0.0, u32::MAX)];
/// The first robot starts where there is at least so much room, metres, if anywhere.
const ROOMY: f32 = 0.6;
const NOWHERE: u32 = u32::MAX;

/// Why robots cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// No robot fits anywhere in the zone.
    #[error("no robot fits anywhere in the zone: is it outside the map or inside a wall?")]
    NoRoom,
    /// Only so many fit.
    #[error("only {found} of {wanted} robots fit {START_GAP_MIN} m apart in the part of the map that the zone lies in")]
    TooFew {
        /// How many places there are.
        found: usize,
        /// How many were wanted.
        wanted: usize,
    },
}

/// Free places for `count` robots, at least [`START_GAP_MIN`] apart, in the connected part of the map that holds most
/// of the zone; the same for the same seed.
///
/// # Errors
/// [`PlacementError`] when there is no such part or it is too small.
pub fn start_places(map: &PlanningMap, zone: &Region, count: usize, seed: u64) -> Result<Vec<Pose>, PlacementError> {
    let inside = biggest_part(map, zone);
    if inside.is_empty() {
        return Err(PlacementError::NoRoom);
    }
    let mut chance = Chance::new(seed, PLACEMENT_STREAM);
    let roomy: Vec<u32> = inside.iter().copied().filter(|&cell| map.clearance(cell) >= ROOMY).collect();
    let choice = if roomy.is_empty() { &inside } else { &roomy };
    let first = choice.get(chance.below(choice.len())).copied().ok_or(PlacementError::NoRoom)?;
    let order = by_distance(map, first);
    let mut found = 0;
    for (gap, clearance, farthest) in TRIES {
        let places = apart(map, &order, count, (gap, clearance, farthest));
        if places.len() == count {
            let facing = |at: Point| Pose::new(at.x, at.y, chance.either_way() * core::f64::consts::PI);
            return Ok(places.into_iter().map(facing).collect());
        }
        found = found.max(places.len());
    }
    Err(PlacementError::TooFew { found, wanted: count })
}

/// Traversable cells of the zone that belong to the connected part with most of them.
fn biggest_part(map: &PlanningMap, zone: &Region) -> Vec<u32> {
    let mut part_of = vec![NOWHERE; map.frame().cells() as usize];
    let mut best: (usize, u32) = (0, 0);
    let traversable: Vec<u32> = zone.cells().filter(|&cell| map.traversable(cell)).collect();
    let mut part = 0;
    for &cell in &traversable {
        if part_of.get(cell as usize) != Some(&NOWHERE) {
            continue;
        }
        part += 1;
        let mut size = 0;
        map.flood([cell], |reached, _| {
            size += usize::from(zone.contains(reached));
            if let Some(place) = part_of.get_mut(reached as usize) {
                *place = part;
            }
        });
        if size > best.0 {
            best = (size, part);
        }
    }
    traversable.into_iter().filter(|&cell| part_of.get(cell as usize) == Some(&best.1)).collect()
}

/// Cells that can be reached from one, nearest first, with the number of steps.
fn by_distance(map: &PlanningMap, from: u32) -> Vec<(u32, u32)> {
    let mut order = Vec::new();
    map.flood([from], |cell, steps| order.push((cell, steps)));
    order
}

fn apart(
    map: &PlanningMap,
    order: &[(u32, u32)],
    count: usize,
    (gap, clearance, farthest): (f64, f32, u32),
) -> Vec<Point> {
    let mut places: Vec<Point> = Vec::new();
    let steps_max = (f64::from(farthest) / map.frame().resolution) as u32;
    for &(cell, _) in order.iter().take_while(|(_, steps)| *steps <= steps_max) {
        if places.len() == count {
            break;
        }
        let at = map.frame().center_of(cell);
        if map.clearance(cell) >= clearance && places.iter().all(|place| place.distance(at) >= gap) {
            places.push(at);
        }
    }
    places
}
