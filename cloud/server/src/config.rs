//! The configuration of the supervisor's process, as types. `skein-settings` holds its keys and reads its layers.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use skein_settings::{Layers, SettingsError, state_folder};
use skein_types::ids::FleetId;

/// All sections, checked.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Section `cloud`.
    pub cloud: Cloud,
    /// Section `log`.
    pub log: Log,
}

/// What is served, to whom, and where its data is kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cloud {
    /// One port for gRPC, gRPC-Web and REST; 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that other machines reach.
    pub allow_remote: bool,
    /// Origins whose web pages may call the supervisor.
    pub allow_origins: Vec<String>,
    /// Robots of other fleets are refused.
    pub fleet: FleetId,
    /// The ROS map (YAML) that the whole fleet plans on.
    pub map: PathBuf,
    state: Option<PathBuf>,
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Log {
    /// Filter directives of `tracing`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Config {
    /// Joins the layers and checks what belongs together.
    ///
    /// # Errors
    /// [`SettingsError`] for a key that is missing, or two values that contradict each other.
    pub fn from_layers(layers: &Layers) -> Result<Self, SettingsError> {
        layers.require(&[("cloud.map", "--map")])?;
        let config: Self = layers.extract()?;
        if !config.cloud.listen.ip().is_loopback() && !config.cloud.allow_remote {
            return Err(layers.problem(
                "cloud.listen",
                "is an address that others can reach",
                "listen on 127.0.0.1, or give --allow-remote if that is meant",
            ));
        }
        Ok(config)
    }
}

impl Cloud {
    /// The folder for data that must survive a restart.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| state_folder().join(self.fleet.as_str()).join("cloud"))
    }
}

impl Log {
    /// Whether standard error is JSON lines.
    #[must_use]
    pub fn json(&self) -> bool {
        self.format == "json"
    }
}

#[cfg(test)]
mod tests {
    use skein_settings::{CLOUD, Origin};

    use super::*;

    fn with(values: &[(&str, &str)]) -> Result<Config, SettingsError> {
        let mut layers = Layers::defaults(&CLOUD);
        for (key, value) in values {
            layers.set(key, value, Origin::Flag("--flag".into()))?;
        }
        Config::from_layers(&layers)
    }

    #[test]
    fn a_map_is_all_that_must_be_given() {
        let config = with(&[("cloud.map", "m.yaml")]).unwrap();
        assert_eq!((config.cloud.listen.port(), config.cloud.fleet.as_str()), (8000, "local"));
        assert!(config.cloud.state().ends_with("local/cloud"));
        assert!(matches!(with(&[]), Err(SettingsError::Missing { key: "cloud.map", flag: "--map", .. })));
    }

    #[test]
    fn an_address_that_others_can_reach_needs_consent() {
        let open = [("cloud.map", "m.yaml"), ("cloud.listen", "0.0.0.0:8000")];
        assert!(with(&open).unwrap_err().to_string().contains("cloud.listen (--flag)"));
        with(&[open[0], open[1], ("cloud.allow_remote", "true")]).unwrap();
    }
}
