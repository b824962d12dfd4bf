//! Strategies for missions, assignments, slices and previews.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use skein_types::ids::{Generation, MissionId};
use skein_types::mission::{
    Assignment, Mission, MissionSpec, MissionState, Objective, Preview, PreviewSlice, Priority, Slice, SliceProgress,
    SliceState, Task, Verdict, VerdictLevel,
};
use skein_types::units::{Meters, Percent, Seconds};

use super::{agent, finite, not_negative, point, polygon, region, span, text, uuid, wall};

pub(crate) fn priority() -> impl Strategy<Value = Priority> {
    (1..=10_u32).prop_map(|value| Priority::new(value).unwrap())
}

pub(crate) fn spec() -> impl Strategy<Value = MissionSpec> {
    let objective =
        select(vec![Objective::Survey, Objective::Search, Objective::Patrol, Objective::Deliver, Objective::Guard]);
    (text(), objective, polygon(), priority(), vec(agent(), 0..4), any::<bool>()).prop_map(
        |(name, objective, zone, priority, robots, return_home)| MissionSpec {
            name,
            objective,
            zone,
            priority,
            robots,
            return_home,
        },
    )
}

pub(crate) fn task() -> impl Strategy<Value = Task> {
    prop_oneof![
        region().prop_map(|region| Task::Survey { region }),
        (point(), option::of(span())).prop_map(|(goal, hold)| Task::GoTo { goal, hold }),
        Just(Task::Return),
        Just(Task::Charge),
    ]
}

pub(crate) fn assignment() -> impl Strategy<Value = Assignment> {
    (uuid(), any::<u64>(), task(), priority(), any::<bool>()).prop_map(
        |(mission, generation, task, priority, return_home)| Assignment {
            mission: MissionId(mission),
            generation: Generation(generation),
            task,
            priority,
            return_home,
        },
    )
}

pub(crate) fn slice_state() -> impl Strategy<Value = SliceState> {
    select(vec![
        SliceState::Accepted,
        SliceState::MovingToStart,
        SliceState::Executing,
        SliceState::Paused,
        SliceState::Done,
        SliceState::Failed,
        SliceState::Cancelled,
    ])
}

pub(crate) fn progress() -> impl Strategy<Value = SliceProgress> {
    (uuid(), any::<u64>(), slice_state(), text(), finite(), option::of(region()), option::of(finite())).prop_map(
        |(mission, generation, state, reason, covered, remaining, eta)| SliceProgress {
            mission: MissionId(mission),
            generation: Generation(generation),
            state,
            reason,
            covered: Percent(covered),
            remaining,
            eta: eta.map(Seconds),
        },
    )
}

fn slice() -> impl Strategy<Value = Slice> {
    (agent(), any::<u64>(), slice_state(), text(), not_negative(), finite()).prop_map(
        |(agent, generation, state, reason, area, covered)| Slice {
            agent,
            generation: Generation(generation),
            state,
            reason,
            area,
            covered: Percent(covered),
        },
    )
}

pub(crate) fn mission() -> impl Strategy<Value = Mission> {
    let state = select(vec![
        MissionState::Draft,
        MissionState::Queued,
        MissionState::Assigned,
        MissionState::Running,
        MissionState::Paused,
        MissionState::Done,
        MissionState::Failed,
        MissionState::Cancelled,
    ]);
    (uuid(), spec(), state, text(), finite(), not_negative(), vec(slice(), 0..4), wall(), wall()).prop_map(
        |(id, spec, state, reason, covered, area, slices, submitted_at, updated_at)| Mission {
            id: MissionId(id),
            spec,
            state,
            reason,
            covered: Percent(covered),
            area,
            slices,
            submitted_at,
            updated_at,
        },
    )
}

pub(crate) fn preview() -> impl Strategy<Value = Preview> {
    let level = select(vec![VerdictLevel::Info, VerdictLevel::Warning, VerdictLevel::Error]);
    let verdict = (level, text(), text()).prop_map(|(level, code, text)| Verdict { level, code, text });
    let slice = (agent(), region(), vec(point(), 0..20), not_negative(), not_negative(), finite(), text()).prop_map(
        |(agent, region, path, distance, duration, energy, reason)| PreviewSlice {
            agent,
            region,
            path,
            distance: Meters(distance),
            duration: Seconds(duration),
            energy: Percent(energy),
            reason,
        },
    );
    (not_negative(), not_negative(), vec(slice, 0..4), not_negative(), vec(verdict, 0..4)).prop_map(
        |(area, unreachable_area, slices, duration, verdicts)| Preview {
            area,
            unreachable_area,
            slices,
            duration: Seconds(duration),
            verdicts,
        },
    )
}
