//! From places to be to a way there, over terrain that changes; and when to look for another way.

use std::sync::Arc;
use std::time::Duration;

use skein_space::path::{self, AngleOptions, Search};
use skein_space::planning::{PlanningMap, Traversable, nearest_traversable};
use skein_space::sight;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::evidence::Evidence;
use crate::route::{Limits, Route};
use crate::terrain::Terrain;

/// A search costs one token; so many can be saved up.
const SEARCH_TOKENS_MAX: f64 = 3.0;
/// Tokens earned a second: no more searches than this on average.
const SEARCHES_PER_SECOND: f64 = 2.0;
/// The terrain is laid anew at least this often, so that what expired is noticed.
const TERRAIN_LIFE: Duration = Duration::from_millis(500);
/// A way is made for at least so much length when there are places enough, metres.
const HORIZON: f64 = 10.0;
/// A straight line is taken without a search when it keeps this much more than the least clearance, metres.
const COMFORT: f64 = 0.12;
/// What the planner wants to keep from walls where there is room, metres more than the least clearance.
const COMFORTABLE: f64 = 0.25;
/// A place to be that is not traversable stands for the nearest traversable one within this, metres.
const GOAL_SNAP: f64 = 0.35;
/// The robot itself may stand where nothing may be planned: the way begins at the nearest traversable place within this.
const START_SNAP: f64 = 1.0;
/// How far ahead the way is checked against what was seen since, metres.
const CHECK_AHEAD: f64 = 4.0;
/// Most places given up for a while.
const BLOCKED_MAX: usize = 64;
/// From what is on no map a way keeps this much more than the least clearance, metres: the reflex wants 0.1 m free ahead
/// and half a square is not known.
const EVIDENCE_MARGIN: f64 = 0.07;

/// A place that is not tried for a while.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blocked {
    pub(crate) at: Point,
    pub(crate) radius: f64,
    pub(crate) until: MonoTime,
    pub(crate) reason: &'static str,
}

/// A disc to plan around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Disc {
    pub(crate) at: Point,
    /// How far the middle of this robot has to stay away, metres.
    pub(crate) keep: f64,
}

/// What is known beyond the map when a way is planned.
pub(crate) struct Known<'a> {
    pub(crate) evidence: &'a Evidence,
    /// Hazards and peers that do not move.
    pub(crate) discs: &'a [Disc],
}

/// What came of planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// There is a way to at least the first place.
    Way,
    /// Searched too often lately; ask again.
    Later,
    /// There is no way to the first place.
    None,
}

/// Plans ways and keeps the one in use.
#[derive(Clone, Debug)]
pub(crate) struct Navigator {
    terrain: Terrain,
    search: Search,
    limits: Limits,
    route: Route,
    /// Places the way passes, in order; the last is its end.
    passes: Vec<Point>,
    blocked: Vec<Blocked>,
    tokens: f64,
    tokens_at: MonoTime,
    laid_at: Option<MonoTime>,
    searches: u64,
}

/// The limits used for planning: gentler than what the body can do.
pub(crate) fn limits_for(body: &BodyDescriptor, clearance: Meters) -> Limits {
    Limits {
        speed: body.speed_max.get(),
        speed_min: 0.08_f64.min(body.speed_max.get()),
        yaw_rate: body.yaw_rate_max.get(),
        braking: 0.4 * body.braking_max.get(),
        acceleration: 0.9 * body.acceleration_max.get(),
        radius: body.radius.get(),
        clearance: clearance.get(),
    }
}

