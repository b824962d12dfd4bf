//! `skein stop --all` on a fleet of real processes: from the start of the command to the acknowledgement of the last
//! robot, with the supervisor running and with it hung, idle and beside a flood.

use anyhow::{Result, ensure};
use skein_e2e::cli::{Answer, skein};
use skein_e2e::fleet::Fleet;
use skein_e2e::process::PATIENCE;
use skein_types::ids::FleetId;

use crate::child::Peer;
use crate::flood::RATE;
use crate::row::{Row, quantile};

const ROBOTS: usize = 3;
const SAMPLES: usize = 30;
/// From the start of the command to its end.
const GOAL_MS: f64 = 1_000.0;

pub(crate) fn rows() -> Result<Vec<Row>> {
    let name = format!("bench-cli-{}", std::process::id());
    let fleet = Fleet::start(&name, ROBOTS)?;
    let mut rows = vec![row(&fleet, "idle")?];
    let flood = Peer::flood(&[FleetId::new(name)?], RATE)?;
    rows.push(row(&fleet, "beside a flood")?);
    flood.end()?;
    fleet.hang_cloud()?;
    rows.push(row(&fleet, "supervisor hung")?);
    Ok(rows)
}

fn row(fleet: &Fleet, load: &str) -> Result<Row> {
    let (mut command, mut last_robot) = (Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES));
    for _ in 0..SAMPLES {
        let answer = skein(&fleet.directory(), &["stop", "--all", "--reason", "bench"])?;
        ensure!(answer.code == 0, "{answer:?}");
        command.push(answer.took.as_secs_f64() * 1e3);
        last_robot.push(last_acknowledgement(&answer)?);
        let released = skein(&fleet.directory(), &["release", "--all", "--reason", "bench"])?;
        ensure!(released.code == 0, "{released:?}");
        for robot in 0..ROBOTS {
            fleet.wait_latch(robot, "released", PATIENCE)?;
        }
    }
    command.sort_by(f64::total_cmp);
    last_robot.sort_by(f64::total_cmp);
    let p99 = quantile(&command, 0.99);
    let flood = if load == "beside a flood" { format!("beside {RATE} mesh messages/s; ") } else { String::new() };
    Ok(Row {
        name: format!("skein stop --all, whole command, {load}, p99"),
        ours: p99,
        reference: GOAL_MS,
        ratio: p99 / GOAL_MS,
        goal: format!("at most {GOAL_MS:.0} ms"),
        met: p99 <= GOAL_MS,
        unit: "ms",
        how: format!(
            "{flood}{SAMPLES} commands, {ROBOTS} robots; p50 {:.0} ms; click to the last robot's first acknowledgement \
             (durable) p50 {:.0} ms, p99 {:.0} ms",
            quantile(&command, 0.5),
            quantile(&last_robot, 0.5),
            quantile(&last_robot, 0.99)
        ),
    })
}

/// After how many milliseconds the last robot acknowledged over its fastest path.
fn last_acknowledgement(answer: &Answer) -> Result<f64> {
    let robots = answer.data.as_array().map_or(&[][..], Vec::as_slice);
    let after: Vec<f64> = robots.iter().filter_map(|robot| robot["after_ms"].as_f64()).collect();
    ensure!(after.len() == ROBOTS, "{answer:?}");
    Ok(after.into_iter().fold(0.0, f64::max))
}
