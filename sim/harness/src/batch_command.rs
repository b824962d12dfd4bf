//! `skein-sim batch`: many runs from the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use skein_sim::batch::{BatchConfig, Case, Outcome, Seeds, cases, run};
use skein_sim::{clock, junit};
use skein_types::body::BodyDescriptor;

use crate::place_args::PlaceArgs;
use crate::stop::stop_on_signals;
use crate::{FAILED, Format, INTERRUPTED, print_line};

/// Outcomes that wait to be printed: a run takes seconds, a line takes none.
const WAITING_MAX: usize = 16;

#[derive(clap::Args)]
pub(crate) struct BatchArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How many rovers; several numbers with commas.
    #[arg(long, default_value = "6", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=512))]
    robots: Vec<u16>,
    /// The seeds: 7, 1..10 (both ends included), 1..3,7.
    #[arg(long, default_value = "1..10")]
    seeds: Seeds,
    /// A run ends at the latest after so many minutes of virtual time.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// How many runs at once; as many as the machine has cores when it is missing.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Writes the result of every case as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// The whole batch, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    passed: usize,
    failed: usize,
    not_run: usize,
    runs: Vec<&'a Outcome>,
}

/// Number of the case, its result, and how many real seconds it took.
type Done = (usize, Outcome, f64);

pub(crate) fn command(args: &BatchArgs) -> anyhow::Result<ExitCode> {
    let batch = batch_config(args)?;
    let robots: Vec<usize> = args.robots.iter().map(|&robots| usize::from(robots)).collect();
    let cases = cases(&robots, &args.seeds);
    let jobs = args.jobs.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let stop = stop_on_signals()?;
    let done = run_all(&batch, &cases, jobs.unwrap_or(1), &stop, args.output)?;
    let mut rows: Vec<junit::Row> = cases.into_iter().map(|case| (case, None)).collect();
    for (number, outcome, seconds) in done {
        rows.iter_mut().skip(number).take(1).for_each(|row| row.1 = Some((outcome.clone(), seconds)));
    }
    if let Some(path) = &args.junit {
        let failed = || format!("cannot write {}", path.display());
        std::fs::write(path, junit::document(&rows)).with_context(failed)?;
    }
    conclude(&rows, args.output)
}

fn batch_config(args: &BatchArgs) -> anyhow::Result<BatchConfig> {
    let (place, zone) = args.place.load(&BodyDescriptor::rover())?;
    let limit = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is no time")?;
    let minutes = if args.minutes == 30.0 { String::new() } else { format!("--minutes {} ", args.minutes) };
    Ok(BatchConfig { place, zone, limit, flags: args.place.flags() + &minutes })
}

/// Runs the cases on some threads and prints each result as soon as it is known.
fn run_all(
    batch: &BatchConfig,
    cases: &[Case],
    jobs: usize,
    stop: &AtomicBool,
    output: Format,
) -> anyhow::Result<Vec<Done>> {
    let next = AtomicUsize::new(0);
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        for number in 0..jobs.min(cases.len()) {
            let (sender, next) = (sender.clone(), &next);
            let worker = std::thread::Builder::new().name(format!("batch-{number}"));
            let work = move || work(batch, cases, next, stop, &sender);
            worker.spawn_scoped(scope, work).context("cannot start a thread")?;
        }
        drop(sender);
        for (number, outcome, seconds) in receiver {
            let line = line(done.len() + 1, cases.len(), &outcome);
            match output {
                Format::Json => eprintln!("{line}"),
                Format::Table => print_line(&line).inspect_err(|_| stop.store(true, Ordering::Relaxed))?,
            }
            done.push((number, outcome, seconds));
        }
        Ok(done)
    })
}

/// One thread: takes the next case until none is left or a signal came.
fn work(batch: &BatchConfig, cases: &[Case], next: &AtomicUsize, stop: &AtomicBool, done: &SyncSender<Done>) {
    let go_on = || !stop.load(Ordering::Relaxed);
    while go_on() {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(number) else { return };
        let started = clock::now();
        let Some(outcome) = run(batch, case, &go_on) else { return };
        if done.send((number, outcome, clock::now().secs_since(started))).is_err() {
            return;
        }
    }
}

fn line(number: usize, of: usize, outcome: &Outcome) -> String {
    let verdict = if outcome.passed { "ok  " } else { "FAIL" };
    let closest = outcome.closest_m.map_or("     -".to_owned(), |closest| format!("{closest:4.2} m"));
    let width = of.to_string().len();
    let mut text = format!(
        "{number:width$}/{of} {verdict} seed {:<4} robots {:<3} swept {:6.2} %  contacts {:<2} closest {closest}  {:5.0} s  {}",
        outcome.seed,
        outcome.robots,
        // Never rounded up to more than there is.
        (outcome.coverage_ratio * 10_000.0).floor() / 100.0,
        outcome.contacts,
        outcome.time_s,
        outcome.faults
    );
    if !outcome.passed {
        outcome.failures.iter().for_each(|failure| {
            text.push_str("\n       ");
            text.push_str(failure);
        });
        text.push_str("\n       repeat with: ");
        text.push_str(&outcome.repeat);
    }
    text
}

fn conclude(rows: &[junit::Row], output: Format) -> anyhow::Result<ExitCode> {
    let runs: Vec<&Outcome> = rows.iter().filter_map(|(_, row)| row.as_ref().map(|(outcome, _)| outcome)).collect();
    let passed = runs.iter().filter(|outcome| outcome.passed).count();
    let (failed, not_run) = (runs.len() - passed, rows.len() - runs.len());
    let rest = if not_run > 0 { format!(", {not_run} not run") } else { String::new() };
    let last = format!("{passed} passed, {failed} failed{rest}");
    match output {
        Format::Json => {
            print_line(&serde_json::to_string_pretty(&Summary { passed, failed, not_run, runs })?)?;
            eprintln!("{last}");
        }
        Format::Table => print_line(&last)?,
    }
    Ok(match (failed, not_run) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(INTERRUPTED),
        _ => ExitCode::from(FAILED),
    })
}
