//! Real processes together: a small place on disk, the binaries started in it, and the questions to ask them.
//!
//! The binaries must have been built (`make test` does it); they are looked for beside the running test.

pub mod fleet;
pub mod http;
pub mod place;
pub mod process;
