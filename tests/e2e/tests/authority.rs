//! Who stops a robot, by which path, and what is still so after a restart: supervisor up, hung, dead or without disk, robot
//! fine, hung or dead, stopped by name, all together, killed, and released.

use std::time::Duration;

use anyhow::{Result, ensure};
use skein_e2e::cli::{Answer, skein};
use skein_e2e::fleet::Fleet;
use skein_e2e::motion::{wait_moving, wait_standing};

/// A command about latches ends within this, whatever is hung or dead.
const COMMAND_WITHIN: Duration = Duration::from_secs(3);
/// A robot that can be reached acknowledges within this, milliseconds.
const ACKNOWLEDGED_WITHIN_MS: f64 = 1000.0;
/// From the acknowledgement to rest: braking from 1 m/s, and two looks.
const AT_REST_WITHIN: Duration = Duration::from_secs(3);
/// A robot that was away has the latch within this of coming back.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(20);
const FINE: usize = 0;
const HUNG: usize = 1;
const DEAD: usize = 2;
const ROBOTS: [&str; 3] = ["rover-1", "rover-2", "rover-3"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supervisor {
    Up,
    Hung,
    Dead,
    DiskFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    StopByName,
    StopAll,
    Kill,
}

impl Order {
    const fn level(self) -> &'static str {
        match self {
            Self::StopByName | Self::StopAll => "stop",
            Self::Kill => "kill",
        }
    }

    /// Gives the order for the three robots: one command, or one for each robot.
    fn give(self, fleet: &Fleet) -> Result<Vec<Answer>> {
        let directory = fleet.directory();
        let reason = ["--reason", "matrix"];
        let kill = |robot: &str| skein(&directory, &["kill", robot, "--confirm", robot, "--reason", "matrix"]);
        match self {
            Self::StopByName => Ok(vec![skein(&directory, &[&["stop"][..], &ROBOTS, &reason].concat())?]),
            Self::StopAll => Ok(vec![skein(&directory, &[&["stop", "--all"][..], &reason].concat())?]),
            Self::Kill => ROBOTS.iter().map(|robot| kill(robot)).collect(),
        }
    }
}

fn matrix(name: &str, supervisor: Supervisor) -> Result<()> {
    let Some(mut fleet) = start(name, supervisor)? else {
        eprintln!("skipped: a full disk needs a mount, and that needs root");
        return Ok(());
    };
    fleet.submit_survey(name)?;
    wait_moving(fleet.debug(FINE), Duration::from_secs(30))?;
    match supervisor {
        Supervisor::Up => {}
        Supervisor::Hung => fleet.hang_cloud()?,
        Supervisor::Dead => fleet.kill_cloud()?,
        Supervisor::DiskFull => fleet.fill_disk()?,
    }
    for order in [Order::StopByName, Order::StopAll, Order::Kill] {
        round(&mut fleet, order).map_err(|e| e.context(format!("supervisor {supervisor:?}, {order:?}")))?;
    }
    if supervisor != Supervisor::Dead {
        ensure!(fleet.is_cloud_running()?, "the supervisor has ended");
    }
    assert_eq!(fleet.truth()?["collisions_total"], 0, "{}", fleet.truth()?);
    Ok(())
}

fn start(name: &str, supervisor: Supervisor) -> Result<Option<Fleet>> {
    match supervisor {
        Supervisor::DiskFull => Fleet::start_on_small_disk(name, ROBOTS.len()),
        Supervisor::Up | Supervisor::Hung | Supervisor::Dead => Fleet::start(name, ROBOTS.len()).map(Some),
    }
}

/// One robot is fine, one hangs, one is dead; after the order all three are latched as soon as they are back, and after a
/// release all three are released.
fn round(fleet: &mut Fleet, order: Order) -> Result<()> {
    fleet.hang_robot(HUNG)?;
    fleet.kill_robot(DEAD)?;
    let answers = order.give(fleet)?;
    reached_and_named(&answers)?;
    wait_standing(fleet.debug(FINE), AT_REST_WITHIN)?;
    fleet.wake_robot(HUNG)?;
    fleet.restart_robot(DEAD)?;
    for robot in [FINE, HUNG, DEAD] {
        fleet.wait_latch(robot, order.level(), CAUGHT_UP_WITHIN)?;
    }
    release(fleet)
}

