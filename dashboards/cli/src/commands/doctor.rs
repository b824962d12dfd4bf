//! `skein doctor`: checks of this machine, each with its repair.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use super::{show, version};
use crate::args::Doctor;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Table, talk};
use crate::run::{is_free, programs};

/// Where robots find each other; another port, so that a running fleet is not disturbed.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 224);
/// Bits of `CapEff` in `/proc/self/status`.
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;
/// What a robot locks into memory.
const MEMLOCK_BYTES: u64 = 64 * 1024 * 1024;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckOutcome {
    Ok,
    /// It works, less well.
    Warning,
    /// It will not work.
    Error,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    verdict: CheckOutcome,
    found: String,
    fix: String,
}

impl Check {
    fn new(name: impl Into<String>, verdict: CheckOutcome, found: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = if verdict == CheckOutcome::Ok { String::new() } else { fix.into() };
        Self { name: name.into(), verdict, found: found.into(), fix }
    }
}

pub(super) fn doctor(context: &Context, args: &Doctor) -> Result<Exit, Failure> {
    let is_up = context.directory.is_up();
    let mut checks: Vec<Check> = programs::ALL.iter().map(|name| program(name)).collect();
    if !is_up {
        checks.push(port("port of the supervisor", args.port, "--listen 127.0.0.1:PORT"));
        checks.push(debug_ports(args));
    }
    checks.extend([processors(args.robots), real_time(), locked_memory(), multicast(), writable(context)]);
    output::show(context.format(), &checks, || {
        let mut table = Table::new(&["CHECK", "VERDICT", "FOUND", "FIX"], 4);
        for check in &checks {
            let fix = if check.fix.is_empty() { "–".to_owned() } else { check.fix.clone() };
            table.row([check.name.clone(), show::word(&check.verdict), check.found.clone(), fix]);
        }
        table
    })?;
    let worst = checks.iter().filter(|check| check.verdict == CheckOutcome::Error).count();
    if worst == 0 {
        return Ok(Exit::Ok);
    }
    talk(&format!("{worst} of {} checks failed", checks.len()));
    Ok(Exit::Failed)
}

fn program(name: &str) -> Check {
    let fix = "build the programs with `make build`, or put their folder on PATH";
    let own = env!("CARGO_PKG_VERSION");
    match (programs::find(name), version::of_program(name)) {
        (Err(failure), _) => Check::new(name, CheckOutcome::Error, failure.to_string(), fix),
        (Ok(path), Some(version)) if version == own => {
            Check::new(name, CheckOutcome::Ok, format!("{version} at {}", path.display()), fix)
        }
        (Ok(path), version) => {
            let version = version.unwrap_or_else(|| "no version".to_owned());
            Check::new(name, CheckOutcome::Warning, format!("{version} at {}, this is {own}", path.display()), fix)
        }
    }
}

fn port(name: &str, port: u16, flag: &str) -> Check {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let fix = format!("end what listens there (`ss -ltnp`), or choose another port with {flag}");
    if is_free(address) {
        Check::new(name, CheckOutcome::Ok, format!("{address} is free"), fix)
    } else {
        Check::new(name, CheckOutcome::Warning, format!("{address} is in use"), fix)
    }
}

fn debug_ports(args: &Doctor) -> Check {
    let last = args.debug_port.saturating_add(args.robots.saturating_sub(1));
    let taken: Vec<u16> =
        (args.debug_port..=last).filter(|port| !is_free(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))).collect();
    let name = "ports of the robots";
    if taken.is_empty() {
        return Check::new(name, CheckOutcome::Ok, format!("{} to {last} are free", args.debug_port), "");
    }
    let fix = "robots take other ports by themselves; or choose them with --debug-port PORT";
    let taken: Vec<String> = taken.iter().map(u16::to_string).collect();
    Check::new(name, CheckOutcome::Warning, format!("in use: {}", taken.join(", ")), fix)
}

fn processors(robots: u16) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A robot takes up to 8 % of a core; half of the machine is left for the world and everything else.
    let needed = (f64::from(robots) * 0.08 * 2.0).ceil().max(2.0) as usize;
    let found = format!("{cores} cores for {robots} robots");
    let verdict = if cores >= needed { CheckOutcome::Ok } else { CheckOutcome::Warning };
    Check::new(
        "processors",
        verdict,
        found,
        format!("{needed} cores keep the reflexes on time; start fewer robots here"),
    )
}

fn has_capability(bit: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).is_some_and(|bits| bits >> bit & 1 == 1)
}

fn real_time() -> Check {
    let limit = getrlimit(Resource::Rtprio).current.unwrap_or(u64::MAX);
    let may = has_capability(CAP_SYS_NICE) || limit > 0;
    let found = if may { "reflex threads may be SCHED_FIFO" } else { "reflex threads may not be SCHED_FIFO" };
    let fix = "add `@robots - rtprio 80` to /etc/security/limits.d/skein.conf, or `setcap cap_sys_nice,cap_ipc_lock+ep skein-edge`";
    Check::new("real time", if may { CheckOutcome::Ok } else { CheckOutcome::Warning }, found, fix)
}

fn locked_memory() -> Check {
    let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
    let may = has_capability(CAP_IPC_LOCK) || limit >= MEMLOCK_BYTES;
    let found =
        if may { "a robot's memory can be locked".to_owned() } else { format!("only {limit} bytes may be locked") };
    let fix = "add `@robots - memlock 131072` to /etc/security/limits.d/skein.conf, or give skein-edge cap_ipc_lock";
    Check::new("locked memory", if may { CheckOutcome::Ok } else { CheckOutcome::Warning }, found, fix)
}

fn multicast() -> Check {
    let fix =
        "`ip link set lo multicast on` and `ip route add 224.0.0.0/4 dev lo`, or connect robots with --mesh-connect";
    match multicast_on_loopback() {
        Ok(()) => Check::new("multicast", CheckOutcome::Ok, "works on the loopback interface", fix),
        Err(error) => {
            Check::new("multicast", CheckOutcome::Error, format!("not on the loopback interface: {error}"), fix)
        }
    }
}

/// Sends a datagram to the group and receives it.
fn multicast_on_loopback() -> io::Result<()> {
    let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    receiver.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)?;
    receiver.set_read_timeout(Some(Duration::from_secs(1)))?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::sockopt::set_ip_multicast_if(&sender, &Ipv4Addr::LOCALHOST)?;
    sender.set_multicast_loop_v4(true)?;
    sender.send_to(b"skein doctor", (GROUP, receiver.local_addr()?.port()))?;
    let mut received = [0_u8; 16];
    receiver.recv_from(&mut received).map(drop)
}

fn writable(context: &Context) -> Check {
    let root = context.directory.root();
    let at = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(root);
    let may = rustix::fs::access(at, rustix::fs::Access::WRITE_OK).is_ok();
    let found = format!("{} {} be written", at.display(), if may { "can" } else { "cannot" });
    let verdict = if may { CheckOutcome::Ok } else { CheckOutcome::Error };
    Check::new("run directory", verdict, found, "choose another folder with --dir FOLDER")
}
