//! Every key there is, with its kind, its default and what it is for: one table for files, environment and flags.

use std::net::SocketAddr;

use skein_types::ids::AgentId;
use toml::Value;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything in quotes.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A name that is safe in keys, files and labels.
    Name,
    /// `host:port`, or `none`.
    Socket,
    /// `http://host:port`, or `none`.
    Url,
    /// `unix:PATH`.
    Body,
    /// `true` or `false`.
    Flag,
    /// A whole number between the two.
    Whole(i64, i64),
    /// A list of texts.
    Texts,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// What its value must look like.
    pub kind: Kind,
    /// Its value when nobody gives one, as TOML; `None` leaves it away.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

/// The table.
pub const KEYS: &[Key] = &[
    key("robot.id", Kind::Name, None, "the robot's name, unique in its fleet"),
    key("robot.fleet", Kind::Name, Some("\"local\""), "the fleet; robots of other fleets are not heard"),
    key("robot.map", Kind::Text, None, "the ROS map (YAML) everyone plans on"),
    key("robot.fence", Kind::Text, None, "GeoJSON polygon the robot may never leave; the map's bounds when absent"),
    key("robot.seed", Kind::Whole(0, i64::MAX), Some("0"), "what little is chosen by chance comes from this"),
    key("body.address", Kind::Body, None, "where the body answers: unix:PATH"),
    key("body.wait_s", Kind::Whole(0, 86_400), Some("30"), "how long to wait for the body at the start, seconds"),
    key("cloud.url", Kind::Url, Some("\"http://127.0.0.1:8000\""), "the supervisor, or \"none\""),
    key("cloud.backoff_min_ms", Kind::Whole(10, 60_000), Some("200"), "first pause before connecting again"),
    key("cloud.backoff_max_ms", Kind::Whole(100, 600_000), Some("5000"), "longest pause before connecting again"),
    key("mesh.enabled", Kind::Flag, Some("true"), "talk with the peers"),
    key("mesh.interface", Kind::Text, Some("\"lo\""), "network interface on which peers are looked for"),
    key("mesh.listen", Kind::Texts, Some("[]"), "Zenoh endpoints to listen on; loopback with a free port when empty"),
    key("mesh.connect", Kind::Texts, Some("[]"), "Zenoh endpoints to connect to, besides the peers found"),
    key(
        "debug.listen",
        Kind::Socket,
        Some("\"127.0.0.1:8080\""),
        "the debug API, or \"none\"; port 0 takes a free one",
    ),
    key("debug.allow_remote", Kind::Flag, Some("false"), "allow the debug API on an address that others can reach"),
    key("debug.token_file", Kind::Text, None, "bearer token for driving by hand; made at the start when absent"),
    key(
        "loop.priority",
        Kind::Whole(0, 99),
        Some("50"),
        "SCHED_FIFO priority of the reflex thread; 0 leaves it normal",
    ),
    key("loop.cpu", Kind::Whole(0, 1023), None, "processor the reflex thread is pinned to"),
    key("loop.lock_memory", Kind::Flag, Some("true"), "keep touched memory from being paged out, where allowed"),
    key("log.level", Kind::Text, Some("\"info\""), "what goes to standard error and the log ring; RUST_LOG wins"),
    key("log.format", Kind::Word(&["text", "json"]), Some("\"text\""), "how standard error looks"),
    key("log.kept", Kind::Whole(16, 100_000), Some("1000"), "lines kept for /api/v1/logs"),
    key("state.dir", Kind::Text, None, "where the robot keeps what must survive a restart"),
];

/// The key of a name.
#[must_use]
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether any key is in this section.
#[must_use]
pub(super) fn is_section(section: &str) -> bool {
    KEYS.iter().any(|key| key.name.split('.').next() == Some(section))
}

/// The known name nearest to a wrong one, if one is near enough to be meant.
#[must_use]
pub(super) fn nearest(wrong: &str) -> Option<&'static str> {
    let scored = KEYS.iter().map(|key| (strsim::jaro_winkler(wrong, key.name), key.name));
    let same_key = KEYS.iter().filter(|key| key.name.rsplit('.').next() == wrong.rsplit('.').next());
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8).map(|(_, name)| name);
    best.or_else(|| same_key.map(|key| key.name).next())
}

impl Kind {
    /// Whether a value fits; the error says what was expected.
    ///
    /// # Errors
    /// A lowercase fragment that says what the value must be.
    pub fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Boolean(_)) => Ok(()),
            (Self::Word(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Self::Word(words), _) => Err(format!("must be one of: {}", words.join(", "))),
            (Self::Name, Value::String(text)) => AgentId::new(text.as_str()).map(drop).map_err(|e| e.to_string()),
            (Self::Socket, Value::String(text)) if text == "none" || text.parse::<SocketAddr>().is_ok() => Ok(()),
            (Self::Socket, _) => Err("must be an address and a port such as \"127.0.0.1:8080\", or \"none\"".into()),
            (Self::Url, Value::String(text)) if text == "none" || is_plain_http(text) => Ok(()),
            (Self::Url, _) => Err("must be like \"http://127.0.0.1:8000\", or \"none\"".into()),
            (Self::Body, Value::String(text)) if text.strip_prefix("unix:").is_some_and(|p| !p.is_empty()) => Ok(()),
            (Self::Body, _) => Err("must be \"unix:\" and the path of a socket".into()),
            (Self::Whole(low, high), Value::Integer(n)) if (low..=high).contains(n) => Ok(()),
            (Self::Whole(low, i64::MAX), _) => Err(format!("must be a whole number from {low}")),
            (Self::Whole(low, high), _) => Err(format!("must be a whole number from {low} to {high}")),
            (Self::Texts, Value::Array(items)) if items.iter().all(Value::is_str) => Ok(()),
            (Self::Texts, _) => Err("must be a list of texts such as [\"tcp/127.0.0.1:7447\"]".into()),
            (Self::Flag, _) => Err("must be true or false".into()),
            (Self::Text | Self::Name, _) => Err("must be a text in quotes".into()),
        }
    }

    /// The value of a text that came without quotes, from the environment or a flag.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn read(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Flag => text.parse().map_or(Value::String(text.into()), Value::Boolean),
            Self::Whole(..) => text.parse().map_or(Value::String(text.into()), Value::Integer),
            Self::Texts => Value::Array(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.into())).collect(),
            ),
            Self::Text | Self::Word(_) | Self::Name | Self::Socket | Self::Url | Self::Body => {
                Value::String(text.into())
            }
        };
        self.check(&value)?;
        Ok(value)
    }
}

fn is_plain_http(text: &str) -> bool {
    text.parse::<tonic::transport::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some())
}
