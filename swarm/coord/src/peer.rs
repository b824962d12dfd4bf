//! One peer, by its last intent.

use core::time::Duration;

use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::Point;
use skein_types::ids::BootId;
use skein_types::time::{MonoTime, WallTime};

use crate::claim::Claim;
use crate::planned_path::PlannedPath;
use crate::privilege::Privilege;
use crate::sight::Sightings;
use crate::trust::Trust;

/// A peer without a message for this long is lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(1);
/// An intent whose pose is older than this is not believed: its sender does not know where it is.
pub const POSE_AGE_MAX: Duration = Duration::from_secs(1);
/// A peer whose published path is shorter than this stays where it is, metres.
const STAYS: f64 = 0.1;
/// A peer that moved less than this makes no headway, metres.
pub(crate) const HEADWAY: f64 = 0.2;
/// A position is carried forward with its velocity over at most this long, seconds.
const EXTRAPOLATE: f64 = 0.4;
/// Intents that a peer publishes in a second.
const INTENTS_PER_SECOND: f64 = 10.0;
/// Sequence numbers that a peer may be ahead of its rate.
const SEQUENCE_SLACK: f64 = 5.0;
/// No jump is believed beyond this: 20 s of intents.
const SEQUENCE_JUMP_MAX: f64 = 20.0 * INTENTS_PER_SECOND;
/// Two positions of one robot at nearly the same time are nearer than this, metres.
const SAME_ROBOT: f64 = 0.5;
/// Highest speed at which a peer surely moves, m/s.
const SPEED_MAX: f64 = 3.0;
/// A boot from farther in the future than this, by the own wall clock, is no boot, milliseconds.
const BOOT_AHEAD_MAX: u64 = 24 * 3600 * 1000;

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// Its last intent.
    pub intent: Intent,
    /// Time since the intent was received.
    pub age: Duration,
    /// Trust in its promises, 0 to 1.
    pub trust: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) intent: Intent,
    pub(crate) heard_at: MonoTime,
    /// When its pose was measured.
    pub(crate) measured_at: MonoTime,
    /// Its position and published path.
    pub(crate) path: PlannedPath,
    /// Its claim, as far as it is honoured.
    pub(crate) claim: Claim,
    pub(crate) trust: Trust,
    /// What the own lidar says of it.
    pub(crate) sightings: Sightings,
    /// Position and path by the message before, until the commitments have been checked.
    pub(crate) before: Option<PlannedPath>,
    /// When and where it last made headway.
    headway: (MonoTime, Point),
    cornered: Privilege,
    emergency: Privilege,
}

impl Peer {
    /// `before` is the same peer by the message before.
    pub(crate) fn new(now: MonoTime, intent: Intent, before: Option<&Self>) -> Self {
        let position = intent.pose.position;
        let path = PlannedPath::new(position, &intent.path);
        let claim = Claim::of(&intent, path.length() > STAYS);
        let headway = before.map_or((now, position), |peer| peer.headway);
        let headway = if headway.1.distance(position) > HEADWAY { (now, position) } else { headway };
        let mut peer = Self {
            heard_at: now,
            measured_at: now - intent.pose_age,
            path,
            claim,
            trust: before.map(|peer| peer.trust.clone()).unwrap_or_default(),
            sightings: before.map_or_else(|| Sightings::new(now), |peer| peer.sightings),
            before: before.map(|peer| peer.path.clone()),
            headway,
            cornered: before.map_or_else(Privilege::cornered, |peer| peer.cornered.clone()),
            emergency: before.map_or_else(Privilege::emergency, |peer| peer.emergency.clone()),
            intent,
        };
        peer.honour_privileges(now);
        peer
    }

    fn honour_privileges(&mut self, now: MonoTime) {
        let believed = self.trust.believed(now);
        self.claim.cornered = self.cornered.grant(now, self.intent.cornered && believed);
        let emergency = self.intent.right_of_way.emergency && believed;
        self.claim.right_of_way.emergency = self.emergency.grant(now, emergency);
    }

    /// Whether it can be asked to move.
    pub(crate) fn mobile(&self) -> bool {
        moves_by_itself(self.intent.state)
    }

    pub(crate) fn position(&self) -> Point {
        self.intent.pose.position
    }

    /// Where it was when its pose was measured, and where it should be by now.
    pub(crate) fn positions(&self, now: MonoTime) -> [Point; 2] {
        let ahead = now.secs_since(self.measured_at).min(EXTRAPOLATE);
        [self.position(), self.position() + self.intent.velocity * ahead]
    }

    /// It made headway within this span.
    pub(crate) fn underway(&self, now: MonoTime, within: Duration) -> bool {
        now.since(self.headway.0) < within
    }

    pub(crate) fn silent_at(&self) -> MonoTime {
        self.heard_at + SILENCE_MAX
    }

    /// Whether an intent is the next of the same sender: its number rises about as fast as intents are published.
    pub(crate) fn is_continued_by(&self, now: MonoTime, intent: &Intent) -> bool {
        let rise = intent.sequence.checked_sub(self.intent.sequence).filter(|rise| *rise > 0);
        let expected = 2.0 * INTENTS_PER_SECOND * now.secs_since(self.heard_at) + SEQUENCE_SLACK;
        intent.boot == self.intent.boot && rise.is_some_and(|rise| rise as f64 <= expected.min(SEQUENCE_JUMP_MAX))
    }

    /// Whether an intent is a late or repeated message of the same boot.
    pub(crate) fn is_followed_late_by(&self, intent: &Intent) -> bool {
        intent.boot == self.intent.boot && intent.sequence <= self.intent.sequence
    }

    /// Whether the robot can have been at this position about now.
    pub(crate) fn may_be_at(&self, now: MonoTime, position: Point) -> bool {
        self.position().distance(position) < SAME_ROBOT + SPEED_MAX * now.secs_since(self.heard_at)
    }
}

/// Whether a robot in this state can move for its peers.
pub(crate) fn moves_by_itself(state: AgentState) -> bool {
    match state {
        AgentState::Stopped | AgentState::Fault | AgentState::Charging => false,
        AgentState::Idle
        | AgentState::MovingToStart
        | AgentState::Executing
        | AgentState::CarryingPayload
        | AgentState::Yielding
        | AgentState::Waiting
        | AgentState::Returning => true,
    }
}

/// Whether a boot began after another, by the time in its UUIDv7. A boot from the future counts as unknown.
pub(crate) fn is_newer_boot(boot: BootId, than: BootId, wall: WallTime) -> bool {
    match (boot_millis(boot, wall), boot_millis(than, wall)) {
        (Some(boot), Some(than)) => boot > than,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn boot_millis(boot: BootId, wall: WallTime) -> Option<u64> {
    if boot.0.get_version_num() != 7 {
        return None;
    }
    let millis = u64::try_from(boot.0.as_u128() >> 80).ok()?;
    let now = u64::try_from(wall.unix_nanos() / 1_000_000).unwrap_or_default();
    (now == 0 || millis <= now.saturating_add(BOOT_AHEAD_MAX)).then_some(millis)
}
