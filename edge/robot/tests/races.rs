//! One robot on a virtual clock, every thread's step by hand: what the node could only show once in a thousand runs.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use skein_agent::{AgentConfig, Input, OverrideCommand, OverrideMotion};
use skein_body::{Body, BodyError, Fence, SafeBody};
use skein_reflex::ReflexConfig;
use skein_robot::backoff::Backoff;
use skein_robot::latch::{Found, LatchFileContents, LatchInput, LatchOutcome, LatchPath};
use skein_robot::link::{LinkInput, RobotIdentity};
use skein_robot::{Robot, RobotConfig, RobotInput, RobotOutput};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::authority::{LatchAction, LatchRequest, LatchScope};
use skein_types::body::BodyDescriptor;
use skein_types::coord::{Hazard, HazardKind};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, OperatorId};
use skein_types::link::AgentReport;
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::region::RegionFrame;
use skein_types::safety::{Cause, Latch};
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent, Radians};
use uuid::Uuid;

const TICK: Duration = Duration::from_millis(10);

/// A body without inertia on an empty floor of 20 m.
#[derive(Clone)]
struct Floor(Rc<RefCell<State>>);

struct State {
    pose: Pose,
    twist: Twist,
    powered: bool,
    cliff: [bool; 4],
    sequence: u64,
    sensed_at: MonoTime,
    /// How often the power was given back.
    restored: u32,
    /// How often it was cut.
    cut: u32,
}

impl Floor {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(State {
            pose: Pose::new(10.0, 10.0, 0.0),
            twist: Twist::ZERO,
            powered: true,
            cliff: [false; 4],
            sequence: 0,
            sensed_at: MonoTime::ZERO,
            restored: 0,
            cut: 0,
        })))
    }

    fn speed(&self) -> f64 {
        self.0.borrow().twist.speed()
    }
}

struct FloorBody(Floor, BodyDescriptor);

impl Body for FloorBody {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.1
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        let mut state = self.0.0.borrow_mut();
        let dt = now.secs_since(state.sensed_at).min(0.1);
        state.sensed_at = now;
        let twist = state.twist;
        state.pose = state.pose.moved(&twist, dt);
        state.sequence += 1;
        let estimate =
            PoseEstimate { pose: state.pose, position_std: Meters(0.01), heading_std: Radians(0.01), at: now };
        Ok(SensorFrame {
            at: now,
            sequence: state.sequence,
            estimate,
            odometry: state.pose,
            twist: state.twist,
            scan: Scan { at: now, ranges: [f32::INFINITY; BEAMS], range_max: Meters(10.0) },
            battery: Battery { charge: Percent(90.0), charging: false },
            cliff: state.cliff,
            motors_powered: state.powered,
            ..SensorFrame::unknown(Meters(10.0))
        })
    }

    fn actuate(&mut self, _now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        let mut state = self.0.0.borrow_mut();
        if frame.mode == DriveMode::CutPower && state.powered {
            state.powered = false;
            state.cut += 1;
        }
        state.twist = if frame.mode == DriveMode::Follow && state.powered { frame.twist } else { Twist::ZERO };
        Ok(())
    }

    fn halt(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.0.0.borrow_mut().twist = Twist::ZERO;
        Ok(())
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        let mut state = self.0.0.borrow_mut();
        state.powered = true;
        state.restored += 1;
        Ok(())
    }
}

fn map() -> Arc<PlanningMap> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.1, width: 200, height: 200 };
    let map = OccupancyMap::from_cells(frame, |_| Cell::Free);
    Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).expect("a map"))
}

fn config(boot: u128, map: Arc<PlanningMap>) -> RobotConfig {
    let (robot, fleet) = (AgentId::new("rover-1").expect("a name"), FleetId::new("yard").expect("a name"));
    let (boot, home, body) = (BootId(Uuid::from_u128(boot)), Pose::new(10.0, 10.0, 0.0), BodyDescriptor::rover());
    RobotConfig {
        agent: AgentConfig::new(robot.clone(), fleet.clone(), boot, home, body, map, 7),
        identity: RobotIdentity {
            robot,
            fleet,
            boot,
            body,
            home,
            software: "test".into(),
            debug_address: String::new(),
            map_hash: String::new(),
        },
        reflex: ReflexConfig::new(body),
        backoff: Some(Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 1)),
        kernel_boot: "k1".into(),
        mesh_may_release: false,
    }
}

