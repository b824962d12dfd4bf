//! `skein demo`: a fleet comes up, surveys a zone, is measured, reported and ended, in one go.

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use skein_types::fleet::RobotView;
use skein_types::mission::{Mission, MissionSpec, MissionState, Objective, Priority};

use super::report::{Footprint, ReflexPart, Report, Truth};
use super::show;
use crate::args::Demo;
use crate::client::Cloud;
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Format, talk};
use crate::run::{Fleet, Plan, Purpose, RunDirectory, write_whole};

/// How often the mission is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a line is written without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The supervisor is asked again and again; each time this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The mission that ran out of time is cancelled and may take this long to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

/// Why the watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The mission came to its end.
    Terminal,
    /// The time limit.
    OutOfTime,
    /// A person.
    Interrupted,
    /// The world process is gone.
    NoWorld,
}

/// A demo while it runs.
struct Run {
    cloud: Cloud,
    mission: Option<Mission>,
    reflex: ReflexPart,
    duration: Duration,
}

pub(super) async fn demo(context: &Context, args: Demo) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let directory = own_directory(context)?;
    let lock = directory.lock()?;
    let plan = Plan::settle(&args.fleet, &directory, Purpose::Demo)?;
    talk(&format!("starting the world, the supervisor and {} robots", plan.robots()));
    let mut fleet = Fleet::launch(&plan, directory.clone(), lock, &mut interrupt).await?;
    talk(&format!("up; supervisor at {}; logs in {}", plan.cloud_url(), directory.file("logs").display()));

    let outcome = survey(&args, &plan, &mut fleet, &mut interrupt).await;
    let (mut run, end) = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => {
            fleet.end().await;
            return Err(failure);
        }
    };
    if let Ok(robots) = run.cloud.robots().await {
        run.reflex.hear(&robots);
    }
    if !(args.keep_running && end == End::Terminal) {
        fleet.end().await;
    }
    let report = report(&args, &plan, &run, &fleet);
    tell(context, &args, &report)?;
    if args.keep_running && end == End::Terminal {
        talk(&format!("everything goes on at {}; Ctrl-C ends it", plan.cloud_url()));
        keep(&mut fleet, &mut interrupt).await;
    }
    Ok(exit(&report, end))
}

/// A demo does not disturb a fleet that is up here.
fn own_directory(context: &Context) -> Result<RunDirectory, Failure> {
    if !context.directory.is_up() {
        return Ok(context.directory.clone());
    }
    let other = context.directory.file(&format!("demo-{}", std::process::id()));
    talk(&format!(
        "note: a fleet is up in {}; this one keeps its files in {}",
        context.directory.root().display(),
        other.display()
    ));
    RunDirectory::new(&other)
}

