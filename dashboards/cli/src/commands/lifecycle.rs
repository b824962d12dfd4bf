//! `up`, `down`: starting and ending a simulated fleet.
//!
//! `up` returns when everything is healthy. A second `skein` in the background (the keeper: this program again with
//! `--foreground`) supervises the processes; the kernel ends them when the keeper ends, for whatever reason.

use core::time::Duration;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, setsid};

use super::status;
use crate::args::Up;
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Format, talk};
use crate::run::{Fleet, Plan, ProcessRecord, Purpose, RunRecord};

/// Set for the keeper, so that it leaves the terminal's session.
const KEEPER: &str = "SKEIN_KEEPER";
/// Period of the keeper's looks at its processes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often a person's command looks whether something has come true.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// A fleet that was asked to end has this long.
const END_WITHIN: Duration = Duration::from_secs(40);

pub(super) async fn up(context: &Context, args: Up) -> Result<Exit, Failure> {
    if args.foreground { keep(context, args).await } else { up_behind(context).await }
}

/// Keeps a fleet until it is asked to end.
async fn keep(context: &Context, args: Up) -> Result<Exit, Failure> {
    let is_behind = std::env::var_os(KEEPER).is_some();
    if is_behind {
        // Fails only when this already leads a session.
        let _ = setsid();
    }
    let mut interrupt = Interrupt::listen()?;
    let lock = context.directory.lock()?;
    let purpose = Purpose::Up { keep_missions: args.keep_state };
    let plan = Plan::settle(&args.fleet, &context.directory, purpose)?;
    let mut fleet = Fleet::launch(&plan, context.directory.clone(), lock, &mut interrupt).await?;
    if !is_behind {
        show_record(context, fleet.record())?;
        talk("Ctrl-C ends the fleet");
    }
    loop {
        tokio::select! {
            () = interrupt.heard() => {
                fleet.end().await;
                return Ok(if is_behind { Exit::Ok } else { Exit::Interrupted });
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        fleet.poll().iter().for_each(|news| talk(news));
        if !fleet.has_world() {
            fleet.end().await;
            return Err(Failure::failed("the world ended and was not started again; everything else is ended too")
                .help("look into its log in the run directory"));
        }
    }
}

/// Starts the keeper and waits until it says that everything is up.
async fn up_behind(context: &Context) -> Result<Exit, Failure> {
    drop(context.directory.lock()?);
    let mut interrupt = Interrupt::listen()?;
    let log = context.directory.file("up.log");
    let file = File::create(&log).map_err(|error| Failure::io("write", &log, &error))?;
    context.directory.remove_record();
    let mut keeper = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .arg("--foreground")
        .env(KEEPER, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|error| Failure::failed(format!("cannot start the keeper: {error}")))?;
    let mut told = 0;
    loop {
        let was_interrupted = tokio::select! {
            () = interrupt.heard() => true,
            () = tokio::time::sleep(ASK_EVERY) => false,
        };
        if was_interrupted {
            let _ = kill_process(Pid::from_child(&keeper), Signal::TERM);
        }
        let ended = keeper.try_wait().map_err(|error| Failure::failed(format!("cannot watch the keeper: {error}")))?;
        told = pass_on(&log, told);
        if let Some(status) = ended {
            return Ok(exit_of(status.code(), was_interrupted));
        }
        if let Some(record) = context.directory.record()?.filter(|record| record.ready) {
            show_record(context, &record)?;
            return Ok(Exit::Ok);
        }
    }
}

/// What the keeper says while starting is the person's to read.
fn pass_on(log: &std::path::Path, told: usize) -> usize {
    let text = fs::read(log).unwrap_or_default();
    let fresh = String::from_utf8_lossy(text.get(told..).unwrap_or_default()).into_owned();
    if !fresh.is_empty() {
        talk(fresh.trim_end());
    }
    text.len()
}

fn exit_of(code: Option<i32>, was_interrupted: bool) -> Exit {
    match code {
        Some(2) => Exit::Usage,
        Some(3) => Exit::NotFound,
        Some(4) => Exit::Refused,
        Some(5) => Exit::Unreachable,
        Some(130) => Exit::Interrupted,
        _ if was_interrupted => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

fn show_record(context: &Context, record: &RunRecord) -> Result<(), Failure> {
    if matches!(context.format(), Format::Table | Format::Wide) {
        talk(&format!(
            "{} robots are up; supervisor at {}; logs in {}",
            record.robots,
            record.cloud,
            context.directory.file("logs").display()
        ));
        talk("next: skein mission submit, skein status, skein down");
    }
    output::show(context.format(), record, || status::processes(&record.processes))
}

pub(super) async fn down(context: &Context) -> Result<Exit, Failure> {
    let Some(record) = context.directory.record()? else {
        talk(&format!("nothing is up in {}", context.dir().display()));
        return Ok(Exit::Ok);
    };
    let is_kept = context.directory.is_up();
    if is_kept {
        signal(record.pid, Signal::TERM);
    } else {
        // The keeper is gone; what it left behind is ended here.
        record.processes.iter().filter(|p| p.is_alive()).for_each(|p| signal(p.pid, Signal::TERM));
    }
    let deadline = clock::now() + END_WITHIN;
    while context.directory.is_up() || record.processes.iter().any(ProcessRecord::is_alive) {
        if clock::now() > deadline {
            record.processes.iter().filter(|p| p.is_alive()).for_each(|p| signal(p.pid, Signal::KILL));
            context.directory.remove_record();
            return Err(Failure::failed(format!(
                "the fleet did not end within {} s and was killed",
                END_WITHIN.as_secs()
            )));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    context.directory.remove_record();
    talk(&format!("{} processes ended", record.processes.len()));
    Ok(Exit::Ok)
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended a moment ago.
        let _ = kill_process(pid, signal);
    }
}