/// The robot, its floor and its disk.
struct Rig {
    robot: Robot<FloorBody>,
    floor: Floor,
    map: Arc<PlanningMap>,
    now: MonoTime,
    disk: Option<LatchFileContents>,
    under_way: Option<(u64, LatchFileContents)>,
    acks: Vec<(u64, LatchOutcome)>,
    hazards: Vec<(MonoTime, Hazard)>,
    reports: Vec<AgentReport>,
    boots: u128,
    requests: u128,
    /// The agent's thread hangs.
    hangs: bool,
}

impl Rig {
    fn new() -> Self {
        let (floor, map, now) = (Floor::new(), map(), MonoTime::from_millis(1_000));
        let robot = start(now, 1 << 64, &floor, Arc::clone(&map), Found::Nothing);
        let mut rig = Self {
            robot,
            floor,
            map,
            now,
            disk: None,
            under_way: None,
            acks: Vec::new(),
            hazards: Vec::new(),
            reports: Vec::new(),
            boots: 1,
            requests: 0,
            hangs: false,
        };
        rig.drain();
        rig.save();
        rig.run(50);
        rig
    }

    fn wall(&self) -> WallTime {
        WallTime::from_unix_nanos(1_800_000_000_000_000_000) + self.now.since(MonoTime::ZERO)
    }

