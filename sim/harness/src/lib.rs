//! The world as a process, the fleet on a virtual clock, and the benchmark grids.

pub mod batch;
pub mod clock;
pub mod fleet;
pub mod grid;
pub mod junit;
pub mod picture;
pub mod place;
pub mod sample;
pub mod serve;
pub mod xml;
pub mod zone;
