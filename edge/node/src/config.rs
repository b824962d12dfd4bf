//! The configuration of the robot's process, as types. `skein-settings` holds its keys and reads its layers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use skein_agent::FailsafePolicy;
use skein_mesh::{AccessRules, TlsFiles};
use skein_settings::{Layers, SettingsError, state_folder};
use skein_types::failsafe::{LossPolicy, LossRule};
use skein_types::ids::{AgentId, FleetId};

/// All sections, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Section `robot`.
    pub robot: Robot,
    /// Section `body`.
    pub body: BodyAt,
    /// Section `cloud`.
    pub cloud: Cloud,
    /// Section `mesh`.
    pub mesh: MeshAt,
    /// Section `debug`.
    pub debug: Debug,
    /// Section `loop`.
    #[serde(rename = "loop")]
    pub rt: Loop,
    /// Section `log`.
    pub log: Log,
    /// Section `failsafe`.
    pub failsafe: Failsafe,
    /// Section `state`.
    #[serde(default)]
    pub state: State,
}

/// Identity, map and fence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Robot {
    /// Unique in the fleet; part of keys, file names and labels.
    pub id: AgentId,
    /// Messages of other fleets are ignored.
    pub fleet: FleetId,
    /// ROS map (YAML); its hash is compared with the supervisor's.
    pub map: PathBuf,
    /// GeoJSON polygon the robot may never leave; the bounds of the map when absent.
    pub fence: Option<PathBuf>,
    /// Seed of every random choice.
    pub seed: u64,
}

/// How the body is reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BodyAt {
    address: String,
    wait_s: u64,
}

/// How the supervisor is reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cloud {
    url: String,
    backoff_min_ms: u64,
    backoff_max_ms: u64,
}

/// How peers are reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MeshAt {
    /// Without peers when false.
    pub enabled: bool,
    /// Name of the network interface on which peers are looked for.
    pub interface: String,
    /// Zenoh endpoints to listen on.
    pub listen: Vec<String>,
    /// Zenoh endpoints to connect to.
    pub connect: Vec<String>,
    /// Zenoh's own configuration file (JSON5).
    pub zenoh: Option<PathBuf>,
    /// Whether the mesh may listen and search beyond this machine.
    pub allow_remote: bool,
    /// Certificate of the authority that signed the robots' certificates, PEM.
    pub tls_ca: Option<PathBuf>,
    /// Certificate of this robot, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Robots that may take part; all when empty.
    pub robots: Vec<AgentId>,
}

/// The debug API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Debug {
    listen: String,
    /// Whether `listen` may be an address that other machines reach.
    pub allow_remote: bool,
    /// File of the bearer token; made at the start when absent.
    pub token_file: Option<PathBuf>,
}

/// The real-time thread.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Loop {
    /// Priority under `SCHED_FIFO`, 1 to 99; 0 is normal scheduling.
    pub priority: i32,
    /// Index of the processor the thread is pinned to.
    pub cpu: Option<usize>,
    /// Whether touched memory is kept from being paged out.
    pub lock_memory: bool,
}

/// Standard error and the log ring.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Log {
    /// Filter directives of `tracing`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
    /// Lines of the log ring, for `/api/v1/logs`.
    pub kept: usize,
}

/// What the robot does while a link is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Failsafe {
    cloud_lost: LossPolicy,
    cloud_lost_hold_ms: u64,
    mesh_lost: LossPolicy,
    mesh_lost_hold_ms: u64,
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct State {
    dir: Option<PathBuf>,
}

impl Config {
    /// Joins the layers and checks what belongs together.
    ///
    /// # Errors
    /// [`SettingsError`] for a key that is missing, or two values that contradict each other.
    pub fn from_layers(layers: &Layers) -> Result<Self, SettingsError> {
        layers.require(&[("robot.id", "--id"), ("robot.map", "--map"), ("body.address", "--body")])?;
        let config: Self = layers.extract()?;
        config.check_debug(layers)?;
        config.check_tls(layers)?;
        if config.cloud.backoff_min_ms > config.cloud.backoff_max_ms {
            return Err(layers.problem("cloud.backoff_min_ms", "is more than cloud.backoff_max_ms", "swap the two"));
        }
        Ok(config)
    }

    /// Half a set of certificates would silently mean none.
    fn check_tls(&self, layers: &Layers) -> Result<(), SettingsError> {
        let files = [
            ("mesh.tls_ca", &self.mesh.tls_ca),
            ("mesh.tls_certificate", &self.mesh.tls_certificate),
            ("mesh.tls_key", &self.mesh.tls_key),
        ];
        let given = files.iter().filter(|(_, file)| file.is_some()).count();
        match files.iter().find(|(_, file)| file.is_some()) {
            Some((key, _)) if given < files.len() => Err(layers.problem(
                key,
                "is given without the other two files",
                "give mesh.tls_ca, mesh.tls_certificate and mesh.tls_key, or none of them",
            )),
            _ => Ok(()),
        }
    }

