//! A yard of point robots on a virtual clock: each plans a way, asks its [`Coord`] what it may do, and drives it at
//! up to 1 m/s, turning on the spot as a real one does. What they say arrives late, and some of it never.

use std::time::Duration;

use skein_coord::{Coord, CoordConfig, Guidance, HoldReason, Input, Output, OwnState};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::path::{AngleOptions, Search, any_angle};
use skein_space::planning::{PlanningMap, PlanningParams, Traversable};
use skein_types::body::BodyDescriptor;
use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::{Point, Pose, wrap_angle};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::Priority;
use skein_types::region::RegionFrame;
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

pub(crate) const RADIUS: f64 = 0.25;
pub(crate) const TICK: Duration = Duration::from_millis(50);
const TICK_S: f64 = 0.05;
const PIXEL: f64 = 0.1;
/// The reflex of a real robot stops here (centres) whatever it was told.
const REFLEX: f64 = 2.0 * RADIUS + 0.12;

/// Seeded numbers that need no crate: splitmix64.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }
}

/// A map from a drawing: `#` is wall, each sign is `cell` metres wide; the last line is the southernmost.
pub(crate) fn map(drawing: &str, cell: f64) -> PlanningMap {
    let lines: Vec<&[u8]> = drawing.lines().map(|l| l.trim().as_bytes()).filter(|l| !l.is_empty()).collect();
    let scale = (cell / PIXEL).round() as u32;
    let (width, height) = (lines[0].len() as u32 * scale, lines.len() as u32 * scale);
    let frame = RegionFrame { origin: Point::default(), resolution: PIXEL, width, height };
    let cells = OccupancyMap::from_cells(frame, |cell| {
        let (column, row) = (cell % width / scale, cell / width / scale);
        if lines[lines.len() - 1 - row as usize][column as usize] == b'#' { Cell::Occupied } else { Cell::Free }
    });
    PlanningMap::new(&cells, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap()
}

/// Places marked with a letter in the drawing, by letter.
pub(crate) fn mark(drawing: &str, cell: f64, letter: char) -> Vec<Point> {
    let lines: Vec<&str> = drawing.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let mut found = Vec::new();
    for (row, line) in lines.iter().rev().enumerate() {
        for (column, _) in line.chars().enumerate().filter(|(_, c)| *c == letter) {
            found.push(Point::new((column as f64 + 0.5) * cell, (row as f64 + 0.5) * cell));
        }
    }
    found
}

pub(crate) struct Bot {
    pub(crate) id: AgentId,
    pub(crate) coord: Coord,
    pub(crate) pose: Pose,
    pub(crate) speed: f64,
    pub(crate) goals: Vec<Point>,
    pub(crate) path: Vec<Point>,
    pub(crate) state: AgentState,
    pub(crate) priority: Priority,
    pub(crate) carrying: bool,
    pub(crate) done_at: Option<f64>,
    pub(crate) guidance: Guidance,
    pub(crate) distance: f64,
    pub(crate) said: Option<Intent>,
    /// Goes on along its way whatever it is told.
    pub(crate) liar: bool,
    pub(crate) mute: bool,
    obstructed: Duration,
}

impl Bot {
    fn own(&self) -> OwnState {
        OwnState {
            pose: self.pose,
            pose_age: Duration::ZERO,
            velocity: Point::from_heading(self.pose.heading) * self.speed,
            path: self.path.clone(),
            state: self.state,
            priority: self.priority,
            carrying: self.carrying,
            emergency: false,
            wall: WallTime::default(),
        }
    }
}

/// The planner's view: the map less what does not move.
struct Around<'a> {
    map: &'a PlanningMap,
    obstacles: Vec<(Point, f64)>,
}

impl Traversable for Around<'_> {
    fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }
    fn traversable(&self, cell: u32) -> bool {
        let free = |(at, radius): &(Point, f64)| self.map.frame().center_of(cell).distance(*at) >= *radius;
        self.map.traversable(cell) && self.obstacles.iter().all(free)
    }
    fn clearance(&self, cell: u32) -> f32 {
        self.map.clearance(cell)
    }
}

pub(crate) struct Yard {
    pub(crate) map: PlanningMap,
    pub(crate) bots: Vec<Bot>,
    pub(crate) now: MonoTime,
    pub(crate) separation: f64,
    pub(crate) reflex_stops: u64,
    pub(crate) outputs: Vec<(f64, AgentId, Output)>,
    pub(crate) trace: bool,
    /// Of a thousand messages, how many are lost.
    pub(crate) loss: u64,
    dice: Dice,
    mail: Vec<(MonoTime, usize, Intent)>,
    search: Search,
}

