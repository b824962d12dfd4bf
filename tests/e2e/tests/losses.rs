//! A robot dies, the supervisor dies: the work goes on.

use std::time::Duration;

use anyhow::Result;
use skein_e2e::fleet::Fleet;

const LONG: Duration = Duration::from_secs(150);

#[test]
fn the_slice_of_a_killed_robot_is_taken_over() -> Result<()> {
    let mut fleet = Fleet::start("e2e-robot-dies", 3)?;
    let mission = fleet.submit_survey("robot-dies")?;
    fleet.wait_coverage(0.35, LONG)?;
    fleet.kill_robot(1)?;
    assert_eq!(fleet.wait_end(&mission, LONG)?, "DONE");
    assert!(fleet.coverage()? >= 0.99, "{}", fleet.truth()?);
    assert_eq!(fleet.truth()?["collisions_total"], 0, "{}", fleet.truth()?);
    Ok(())
}

#[test]
fn robots_go_on_without_the_supervisor() -> Result<()> {
    let mut fleet = Fleet::start("e2e-cloud-dies", 2)?;
    let mission = fleet.submit_survey("cloud-dies")?;
    fleet.wait_coverage(0.2, LONG)?;
    fleet.kill_cloud()?;
    let when_it_died = fleet.coverage()?;
    fleet.wait_coverage(when_it_died + 0.15, LONG)?;
    fleet.restart_cloud()?;
    assert!(!fleet.mission(&mission)?["state"].is_null());
    assert_eq!(fleet.wait_end(&mission, LONG)?, "DONE");
    assert_eq!(fleet.submit_survey("cloud-dies")?, mission, "the key of a mission outlives the process");
    fleet.end()
}
