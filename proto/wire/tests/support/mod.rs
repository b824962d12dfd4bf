//! Strategies for every domain type that travels.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its own part; a draw that fails ends the test"
)]

mod authority;
mod missions;

use core::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use skein_types::authority::{LatchOrder, Term};
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::coord::{
    AgentState, HAZARD_RADIUS_MAX, Hazard, HazardKind, INTENT_PATH_MAX, INTENT_RADIUS_MAX, Intent, MapHazard,
    RightOfWay,
};
use skein_types::event::{Event, EventBatch, EventHash, EventKind};
use skein_types::fleet::{Alarm, AlarmSeverity, FleetView, LatchDurability, RobotView};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, EventId, FleetId, Generation, MissionId, OperatorId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, HelloProof, Order, SchemaRange};
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionFrame};
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch};
use skein_types::telemetry::{AgentTelemetry, LinkState, OperatingMode, ReflexStats, TelemetryBatch};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent, Seconds};
use skein_wire::request;
use uuid::Uuid;

pub(crate) use authority::*;
pub(crate) use missions::*;

pub(crate) fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => -1e3..1e3_f64,
        1 => prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        1 => Just(0.0),
    ]
}

pub(crate) fn not_negative() -> impl Strategy<Value = f64> {
    finite().prop_map(f64::abs)
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[ -~]{1,40}", ".{0,60}"]
}

pub(crate) fn agent() -> impl Strategy<Value = AgentId> {
    prop_oneof!["rover-[0-9]{1,2}", "[a-z0-9][a-z0-9_-]{0,47}"].prop_map(|name| AgentId::new(name).unwrap())
}

pub(crate) fn operator() -> impl Strategy<Value = OperatorId> {
    "[a-z0-9][a-z0-9_-]{0,47}".prop_map(|name| OperatorId::new(name).unwrap())
}

pub(crate) fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn wall() -> impl Strategy<Value = WallTime> {
    any::<i64>().prop_map(WallTime::from_unix_nanos)
}

pub(crate) fn span() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

pub(crate) fn point() -> impl Strategy<Value = Point> {
    (finite(), finite()).prop_map(|(x, y)| Point::new(x, y))
}

pub(crate) fn pose() -> impl Strategy<Value = Pose> {
    (point(), finite(), finite()).prop_map(|(position, z, heading)| Pose { position, z, heading })
}

pub(crate) fn twist() -> impl Strategy<Value = Twist> {
    (finite(), finite(), finite(), finite()).prop_map(|(vx, vy, vz, yaw_rate)| Twist { vx, vy, vz, yaw_rate })
}

/// A convex ring around a centre, sometimes with a smaller one cut out of it.
pub(crate) fn polygon() -> impl Strategy<Value = Polygon> {
    let ring = |corners: u32, center: Point, radius: f64| -> Vec<Point> {
        let angle = |i: u32| f64::from(i) * std::f64::consts::TAU / f64::from(corners);
        (0..corners).map(|i| center + Point::from_heading(angle(i)) * radius).collect()
    };
    (3..40_u32, -1e3..1e3_f64, -1e3..1e3_f64, 0.1..50.0_f64, any::<bool>()).prop_map(
        move |(n, x, y, radius, hollow)| {
            let center = Point::new(x, y);
            let holes = if hollow { vec![ring(n, center, radius / 4.0)] } else { Vec::new() };
            Polygon::new(ring(n, center, radius), holes).unwrap()
        },
    )
}

pub(crate) fn region() -> impl Strategy<Value = Region> {
    let frame = (point(), 0.01..1.0_f64, 1..60_u32, 1..60_u32)
        .prop_map(|(origin, resolution, width, height)| RegionFrame { origin, resolution, width, height });
    (frame, vec(any::<bool>(), 0..600)).prop_map(|(frame, chosen)| {
        let last = u32::try_from(frame.cells()).unwrap();
        let cells = (0..last).zip(chosen).filter(|(_, chosen)| *chosen).map(|(cell, _)| cell);
        Region::from_cells(frame, cells).unwrap()
    })
}

pub(crate) fn body() -> impl Strategy<Value = BodyDescriptor> {
    let kinds = [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor()];
    (select(kinds.to_vec()), select(vec![Drive::Differential, Drive::Holonomic, Drive::Multirotor]), 0.1..2.0_f64)
        .prop_map(|(body, drive, radius)| BodyDescriptor { drive, radius: Meters(radius), ..body })
}

