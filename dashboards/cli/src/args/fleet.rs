//! `up`, `demo`, `doctor`: simulated fleets and the machine they run on.

use core::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Span;

/// The simulated fleet.
#[derive(Clone, Debug, Args)]
pub(crate) struct FleetArgs {
    /// A ROS map (YAML beside its PGM) [default: the sample warehouse]
    #[arg(long, alias = "world", value_name = "MAP.yaml")]
    pub map: Option<PathBuf>,
    /// GeoJSON polygon in which the robots start [default: on the sample map its sample zone, on another map the whole map]
    #[arg(long, value_name = "ZONE.geojson")]
    pub zone: Option<PathBuf>,
    /// Number of robots
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=200), value_name = "N")]
    pub robots: u16,
    /// Seed of everything that is drawn by chance
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// Number of simulated people who walk about
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub people: u16,
    /// Address the supervisor listens on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Port of the first robot's debug API; the next robots take the ports after it [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub debug_port: Option<u16>,
    /// Do not restart a process that ends by itself
    #[arg(long)]
    pub no_restart: bool,
}

/// `demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  skein demo
  skein demo --headless --report report.json
  skein demo --map MAP.yaml --zone ZONE.geojson --robots 10 --seed 7")]
pub(crate) struct Demo {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Plain lines instead of a progress bar
    #[arg(long)]
    pub headless: bool,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Cancel the mission after this time
    #[arg(long, default_value = "30m", value_name = "TIME")]
    pub time_limit: Span,
    /// Keep everything running after the report, until Ctrl-C
    #[arg(long)]
    pub keep_running: bool,
}

/// `up`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  skein up
  skein up --map MAP.yaml --zone ZONE.geojson --robots 3 --seed 7
  skein status && skein down

A robot that was stopped before `down` is still stopped after `up`: end that with `skein release`.")]
pub(crate) struct Up {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Stay in the foreground; Ctrl-C ends the fleet
    #[arg(long)]
    pub foreground: bool,
    /// Go on with the missions of the fleet that was up here before, instead of cancelling them
    #[arg(long)]
    pub keep_state: bool,
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Doctor {
    /// Port the supervisor would listen on
    #[arg(long, default_value_t = 8000, value_name = "PORT")]
    pub port: u16,
    /// Port of the first robot's debug API
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub debug_port: u16,
    /// Number of robots this machine should carry
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub robots: u16,
}
