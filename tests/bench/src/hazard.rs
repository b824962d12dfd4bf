//! A hazard from the sensing tick of one robot to the reflex slot of another, in two processes, beside a bare Zenoh put
//! and callback between the same two.
//!
//! The sender ticks at 100 Hz, each tick as another of its robots, because a receiver takes at most 10 hazards a second
//! of one robot. Each of these robots has a fleet of its own with one receiver in the other process, so that a hazard has
//! one subscriber, as the bare message has. A tick hands the hazard to a lane and wakes the thread that publishes, as in
//! a robot's process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use skein_edge::rt::WantedPrivileges;
use skein_edge::rt::privileges::ask;
use skein_mesh::{Mesh, MeshConfig, MeshHooks};
use skein_robot::hazard::{HazardSender, HazardSlots, SensedHazard};
use skein_types::coord::{Hazard, HazardKind};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::time::MonoTime;
use skein_types::units::Meters;
use zenoh::Wait;
use zenoh::qos::Priority;

use crate::child::{Peer, Role, ready_until_closed};
use crate::clock::{now, sleep_until, wall};
use crate::flood::{RATE, bare_session};
use crate::row::{Row, quantile};

const SENDERS: usize = 12;
const TICK: Duration = Duration::from_millis(10);
const TICKS: usize = 2_400;
/// Ticks before the measurement, in which links are made and caches filled.
const WARM_UP: usize = 300;
const BARE_KEY: &str = "skein-bench/bare";
/// A hazard on the wire has about this many bytes; the bare message has as many.
const BARE_BYTES: usize = 120;
/// One below the reflex.
const HAZARD_PRIORITY: i32 = 49;
const GOAL_P999_US: f64 = 1_000.0;
const GOAL_RATIO: f64 = 1.3;
const GOAL_FLOOD: f64 = 2.0;
/// Intents a second of two hundred robots.
const TELEMETRY: u64 = 2_000;

/// When something arrived, nanoseconds of the machine's clock.
#[derive(Default, Serialize, Deserialize)]
struct Arrivals {
    /// Reporter, sequence, time.
    hazards: Vec<(String, u64, u64)>,
    /// Time of sending, time of arrival.
    bare: Vec<(u64, u64)>,
}

/// One way, microseconds, sorted.
struct Delays {
    hazards: Vec<f64>,
    bare: Vec<f64>,
    /// From the tick to the thread that publishes, of the hazards.
    hand_over: Vec<f64>,
}

pub(crate) fn rows() -> Result<Vec<Row>> {
    let name = |index: usize| FleetId::new(format!("bench-{}-{index}", std::process::id()));
    let fleets: Vec<FleetId> = (0..SENDERS).map(name).collect::<Result<_, _>>()?;
    let idle = measure(&fleets, None)?;
    let telemetry = measure(&fleets, Some(TELEMETRY))?;
    let hostile = measure(&fleets, Some(RATE))?;
    let (p50, bare_p50) = (quantile(&idle.hazards, 0.5), quantile(&idle.bare, 0.5));
    let p99 = quantile(&idle.hazards, 0.99);
    let p999 = quantile(&idle.hazards, 0.999);
    let how = format!(
        "{} hazards at 100 Hz between two processes; p99 {p99:.0} us; of it the wake of the publishing thread p50 {:.0} us; \
         bare Zenoh p99 {:.0} us, p99.9 {:.0} us",
        idle.hazards.len(),
        quantile(&idle.hand_over, 0.5),
        quantile(&idle.bare, 0.99),
        quantile(&idle.bare, 0.999)
    );
    let row = |name: &str, ours: f64, reference: f64, goal: &str, met: bool, how: String| Row {
        name: name.into(),
        ours,
        reference,
        ratio: ours / reference.max(0.001),
        goal: goal.into(),
        met,
        unit: "us",
        how,
    };
    let flooded = |rate: u64, delays: &Delays| {
        let ours = quantile(&delays.hazards, 0.99);
        let how = format!(
            "{} hazards beside {rate} intents/s; bare Zenoh p99 {:.0} us",
            delays.hazards.len(),
            quantile(&delays.bare, 0.99)
        );
        let name = format!("hazard, tick to slot, p99, beside {rate} messages/s");
        row(&name, ours, p99, "2 x its own idle", ours <= GOAL_FLOOD * p99, how)
    };
    Ok(vec![
        row("hazard, tick to slot, p50", p50, bare_p50, "1.3 x a bare put", p50 <= GOAL_RATIO * bare_p50, how.clone()),
        row("hazard, tick to slot, p99.9", p999, GOAL_P999_US, "under 1 ms when idle", p999 < GOAL_P999_US, how),
        flooded(TELEMETRY, &telemetry),
        flooded(RATE, &hostile),
    ])
}

