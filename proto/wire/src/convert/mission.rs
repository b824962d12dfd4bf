//! What a commander wants, and how far it has come.

use core::time::Duration;

use skein_types::ids::{AgentId, Generation, MissionId};
use skein_types::mission::{
    Assignment, Mission, MissionSpec, MissionState, Objective, Preview, PreviewSlice, Priority, Slice, SliceProgress,
    SliceState, Task, Verdict, VerdictLevel,
};
use skein_types::time::WallTime;
use skein_types::units::{Meters, Percent, Seconds};

use crate::bounds::{PREVIEW_PATH_MAX, ROBOTS_MAX, VERDICTS_MAX};
use crate::error::{At, Fault, WireError};
use crate::read::{
    cut, finite, list, names, nanos, nested, nested_option, not_negative, one_of, points, same_variants, text, uuid, xy,
};
use crate::v1;

same_variants!(v1::Objective, Objective: Survey, Search, Patrol, Deliver, Guard);
same_variants!(
    v1::MissionState, MissionState: Draft, Queued, Assigned, Running, Paused, Done, Failed, Cancelled
);
same_variants!(
    v1::SliceState, SliceState: Accepted, MovingToStart, Executing, Paused, Done, Failed, Cancelled
);
same_variants!(v1::VerdictLevel, VerdictLevel: Info, Warning, Error);

impl TryFrom<v1::MissionSpec> for MissionSpec {
    type Error = WireError;
    fn try_from(wire: v1::MissionSpec) -> Result<Self, WireError> {
        Ok(Self {
            name: text(wire.name).at("name")?,
            objective: one_of::<v1::Objective, _>(wire.objective).at("objective")?,
            zone: nested(wire.zone, "zone")?,
            priority: Priority::new(wire.priority).at("priority")?,
            robots: names(wire.robots, ROBOTS_MAX, "robots")?,
            return_home: wire.return_home,
        })
    }
}

impl From<MissionSpec> for v1::MissionSpec {
    fn from(spec: MissionSpec) -> Self {
        Self {
            name: cut(spec.name),
            objective: v1::Objective::from(spec.objective).into(),
            zone: Some(spec.zone.into()),
            priority: spec.priority.get().into(),
            robots: spec.robots.into_iter().map(String::from).collect(),
            return_home: spec.return_home,
        }
    }
}

impl TryFrom<v1::Task> for Task {
    type Error = WireError;
    fn try_from(wire: v1::Task) -> Result<Self, WireError> {
        match wire.kind.ok_or(Fault::Missing).at("kind")? {
            v1::task::Kind::Survey(survey) => {
                nested(survey.region, "survey.region").map(|region| Self::Survey { region })
            }
            v1::task::Kind::GoTo(go) => {
                let goal = nested(go.goal, "go_to.goal")?;
                Ok(Self::GoTo { goal, hold: go.hold_nanos.map(Duration::from_nanos) })
            }
            v1::task::Kind::GoHome(v1::GoHomeTask {}) => Ok(Self::Return),
            v1::task::Kind::Charge(v1::ChargeTask {}) => Ok(Self::Charge),
        }
    }
}

