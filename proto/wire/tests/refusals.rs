//! What is wrong is refused with the name of the field: every number, every enumeration and every needed part of every
//! message is broken in turn, found by walking the schema itself, so that a field added later is covered too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use core::fmt::Debug;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use skein_types::polygon::PolygonError;
use skein_types::region::RegionError;
use skein_wire::{DESCRIPTOR_SET, Fault, Wire, WireError, bounds, request, v1};

/// Parts that may be missing, by the end of their full name.
const MAY_BE_MISSING: [&str; 7] = [
    ".remaining",
    ".working_on",
    ".link",
    ".telemetry",
    ".LatchOrder.request",
    ".LatchReport.lease",
    ".LeaseOrder.grant",
];

/// One field of one message, from the outside in: number, and place in the list if it is one.
type Steps = Vec<(u32, Option<usize>)>;

/// One way to break a message; no value means that the field is taken out.
struct Break {
    path: String,
    steps: Steps,
    value: Option<Value>,
}

fn dynamic(name: &str, bytes: &[u8]) -> DynamicMessage {
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name(&format!("skein.v1.{name}")).unwrap();
    DynamicMessage::decode(descriptor, bytes).unwrap()
}

/// Every way to break a message that must be noticed.
fn breaks(message: &DynamicMessage, path: &str, steps: &Steps, found: &mut Vec<Break>) {
    for field in message.descriptor().fields() {
        let is_there = message.has_field(&field);
        let needs_presence = field.supports_presence() || field.is_list();
        if needs_presence && !is_there {
            continue;
        }
        let value = message.get_field(&field);
        let entries: Vec<(Option<usize>, &Value)> = match value.as_list() {
            Some(list) => list.iter().enumerate().take(2).map(|(i, value)| (Some(i), value)).collect(),
            None => vec![(None, value.as_ref())],
        };
        for (index, value) in entries {
            let dot = if path.is_empty() { "" } else { "." };
            let place = index.map(|i| format!("[{i}]")).unwrap_or_default();
            let path = format!("{path}{dot}{}{place}", field.name());
            let mut steps = steps.clone();
            steps.push((field.number(), index));
            found.extend(broken_values(&field, index).into_iter().map(|value| Break {
                path: path.clone(),
                steps: steps.clone(),
                value,
            }));
            if let Some(inner) = value.as_message() {
                breaks(inner, &path, &steps, found);
            }
        }
    }
}

