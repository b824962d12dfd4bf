//! `skein-sim world`: the world process from the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use skein_sim::place::Place;
use skein_sim::serve::{ServeConfig, Server};
use skein_types::body::BodyDescriptor;
use skein_world::{Noise, WorldConfig};
use tokio::signal::unix::{SignalKind, signal};

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

/// Becomes true with SIGTERM or SIGINT. A thread of its own waits for them, so that the world's loop has one clock
/// and nothing else to wait for.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().context("cannot wait for signals")?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).context("cannot listen for signals");
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        seen.store(true, Ordering::Relaxed);
    };
    // The process ends with its main thread; a thread that still waits for a signal then has nothing to lose.
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(stop)
}
