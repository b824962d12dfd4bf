//! One mission: its state, its cells, and when it must be recorded.
//!
//! ```text
//!            +-------------------------- pause / resume --------------------------+
//!            v                                                                    v
//! DRAFT -> QUEUED -> ASSIGNED -> RUNNING ----> DONE                             PAUSED
//!            |  ^        |          |--------> FAILED  <--------------------------|
//!            |  +--------+          +--------> CANCELLED <------------------------+
//!            +--------------------------------> CANCELLED, FAILED
//! ```

use core::time::Duration;
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{
    Mission as MissionView, MissionSpec, MissionState, Objective, Slice as SliceView, SliceState,
};
use skein_types::region::{Region, RegionError};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Percent;

use crate::area::{MissionArea, Slice};
use crate::record::{MissionRecord, SliceRecord};

/// Progress alone is recorded this often; an earlier state only means that a few cells are swept again.
const PROGRESS_PERIOD: Duration = Duration::from_secs(5);

/// What an operator wants, the split of its area, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct Mission {
    id: MissionId,
    key: String,
    spec: MissionSpec,
    state: MissionState,
    paused_from: Option<MissionState>,
    reason: String,
    submitted_at: WallTime,
    updated_at: WallTime,
    area: MissionArea,
    /// Places to hold that no robot holds.
    posts: Vec<Point>,
    /// How often residual cells were given out again.
    retried: u32,
    /// How often a free robot took work from another.
    rebalanced: u32,
    /// When cells were last offered to robots.
    allocated_at: MonoTime,
    /// When anything was last achieved, or a robot was last given something to achieve.
    moved_at: MonoTime,
    /// Of the view of the fleet when it last changed.
    revision: u64,
    recording: Recording,
}

/// Whether the mission must be recorded before the next command leaves.
#[derive(Clone, Copy, Debug)]
struct Recording {
    due: bool,
    progressed: bool,
    recorded_at: MonoTime,
}

/// A mission as it comes in.
pub(crate) struct NewMission {
    pub(crate) id: MissionId,
    pub(crate) key: String,
    pub(crate) spec: MissionSpec,
    pub(crate) area: Region,
    /// An empty region of the same frame.
    pub(crate) nothing: Region,
}

impl Mission {
    /// An accepted mission that waits for robots.
    pub(crate) fn new(new: NewMission, now: MonoTime, wall: WallTime) -> Self {
        Self {
            id: new.id,
            key: new.key,
            spec: new.spec,
            state: MissionState::Draft,
            paused_from: None,
            reason: String::new(),
            submitted_at: wall,
            updated_at: wall,
            area: MissionArea::new(new.area, new.nothing),
            posts: Vec::new(),
            retried: 0,
            rebalanced: 0,
            allocated_at: now,
            moved_at: now,
            revision: 0,
            recording: Recording { due: true, progressed: false, recorded_at: now },
        }
    }

    pub(crate) const fn id(&self) -> MissionId {
        self.id
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) const fn spec(&self) -> &MissionSpec {
        &self.spec
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

    pub(crate) const fn area(&self) -> &MissionArea {
        &self.area
    }

    pub(crate) fn posts(&self) -> &[Point] {
        &self.posts
    }

    pub(crate) const fn retried(&self) -> u32 {
        self.retried
    }

    pub(crate) const fn rebalanced(&self) -> u32 {
        self.rebalanced
    }

    pub(crate) const fn allocated_at(&self) -> MonoTime {
        self.allocated_at
    }

    pub(crate) const fn moved_at(&self) -> MonoTime {
        self.moved_at
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) const fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// The robot may take part.
    pub(crate) fn admits(&self, agent: &AgentId) -> bool {
        self.spec.robots.is_empty() || self.spec.robots.contains(agent)
    }

    pub(crate) const fn is_guard(&self) -> bool {
        matches!(self.spec.objective, Objective::Guard)
    }

    /// Robots may be given work for it.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.state, MissionState::Assigned | MissionState::Running)
    }

