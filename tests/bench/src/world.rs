//! How many robots one core can simulate.

use std::sync::Arc;

use anyhow::Result;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::region::RegionFrame;
use skein_types::time::MonoTime;
use skein_world::{RobotSpec, Terrain, World, WorldConfig};

use crate::clock::median_seconds;
use crate::row::Row;

const ROBOTS: usize = 20;

/// Robot-steps per second on one core, without lidar and with 360 beams at each step.
pub(crate) fn rows() -> Result<Vec<Row>> {
    Ok(vec![
        measure("simulated robot-steps, lidar off", 0, 4_000, 300_000.0)?,
        measure("simulated robot-steps, 360 beams each step", 1, 400, 20_000.0)?,
    ])
}

fn measure(name: &str, lidar_every: u32, steps: u64, goal: f64) -> Result<Row> {
    let mut world = World::new(config(lidar_every)?)?;
    let mut sequence = 0;
    let seconds = median_seconds(5, || {
        for _ in 0..steps {
            sequence += 1;
            for robot in 0..ROBOTS {
                let turn = if (robot + sequence as usize / 200).is_multiple_of(2) { 0.6 } else { -0.6 };
                let frame = ActuatorFrame {
                    at: MonoTime::from_millis(10 * sequence),
                    sequence,
                    mode: DriveMode::Follow,
                    twist: Twist::planar(0.8, turn),
                };
                // A command that comes late is counted by the world and changes nothing of the cost.
                let _ = world.actuate(robot, &frame);
            }
            world.step();
        }
    });
    let rate = (steps * ROBOTS as u64) as f64 / seconds;
    Ok(Row {
        name: name.into(),
        ours: rate,
        reference: goal,
        ratio: rate / goal,
        goal: format!("at least {goal:.0}"),
        met: rate >= goal,
        unit: "steps/s",
        how: format!(
            "{ROBOTS} rovers in a hall of 40 m by 30 m with racks, one thread, median of 5 runs of {steps} steps"
        ),
    })
}

fn config(lidar_every: u32) -> Result<WorldConfig> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: 800, height: 600 };
    let terrain = Terrain::new(frame, |cell| {
        let at = frame.center_of(cell);
        let wall = at.x < 0.2 || at.y < 0.2 || at.x > 39.8 || at.y > 29.8;
        wall || (at.y > 8.0 && at.y < 22.0 && at.x % 4.0 < 1.0)
    })?;
    let mut config = WorldConfig::new(1, Arc::new(terrain));
    config.lidar_every = lidar_every;
    config.robots = (0..ROBOTS)
        .map(|i| RobotSpec {
            descriptor: BodyDescriptor::rover(),
            start: Pose::new(2.0 + 1.8 * i as f64, if i % 2 == 0 { 3.0 } else { 26.0 }, 0.5),
        })
        .collect();
    Ok(config)
}
