//! The types that every part of Skein shares: ids, units, time, geometry, sensing, motion, missions, what robots say to
//! each other and what travels between a robot and its supervisor.
//!
//! Everything here is a value: no I/O, no clock, no threads, no global randomness. The crate is `no_std` (with
//! `alloc`) because the safety kernel builds on it.
//!
//! Frames and units: SI throughout. Positions are metres in the map's own frame (x east, y north, z up); headings are
//! radians counter-clockwise from east. Latitude and longitude exist only at the outermost edge ([`geo`]).
#![no_std]

extern crate alloc;

pub mod authority;
pub mod body;
pub mod coord;
pub mod event;
pub mod failsafe;
pub mod fleet;
pub mod geo;
pub mod geometry;
pub mod ids;
pub mod limits;
pub mod link;
pub mod mission;
pub mod motion;
pub mod polygon;
pub mod region;
pub mod safety;
pub mod sensing;
pub mod telemetry;
pub mod time;
pub mod units;
