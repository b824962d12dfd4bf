//! A body without inertia on a small map: follows the setpoint, stops before walls, measures ranges by ray casting.

use std::sync::Arc;
use std::time::Duration;

use skein_agent::{Agent, AgentConfig, Input, Output, OverrideCommand, OverrideMotion};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_space::sight;
use skein_types::authority::{LatchAction, LatchRequest, LatchScope, LatchSet, Principal, Term};
use skein_types::body::BodyDescriptor;
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, Order};
use skein_types::mission::{Assignment, Priority, SliceProgress, Task};
use skein_types::motion::Setpoint;
use skein_types::region::{Region, RegionFrame};
use skein_types::safety::{Causes, FailsafeLevel, ReflexReport, Surroundings};
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Kilograms, Meters, Percent, Radians};
use uuid::Uuid;

/// Two rooms of 6 m by 6 m, a wall with a door between them and a second door at the other end.
pub(crate) fn two_rooms() -> Arc<PlanningMap> {
    from_rows(&[
        "################################",
        "#..............##..............#",
        "#..............................#",
        "#..............................#",
        "#..............................#",
        "#..............##..............#",
        "#..............##..............#",
        "#..............##..............#",
        "#......##......##..............#",
        "#......##......##......##......#",
        "#..............##......##......#",
        "#..............##..............#",
        "#..............................#",
        "#..............................#",
        "#..............................#",
        "#..............##..............#",
        "################################",
    ])
}

/// One cell of the drawing is 0.4 m.
pub(crate) fn from_rows(rows: &[&str]) -> Arc<PlanningMap> {
    const CELL: u32 = 8;
    let (columns, lines) = (rows[0].len() as u32, rows.len() as u32);
    let frame =
        RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.05, width: columns * CELL, height: lines * CELL };
    let map = OccupancyMap::from_cells(frame, |cell| {
        let (x, y) = (cell % frame.width / CELL, cell / frame.width / CELL);
        let row = rows[(lines - 1 - y) as usize].as_bytes();
        if row[x as usize] == b'#' { Cell::Occupied } else { Cell::Free }
    });
    Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap())
}

/// The whole loop around one agent, 100 ticks a second.
pub(crate) struct Rig {
    pub(crate) agent: Agent,
    pub(crate) config: AgentConfig,
    pub(crate) map: Arc<PlanningMap>,
    pub(crate) now: MonoTime,
    pub(crate) pose: Pose,
    pub(crate) twist: Twist,
    pub(crate) battery: f64,
    /// Percent of charge used per metre; above zero the robot charges at home.
    pub(crate) appetite: f64,
    /// Circular objects that are on no map, as centre and radius; the lidar sees them and the body stops before them.
    pub(crate) things: Vec<(Point, f64)>,
    pub(crate) home: Point,
    pub(crate) acks: Vec<CommandAck>,
    pub(crate) progress: Vec<SliceProgress>,
    pub(crate) events: Vec<Event>,
    pub(crate) telemetry: usize,
    pub(crate) driven: f64,
    pub(crate) touched: u32,
    /// The registers that the robot obeys.
    pub(crate) latches: LatchSet,
    pub(crate) setpoint: Setpoint,
    pub(crate) trail: Vec<Point>,
    /// Intents published since this was last emptied.
    pub(crate) said: Vec<Intent>,
    pub(crate) surroundings: Surroundings,
    pub(crate) warned: Vec<Hazard>,
    /// Changes of the shared hazard map, for the supervisor.
    pub(crate) map_changes: Vec<MapHazard>,
    pub(crate) cliff: bool,
    pub(crate) powered: bool,
    /// Causes that the reflex reports.
    pub(crate) causes: Causes,
    /// Level that the reflex reports.
    pub(crate) level: FailsafeLevel,
    sequence: u64,
    commands: u128,
}

pub(crate) fn mission() -> MissionId {
    MissionId(Uuid::from_u128(77))
}

impl Rig {
    pub(crate) fn new(map: Arc<PlanningMap>, start: Pose) -> Self {
        Self::named_rover("rover-1", map, start)
    }

    /// A rover without a mesh: it does not wait for peers.
    pub(crate) fn named_rover(name: &str, map: Arc<PlanningMap>, start: Pose) -> Self {
        Self::configured(name, map, start, |config| config.mesh = false)
    }

