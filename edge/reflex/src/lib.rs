//! The 100 Hz safety kernel.