/// The robot that is fine has acknowledged in time, and no other claims to have.
fn reached_and_named(answers: &[Answer]) -> Result<()> {
    for answer in answers {
        ensure!(answer.took < COMMAND_WITHIN, "{:?} for {answer:?}", answer.took);
        for robot in ROBOTS.iter().filter(|robot| !answer.robot(robot).is_null()) {
            let is_fine = *robot == ROBOTS[FINE];
            ensure!(answer.is_acknowledged(robot) == is_fine, "{robot}: {answer:?}");
            let after = answer.robot(robot)["after_ms"].as_f64();
            ensure!(!is_fine || after.is_some_and(|after| after <= ACKNOWLEDGED_WITHIN_MS), "{robot}: {answer:?}");
        }
        let is_named = |robot: &&str| answer.talk.contains(*robot) || answer.is_acknowledged(robot);
        let meant = ROBOTS.iter().filter(|robot| answers.len() == 1 || !answer.robot(robot).is_null());
        ensure!({ meant }.all(is_named), "a robot that was not reached is not named: {answer:?}");
    }
    Ok(())
}

fn release(fleet: &Fleet) -> Result<()> {
    let answer = skein(&fleet.directory(), &["release", "--all", "--reason", "matrix"])?;
    ensure!(answer.code == 0, "{answer:?}");
    for robot in [FINE, HUNG, DEAD] {
        fleet.wait_latch(robot, "released", CAUGHT_UP_WITHIN)?;
    }
    Ok(())
}

#[test]
fn every_order_arrives_with_the_supervisor_up() -> Result<()> {
    matrix("e2e-latch-up", Supervisor::Up)
}

#[test]
fn every_order_arrives_with_the_supervisor_hung() -> Result<()> {
    matrix("e2e-latch-hung", Supervisor::Hung)
}

#[test]
fn every_order_arrives_with_the_supervisor_dead() -> Result<()> {
    matrix("e2e-latch-dead", Supervisor::Dead)
}

#[test]
fn every_order_arrives_with_the_disk_full() -> Result<()> {
    matrix("e2e-latch-disk", Supervisor::DiskFull)
}

#[test]
fn a_robot_stopped_while_dead_comes_back_stopped() -> Result<()> {
    let mut fleet = Fleet::start("e2e-latch-away", 1)?;
    fleet.submit_survey("away")?;
    wait_moving(fleet.debug(0), Duration::from_secs(30))?;
    fleet.kill_robot(0)?;
    let answer = skein(&fleet.directory(), &["stop", "rover-1", "--reason", "away"])?;
    ensure!(answer.code != 0 && !answer.is_acknowledged("rover-1"), "{answer:?}");
    fleet.kill_cloud()?;
    fleet.restart_cloud()?;
    fleet.restart_robot(0)?;
    fleet.wait_latch(0, "stop", CAUGHT_UP_WITHIN)?;
    wait_standing(fleet.debug(0), AT_REST_WITHIN)
}

#[test]
fn a_stop_given_on_a_full_disk_outlives_the_supervisor() -> Result<()> {
    let Some(mut fleet) = Fleet::start_on_small_disk("e2e-latch-full", 1)? else {
        eprintln!("skipped: a full disk needs a mount, and that needs root");
        return Ok(());
    };
    fleet.fill_disk()?;
    fleet.kill_robot(0)?;
    let answer = skein(&fleet.directory(), &["stop", "rover-1", "--reason", "full disk"])?;
    ensure!(answer.code != 0 && !answer.is_acknowledged("rover-1"), "{answer:?}");
    fleet.kill_cloud()?;
    fleet.restart_cloud()?;
    fleet.restart_robot(0)?;
    fleet.wait_latch(0, "stop", CAUGHT_UP_WITHIN)
}

#[test]
fn a_stop_outlives_every_process() -> Result<()> {
    let mut fleet = Fleet::start("e2e-latch-kept", 2)?;
    let answer = skein(&fleet.directory(), &["stop", "--all", "--reason", "night"])?;
    ensure!(answer.code == 0, "{answer:?}");
    fleet.kill_cloud()?;
    fleet.kill_robot(0)?;
    fleet.kill_robot(1)?;
    fleet.restart_robot(0)?;
    fleet.restart_robot(1)?;
    fleet.wait_latch(0, "stop", CAUGHT_UP_WITHIN)?;
    fleet.wait_latch(1, "stop", CAUGHT_UP_WITHIN)?;
    fleet.restart_cloud()?;
    fleet.submit_survey("kept")?;
    wait_standing(fleet.debug(0), AT_REST_WITHIN)?;
    fleet.wait_latch(1, "stop", CAUGHT_UP_WITHIN)
}
