//! A flood of well-formed intents, from more names than a fleet has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::units::Meters;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use zenoh::Wait;

use crate::child::ready_until_closed;
use crate::clock::{now, sleep_until, wall};

/// Messages a second of a hostile sender.
pub(crate) const RATE: u64 = 20_000;
const NAMES: u64 = 40;
/// Period of a burst.
const BURST: Duration = Duration::from_millis(2);

/// A Zenoh session on loopback, as a robot has it, without anything of ours around it.
pub(crate) fn bare_session() -> Result<zenoh::Session> {
    let mut config = zenoh::Config::default();
    for (key, value) in [
        ("mode", "\"peer\""),
        ("listen/endpoints", "[\"tcp/127.0.0.1:0\"]"),
        ("scouting/multicast/interface", "\"lo\""),
    ] {
        config.insert_json5(key, value).map_err(|e| anyhow!("{key}: {e}"))?;
    }
    zenoh::open(config).wait().map_err(|e| anyhow!("a bare Zenoh session: {e}"))
}

/// In a child: publishes until the input is closed, then prints how many messages went out.
pub(crate) fn run(fleets: &[FleetId], rate: u64) -> Result<()> {
    let session = bare_session()?;
    let agents: Vec<AgentId> = (0..NAMES).map(|i| AgentId::new(format!("flood-{i}"))).collect::<Result<_, _>>()?;
    // The fleets take turns.
    let keys: Vec<SwarmKeys> = fleets.iter().cloned().map(SwarmKeys::new).collect();
    let name = |index: usize| {
        let agent = agents.get(index % agents.len())?;
        let keys = keys.get(index % keys.len())?;
        Some((agent.clone(), keys.key(&SwarmKey::Presence(agent.clone()))))
    };
    let turns: Vec<(AgentId, String)> = (0..agents.len() * keys.len()).filter_map(name).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let sent = std::thread::scope(|scope| -> Result<u64> {
        let flooding = scope.spawn(|| flood(&session, &turns, rate, &stop));
        let closed = ready_until_closed();
        stop.store(true, Ordering::Relaxed);
        closed?;
        flooding.join().map_err(|_| anyhow!("the flood ended early"))?
    })?;
    println!("{sent}");
    Ok(())
}

fn flood(session: &zenoh::Session, turns: &[(AgentId, String)], rate: u64, stop: &AtomicBool) -> Result<u64> {
    ensure!(!turns.is_empty(), "no fleet to flood");
    let round = turns.len() as u64;
    let per_burst = rate * u64::try_from(BURST.as_millis())? / 1000;
    let (start, mut sent) = (now(), 0_u64);
    let mut burst = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..per_burst {
            let Some((agent, name)) = turns.get(usize::try_from(sent % round)?) else { break };
            let bytes = intent(agent, sent / round + 1).to_bytes();
            session.put(name.as_str(), bytes).wait().map_err(|e| anyhow!("{name}: {e}"))?;
            sent += 1;
        }
        burst += 1;
        sleep_until(start + BURST * burst);
    }
    Ok(sent)
}

fn intent(sender: &AgentId, sequence: u64) -> Intent {
    let boot = BootId(uuid::Uuid::from_u128(1));
    Intent {
        sequence,
        sent_at: wall(),
        velocity: Point::new(0.5, 0.5),
        path: (0..12).map(|i| Point::new(200.0 + f64::from(i), 200.0)).collect(),
        state: AgentState::Executing,
        ..Intent::standing(sender.clone(), boot, Pose::new(200.0, 200.0, 0.5), Meters(0.25))
    }
}
