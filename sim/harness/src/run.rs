//! `skein-sim run`: the fleet on a virtual clock from the command line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use skein_sim::clock;
use skein_sim::fleet::{FaultSpec, Fleet, FleetConfig, FleetReport, Press, Sample};
use skein_sim::picture::{self, Picture, Tracks};
use skein_types::body::BodyDescriptor;
use skein_world::Noise;

use crate::place_args::PlaceArgs;
use crate::{FAILED, Format, print_line};

/// Incidents whose story is printed on stderr.
const STORIES_MAX: usize = 3;

#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// How many rovers.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=512))]
    robots: u16,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The run ends at the latest after so many minutes of virtual time.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// How many people walk about.
    #[arg(long, default_value_t = 0)]
    people: u16,
    /// Perfect sensors and motors.
    #[arg(long)]
    no_noise: bool,
    /// Robots go home when the work is done.
    #[arg(long)]
    return_home: bool,
    /// What goes wrong: KIND:ROBOT@SECONDS, with +DURATION when it ends; several times. An unknown KIND lists all.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<FaultSpec>,
    /// What an operator presses: ACTION:TARGET@SECONDS/ACCESS,ACCESS with stop, kill or release, and supervisor or robots as accesses.
    #[arg(long, value_name = "PRESS")]
    press: Vec<Press>,
    /// Writes a sample of every robot five times a virtual second, one JSON line each.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Draws the place, what was swept and every robot's track as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

pub(crate) fn command(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let (place, zone) = args.place.load(&BodyDescriptor::rover())?;
    let limit = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is not a duration")?;
    let config = FleetConfig {
        limit,
        people: usize::from(args.people),
        noise: if args.no_noise { Noise::none() } else { Noise::usual() },
        faults: args.fault.clone(),
        presses: args.press.clone(),
        return_home: args.return_home,
        ..FleetConfig::new(place, zone, usize::from(args.robots), args.seed)
    };
    let mut trace = args.trace.as_ref().map(Trace::create).transpose()?;
    let (started, mut fleet) = (clock::now(), Fleet::new(config)?);
    let mut tracks = Tracks::default();
    let report = fleet.run(&mut |sample| {
        trace.iter_mut().for_each(|trace| trace.write(sample));
        if args.picture.is_some() {
            tracks.add(sample);
        }
    });
    trace.map_or(Ok(()), Trace::finish)?;
    if let Some(path) = &args.picture {
        let picture = draw(&fleet, &tracks, &report);
        std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print_incidents(&report, clock::now().secs_since(started));
    match args.output {
        Format::Json => print_line(&serde_json::to_string_pretty(&report)?)?,
        Format::Table => print_line(&table(&report))?,
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn draw(fleet: &Fleet, tracks: &Tracks, report: &FleetReport) -> String {
    let (config, unswept) = (fleet.config(), fleet.world().unswept());
    let (map, zone) = (&config.place.map, &config.zone);
    picture::draw(&Picture { map, zone, region: fleet.region(), unswept: &unswept, tracks, report })
}

struct Trace {
    file: BufWriter<File>,
    path: PathBuf,
    failed: Option<std::io::Error>,
}

impl Trace {
    fn create(path: &PathBuf) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), path: path.clone(), failed: None })
    }

    fn write(&mut self, sample: &Sample) {
        if self.failed.is_some() {
            return;
        }
        let line = serde_json::to_string(sample).map_err(std::io::Error::other);
        self.failed = line.and_then(|line| writeln!(self.file, "{line}")).err();
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let flushed = self.file.flush();
        self.failed.map_or(flushed, Err).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Incidents and the time the run took, on stderr.
fn print_incidents(report: &FleetReport, seconds: f64) {
    for incident in report.incidents.iter().take(STORIES_MAX) {
        eprintln!("--- at {:.1} s: {}", incident.at_s, incident.what);
        incident.story.iter().for_each(|line| eprintln!("{line}"));
    }
    let more = report.incidents.len().saturating_sub(STORIES_MAX);
    if more > 0 {
        eprintln!("--- and {more} more incidents in the report");
    }
    eprintln!("{:.0} s of virtual time in {seconds:.1} s", report.duration_s);
}

fn table(report: &FleetReport) -> String {
    let mission = report.mission.as_ref().map_or("no mission".to_owned(), |mission| {
        let took = mission.duration_s.map_or(String::new(), |s| format!(" after {s:.0} s"));
        format!("{:?}{took}: {}", mission.state, mission.reason)
    });
    let mut lines = vec![
        format!("seed {}, {} robots, {:.1} m²", report.seed, report.robots, report.zone_area_m2),
        format!("mission    {mission}"),
        format!("swept      {:.2} %, {:.0} m driven", report.coverage_ratio * 100.0, report.distance_total_m),
    ];
    for robot in &report.per_robot {
        let parts: Vec<String> =
            robot.parts.iter().map(|(state, area, why)| format!("{state:?} {area:.0} m² {why}")).collect();
        lines.push(format!("{:10} {:6.0} m  {}  | {}", robot.robot, robot.distance_m, parts.join("; "), robot.why));
    }
    for check in &report.checks {
        let mark = if check.holds { "ok  " } else { "FAIL" };
        lines.push(format!("{mark} {} ({})", check.what, check.seen));
    }
    lines.join("\n")
}
