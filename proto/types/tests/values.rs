//! Small values: names, angles, poses, times, causes and priorities.

use core::time::Duration;

use proptest::prelude::*;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, wrap_angle};
use skein_types::ids::{AgentId, NAME_BYTES_MAX, NameError};
use skein_types::mission::{MissionState, Priority, PriorityError, SliceState};
use skein_types::safety::{Cause, Causes, FailsafeLevel};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond, Seconds};

#[test]
fn names_fit_into_keys_files_and_labels_or_are_refused_with_the_reason() {
    assert_eq!(AgentId::new("rover-1").unwrap().as_str(), "rover-1");
    assert_eq!(AgentId::new(""), Err(NameError::Empty));
    assert_eq!(AgentId::new("Rover"), Err(NameError::Character('R')));
    assert_eq!(AgentId::new("-rover"), Err(NameError::Character('-')));
    assert_eq!(AgentId::new("a/b"), Err(NameError::Character('/')));
    assert_eq!(AgentId::new("*"), Err(NameError::Character('*')));
    assert_eq!(AgentId::new("a".repeat(NAME_BYTES_MAX + 1)), Err(NameError::TooLong(NAME_BYTES_MAX + 1)));
    assert!(serde_json::from_str::<AgentId>("\"no spaces\"").is_err());
}

#[test]
fn the_strictest_cause_decides_the_level() {
    assert_eq!(Causes::NONE.level(), FailsafeLevel::None);
    let causes = Causes::NONE.with(Cause::CloudLost).with(Cause::DeadMan).with(Cause::ObstacleAvoid);
    assert_eq!(causes.level(), FailsafeLevel::Hold);
    assert_eq!(causes.with(Cause::OperatorKill).level(), FailsafeLevel::Kill);
    assert_eq!(causes.iter().collect::<Vec<_>>(), [Cause::ObstacleAvoid, Cause::DeadMan, Cause::CloudLost]);
    assert_eq!(Causes::from_bits(causes.bits()), Some(causes));
    assert_eq!(Causes::from_bits(1 << 31), None);
}

#[test]
fn every_cause_has_its_own_bit_and_name() {
    for (i, a) in Cause::ALL.iter().enumerate() {
        for b in &Cause::ALL[i + 1..] {
            assert_ne!(a.name(), b.name());
            assert_ne!(Causes::NONE.with(*a), Causes::NONE.with(*b));
        }
    }
}

#[test]
fn priorities_are_one_to_ten() {
    assert_eq!(Priority::new(0), Err(PriorityError(0)));
    assert_eq!(Priority::new(11), Err(PriorityError(11)));
    assert_eq!(Priority::new(u32::MAX), Err(PriorityError(u32::MAX)));
    assert_eq!(Priority::new(10).unwrap().get(), 10);
}

#[test]
fn exactly_three_states_end_a_mission_and_three_end_a_slice() {
    use MissionState as M;
    use SliceState as S;
    let missions = [M::Draft, M::Queued, M::Assigned, M::Running, M::Paused, M::Done, M::Failed, M::Cancelled];
    let ended: Vec<_> = missions.into_iter().filter(|state| state.is_terminal()).collect();
    assert_eq!(ended, [M::Done, M::Failed, M::Cancelled]);
    let slices = [S::Accepted, S::MovingToStart, S::Executing, S::Paused, S::Done, S::Failed, S::Cancelled];
    let ended: Vec<_> = slices.into_iter().filter(|state| state.is_terminal()).collect();
    assert_eq!(ended, [S::Done, S::Failed, S::Cancelled]);
}

#[test]
fn units_multiply_and_divide_into_the_right_unit() {
    assert_eq!(MetersPerSecond(2.0) * Seconds(3.0), Meters(6.0));
    assert_eq!(Meters(6.0) / MetersPerSecond(2.0), Seconds(3.0));
    assert_eq!(format!("{:.1}", Meters(1.25)), "1.2 m");
}

#[test]
fn time_never_runs_backwards_or_over() {
    let t = MonoTime::from_millis(5);
    assert_eq!(t.since(MonoTime::from_millis(7)), Duration::ZERO);
    assert_eq!(MonoTime::MAX + Duration::from_secs(1), MonoTime::MAX);
    assert_eq!(MonoTime::ZERO - Duration::from_secs(1), MonoTime::ZERO);
}

#[test]
fn a_body_with_a_nan_in_it_is_not_sound() {
    assert!(BodyDescriptor::rover().is_sound() && BodyDescriptor::multirotor().is_sound());
    let body = BodyDescriptor { radius: Meters(f64::NAN), ..BodyDescriptor::rover() };
    assert!(!body.is_sound());
    let body = BodyDescriptor { speed_max: MetersPerSecond(0.0), ..BodyDescriptor::rover() };
    assert!(!body.is_sound());
}

proptest! {
    #[test]
    fn a_wrapped_angle_points_the_same_way(angle in -100.0_f64..100.0) {
        let wrapped = wrap_angle(angle);
        prop_assert!(wrapped > -core::f64::consts::PI && wrapped <= core::f64::consts::PI);
        prop_assert!(Point::from_heading(angle).distance(Point::from_heading(wrapped)) < 1e-9);
    }

    #[test]
    fn into_the_body_s_frame_and_back_is_the_same_point(x in -50.0_f64..50.0, y in -50.0_f64..50.0, h in -4.0_f64..4.0, px in -50.0_f64..50.0, py in -50.0_f64..50.0) {
        let pose = Pose::new(x, y, h);
        let point = Point::new(px, py);
        prop_assert!(pose.map_from_body(pose.body_from_map(point)).distance(point) < 1e-9);
    }

    #[test]
    fn no_point_of_a_segment_is_nearer_than_the_distance_to_it(ax in -9.0_f64..9.0, ay in -9.0_f64..9.0, bx in -9.0_f64..9.0, by in -9.0_f64..9.0, px in -9.0_f64..9.0, py in -9.0_f64..9.0, t in 0.0_f64..1.0) {
        let (a, b, p) = (Point::new(ax, ay), Point::new(bx, by), Point::new(px, py));
        prop_assert!(p.distance(a.lerp(b, t)) >= p.distance_to_segment(a, b) - 1e-9);
    }
}