    fn check_debug(&self, layers: &Layers) -> Result<(), SettingsError> {
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
        let base = self.state.dir.clone().unwrap_or_else(state_folder);
        base.join(self.robot.fleet.as_str()).join(self.robot.id.as_str())
    }
}

impl BodyAt {
    /// Path of the Unix socket at which the body listens.
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

impl MeshAt {
    /// Peers prove who they are, so a release may come over the mesh. Zenoh's own configuration file may ask for that
    /// too, but this process cannot tell.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.zenoh.is_none() && self.tls().is_some()
    }

    /// The certificates, when all three are given.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        let (ca, certificate, key) = (self.tls_ca.clone()?, self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { ca, certificate, key })
    }

    /// The robots that may take part; all when none is named.
    #[must_use]
    pub fn access(&self) -> Option<AccessRules> {
        (!self.robots.is_empty()).then(|| AccessRules { robots: self.robots.clone() })
    }
}

impl Failsafe {
    /// The rules for both links.
    #[must_use]
    pub fn policy(&self) -> FailsafePolicy {
        let rule = |hold_ms, then| LossRule { hold_first: Duration::from_millis(hold_ms), then };
        FailsafePolicy {
            cloud_lost: rule(self.cloud_lost_hold_ms, self.cloud_lost),
            mesh_lost: rule(self.mesh_lost_hold_ms, self.mesh_lost),
        }
    }
}

impl Debug {
    /// Where the debug API listens; `None` runs without.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use skein_settings::{EDGE, Origin};

    use super::*;

    fn minimal() -> Layers {
        let mut layers = Layers::defaults(&EDGE);
        let text = "[robot]\nid = \"rover-1\"\nmap = \"m.yaml\"\n[body]\naddress = \"unix:/s\"\n";
        layers.text(Path::new("edge.toml"), text).unwrap();
        layers
    }

    #[test]
    fn every_key_has_a_field_and_defaults_suffice_for_the_rest() {
        let config = Config::from_layers(&minimal()).unwrap();
        assert_eq!((config.robot.id.as_str(), config.robot.fleet.as_str()), ("rover-1", "local"));
        assert_eq!(config.body.socket(), Path::new("/s"));
        assert_eq!(config.cloud.url(), Some("http://127.0.0.1:8000"));
        assert_eq!((config.rt.priority, config.log.kept), (50, 1000));
    }

    #[test]
    fn robot_map_and_body_must_be_given() {
        let error = Config::from_layers(&Layers::defaults(&EDGE)).unwrap_err();
        assert!(matches!(&error, SettingsError::Missing { key: "robot.id", env, .. } if env == "SKEIN_ROBOT__ID"));
    }

    #[test]
    fn a_debug_api_that_others_can_reach_needs_consent() {
        let mut layers = minimal();
        layers.set("debug.listen", "0.0.0.0:8080", Origin::Flag("--debug".into())).unwrap();
        assert!(Config::from_layers(&layers).unwrap_err().to_string().contains("debug.listen (--debug)"));
        layers.set("debug.allow_remote", "true", Origin::Flag("--debug-allow-remote".into())).unwrap();
        Config::from_layers(&layers).unwrap();
    }

    #[test]
    fn what_a_lost_link_means_is_configured_and_the_default_is_that_of_the_failsafe_table() {
        let mut layers = minimal();
        assert_eq!(Config::from_layers(&layers).unwrap().failsafe.policy(), FailsafePolicy::default());
        for (key, value) in [
            ("failsafe.cloud_lost", "return"),
            ("failsafe.cloud_lost_hold_ms", "1500"),
            ("failsafe.mesh_lost", "hold"),
            ("failsafe.mesh_lost_hold_ms", "0"),
        ] {
            layers.set(key, value, Origin::Flag("--set".into())).unwrap();
        }
        let rule = |hold_ms, then| LossRule { hold_first: Duration::from_millis(hold_ms), then };
        let configured =
            FailsafePolicy { cloud_lost: rule(1500, LossPolicy::Return), mesh_lost: rule(0, LossPolicy::Hold) };
        assert_eq!(Config::from_layers(&layers).unwrap().failsafe.policy(), configured);
        assert!(layers.set("failsafe.mesh_lost", "panic", Origin::Flag("--set".into())).is_err());
    }

    #[test]
    fn the_first_pause_may_not_exceed_the_longest() {
        let mut layers = minimal();
        layers.set("cloud.backoff_min_ms", "6000", Origin::Flag("--backoff".into())).unwrap();
        assert!(Config::from_layers(&layers).unwrap_err().to_string().contains("cloud.backoff_min_ms (--backoff)"));
    }
}
