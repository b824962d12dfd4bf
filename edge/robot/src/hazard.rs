//! Dangers on the straight path: from the sensing tick of one robot into the reflex of another.
//!
//! ```text
//!   sensing tick ─► HazardSensor ─► lane ─► HazardSender ─► mesh        no agent, no planner, no queue of others
//!   mesh callback ─► HazardSlots ─► latest-wins slot ─► reflex tick
//! ```
//!
//! The agent hears of the same dangers a little later over its own inbox and keeps them; a slot only bridges that time.

use core::time::Duration;
use std::collections::VecDeque;

use skein_types::coord::{HAZARD_SAME_PLACE, Hazard, HazardKind};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::safety::{HAZARDS_MAX, HazardDisc, Surroundings};
use skein_types::sensing::{PoseEstimate, SensorFrame};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

/// Dangers that one tick can find: one for each drop-off sensor.
pub const SENSED_MAX: usize = 4;
/// Dangers of this robot that wait for the mesh; the newest matter most, so the oldest goes.
pub const LANE_MAX: usize = 16;
/// How long a hazard straight from the mesh counts by itself; by then the agent has taken it up or dismissed it.
pub const STRAIGHT_FOR: Duration = Duration::from_secs(1);
/// Slots that one reporter can fill: half of them.
pub const PER_REPORTER_MAX: usize = HAZARDS_MAX / 2;
/// A danger that is felt on and on is reported again this often.
const REPEAT_EVERY: Duration = Duration::from_secs(1);
/// Dangers reported lately that are remembered, to repeat none too soon.
const REPORTED_MAX: usize = 32;
/// How far a drop-off reaches beyond the sensor that felt it.
const CLIFF_RADIUS: Meters = Meters(0.2);
/// How long a reported danger counts.
const TIME_TO_LIVE: Duration = Duration::from_secs(3);
/// A pose that is older or less certain than this places no danger.
const POSE_AGE_MAX: Duration = Duration::from_millis(500);
const POSE_STD_MAX: Meters = Meters(0.5);

/// A danger as the sensing tick found it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensedHazard {
    /// What was sensed.
    pub kind: HazardKind,
    /// Where, in the map's frame.
    pub position: Point,
    /// How far it reaches.
    pub radius: Meters,
    /// When it was sensed.
    pub at: MonoTime,
}

/// What one tick found.
pub type SensedHazards = [Option<SensedHazard>; SENSED_MAX];

/// Finds dangers in sensor frames; part of the real-time tick.
#[derive(Clone, Copy, Debug, Default)]
pub struct HazardSensor {
    /// When each drop-off sensor was last reported, while it stays on.
    reported: [Option<MonoTime>; SENSED_MAX],
}

impl HazardSensor {
    /// The dangers that this frame shows for the first time, or still shows after [`REPEAT_EVERY`].
    pub fn sense(&mut self, now: MonoTime, frame: &SensorFrame, reach: Meters) -> SensedHazards {
        let mut found = [None; SENSED_MAX];
        let known = is_placed(now, &frame.estimate);
        let parts = self.reported.iter_mut().zip(frame.cliff).zip(directions(reach));
        for (slot, ((reported, missing), way)) in found.iter_mut().zip(parts) {
            if !missing {
                *reported = None;
            } else if known && reported.is_none_or(|at| now.since(at) >= REPEAT_EVERY) {
                *reported = Some(now);
                let position = frame.estimate.pose.map_from_body(way);
                *slot = Some(SensedHazard { kind: HazardKind::Cliff, position, radius: CLIFF_RADIUS, at: now });
            }
        }
        found
    }
}

fn is_placed(now: MonoTime, estimate: &PoseEstimate) -> bool {
    estimate.pose.is_finite() && now.since(estimate.at) <= POSE_AGE_MAX && estimate.position_std <= POSE_STD_MAX
}

/// Front, left, rear, right: the order of [`SensorFrame::cliff`].
fn directions(reach: Meters) -> [Point; SENSED_MAX] {
    let r = reach.get();
    [Point::new(r, 0.0), Point::new(0.0, r), Point::new(-r, 0.0), Point::new(0.0, -r)]
}

/// Makes messages of dangers and keeps them in a lane of their own until the mesh takes them.
#[derive(Debug)]
pub struct HazardSender {
    reporter: AgentId,
    boot: BootId,
    sequence: u64,
    reported: VecDeque<(HazardKind, Point, MonoTime)>,
    lane: VecDeque<(Hazard, MonoTime)>,
    dropped: u64,
}

impl HazardSender {
    /// For one boot of a robot.
    #[must_use]
    pub const fn new(reporter: AgentId, boot: BootId) -> Self {
        Self { reporter, boot, sequence: 0, reported: VecDeque::new(), lane: VecDeque::new(), dropped: 0 }
    }

