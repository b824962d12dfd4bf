//! May the body move like this, here, now?

use skein_types::geometry::{Point, Pose, Twist};
use skein_types::limits::RESUME_SHARE;
use skein_types::safety::{Cause, Causes, Surroundings};
use skein_types::time::MonoTime;

use crate::clear::{self, Clearance};
use crate::config::ReflexConfig;
use crate::discs;
use crate::obstacles::Near;
use crate::way::Way;

/// Slower than this, m/s, the body stands.
const STANDS: f64 = 0.05;
/// Slower than this, m/s, there is no point in moving.
const SLOWEST: f64 = 0.02;
/// Steering aside must win at least this much free way, metres.
const STEER_GAIN: f64 = 0.10;
/// It leaves the side it steered to last only for this much more, metres.
const STEER_KEEP: f64 = 0.20;
/// Below this share of the top speed the place is narrow, and steering is left to the agent.
const STEER_SHARE: f64 = 0.5;
/// Kept free, metres, when the way of the present motion is all that counts.
const BRAKING_MARGIN: f64 = 0.02;
/// Kept free, metres, before what keeps its own margin: peers and hazards.
const DISC_MARGIN: f64 = 0.03;
/// Fastest while something touches the bumper.
const TOUCHED_SPEED: f64 = 0.2;

/// All that bears on one motion.
pub(crate) struct Scene<'a> {
    pub(crate) config: &'a ReflexConfig,
    pub(crate) now: MonoTime,
    pub(crate) near: Near,
    /// `map_from_body`, now.
    pub(crate) pose: Pose,
    pub(crate) measured: Twist,
    pub(crate) cliff: [bool; 4],
    pub(crate) touched: Option<Point>,
    pub(crate) limit: f64,
    pub(crate) stopped: bool,
    pub(crate) side: f64,
    /// Causes that stop the motion towards them on this body.
    pub(crate) blocking: Causes,
    pub(crate) surroundings: &'a Surroundings,
}

/// What becomes of a wanted motion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) twist: Twist,
    /// Brake as hard as can be.
    pub(crate) halts: bool,
    pub(crate) causes: Causes,
    pub(crate) clear: f64,
    pub(crate) stop: f64,
    pub(crate) speed: f64,
    pub(crate) stopped: bool,
    pub(crate) side: f64,
}

impl Verdict {
    /// Motors to zero.
    pub(crate) const fn stand(clear: f64, stop: f64) -> Self {
        Self {
            twist: Twist::ZERO,
            halts: true,
            causes: Causes::NONE,
            clear,
            stop,
            speed: 0.0,
            stopped: false,
            side: 0.0,
        }
    }
}