    pub(crate) fn configured(
        name: &str,
        map: Arc<PlanningMap>,
        start: Pose,
        configure: impl FnOnce(&mut AgentConfig),
    ) -> Self {
        let mut config = AgentConfig::new(
            AgentId::new(name).unwrap(),
            FleetId::new("test").unwrap(),
            BootId(Uuid::from_u128(1)),
            start,
            BodyDescriptor::rover(),
            map.clone(),
            7,
        );
        configure(&mut config);
        let mut rig = Self {
            agent: Agent::new(config.clone()),
            config,
            map,
            now: MonoTime::from_millis(1000),
            pose: start,
            twist: Twist::ZERO,
            battery: 90.0,
            appetite: 0.0,
            things: Vec::new(),
            home: start.position,
            acks: Vec::new(),
            progress: Vec::new(),
            events: Vec::new(),
            telemetry: 0,
            driven: 0.0,
            touched: 0,
            latches: LatchSet::default(),
            setpoint: Setpoint::none(),
            trail: Vec::new(),
            said: Vec::new(),
            surroundings: Surroundings::empty(),
            warned: Vec::new(),
            map_changes: Vec::new(),
            cliff: false,
            powered: true,
            causes: Causes::NONE,
            level: FailsafeLevel::None,
            sequence: 0,
            commands: 100,
        };
        rig.give(Input::Wall(WallTime::from_unix_nanos(1_700_000_000_000_000_000)));
        rig.run(0.2);
        rig
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.agent.handle(self.now, input);
        self.drain();
    }

    /// A new command with this generation; its id.
    pub(crate) fn order(&mut self, generation: u64, order: Order) -> CommandId {
        self.commands += 1;
        let id = CommandId(Uuid::from_u128(self.commands));
        self.give(Input::Command(CloudCommand {
            id,
            generation: Generation(generation),
            term: Term(0),
            expires_at: None,
            order,
        }));
        id
    }

    /// Applies a latch request of an operator to the registers and hands them to the agent.
    pub(crate) fn latch(&mut self, scope: LatchScope, action: LatchAction, by: &str, reason: &str) {
        self.commands += 1;
        let (id, at) = (CommandId(Uuid::from_u128(self.commands)), WallTime::default());
        let by = Principal::Operator(OperatorId::new(by).unwrap());
        let request = LatchRequest { id, scope, action, reason: reason.to_owned(), by, at };
        self.latches = self.latches.apply(&request).unwrap();
        self.give(Input::Latch(self.latches.clone()));
    }

    /// STOP of this robot by ada.
    pub(crate) fn stop(&mut self, reason: &str) {
        self.latch(LatchScope::Robot, LatchAction::Stop, "ada", reason);
    }

    /// Release of this robot's own latch.
    pub(crate) fn release(&mut self) {
        let epoch = self.latches.own.epoch;
        self.latch(LatchScope::Robot, LatchAction::Release { epoch }, "ada", "checked");
    }

    /// A manual command of ada for this many milliseconds.
    pub(crate) fn drive(&mut self, motion: OverrideMotion, ttl_ms: u64) {
        let operator = OperatorId::new("ada").unwrap();
        let (ttl, reason) = (Duration::from_millis(ttl_ms), "look behind the shelf".to_owned());
        self.give(Input::Override(OverrideCommand { motion, ttl, operator, reason }));
    }

    /// Operating mode as it is written on the wire.
    pub(crate) fn mode(&self) -> String {
        serde_json::to_value(self.agent.status(self.now).mode).unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) fn why(&self) -> String {
        self.agent.status(self.now).why
    }

    pub(crate) fn assign(&mut self, generation: u64, task: Task) -> CommandId {
        let assignment = Assignment {
            mission: mission(),
            generation: Generation(generation),
            task,
            priority: Priority::NORMAL,
            return_home: false,
        };
        self.order(generation, Order::Assign(assignment))
    }

    pub(crate) fn whole(&self) -> Region {
        self.map.reachable_from(&[self.pose.position])
    }

    /// Runs until the condition holds; false when it does not within the time.
    pub(crate) fn until(&mut self, seconds: f64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_secs_f64(seconds);
        while self.now < end {
            if done(self) {
                return true;
            }
            self.tick();
        }
        done(self)
    }

    pub(crate) fn run(&mut self, seconds: f64) {
        let _ = self.until(seconds, |_| false);
    }

    pub(crate) fn named(&self, name: &str) -> usize {
        self.events.iter().filter(|event| event.name == name).count()
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now + Duration::from_millis(10);
        let clear = self.step_body(0.01);
        self.sequence += 1;
        let frame = self.frame();
        self.give(Input::Sensors(frame));
        let report = ReflexReport {
            at: self.now,
            sequence: self.sequence,
            level: self.level,
            causes: self.causes,
            clear_distance: Meters(clear),
            ..ReflexReport::none()
        };
        self.give(Input::Reflex(report));
        while self.agent.next_deadline().is_some_and(|(at, _)| at <= self.now) {
            self.give(Input::Cycle);
        }
    }