pub(crate) fn agent_state() -> impl Strategy<Value = AgentState> {
    select(vec![
        AgentState::Idle,
        AgentState::MovingToStart,
        AgentState::Executing,
        AgentState::CarryingPayload,
        AgentState::Yielding,
        AgentState::Waiting,
        AgentState::Returning,
        AgentState::Charging,
        AgentState::Stopped,
        AgentState::Fault,
    ])
}

pub(crate) fn failsafe() -> impl Strategy<Value = FailsafeLevel> {
    select(vec![
        FailsafeLevel::None,
        FailsafeLevel::Warn,
        FailsafeLevel::Slow,
        FailsafeLevel::Hold,
        FailsafeLevel::Return,
        FailsafeLevel::Land,
        FailsafeLevel::Stop,
        FailsafeLevel::Kill,
    ])
}

pub(crate) fn latch() -> impl Strategy<Value = Latch> {
    select(vec![Latch::Released, Latch::Stop, Latch::Kill])
}

fn reflex_stats() -> impl Strategy<Value = ReflexStats> {
    (any::<u64>(), any::<u64>(), [finite(), finite(), finite(), finite()]).prop_map(
        |(ticks, missed_ticks, [lateness_us_p50, lateness_us_p99, lateness_us_p999, lateness_us_max])| ReflexStats {
            ticks,
            missed_ticks,
            lateness_us_p50,
            lateness_us_p99,
            lateness_us_p999,
            lateness_us_max,
        },
    )
}

pub(crate) fn telemetry() -> impl Strategy<Value = AgentTelemetry> {
    let mode = select(vec![
        OperatingMode::Startup,
        OperatingMode::Automatic,
        OperatingMode::SemiAutomatic,
        OperatingMode::Intervened,
        OperatingMode::Manual,
        OperatingMode::Service,
        OperatingMode::TeachIn,
    ]);
    let causes = vec(select(Cause::ALL.to_vec()), 0..5)
        .prop_map(|causes| causes.into_iter().fold(Causes::NONE, |all, cause| all.with(cause)));
    let who = (agent(), wall(), any::<u64>(), option::of(uuid()), text());
    let place = (pose(), not_negative(), twist(), finite());
    let state = (mode, agent_state(), failsafe(), causes);
    let rest = (any::<bool>(), any::<bool>(), any::<u32>(), reflex_stats());
    (who, place, state, rest).prop_map(
        |(
            (agent, at, sequence, mission, why),
            (pose, std, twist, battery),
            (mode, state, failsafe, causes),
            (cloud, mesh, peers_visible, reflex),
        )| {
            AgentTelemetry {
                agent,
                at,
                sequence,
                pose,
                position_std: Meters(std),
                twist,
                battery: Percent(battery),
                mode,
                state,
                failsafe,
                causes,
                mission: mission.map(MissionId),
                link: LinkState { cloud, mesh },
                peers_visible,
                reflex,
                why,
            }
        },
    )
}

/// Samples that repeat parts of one another as a robot's do.
pub(crate) fn batch() -> impl Strategy<Value = TelemetryBatch> {
    let sample = (telemetry(), any::<[bool; 4]>());
    vec(sample, 0..12).prop_map(|drawn| {
        let mut samples: Vec<AgentTelemetry> = Vec::new();
        for (mut sample, keeps) in drawn {
            if let Some(before) = samples.last() {
                if keeps[0] {
                    sample.agent = before.agent.clone();
                }
                if keeps[1] {
                    sample.mission = before.mission;
                }
                if keeps[2] {
                    sample.reflex = before.reflex;
                }
                if keeps[3] {
                    sample.why = before.why.clone();
                }
            }
            samples.push(sample);
        }
        TelemetryBatch { samples }
    })
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let kind = select(vec![
        EventKind::Decision,
        EventKind::StateChange,
        EventKind::System,
        EventKind::Message,
        EventKind::Command,
        EventKind::Safety,
    ]);
    let previous = prop_oneof![Just([0_u8; 32]), any::<[u8; 32]>()];
    (uuid(), agent(), uuid(), any::<u64>(), wall(), any::<u64>(), kind, text(), ".{0,200}", previous).prop_map(
        |(id, agent, boot, sequence, at, mono, kind, name, payload, previous)| Event {
            id: EventId(id),
            agent,
            boot: BootId(boot),
            sequence,
            at,
            mono: MonoTime::from_nanos(mono),
            kind,
            name,
            payload,
            previous: EventHash(previous),
        },
    )
}

pub(crate) fn events() -> impl Strategy<Value = EventBatch> {
    vec(event(), 0..6).prop_map(|events| EventBatch { events })
}