impl Navigator {
    pub(crate) fn new(map: Arc<PlanningMap>, body: &BodyDescriptor) -> Self {
        let limits = limits_for(body, map.params().clearance);
        Self {
            terrain: Terrain::new(map),
            search: Search::new(),
            limits,
            route: Route::default(),
            passes: Vec::new(),
            blocked: Vec::new(),
            tokens: SEARCH_TOKENS_MAX,
            tokens_at: MonoTime::ZERO,
            laid_at: None,
            searches: 0,
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn route(&self) -> &Route {
        &self.route
    }

    pub(crate) const fn route_mut(&mut self) -> &mut Route {
        &mut self.route
    }

    pub(crate) const fn searches(&self) -> u64 {
        self.searches
    }

    pub(crate) const fn terrain(&self) -> &Terrain {
        &self.terrain
    }

    /// The terrain to plan on and the scratch space to do it with.
    pub(crate) const fn planner(&mut self) -> (&Terrain, &mut Search) {
        (&self.terrain, &mut self.search)
    }

    /// The robot is at the end of its way: where it can come no nearer to the last place.
    pub(crate) fn ended(&self, own: Point, within: f64) -> bool {
        let left = self.route.length() - self.route.along();
        left <= within && self.route.end().is_some_and(|end| end.distance(own) < within)
    }

    /// The first place of the way was passed.
    pub(crate) fn passed(&mut self, place: Point) {
        if self.passes.first() == Some(&place) {
            self.passes.remove(0);
        }
    }

    /// The places the way in use passes.
    pub(crate) fn passes(&self) -> &[Point] {
        &self.passes
    }

    pub(crate) fn blocked(&self) -> &[Blocked] {
        &self.blocked
    }

    /// No way is in use.
    pub(crate) fn forget(&mut self) {
        self.route = Route::default();
        self.passes.clear();
    }

    /// Takes a place out of all plans for a while.
    pub(crate) fn block(&mut self, blocked: Blocked) {
        self.laid_at = None;
        if let Some(known) = self.blocked.iter_mut().find(|known| known.at.distance(blocked.at) < 0.15) {
            known.until = known.until.max(blocked.until);
            return;
        }
        if self.blocked.len() < BLOCKED_MAX {
            self.blocked.push(blocked);
        }
    }

    /// Whether a search may be made now.
    pub(crate) fn may_search(&mut self, now: MonoTime) -> bool {
        let earned = now.secs_since(self.tokens_at) * SEARCHES_PER_SECOND;
        self.tokens = (self.tokens + earned).min(SEARCH_TOKENS_MAX);
        self.tokens_at = now;
        self.tokens >= 1.0
    }

    /// Counts a search over the whole map that someone makes with [`Self::planner`].
    pub(crate) fn searched(&mut self) {
        self.tokens -= 1.0;
        self.searches += 1;
    }

    /// Lays what is known over the map. Around the robot itself nothing that was laid blocks: it has to get away.
    pub(crate) fn lay(&mut self, now: MonoTime, known: &Known<'_>, own: Point) {
        self.blocked.retain(|blocked| blocked.until > now);
        self.terrain.clear();
        let frame = *self.terrain.frame();
        for square in known.evidence.obstacles() {
            self.terrain.block_disc(frame.center_of(square), self.limits.clearance + EVIDENCE_MARGIN);
        }
        for blocked in &self.blocked {
            self.terrain.block_disc(blocked.at, blocked.radius);
        }
        for disc in known.discs {
            self.terrain.block_disc(disc.at, disc.keep);
        }
        self.terrain.unblock_disc(own, 0.2);
        self.laid_at = Some(now);
    }

    /// The terrain is older than it should be.
    pub(crate) fn stale(&self, now: MonoTime) -> bool {
        self.laid_at.is_none_or(|at| now.since(at) >= TERRAIN_LIFE)
    }

    /// Makes a way from here through the places, as far as the horizon. The terrain must have been laid.
    pub(crate) fn plan(&mut self, now: MonoTime, from: Point, places: &[Point]) -> Planned {
        let mut corners = vec![from];
        let mut passes = Vec::new();
        let (mut at, mut length) = (self.start(from), 0.0);
        if at.distance(from) > 0.05 {
            corners.push(at);
        }
        for place in places {
            if length > HORIZON {
                break;
            }
            let leg = match self.leg(now, at, *place, passes.is_empty() || length < 3.0) {
                Ok(leg) => leg,
                Err(planned) if passes.is_empty() => return planned,
                Err(_) => break,
            };
            length += path::path_length(&leg).get();
            at = leg.last().copied().unwrap_or(at);
            corners.extend(leg.iter().skip(1));
            passes.push(*place);
        }
        self.route = Route::new(&corners, &self.limits, |point| self.terrain.clearance_at(point));
        self.passes = passes;
        Planned::Way
    }

    /// Takes a way that someone else has planned.
    pub(crate) fn adopt(&self, corners: &[Point]) -> Route {
        Route::new(corners, &self.limits, |point| self.terrain.clearance_at(point))
    }

    fn start(&self, from: Point) -> Point {
        if self.terrain.traversable_at(from) {
            return from;
        }
        let nearest = nearest_traversable(&self.terrain, from, Meters(START_SNAP));
        nearest.map_or(from, |square| self.terrain.frame().center_of(square))
    }

    /// One way from place to place: straight where that is comfortable, else searched.
    fn leg(&mut self, now: MonoTime, from: Point, to: Point, search: bool) -> Result<Vec<Point>, Planned> {
        let to = self.snap(to).ok_or(Planned::None)?;
        let comfortable = self.limits.clearance + COMFORT;
        if sight::line_passable(&self.terrain, from, to) && self.terrain.clearance_along(from, to) >= comfortable {
            return Ok(vec![from, to]);
        }
        if !search || !self.may_search(now) {
            return Err(Planned::Later);
        }
        // Between places close together a search is small; only far ones count in full.
        self.tokens -= (from.distance(to) / 8.0).clamp(0.1, 1.0);
        self.searches += 1;
        let options = AngleOptions { comfortable: Meters(self.limits.clearance + COMFORTABLE), penalty: 6.0 };
        path::any_angle(&mut self.search, &self.terrain, from, to, &options).ok_or(Planned::None)
    }

    fn snap(&self, place: Point) -> Option<Point> {
        if self.terrain.traversable_at(place) {
            return Some(place);
        }
        nearest_traversable(&self.terrain, place, Meters(GOAL_SNAP))
            .map(|square| self.terrain.frame().center_of(square))
    }

    /// The first place of the way, within reach, that is not traversable any more: where, and how far along.
    pub(crate) fn obstructed(&self, own: Point) -> Option<(Point, f64)> {
        self.route.walk(CHECK_AHEAD).find(|(at, _)| {
            at.distance(own) > 0.3 && !self.terrain.traversable_at(*at) && self.terrain.map().traversable_at(*at)
        })
    }
}
