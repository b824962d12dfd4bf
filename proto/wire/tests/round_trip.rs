//! What goes out comes in the same: every message, with values drawn over its whole range.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use core::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use prost::Message;
use skein_types::authority::Epoch;
use skein_types::coord::{INTENT_PATH_MAX, Intent};
use skein_types::geometry::Point;
use skein_types::ids::CommandId;
use skein_types::mission::TEXT_BYTES_MAX;
use skein_types::telemetry::TelemetryBatch;
use skein_types::time::WallTime;
use skein_wire::{Kept, Wire, WireError, bounds, request, v1};

fn same<M, D>(value: D) -> Result<(), TestCaseError>
where
    M: Message + Default + From<D>,
    D: TryFrom<M, Error = WireError> + Clone + PartialEq + Debug,
{
    let bytes = M::from(value.clone()).encode_to_vec();
    let again = D::try_from(M::decode(bytes.as_slice()).unwrap());
    prop_assert_eq!(again, Ok(value));
    Ok(())
}

fn wire_same<D: Wire + Clone + PartialEq + Debug>(value: D) -> Result<(), TestCaseError> {
    prop_assert_eq!(D::from_bytes(&value.clone().to_bytes()), Ok(value));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_a_robot_reports_comes_in_as_it_went_out(report in support::report()) {
        wire_same(report)?;
    }

    #[test]
    fn what_a_robot_is_told_comes_in_as_it_went_out(command in support::command()) {
        wire_same(command)?;
    }

    #[test]
    fn what_robots_say_to_each_other_comes_in_as_it_went_out(intent in support::intent(), hazard in support::hazard()) {
        wire_same(intent)?;
        wire_same(hazard)?;
    }

    #[test]
    fn missions_come_in_as_they_went_out(mission in support::mission(), preview in support::preview()) {
        wire_same(mission.clone())?;
        wire_same(mission.spec.clone())?;
        wire_same(preview.clone())?;
        same::<v1::PreviewMissionResponse, _>(preview)?;
        same::<v1::GetMissionResponse, _>(mission.clone())?;
        same::<v1::ListMissionsResponse, _>(request::Missions(vec![mission.clone()]))?;
        same::<v1::SubmitMissionRequest, _>(request::Submit { spec: mission.spec, key: "k".into() })?;
    }

    #[test]
    fn the_fleet_comes_in_as_it_went_out(fleet in support::fleet()) {
        wire_same(fleet.clone())?;
        same::<v1::StateAtResponse, _>(fleet.clone())?;
        same::<v1::ListRobotsResponse, _>(request::Robots(fleet.robots))?;
    }

    #[test]
    fn requests_come_in_as_they_went_out(
        targets in support::targets(), reason in support::text(), robot in support::agent(),
        lease in support::lease(), ttl in support::span(), filter in support::filter(),
        (request_id, epoch, at) in (proptest::option::of(support::uuid()), any::<u64>(), 1..i64::MAX),
    ) {
        let (id, at) = (request_id.map(CommandId), Some(WallTime::from_unix_nanos(at)));
        same::<v1::StopRequest, _>(request::StopOrder { targets: targets.clone(), reason: reason.clone(), request: id, at })?;
        let epochs = vec![(None, Epoch(epoch)), (Some(robot.clone()), Epoch(epoch))];
        same::<v1::ReleaseRequest, _>(request::ReleaseOrder { targets, reason: reason.clone(), request: id, epochs })?;
        same::<v1::KillRequest, _>(request::KillOrder { robot, reason: format!("x{reason}"), request: id, at })?;
        let take = request::TakeLease { operator: lease.operator.clone(), robots: lease.robots.clone(), time_to_live: ttl };
        same::<v1::TakeLeaseRequest, _>(take)?;
        let held = request::HeldLease {
            operator: lease.operator.clone(),
            robots: lease.robots.clone(),
            expires_at: lease.expires_at,
        };
        same::<v1::ListLeasesResponse, _>(request::Leases(vec![held]))?;
        same::<v1::RenewLeaseRequest, _>(request::RenewLease { id: lease.id, time_to_live: ttl })?;
        same::<v1::TakeLeaseResponse, _>(lease)?;
        same::<v1::EventFilter, _>(filter)?;
    }

    #[test]
    fn answers_come_in_as_they_went_out(
        outcome in support::outcome(), why in support::explanation(), events in support::events(),
    ) {
        same::<v1::StopResponse, _>(request::StopOutcomes(vec![outcome.clone()]))?;
        same::<v1::ReleaseResponse, _>(request::ReleaseOutcomes(vec![outcome.clone()]))?;
        same::<v1::KillResponse, _>(outcome)?;
        same::<v1::WhyResponse, _>(why)?;
        same::<v1::QueryEventsResponse, _>(request::EventPage { events: events.events, next_page_token: "n".into() })?;
    }

    #[test]
    fn latches_come_in_as_they_went_out(
        request in support::latch_request(), latches in support::latches(), gossip in support::gossip(),
    ) {
        wire_same(request)?;
        wire_same(latches)?;
        wire_same(gossip)?;
    }

    #[test]
    fn an_event_keeps_its_hash_over_the_wire(event in support::event()) {
        let hash = event.hash();
        let again = skein_types::event::Event::from_bytes(&event.to_bytes()).unwrap();
        prop_assert_eq!(again.hash(), hash);
    }

    #[test]
    fn a_sample_as_a_robot_sends_it_ten_times_is_small(sample in support::telemetry()) {
        let mut sample = sample;
        sample.why = "survey slice 3 of 6: sweeping the fourth aisle".into();
        let alone = sample.clone().to_bytes().len();
        let ten = TelemetryBatch { samples: vec![sample; 10] }.to_bytes().len();
        prop_assert!(ten < alone + 9 * 150, "{alone} bytes alone, {ten} for ten");
    }

    #[test]
    fn fields_of_a_newer_schema_are_no_reason_to_refuse_and_stay_with_what_is_kept(intent in support::intent()) {
        let mut bytes = intent.clone().to_bytes();
        // Field 900, length-delimited, "new".
        bytes.extend([0xa2, 0x38, 0x03, b'n', b'e', b'w']);
        let kept = Kept::<Intent>::new(bytes.clone()).unwrap();
        prop_assert_eq!(kept.value(), &intent);
        prop_assert_eq!(kept.bytes(), bytes.as_slice());
    }
}

