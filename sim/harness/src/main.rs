//! `skein-sim`: the world process, the fleet on a virtual clock, and the benchmark grids.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use skein_sim::{grid, place};

/// The work itself failed.
const FAILED: u8 = 1;
/// The command line or a file named on it is wrong.
const USAGE: u8 = 2;
/// A signal ended it before it was done.
const INTERRUPTED: u8 = 130;

/// Simulated worlds for Skein.
#[derive(Parser)]
#[command(name = "skein-sim", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one simulated place to robot processes in real time.
    #[command(
        after_help = "Example:\n  skein-sim world --map warehouse.yaml --zone warehouse.zone.geojson --robots 6 --seed 7 \\\n    --socket /run/skein/world.sock --report truth.json"
    )]
    World(WorldArgs),
    /// Solve every line of a MovingAI scenario and compare with the published lengths.
    #[command(after_help = "Example:\n  skein-sim grid --map arena.map --scen arena.map.scen -o json")]
    Grid(GridArgs),
    /// Run a fleet on a virtual clock, as fast as the machine can.
    #[command(
        after_help = "Example:\n  skein-sim run --map warehouse.yaml --zone warehouse.zone.geojson --robots 6 --seed 7 -o json \\\n    --fault kill:rover-2@60 --trace trace.jsonl"
    )]
    Run(RunArgs),
    /// Run fleets of several sizes with many seeds, each with its own faults.
    #[command(
        after_help = "Examples:\n  skein-sim batch --seeds 1..10\n  skein-sim batch --map warehouse.yaml --zone warehouse.zone.geojson --robots 1,3,6,10 --seeds 1..100 --junit batch.xml"
    )]
    Batch(BatchArgs),
}

#[derive(clap::Args)]
struct GridArgs {
    /// The benchmark map (`type octile`).
    #[arg(long)]
    map: PathBuf,
    /// The scenario (`version 1`).
    #[arg(long)]
    scen: PathBuf,
    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A summary as text.
    Table,
    /// Everything, as JSON.
    Json,
}

mod batch_command;
mod place_args;
mod run;
mod stop;
mod world_command;

use batch_command::BatchArgs;
use run::RunArgs;
use world_command::WorldArgs;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::World(args) => report(world_command::command(&args)),
        Command::Grid(args) => report(grid_command(&args)),
        Command::Run(args) => report(run::command(&args)),
        Command::Batch(args) => report(batch_command::command(&args)),
    }
}

/// An error before the work began is a wrong flag or file.
fn report(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("skein-sim: {error:#}");
        ExitCode::from(USAGE)
    })
}

fn grid_command(args: &GridArgs) -> anyhow::Result<ExitCode> {
    let map = place::read_text(&args.map, grid::GRID_BYTES_MAX)?;
    let scenario = place::read_text(&args.scen, grid::GRID_BYTES_MAX)?;
    let names = |path: &Path| path.display().to_string();
    let report = grid::run(&map, &scenario)
        .with_context(|| format!("map {} with scenario {}", names(&args.map), names(&args.scen)))?;
    let summary = &report.summary;
    match args.output {
        Format::Json => print_line(&serde_json::to_string(&report)?)?,
        Format::Table => print_line(&format!(
            "{} queries, {} as short as published, worst error {:.6} cells\nmicroseconds a query: p50 {:.1}, p99 {:.1}, mean {:.1}, all {:.0}",
            summary.queries,
            summary.optimal,
            summary.worst_error,
            summary.micros.p50,
            summary.micros.p99,
            summary.micros.mean,
            summary.micros.total
        ))?,
    }
    if summary.optimal == summary.queries {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "skein-sim: {} of {} lengths differ from the published ones",
        summary.queries - summary.optimal,
        summary.queries
    );
    Ok(ExitCode::from(FAILED))
}

/// A closed pipe is an error like any other, not a panic.
fn print_line(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
