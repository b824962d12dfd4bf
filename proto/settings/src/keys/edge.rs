//! Keys of the robot's process.

use super::{Key, Program, key};
use crate::Kind;

/// The robot's process, `skein-edge`.
pub const EDGE: Program = Program { name: "edge", keys: KEYS };

const LOSS_POLICY: Kind = Kind::Choice(&["continue", "hold", "return"]);

const KEYS: &[Key] = &[
    key("robot.id", Kind::Name, None, "the robot's name, unique in its fleet"),
    key("robot.fleet", Kind::Name, Some("\"local\""), "the fleet; messages of other fleets are ignored"),
    key("robot.map", Kind::Text, None, "the ROS map (YAML) that the whole fleet plans on"),
    key("robot.fence", Kind::Text, None, "GeoJSON polygon the robot may never leave; the map's bounds when absent"),
    key("robot.seed", Kind::Whole(0, i64::MAX), Some("0"), "seed of every random choice"),
    key("body.address", Kind::Body, None, "where the body answers: unix:PATH"),
    key("body.wait_s", Kind::Whole(0, 86_400), Some("30"), "how long to wait for the body at the start, seconds"),
    key("cloud.url", Kind::Url, Some("\"http://127.0.0.1:8000\""), "the supervisor, or \"none\""),
    key("cloud.backoff_min_ms", Kind::Whole(10, 60_000), Some("200"), "first pause before connecting again"),
    key("cloud.backoff_max_ms", Kind::Whole(100, 600_000), Some("5000"), "longest pause before connecting again"),
    key("mesh.enabled", Kind::Flag, Some("true"), "exchange messages with peers"),
    key("mesh.interface", Kind::Text, Some("\"lo\""), "network interface on which peers are looked for"),
    key("mesh.listen", Kind::Texts, Some("[]"), "Zenoh endpoints to listen on; loopback with a free port when empty"),
    key("mesh.connect", Kind::Texts, Some("[]"), "Zenoh endpoints to connect to, besides the peers found"),
    key("mesh.zenoh", Kind::Text, None, "Zenoh configuration file (JSON5), used instead of the keys above"),
    key("mesh.allow_remote", Kind::Flag, Some("false"), "listen and search for peers beyond this machine"),
    key(
        "mesh.tls_ca",
        Kind::Text,
        None,
        "certificate (PEM) of the authority that signs robots; with it the mesh uses TLS",
    ),
    key("mesh.tls_certificate", Kind::Text, None, "certificate (PEM) of this robot"),
    key("mesh.tls_key", Kind::Text, None, "private key (PEM) of that certificate"),
    key("mesh.robots", Kind::Texts, Some("[]"), "robots that may take part in the mesh (needs TLS); all when empty"),
    key(
        "debug.listen",
        Kind::AddressOrNone,
        Some("\"127.0.0.1:8080\""),
        "the debug API, or \"none\"; port 0 takes a free one",
    ),
    key("debug.allow_remote", Kind::Flag, Some("false"), "allow the debug API on an address that others can reach"),
    key("debug.token_file", Kind::Text, None, "bearer token for manual override; made at the start when absent"),
    key(
        "loop.priority",
        Kind::Whole(0, 99),
        Some("50"),
        "SCHED_FIFO priority of the reflex thread; 0 leaves it normal",
    ),
    key("loop.cpu", Kind::Whole(0, 1023), None, "processor the reflex thread is pinned to"),
    key("loop.lock_memory", Kind::Flag, Some("true"), "keep touched memory from being paged out, where allowed"),
    key("log.level", Kind::Text, Some("\"info\""), "filter of standard error and of the log ring; RUST_LOG wins"),
    key("log.format", Kind::Choice(&["text", "json"]), Some("\"text\""), "format of standard error"),
    key("log.kept", Kind::Whole(16, 100_000), Some("1000"), "lines kept for /api/v1/logs"),
    key(
        "failsafe.cloud_lost",
        LOSS_POLICY,
        Some("\"continue\""),
        "what the robot does while no supervisor answers: go on, hold, or return to its charger",
    ),
    key(
        "failsafe.cloud_lost_hold_ms",
        Kind::Whole(0, 3_600_000),
        Some("0"),
        "how long it holds first when the supervisor is lost, before failsafe.cloud_lost applies",
    ),
    key(
        "failsafe.mesh_lost",
        LOSS_POLICY,
        Some("\"continue\""),
        "what the robot does while the mesh is down: go on (at half speed), hold, or return to its charger",
    ),
    key(
        "failsafe.mesh_lost_hold_ms",
        Kind::Whole(0, 3_600_000),
        Some("2000"),
        "how long it holds first when the mesh is lost, before failsafe.mesh_lost applies",
    ),
    key("state.dir", Kind::Text, None, "folder for data that must survive a restart; one folder per robot inside"),
];