pub(crate) fn intent() -> impl Strategy<Value = Intent> {
    let right = (any::<bool>(), any::<bool>(), priority(), any::<u16>(), agent()).prop_map(
        |(emergency, carrying, priority, waited_steps, claimant)| RightOfWay {
            emergency,
            carrying,
            priority,
            waited_steps,
            claimant,
        },
    );
    let who = (agent(), uuid(), any::<u64>(), wall());
    let place = (pose(), span(), point(), 0.0..=INTENT_RADIUS_MAX.0, vec(point(), 0..=INTENT_PATH_MAX));
    (who, place, agent_state(), right, any::<bool>(), option::of(agent())).prop_map(
        |(
            (sender, boot, sequence, sent_at),
            (pose, pose_age, velocity, radius, path),
            state,
            right_of_way,
            cornered,
            yields_to,
        )| {
            Intent {
                sender,
                boot: BootId(boot),
                sequence,
                sent_at,
                pose,
                pose_age,
                velocity,
                radius: Meters(radius),
                path,
                state,
                right_of_way,
                cornered,
                yields_to,
            }
        },
    )
}

pub(crate) fn hazard() -> impl Strategy<Value = Hazard> {
    let kind = select(vec![HazardKind::Cliff, HazardKind::Person, HazardKind::Obstacle, HazardKind::Breakdown]);
    let source = (agent(), uuid(), any::<u64>(), wall());
    (source, kind, point(), 0.0..=HAZARD_RADIUS_MAX.0, span(), span()).prop_map(
        |((reporter, boot, sequence, seen_at), kind, position, radius, time_to_live, age)| Hazard {
            reporter,
            boot: BootId(boot),
            sequence,
            kind,
            position,
            radius: Meters(radius),
            time_to_live,
            age,
            seen_at,
        },
    )
}

pub(crate) fn map_hazard() -> impl Strategy<Value = MapHazard> {
    let kind = select(vec![HazardKind::Cliff, HazardKind::Obstacle]);
    let source = (agent(), uuid(), any::<u64>(), wall());
    (source, kind, point(), 0.0..=HAZARD_RADIUS_MAX.0, any::<bool>()).prop_map(
        |((reporter, boot, sequence, seen_at), kind, position, radius, cleared)| MapHazard {
            kind,
            position,
            radius: Meters(radius),
            reporter,
            boot: BootId(boot),
            sequence,
            seen_at,
            cleared,
        },
    )
}

fn proof() -> impl Strategy<Value = HelloProof> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(public_key, a, b)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&a);
        signature[32..].copy_from_slice(&b);
        HelloProof { public_key, signature }
    })
}

pub(crate) fn hello() -> impl Strategy<Value = Hello> {
    let fleet = "[a-z0-9][a-z0-9_-]{0,47}".prop_map(|name| FleetId::new(name).unwrap());
    let work = option::of((uuid(), any::<u64>()));
    let who = (agent(), fleet, uuid(), body(), pose());
    let schema = (1..9_u32, 0..9_u32).prop_map(|(min, more)| SchemaRange { min, max: min + more });
    let authority = (latch_report(), option::of(proof()));
    (who, text(), schema, option::of(uuid()), work, (text(), "[0-9a-f]{64}"), authority).prop_map(
        |(
            (agent, fleet, boot, body, home),
            software,
            schema,
            last,
            work,
            (debug_address, map_hash),
            (latch, proof),
        )| Hello {
            agent,
            fleet,
            boot: BootId(boot),
            body,
            home,
            software,
            schema,
            last_command: last.map(CommandId),
            working_on: work.map(|(mission, generation)| (MissionId(mission), Generation(generation))),
            debug_address,
            map_hash,
            latch,
            proof,
        },
    )
}

pub(crate) fn ack() -> impl Strategy<Value = CommandAck> {
    let outcome = prop_oneof![
        Just(CommandOutcome::Accepted),
        text().prop_map(CommandOutcome::Rejected),
        Just(CommandOutcome::Done),
        text().prop_map(CommandOutcome::Failed),
    ];
    (uuid(), outcome).prop_map(|(command, outcome)| CommandAck { command: CommandId(command), outcome })
}

pub(crate) fn report() -> impl Strategy<Value = AgentReport> {
    prop_oneof![
        hello().prop_map(AgentReport::Hello),
        batch().prop_map(AgentReport::Telemetry),
        ack().prop_map(AgentReport::Ack),
        progress().prop_map(AgentReport::Progress),
        events().prop_map(AgentReport::Events),
        latch_report().prop_map(AgentReport::Latch),
        vec(map_hazard(), 0..4).prop_map(AgentReport::Hazards),
    ]
}

