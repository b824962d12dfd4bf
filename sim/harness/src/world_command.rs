//! `skein-sim world`: the world process from the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use skein_sim::place::Place;
use skein_sim::serve::{ServeConfig, Server};
use skein_types::body::BodyDescriptor;
use skein_world::{Noise, WorldConfig};

use crate::stop::stop_on_signals;
use crate::{FAILED, print_line};

#[derive(clap::Args)]
pub(crate) struct WorldArgs {
    /// The map: ROS YAML beside its image.
    #[arg(long)]
    map: PathBuf,
    /// The zone: GeoJSON in lon,lat, or in metres of the map when `properties.frame` is "map".
    #[arg(long)]
    zone: PathBuf,
    /// How many rovers: rover-1, rover-2 and so on.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=512))]
    robots: u16,
    /// Everything left to chance follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many people walk about.
    #[arg(long, default_value_t = 0)]
    people: u16,
    /// Perfect sensors and motors.
    #[arg(long)]
    no_noise: bool,
    /// The Unix socket that robots connect to.
    #[arg(long)]
    socket: PathBuf,
    /// Where the truth is written, once a second and at the end (JSON).
    #[arg(long)]
    report: PathBuf,
}

pub(crate) fn command(args: &WorldArgs) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    let body = BodyDescriptor::rover();
    let place = Place::load(&args.map, &body)?;
    let zone = place.load_zone(&args.zone)?;
    let start = place.start(&zone, usize::from(args.robots), args.seed)?;
    let world = WorldConfig {
        people: usize::from(args.people),
        noise: if args.no_noise { Noise::none() } else { Noise::usual() },
        ..place.world(&start, body, args.seed)
    };
    let map_hash = place.map_hash();
    let (socket, report) = (args.socket.clone(), args.report.clone());
    let stop = stop_on_signals()?;
    let server = Server::open(ServeConfig { socket, report, seed: args.seed, start, world, map_hash })?;
    print_line(&serde_json::to_string(&server.ready())?)?;
    match server.run(&stop) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitCode::from(FAILED))
        }
    }
}
