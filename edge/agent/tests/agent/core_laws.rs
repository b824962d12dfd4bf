//! The laws of a core: a spurious wake-up changes nothing, the next deadline is never in the past, outputs per input are
//! bounded, and no input makes it panic.

use super::rig::{Rig, mission, two_rooms};
use proptest::prelude::*;
use skein_agent::{Input, OverrideCommand, OverrideMotion};
use skein_types::authority::{Epoch, LatchRegister, LatchSet, Principal, Term};
use skein_types::coord::{AgentState, Hazard, HazardKind, Intent, RightOfWay};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, Generation, OperatorId};
use skein_types::link::{CloudCommand, Order};
use skein_types::mission::{Assignment, Priority, Task};
use skein_types::safety::Latch;
use skein_types::sensing::SensorFrame;
use skein_types::telemetry::LinkState;
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent};
use std::time::Duration;
use uuid::Uuid;

/// No input brings about more outputs than this: a cycle says a setpoint, surroundings, an intent, a report or two and
/// a handful of events.
const OUTPUTS_MAX: usize = 40;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -3.0_f64..15.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-1e300)]
}

fn point() -> impl Strategy<Value = Point> {
    (number(), number()).prop_map(|(x, y)| Point::new(x, y))
}

fn order() -> impl Strategy<Value = Order> {
    let assignment = |task| {
        let generation = Generation(3);
        Assignment { mission: mission(), generation, task, priority: Priority::NORMAL, return_home: true }
    };
    prop_oneof![
        Just(Order::Pause(mission())),
        Just(Order::Resume(mission())),
        Just(Order::Cancel(mission())),
        point().prop_map(move |goal| Order::Assign(assignment(Task::GoTo { goal, hold: None }))),
        Just(Order::Assign(assignment(Task::Charge))),
        Just(Order::Assign(assignment(Task::Survey { region: two_rooms().free() }))),
    ]
}

fn command() -> impl Strategy<Value = Input> {
    (0_u128..20, 0_u64..6, 0_u64..3, order()).prop_map(|(id, generation, term, order)| {
        let id = CommandId(Uuid::from_u128(id));
        Input::Command(CloudCommand {
            id,
            generation: Generation(generation),
            term: Term(term),
            expires_at: None,
            order,
        })
    })
}

fn operator() -> Principal {
    Principal::Operator(OperatorId::new("ada").unwrap())
}

fn latch() -> impl Strategy<Value = Input> {
    let register = (0_u64..4, 0_u8..3).prop_map(|(epoch, level)| LatchRegister {
        epoch: Epoch(epoch),
        level: [Latch::Released, Latch::Stop, Latch::Kill][usize::from(level)],
        by: operator(),
        ..LatchRegister::released()
    });
    (register.clone(), register).prop_map(|(own, fleet)| Input::Latch(LatchSet { own, fleet }))
}

fn intent() -> impl Strategy<Value = Input> {
    (0_u32..3, 0_u64..50, point(), prop::collection::vec(point(), 0..5), any::<bool>()).prop_map(
        |(name, sequence, at, path, cornered)| {
            let sender = AgentId::new(format!("peer-{name}")).unwrap();
            let right_of_way = RightOfWay {
                emergency: false,
                carrying: cornered,
                priority: Priority::NORMAL,
                waited_steps: 0,
                claimant: sender.clone(),
            };
            Input::Intent(Intent {
                sender,
                boot: BootId(Uuid::from_u128(5)),
                sequence,
                sent_at: WallTime::default(),
                pose: Pose { position: at, z: 0.0, heading: 0.0 },
                pose_age: Duration::ZERO,
                velocity: Point::new(0.1, 0.0),
                radius: Meters(0.25),
                path,
                state: AgentState::Executing,
                right_of_way,
                cornered,
                yields_to: None,
            })
        },
    )
}