    /// A danger that the sensing tick found.
    pub fn on_sensed(&mut self, now: MonoTime, wall: WallTime, sensed: &SensedHazard) {
        let SensedHazard { kind, position, radius, at } = *sensed;
        if self.is_repeated(now, kind, position) {
            return;
        }
        let hazard = Hazard {
            reporter: self.reporter.clone(),
            boot: self.boot,
            sequence: 0,
            kind,
            position,
            radius,
            time_to_live: TIME_TO_LIVE,
            age: Duration::ZERO,
            seen_at: wall,
        };
        self.push(hazard, at);
    }

    /// A danger that the agent reports; the same as one just sensed is not said twice.
    pub fn on_reported(&mut self, now: MonoTime, hazard: Hazard) {
        if !self.is_repeated(now, hazard.kind, hazard.position) {
            let at = now - hazard.age;
            self.push(hazard, at);
        }
    }

    /// The next message, with its age as of now.
    pub fn next(&mut self, now: MonoTime) -> Option<Hazard> {
        let (hazard, at) = self.lane.pop_front()?;
        Some(Hazard { age: now.since(at), ..hazard })
    }

    /// Dangers that found no place in the lane since the boot.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn is_repeated(&mut self, now: MonoTime, kind: HazardKind, position: Point) -> bool {
        self.reported.retain(|(_, _, at)| now.since(*at) < REPEAT_EVERY);
        if self.reported.iter().any(|(of, place, _)| *of == kind && place.distance(position) < HAZARD_SAME_PLACE.get())
        {
            return true;
        }
        if self.reported.len() >= REPORTED_MAX {
            self.reported.pop_front();
        }
        self.reported.push_back((kind, position, now));
        false
    }

    fn push(&mut self, hazard: Hazard, at: MonoTime) {
        if self.lane.len() >= LANE_MAX {
            self.lane.pop_front();
            self.dropped += 1;
        }
        self.sequence += 1;
        let sequence = self.sequence;
        self.lane.push_back((Hazard { sequence, boot: self.boot, reporter: self.reporter.clone(), ..hazard }, at));
    }
}

/// What the reflex reads: hazards straight from the mesh, without order.
pub type StraightHazards = [Option<HazardDisc>; HAZARDS_MAX];

/// The receiver's side: keeps the nearest dangers, and lets no reporter fill all slots.
#[derive(Clone, Debug, Default)]
pub struct HazardSlots {
    table: [Option<(AgentId, HazardDisc)>; HAZARDS_MAX],
}

impl HazardSlots {
    /// Takes a danger and gives what the reflex is to read from now on. It takes the place of what the same reporter
    /// said of the same place, of what has expired, or of the farthest that is farther than it.
    pub fn put(&mut self, now: MonoTime, here: Point, hazard: &Hazard) -> StraightHazards {
        let left = hazard.time_to_live.saturating_sub(hazard.age).min(STRAIGHT_FOR);
        let disc = HazardDisc { position: hazard.position, radius: hazard.radius, valid_until: now + left };
        if !left.is_zero() && disc.position.is_finite() && disc.radius.is_finite() {
            self.keep(now, here, &hazard.reporter, disc);
        }
        self.discs()
    }

    fn keep(&mut self, now: MonoTime, here: Point, reporter: &AgentId, disc: HazardDisc) {
        for slot in &mut self.table {
            drop(slot.take_if(|(_, known)| known.valid_until <= now));
        }
        let of_reporter = |slot: &Option<(AgentId, HazardDisc)>| slot.as_ref().is_some_and(|(by, _)| by == reporter);
        let is_same = |slot: &&mut Option<(AgentId, HazardDisc)>| {
            slot.as_ref().is_some_and(|(by, known)| by == reporter && is_same_place(known, &disc))
        };
        let entry = Some((reporter.clone(), disc));
        if let Some(slot) = self.table.iter_mut().find(is_same) {
            *slot = entry;
            return;
        }
        let crowded = self.table.iter().filter(|slot| of_reporter(slot)).count() >= PER_REPORTER_MAX;
        let farness = |slot: &Option<(AgentId, HazardDisc)>| match slot {
            None => f64::INFINITY,
            Some((_, known)) => gap(known, here),
        };
        let candidates = self.table.iter_mut().filter(|slot| !crowded || of_reporter(slot));
        let farthest = candidates.max_by(|a, b| farness(a).total_cmp(&farness(b)));
        if let Some(slot) = farthest.filter(|slot| farness(slot) > gap(&disc, here)) {
            *slot = entry;
        }
    }

    fn discs(&self) -> StraightHazards {
        let mut discs = [None; HAZARDS_MAX];
        for (disc, (_, known)) in discs.iter_mut().zip(self.table.iter().flatten()) {
            *disc = Some(*known);
        }
        discs
    }
}

