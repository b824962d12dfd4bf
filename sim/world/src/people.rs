//! People who walk about: to a place they can see, a pause, then another. They mind walls, and mostly robots.

use skein_types::geometry::Point;

use crate::chance::{Chance, PEOPLE_STREAM};
use crate::config::STEP_S;
use crate::terrain::Terrain;

/// Radius of the disc a person takes up, metres.
pub const PERSON_RADIUS: f64 = 0.25;
/// How tall they are, metres: what flies above does not meet them.
pub(crate) const PERSON_HEIGHT: f64 = 1.8;
/// Shortest and longest leg, metres.
const LEG: (f64, f64) = (1.0, 8.0);
/// Slowest and fastest walk, m/s.
const PACE: (f64, f64) = (0.6, 1.3);
/// Longest pause, steps.
const PAUSE_MAX: f64 = 300.0;
/// They stop for a robot that comes nearer than this ahead of them, metres between the borders.
const POLITE_GAP: f64 = 0.6;
/// Steps after which they stop waiting and go elsewhere.
const PATIENCE: u32 = 150;
/// Tries to find a way; then they stay a while.
const TRIES: usize = 8;
/// Tries to find a place to stand in the beginning.
const PLACE_TRIES: usize = 2_000;
/// In the beginning, so far from any robot, metres.
const START_GAP: f64 = 2.0;

/// A person who walks.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) position: Point,
    pub(crate) velocity: Point,
    goal: Point,
    pace: f64,
    pause: u32,
    waited: u32,
    /// Looks at a phone on this leg.
    distracted: bool,
    chance: Chance,
}

impl Person {
    /// Somewhere free and away from robots; none when no such place was found.
    pub(crate) fn place(seed: u64, number: usize, terrain: &Terrain, robots: &[Point]) -> Option<Self> {
        let mut chance = Chance::new(seed, PEOPLE_STREAM + number as u64);
        let frame = *terrain.frame();
        let size = Point::new(f64::from(frame.width) * frame.resolution, f64::from(frame.height) * frame.resolution);
        let position = (0..PLACE_TRIES).find_map(|_| {
            let at = frame.origin + Point::new(size.x * chance.unit(), size.y * chance.unit());
            let free = terrain.nearest_solid(at, PERSON_RADIUS + 0.1).is_none();
            (free && robots.iter().all(|robot| robot.distance(at) > START_GAP)).then_some(at)
        })?;
        let start = Self {
            position,
            velocity: Point::default(),
            goal: position,
            pace: 1.0,
            pause: 0,
            waited: 0,
            distracted: false,
            chance,
        };
        Some(start)
    }

    /// One step; `robots` are the discs of those tall enough or low enough to meet.
    pub(crate) fn step(&mut self, tick: u64, distraction: f64, terrain: &Terrain, robots: &[(Point, f64)]) {
        self.chance.at_tick(tick);
        self.velocity = Point::default();
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        let way = self.goal - self.position;
        let left = way.norm();
        if left < self.pace * STEP_S || self.waited > PATIENCE {
            self.choose(distraction, terrain, robots);
            return;
        }
        let ahead = way * left.recip();
        if !self.distracted && robots.iter().any(|&robot| self.is_in_the_way(ahead, robot)) {
            self.waited += 1;
            return;
        }
        let next = self.position + ahead * (self.pace * STEP_S);
        if terrain.nearest_solid(next, PERSON_RADIUS).is_some() {
            self.waited = PATIENCE + 1;
            return;
        }
        self.waited = 0;
        self.velocity = ahead * self.pace;
        self.position = next;
    }

    fn is_in_the_way(&self, ahead: Point, (robot, radius): (Point, f64)) -> bool {
        let to = robot - self.position;
        let gap = to.norm() - radius - PERSON_RADIUS;
        gap < POLITE_GAP && to.dot(ahead) > 0.0 && to.cross(ahead).abs() < radius + PERSON_RADIUS + 0.2
    }

    /// The next place, in sight and with no robot on the way to it; a pause in any case.
    fn choose(&mut self, distraction: f64, terrain: &Terrain, robots: &[(Point, f64)]) {
        self.waited = 0;
        self.pause = (self.chance.unit() * PAUSE_MAX) as u32;
        self.pace = PACE.0 + (PACE.1 - PACE.0) * self.chance.unit();
        self.distracted = self.chance.unit() < distraction;
        for _ in 0..TRIES {
            let heading = Point::from_heading(self.chance.unit() * core::f64::consts::TAU);
            let goal = self.position + heading * (LEG.0 + (LEG.1 - LEG.0) * self.chance.unit());
            let clear = robots.iter().all(|&robot| !self.is_in_the_way(heading, robot));
            if clear && terrain.disc_passes(self.position, goal, PERSON_RADIUS + 0.05) {
                self.goal = goal;
                return;
            }
        }
        self.goal = self.position;
    }

    /// Pushed by a robot: stays out of walls, or does not move.
    pub(crate) fn pushed(&mut self, by: Point, terrain: &Terrain) {
        let to = self.position + by;
        if terrain.nearest_solid(to, PERSON_RADIUS).is_none() {
            self.position = to;
        }
        self.waited = PATIENCE + 1;
    }
}
