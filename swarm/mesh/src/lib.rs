//! Coordination messages over Zenoh.
