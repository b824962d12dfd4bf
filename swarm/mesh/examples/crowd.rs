//! What one robot's mesh costs: `crowd NAME SECONDS` publishes an intent ten times a second beside the other
//! processes of this example, then prints one JSON line with its processor time, its memory and what it heard.

use std::time::Duration;

use skein_mesh::{Mesh, MeshConfig, MeshEvent, MeshHooks};
use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::units::Meters;

fn intent(sender: &AgentId, sequence: u64) -> Intent {
    let boot = BootId(uuid::Uuid::from_u128(1));
    Intent {
        sequence,
        velocity: Point::new(0.5, 0.5),
        path: (0..12).map(|i| Point::new(f64::from(i), 2.0)).collect(),
        state: AgentState::Executing,
        ..Intent::standing(sender.clone(), boot, Pose::new(1.0, 2.0, 0.5), Meters(0.25))
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let agent = AgentId::new(arguments.next().ok_or("crowd NAME SECONDS")?)?;
    let seconds: u64 = arguments.next().ok_or("crowd NAME SECONDS")?.parse()?;
    let config = MeshConfig::loopback(FleetId::new("crowd")?, agent.clone());
    let (mesh, mut events) = Mesh::open(&config, MeshHooks::default()).await?;
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let (mut sequence, mut heard, mut peers) = (0, 0_u64, 0_i64);
    while sequence < seconds * 10 {
        tokio::select! {
            _ = tick.tick() => {
                sequence += 1;
                mesh.publish_intent(intent(&agent, sequence))?;
            }
            Some(event) = events.recv() => match event {
                MeshEvent::Intent(_) => heard += 1,
                MeshEvent::PeerAlive { alive, .. } => peers += if alive { 1 } else { -1 },
                MeshEvent::Hazard(_) | MeshEvent::MapHazard { .. } | MeshEvent::Up | MeshEvent::Down => {}
            },
        }
    }
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |key: &str| status.lines().find(|l| l.starts_with(key)).map(|l| l.split_whitespace().nth(1).unwrap_or(""));
    println!(
        r#"{{"agent":"{agent}","peers":{peers},"heard":{heard},"cpu_s":{cpu_s:.3},"cpu_percent":{:.2},"rss_kib":{},"peak_kib":{},"threads":{}}}"#,
        cpu_s / seconds as f64 * 100.0,
        of("VmRSS:").unwrap_or("0"),
        of("VmHWM:").unwrap_or("0"),
        of("Threads:").unwrap_or("0"),
    );
    mesh.close().await?;
    Ok(())
}