impl Yard {
    pub(crate) fn new(map: PlanningMap, seed: u64) -> Self {
        Self {
            map,
            bots: Vec::new(),
            now: MonoTime::from_millis(1000),
            separation: f64::INFINITY,
            reflex_stops: 0,
            outputs: Vec::new(),
            trace: std::env::var("YARD_TRACE").is_ok(),
            loss: 50,
            dice: Dice(seed),
            mail: Vec::new(),
            search: Search::new(),
        }
    }

    pub(crate) fn add(&mut self, at: Point, goals: &[Point]) -> &mut Bot {
        let n = self.bots.len() + 1;
        let id = AgentId::new(format!("rover-{n:02}")).unwrap();
        let boot = BootId(uuid::Uuid::from_u128(n as u128));
        let config = CoordConfig { id: id.clone(), boot, radius: Meters(RADIUS) };
        self.bots.push(Bot {
            id,
            coord: Coord::new(config),
            pose: Pose::new(at.x, at.y, 0.0),
            speed: 0.0,
            goals: goals.to_vec(),
            path: Vec::new(),
            state: AgentState::Executing,
            priority: Priority::NORMAL,
            carrying: false,
            done_at: None,
            guidance: Guidance::Go,
            distance: 0.0,
            said: None,
            liar: false,
            mute: false,
            obstructed: Duration::ZERO,
        });
        self.bots.last_mut().unwrap()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.now.as_secs_f64() - 1.0
    }

