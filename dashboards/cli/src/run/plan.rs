//! Everything a fleet needs, decided before the first process starts: readable files, programs, free ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use skein_types::polygon::Polygon;

use super::directory::{RunDirectory, write_whole};
use super::{ports, programs, sample};
use crate::args::FleetArgs;
use crate::clock;
use crate::failure::Failure;
use crate::output::{json, talk};
use crate::zone::{self, MapFacts, Zone};

const CLOUD_PORT: u16 = 8000;
const DEBUG_PORT: u16 = 8080;
/// A Unix socket's path has at most 107 bytes.
const SOCKET_BYTES_MAX: usize = 107;

/// What is started, with what.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub sim: PathBuf,
    pub cloud: PathBuf,
    pub edge: PathBuf,
    pub map: PathBuf,
    pub zone_file: PathBuf,
    pub zone: Zone,
    pub listen: SocketAddr,
    /// Of each robot's debug API.
    pub debug: Vec<SocketAddr>,
    pub fleet: String,
    pub socket: PathBuf,
    pub truth: PathBuf,
    pub seed: u64,
    pub people: u16,
    /// Processes that end are started again.
    pub restart: bool,
    pub purpose: Purpose,
    /// Folder of what the supervisor and the robots keep.
    pub state: PathBuf,
}

/// What a fleet is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `up`: the fleet of the run directory, with its name and its state; latches are kept.
    Up {
        /// Missions of the time before go on.
        keep_missions: bool,
    },
    /// `demo`: a fleet of its own that nothing is kept of.
    Demo,
}

impl Plan {
    /// Decides everything, or fails before anything is started.
    pub(crate) fn settle(args: &FleetArgs, directory: &RunDirectory, purpose: Purpose) -> Result<Self, Failure> {
        let (sim, cloud, edge) =
            (programs::find(programs::SIM)?, programs::find(programs::CLOUD)?, programs::find(programs::EDGE)?);
        let (map, zone_file) = match &args.map {
            Some(map) => (map.clone(), args.zone.clone()),
            None => {
                let (map, zone) = sample::write(&directory.file("map"))?;
                (map, Some(args.zone.clone().unwrap_or(zone)))
            }
        };
        let map = std::path::absolute(&map).map_err(|error| Failure::io("find", &map, &error))?;
        let facts = MapFacts::read(&map)?;
        let zone = match &zone_file {
            Some(file) => zone::read(file, Some(&facts))?,
            None => whole(&facts)?,
        };
        zone.notes.iter().for_each(|note| talk(&format!("note: {note}")));
        if let Some(note) = zone::check_inside(&zone, &facts)? {
            talk(&format!("note: {note}"));
        }
        let zone_file = directory.file("zone.geojson");
        write_whole(&zone_file, json(&zone::to_geojson(&zone))?.as_bytes())?;
        Ok(Self {
            sim,
            cloud,
            edge,
            map,
            zone_file,
            zone,
            listen: listen_address(args)?,
            debug: debug_addresses(args)?,
            fleet: match purpose {
                Purpose::Up { .. } => directory.fleet_name()?,
                Purpose::Demo => format!("demo-{}", clock::fresh_suffix()),
            },
            socket: socket_path(directory),
            truth: directory.file("truth.json"),
            seed: args.seed,
            people: args.people,
            restart: !args.no_restart,
            purpose,
            state: directory.file(match purpose {
                Purpose::Up { .. } => "state",
                Purpose::Demo => "demo-state",
            }),
        })
    }

    /// How many robots.
    pub(crate) fn robots(&self) -> usize {
        self.debug.len()
    }

    /// Where people and robots reach the supervisor.
    pub(crate) fn cloud_url(&self) -> String {
        format!("http://{}", self.listen)
    }
}

fn whole(map: &MapFacts) -> Result<Zone, Failure> {
    let (low, high) = map.bounds;
    let polygon =
        Polygon::rectangle(low, high).map_err(|error| Failure::usage(format!("the map has no area: {error}")))?;
    Ok(Zone { name: Some("the whole map".to_owned()), polygon, notes: Vec::new() })
}

fn listen_address(args: &FleetArgs) -> Result<SocketAddr, Failure> {
    let wanted = args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, CLOUD_PORT)));
    if ports::is_free(wanted) {
        return if wanted.port() == 0 { ports::any_free() } else { Ok(wanted) };
    }
    if args.listen.is_some() {
        return Err(ports::taken(wanted, "the supervisor", "--listen"));
    }
    let other = ports::any_free()?;
    talk(&format!("note: {wanted} is in use; the supervisor listens on {other}"));
    Ok(other)
}

/// Concrete ports, so that a robot that is started again is found where it was.
fn debug_addresses(args: &FleetArgs) -> Result<Vec<SocketAddr>, Failure> {
    let first = args.debug_port.unwrap_or(DEBUG_PORT);
    let mut free = ports::Free::default();
    let mut moved = 0;
    let mut addresses = Vec::with_capacity(usize::from(args.robots));
    for number in 0..args.robots {
        let wanted = first.checked_add(number).filter(|_| first != 0);
        let wanted = wanted.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        match wanted.filter(|address| ports::is_free(*address)) {
            Some(address) => addresses.push(address),
            None => {
                if let (Some(_), Some(address)) = (args.debug_port.filter(|port| *port != 0), wanted) {
                    return Err(ports::taken(address, "a robot's debug API", "--debug-port"));
                }
                moved += 1;
                addresses.push(free.next()?);
            }
        }
    }
    if moved > 0 && first != 0 {
        talk(&format!(
            "note: {moved} of the ports from {first} on are in use; those robots take others (see `skein robot ls`)"
        ));
    }
    Ok(addresses)
}

fn socket_path(directory: &RunDirectory) -> PathBuf {
    let here = directory.file("world.sock");
    if here.as_os_str().len() <= SOCKET_BYTES_MAX {
        return here;
    }
    Path::new("/tmp").join(format!("skein-{}-world.sock", std::process::id()))
}

/// Clears what an earlier fleet left behind in a run directory: logs, and the state of a demo. The state of `up` stays:
/// it holds the operator latches.
pub(super) fn clear(directory: &RunDirectory, plan: &Plan) -> Result<(), Failure> {
    let logs = directory.file("logs");
    let is_demo = plan.purpose == Purpose::Demo;
    for folder in [Some(&logs), Some(&plan.state).filter(|_| is_demo)].into_iter().flatten() {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| Failure::io("clear", folder, &error))?;
        }
    }
    for file in [&plan.socket, &plan.truth] {
        // Usually there is none.
        let _ = fs::remove_file(file);
    }
    for folder in [&logs, &plan.state] {
        fs::create_dir_all(folder).map_err(|error| Failure::io("make", folder, &error))?;
    }
    Ok(())
}
