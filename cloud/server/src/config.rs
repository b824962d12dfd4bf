//! What the process is told: defaults < file < `SKEIN_SECTION__KEY` < flags. One table says which keys there are.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use skein_types::ids::FleetId;
use thiserror::Error;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Socket,
    Name,
    Flag,
    Word(&'static [&'static str]),
    Texts,
}

struct Key {
    name: &'static str,
    kind: Kind,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind }
}

const KEYS: &[Key] = &[
    key("cloud.listen", Kind::Socket),
    key("cloud.allow_remote", Kind::Flag),
    key("cloud.allow_origins", Kind::Texts),
    key("cloud.fleet", Kind::Name),
    key("cloud.map", Kind::Text),
    key("cloud.state", Kind::Text),
    key("log.level", Kind::Text),
    key("log.format", Kind::Word(&["text", "json"])),
];

/// Everything, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Origins whose pages may talk to the supervisor from a browser.
    pub allow_origins: Vec<String>,
    /// Whose robots.
    pub fleet: FleetId,
    /// The ROS map (YAML) everyone plans on.
    pub map: PathBuf,
    /// Where to keep what must survive.
    pub state: PathBuf,
    /// Filter directives of the log.
    pub log_level: String,
    /// The log as JSON lines.
    pub log_json: bool,
}

/// Why a configuration was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A place in a file is wrong.
    #[error("{0}")]
    InFile(Box<Place>),
    /// A variable or a flag is wrong.
    #[error("{origin}: {message}")]
    InValue {
        /// Which.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A value that nobody gave.
    #[error("no map: give --map MAP.yaml, SKEIN_CLOUD__MAP or cloud.map in a file")]
    NoMap,
    /// Open to everybody without being told so.
    #[error("{0} can be reached by others: listen on 127.0.0.1, or say --allow-remote if that is meant")]
    Remote(SocketAddr),
}

/// A place in a file and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    /// From 1.
    line: usize,
    /// From 1.
    column: usize,
    message: String,
    /// The line itself.
    text: String,
    /// What was perhaps meant; empty when nobody knows.
    help: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, message, text, help } = self;
        let caret = " ".repeat(column.saturating_sub(1));
        write!(f, "{}:{line}:{column}: {message}\n  | {text}\n  | {caret}^{help}", path.display())
    }
}

/// Values by key, the last layer on top.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    values: BTreeMap<&'static str, Value>,
}

impl Layers {
    /// Puts a TOML file on top.
    ///
    /// # Errors
    /// [`ConfigError`] with the place, a caret and, for an unknown key, the one that was perhaps meant.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable =
            |error: std::io::Error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() };
        self.text(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let wrong = |at: usize, message: String, help: String| in_file(path, text, at, message, help);
        let no_toml =
            |e: toml::de::Error| wrong(e.span().map_or(0, |span| span.start), e.message().to_owned(), String::new());
        let spans = DeTable::parse(text).map_err(no_toml)?;
        let values: toml::Table = toml::from_str(text).map_err(no_toml)?;
        for (section, content) in spans.get_ref() {
            let section_name = section.get_ref().as_ref();
            let DeValue::Table(inner) = content.get_ref() else {
                return Err(wrong(section.span().start, unknown(section_name), did_you_mean(section_name)));
            };
            for (name, value) in inner {
                let full = format!("{section_name}.{}", name.get_ref());
                let Some(key) = KEYS.iter().find(|key| key.name == full) else {
                    return Err(wrong(name.span().start, unknown(&full), did_you_mean(&full)));
                };
                let found = values.get(section_name).and_then(|table| table.get(name.get_ref().as_ref()));
                let Some(found) = found else { continue };
                key.kind
                    .check(found)
                    .map_err(|what| wrong(value.span().start, format!("{full} {what}"), String::new()))?;
                self.values.insert(key.name, found.clone());
            }
        }
        Ok(())
    }

    /// Puts the environment on top. Variables of sections that are not ours belong to other programs.
    ///
    /// # Errors
    /// [`ConfigError::InValue`] names the variable.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        for (variable, text) in variables {
            let Some((section, name)) = variable.strip_prefix("SKEIN_").and_then(|rest| rest.split_once("__")) else {
                continue;
            };
            if section == "CLOUD" || section == "LOG" {
                let full = format!("{}.{}", section.to_lowercase(), name.to_lowercase());
                // The log's section is shared with the robots' process, which knows more keys.
                if section == "LOG" && !KEYS.iter().any(|key| key.name == full) {
                    continue;
                }
                self.set(&full, &text, &variable)?;
            }
        }
        Ok(())
    }

    /// Puts one value on top, as text.
    ///
    /// # Errors
    /// [`ConfigError::InValue`] names where it came from.
    pub fn set(&mut self, name: &str, text: &str, origin: &str) -> Result<(), ConfigError> {
        let wrong = |message| ConfigError::InValue { origin: origin.to_owned(), message };
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(wrong(format!("{}{}", unknown(name), did_you_mean(name))));
        };
        let value = key.kind.read(text);
        key.kind.check(&value).map_err(|what| wrong(format!("{text:?} {what}")))?;
        self.values.insert(key.name, value);
        Ok(())
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    /// Joins the layers and checks what belongs together.
    ///
    /// # Errors
    /// [`ConfigError`] for what is missing or dangerous.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let wrong = |name: &str, message: String| ConfigError::InValue { origin: name.to_owned(), message };
        let listen = self.string("cloud.listen").unwrap_or("127.0.0.1:8000");
        let listen: SocketAddr = listen.parse().map_err(|e| wrong("cloud.listen", format!("{listen:?}: {e}")))?;
        let allow_remote = self.values.get("cloud.allow_remote").and_then(Value::as_bool).unwrap_or(false);
        if !listen.ip().is_loopback() && !allow_remote {
            return Err(ConfigError::Remote(listen));
        }
        let fleet = FleetId::new(self.string("cloud.fleet").unwrap_or("local"))
            .map_err(|e| wrong("cloud.fleet", e.to_string()))?;
        let texts = self.values.get("cloud.allow_origins").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(Config {
            listen,
            allow_origins: texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            map: self.string("cloud.map").map(PathBuf::from).ok_or(ConfigError::NoMap)?,
            state: self.string("cloud.state").map_or_else(|| default_state(&fleet), PathBuf::from),
            fleet,
            log_level: self.string("log.level").unwrap_or("info").to_owned(),
            log_json: self.string("log.format") == Some("json"),
        })
    }
}

