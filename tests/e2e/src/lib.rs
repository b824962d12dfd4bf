//! Real processes together: a small building on disk, the binaries started in it, and clients that question them.
//!
//! The binaries must have been built (`make test` does it); they are looked for beside the running test.

pub mod cli;
pub mod disk;
pub mod fleet;
pub mod http;
pub mod motion;
pub mod place;
pub mod process;
pub mod thread;