/// The agent's picture with the hazards that it may not have seen yet. When there are more than fit, the nearest stay.
#[must_use]
pub fn with_straight_hazards(
    now: MonoTime,
    agents: &Surroundings,
    straight: &StraightHazards,
    here: Point,
) -> Surroundings {
    let mut merged = *agents;
    for disc in straight.iter().flatten().filter(|disc| disc.valid_until > now) {
        if merged.hazards.iter().flatten().any(|known| is_same_place(known, disc)) {
            continue;
        }
        let farness = |slot: &Option<HazardDisc>| slot.as_ref().map_or(f64::INFINITY, |known| gap(known, here));
        let farthest = merged.hazards.iter_mut().max_by(|a, b| farness(a).total_cmp(&farness(b)));
        if let Some(slot) = farthest.filter(|slot| farness(slot) > gap(disc, here)) {
            *slot = Some(*disc);
        }
    }
    pack(&mut merged.hazards);
    merged
}

/// `None` after the last, as the type promises.
fn pack(hazards: &mut StraightHazards) {
    let mut kept = [None; HAZARDS_MAX];
    for (slot, hazard) in kept.iter_mut().zip(hazards.iter().flatten()) {
        *slot = Some(*hazard);
    }
    *hazards = kept;
}

/// From here to its edge, metres; negative inside.
fn gap(disc: &HazardDisc, here: Point) -> f64 {
    disc.position.distance(here) - disc.radius.get()
}

