//! The command line, and how the process starts and ends.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use skein_settings::{CLOUD, Layers, Origin, SettingsError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Log};
use crate::mapfile;
use crate::serve::{ServerConfig, start};

/// The supervisor: takes missions, splits them among the robots that connect to it, follows and shows what they do.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "skein-cloud", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// Where to listen, for gRPC, gRPC-Web and REST; port 0 takes a free one [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Listen on an address that others can reach
    #[arg(long)]
    pub allow_remote: bool,
    /// The ROS map (YAML) everyone plans on
    #[arg(long, value_name = "FILE")]
    pub map: Option<String>,
    /// Where to keep what must survive a restart [default: ~/.local/state/skein/FLEET/cloud]
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<String>,
    /// The fleet; robots of other fleets are turned away [default: local]
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
    /// What to log, such as info or skein_cloud=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// A configuration file on top of /etc/skein/cloud.toml and the user's
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every key with its value and where it came from, and exit
    #[arg(long)]
    pub print_config: bool,
    /// Check configuration and map, and exit
    #[arg(long)]
    pub check: bool,
}

const EXAMPLES: &str = "Examples:
  skein-cloud --map warehouse.yaml
  skein-cloud --map warehouse.yaml --listen 127.0.0.1:0 --state /var/lib/skein
  curl -s http://127.0.0.1:8000/api/v1/missions

Configuration: defaults < /etc/skein/cloud.toml < ~/.config/skein/cloud.toml < --config < SKEIN_SECTION__KEY < flags.
Once it serves, one line of JSON on standard output says where: {\"ready\": \"127.0.0.1:8000\"}.
Exit codes: 0 ended as asked, 1 failed, 2 wrong flag, configuration or map.";

/// A wrong flag, configuration or map.
const USAGE: u8 = 2;

impl Cli {
    /// All layers, with the flags on top.
    ///
    /// # Errors
    /// [`SettingsError`] for the first wrong value, with its place.
    pub fn layers(&self, variables: impl Iterator<Item = (String, String)>) -> Result<Layers, SettingsError> {
        let mut layers = Layers::standard(&CLOUD, self.config.as_deref(), variables)?;
        let allow_remote = self.allow_remote.then(|| "true".to_owned());
        let flags = [
            ("cloud.listen", "--listen", &self.listen),
            ("cloud.allow_remote", "--allow-remote", &allow_remote),
            ("cloud.map", "--map", &self.map),
            ("cloud.state", "--state", &self.state),
            ("cloud.fleet", "--fleet", &self.fleet),
            ("log.level", "--log", &self.log),
        ];
        for (key, flag, value) in flags {
            if let Some(text) = value {
                layers.set(key, text, Origin::Flag(flag.into()))?;
            }
        }
        Ok(layers)
    }
}

/// Runs the process until it is told to end.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match read(&cli) {
        Ok(Some(config)) => config,
        Ok(None) => return ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            return ExitCode::from(USAGE);
        }
    };
    start_log(&config.log);
    let map = match mapfile::load(&config.cloud.map) {
        Ok(map) => map,
        Err(error) => return usage(&error),
    };
    if cli.check {
        let frame = map.planning.frame();
        let free = map.planning.free().area();
        println!(
            "{{\"map\": {:?}, \"hash\": \"{}\", \"squares\": [{}, {}], \"resolution_m\": {}, \"free_m2\": {free:.1}}}",
            config.cloud.map, map.hash, frame.width, frame.height, frame.resolution
        );
        return ExitCode::SUCCESS;
    }
    // Two threads carry every stream; whatever blocks (the core, reading the record, previews) has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name("serve")
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(config, map)),
        Err(error) => Err(anyhow::Error::from(error).context("cannot start the runtime")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skein-cloud: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration; `None` when it was only printed.
fn read(cli: &Cli) -> Result<Option<Config>, miette::Report> {
    let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let layers = cli.layers(variables)?;
    if cli.print_config {
        print!("{}", layers.view());
        return Ok(None);
    }
    for variable in layers.unknown_variables() {
        eprintln!("skein-cloud: {variable} is not a setting of any program; ignored");
    }
    Ok(Some(Config::from_layers(&layers)?))
}

async fn run(config: Config, map: mapfile::LoadedMap) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = ServerConfig {
        listen: config.cloud.listen,
        state: config.cloud.state(),
        fleet: config.cloud.fleet,
        allow_origins: config.cloud.allow_origins,
    };
    let running = start(&server, map).await?;
    tracing::info!(address = %running.address(), state = %server.state.display(), "serving");
    println!("{{\"ready\": \"{}\"}}", running.address());
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to end"),
        _ = interrupt.recv() => tracing::info!("interrupted"),
        () = running.failed() => {}
    }
    running.close().await?;
    tracing::info!("ended");
    Ok(())
}

fn start_log(config: &Log) {
    let filter = std::env::var("RUST_LOG").ok().unwrap_or_else(|| config.level.clone());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
        eprintln!("skein-cloud: log filter {filter:?}: {error}; logging info");
        EnvFilter::new("info")
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // Only a second start in one process could fail here, and that one logs already.
    let started = if config.json() { log.json().try_init() } else { log.try_init() };
    drop(started);
}

fn usage(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("skein-cloud: {error}");
    ExitCode::from(USAGE)
}
