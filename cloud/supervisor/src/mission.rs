//! One mission: its states, its parts and how much of it is left.
//!
//! ```text
//!            +-------------------------- pause / resume --------------------------+
//!            v                                                                    v
//! DRAFT -> QUEUED -> ASSIGNED -> RUNNING ----> DONE                             PAUSED
//!            |  ^        |          |--------> FAILED  <--------------------------|
//!            |  +--------+          +--------> CANCELLED <------------------------+
//!            +--------------------------------> CANCELLED, FAILED
//! ```
//!
//! Every square of a survey is done, belongs to exactly one part, is unowned and waits for a robot, or is left over
//! because its robot could not sweep it: `area = done + remaining of the parts + unowned + leftover`, each apart from
//! the others. What is done is never said by anyone, it is what is in none of the others.

use std::collections::BTreeMap;

use skein_types::geometry::Point;
use skein_types::ids::{AgentId, Generation, MissionId};
use skein_types::mission::{Mission as MissionView, MissionSpec, MissionState, Objective, Slice, SliceState};
use skein_types::region::{Region, RegionError};
use skein_types::time::WallTime;
use skein_types::units::Percent;

use crate::api::{At, MissionRecord, PartRecord};

/// Most former parts that are kept to be shown.
const FORMER_MAX: usize = 64;

/// One robot's part.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) generation: Generation,
    pub(crate) state: SliceState,
    pub(crate) reason: String,
    /// Squares it was given, as area, m².
    pub(crate) given_area: f64,
    /// What is still to be swept; it never grows but by a new order.
    pub(crate) remaining: Region,
    /// Of a part that was taken away: how much of it was left then, m².
    pub(crate) left_area: f64,
    /// The place to hold, of a guard.
    pub(crate) post: Option<Point>,
    /// When it last shrank or was given out.
    pub(crate) moved_at: At,
    /// When it was given out.
    pub(crate) given_at: At,
}

/// One mission.
#[derive(Clone, Debug)]
pub(crate) struct Mission {
    pub(crate) id: MissionId,
    pub(crate) key: String,
    pub(crate) spec: MissionSpec,
    state: MissionState,
    paused_from: Option<MissionState>,
    reason: String,
    /// The squares it is measured by.
    pub(crate) area: Region,
    /// Squares that nobody has.
    pub(crate) unowned: Region,
    /// Squares that a robot gave back as done although it had not swept them; tried again when all else is done.
    pub(crate) leftover: Region,
    /// Places to hold that nobody holds.
    pub(crate) posts: Vec<Point>,
    pub(crate) parts: BTreeMap<AgentId, Part>,
    /// Parts that were taken away, to be shown.
    pub(crate) former: Vec<(AgentId, Part)>,
    pub(crate) retried: u32,
    pub(crate) submitted_at: WallTime,
    pub(crate) updated_at: WallTime,
    /// Times that a free robot took work from another.
    pub(crate) shared: u32,
    /// When work last changed hands.
    pub(crate) divided_at: At,
    /// When anything was last achieved, or there was last somebody to achieve it.
    pub(crate) moved_at: At,
    /// Of the supervisor when it last changed.
    pub(crate) revision: u64,
    /// Must be kept before the next command leaves.
    pub(crate) dirty: bool,
    /// Only progress changed since it was kept.
    pub(crate) progressed: bool,
    pub(crate) saved_at: At,
}

/// A mission as it comes in.
pub(crate) struct Wanted {
    pub(crate) id: MissionId,
    pub(crate) key: String,
    pub(crate) spec: MissionSpec,
    pub(crate) area: Region,
}

impl Mission {
    /// An accepted mission that waits for robots.
    pub(crate) fn queued(wanted: Wanted, nothing: Region, now: At, wall: WallTime) -> Self {
        let Wanted { id, key, spec, area } = wanted;
        Self {
            id,
            key,
            spec,
            leftover: nothing,
            state: MissionState::Draft,
            paused_from: None,
            reason: String::new(),
            unowned: area.clone(),
            area,
            posts: Vec::new(),
            parts: BTreeMap::new(),
            former: Vec::new(),
            retried: 0,
            submitted_at: wall,
            updated_at: wall,
            shared: 0,
            divided_at: now,
            moved_at: now,
            revision: 0,
            dirty: true,
            progressed: false,
            saved_at: now,
        }
    }