impl Scene<'_> {
    pub(crate) fn judge(&self, wanted: &Twist) -> Verdict {
        let stop = self.stop_distance(wanted);
        let lidar = clear::look(self.config, &self.near, wanted, stop);
        let mut verdict = Verdict {
            clear: lidar.swept,
            halts: false,
            twist: *wanted,
            speed: self.limit,
            ..Verdict::stand(0.0, stop)
        };
        verdict.causes = self.causes_ahead(wanted, &lidar, stop);
        if verdict.causes.intersects(self.blocking) {
            return self.stand_or_turn(wanted, verdict);
        }
        self.slow_down(wanted, &lidar, &mut verdict);
        self.steer_aside(&lidar, &mut verdict);
        verdict
    }

    /// The distance at which it stops: what the speed limit allows, and never less than what it takes to halt from the
    /// present speed.
    fn stop_distance(&self, wanted: &Twist) -> f64 {
        let config = self.config;
        let promised = config.stop_distance.0 * config.share_at(self.limit);
        let margin = config.margin.0;
        promised.max(config.halting_distance(self.speed_along(wanted)) + margin)
    }

    /// The part of the present speed that goes the wanted way.
    fn speed_along(&self, wanted: &Twist) -> f64 {
        let speed = wanted.speed();
        if speed <= 0.0 {
            return 0.0;
        }
        ((self.measured.vx * wanted.vx + self.measured.vy * wanted.vy) / speed).max(0.0)
    }

    /// What lies too close ahead on the path.
    fn causes_ahead(&self, wanted: &Twist, lidar: &Clearance, stop: f64) -> Causes {
        let mut causes = Causes::NONE;
        let mut find = |wrong: bool, cause: Cause| {
            if wrong {
                causes.insert(cause);
            }
        };
        let room = if self.stopped { stop + stop * RESUME_SHARE } else { stop };
        find(lidar.blocked < room || self.cannot_brake(wanted), Cause::ObstacleStop);
        let halting = self.config.halting_distance(self.speed_along(wanted)) + DISC_MARGIN;
        find(self.clear_of_hazards(wanted) < halting, Cause::Hazard);
        find(self.clear_of_peers(wanted) < halting, Cause::PeerStop);
        find(self.leads_over_an_edge(wanted), Cause::Cliff);
        find(self.presses_on(wanted), Cause::Bumper);
        causes
    }

    /// The present motion cannot be braked before what lies on it, and the wanted one does not already brake it.
    fn cannot_brake(&self, wanted: &Twist) -> bool {
        let speed = self.measured.speed();
        if speed < STANDS || self.speed_along(wanted) <= 0.0 {
            return false;
        }
        clear::bare(self.config, &self.near, &self.measured) < self.config.halting_distance(speed) + BRAKING_MARGIN
    }

    fn clear_of_hazards(&self, wanted: &Twist) -> f64 {
        discs::clear_of_hazards(self.config, self.now, &self.pose, &Way::of(wanted), self.surroundings)
    }

    fn clear_of_peers(&self, wanted: &Twist) -> f64 {
        discs::clear_of_peers(self.config, self.now, &self.pose, wanted, self.surroundings)
    }

    /// The floor is missing on a side the body moves to, straight or by the bend of its way.
    fn leads_over_an_edge(&self, wanted: &Twist) -> bool {
        let [front, left, rear, right] = self.cliff;
        let bend = wanted.vx * wanted.yaw_rate;
        (front && wanted.vx > 0.0)
            || (rear && wanted.vx < 0.0)
            || (left && (wanted.vy > 0.0 || bend > 0.0))
            || (right && (wanted.vy < 0.0 || bend < 0.0))
    }

    /// Something touches the bumper and the way does not lead away from it.
    fn presses_on(&self, wanted: &Twist) -> bool {
        self.touched.is_some_and(|way| wanted.speed() > 0.0 && wanted.vx * way.x + wanted.vy * way.y >= 0.0)
    }

    /// Motors to zero; once it stands, a turn in place is still free: it sweeps nothing, and opens another way.
    fn stand_or_turn(&self, wanted: &Twist, verdict: Verdict) -> Verdict {
        let stands = self.measured.speed() < STANDS;
        let turn = Twist { yaw_rate: wanted.yaw_rate, ..Twist::ZERO };
        let turns = stands && turn.yaw_rate != 0.0;
        Verdict {
            twist: if turns { turn } else { Twist::ZERO },
            halts: !turns,
            speed: 0.0,
            stopped: true,
            side: self.side,
            ..verdict
        }
    }

    fn slow_down(&self, wanted: &Twist, lidar: &Clearance, verdict: &mut Verdict) {
        let config = self.config;
        let before_disc = |clear: f64| config.speed_to_stop_in(clear - DISC_MARGIN);
        let hazards = before_disc(self.clear_of_hazards(wanted));
        let peers = before_disc(self.clear_of_peers(wanted));
        let touched = if self.touched.is_some() { TOUCHED_SPEED } else { f64::INFINITY };
        let allowed = lidar.speed.min(hazards).min(peers).min(touched);
        verdict.speed = self.limit.min(allowed);
        let speed = wanted.speed();
        if lidar.swept < self.avoid_distance(verdict.stop) || lidar.speed < speed {
            verdict.causes.insert(Cause::ObstacleAvoid);
        }
        if peers < speed {
            verdict.causes.insert(Cause::PeerClose);
        }
        if hazards < speed {
            verdict.causes.insert(Cause::HazardClose);
        }
        if touched < speed {
            verdict.causes.insert(Cause::Bumper);
        }
        if speed > verdict.speed {
            let slower = wanted.scaled(verdict.speed / speed);
            verdict.twist = if verdict.speed < SLOWEST { turn_of(wanted) } else { slower };
        }
    }

    /// Nearer than this is worth slowing for: the avoid distance, shrunk with the speed limit like the stop distance.
    fn avoid_distance(&self, stop: f64) -> f64 {
        let slowing = self.limit * self.limit / (2.0 * self.config.soft_braking());
        (self.config.avoid_distance.0 * self.config.share_at(self.limit)).max(stop + slowing)
    }

    /// A little to the side that is freer, where there is room for it.
    fn steer_aside(&self, lidar: &Clearance, verdict: &mut Verdict) {
        let config = self.config;
        let avoid = self.avoid_distance(verdict.stop);
        let roomy = self.limit >= STEER_SHARE * config.descriptor.speed_max.0;
        if !roomy || lidar.swept >= avoid || verdict.twist.speed() < SLOWEST {
            return;
        }
        let mut best = lidar.swept + STEER_GAIN;
        // Both sides are beside the motion that was asked for, whichever of them was found first.
        let asked = verdict.twist;
        for side in [1.0, -1.0] {
            let yaw_rate = asked.yaw_rate + side * config.steer_max.0;
            let turned = Twist { yaw_rate, ..asked };
            let clearance = clear::look(config, &self.near, &turned, verdict.stop);
            let kept = if side == self.side { STEER_KEEP } else { 0.0 };
            let room = clearance.blocked >= verdict.stop && clearance.speed >= turned.speed();
            let possible = yaw_rate.abs() <= config.descriptor.yaw_rate_max.0;
            if room
                && possible
                && clearance.swept + kept > best
                && !self.causes_ahead(&turned, &clearance, verdict.stop).intersects(self.blocking)
            {
                best = clearance.swept + kept;
                verdict.twist = turned;
                verdict.side = side;
            }
        }
    }
}

/// Only the turning part.
fn turn_of(twist: &Twist) -> Twist {
    Twist { yaw_rate: twist.yaw_rate, ..Twist::ZERO }
}
