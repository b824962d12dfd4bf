//! The table of make bench.

fn main() {}