fn sensors() -> impl Strategy<Value = Input> {
    (number(), number(), number(), 0.0_f32..6.0, -10.0_f64..120.0).prop_map(|(x, y, heading, range, charge)| {
        let mut frame = SensorFrame::unknown(Meters(10.0));
        frame.at = MonoTime::from_millis(1000);
        frame.odometry = Pose { position: Point::new(x, y), z: 0.0, heading };
        frame.estimate.pose = frame.odometry;
        frame.estimate.at = frame.at;
        frame.scan.at = frame.at;
        frame.scan.ranges = std::array::from_fn(|beam| if beam % 7 == 0 { f32::NAN } else { range });
        frame.battery.charge = Percent(charge);
        frame.motors_powered = true;
        Input::Sensors(Box::new(frame))
    })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        command(),
        latch(),
        Just(Input::GiveBack { by: operator() }),
        intent(),
        sensors(),
        Just(Input::Cycle),
        any::<(bool, bool)>().prop_map(|(cloud, mesh)| Input::Link(LinkState { cloud, mesh })),
        (point(), 0_u64..5000).prop_map(|(target, ttl)| {
            let operator = OperatorId::new("ada").unwrap();
            let (motion, ttl) = (OverrideMotion::Target(target), Duration::from_millis(ttl));
            Input::Override(OverrideCommand { motion, ttl, operator, reason: String::new() })
        }),
        (number(), number()).prop_map(|(vx, yaw_rate)| {
            let operator = OperatorId::new("ada").unwrap();
            let (motion, ttl) = (OverrideMotion::Twist(Twist::planar(vx, yaw_rate)), Duration::from_millis(300));
            Input::Override(OverrideCommand { motion, ttl, operator, reason: String::new() })
        }),
        (0_u64..9, point(), number()).prop_map(|(sequence, position, radius)| {
            Input::Hazard(Hazard {
                reporter: AgentId::new("peer-1").unwrap(),
                boot: BootId(Uuid::nil()),
                age: Duration::ZERO,
                sequence,
                kind: HazardKind::Obstacle,
                position,
                radius: Meters(radius),
                time_to_live: Duration::from_secs(2),
                seen_at: WallTime::default(),
            })
        }),
        Just(Input::PeerAlive { agent: AgentId::new("peer-1").unwrap(), alive: false }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_laws_of_a_core_hold_for_any_input(steps in prop::collection::vec((input(), 0_u64..400), 1..60)) {
        let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
        for (input, wait_ms) in steps {
            rig.now = rig.now + Duration::from_millis(wait_ms);
            let now = rig.now;
            rig.agent.handle(now, input);
            let mut outputs = 0;
            while rig.agent.poll_output().is_some() {
                outputs += 1;
            }
            prop_assert!(outputs <= OUTPUTS_MAX, "{outputs} outputs");
            let (deadline, why) = rig.agent.next_deadline().unwrap();
            prop_assert!(deadline > now, "{why} is due at {deadline}, it is {now}");
            // A wake-up that nobody asked for changes nothing.
            let before = serde_json::to_string(&rig.agent.status(now)).unwrap();
            rig.agent.handle(now, Input::Cycle);
            prop_assert_eq!(rig.agent.poll_output(), None);
            prop_assert_eq!(rig.agent.next_deadline().unwrap().0, deadline);
            prop_assert_eq!(serde_json::to_string(&rig.agent.status(now)).unwrap(), before);
        }
    }
}

#[test]
fn setpoints_come_at_20_hz_and_last_100_ms() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    let first = rig.setpoint.sequence;
    rig.run(2.0);
    assert_eq!(rig.setpoint.sequence - first, 40);
    assert_eq!(rig.setpoint.valid_until, rig.setpoint.at + Duration::from_millis(100));
}

#[test]
fn a_late_wake_up_runs_one_cycle() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    let first = rig.setpoint.sequence;
    rig.now = rig.now + Duration::from_secs(10);
    rig.give(Input::Cycle);
    assert_eq!(rig.setpoint.sequence - first, 1);
    assert!(rig.agent.next_deadline().unwrap().0 > rig.now);
}
