//! The fleet on a virtual clock, the world process and the benchmark grids.

fn main() {}