#[test]
fn what_is_too_long_to_say_is_cut_by_the_sender() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = |strategy: &dyn Fn() -> BoxedStrategy<Intent>| {
        strategy().new_tree(&mut runner).map(|tree| proptest::strategy::ValueTree::current(&tree)).unwrap()
    };
    let mut intent = draw(&|| support::intent().boxed());
    intent.path = (0..INTENT_PATH_MAX + 9).map(|i| Point::new(i as f64, 0.0)).collect();
    let heard = Intent::from_bytes(&intent.clone().to_bytes()).unwrap();
    assert_eq!(heard.path, intent.path[..INTENT_PATH_MAX]);

    let stop = request::StopOrder {
        targets: request::Targets::All,
        reason: "ä".repeat(TEXT_BYTES_MAX),
        request: None,
        at: None,
    };
    let heard = request::StopOrder::try_from(v1::StopRequest::from(stop)).unwrap();
    assert_eq!(heard.reason, "ä".repeat(TEXT_BYTES_MAX / 2));
}

#[test]
fn a_survey_of_a_warehouse_is_small_on_the_wire() {
    use skein_types::region::{Region, RegionFrame, Run};
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.1, width: 400, height: 300 };
    let runs = (0..300).flat_map(|row| [(row * 400 + 10, 170), (row * 400 + 200, 180)]);
    let region = Region::new(frame, runs.map(|(start, length)| Run { start, length }).collect()).unwrap();
    let bytes = v1::Region::from(region).encode_to_vec();
    assert!(bytes.len() < 4 * 600, "{} bytes for 600 runs", bytes.len());
}

#[test]
fn the_longest_intent_fits_the_bound_between_robots() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..50 {
        let tree = support::intent().new_tree(&mut runner).unwrap();
        let mut intent = proptest::strategy::ValueTree::current(&tree);
        intent.path = vec![Point::new(1.5, -2.5); INTENT_PATH_MAX];
        let bytes = intent.to_bytes().len();
        assert!(bytes * 4 < bounds::SWARM_MESSAGE_BYTES_MAX, "{bytes}");
    }
}
