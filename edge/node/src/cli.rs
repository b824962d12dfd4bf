//! The command line: flags on top of the layers below them.

use std::path::PathBuf;

use clap::Parser;

use skein_settings::{EDGE, Layers, Origin, SettingsError};

use crate::config::Config;

/// The robot's process: reflex, agent, peers, supervisor link and debug API.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "skein-edge", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// The robot's name, unique in its fleet
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
    /// The fleet; robots of other fleets are not heard
    #[arg(long, value_name = "NAME")]
    pub fleet: Option<String>,
    /// The ROS map (YAML) everyone plans on
    #[arg(long, value_name = "FILE")]
    pub map: Option<String>,
    /// GeoJSON polygon the robot may never leave
    #[arg(long, value_name = "FILE")]
    pub fence: Option<String>,
    /// Where the body answers: unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    pub body: Option<String>,
    /// The supervisor, such as <http://127.0.0.1:8000>, or none
    #[arg(long, value_name = "URL")]
    pub cloud: Option<String>,
    /// Where the debug API listens, such as 127.0.0.1:8080 (port 0 takes a free one), or none
    #[arg(long, value_name = "ADDRESS")]
    pub debug: Option<String>,
    /// File with the token for manual override; made when absent
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<String>,
    /// Where the robot keeps what must survive a restart
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<String>,
    /// Seed of every random choice
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<String>,
    /// Processor the reflex thread is pinned to
    #[arg(long, value_name = "NUMBER")]
    pub cpu: Option<String>,
    /// Run without peers
    #[arg(long)]
    pub no_mesh: bool,
    /// Zenoh endpoints to listen on, separated by commas
    #[arg(long, value_name = "ENDPOINTS")]
    pub mesh_listen: Option<String>,
    /// Zenoh endpoints to connect to, separated by commas
    #[arg(long, value_name = "ENDPOINTS")]
    pub mesh_connect: Option<String>,
    /// What to log, such as info or skein_edge=debug
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// A configuration file on top of /etc/skein/edge.toml and the user's
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every key with its value and where it came from, and exit
    #[arg(long)]
    pub print_config: bool,
}

const EXAMPLES: &str = "Examples:
  skein-edge --id rover-1 --map warehouse.yaml --body unix:/run/skein/world.sock
  skein-edge --id rover-1 --map warehouse.yaml --body unix:world.sock --cloud none --debug 127.0.0.1:0
  SKEIN_LOG__FORMAT=json skein-edge --config rover-1.toml

Configuration: defaults < /etc/skein/edge.toml < ~/.config/skein/edge.toml < --config < SKEIN_SECTION__KEY < flags.";

impl Cli {
    /// All layers, with the flags on top.
    ///
    /// # Errors
    /// [`SettingsError`] for the first wrong value, with its place.
    pub fn layers(&self) -> Result<Layers, SettingsError> {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let mut layers = Layers::standard(&EDGE, self.config.as_deref(), variables)?;
        self.flags(&mut layers)?;
        Ok(layers)
    }

    fn flags(&self, layers: &mut Layers) -> Result<(), SettingsError> {
        let no_mesh = self.no_mesh.then(|| "false".to_owned());
        let given = [
            ("--id", "robot.id", &self.id),
            ("--fleet", "robot.fleet", &self.fleet),
            ("--map", "robot.map", &self.map),
            ("--fence", "robot.fence", &self.fence),
            ("--seed", "robot.seed", &self.seed),
            ("--body", "body.address", &self.body),
            ("--cloud", "cloud.url", &self.cloud),
            ("--debug", "debug.listen", &self.debug),
            ("--token-file", "debug.token_file", &self.token_file),
            ("--state", "state.dir", &self.state),
            ("--cpu", "loop.cpu", &self.cpu),
            ("--no-mesh", "mesh.enabled", &no_mesh),
            ("--mesh-listen", "mesh.listen", &self.mesh_listen),
            ("--mesh-connect", "mesh.connect", &self.mesh_connect),
            ("--log", "log.level", &self.log),
        ];
        for (flag, key, value) in given {
            if let Some(text) = value {
                layers.set(key, text, Origin::Flag(flag.into()))?;
            }
        }
        Ok(())
    }

    /// The checked configuration.
    ///
    /// # Errors
    /// As [`Self::layers`] and [`Config::from_layers`].
    pub fn config(&self) -> Result<Config, SettingsError> {
        Config::from_layers(&self.layers()?)
    }
}