    pub(crate) const fn state(&self) -> MissionState {
        self.state
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) const fn paused_from(&self) -> Option<MissionState> {
        self.paused_from
    }

    /// Robots may be given work for it.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.state, MissionState::Assigned | MissionState::Running)
    }

    /// The one way from state to state. `false` when the way does not exist; then nothing changed.
    pub(crate) fn enter(&mut self, to: MissionState, reason: &str, wall: WallTime) -> bool {
        if !leads_to(self.state, to) {
            return false;
        }
        self.paused_from = (to == MissionState::Paused).then_some(self.state);
        self.state = to;
        self.explain(reason, wall);
        true
    }

    /// A new reason for the same state.
    pub(crate) fn explain(&mut self, reason: &str, wall: WallTime) {
        self.reason.clear();
        self.reason.push_str(reason);
        self.updated_at = wall;
        self.dirty = true;
    }

    /// Parts that a robot still works on.
    pub(crate) fn open_parts(&self) -> impl Iterator<Item = (&AgentId, &Part)> {
        self.parts.iter().filter(|(_, part)| !part.state.is_terminal())
    }

    /// Squares that are not swept yet.
    pub(crate) fn left(&self) -> u64 {
        self.unowned.len() + self.leftover.len() + self.parts.values().map(|part| part.remaining.len()).sum::<u64>()
    }

    /// Share of the area that was swept, 0 to 1; of a guard, share of the posts that are held.
    pub(crate) fn covered(&self) -> f64 {
        if self.spec.objective == Objective::Guard {
            let held = |part: &&Part| matches!(part.state, SliceState::Executing | SliceState::Done);
            let posts = self.posts.len() + self.parts.len();
            return self.parts.values().filter(held).count() as f64 / posts.max(1) as f64;
        }
        let area = self.area.len();
        if area == 0 { 0.0 } else { 1.0 - self.left().min(area) as f64 / area as f64 }
    }

    /// A robot's part goes back to nobody and is only shown from now on.
    pub(crate) fn take_away(&mut self, agent: &AgentId, reason: &str) -> Result<(), RegionError> {
        let Some(part) = self.parts.get(agent) else { return Ok(()) };
        self.unowned = self.unowned.union(&part.remaining)?;
        let Some(mut part) = self.parts.remove(agent) else { return Ok(()) };
        self.posts.extend(part.post.take());
        if !part.state.is_terminal() {
            part.state = SliceState::Cancelled;
        }
        part.reason = reason.to_owned();
        self.remember(agent, part)
    }

    /// A robot that is ready with its part gets other work: what it left over waits for the others to be ready, too.
    pub(crate) fn retire(&mut self, agent: &AgentId) -> Result<(), RegionError> {
        let Some(part) = self.parts.get(agent).filter(|part| part.state.is_terminal()) else { return Ok(()) };
        self.leftover = self.leftover.union(&part.remaining)?;
        if let Some(part) = self.parts.remove(agent) {
            self.remember(agent, part)?;
        }
        Ok(())
    }

    /// What was left over is to be given out again.
    pub(crate) fn take_up_leftover(&mut self) -> Result<(), RegionError> {
        self.unowned = self.unowned.union(&self.leftover)?;
        self.leftover = self.leftover.difference(&self.leftover)?;
        self.dirty = true;
        Ok(())
    }

    /// Keeps a part to be shown; its squares are somewhere else.
    fn remember(&mut self, agent: &AgentId, mut part: Part) -> Result<(), RegionError> {
        part.left_area = part.remaining.area();
        part.remaining = part.remaining.difference(&part.remaining)?;
        if self.former.len() >= FORMER_MAX {
            self.former.remove(0);
        }
        self.former.push((agent.clone(), part));
        self.dirty = true;
        Ok(())
    }

    /// As people see it.
    pub(crate) fn view(&self) -> MissionView {
        let former = self.former.iter().map(|(agent, part)| slice(agent, part, part.left_area));
        let parts = self.parts.iter().map(|(agent, part)| slice(agent, part, part.remaining.area()));
        MissionView {
            id: self.id,
            spec: self.spec.clone(),
            state: self.state,
            reason: self.reason.clone(),
            covered: Percent(100.0 * self.covered()),
            area: self.area.area(),
            slices: former.chain(parts).collect(),
            submitted_at: self.submitted_at,
            updated_at: self.updated_at,
        }
    }

    /// What a new life of the supervisor needs of it.
    pub(crate) fn record(&self) -> MissionRecord {
        let former = self.former.iter().map(|(agent, part)| part_record(agent, part, true));
        let parts = self.parts.iter().map(|(agent, part)| part_record(agent, part, false));
        MissionRecord {
            id: self.id,
            key: self.key.clone(),
            spec: self.spec.clone(),
            state: self.state,
            paused_from: self.paused_from,
            reason: self.reason.clone(),
            area: self.area.clone(),
            unowned: self.unowned.clone(),
            leftover: self.leftover.clone(),
            posts: self.posts.clone(),
            parts: former.chain(parts).collect(),
            retried: self.retried,
            submitted_at: self.submitted_at,
            updated_at: self.updated_at,
        }
    }

    /// As an earlier life of the supervisor left it.
    pub(crate) fn restored(record: MissionRecord, now: At) -> Self {
        let (former, parts): (Vec<PartRecord>, Vec<PartRecord>) =
            record.parts.into_iter().partition(|part| part.former);
        let part = |record: PartRecord| {
            let part = Part {
                generation: record.generation,
                state: record.state,
                reason: record.reason,
                given_area: record.given_area,
                remaining: record.remaining,
                left_area: record.left_area,
                post: record.post,
                moved_at: now,
                given_at: now,
            };
            (record.agent, part)
        };
        let wanted = Wanted { id: record.id, key: record.key, spec: record.spec, area: record.area };
        Self {
            state: record.state,
            paused_from: record.paused_from,
            reason: record.reason,
            unowned: record.unowned,
            leftover: record.leftover.clone(),
            posts: record.posts,
            parts: parts.into_iter().map(part).collect(),
            former: former.into_iter().map(part).collect(),
            retried: record.retried,
            submitted_at: record.submitted_at,
            updated_at: record.updated_at,
            dirty: false,
            ..Self::queued(wanted, record.leftover, now, record.submitted_at)
        }
    }
}