async fn survey(args: &Demo, plan: &Plan, fleet: &mut Fleet, interrupt: &mut Interrupt) -> Result<(Run, End), Failure> {
    let cloud = Cloud::lazy(&plan.cloud_url(), ANSWER_WITHIN)?;
    let mission = cloud.submit(spec(plan), clock::fresh_key()).await?;
    talk(&format!("mission {} is {}", mission.id, show::word(&mission.state)));
    let submitted = clock::now();
    let mut run = Run { cloud, mission: Some(mission), reflex: ReflexPart::default(), duration: Duration::ZERO };
    let mut progress = Progress::new(args.headless);
    let end = loop {
        tokio::select! {
            () = interrupt.heard() => break End::Interrupted,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        fleet.poll().iter().for_each(|news| progress.news(news));
        let robots = run.look().await;
        run.duration = clock::now() - submitted;
        progress.show(run.duration, run.mission.as_ref(), &robots);
        if run.mission.as_ref().is_some_and(|mission| mission.state.is_terminal()) {
            break End::Terminal;
        }
        if !fleet.has_world() {
            break End::NoWorld;
        }
        if run.duration >= args.time_limit.0 {
            run.give_up().await;
            break End::OutOfTime;
        }
    };
    progress.finish();
    Ok((run, end))
}

fn spec(plan: &Plan) -> MissionSpec {
    MissionSpec {
        name: plan.zone.name.clone().unwrap_or_else(|| "demo".to_owned()),
        objective: Objective::Survey,
        zone: plan.zone.polygon.clone(),
        priority: Priority::NORMAL,
        robots: Vec::new(),
        return_home: false,
    }
}

impl Run {
    /// A supervisor that does not answer is asked again later: robots go on meanwhile.
    async fn look(&mut self) -> Vec<RobotView> {
        if let Some(id) = self.mission.as_ref().map(|mission| mission.id)
            && let Ok(mission) = self.cloud.mission(id).await
        {
            self.mission = Some(mission);
        }
        let robots = self.cloud.robots().await.unwrap_or_default();
        self.reflex.hear(&robots);
        robots
    }

    async fn give_up(&mut self) {
        let Some(id) = self.mission.as_ref().map(|mission| mission.id) else { return };
        // Whatever comes of it, the report says where the mission stands.
        let _ = self.cloud.cancel(id, "the demo's time limit".to_owned()).await;
        let deadline = clock::now() + CANCEL_WITHIN;
        while clock::now() < deadline && self.mission.as_ref().is_some_and(|mission| !mission.state.is_terminal()) {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look().await;
        }
    }
}

fn report(args: &Demo, plan: &Plan, run: &Run, fleet: &Fleet) -> Report {
    let world: Value = read_json(&plan.truth).unwrap_or_default();
    let truth = Truth::of(&world);
    let processes = fleet.measured();
    Report {
        mission: run.mission.as_ref().into(),
        coverage_ratio: truth.coverage_ratio,
        collisions: truth.collisions,
        min_separation_m: truth.min_separation_m,
        robots: args.fleet.robots,
        reflex: run.reflex.clone(),
        duration_s: run.duration.as_secs_f64(),
        distance_m: truth.distance_m,
        seed: plan.seed,
        map: plan.map.clone(),
        zone_area_m2: plan.zone.polygon.area(),
        footprint: Footprint::of(&processes),
        processes,
        world,
        command: command(args),
        software: env!("CARGO_PKG_VERSION"),
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The same run again.
fn command(args: &Demo) -> String {
    let file = |flag: &str, path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| format!(" {flag} {}", path.display())).unwrap_or_default()
    };
    let people = if args.fleet.people > 0 { format!(" --people {}", args.fleet.people) } else { String::new() };
    let (map, zone) = (file("--map", &args.fleet.map), file("--zone", &args.fleet.zone));
    format!("skein demo{map}{zone} --robots {} --seed {}{people}", args.fleet.robots, args.fleet.seed)
}

fn tell(context: &Context, args: &Demo, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &args.report {
        write_whole(path, format!("{}\n", output::json(report)?).as_bytes())?;
    }
    match context.format() {
        Format::Json | Format::Yaml => output::show(context.format(), report, no_table),
        Format::Name => output::data(&report.mission.id.map(|id| format!("{id}\n")).unwrap_or_default()),
        Format::Table | Format::Wide => output::data(&report.summary()),
    }
}

/// Only asked for in formats that have no table.
fn no_table() -> output::Table {
    output::Table::new(&[], 0)
}

async fn keep(fleet: &mut Fleet, interrupt: &mut Interrupt) {
    loop {
        tokio::select! {
            () = interrupt.heard() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        fleet.poll().iter().for_each(|news| talk(news));
        if !fleet.has_world() {
            break;
        }
    }
    fleet.end().await;
}

fn exit(report: &Report, end: End) -> Exit {
    match (end, report.mission.state) {
        (End::Interrupted, _) => Exit::Interrupted,
        (End::Terminal, Some(MissionState::Done)) => Exit::Ok,
        _ => Exit::Failed,
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Progress {
    fn new(headless: bool) -> Self {
        let is_seen = !headless && output::is_terminal();
        let bar = is_seen.then(|| {
            let template = if output::is_colourful() {
                "{elapsed_precise} [{bar:40.green}] {percent:>3} %  {msg}"
            } else {
                "{elapsed_precise} [{bar:40}] {percent:>3} %  {msg}"
            };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(1000).with_style(style.progress_chars("=> "))
        });
        Self { bar, last_line: None }
    }

    fn show(&mut self, since: Duration, mission: Option<&Mission>, robots: &[RobotView]) {
        let Some(mission) = mission else { return };
        let doing = doing(robots);
        if let Some(bar) = &self.bar {
            bar.set_position((mission.covered.0.clamp(0.0, 100.0) * 10.0) as u64);
            bar.set_message(format!("{}  {doing}", show::word(&mission.state)));
            return;
        }
        let is_due = self.last_line.is_none_or(|last| clock::now() - last >= LINE_EVERY);
        if is_due || mission.state.is_terminal() {
            self.last_line = Some(clock::now());
            let (seconds, state) = (since.as_secs(), show::word(&mission.state));
            talk(&format!("{seconds:>4} s  {:>5.1} %  {state:<9}  {doing}", mission.covered.0));
        }
    }

    fn news(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| talk(text)),
            None => talk(text),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What the robots do, counted.
fn doing(robots: &[RobotView]) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for robot in robots {
        let state = robot.telemetry.as_ref().filter(|_| robot.connected).map(|sample| show::word(&sample.state));
        *counts.entry(state.unwrap_or_else(|| "GONE".to_owned()).to_lowercase()).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    parts.join(", ")
}