fn is_same_place(a: &HazardDisc, b: &HazardDisc) -> bool {
    a.position == b.position && a.radius == b.radius
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::geometry::Pose;
    use uuid::Uuid;

    const NOW: MonoTime = MonoTime::from_millis(1_000);
    const HERE: Point = Point::new(0.0, 0.0);

    fn name(number: usize) -> AgentId {
        AgentId::new(format!("rover-{number}")).unwrap()
    }

    fn hazard(by: usize, x: f64, millis: u64) -> Hazard {
        Hazard {
            reporter: name(by),
            boot: BootId(Uuid::nil()),
            sequence: 1,
            kind: HazardKind::Cliff,
            position: Point::new(x, 0.0),
            radius: Meters(0.3),
            time_to_live: Duration::from_millis(millis),
            age: Duration::ZERO,
            seen_at: WallTime::default(),
        }
    }

    fn places(hazards: &StraightHazards) -> Vec<f64> {
        hazards.iter().flatten().map(|disc| disc.position.x).collect()
    }

    #[test]
    fn a_hazard_counts_until_it_expires() {
        let straight = HazardSlots::default().put(NOW, HERE, &hazard(2, 1.0, 300));
        let at = |millis| {
            let merged =
                with_straight_hazards(NOW + Duration::from_millis(millis), &Surroundings::empty(), &straight, HERE);
            places(&merged.hazards)
        };
        assert_eq!((at(0), at(299), at(300)), (vec![1.0], vec![1.0], vec![]));
    }

    #[test]
    fn a_hazard_that_was_long_on_its_way_counts_for_less() {
        let late = Hazard { age: Duration::from_millis(900), ..hazard(2, 1.0, 1_000) };
        let straight = HazardSlots::default().put(NOW, HERE, &late);
        assert_eq!(straight[0].unwrap().valid_until, NOW + Duration::from_millis(100));
        let too_late = Hazard { age: Duration::from_millis(1_000), ..hazard(2, 1.0, 1_000) };
        assert_eq!(places(&HazardSlots::default().put(NOW, HERE, &too_late)), Vec::<f64>::new());
    }

    #[test]
    fn a_flood_of_far_hazards_does_not_push_out_the_near_one() {
        let mut slots = HazardSlots::default();
        slots.put(NOW, HERE, &hazard(1, 1.0, 400));
        for i in 0..500 {
            slots.put(NOW, HERE, &hazard(2 + i % 7, 50.0 + i as f64, 10_000));
        }
        let straight = slots.put(NOW, HERE, &hazard(1, 2.0, 400));
        assert!(places(&straight).contains(&1.0) && places(&straight).contains(&2.0), "{straight:?}");
    }

    #[test]
    fn one_reporter_does_not_fill_all_slots_however_near() {
        let mut slots = HazardSlots::default();
        for i in 0..100 {
            slots.put(NOW, HERE, &hazard(9, 0.5 + 0.001 * f64::from(i), 10_000));
        }
        slots.put(NOW, HERE, &hazard(1, 3.0, 400));
        let straight = slots.put(NOW, HERE, &hazard(2, 4.0, 400));
        assert_eq!(straight.iter().flatten().count(), PER_REPORTER_MAX + 2);
        assert!(places(&straight).contains(&3.0) && places(&straight).contains(&4.0));
    }

    #[test]
    fn the_nearest_stay_when_there_are_more_than_fit_and_there_is_no_gap() {
        let disc =
            |x: f64| HazardDisc { position: Point::new(x, 0.0), radius: Meters(0.3), valid_until: MonoTime::MAX };
        let mut agents = Surroundings::empty();
        for (i, slot) in agents.hazards.iter_mut().enumerate() {
            *slot = Some(disc(2.0 + i as f64));
        }
        let mut straight = [None; HAZARDS_MAX];
        straight[3] = Some(disc(1.0));
        straight[4] = Some(disc(99.0));
        straight[5] = Some(disc(2.0));
        let seen = places(&with_straight_hazards(NOW, &agents, &straight, HERE).hazards);
        assert!(seen.contains(&1.0) && !seen.contains(&99.0) && !seen.contains(&17.0), "{seen:?}");
        assert_eq!(seen.iter().filter(|x| **x == 2.0).count(), 1);
        let alone = with_straight_hazards(NOW, &Surroundings::empty(), &straight, HERE);
        assert!(alone.hazards[..3].iter().all(Option::is_some) && alone.hazards[3].is_none());
    }

    fn frame(at: MonoTime, cliff: [bool; 4]) -> SensorFrame {
        let pose = Pose::new(2.0, 1.0, core::f64::consts::FRAC_PI_2);
        let estimate = PoseEstimate { pose, position_std: Meters(0.02), at, ..PoseEstimate::default() };
        SensorFrame { at, estimate, cliff, ..SensorFrame::unknown(Meters(10.0)) }
    }

    #[test]
    fn a_drop_off_is_reported_in_its_tick_at_its_place_and_then_once_a_second() {
        let mut sensor = HazardSensor::default();
        let front = [true, false, false, false];
        let mut reported = 0;
        for tick in 0..250 {
            let now = NOW + Duration::from_millis(10 * tick);
            let found = sensor.sense(now, &frame(now, front), Meters(0.25));
            if let Some(hazard) = found[0] {
                assert!(hazard.position.distance(Point::new(2.0, 1.25)) < 1e-9, "{hazard:?}");
                assert!(tick % 100 == 0 && hazard.at == now);
                reported += 1;
            }
        }
        assert_eq!(reported, 3);
    }

    #[test]
    fn a_robot_that_does_not_know_where_it_is_places_no_danger() {
        let mut sensor = HazardSensor::default();
        let later = NOW + Duration::from_secs(1);
        assert_eq!(sensor.sense(later, &frame(NOW, [true; 4]), Meters(0.25)), [None; 4]);
        assert_eq!(sensor.sense(later, &frame(later, [true; 4]), Meters(0.25)).iter().flatten().count(), 4);
    }

    #[test]
    fn the_lane_and_the_shared_map_have_one_notion_of_the_same_place() {
        let near = HAZARD_SAME_PLACE.get() - 0.001;
        for (apart, messages) in [(near, 1), (HAZARD_SAME_PLACE.get(), 2)] {
            let mut sender = HazardSender::new(name(1), BootId(Uuid::nil()));
            sender.on_reported(NOW, hazard(1, 0.0, 900));
            sender.on_reported(NOW, hazard(1, apart, 900));
            assert_eq!(std::iter::from_fn(|| sender.next(NOW)).count(), messages, "{apart} m");
        }
    }

    #[test]
    fn the_lane_is_bounded_numbers_rise_and_ages_are_those_of_the_sending() {
        let mut sender = HazardSender::new(name(1), BootId(Uuid::nil()));
        for i in 0..40 {
            sender.on_reported(NOW, Hazard { age: Duration::from_millis(5), ..hazard(7, f64::from(i), 900) });
        }
        assert_eq!(sender.dropped(), 40 - LANE_MAX as u64);
        let sent: Vec<Hazard> = std::iter::from_fn(|| sender.next(NOW + Duration::from_millis(10))).collect();
        assert!(sent.iter().all(|hazard| hazard.reporter == name(1) && hazard.age == Duration::from_millis(15)));
        assert!(sent.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    }

    #[test]
    fn what_the_tick_has_sent_the_agent_does_not_send_again() {
        let mut sender = HazardSender::new(name(1), BootId(Uuid::nil()));
        let (kind, position) = (HazardKind::Cliff, Point::new(1.0, 0.0));
        sender.on_sensed(NOW, WallTime::default(), &SensedHazard { kind, position, radius: Meters(0.2), at: NOW });
        sender.on_reported(NOW + Duration::from_millis(40), hazard(1, 1.0, 900));
        assert!(sender.next(NOW).is_some() && sender.next(NOW).is_none());
    }
}
