//! How a robot reaches its peers, in the words of Zenoh.

use std::path::PathBuf;

use skein_types::ids::{AgentId, FleetId};

use crate::MeshError;

/// To be set in the environment of a robot's process before it starts, name and value: Zenoh then runs on one thread
/// instead of six. It reads this once per process, at its first use, and has no other way to be told.
pub const RUNTIME_ENV: (&str, &str) = (
    "ZENOH_RUNTIME",
    "(app: (worker_threads: 1, max_blocking_threads: 2), rx: (handover: app), tx: (handover: app), acc: (handover: app), net: (handover: app))",
);

/// Where peers look for each other unless told otherwise.
const MULTICAST: &str = "224.0.0.224:7446";
/// Bytes in a batch and in a link's buffer: an intent has a few hundred. Zenoh's own 64 KiB are paid per link.
const BATCH_BYTES: usize = 8 * 1024;
/// A peer whose link says nothing for this long is cut off, milliseconds. A process that ends is noticed at once.
const LEASE_MS: u64 = 2_000;
/// Pause before an endpoint that did not answer is tried again, milliseconds: first and longest.
const RETRY_MS: (u64, u64) = (250, 2_000);
/// Largest message that is put together from fragments, bytes: far more than any message here has.
const RECEIVED_BYTES_MAX: usize = 64 * 1024;

/// How a robot reaches its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshConfig {
    /// Whose peers: other fleets are not heard.
    pub fleet: FleetId,
    /// This robot.
    pub agent: AgentId,
    /// Zenoh endpoints to listen on; loopback with a free port when empty.
    pub listen: Vec<String>,
    /// Zenoh endpoints to connect to, besides the peers found.
    pub connect: Vec<String>,
    /// Network interface on which peers are looked for by multicast.
    pub interface: String,
    /// Multicast group and port; `None` looks for nobody, and only `connect` and those it leads to remain.
    pub multicast: Option<String>,
    /// A Zenoh configuration (JSON5) that takes the place of everything above but the names, for who needs TLS,
    /// routers or access control. It is handed through as it is, so what it does not say is Zenoh's own default.
    pub zenoh: Option<PathBuf>,
}

impl MeshConfig {
    /// Peers on this machine, found by multicast on loopback.
    #[must_use]
    pub fn loopback(fleet: FleetId, agent: AgentId) -> Self {
        Self {
            fleet,
            agent,
            listen: Vec::new(),
            connect: Vec::new(),
            interface: "lo".to_owned(),
            multicast: Some(MULTICAST.to_owned()),
            zenoh: None,
        }
    }

    pub(crate) fn to_zenoh(&self) -> Result<zenoh::Config, MeshError> {
        if let Some(path) = &self.zenoh {
            return zenoh::Config::from_file(path)
                .map_err(|source| MeshError::File { path: path.display().to_string(), source });
        }
        let mut config = zenoh::Config::default();
        for (key, value) in self.settings() {
            config.insert_json5(key, &value).map_err(|source| MeshError::Setting {
                key: key.to_owned(),
                value,
                source,
            })?;
        }
        Ok(config)
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let loopback = ["tcp/127.0.0.1:0".to_owned()];
        let listen: &[String] = if self.listen.is_empty() { &loopback } else { &self.listen };
        let bytes = BATCH_BYTES.to_string();
        let mut settings = vec![
            ("mode", text("peer")),
            ("listen/endpoints", list(listen)),
            ("connect/endpoints", list(&self.connect)),
            ("connect/retry", retry()),
            ("open/return_conditions", "{ connect_scouted: false, declares: false }".to_owned()),
            ("scouting/multicast/enabled", self.multicast.is_some().to_string()),
            ("scouting/multicast/interface", text(&self.interface)),
            ("scouting/gossip/enabled", "true".to_owned()),
            ("transport/link/tx/lease", LEASE_MS.to_string()),
            ("transport/link/tx/batch_size", bytes.clone()),
            ("transport/link/tx/queue/congestion_control/drop/wait_before_drop", "200".to_owned()),
            ("transport/link/rx/buffer_size", bytes),
            ("transport/link/rx/max_message_size", RECEIVED_BYTES_MAX.to_string()),
        ];
        settings.extend(self.multicast.as_ref().map(|address| ("scouting/multicast/address", text(address))));
        settings
    }
}

fn retry() -> String {
    let (first, longest) = RETRY_MS;
    format!("{{ period_init_ms: {first}, period_max_ms: {longest}, period_increase_factor: 2 }}")
}

/// A JSON string. Rust's escapes of quotes, backslashes and control characters are valid in JSON5 as well.
fn text(value: &str) -> String {
    format!("{value:?}")
}

fn list(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MeshConfig {
        MeshConfig::loopback(FleetId::new("yard").unwrap(), AgentId::new("rover-1").unwrap())
    }

    #[test]
    fn nothing_but_loopback_is_bound_or_searched_unless_it_is_asked_for() {
        let zenoh = config().to_zenoh().unwrap();
        assert_eq!(zenoh.get_json("scouting/multicast/interface").unwrap(), "\"lo\"");
        assert_eq!(zenoh.get_json("listen/endpoints").unwrap(), "[\"tcp/127.0.0.1:0\"]");
        assert_eq!(zenoh.get_json("mode").unwrap(), "\"peer\"");
    }

    #[test]
    fn a_setting_that_zenoh_refuses_is_named() {
        let refused = MeshConfig { listen: vec!["nonsense".to_owned()], ..config() }.to_zenoh().unwrap_err();
        assert_eq!(refused.to_string(), "the mesh setting listen/endpoints = [\"nonsense\"] is refused");
        let missing = MeshConfig { zenoh: Some("/does/not/exist.json5".into()), ..config() }.to_zenoh().unwrap_err();
        assert!(missing.to_string().contains("/does/not/exist.json5"));
    }
}