    /// Follows the setpoint while it is fresh, and stops before obstacles. Returns the free distance ahead, metres.
    fn step_body(&mut self, dt: f64) -> f64 {
        let fresh = self.setpoint.valid_until >= self.now;
        self.twist = if fresh { self.setpoint.twist } else { Twist::ZERO };
        let next = self.pose.moved(&self.twist, dt);
        let radius = BodyDescriptor::rover().radius.get();
        let room = |at: Point| {
            let wall = self.map.frame().cell_of(at).map_or(0.0, |cell| f64::from(self.map.clearance(cell)));
            let thing = self.things.iter().map(|(p, r)| p.distance(at) - r).fold(f64::INFINITY, f64::min);
            wall.min(thing)
        };
        let mut clear = f64::INFINITY;
        for step in 1..=20 {
            let ahead = self.pose.moved(&self.twist, f64::from(step) * 0.05 / self.twist.speed().max(0.01));
            let got = room(ahead.position);
            if got < radius + 0.03 && got < room(self.pose.position) {
                clear = f64::from(step - 1) * 0.05;
                break;
            }
        }
        if clear < 0.1 || (room(next.position) < radius && room(next.position) < room(self.pose.position)) {
            self.twist = Twist { vx: 0.0, vy: 0.0, ..self.twist };
        }
        let next = self.pose.moved(&self.twist, dt);
        if room(next.position) < radius - 0.05 {
            self.touched += 1;
        }
        self.driven += next.position.distance(self.pose.position);
        self.battery -= self.appetite * next.position.distance(self.pose.position);
        if self.charging() {
            self.battery = (self.battery + 4.0 * dt).min(100.0);
        }
        self.pose = next;
        if self.trail.last().is_none_or(|last| last.distance(next.position) > 0.1) {
            self.trail.push(next.position);
        }
        clear
    }

    fn charging(&self) -> bool {
        self.appetite > 0.0 && self.pose.position.distance(self.home) < 0.3
    }

    fn frame(&self) -> Box<SensorFrame> {
        let mut frame = SensorFrame::unknown(Meters(10.0));
        frame.at = self.now;
        frame.sequence = self.sequence;
        frame.estimate =
            PoseEstimate { pose: self.pose, position_std: Meters(0.01), heading_std: Radians(0.01), at: self.now };
        frame.odometry = self.pose;
        frame.twist = self.twist;
        frame.battery = Battery { charge: Percent(self.battery), charging: self.charging() };
        frame.payload = Kilograms(0.0);
        frame.motors_powered = self.powered;
        frame.cliff[0] = self.cliff;
        let scanned = MonoTime::from_millis(self.now.as_nanos() / 100_000_000 * 100);
        frame.scan.at = scanned;
        if scanned == self.now {
            frame.scan.ranges = self.scan();
        }
        Box::new(frame)
    }

    fn scan(&self) -> [f32; BEAMS] {
        std::array::from_fn(|beam| {
            let heading = self.pose.heading + Scan::angle_of(beam);
            let wall =
                sight::raycast(&self.map, self.pose.position, heading, Meters(10.0)).map_or(f64::INFINITY, |d| d.0);
            let way = Point::from_heading(heading);
            let hits = self.things.iter().filter_map(|(at, radius)| {
                let to = *at - self.pose.position;
                let (along, beside) = (to.dot(way), to.cross(way).abs());
                (along > 0.0 && beside < *radius).then(|| along - (radius * radius - beside * beside).sqrt())
            });
            hits.fold(wall, f64::min) as f32
        })
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Setpoint(setpoint) => self.setpoint = setpoint,
                Output::Report(AgentReport::Ack(ack)) => self.acks.push(ack),
                Output::Report(AgentReport::Progress(progress)) => self.progress.push(progress),
                Output::Report(AgentReport::Telemetry(batch)) => self.telemetry += batch.samples.len(),
                Output::Report(
                    AgentReport::Hello(_) | AgentReport::Events(_) | AgentReport::Latch(_) | AgentReport::Hazards(_),
                ) => {}
                Output::Event(event) => self.events.push(event),
                Output::PublishIntent(intent) => self.said.push(intent),
                Output::Surroundings(surroundings) => self.surroundings = *surroundings,
                Output::PublishHazard(hazard) => self.warned.push(hazard),
                Output::PublishMapHazard(_) => {}
                Output::MapHazard(entry) => self.map_changes.push(entry),
            }
        }
    }
}