fn broken_values(field: &FieldDescriptor, index: Option<usize>) -> Vec<Option<Value>> {
    match field.kind() {
        Kind::Double => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|v| Some(Value::F64(v))).into(),
        Kind::Enum(_) => [0, 99, -1].map(|v| Some(Value::EnumNumber(v))).into(),
        Kind::Message(_) => {
            let may_be_missing = MAY_BE_MISSING.iter().any(|end| field.full_name().ends_with(end));
            let is_needed = index.is_none() && field.containing_oneof().is_none() && !may_be_missing;
            if is_needed { vec![None] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

fn apply(message: &mut DynamicMessage, steps: &[(u32, Option<usize>)], value: Option<Value>) {
    let [(number, index), rest @ ..] = steps else { return };
    let field = message.descriptor().get_field(*number).unwrap();
    if rest.is_empty() && value.is_none() {
        message.clear_field(&field);
        return;
    }
    let mut slot = message.get_field_mut(&field);
    if let Some(index) = index {
        slot = &mut slot.as_list_mut().unwrap()[*index];
    }
    match value {
        Some(value) if rest.is_empty() => *slot = value,
        value => apply(slot.as_message_mut().unwrap(), rest, value),
    }
}

/// Draws messages, breaks each in every way and looks at the refusals; returns how many there were.
fn every_break_is_named<M, D>(name: &str, strategy: impl Strategy<Value = D>) -> usize
where
    M: Message + Default + From<D>,
    D: TryFrom<M, Error = WireError> + Debug,
{
    let mut runner = TestRunner::deterministic();
    let mut tried = 0;
    for _ in 0..32 {
        let whole = dynamic(name, &M::from(strategy.new_tree(&mut runner).unwrap().current()).encode_to_vec());
        let mut found = Vec::new();
        breaks(&whole, "", &Steps::new(), &mut found);
        for Break { path, steps, value } in found {
            let mut broken = whole.clone();
            apply(&mut broken, &steps, value.clone());
            let error = D::try_from(M::decode(broken.encode_to_vec().as_slice()).unwrap()).unwrap_err();
            assert_eq!(error.path(), path, "{name} with {value:?}: {error}");
            let as_expected = match (&value, error.fault()) {
                (None, Fault::Missing) | (Some(Value::F64(_)), Fault::NotFinite) => true,
                (Some(Value::EnumNumber(number)), Fault::UnknownValue(named)) => number == named,
                _ => false,
            };
            assert!(as_expected, "{name}.{path} with {value:?}: {error}");
            tried += 1;
        }
    }
    tried
}

#[test]
fn a_broken_field_of_what_a_robot_reports_is_named() {
    assert!(every_break_is_named::<v1::AgentReport, _>("AgentReport", support::report()) > 100);
    assert!(every_break_is_named::<v1::TelemetryBatch, _>("TelemetryBatch", support::batch()) > 100);
    assert!(every_break_is_named::<v1::Hello, _>("Hello", support::hello()) > 100);
    assert!(every_break_is_named::<v1::MissionProgress, _>("MissionProgress", support::progress()) > 10);
    assert!(every_break_is_named::<v1::EventBatch, _>("EventBatch", support::events()) > 10);
    assert!(every_break_is_named::<v1::CommandAck, _>("CommandAck", support::ack()) > 10);
}

#[test]
fn a_broken_field_of_what_a_robot_is_told_is_named() {
    assert!(every_break_is_named::<v1::CloudCommand, _>("CloudCommand", support::command()) > 10);
    assert!(every_break_is_named::<v1::Assignment, _>("Assignment", support::assignment()) > 10);
}

#[test]
fn a_broken_field_of_what_robots_say_to_each_other_is_named() {
    assert!(every_break_is_named::<v1::Intent, _>("Intent", support::intent()) > 100);
    assert!(every_break_is_named::<v1::Hazard, _>("Hazard", support::hazard()) > 50);
}

#[test]
fn a_broken_field_of_what_people_see_is_named() {
    assert!(every_break_is_named::<v1::FleetView, _>("FleetView", support::fleet()) > 100);
    assert!(every_break_is_named::<v1::Preview, _>("Preview", support::preview()) > 100);
    let submit = support::spec().prop_map(|spec| request::Submit { spec, key: String::new() });
    assert!(every_break_is_named::<v1::SubmitMissionRequest, _>("SubmitMissionRequest", submit) > 50);
    let outcomes = support::outcome().prop_map(|outcome| request::StopOutcomes(vec![outcome]));
    assert!(every_break_is_named::<v1::StopResponse, _>("StopResponse", outcomes) > 10);
    assert!(every_break_is_named::<v1::WhyResponse, _>("WhyResponse", support::explanation()) > 10);
    assert!(every_break_is_named::<v1::EventFilter, _>("EventFilter", support::filter()) > 10);
    assert!(every_break_is_named::<v1::GetRobotResponse, _>("GetRobotResponse", support::robot()) > 100);
}

fn square(side: f64) -> v1::Polygon {
    let xy = vec![0.0, 0.0, side, 0.0, side, side, 0.0, side];
    v1::Polygon { exterior: Some(v1::Ring { xy }), holes: Vec::new() }
}

fn spec() -> v1::MissionSpec {
    v1::MissionSpec {
        objective: v1::Objective::Survey.into(),
        zone: Some(square(4.0)),
        priority: 5,
        ..Default::default()
    }
}

fn refusal(change: impl FnOnce(&mut v1::MissionSpec)) -> (String, Fault) {
    let mut spec = spec();
    change(&mut spec);
    let error = skein_types::mission::MissionSpec::try_from(spec).unwrap_err();
    (error.path().to_owned(), error.fault().clone())
}

#[test]
fn a_mission_that_cannot_be_is_refused_where_it_is_wrong() {
    assert!(skein_types::mission::MissionSpec::try_from(spec()).is_ok());
    let (path, fault) = refusal(|spec| spec.zone.as_mut().unwrap().exterior.as_mut().unwrap().xy.clear());
    assert_eq!((path.as_str(), fault), ("zone", Fault::Polygon(PolygonError::TooFewCorners { ring: 0, corners: 0 })));
    let (path, fault) = refusal(|spec| {
        spec.zone.as_mut().unwrap().exterior = Some(v1::Ring { xy: vec![0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 0.0, 2.0] });
    });
    assert!(path == "zone" && matches!(fault, Fault::Polygon(PolygonError::Crossing { .. })), "{path} {fault}");
    let (path, fault) = refusal(|spec| spec.zone.as_mut().unwrap().exterior.as_mut().unwrap().xy.push(1.0));
    assert_eq!((path.as_str(), fault), ("zone.exterior.xy", Fault::NoPairs(9)));
    let (path, fault) = refusal(|spec| {
        spec.zone.as_mut().unwrap().exterior = Some(v1::Ring { xy: vec![0.0; 2 * bounds::POLYGON_CORNERS_MAX + 2] });
    });
    assert!(path == "zone.exterior.xy" && matches!(fault, Fault::TooMany { count: 10_001, .. }), "{path} {fault}");
    let (path, fault) = refusal(|spec| spec.priority = 11);
    assert!(path == "priority" && matches!(fault, Fault::Priority(_)));
    let (path, fault) = refusal(|spec| spec.name = "x".repeat(257));
    assert_eq!((path.as_str(), fault), ("name", Fault::TooLong { bytes: 257, max: 256 }));
    let (path, fault) = refusal(|spec| spec.robots = vec!["rover-1".into(), "Rover 2".into()]);
    assert!(path == "robots[1]" && matches!(fault, Fault::Name(_)));
}

#[test]
fn a_wrong_run_is_named_through_all_that_holds_it() {
    let frame = v1::RegionFrame { origin: Some(v1::Point::default()), resolution: 0.1, width: 10, height: 10 };
    let command = |runs: Vec<u32>| v1::CloudCommand {
        id: "0190b2f0-7b1a-7000-8000-000000000001".into(),
        order: Some(v1::cloud_command::Order::Assignment(v1::Assignment {
            mission: "0190b2f0-7b1a-7000-8000-000000000002".into(),
            task: Some(v1::Task {
                kind: Some(v1::task::Kind::Survey(v1::SurveyTask {
                    region: Some(v1::Region { frame: Some(frame), runs }),
                })),
            }),
            priority: 5,
            ..Default::default()
        })),
        ..Default::default()
    };
    let refusal = |runs| {
        let bytes = command(runs).encode_to_vec();
        let error = skein_types::link::CloudCommand::from_bytes(&bytes).unwrap_err();
        (error.path().to_owned(), error.fault().clone(), error.to_string())
    };
    assert!(skein_types::link::CloudCommand::from_bytes(&command(vec![2, 3, 1, 1]).encode_to_vec()).is_ok());
    let (path, fault, text) = refusal(vec![2, 3, 1, 1, 4, 5, 90, 5]);
    assert_eq!(path, "assignment.task.survey.region.runs[3]");
    assert_eq!(fault, Fault::Region(RegionError::Run { index: 3 }));
    assert!(text.starts_with("field assignment.task.survey.region.runs[3] is no usable region"), "{text}");
    let (path, fault, _) = refusal(vec![2, 3, 0, 1]);
    assert!(path.ends_with("runs[1]") && matches!(fault, Fault::Region(_)), "touching runs are one run");
    let (path, fault, _) = refusal(vec![u32::MAX, u32::MAX, u32::MAX, 1]);
    assert!(path.ends_with("runs[1]") && matches!(fault, Fault::OutOfRange { .. }), "{path} {fault}");
    let (path, fault, _) = refusal(vec![2]);
    assert!(path.ends_with("region.runs") && fault == Fault::NoPairs(1));
}

#[test]
fn orders_that_contradict_themselves_are_refused() {
    let path = |error: WireError| error.path().to_owned();
    let all_and_some = v1::StopRequest { robots: vec!["rover-1".into()], all: true, ..Default::default() };
    assert_eq!(path(request::StopOrder::try_from(all_and_some).unwrap_err()), "robots");
    assert_eq!(path(request::StopOrder::try_from(v1::StopRequest::default()).unwrap_err()), "robots");
    let kill = |robot: &str, confirm: &str, reason: &str| {
        let wire = v1::KillRequest {
            robot: robot.into(),
            confirm: confirm.into(),
            reason: reason.into(),
            ..Default::default()
        };
        request::KillOrder::try_from(wire).map_err(path)
    };
    assert_eq!(kill("rover-1", "rover-2", "smoke"), Err("confirm".to_owned()));
    assert_eq!(kill("rover-1", "rover-1", " "), Err("reason".to_owned()));
    assert_eq!(kill("", "", "smoke"), Err("robot".to_owned()));
    assert!(kill("rover-1", "rover-1", "smoke").is_ok());
    assert_eq!(request::mission_id("7").map_err(path), Err("mission".to_owned()));
    assert_eq!(request::mission_states(&[6, 42]).map_err(path), Err("states[1]".to_owned()));
}

#[test]
fn what_is_left_out_of_a_batch_needs_a_sample_before_it() {
    let mut runner = TestRunner::deterministic();
    let sample: v1::AgentTelemetry = support::telemetry().new_tree(&mut runner).unwrap().current().into();
    let refusal =
        |samples| skein_types::telemetry::TelemetryBatch::try_from(v1::TelemetryBatch { samples }).unwrap_err();
    let first = refusal(vec![v1::AgentTelemetry { unchanged: 1, ..sample.clone() }]);
    assert_eq!((first.path(), first.fault()), ("samples[0].unchanged", &Fault::UnknownBits(1)));
    let unknown = refusal(vec![sample.clone(), v1::AgentTelemetry { unchanged: 16, ..sample.clone() }]);
    assert_eq!((unknown.path(), unknown.fault()), ("samples[1].unchanged", &Fault::UnknownBits(16)));
    let alone = v1::AgentTelemetry { unchanged: 8, ..sample.clone() };
    assert_eq!(skein_types::telemetry::AgentTelemetry::try_from(alone).unwrap_err().path(), "unchanged");
    let many = refusal(vec![sample; bounds::TELEMETRY_SAMPLES_MAX + 1]);
    assert!(matches!(many.fault(), Fault::TooMany { count: 101, max: 100 }), "{many}");
}

#[test]
fn a_message_above_its_bound_is_not_even_decoded() {
    let huge = vec![0_u8; bounds::MESSAGE_BYTES_MAX + 1];
    let error = skein_types::link::AgentReport::from_bytes(&huge).unwrap_err();
    assert!(matches!(error.fault(), Fault::TooLarge { .. }) && error.path().is_empty());
    assert!(error.to_string().starts_with("the message has 4194305 bytes"), "{error}");
    let long = vec![0_u8; bounds::SWARM_MESSAGE_BYTES_MAX + 1];
    assert!(matches!(skein_types::coord::Intent::from_bytes(&long).unwrap_err().fault(), Fault::TooLarge { .. }));
}
