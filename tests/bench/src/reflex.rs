//! One tick of the reflex: how long, and whether it allocates.

use std::sync::Arc;

use anyhow::{Context, Result};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::authority::LatchView;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::Setpoint;
use skein_types::region::RegionFrame;
use skein_types::safety::{PeerDisc, Surroundings};
use skein_types::units::{Meters, MetersPerSecond};
use skein_world::{RobotSpec, Terrain, World, WorldConfig};

use crate::clock::timed;
use crate::counting::allocations;
use crate::row::{Row, quantile};

const TICKS: usize = 60_000;
const GOAL_US: f64 = 100.0;

/// A rover drives circles among clutter, with lidar at 10 Hz and eight peers, through the world and back.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let (mut micros, allocated) = drive()?;
    micros.sort_by(f64::total_cmp);
    let slow = quantile(&micros, 0.999);
    let how = format!("{TICKS} ticks in a closed loop with the world; median {:.2} us", quantile(&micros, 0.5));
    Ok(vec![
        Row {
            name: "reflex tick, p99.9".into(),
            ours: slow,
            reference: GOAL_US,
            ratio: slow / GOAL_US,
            goal: "under 1 % of its 10 ms".into(),
            met: slow < GOAL_US,
            unit: "us",
            how,
        },
        Row {
            name: "reflex tick, allocations".into(),
            ours: allocated as f64,
            reference: 0.0,
            ratio: 0.0,
            goal: "none".into(),
            met: allocated == 0,
            unit: "in all",
            how: format!("a counting allocator around each of the {TICKS} ticks"),
        },
    ])
}

fn drive() -> Result<(Vec<f64>, u64)> {
    let mut world = World::new(place()?)?;
    let mut reflex = Reflex::new(ReflexConfig::new(BodyDescriptor::rover()));
    let mut surroundings = Surroundings::empty();
    let (mut micros, mut allocated) = (Vec::with_capacity(TICKS), 0);
    for tick in 0..TICKS {
        world.step();
        let frame = *world.frame(0).context("the rover's frame")?;
        let turn = if (tick / 700).is_multiple_of(2) { 0.5 } else { -0.7 };
        let setpoint = Setpoint {
            twist: Twist::planar(0.8, turn),
            speed_limit: MetersPerSecond(1.0),
            sequence: tick as u64,
            at: frame.at,
            valid_until: frame.at + std::time::Duration::from_millis(100),
        };
        for (i, peer) in surroundings.peers.iter_mut().take(8).enumerate() {
            let position = Point::new(3.0 + 2.0 * i as f64, 3.0 + (i % 3) as f64 * 5.0);
            *peer = Some(PeerDisc { position, velocity: Point::new(0.3, 0.1), radius: Meters(0.25), at: frame.at });
        }
        let before = allocations();
        let (output, took) = timed(|| reflex.tick(frame.at, &frame, &setpoint, &surroundings, LatchView::default()));
        allocated += allocations() - before;
        micros.push(took.as_secs_f64() * 1e6);
        // What the world refuses it has counted; the loop is what is measured.
        let _ = world.actuate(0, &output.actuators);
    }
    Ok((micros, allocated))
}

fn place() -> Result<WorldConfig> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: 400, height: 400 };
    let terrain = Terrain::new(frame, |cell| {
        let at = frame.center_of(cell);
        let wall = at.x < 0.2 || at.y < 0.2 || at.x > 19.8 || at.y > 19.8;
        wall || (at.x % 5.0 < 0.6 && at.y % 4.0 < 0.6)
    })?;
    let mut config = WorldConfig::new(5, Arc::new(terrain));
    config.robots = vec![RobotSpec { descriptor: BodyDescriptor::rover(), start: Pose::new(2.6, 2.3, 0.3) }];
    Ok(config)
}