fn measure(fleets: &[FleetId], flood: Option<u64>) -> Result<Delays> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let receiver = Peer::start(Role::HazardReceiver, fleets)?;
    let flood = flood.map(|rate| Peer::flood(fleets, rate)).transpose()?;
    let meshes = runtime.block_on(open_senders(fleets))?;
    let bare = bare_session()?;
    let sent = send(&meshes, &bare)?;
    let arrivals: Arrivals = serde_json::from_str(&receiver.end()?)?;
    if let Some(flood) = flood {
        flood.end()?;
    }
    delays(&sent, &arrivals)
}

async fn open_senders(fleets: &[FleetId]) -> Result<Vec<(AgentId, Arc<Mesh>)>> {
    let mut meshes = Vec::new();
    for (index, fleet) in fleets.iter().enumerate() {
        let agent = AgentId::new(format!("sender-{index}"))?;
        let (mesh, _events) =
            Mesh::open(&MeshConfig::loopback(fleet.clone(), agent.clone()), MeshHooks::default()).await?;
        meshes.push((agent, Arc::new(mesh)));
    }
    Ok(meshes)
}

/// When each hazard was sensed, and when the publishing thread took it; by reporter and sequence.
type Sent = BTreeMap<(String, u64), (MonoTime, MonoTime)>;

/// The hazards that a tick has put into the lane: index of the robot and the hazard.
type Lane = Mutex<rtrb::Consumer<(usize, SensedHazard)>>;

/// Ticks; returns when each hazard was sensed, by reporter and sequence.
fn send(meshes: &[(AgentId, Arc<Mesh>)], bare: &zenoh::Session) -> Result<Sent> {
    let publisher = bare.declare_publisher(BARE_KEY).priority(Priority::RealTime).express(true).wait();
    let publisher = publisher.map_err(|e| anyhow!("the bare publisher: {e}"))?;
    let (mut lane, consumer) = rtrb::RingBuffer::new(16);
    let (stop, lane_end) = (AtomicBool::new(false), Mutex::new(consumer));
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| publish(meshes, &lane_end, &stop));
        let start = now();
        for tick in 0..WARM_UP + TICKS {
            sleep_until(start + TICK * u32::try_from(tick)?);
            let at = now();
            let position = Point::new((tick % 97) as f64, (tick % 89) as f64);
            let sensed = SensedHazard { kind: HazardKind::Cliff, position, radius: Meters(0.2), at };
            lane.push((tick % SENDERS, sensed)).map_err(|_| anyhow!("the lane is full"))?;
            publishing.thread().unpark();
            sleep_until(start + TICK * u32::try_from(tick)? + TICK / 2);
            let mut bytes = vec![0_u8; BARE_BYTES];
            bytes.splice(..8, now().as_nanos().to_le_bytes());
            publisher.put(bytes).wait().map_err(|e| anyhow!("a bare put: {e}"))?;
        }
        stop.store(true, Ordering::Release);
        publishing.thread().unpark();
        publishing.join().map_err(|_| anyhow!("the publishing thread ended early"))?
    })
}

