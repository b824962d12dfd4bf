//! Maps, grids, polygons, paths, partition and coverage sweeps.
//!
//! A map comes in as [`map::OccupancyMap`]. Everybody plans on the [`planning::PlanningMap`] made from it: the same map
//! and parameters give the same cells in every process, so a [`Region`](skein_types::region::Region) means the same
//! everywhere. On it work [`path`] (shortest and any-angle paths, distance fields), [`sight`] (what is seen from where),
//! [`zone`] (polygons to cells), [`partition`] (who gets which part) and [`sweep`] (how to see all of a part).
//! [`movingai`] reads the grid benchmarks that others publish.
//!
//! Everything here is a function of its arguments: no clock, no threads, no randomness.

pub mod bit_grid;
mod edt;
pub mod jump_table;
mod landmarks;
pub mod map;
pub mod movingai;
mod padded_grid;
pub mod partition;
pub mod path;
pub mod planning;
pub mod sight;
pub mod sweep;
pub mod zone;