impl From<Task> for v1::Task {
    fn from(task: Task) -> Self {
        let kind = match task {
            Task::Survey { region } => v1::task::Kind::Survey(v1::SurveyTask { region: Some(region.into()) }),
            Task::GoTo { goal, hold } => {
                v1::task::Kind::GoTo(v1::GoToTask { goal: Some(goal.into()), hold_nanos: hold.map(nanos) })
            }
            Task::Return => v1::task::Kind::GoHome(v1::GoHomeTask {}),
            Task::Charge => v1::task::Kind::Charge(v1::ChargeTask {}),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = WireError;
    fn try_from(wire: v1::Assignment) -> Result<Self, WireError> {
        Ok(Self {
            mission: MissionId(uuid(&wire.mission).at("mission")?),
            generation: Generation(wire.generation),
            task: nested(wire.task, "task")?,
            priority: Priority::new(wire.priority).at("priority")?,
            return_home: wire.return_home,
        })
    }
}

impl From<Assignment> for v1::Assignment {
    fn from(assignment: Assignment) -> Self {
        Self {
            mission: assignment.mission.to_string(),
            generation: assignment.generation.0,
            task: Some(assignment.task.into()),
            priority: assignment.priority.get().into(),
            return_home: assignment.return_home,
        }
    }
}

impl TryFrom<v1::MissionProgress> for SliceProgress {
    type Error = WireError;
    fn try_from(wire: v1::MissionProgress) -> Result<Self, WireError> {
        Ok(Self {
            mission: MissionId(uuid(&wire.mission).at("mission")?),
            generation: Generation(wire.generation),
            state: one_of::<v1::SliceState, _>(wire.state).at("state")?,
            reason: text(wire.reason).at("reason")?,
            covered: Percent(finite(wire.covered_percent).at("covered_percent")?),
            remaining: nested_option(wire.remaining, "remaining")?,
            eta: wire.eta_seconds.map(finite).transpose().at("eta_seconds")?.map(Seconds),
        })
    }
}

impl From<SliceProgress> for v1::MissionProgress {
    fn from(progress: SliceProgress) -> Self {
        Self {
            mission: progress.mission.to_string(),
            generation: progress.generation.0,
            state: v1::SliceState::from(progress.state).into(),
            reason: cut(progress.reason),
            covered_percent: progress.covered.0,
            remaining: progress.remaining.map(Into::into),
            eta_seconds: progress.eta.map(Seconds::get),
        }
    }
}

impl TryFrom<v1::Slice> for Slice {
    type Error = WireError;
    fn try_from(wire: v1::Slice) -> Result<Self, WireError> {
        Ok(Self {
            agent: AgentId::new(wire.agent).at("agent")?,
            generation: Generation(wire.generation),
            state: one_of::<v1::SliceState, _>(wire.state).at("state")?,
            reason: text(wire.reason).at("reason")?,
            area: not_negative(wire.area).at("area")?,
            covered: Percent(finite(wire.covered_percent).at("covered_percent")?),
        })
    }
}

impl From<Slice> for v1::Slice {
    fn from(slice: Slice) -> Self {
        Self {
            agent: slice.agent.into(),
            generation: slice.generation.0,
            state: v1::SliceState::from(slice.state).into(),
            reason: cut(slice.reason),
            area: slice.area,
            covered_percent: slice.covered.0,
        }
    }
}

impl TryFrom<v1::Mission> for Mission {
    type Error = WireError;
    fn try_from(wire: v1::Mission) -> Result<Self, WireError> {
        Ok(Self {
            id: MissionId(uuid(&wire.id).at("id")?),
            spec: nested(wire.spec, "spec")?,
            state: one_of::<v1::MissionState, _>(wire.state).at("state")?,
            reason: text(wire.reason).at("reason")?,
            covered: Percent(finite(wire.covered_percent).at("covered_percent")?),
            area: not_negative(wire.area).at("area")?,
            slices: list(wire.slices, ROBOTS_MAX, "slices")?,
            submitted_at: WallTime::from_unix_nanos(wire.submitted_at_unix_nanos),
            updated_at: WallTime::from_unix_nanos(wire.updated_at_unix_nanos),
        })
    }
}

impl From<Mission> for v1::Mission {
    fn from(mission: Mission) -> Self {
        Self {
            id: mission.id.to_string(),
            spec: Some(mission.spec.into()),
            state: v1::MissionState::from(mission.state).into(),
            reason: cut(mission.reason),
            covered_percent: mission.covered.0,
            area: mission.area,
            slices: mission.slices.into_iter().map(Into::into).collect(),
            submitted_at_unix_nanos: mission.submitted_at.unix_nanos(),
            updated_at_unix_nanos: mission.updated_at.unix_nanos(),
        }
    }
}

impl TryFrom<v1::Preview> for Preview {
    type Error = WireError;
    fn try_from(wire: v1::Preview) -> Result<Self, WireError> {
        Ok(Self {
            area: not_negative(wire.area).at("area")?,
            unreachable_area: not_negative(wire.unreachable_area).at("unreachable_area")?,
            slices: list(wire.slices, ROBOTS_MAX, "slices")?,
            duration: Seconds(not_negative(wire.duration_seconds).at("duration_seconds")?),
            verdicts: list(wire.verdicts, VERDICTS_MAX, "verdicts")?,
        })
    }
}

impl From<Preview> for v1::Preview {
    fn from(preview: Preview) -> Self {
        Self {
            area: preview.area,
            unreachable_area: preview.unreachable_area,
            slices: preview.slices.into_iter().map(Into::into).collect(),
            duration_seconds: preview.duration.0,
            verdicts: preview.verdicts.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::PreviewSlice> for PreviewSlice {
    type Error = WireError;
    fn try_from(wire: v1::PreviewSlice) -> Result<Self, WireError> {
        Ok(Self {
            agent: AgentId::new(wire.agent).at("agent")?,
            region: nested(wire.region, "region")?,
            path: points(&wire.path_xy, PREVIEW_PATH_MAX, "path_xy")?,
            distance: Meters(not_negative(wire.distance).at("distance")?),
            duration: Seconds(not_negative(wire.duration_seconds).at("duration_seconds")?),
            energy: Percent(finite(wire.energy_percent).at("energy_percent")?),
            reason: text(wire.reason).at("reason")?,
        })
    }
}

impl From<PreviewSlice> for v1::PreviewSlice {
    fn from(slice: PreviewSlice) -> Self {
        Self {
            agent: slice.agent.into(),
            region: Some(slice.region.into()),
            path_xy: xy(&slice.path),
            distance: slice.distance.0,
            duration_seconds: slice.duration.0,
            energy_percent: slice.energy.0,
            reason: cut(slice.reason),
        }
    }
}

impl TryFrom<v1::Verdict> for Verdict {
    type Error = WireError;
    fn try_from(wire: v1::Verdict) -> Result<Self, WireError> {
        Ok(Self {
            level: one_of::<v1::VerdictLevel, _>(wire.level).at("level")?,
            code: text(wire.code).at("code")?,
            text: text(wire.text).at("text")?,
        })
    }
}

impl From<Verdict> for v1::Verdict {
    fn from(verdict: Verdict) -> Self {
        Self { level: v1::VerdictLevel::from(verdict.level).into(), code: cut(verdict.code), text: cut(verdict.text) }
    }
}