    /// Runs until all have been at all their goals; the time that took, or who is missing.
    pub(crate) fn run(&mut self, limit_s: f64) -> Result<f64, String> {
        while self.bots.iter().any(|bot| bot.done_at.is_none()) {
            if self.seconds() > limit_s {
                return Err(self.describe());
            }
            self.tick();
        }
        Ok(self.seconds())
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = format!("at {:.2} s, separation {:.2}\n", self.seconds(), self.separation);
        for bot in &self.bots {
            let p = bot.pose.position;
            let goal = bot.goals.first().map(|g| format!("to ({:.1},{:.1})", g.x, g.y)).unwrap_or_default();
            let told = match &bot.guidance {
                Guidance::Go => "goes".to_owned(),
                Guidance::Hold { at_distance, for_agent, reason } => {
                    format!("holds in {:.2} {reason:?} {for_agent}", at_distance.0)
                }
                Guidance::MoveAside { path, for_agent } => {
                    let end = path.last().copied().unwrap_or_default();
                    format!("aside to ({:.2},{:.2}) for {for_agent}", end.x, end.y)
                }
            };
            let said = bot.said.as_ref().map(|i| {
                let mark = if i.cornered { " cornered" } else { "" };
                let end = i.path.last().copied().unwrap_or(i.pose.position);
                format!(
                    "[{} {}{mark} ->({:.1},{:.1})]",
                    i.right_of_way.claimant, i.right_of_way.waited_steps, end.x, end.y
                )
            });
            text += &format!(
                "  {} ({:.2},{:.2}) v {:.1} {goal} {told} {}\n",
                bot.id,
                p.x,
                p.y,
                bot.speed,
                said.unwrap_or_default()
            );
        }
        text
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now + TICK;
        self.deliver();
        for i in 0..self.bots.len() {
            self.think(i);
            self.drive(i);
        }
        for (i, a) in self.bots.iter().enumerate() {
            for b in &self.bots[i + 1..] {
                self.separation = self.separation.min(a.pose.position.distance(b.pose.position));
            }
        }
        if self.trace && self.now.as_nanos().is_multiple_of(1_000_000_000) {
            println!("{}", self.describe());
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (due, later) = self.mail.drain(..).partition(|(at, _, _)| *at <= now);
        self.mail = later;
        let due: Vec<(MonoTime, usize, Intent)> = due;
        for (_, to, intent) in due {
            self.bots[to].coord.handle(now, Input::Intent(intent));
        }
    }

    fn think(&mut self, i: usize) {
        let now = self.now;
        let seconds = self.seconds();
        let bot = &mut self.bots[i];
        let place = bot.pose.position;
        while bot.goals.first().is_some_and(|goal| goal.distance(place) < 0.12) {
            bot.goals.remove(0);
            bot.path.clear();
        }
        if bot.goals.is_empty() && bot.done_at.is_none() {
            bot.done_at = Some(seconds);
        }
        if bot.goals.is_empty() && bot.state == AgentState::Executing {
            bot.state = AgentState::Idle;
        }
        while bot.path.len() > 1 && bot.path[0].distance(place) < 0.1 {
            bot.path.remove(0);
        }
        let replan = bot.obstructed > Duration::from_secs(1);
        if let Some(&goal) = bot.goals.first().filter(|_| bot.path.is_empty() || replan) {
            bot.obstructed = Duration::ZERO;
            let obstacles = bot.coord.obstacles(now).map(|o| (o.position, o.radius.0)).collect();
            let around = Around { map: &self.map, obstacles };
            let options = AngleOptions::comfortable(Meters(RADIUS + 0.05));
            let planned = any_angle(&mut self.search, &around, place, goal, &options)
                .or_else(|| any_angle(&mut self.search, &self.map, place, goal, &options));
            bot.path = planned.unwrap_or_default();
        }
        let own = bot.own();
        bot.coord.handle(now, Input::Own(own.clone()));
        let before = std::mem::replace(&mut bot.guidance, bot.coord.guidance(now, &self.map, &own));
        let aside = |g: &Guidance| matches!(g, Guidance::MoveAside { .. });
        if aside(&before) && !aside(&bot.guidance) {
            bot.path.clear();
        }
        match bot.guidance {
            Guidance::Hold { reason: HoldReason::Obstacle, .. } => bot.obstructed += TICK,
            _ => bot.obstructed = Duration::ZERO,
        }
        let mut said = Vec::new();
        while let Some(output) = bot.coord.poll_output() {
            match output {
                Output::PublishIntent(intent) => said.push(intent),
                other => {
                    if self.trace {
                        println!("{seconds:.2} {} {other:?}", bot.id);
                    }
                    self.outputs.push((seconds, bot.id.clone(), other));
                }
            }
        }
        bot.said = said.last().cloned().or(bot.said.take());
        if bot.mute {
            return;
        }
        for intent in said {
            for to in (0..self.bots.len()).filter(|to| *to != i) {
                let ticks = 1 + self.dice.roll(3) as u32;
                if self.dice.roll(1000) >= self.loss {
                    self.mail.push((now + TICK * ticks, to, intent.clone()));
                }
            }
        }
    }

    fn drive(&mut self, i: usize) {
        let bot = &self.bots[i];
        let (path, free): (&[Point], f64) = match &bot.guidance {
            _ if bot.liar => (&bot.path, f64::INFINITY),
            Guidance::Go => (&bot.path, f64::INFINITY),
            Guidance::Hold { at_distance, .. } => (&bot.path, at_distance.0),
            Guidance::MoveAside { path, .. } => (path, f64::INFINITY),
        };
        let place = bot.pose.position;
        let ahead: Vec<Point> = path.iter().copied().filter(|p| p.distance(place) > 0.03).collect();
        let length: f64 = std::iter::once(&place).chain(&ahead).zip(&ahead).map(|(a, b)| a.distance(*b)).sum();
        let stop = length.min(free).max(0.0);
        let Some(&next) = ahead.first().filter(|_| stop > 0.01) else {
            self.bots[i].speed = 0.0;
            return;
        };
        let heading = (next - place).heading();
        let turn = wrap_angle(heading - bot.pose.heading);
        let limit = if turn.abs() > 0.3 { 0.0 } else { (2.0 * stop).sqrt().min(1.0) };
        let speed = limit.min(bot.speed + 1.0 * TICK_S);
        let pose_heading = wrap_angle(bot.pose.heading + turn.clamp(-2.0 * TICK_S, 2.0 * TICK_S));
        let to = place + Point::from_heading(heading) * (speed * TICK_S).min(next.distance(place)).min(stop);
        let hits = self.bots.iter().enumerate().any(|(j, other)| {
            let (near, was) = (other.pose.position.distance(to), other.pose.position.distance(place));
            j != i && near < REFLEX && near < was
        });
        let bot = &mut self.bots[i];
        bot.pose.heading = pose_heading;
        if hits {
            bot.speed = 0.0;
            self.reflex_stops += 1;
            if self.trace {
                println!("{:.2} {} reflex", self.now.as_secs_f64() - 1.0, bot.id);
            }
        } else {
            bot.speed = speed;
            bot.distance += place.distance(to);
            bot.pose.position = to;
        }
    }
}
