//! Links over TLS: robots with certificates of one authority hear each other, others are refused; with access rules
//! each robot publishes under its own name only.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says by panicking what failed")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use skein_mesh::{AccessRules, Mesh, MeshConfig, MeshEvent, MeshHooks, TlsFiles};
use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::time::WallTime;
use skein_types::units::Meters;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use tokio::sync::mpsc::Receiver;

/// Nothing here takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// What has not come after this is refused.
const REFUSED_AFTER: Duration = Duration::from_secs(3);

/// A certificate authority in a folder of its own.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "fleet authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A certificate for a robot, by its common name.
    fn sign(&self, name: &str) -> TlsFiles {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |ending: &str, text: String| -> PathBuf {
            let path = self.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            ca: self.path().join("ca.pem"),
            certificate: write("pem", certificate.pem()),
            key: write("key", key.serialize_pem()),
        }
    }
}

fn agent(name: &str) -> AgentId {
    AgentId::new(name).unwrap()
}

fn config(name: &str, tls: Option<TlsFiles>, connect: &[String]) -> MeshConfig {
    let config = MeshConfig::loopback(FleetId::new("tls").unwrap(), agent(name));
    MeshConfig { multicast: None, connect: connect.to_vec(), tls, ..config }
}

fn intent(name: &str) -> Intent {
    Intent {
        sent_at: WallTime::from_unix_nanos(1),
        velocity: Point::new(0.1, 0.2),
        state: AgentState::Executing,
        ..Intent::standing(agent(name), BootId(uuid::Uuid::from_u128(7)), Pose::new(1.0, 2.0, 0.5), Meters(0.25))
    }
}

async fn hears(events: &mut Receiver<MeshEvent>, speaker: &Mesh, name: &str, within: Duration) -> bool {
    let heard = async {
        loop {
            match events.recv().await.expect("the mesh is open") {
                MeshEvent::Intent(intent) if intent.sender == agent(name) => return,
                _ => {}
            }
        }
    };
    let speak = async {
        loop {
            speaker.publish_intent(intent(name)).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        heard = tokio::time::timeout(within, heard) => heard.is_ok(),
        () = speak => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn robots_with_certificates_hear_each_other_and_others_are_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let open = |config: MeshConfig| async move { Mesh::open(&config, MeshHooks::default()).await.unwrap() };
    let (a, mut at_a) = open(config("a", Some(authority.sign("a")), &[])).await;
    let door = a.locators().await;
    assert!(door.iter().all(|locator| locator.starts_with("tls/")), "{door:?}");
    let (b, _at_b) = open(config("b", Some(authority.sign("b")), &door)).await;
    assert!(hears(&mut at_a, &b, "b", PATIENCE).await);
    let (c, _at_c) = open(config("c", Some(stranger.sign("c")), &door)).await;
    assert!(!hears(&mut at_a, &c, "c", REFUSED_AFTER).await, "a certificate of another authority");
    let plain: Vec<String> = door.iter().map(|locator| locator.replace("tls/", "tcp/")).collect();
    let (d, _at_d) = open(config("d", None, &plain)).await;
    assert!(!hears(&mut at_a, &d, "d", REFUSED_AFTER).await, "no certificate");
    assert_eq!(a.stats().links, 1);
    assert!(hears(&mut at_a, &b, "b", PATIENCE).await, "the refused ones disturb nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_access_rules_a_robot_publishes_under_its_own_name_only() {
    let authority = Authority::new();
    let access = Some(AccessRules { robots: vec![agent("a"), agent("b"), agent("c")] });
    let open = |name: &str, door: &[String]| {
        let config = MeshConfig { access: access.clone(), ..config(name, Some(authority.sign(name)), door) };
        async move { Mesh::open(&config, MeshHooks::default()).await.unwrap() }
    };
    let (a, mut at_a) = open("a", &[]).await;
    let door = a.locators().await;
    let (b, _at_b) = open("b", &door).await;
    assert!(hears(&mut at_a, &b, "b", PATIENCE).await, "{:?}", a.stats());
    // A robot with a certificate of its own speaks under another's name.
    let files = authority.sign("c");
    let mut forger = zenoh::Config::default();
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    for (key, value) in [
        ("mode", "\"peer\"".to_owned()),
        ("connect/endpoints", format!("{door:?}")),
        ("listen/endpoints", "[]".to_owned()),
        ("scouting/multicast/enabled", "false".to_owned()),
        ("transport/link/tls/root_ca_certificate", quoted(&files.ca)),
        ("transport/link/tls/connect_certificate", quoted(&files.certificate)),
        ("transport/link/tls/connect_private_key", quoted(&files.key)),
        ("transport/link/tls/enable_mtls", "true".to_owned()),
        ("transport/link/tls/verify_name_on_connect", "false".to_owned()),
    ] {
        forger.insert_json5(key, &value).unwrap();
    }
    let forger = zenoh::open(forger).await.unwrap();
    let keys = SwarmKeys::new(FleetId::new("tls").unwrap());
    let put = |under: &str| forger.put(keys.key(&SwarmKey::Presence(agent(under))), intent(under).to_bytes());
    let heard_own = async {
        loop {
            match at_a.recv().await.expect("the mesh is open") {
                MeshEvent::Intent(intent) if intent.sender == agent("c") => return,
                MeshEvent::Intent(intent) => assert_eq!(intent.sender, agent("b"), "a forged message arrived"),
                _ => {}
            }
        }
    };
    let speak = async {
        loop {
            put("rover-9").await.unwrap();
            put("c").await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        heard = tokio::time::timeout(PATIENCE, heard_own) => assert!(heard.is_ok(), "its own name is let through"),
        () = speak => {}
    }
}
