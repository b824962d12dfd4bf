//! `up`, `down`, `status`: a simulated fleet's life.
//!
//! `up` comes back when everything is healthy; a second `skein` in the background (the keeper: this program again with
//! `--foreground`) keeps the processes, and they end with it whatever becomes of it.

use core::time::Duration;
use std::fs::{self, File};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, setsid};
use serde_json::json;

use super::{Context, show};
use crate::args::Up;
use crate::client::Cloud;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Format, Table, talk};
use crate::run::{Fleet, Plan, ProcessRecord, Record, procfs};

/// Set for the keeper, so that it leaves the terminal's session.
const KEEPER: &str = "SKEIN_KEEPER";
/// How often the keeper looks at its processes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
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
    let plan = Plan::settle(&args.fleet, &context.directory, args.keep_state)?;
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
        for news in fleet.poll()? {
            talk(&news);
        }
        if !fleet.has_world() {
            fleet.end().await;
            return Err(Failure::failed("the world ended, and everything with it")
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

fn show_record(context: &Context, record: &Record) -> Result<(), Failure> {
    if matches!(context.common.output, Format::Table | Format::Wide) {
        talk(&format!(
            "{} robots are up; supervisor at {}; logs in {}",
            record.robots,
            record.cloud,
            context.directory.file("logs").display()
        ));
        talk("next: skein mission submit, skein status, skein down");
    }
    output::show(context.common.output, record, || processes(&record.processes))
}

fn processes(records: &[ProcessRecord]) -> Table {
    let mut table = Table::new(&["PROCESS", "PID", "ALIVE", "CPU", "MEMORY", "LOG"], 5);
    for process in records {
        let is_alive = process.is_alive();
        let stat = procfs::stat(process.pid).filter(|_| is_alive);
        let memory = procfs::memory(process.pid).filter(|_| is_alive);
        table.row([
            process.name.clone(),
            process.pid.to_string(),
            if is_alive { "yes" } else { "no" }.to_owned(),
            stat.map_or_else(|| "–".to_owned(), |stat| format!("{:.1} s", stat.cpu_s)),
            memory.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0)),
            process.log.display().to_string(),
        ]);
    }
    table
}

pub(super) async fn down(context: &Context) -> Result<Exit, Failure> {
    let Some(record) = context.directory.record()? else {
        talk(&format!("nothing is up in {}", context.directory.root().display()));
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

pub(super) async fn status(context: &Context) -> Result<Exit, Failure> {
    let current = context.current()?;
    let url = context.cloud_url()?;
    let cloud = Cloud::connect(&url, context.answer_within()).await;
    if current.is_none() && cloud.is_err() {
        return Err(Failure::new(
            Exit::Unreachable,
            format!("nothing is up in {} and no supervisor answers at {url}", context.directory.root().display()),
        )
        .help("start a simulated fleet with `skein up`, or name a supervisor with --cloud URL"));
    }
    let (robots, missions) = match &cloud {
        Ok(cloud) => (cloud.robots().await?, cloud.missions().await?),
        Err(_) => (Vec::new(), Vec::new()),
    };
    let alive: Vec<_> = current
        .iter()
        .flat_map(|record| &record.processes)
        .map(|process| json!({"name": process.name, "pid": process.pid, "alive": process.is_alive(), "log": process.log}))
        .collect();
    let value = json!({
        "supervisor": url,
        "reachable": cloud.is_ok(),
        "up": current.is_some(),
        "processes": alive,
        "robots": robots,
        "missions": missions,
    });
    if matches!(context.common.output, Format::Table | Format::Wide) {
        if let Some(record) = &current {
            output::show(context.common.output, &value, || processes(&record.processes))?;
        }
        for table in [show::robots(&robots), show::missions(&missions)] {
            output::data("\n")?;
            output::show(context.common.output, &value, || table)?;
        }
    } else {
        output::show(context.common.output, &value, || show::robots(&robots))?;
    }
    if cloud.is_err() {
        talk(&format!("the supervisor at {url} does not answer; robots go on without it"));
        return Ok(Exit::Unreachable);
    }
    Ok(Exit::Ok)
}
