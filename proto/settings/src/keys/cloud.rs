//! Keys of the supervisor's process.

use super::{Key, Program, key};
use crate::Kind;

/// The supervisor's process, `skein-cloud`.
pub const CLOUD: Program = Program { name: "cloud", keys: KEYS };

const KEYS: &[Key] = &[
    key(
        "cloud.listen",
        Kind::Address,
        Some("\"127.0.0.1:8000\""),
        "gRPC, gRPC-Web and REST on one port; port 0 takes a free one",
    ),
    key("cloud.allow_remote", Kind::Flag, Some("false"), "listen on an address that others can reach"),
    key("cloud.allow_origins", Kind::Texts, Some("[]"), "origins whose web pages may call the supervisor"),
    key("cloud.fleet", Kind::Name, Some("\"local\""), "the fleet; robots of other fleets are refused"),
    key("cloud.map", Kind::Text, None, "the ROS map (YAML) that the whole fleet plans on"),
    key("cloud.state", Kind::Text, None, "folder for data that must survive a restart"),
    key("log.level", Kind::Text, Some("\"info\""), "filter of standard error; RUST_LOG wins"),
    key("log.format", Kind::Choice(&["text", "json"]), Some("\"text\""), "format of standard error"),
];