    fn handle(&mut self, input: RobotInput) {
        self.robot.handle(self.now, self.wall(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.robot.poll_output() {
            match output {
                RobotOutput::Save { ticket, contents } => self.under_way = Some((ticket, *contents)),
                RobotOutput::Ack { caller, outcome } => self.acks.push((caller, outcome)),
                RobotOutput::Hazard(hazard) => self.hazards.push((self.now, hazard)),
                RobotOutput::Report(report) => self.reports.push(report),
                RobotOutput::Dial
                | RobotOutput::HangUp
                | RobotOutput::Intent(_)
                | RobotOutput::MapHazard(_)
                | RobotOutput::Gossip(_) => {}
            }
        }
    }

    fn save(&mut self) {
        while let Some((ticket, contents)) = self.under_way.take() {
            self.disk = Some(contents);
            self.handle(RobotInput::Latch(LatchInput::Saved { ticket, result: Ok(()) }));
        }
    }

    /// One tick and, unless it hangs, one round of the agent.
    fn step(&mut self) {
        self.now = self.now + TICK;
        self.handle(RobotInput::RealtimeTick);
        if !self.hangs {
            self.handle(RobotInput::AgentRound);
        }
    }

    fn run(&mut self, ticks: usize) {
        (0..ticks).for_each(|_| self.step());
    }

    fn ask(&mut self, action: LatchAction) {
        self.requests += 1;
        let request = LatchRequest {
            id: CommandId(Uuid::from_u128(self.requests)),
            scope: LatchScope::Robot,
            action,
            reason: "test".into(),
            by: "operator:ada".parse().expect("a principal"),
            at: self.wall(),
        };
        self.handle(RobotInput::Latch(LatchInput::Request { from: LatchPath::DebugApi(1), target: None, request }));
    }

    fn release(&mut self) {
        let epoch = self.robot.latch().latches().own.epoch;
        self.ask(LatchAction::Release { epoch });
    }

    fn drive(&mut self) {
        let command = OverrideCommand {
            motion: OverrideMotion::Twist(Twist::planar(0.4, 0.0)),
            ttl: Duration::from_secs(1),
            operator: OperatorId::new("ada").expect("a name"),
            reason: "test".into(),
        };
        self.handle(RobotInput::Agent(Input::Override(command)));
    }

    fn driving() -> Self {
        let mut rig = Self::new();
        rig.drive();
        rig.run(60);
        assert!(rig.floor.speed() > 0.3, "it drives: {:?}", rig.robot.reflex_report().causes);
        rig
    }

    /// The process dies; another starts with what the disk holds.
    fn restart(&mut self) {
        self.boots += 1;
        self.under_way = None;
        let found = self.disk.clone().map_or(Found::Nothing, |contents| Found::Contents(Box::new(contents)));
        self.robot = start(self.now, self.boots << 64, &self.floor, Arc::clone(&self.map), found);
        self.drain();
    }

    fn level(&self) -> Latch {
        self.robot.latch().latches().level()
    }
}

fn start(now: MonoTime, boot: u128, floor: &Floor, map: Arc<PlanningMap>, found: Found) -> Robot<FloorBody> {
    let corners = [(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)].map(|(x, y)| Point::new(x, y));
    let fence = Fence::from(Polygon::new(corners.to_vec(), Vec::new()).expect("a square"));
    let body = SafeBody::new(FloorBody(floor.clone(), BodyDescriptor::rover()), fence);
    let wall = WallTime::from_unix_nanos(1_800_000_000_000_000_000) + now.since(MonoTime::ZERO);
    Robot::start(now, wall, config(boot, map), body, found, None)
}

#[test]
fn a_stop_halts_in_the_next_tick_though_the_agent_hangs_with_a_fresh_setpoint() {
    let mut rig = Rig::driving();
    rig.hangs = true;
    rig.ask(LatchAction::Stop);
    rig.step();
    assert_eq!(rig.floor.speed(), 0.0);
    assert!(rig.robot.reflex_report().causes.contains(Cause::OperatorStop));
    rig.ask(LatchAction::Kill);
    rig.step();
    assert!(!rig.floor.0.borrow().powered, "and KILL cuts the power");
}

#[test]
fn a_release_restores_power_in_the_tick_that_reads_it_and_it_is_not_cut_again() {
    let mut rig = Rig::new();
    rig.ask(LatchAction::Kill);
    rig.step();
    rig.run(20);
    assert!(!rig.floor.0.borrow().powered);
    rig.release();
    assert!(!rig.floor.0.borrow().powered, "not before the tick");
    rig.step();
    let after = (rig.floor.0.borrow().powered, rig.floor.0.borrow().restored, rig.floor.0.borrow().cut);
    assert_eq!(after, (true, 1, 1));
    rig.run(200);
    let later = (rig.floor.0.borrow().powered, rig.floor.0.borrow().restored, rig.floor.0.borrow().cut);
    assert_eq!((later, rig.level()), ((true, 1, 1), Latch::Released));
    rig.drive();
    rig.run(60);
    assert!(rig.floor.speed() > 0.3);
}

#[test]
fn a_kill_and_its_release_between_two_ticks_leave_the_robot_with_power() {
    let mut rig = Rig::driving();
    rig.ask(LatchAction::Kill);
    rig.release();
    rig.step();
    assert!(rig.floor.0.borrow().powered && rig.floor.0.borrow().cut == 0);
    rig.run(100);
    assert_eq!((rig.level(), rig.floor.0.borrow().powered), (Latch::Released, true));
}

#[test]
fn a_second_stop_between_a_release_and_the_tick_holds() {
    let mut rig = Rig::driving();
    rig.ask(LatchAction::Stop);
    rig.step();
    let epoch = rig.robot.latch().latches().own.epoch;
    rig.ask(LatchAction::Stop);
    rig.ask(LatchAction::Release { epoch });
    rig.run(10);
    assert_eq!((rig.level(), rig.floor.speed()), (Latch::Stop, 0.0));
}

#[test]
fn whatever_the_agent_wrote_before_the_stop_does_not_move_the_robot_after_it() {
    let mut rig = Rig::driving();
    rig.robot.hold_handover(true);
    rig.run(5);
    rig.ask(LatchAction::Stop);
    rig.step();
    while rig.robot.deliver_handover() {
        rig.now = rig.now + TICK;
        rig.handle(RobotInput::RealtimeTick);
        assert_eq!(rig.floor.speed(), 0.0);
    }
}

#[test]
fn a_setpoint_that_does_not_reach_the_reflex_is_a_halt_after_its_time() {
    let mut rig = Rig::driving();
    rig.robot.hold_handover(true);
    rig.run(12);
    assert_eq!(rig.floor.speed(), 0.0);
    assert!(rig.robot.reflex_report().causes.contains(Cause::DeadMan));
}

#[test]
fn a_restart_between_save_and_ack_keeps_the_stop_and_one_before_the_save_was_never_acknowledged() {
    let mut rig = Rig::driving();
    rig.ask(LatchAction::Stop);
    assert!(rig.acks.is_empty());
    rig.restart();
    assert_eq!((rig.level(), rig.acks.len()), (Latch::Released, 0), "nobody was told that it is kept");
    rig.save();
    rig.ask(LatchAction::Stop);
    let (_, contents) = rig.under_way.clone().expect("a save");
    rig.disk = Some(contents);
    rig.restart();
    assert_eq!((rig.level(), rig.acks.len()), (Latch::Stop, 0), "kept, though the ack never left");
    rig.run(50);
    rig.drive();
    rig.run(50);
    assert_eq!(rig.floor.speed(), 0.0);
}

#[test]
fn an_operators_control_survives_the_process_until_it_is_given_back() {
    let mut rig = Rig::driving();
    rig.save();
    rig.restart();
    rig.run(300);
    assert_eq!((rig.robot.tactical().manual().map(OperatorId::as_str), rig.floor.speed()), (Some("ada"), 0.0));
    assert!(rig.robot.latch().report(rig.now).manual, "and the supervisor is told");
    let by = "operator:ada".parse().expect("a principal");
    rig.handle(RobotInput::Agent(Input::GiveBack { by }));
    rig.run(2);
    rig.save();
    assert!(!rig.robot.latch().report(rig.now).manual);
    rig.restart();
    rig.run(50);
    assert_eq!(rig.robot.tactical().manual(), None);
}

#[test]
fn lost_power_raises_the_robots_own_stop_without_the_agent_and_a_release_ends_it() {
    let mut rig = Rig::driving();
    rig.hangs = true;
    rig.floor.0.borrow_mut().powered = false;
    rig.run(5);
    assert_eq!(rig.level(), Latch::Stop);
    assert!(rig.robot.latch().latches().own.reason.contains("power"));
    rig.save();
    rig.restart();
    assert_eq!(rig.level(), Latch::Stop, "after the process");
    rig.hangs = false;
    rig.run(10);
    rig.save();
    rig.release();
    rig.run(300);
    assert_eq!((rig.level(), rig.floor.0.borrow().powered), (Latch::Released, true));
}

#[test]
fn a_peers_hazard_on_the_way_halts_in_the_next_tick_without_the_agent() {
    let mut rig = Rig::driving();
    rig.hangs = true;
    let ahead = rig.floor.0.borrow().pose.map_from_body(Point::new(0.6, 0.0));
    rig.handle(RobotInput::Hazard(Hazard {
        reporter: AgentId::new("rover-2").expect("a name"),
        boot: BootId(Uuid::nil()),
        sequence: 1,
        kind: HazardKind::Cliff,
        position: ahead,
        radius: Meters(0.3),
        time_to_live: Duration::from_secs(3),
        age: Duration::ZERO,
        seen_at: WallTime::default(),
    }));
    rig.step();
    assert_eq!(rig.floor.speed(), 0.0, "{:?}", rig.robot.reflex_report().causes);
    assert!(rig.robot.reflex_report().causes.contains(Cause::Hazard));
}

#[test]
fn a_drop_off_is_published_in_the_tick_that_senses_it_without_the_agent() {
    let mut rig = Rig::driving();
    rig.hangs = true;
    rig.hazards.clear();
    rig.floor.0.borrow_mut().cliff = [true, false, false, false];
    rig.step();
    let [(at, hazard)] = &rig.hazards[..] else { panic!("one hazard: {:?}", rig.hazards) };
    assert_eq!((*at, hazard.kind, hazard.age), (rig.now, HazardKind::Cliff, Duration::ZERO));
}

#[test]
fn hello_comes_first_on_a_stream_and_says_what_the_robot_obeys() {
    let mut rig = Rig::new();
    rig.ask(LatchAction::Stop);
    rig.save();
    assert!(rig.reports.is_empty(), "nothing is sent without a stream");
    rig.handle(RobotInput::Link(LinkInput::Connected { challenge: None }));
    let AgentReport::Hello(hello) = &rig.reports[0] else { panic!("{:?}", rig.reports[0]) };
    assert_eq!((hello.latch.latches.level(), hello.latch.kept), (Latch::Stop, true));
}
