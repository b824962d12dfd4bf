//! The robot's process.

fn main() {}