fn publish(meshes: &[(AgentId, Arc<Mesh>)], lane: &Lane, stop: &AtomicBool) -> Result<Sent> {
    // As the thread of a robot's process.
    let _refused_to_a_normal_user = ask(&WantedPrivileges { priority: HAZARD_PRIORITY, cpu: None, lock_memory: false });
    let boot = BootId(uuid::Uuid::new_v4());
    let mut senders: Vec<HazardSender> =
        meshes.iter().map(|(agent, _)| HazardSender::new(agent.clone(), boot)).collect();
    let mut sensed_at = BTreeMap::new();
    let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
    while !stop.load(Ordering::Acquire) {
        while let Ok((index, sensed)) = lane.pop() {
            let (sender, (agent, mesh)) = (&mut senders[index], &meshes[index]);
            let taken = now();
            sender.on_sensed(taken, wall(), &sensed);
            while let Some(hazard) = sender.next(now()) {
                sensed_at.insert((agent.to_string(), hazard.sequence), (sensed.at, taken));
                mesh.publish_hazard(hazard)?;
            }
        }
        std::thread::park();
    }
    Ok(sensed_at)
}

fn delays(sent: &Sent, arrivals: &Arrivals) -> Result<Delays> {
    let micros = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1_000.0;
    let warm = (WARM_UP / SENDERS) as u64;
    let measured = arrivals.hazards.iter().filter(|(_, sequence, _)| *sequence > warm);
    let mut hazards: Vec<f64> = measured
        .filter_map(|(reporter, sequence, at)| {
            Some(micros(sent.get(&(reporter.clone(), *sequence))?.0.as_nanos(), *at))
        })
        .collect();
    let mut bare: Vec<f64> = arrivals.bare.iter().skip(WARM_UP).map(|(from, to)| micros(*from, *to)).collect();
    ensure!(hazards.len() * 10 >= TICKS * 9, "{} of {TICKS} hazards arrived", hazards.len());
    ensure!(bare.len() * 10 >= TICKS * 9, "{} of {TICKS} bare messages arrived", bare.len());
    let mut hand_over: Vec<f64> =
        sent.values().map(|(sensed, taken)| micros(sensed.as_nanos(), taken.as_nanos())).collect();
    hand_over.sort_by(f64::total_cmp);
    hazards.sort_by(f64::total_cmp);
    bare.sort_by(f64::total_cmp);
    Ok(Delays { hazards, bare, hand_over })
}

/// In a child: receives until the input is closed, then prints what arrived when.
pub(crate) fn receive(fleets: &[FleetId]) -> Result<()> {
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let (of_hazards, of_bare) = (Arc::clone(&arrivals), Arc::clone(&arrivals));
    let slots = Mutex::new(HazardSlots::default());
    let on_hazard = Arc::new(move |hazard: &Hazard| {
        let discs = slots.lock().unwrap_or_else(PoisonError::into_inner).put(now(), Point::new(0.0, 0.0), hazard);
        std::hint::black_box(discs);
        let at = now().as_nanos();
        let mut arrivals = of_hazards.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.hazards.push((hazard.reporter.to_string(), hazard.sequence, at));
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let hooks = MeshHooks { on_hazard: Some(on_hazard), ..MeshHooks::default() };
    let mut meshes = Vec::new();
    for fleet in fleets {
        let config = MeshConfig::loopback(fleet.clone(), AgentId::new("receiver")?);
        let (mesh, mut events) = runtime.block_on(Mesh::open(&config, hooks.clone()))?;
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        meshes.push(mesh);
    }
    let bare = bare_session()?;
    let subscriber = bare.declare_subscriber(BARE_KEY).callback(move |sample| {
        let at = now().as_nanos();
        let bytes = sample.payload().to_bytes();
        if let Some(sent) = bytes.first_chunk() {
            let mut arrivals = of_bare.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.bare.push((u64::from_le_bytes(*sent), at));
        }
    });
    let _subscriber = subscriber.wait().map_err(|e| anyhow!("the bare subscriber: {e}"))?;
    ready_until_closed()?;
    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}", serde_json::to_string(&*arrivals).context("arrivals")?);
    Ok(())
}
