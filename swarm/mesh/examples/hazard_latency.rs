//! One-way latency of a hazard between two processes, from `publish` to the receiver's hook, beside a bare Zenoh put
//! and callback in the same run: `hazard_latency SECONDS [FLOOD_PER_SECOND]` prints one JSON line, microseconds.
//!
//! Both are paced at 100 a second. The clock is the system's monotonic one, which all processes share. With a flood a
//! third process publishes that many valid intents a second under a hundred names beside them.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use skein_mesh::{Mesh, MeshConfig, MeshHooks, RUNTIME_ENV};
use skein_types::coord::{AgentState, Hazard, HazardKind, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::time::WallTime;
use skein_types::units::Meters;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use zenoh::qos::{CongestionControl, Priority as ZenohPriority};

type Error = Box<dyn std::error::Error + Send + Sync>;

const FLEET: &str = "hazard-latency";
const BARE_KEY: &str = "bench/bare";
/// A receiver takes 10 hazards a second from one sender: twelve take turns.
const SENDERS: u64 = 12;
const PERIOD: Duration = Duration::from_millis(10);

fn now_nanos() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn config(name: &str, connect: &[String]) -> Result<MeshConfig, Error> {
    let config = MeshConfig::loopback(FleetId::new(FLEET)?, AgentId::new(name)?);
    Ok(MeshConfig { multicast: None, connect: connect.to_vec(), ..config })
}

async fn bare_session(connect: &[String]) -> Result<zenoh::Session, Error> {
    let mut config = zenoh::Config::default();
    config.insert_json5("mode", "\"peer\"")?;
    config.insert_json5("connect/endpoints", &format!("{connect:?}"))?;
    config.insert_json5("listen/endpoints", "[\"tcp/127.0.0.1:0\"]")?;
    config.insert_json5("scouting/multicast/enabled", "false")?;
    zenoh::open(config).await
}

/// The sending process: hazards and bare messages in turn, each 100 times a second.
async fn send(seconds: u64, mesh_at: String, bare_at: String) -> Result<(), Error> {
    let mut meshes = Vec::new();
    for i in 0..SENDERS {
        meshes
            .push(Mesh::open(&config(&format!("s{i}"), std::slice::from_ref(&mesh_at))?, MeshHooks::default()).await?);
    }
    let session = bare_session(&[bare_at]).await?;
    let bare = session
        .declare_publisher(BARE_KEY)
        .priority(ZenohPriority::RealTime)
        .congestion_control(CongestionControl::Drop)
        .express(true)
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut tick = tokio::time::interval(PERIOD / 2);
    for turn in 0..seconds * 200 {
        tick.tick().await;
        let hazard = |reporter: AgentId| Hazard {
            reporter,
            boot: BootId(uuid::Uuid::nil()),
            sequence: turn,
            kind: HazardKind::Cliff,
            position: Point::new(1.0, 2.0),
            radius: Meters(0.2),
            time_to_live: Duration::from_secs(3),
            age: Duration::ZERO,
            seen_at: WallTime::from_unix_nanos(now_nanos()),
        };
        let sender = (turn / 2) % SENDERS;
        let name = AgentId::new(format!("s{sender}"))?;
        if turn % 2 == 0 {
            let (mesh, _) = meshes.get(usize::try_from(sender)?).ok_or("no sender")?;
            mesh.publish_hazard(hazard(name))?;
        } else {
            // The same bytes, without anything of the mesh.
            bare.put(hazard(name).to_bytes()).await?;
        }
    }
    Ok(())
}

/// The flooding process: valid intents under a hundred names.
async fn flood(seconds: u64, rate: u64, mesh_at: String) -> Result<(), Error> {
    let session = bare_session(&[mesh_at]).await?;
    let keys = SwarmKeys::new(FleetId::new(FLEET)?);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    for round in 0..(seconds + 2) * 1000 {
        tick.tick().await;
        for i in 0..rate / 1000 {
            let sender = AgentId::new(format!("n{}", (round * (rate / 1000) + i) % 100))?;
            session.put(keys.key(&SwarmKey::Presence(sender.clone())), intent(sender, round).to_bytes()).await?;
        }
    }
    Ok(())
}

fn intent(sender: AgentId, sequence: u64) -> Intent {
    let boot = BootId(uuid::Uuid::nil());
    Intent {
        sequence,
        velocity: Point::new(0.5, 0.5),
        path: (0..12).map(|i| Point::new(f64::from(i), 2.0)).collect(),
        state: AgentState::Executing,
        ..Intent::standing(sender, boot, Pose::new(1.0, 2.0, 0.5), Meters(0.25))
    }
}

fn summary(latencies: &Mutex<Vec<i64>>) -> String {
    let mut sorted = latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    sorted.sort_unstable();
    let at = |per_mille: usize| sorted.get((sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1)));
    let micros = |per_mille: usize| at(per_mille).map_or(0.0, |nanos| *nanos as f64 / 1000.0);
    format!(
        r#"{{"n":{},"p50_us":{:.1},"p99_us":{:.1},"p999_us":{:.1}}}"#,
        sorted.len(),
        micros(500),
        micros(990),
        micros(999)
    )
}

