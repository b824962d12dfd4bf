//! `skein-sim run`: the fleet on a virtual clock from the command line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use skein_sim::clock;
use skein_sim::fleet::{FaultKind, Fleet, FleetConfig, FleetReport, Sample, Strike};
use skein_sim::picture::{self, Picture, Ways};
use skein_types::body::BodyDescriptor;
use skein_world::Noise;

use crate::ground::GroundArgs;
use crate::{FAILED, Format, print_line};

/// Incidents whose story is told on stderr.
const STORIES_MAX: usize = 3;

#[derive(clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    ground: GroundArgs,
    /// How many rovers.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=512))]
    robots: u16,
    /// Everything left to chance follows from it.
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
    /// A robot's process dies: ROBOT@SECONDS, and starts again with ROBOT@SECONDS+DURATION.
    #[arg(long, value_name = "STRIKE")]
    kill: Vec<Strike>,
    /// A robot's link to the supervisor is cut: ROBOT@SECONDS+DURATION.
    #[arg(long, value_name = "STRIKE")]
    cut_cloud: Vec<Strike>,
    /// A robot's link to its peers is cut.
    #[arg(long, value_name = "STRIKE")]
    cut_mesh: Vec<Strike>,
    /// A robot's motors lose their power.
    #[arg(long, value_name = "STRIKE")]
    power_loss: Vec<Strike>,
    /// The supervisor dies: @SECONDS+DURATION.
    #[arg(long, value_name = "STRIKE")]
    kill_cloud: Vec<Strike>,
    /// Writes a sample of every robot five times a virtual second, one JSON line each.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Draws the place, what was swept and everybody's way as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

pub(crate) fn command(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let (place, zone) = args.ground.load(&BodyDescriptor::rover())?;
    let limit = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is no time")?;
    let strikes = [
        (&args.kill, FaultKind::Kill),
        (&args.cut_cloud, FaultKind::CutCloud),
        (&args.cut_mesh, FaultKind::CutMesh),
        (&args.power_loss, FaultKind::PowerLoss),
        (&args.kill_cloud, FaultKind::KillCloud),
    ];
    let faults = strikes.into_iter().flat_map(|(list, kind)| list.iter().map(move |strike| strike.with(kind)));
    let config = FleetConfig {
        limit,
        people: usize::from(args.people),
        noise: if args.no_noise { Noise::none() } else { Noise::usual() },
        faults: faults.collect(),
        return_home: args.return_home,
        ..FleetConfig::new(place, zone, usize::from(args.robots), args.seed)
    };
    let mut trace = args.trace.as_ref().map(Trace::create).transpose()?;
    let (started, mut fleet) = (clock::now(), Fleet::new(config)?);
    let mut ways = Ways::default();
    let report = fleet.run(&mut |sample| {
        trace.iter_mut().for_each(|trace| trace.write(sample));
        if args.picture.is_some() {
            ways.add(sample);
        }
    });
    trace.map_or(Ok(()), Trace::finish)?;
    if let Some(path) = &args.picture {
        let picture = draw(&fleet, &ways, &report);
        std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    }
    tell(&report, clock::now().secs_since(started));
    match args.output {
        Format::Json => print_line(&serde_json::to_string_pretty(&report)?)?,
        Format::Table => print_line(&table(&report))?,
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn draw(fleet: &Fleet, ways: &Ways, report: &FleetReport) -> String {
    let (config, unswept) = (fleet.config(), fleet.world().unswept());
    let (map, zone) = (&config.place.map, &config.zone);
    picture::draw(&Picture { map, zone, region: fleet.region(), unswept: &unswept, ways, report })
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

/// What went wrong, for whoever has to find out why; and how long it took.
fn tell(report: &FleetReport, seconds: f64) {
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
