//! The supervisor's process.

fn main() {}
