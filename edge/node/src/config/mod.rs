//! What the process is told: defaults < `/etc/skein/edge.toml` < the user's file < environment < flags.
//!
//! Each layer is checked where it is read, so that an error names the line, the variable or the flag it stands in.

mod keys;
mod layers;
mod problem;

pub use keys::{KEYS, Key, Kind};
pub use layers::{Layers, Origin};
pub use problem::ConfigError;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use skein_types::ids::{AgentId, FleetId};

/// Everything, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Who this is.
    pub robot: Robot,
    /// Its body.
    pub body: BodyAt,
    /// Its supervisor.
    pub cloud: Cloud,
    /// Its peers.
    pub mesh: MeshAt,
    /// Its debug API.
    pub debug: Debug,
    /// Its reflex thread.
    #[serde(rename = "loop")]
    pub rt: Loop,
    /// Its log.
    pub log: Log,
    /// What it keeps.
    #[serde(default)]
    pub state: State,
}

/// Section `robot`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Robot {
    /// Name.
    pub id: AgentId,
    /// Fleet.
    pub fleet: FleetId,
    /// ROS map.
    pub map: PathBuf,
    /// Fence.
    pub fence: Option<PathBuf>,
    /// Seed.
    pub seed: u64,
}

/// Section `body`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BodyAt {
    address: String,
    wait_s: u64,
}

/// Section `cloud`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cloud {
    url: String,
    backoff_min_ms: u64,
    backoff_max_ms: u64,
}

/// Section `mesh`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MeshAt {
    /// Talk at all.
    pub enabled: bool,
    /// Where peers are looked for.
    pub interface: String,
    /// Endpoints to listen on.
    pub listen: Vec<String>,
    /// Endpoints to connect to.
    pub connect: Vec<String>,
    /// Zenoh's own configuration.
    pub zenoh: Option<PathBuf>,
}

/// Section `debug`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Debug {
    listen: String,
    /// Others may reach it.
    pub allow_remote: bool,
    /// The token, made when absent.
    pub token_file: Option<PathBuf>,
}

/// Section `loop`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Loop {
    /// Of `SCHED_FIFO`; 0 is normal scheduling.
    pub priority: i32,
    /// Pinned to this processor.
    pub cpu: Option<usize>,
    /// Lock memory.
    pub lock_memory: bool,
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Log {
    /// Filter directives.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
    /// Lines kept.
    pub kept: usize,
}

/// Section `state`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct State {
    dir: Option<PathBuf>,
}

impl Config {
    /// Joins the layers and checks what belongs together.
    ///
    /// # Errors
    /// [`ConfigError`] for a key that is missing or two values that do not fit each other.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        for (name, flag) in [("robot.id", "--id"), ("robot.map", "--map"), ("body.address", "--body")] {
            if layers.get(name).is_none() {
                return Err(ConfigError::Missing { key: name, flag, env: layers::env_name(name) });
            }
        }
        let config: Self =
            toml::Value::Table(layers.table()).try_into().map_err(|e| ConfigError::Whole(e.message().to_owned()))?;
        config.check_debug(layers)?;
        if config.cloud.backoff_min_ms > config.cloud.backoff_max_ms {
            return Err(layers.problem("cloud.backoff_min_ms", "is more than cloud.backoff_max_ms", "swap the two"));
        }
        Ok(config)
    }

    fn check_debug(&self, layers: &Layers) -> Result<(), ConfigError> {
        match self.debug.listen() {
            Some(address) if !address.ip().is_loopback() && !self.debug.allow_remote => Err(layers.problem(
                "debug.listen",
                "is an address that others can reach",
                "listen on 127.0.0.1, or set debug.allow_remote = true if that is meant",
            )),
            _ => Ok(()),
        }
    }

    /// Where what must survive a restart is kept, one folder per robot.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        let base = self.state.dir.clone().unwrap_or_else(|| {
            let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
            from("STATE_DIRECTORY")
                .or_else(|| from("XDG_STATE_HOME").map(|d| d.join("skein")))
                .or_else(|| from("HOME").map(|d| d.join(".local/state/skein")))
                .unwrap_or_else(|| PathBuf::from("/var/lib/skein"))
        });
        base.join(self.robot.fleet.as_str()).join(self.robot.id.as_str())
    }
}

impl BodyAt {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.address.strip_prefix("unix:").unwrap_or(&self.address))
    }

    /// How long to wait for it at the start.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_s)
    }
}

impl Cloud {
    /// The supervisor's address; `None` runs without.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        (self.url != "none").then_some(self.url.as_str())
    }

    /// First and longest pause before connecting again.
    #[must_use]
    pub const fn backoff(&self) -> (Duration, Duration) {
        (Duration::from_millis(self.backoff_min_ms), Duration::from_millis(self.backoff_max_ms))
    }
}

impl Debug {
    /// Where the debug API listens; `None` runs without.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}
