//! Drives an agent core in a closed loop with a simple body: `cargo run -p skein-agent --example drive_agent`.
//!
//! The loop is what a robot's process does, on a virtual clock: sensor frames go in at 100 Hz, deadlines are kept, and
//! setpoints come out. An operator stops the robot on its way and releases it. One line is printed each second.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use skein_agent::{Agent, AgentConfig, Input, Output};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_space::sight;
use skein_types::authority::{LatchAction, LatchRequest, LatchScope, LatchSet, Principal, Term};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, Order};
use skein_types::mission::{Assignment, Priority, SliceState, Task};
use skein_types::motion::Setpoint;
use skein_types::region::RegionFrame;
use skein_types::sensing::{BEAMS, Scan, SensorFrame};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent};
use uuid::Uuid;

/// One tick of the body.
const TICK: Duration = Duration::from_millis(10);
/// Range of the lidar.
const LIDAR_RANGE: Meters = Meters(10.0);

/// A room of 8 m by 6 m with a wall between start and goal.
fn room() -> Result<Arc<PlanningMap>, Box<dyn Error>> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: 160, height: 120 };
    let map = OccupancyMap::from_cells(frame, |cell| {
        let (column, row) = (cell % 160, cell / 160);
        let edge = !(4..156).contains(&column) || !(4..116).contains(&row);
        let wall = (78..82).contains(&column) && row < 70;
        if edge || wall { Cell::Occupied } else { Cell::Free }
    });
    Ok(Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover()))?))
}

/// What the body senses at a pose.
fn sense(map: &PlanningMap, now: MonoTime, pose: Pose, twist: Twist) -> Box<SensorFrame> {
    let mut frame = SensorFrame::unknown(LIDAR_RANGE);
    (frame.at, frame.odometry, frame.twist) = (now, pose, twist);
    (frame.estimate.pose, frame.estimate.at) = (pose, now);
    (frame.battery.charge, frame.motors_powered) = (Percent(90.0), true);
    frame.scan.at = MonoTime::from_millis(now.as_nanos() / 100_000_000 * 100);
    if frame.scan.at == now {
        let ranges: [f32; BEAMS] = std::array::from_fn(|beam| {
            let heading = pose.heading + Scan::angle_of(beam);
            sight::raycast(map, pose.position, heading, LIDAR_RANGE).map_or(f32::INFINITY, |range| range.get() as f32)
        });
        frame.scan.ranges = ranges;
    }
    Box::new(frame)
}

/// The assignment: go to the other side of the wall.
fn go_to(goal: Point) -> CloudCommand {
    let assignment = Assignment {
        mission: MissionId(Uuid::from_u128(1)),
        generation: Generation(1),
        task: Task::GoTo { goal, hold: Some(Duration::from_secs(1)) },
        priority: Priority::NORMAL,
        return_home: false,
    };
    let id = CommandId(Uuid::from_u128(2));
    CloudCommand { id, generation: Generation(1), term: Term(1), expires_at: None, order: Order::Assign(assignment) }
}

/// A request of ada about the robot's own latch, applied to its registers.
fn request(latches: &LatchSet, number: u128, action: LatchAction) -> Result<LatchSet, Box<dyn Error>> {
    let by = "operator:ada".parse::<Principal>()?;
    let (id, at) = (CommandId(Uuid::from_u128(number)), WallTime::from_unix_nanos(0));
    let request = LatchRequest { id, scope: LatchScope::Robot, action, reason: "a look around".to_owned(), by, at };
    Ok(latches.apply(&request)?)
}

/// Runs the robot to its goal. `print` gets one line each second. Returns the final state of the slice.
///
/// # Errors
/// When a name or the map is invalid, which the constants here rule out.
pub(crate) fn run(mut print: impl FnMut(&str)) -> Result<SliceState, Box<dyn Error>> {
    let (map, body) = (room()?, BodyDescriptor::rover());
    let (id, fleet, boot) = (AgentId::new("rover-1")?, FleetId::new("example")?, BootId(Uuid::from_u128(3)));
    let mut pose = Pose::new(1.5, 1.5, 0.0);
    let mut config = AgentConfig::new(id, fleet, boot, pose, body, map.clone(), 1);
    config.mesh = false;
    let mut agent = Agent::new(config);
    let (mut now, mut setpoint) = (MonoTime::from_millis(10), Setpoint::none());
    let (mut latches, mut state) = (LatchSet::default(), SliceState::Accepted);
    agent.handle(now, Input::Command(go_to(Point::new(6.5, 1.5))));
    for tick in 1..=6000_u32 {
        now = now + TICK;
        let twist = if setpoint.valid_until >= now { setpoint.twist } else { Twist::ZERO };
        pose = pose.moved(&twist, TICK.as_secs_f64());
        agent.handle(now, Input::Sensors(sense(&map, now, pose, twist)));
        match tick {
            400 => latches = request(&latches, 10, LatchAction::Stop)?,
            600 => latches = request(&latches, 11, LatchAction::Release { epoch: latches.own.epoch })?,
            _ => {}
        }
        agent.handle(now, Input::Latch(latches.clone()));
        while agent.next_deadline().is_some_and(|(at, _)| at <= now) {
            agent.handle(now, Input::Cycle);
        }
        while let Some(output) = agent.poll_output() {
            match output {
                Output::Setpoint(next) => setpoint = next,
                Output::Report(AgentReport::Progress(progress)) => state = progress.state,
                _ => {}
            }
        }
        if tick % 100 == 0 {
            let (x, y) = (pose.position.x, pose.position.y);
            print(&format!(
                "{:3} s  ({x:4.1}, {y:4.1})  {:.2} m/s  {}",
                tick / 100,
                twist.speed(),
                agent.status(now).why
            ));
        }
        if state.is_terminal() {
            print(&format!("{state:?} after {:.1} s", f64::from(tick) * TICK.as_secs_f64()));
            break;
        }
    }
    Ok(state)
}

fn main() -> Result<(), Box<dyn Error>> {
    run(|line| println!("{line}")).map(|_| ())
}