    /// The only transition between states. `false` when the diagram has no such arrow; then nothing changed.
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
        self.recording.due = true;
    }

    /// Share of the area that was swept, 0 to 1; of a guard, share of the posts that are held.
    pub(crate) fn covered(&self) -> f64 {
        if !self.is_guard() {
            return self.area.covered();
        }
        let held = |slice: &&Slice| matches!(slice.state, SliceState::Executing | SliceState::Done);
        let posts = self.posts.len() + self.area.slices().len();
        self.area.slices().values().filter(held).count() as f64 / posts.max(1) as f64
    }

    /// Its cells were computed anew because it is about to be split.
    pub(crate) fn reset_area(&mut self, area: Region) {
        self.area.reset(area);
    }

    /// A guard holds these places and sweeps nothing.
    pub(crate) fn set_posts(&mut self, posts: Vec<Point>) -> Result<(), RegionError> {
        self.posts = posts;
        self.area.disclaim_unowned()
    }

    /// Places that found no robot.
    pub(crate) fn keep_open_posts(&mut self, posts: Vec<Point>) {
        self.posts = posts;
    }

    /// A robot is given a slice in place of the one it has.
    pub(crate) fn assign(&mut self, agent: &AgentId, slice: Slice, now: MonoTime) -> Result<(), RegionError> {
        self.area.assign(agent, slice)?;
        self.recording.due = true;
        self.moved_at = now;
        self.allocated_at = now;
        Ok(())
    }

    /// A robot's slice becomes unowned; its post is open again.
    pub(crate) fn reclaim(&mut self, agent: &AgentId, reason: &str) -> Result<(), RegionError> {
        let post = self.area.reclaim(agent, reason)?;
        self.posts.extend(post);
        self.recording.due = true;
        Ok(())
    }

    /// Residual cells are given out again, once more.
    pub(crate) fn retry_residual(&mut self) -> Result<(), RegionError> {
        self.retried += 1;
        self.recording.due = true;
        self.area.reopen_residual()
    }

    pub(crate) const fn note_rebalance(&mut self) {
        self.rebalanced += 1;
    }

    pub(crate) const fn note_allocation(&mut self, now: MonoTime) {
        self.allocated_at = now;
    }

    /// The robot reports what is left of its slice.
    pub(crate) fn shrink(&mut self, agent: &AgentId, left: &Region, now: MonoTime) -> Result<(), RegionError> {
        if self.area.shrink(agent, left)? > 0 {
            self.recording.progressed = true;
            self.moved_at = now;
            if let Some(slice) = self.area.slice_mut(agent) {
                slice.moved_at = now;
            }
        }
        Ok(())
    }

    /// The robot reports the state of its open slice. `true` when it changed.
    pub(crate) fn report_slice(&mut self, agent: &AgentId, state: SliceState, reason: String, now: MonoTime) -> bool {
        let Some(slice) = self.area.slice_mut(agent) else { return false };
        if !reason.is_empty() {
            slice.reason = reason;
        }
        if slice.state == state {
            return false;
        }
        slice.state = state;
        slice.moved_at = now;
        self.moved_at = now;
        self.recording.due = true;
        true
    }

    /// An open slice ends although its robot did not say so.
    pub(crate) fn end_slice(&mut self, agent: &AgentId, state: SliceState, reason: &str) {
        if let Some(slice) = self.area.slice_mut(agent) {
            slice.state = state;
            reason.clone_into(&mut slice.reason);
            self.recording.due = true;
        }
    }

    /// After a pause no slice counts as stuck.
    pub(crate) fn restart_timers(&mut self, now: MonoTime) {
        self.moved_at = now;
        self.area.slices_mut().for_each(|slice| slice.moved_at = now);
    }

    /// Its record, when one is due: state changes at once, progress alone every [`PROGRESS_PERIOD`].
    pub(crate) fn take_record(&mut self, now: MonoTime) -> Option<MissionRecord> {
        let recording = &mut self.recording;
        let progress_due = recording.progressed && now.since(recording.recorded_at) >= PROGRESS_PERIOD;
        if !recording.due && !progress_due {
            return None;
        }
        *recording = Recording { due: false, progressed: false, recorded_at: now };
        Some(self.record())
    }

    /// As people see it.
    pub(crate) fn view(&self) -> MissionView {
        let former = self.area.former().iter().map(|(agent, slice)| slice_view(agent, slice, slice.left_area));
        let slices = self.area.slices().iter().map(|(agent, slice)| slice_view(agent, slice, slice.remaining.area()));
        MissionView {
            id: self.id,
            spec: self.spec.clone(),
            state: self.state,
            reason: self.reason.clone(),
            covered: Percent(100.0 * self.covered()),
            area: self.area.area().area(),
            slices: former.chain(slices).collect(),
            submitted_at: self.submitted_at,
            updated_at: self.updated_at,
        }
    }

    /// What a restarted supervisor needs of it.
    fn record(&self) -> MissionRecord {
        let former = self.area.former().iter().map(|(agent, slice)| slice_record(agent, slice, true));
        let slices = self.area.slices().iter().map(|(agent, slice)| slice_record(agent, slice, false));
        MissionRecord {
            id: self.id,
            key: self.key.clone(),
            spec: self.spec.clone(),
            state: self.state,
            paused_from: self.paused_from,
            reason: self.reason.clone(),
            area: self.area.area().clone(),
            unowned: self.area.unowned().clone(),
            residual: self.area.residual().clone(),
            posts: self.posts.clone(),
            slices: former.chain(slices).collect(),
            retried: self.retried,
            submitted_at: self.submitted_at,
            updated_at: self.updated_at,
        }
    }

    /// As it was recorded before a restart.
    pub(crate) fn restored(record: MissionRecord, now: MonoTime) -> Self {
        let (former, slices): (Vec<SliceRecord>, Vec<SliceRecord>) =
            record.slices.into_iter().partition(|slice| slice.former);
        let restore = |records: Vec<SliceRecord>| records.into_iter().map(move |record| restored_slice(record, now));
        Self {
            id: record.id,
            key: record.key,
            spec: record.spec,
            state: record.state,
            paused_from: record.paused_from,
            reason: record.reason,
            submitted_at: record.submitted_at,
            updated_at: record.updated_at,
            area: MissionArea::restored(
                record.area,
                record.unowned,
                record.residual,
                restore(slices).collect(),
                restore(former).collect(),
            ),
            posts: record.posts,
            retried: record.retried,
            rebalanced: 0,
            allocated_at: now,
            moved_at: now,
            revision: 0,
            recording: Recording { due: false, progressed: false, recorded_at: now },
        }
    }
}

/// The arrows of the diagram.
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

fn slice_view(agent: &AgentId, slice: &Slice, left: f64) -> SliceView {
    let covered = if slice.given_area > 0.0 { 100.0 * (1.0 - left / slice.given_area) } else { 0.0 };
    let covered = if slice.state == SliceState::Done && slice.post.is_some() { 100.0 } else { covered };
    SliceView {
        agent: agent.clone(),
        generation: slice.generation,
        state: slice.state,
        reason: slice.reason.clone(),
        area: slice.given_area,
        covered: Percent(covered.clamp(0.0, 100.0)),
    }
}

fn slice_record(agent: &AgentId, slice: &Slice, former: bool) -> SliceRecord {
    SliceRecord {
        agent: agent.clone(),
        generation: slice.generation,
        state: slice.state,
        reason: slice.reason.clone(),
        given_area: slice.given_area,
        remaining: slice.remaining.clone(),
        left_area: slice.left_area,
        post: slice.post,
        former,
    }
}

fn restored_slice(record: SliceRecord, now: MonoTime) -> (AgentId, Slice) {
    let slice = Slice {
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
    (record.agent, slice)
}
