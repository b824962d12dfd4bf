//! How a robot reaches its peers, as a Zenoh configuration.

use std::net::IpAddr;
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

/// Certificates for the links between robots. Both sides prove theirs: a robot without a certificate of the same
/// authority is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of the authority that signed the robots' certificates, PEM.
    pub ca: PathBuf,
    /// Certificate of this robot, PEM. With access rules its common name must be the robot's name.
    pub certificate: PathBuf,
    /// Private key of that certificate, PEM.
    pub key: PathBuf,
}

/// Which robots may take part. Each may publish under its own name only: the common name of its certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Names of the robots of the fleet.
    pub robots: Vec<AgentId>,
}

/// How a robot reaches its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct MeshConfig {
    /// Only robots of this fleet are heard.
    pub fleet: FleetId,
    /// Name of this robot.
    pub agent: AgentId,
    /// Zenoh endpoints to listen on; loopback with a free port when empty.
    pub listen: Vec<String>,
    /// Zenoh endpoints to connect to, besides the peers found.
    pub connect: Vec<String>,
    /// Network interface on which peers are searched by multicast.
    pub interface: String,
    /// Multicast group and port; `None` searches for no peers, and only `connect` and what it leads to remain.
    pub multicast: Option<String>,
    /// Certificates: with them every link is encrypted and authenticated, and others are refused.
    pub tls: Option<TlsFiles>,
    /// Which robots may take part; all when absent. Needs `tls`.
    pub access: Option<AccessRules>,
    /// Consent to listen and search beyond this machine.
    pub allow_remote: bool,
    /// A Zenoh configuration (JSON5) that replaces everything above but names and consent, for routers or other
    /// transports. What it does not set is Zenoh's own default.
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
            tls: None,
            access: None,
            allow_remote: false,
            zenoh: None,
        }
    }

    /// Checks that the mesh stays on this machine, unless the configuration consents to more.
    ///
    /// # Errors
    /// [`MeshError::RemoteNotAllowed`] names the first endpoint beyond this machine; [`MeshError::File`] that the Zenoh
    /// configuration cannot be read.
    pub fn check_consent(&self) -> Result<(), MeshError> {
        if self.allow_remote {
            return Ok(());
        }
        let endpoints = match &self.zenoh {
            Some(_) => endpoints_in(&self.to_zenoh()?.get_json("listen/endpoints").unwrap_or_default()),
            None => self.listen.clone(),
        };
        match endpoints.into_iter().find(|endpoint| !is_local(endpoint)) {
            Some(endpoint) => Err(MeshError::RemoteNotAllowed { endpoint }),
            None => Ok(()),
        }
    }

    pub(crate) fn to_zenoh(&self) -> Result<zenoh::Config, MeshError> {
        if let Some(path) = &self.zenoh {
            return zenoh::Config::from_file(path)
                .map_err(|source| MeshError::File { path: path.display().to_string(), source });
        }
        if self.access.is_some() && self.tls.is_none() {
            return Err(MeshError::AccessWithoutTls);
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
        let protocol = if self.tls.is_some() { "tls" } else { "tcp" };
        let loopback = [format!("{protocol}/127.0.0.1:0")];
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
        settings.extend(self.tls.iter().flat_map(tls_settings));
        settings.extend(self.access.as_ref().map(|rules| ("access_control", self.access_control(rules))));
        settings
    }

    /// Every robot may subscribe to the fleet's keys, and publish under the keys that end in its own name.
    fn access_control(&self, rules: &AccessRules) -> String {
        let swarm = format!("skein/{}/swarm", self.fleet);
        let mut allowed = vec![
            rule("read", READ_MESSAGES, r#""ingress", "egress""#, &[format!("{swarm}/**")]),
            rule("send", SEND_MESSAGES, r#""egress""#, &[format!("{swarm}/**")]),
        ];
        let (mut subjects, mut policies) = (Vec::new(), Vec::new());
        for robot in &rules.robots {
            let own = [format!("{swarm}/*/{robot}"), format!("{swarm}/hazards/*/{robot}")];
            let id = format!("as-{robot}");
            allowed.push(rule(&id, SEND_MESSAGES, r#""ingress""#, &own));
            subjects.push(format!("{{ id: {0}, cert_common_names: [{0}] }}", text(robot.as_str())));
            policies.push(format!(
                r#"{{ rules: ["read", "send", {}], subjects: [{}] }}"#,
                text(&id),
                text(robot.as_str())
            ));
        }
        format!(
            r#"{{ enabled: true, default_permission: "deny", rules: [{}], subjects: [{}], policies: [{}] }}"#,
            allowed.join(", "),
            subjects.join(", "),
            policies.join(", ")
        )
    }
}

/// Messages by which a robot subscribes, in Zenoh's terms.
const READ_MESSAGES: &str = r#""declare_subscriber", "liveliness_query", "declare_liveliness_subscriber", "query", "declare_queryable", "reply""#;
/// Messages by which a robot publishes.
const SEND_MESSAGES: &str = r#""put", "delete", "liveliness_token""#;

fn rule(id: &str, messages: &str, flows: &str, keys: &[String]) -> String {
    let (id, keys) = (text(id), list(keys));
    format!(r#"{{ id: {id}, messages: [{messages}], flows: [{flows}], permission: "allow", key_exprs: {keys} }}"#)
}

/// Both sides of a link prove their certificates. Addresses of robots change, so host names are not compared.
fn tls_settings(files: &TlsFiles) -> Vec<(&'static str, String)> {
    let path = |file: &PathBuf| text(&file.display().to_string());
    vec![
        ("transport/link/protocols", r#"["tls"]"#.to_owned()),
        ("transport/link/tls/root_ca_certificate", path(&files.ca)),
        ("transport/link/tls/listen_certificate", path(&files.certificate)),
        ("transport/link/tls/listen_private_key", path(&files.key)),
        ("transport/link/tls/connect_certificate", path(&files.certificate)),
        ("transport/link/tls/connect_private_key", path(&files.key)),
        ("transport/link/tls/enable_mtls", "true".to_owned()),
        ("transport/link/tls/verify_name_on_connect", "false".to_owned()),
    ]
}

/// The endpoints in a piece of JSON, which may list them by mode.
fn endpoints_in(json: &str) -> Vec<String> {
    json.split('"').filter(|part| part.contains('/')).map(ToOwned::to_owned).collect()
}

/// Whether an endpoint can be reached from this machine only: a loopback address or a socket in the file system.
fn is_local(endpoint: &str) -> bool {
    let (protocol, address) = endpoint.split_once('/').unwrap_or((endpoint, ""));
    if protocol.starts_with("unix") {
        return true;
    }
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
    fn only_loopback_is_bound_and_searched_by_default() {
        let zenoh = config().to_zenoh().unwrap();
        assert_eq!(zenoh.get_json("scouting/multicast/interface").unwrap(), "\"lo\"");
        assert_eq!(zenoh.get_json("listen/endpoints").unwrap(), "[\"tcp/127.0.0.1:0\"]");
        assert_eq!(zenoh.get_json("mode").unwrap(), "\"peer\"");
    }

    #[test]
    fn listening_beyond_this_machine_needs_consent() {
        let listens = |endpoint: &str| MeshConfig { listen: vec![endpoint.to_owned()], ..config() };
        for local in [
            "tcp/127.0.0.1:0",
            "tls/[::1]:7447",
            "udp/localhost:1",
            "unixsock-stream/tmp/a.sock",
            "tcp/127.0.0.1:0#iface=lo",
        ] {
            assert!(listens(local).check_consent().is_ok(), "{local}");
        }
        for remote in ["tcp/0.0.0.0:7447", "tls/[::]:7447", "tcp/192.168.1.7:7447", "udp/robot.local:1", "quic/*:1"] {
            let refused = listens(remote).check_consent().unwrap_err().to_string();
            assert!(refused.contains(remote), "{refused}");
            assert!(MeshConfig { allow_remote: true, ..listens(remote) }.check_consent().is_ok());
        }
    }

    #[test]
    fn a_zenoh_file_needs_the_same_consent() {
        let file = std::env::temp_dir().join(format!("skein-mesh-{}.json5", std::process::id()));
        let config = MeshConfig { zenoh: Some(file.clone()), ..config() };
        std::fs::write(&file, "{}").unwrap();
        assert!(config.check_consent().is_err(), "Zenoh's default is every interface");
        std::fs::write(&file, r#"{ listen: { endpoints: ["tcp/127.0.0.1:7447"] } }"#).unwrap();
        assert!(config.check_consent().is_ok());
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn access_rules_are_accepted_by_zenoh_and_need_certificates() {
        let access =
            Some(AccessRules { robots: vec![AgentId::new("rover-1").unwrap(), AgentId::new("rover-2").unwrap()] });
        let without = MeshConfig { access: access.clone(), ..config() };
        assert!(matches!(without.to_zenoh(), Err(MeshError::AccessWithoutTls)));
        let tls = Some(TlsFiles { ca: "ca.pem".into(), certificate: "a.pem".into(), key: "a.key".into() });
        let zenoh = MeshConfig { tls, ..without }.to_zenoh().unwrap();
        let rules = zenoh.get_json("access_control").unwrap();
        assert!(rules.contains("skein/yard/swarm/hazards/*/rover-2") && rules.contains("\"deny\""), "{rules}");
        assert_eq!(zenoh.get_json("transport/link/tls/enable_mtls").unwrap(), "true");
    }

    #[test]
    fn a_setting_that_zenoh_refuses_is_named() {
        let refused = MeshConfig { listen: vec!["nonsense".to_owned()], ..config() }.to_zenoh().unwrap_err();
        assert_eq!(refused.to_string(), "the mesh setting listen/endpoints = [\"nonsense\"] is refused");
        let missing = MeshConfig { zenoh: Some("/does/not/exist.json5".into()), ..config() }.to_zenoh().unwrap_err();
        assert!(missing.to_string().contains("/does/not/exist.json5"));
    }
}