fn default_state(fleet: &FleetId) -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("STATE_DIRECTORY")
        .or_else(|| from("XDG_STATE_HOME").map(|dir| dir.join("skein")))
        .or_else(|| from("HOME").map(|dir| dir.join(".local/state/skein")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/skein"))
        .join(fleet.as_str())
        .join("cloud")
}

impl Kind {
    fn read(self, text: &str) -> Value {
        match self {
            Self::Flag => text.parse().map_or_else(|_| Value::String(text.into()), Value::Boolean),
            Self::Texts => Value::Array(
                text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.into())).collect(),
            ),
            Self::Text | Self::Socket | Self::Name | Self::Word(_) => Value::String(text.into()),
        }
    }

    fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Boolean(_)) => Ok(()),
            (Self::Socket, Value::String(text)) if text.parse::<SocketAddr>().is_ok() => Ok(()),
            (Self::Socket, _) => Err("must be an address and a port such as \"127.0.0.1:8000\"".to_owned()),
            (Self::Name, Value::String(text)) => FleetId::new(text.as_str()).map(drop).map_err(|e| e.to_string()),
            (Self::Word(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(()),
            (Self::Word(words), _) => Err(format!("must be one of: {}", words.join(", "))),
            (Self::Texts, Value::Array(items)) if items.iter().all(Value::is_str) => Ok(()),
            (Self::Texts, _) => Err("must be a list of texts".to_owned()),
            (Self::Flag, _) => Err("must be true or false".to_owned()),
            (Self::Text | Self::Name, _) => Err("must be a text in quotes".to_owned()),
        }
    }
}

fn unknown(name: &str) -> String {
    format!("there is no key {name}")
}

fn did_you_mean(wrong: &str) -> String {
    let near = |key: &&Key| strsim::jaro_winkler(wrong, key.name);
    let best = KEYS.iter().max_by(|a, b| near(a).total_cmp(&near(b)));
    match best.filter(|key| near(key) > 0.75) {
        Some(key) => format!("\n  did you mean {}?", key.name),
        None => format!("\n  keys are: {}", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
    }
}

fn in_file(path: &Path, text: &str, at: usize, message: String, help: String) -> ConfigError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    ConfigError::InFile(Box::new(Place {
        path: path.to_owned(),
        line,
        column,
        message,
        text: text.lines().nth(line - 1).unwrap_or("").to_owned(),
        help,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Layers::default().text(Path::new("cloud.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line_a_caret_and_the_key_that_was_meant() {
        let shown = refused("[cloud]\nlisten = \"127.0.0.1:1\"\nflete = \"a\"\n");
        assert!(shown.contains("cloud.toml:3:1") && shown.contains("flete = \"a\"\n  | ^"), "{shown}");
        assert!(shown.contains("did you mean cloud.fleet?"), "{shown}");
        assert!(refused("[cluod]\nmap = \"a\"\n").contains("did you mean cloud.map?"));
        assert!(refused("[cloud]\nlisten = 7\n").contains("cloud.toml:2:10"));
        assert!(refused("[cloud\n").contains("cloud.toml:1"));
    }

    #[test]
    fn later_layers_win_and_a_typo_in_the_environment_is_an_error() {
        let mut layers = Layers::default();
        layers.text(Path::new("c.toml"), "[cloud]\nmap = \"a.yaml\"\nfleet = \"one\"\n").unwrap();
        let variables = [("SKEIN_CLOUD__FLEET", "two"), ("SKEIN_MESH__INTERFACE", "lo"), ("PATH", "/bin")];
        layers.environment(variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))).unwrap();
        layers.set("cloud.map", "b.yaml", "--map").unwrap();
        let config = layers.config().unwrap();
        assert_eq!((config.fleet.as_str(), config.map.to_str()), ("two", Some("b.yaml")));
        let typo = [("SKEIN_CLOUD__FLET".to_owned(), "x".to_owned())];
        assert!(layers.environment(typo.into_iter()).unwrap_err().to_string().contains("did you mean cloud.fleet"));
    }

    #[test]
    fn an_address_for_everybody_needs_to_be_meant() {
        let mut layers = Layers::default();
        layers.set("cloud.map", "m.yaml", "--map").unwrap();
        layers.set("cloud.listen", "0.0.0.0:8000", "--listen").unwrap();
        assert!(matches!(layers.config(), Err(ConfigError::Remote(_))));
        layers.set("cloud.allow_remote", "true", "--allow-remote").unwrap();
        layers.config().unwrap();
        assert_eq!(Layers::default().config(), Err(ConfigError::NoMap));
    }
}
