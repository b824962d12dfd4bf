//! `status`: processes, robots and missions of the fleet.

use core::time::Duration;

use serde_json::{Value, json};
use skein_types::fleet::RobotView;
use skein_types::mission::Mission;

use super::show;
use crate::client::Cloud;
use crate::context::{Context, Target};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, talk};
use crate::run::{ProcessRecord, procfs};

/// Longest wait for the supervisor when `--timeout` is absent: a person waits for this command.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn status(context: &Context) -> Result<Exit, Failure> {
    let target = context.target()?;
    let answer = ask(context, &target).await;
    let processes = target.record.as_ref().map(|record| record.processes.as_slice()).unwrap_or_default();
    let (robots, missions) = match &answer {
        Ok((robots, missions)) => (robots.as_slice(), missions.as_slice()),
        Err(failure) if target.record.is_none() => return Err(unreachable(failure)),
        Err(_) => (&[][..], &[][..]),
    };
    let value = json!({
        "supervisor": target.cloud,
        "fleet": target.record.as_ref().map(|record| &record.fleet),
        "reachable": answer.is_ok(),
        "up": target.record.is_some(),
        "processes": processes.iter().map(process_value).collect::<Vec<_>>(),
        "robots": robots,
        "missions": missions,
    });
    print(context.format(), &value, processes_table(processes), robots, missions)?;
    match answer {
        Ok(_) => Ok(Exit::Ok),
        Err(failure) => {
            talk(&format!("{failure}; robots go on without the supervisor"));
            Ok(Exit::Unreachable)
        }
    }
}

async fn ask(context: &Context, target: &Target) -> Result<(Vec<RobotView>, Vec<Mission>), Failure> {
    let within = context.timeout().unwrap_or(ANSWER_WITHIN);
    let cloud = Cloud::connect(&target.cloud, within).await?;
    Ok((cloud.robots().await?, cloud.missions().await?))
}

fn unreachable(failure: &Failure) -> Failure {
    Failure::new(failure.exit(), failure.to_string())
        .help("start a simulated fleet with `skein up`, or name another supervisor with --cloud http://ADDRESS")
}

fn print(
    format: Format,
    value: &Value,
    processes: Option<Table>,
    robots: &[RobotView],
    missions: &[Mission],
) -> Result<(), Failure> {
    if !matches!(format, Format::Table | Format::Wide) {
        return output::show(format, value, || show::robots(robots));
    }
    let robots = (!robots.is_empty()).then(|| show::robots(robots));
    let missions = (!missions.is_empty()).then(|| show::missions(missions));
    for (index, table) in [processes, robots, missions].into_iter().flatten().enumerate() {
        if index > 0 {
            output::data("\n")?;
        }
        output::show(format, value, || table)?;
    }
    Ok(())
}

fn process_value(process: &ProcessRecord) -> Value {
    json!({
        "name": process.name,
        "pid": process.pid,
        "alive": process.is_alive(),
        "restarts": process.restarts,
        "last_exit": process.last_exit,
        "given_up": process.has_given_up,
        "debug": process.debug,
        "log": process.log,
    })
}

fn processes_table(records: &[ProcessRecord]) -> Option<Table> {
    (!records.is_empty()).then(|| processes(records))
}

/// Processes as rows.
pub(super) fn processes(records: &[ProcessRecord]) -> Table {
    let mut table = Table::new(&["PROCESS", "PID", "ALIVE", "RESTARTS", "LAST EXIT", "CPU", "MEMORY", "LOG"], 7);
    for process in records {
        let is_alive = process.is_alive();
        let stat = procfs::stat(process.pid).filter(|_| is_alive);
        let memory = procfs::memory(process.pid).filter(|_| is_alive);
        table.row([
            process.name.clone(),
            process.pid.to_string(),
            alive(is_alive, process.has_given_up).to_owned(),
            process.restarts.to_string(),
            process.last_exit.clone().unwrap_or_else(|| "–".to_owned()),
            stat.map_or_else(|| "–".to_owned(), |stat| format!("{:.1} s", stat.cpu_s)),
            memory.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0)),
            process.log.display().to_string(),
        ]);
    }
    table
}

fn alive(is_alive: bool, has_given_up: bool) -> &'static str {
    match (is_alive, has_given_up) {
        (true, _) => "yes",
        (false, false) => "no",
        (false, true) => "given up",
    }
}