fn spawn(arguments: &[String]) -> Result<Child, Error> {
    Ok(Command::new(std::env::current_exe()?).args(arguments).env(RUNTIME_ENV.0, RUNTIME_ENV.1).spawn()?)
}

/// Nanoseconds from send to receipt, one for each message.
type Latencies = Arc<Mutex<Vec<i64>>>;

/// The receiving process.
async fn measure(seconds: u64, rate: u64) -> Result<(), Error> {
    let (hazards, bares) = (Latencies::default(), Latencies::default());
    let note = |into: &Latencies| {
        let into = Arc::clone(into);
        move |hazard: &Hazard| {
            let latency = now_nanos() - hazard.seen_at.unix_nanos();
            into.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
        }
    };
    let hooks = MeshHooks { on_hazard: Some(Arc::new(note(&hazards))), on_latch: None };
    let (mesh, mut events) = Mesh::open(&config("receiver", &[])?, hooks).await?;
    let session = bare_session(&[]).await?;
    let bare_note = note(&bares);
    let _subscriber = session
        .declare_subscriber(BARE_KEY)
        .callback(move |sample| {
            if let Ok(hazard) = Hazard::from_bytes(&sample.payload().to_bytes()) {
                bare_note(&hazard);
            }
        })
        .await?;
    let mesh_at = mesh.locators().await.first().cloned().ok_or("no locator")?;
    let bare_at = session.info().locators().await.first().map(ToString::to_string).ok_or("no locator")?;
    let mut children = Vec::new();
    if rate > 0 {
        let arguments = ["flood".to_owned(), seconds.to_string(), rate.to_string(), mesh_at.clone()];
        children.push(spawn(&arguments)?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut sender = spawn(&["send".to_owned(), seconds.to_string(), mesh_at, bare_at])?;
    while sender.try_wait()?.is_none() {
        let _next_event = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
    }
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    println!(
        r#"{{"flood_per_s":{rate},"hazard":{},"bare_zenoh":{},"limited":{},"intents":{}}}"#,
        summary(&hazards),
        summary(&bares),
        mesh.stats().limited,
        mesh.stats().intents,
    );
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["send", seconds, mesh_at, bare_at] => {
            send(seconds.parse()?, (*mesh_at).to_owned(), (*bare_at).to_owned()).await
        }
        ["flood", seconds, rate, mesh_at] => flood(seconds.parse()?, rate.parse()?, (*mesh_at).to_owned()).await,
        [seconds] => measure(seconds.parse()?, 0).await,
        [seconds, rate] => measure(seconds.parse()?, rate.parse()?).await,
        _ => Err("hazard_latency SECONDS [FLOOD_PER_SECOND]".into()),
    }
}
