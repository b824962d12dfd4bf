//! What one control cycle of coordination costs with ten peers near: prints one JSON line with microseconds per
//! answer, without and with a search for a place aside.
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::time::{Duration, Instant};

use skein_coord::{Coord, CoordConfig, Guidance, Input, OwnState};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::body::BodyDescriptor;
use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::Priority;
use skein_types::region::RegionFrame;
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

const PEERS: usize = 10;
const CYCLES: u32 = 4_000;

fn peer(i: usize, sequence: u64) -> Result<Intent, Box<dyn std::error::Error>> {
    let angle = i as f64 * std::f64::consts::TAU / PEERS as f64;
    let place = Point::new(20.0, 20.0) + Point::from_heading(angle) * 3.0;
    let path = (1..20).map(|k| place - Point::from_heading(angle + 0.1 * f64::from(k)) * (0.4 * f64::from(k)));
    let pose = Pose::new(place.x, place.y, angle);
    let sender = AgentId::new(format!("rover-{i}"))?;
    Ok(Intent {
        sequence,
        velocity: Point::from_heading(angle) * -0.5,
        path: path.collect(),
        state: AgentState::Executing,
        ..Intent::standing(sender, BootId(Default::default()), pose, Meters(0.25))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let frame = RegionFrame { origin: Point::default(), resolution: 0.1, width: 400, height: 400 };
    let map = PlanningMap::new(
        &OccupancyMap::from_cells(frame, |_| Cell::Free),
        &PlanningParams::for_body(&BodyDescriptor::rover()),
    )?;
    let config = CoordConfig { id: AgentId::new("z")?, boot: BootId(Default::default()), radius: Meters(0.25) };
    let mut coord = Coord::new(config);
    let own = OwnState {
        pose: Pose::new(20.0, 20.0, 0.0),
        pose_age: Duration::ZERO,
        velocity: Point::default(),
        path: (1..40).map(|k| Point::new(20.0 + 0.25 * f64::from(k), 20.0 + 0.02 * f64::from(k))).collect(),
        state: AgentState::Executing,
        priority: Priority::NORMAL,
        carrying: false,
        emergency: false,
        wall: WallTime::default(),
    };
    let mut times: Vec<(Duration, bool)> = Vec::new();
    let mut now = MonoTime::from_millis(1);
    for cycle in 0..CYCLES {
        now = now + Duration::from_millis(50);
        if cycle % 2 == 0 {
            for i in 0..PEERS {
                coord.handle(now, Input::Intent(peer(i, u64::from(cycle))?));
            }
        }
        coord.handle(now, Input::Own(own.clone()));
        let start = Instant::now();
        let guidance = coord.guidance(now, &map, &own);
        times.push((start.elapsed(), matches!(guidance, Guidance::Go)));
        while coord.poll_output().is_some() {}
    }
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0.0, |t| t.0.as_secs_f64() * 1e6);
    println!(r#"{{"peers":{PEERS},"p50_us":{:.1},"p99_us":{:.1},"worst_us":{:.1}}}"#, at(0.5), at(0.99), at(0.9999));
    Ok(())
}