/// The ways between states; the diagram above.
const fn leads_to(from: MissionState, to: MissionState) -> bool {
    use MissionState::{Assigned, Cancelled, Done, Draft, Failed, Paused, Queued, Running};
    match from {
        Draft => matches!(to, Queued),
        Queued => matches!(to, Assigned | Paused | Failed | Cancelled),
        Assigned | Running => matches!(to, Queued | Running | Paused | Done | Failed | Cancelled),
        Paused => matches!(to, Queued | Assigned | Running | Failed | Cancelled),
        Done | Failed | Cancelled => false,
    }
}

fn slice(agent: &AgentId, part: &Part, left: f64) -> Slice {
    let covered = if part.given_area > 0.0 { 100.0 * (1.0 - left / part.given_area) } else { 0.0 };
    let covered = if part.state == SliceState::Done && part.post.is_some() { 100.0 } else { covered };
    Slice {
        agent: agent.clone(),
        generation: part.generation,
        state: part.state,
        reason: part.reason.clone(),
        area: part.given_area,
        covered: Percent(covered.clamp(0.0, 100.0)),
    }
}

fn part_record(agent: &AgentId, part: &Part, former: bool) -> PartRecord {
    PartRecord {
        agent: agent.clone(),
        generation: part.generation,
        state: part.state,
        reason: part.reason.clone(),
        given_area: part.given_area,
        remaining: part.remaining.clone(),
        left_area: part.left_area,
        post: part.post,
        former,
    }
}