pub(crate) fn command() -> impl Strategy<Value = CloudCommand> {
    let order = prop_oneof![
        6 => assignment().prop_map(Order::Assign),
        1 => uuid().prop_map(|id| Order::Pause(MissionId(id))),
        1 => uuid().prop_map(|id| Order::Resume(MissionId(id))),
        1 => uuid().prop_map(|id| Order::Cancel(MissionId(id))),
        1 => (uuid(), any::<u64>()).prop_map(|(boot, sequence)| Order::EventsKept { boot: BootId(boot), sequence }),
        2 => (option::of(latch_request()), latches())
            .prop_map(|(request, state)| Order::Latch(LatchOrder { request, state })),
        1 => option::of(grant()).prop_map(Order::Lease),
        1 => vec(map_hazard(), 0..4).prop_map(Order::Hazards),
    ];
    (uuid(), any::<u64>(), any::<u64>(), option::of(wall()), order).prop_map(
        |(id, generation, term, expires_at, order)| CloudCommand {
            id: CommandId(id),
            generation: Generation(generation),
            term: Term(term),
            expires_at,
            order,
        },
    )
}

pub(crate) fn robot() -> impl Strategy<Value = RobotView> {
    let who = (agent(), uuid(), body(), pose());
    let held = (latch(), latches(), latches(), durability());
    (who, any::<bool>(), held, option::of(telemetry()), not_negative(), text(), text()).prop_map(
        |(
            (agent, boot, body, home),
            connected,
            (latch, latches, wanted, durability),
            telemetry,
            age,
            debug_address,
            software,
        )| {
            RobotView {
                agent,
                boot: BootId(boot),
                body,
                home,
                connected,
                latch,
                latches,
                durability,
                wanted,
                telemetry,
                age: Seconds(age),
                debug_address,
                software,
            }
        },
    )
}

pub(crate) fn fleet() -> impl Strategy<Value = FleetView> {
    let severity = select(vec![AlarmSeverity::Warning, AlarmSeverity::Critical]);
    let alarm = (text(), severity, text(), option::of(agent()), text(), wall())
        .prop_map(|(id, severity, code, robot, text, raised_at)| Alarm { id, severity, code, robot, text, raised_at });
    (any::<u64>(), wall(), vec(robot(), 0..4), vec(mission(), 0..3), vec(alarm, 0..3), vec(map_hazard(), 0..3))
        .prop_map(|(sequence, at, robots, missions, alarms, hazards)| FleetView {
            sequence,
            at,
            robots,
            missions,
            alarms,
            hazards,
        })
}

pub(crate) fn targets() -> impl Strategy<Value = request::Targets> {
    prop_oneof![Just(request::Targets::All), vec(agent(), 1..4).prop_map(request::Targets::Robots)]
}

pub(crate) fn outcome() -> impl Strategy<Value = request::RobotOutcome> {
    (agent(), any::<bool>(), latch(), text(), latches(), durability()).prop_map(
        |(robot, acknowledged, latch, text, latches, durability)| request::RobotOutcome {
            robot,
            acknowledged,
            latch,
            text,
            latches,
            durability,
        },
    )
}

fn durability() -> impl Strategy<Value = LatchDurability> {
    let not_kept = text().prop_map(|why| LatchDurability::NotKept(format!("x{why}")));
    prop_oneof![Just(LatchDurability::Kept), Just(LatchDurability::Saving), not_kept]
}

pub(crate) fn lease() -> impl Strategy<Value = request::Lease> {
    (uuid(), operator(), vec(agent(), 0..4), wall()).prop_map(|(id, operator, robots, expires_at)| request::Lease {
        id,
        operator,
        robots,
        expires_at,
    })
}

pub(crate) fn explanation() -> impl Strategy<Value = request::Explanation> {
    (text(), failsafe(), vec(select(Cause::ALL.to_vec()), 0..5), vec(event(), 0..3))
        .prop_map(|(why, failsafe, causes, decisions)| request::Explanation { why, failsafe, causes, decisions })
}

pub(crate) fn filter() -> impl Strategy<Value = request::EventFilter> {
    let kinds = vec(select(vec![EventKind::Decision, EventKind::Safety, EventKind::Command]), 0..3);
    (option::of(agent()), kinds, option::of(wall()), option::of(wall()))
        .prop_map(|(agent, kinds, since, until)| request::EventFilter { agent, kinds, since, until })
}
