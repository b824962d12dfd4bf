//! The layers, each checked where it is read, and where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::NamedSource;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::keys::{KEYS, find, is_section, nearest};
use super::problem::ConfigError;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// The command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Values by key, the last layer on top.
#[derive(Clone, Debug)]
pub struct Layers {
    values: BTreeMap<&'static str, (Value, Origin)>,
    /// Variables that belong to no section of this program.
    strange: Vec<String>,
}

impl Default for Layers {
    fn default() -> Self {
        let mut values = BTreeMap::new();
        for key in KEYS {
            let parsed = key.default.and_then(|text| format!("v = {text}").parse::<Table>().ok());
            if let Some(value) = parsed.and_then(|mut table| table.remove("v")) {
                values.insert(key.name, (value, Origin::Default));
            }
        }
        Self { values, strange: Vec::new() }
    }
}

/// `SKEIN_SECTION__KEY` of `section.key`.
pub(super) fn env_name(key: &str) -> String {
    format!("SKEIN_{}", key.replace('.', "__").to_uppercase())
}

impl Layers {
    /// Puts a file on top. `must_exist` is for files that someone named.
    ///
    /// # Errors
    /// [`ConfigError`] with the line, a caret and, for an unknown key, the one that was perhaps meant.
    pub fn file(&mut self, path: &Path, must_exist: bool) -> Result<(), ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(path, &text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(()),
            Err(e) => Err(ConfigError::Unreadable { path: path.to_owned(), reason: e.to_string() }),
        }
    }

    /// Puts the text of a file on top.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let file = File { path, text };
        let spans = DeTable::parse(text).map_err(|e| file.toml(&e))?;
        let values: Table = toml::from_str(text).map_err(|e| file.toml(&e))?;
        for (section, content) in spans.get_ref() {
            let name = section.get_ref().as_ref();
            let DeValue::Table(inner) = content.get_ref() else {
                return Err(file.unknown(name, section.span()));
            };
            if !is_section(name) {
                return Err(file.unknown(name, section.span()));
            }
            self.section(&file, name, inner, values.get(name))?;
        }
        Ok(())
    }

    fn section(
        &mut self,
        file: &File<'_>,
        section: &str,
        spans: &DeTable<'_>,
        values: Option<&Value>,
    ) -> Result<(), ConfigError> {
        for (key, spanned) in spans {
            let name = format!("{section}.{}", key.get_ref());
            let known = find(&name).ok_or_else(|| file.unknown(&name, key.span()))?;
            let Some(value) = values.and_then(|table| table.get(key.get_ref().as_ref())) else { continue };
            known.kind.check(value).map_err(|wrong| file.wrong_value(&name, &wrong, spanned))?;
            self.values.insert(known.name, (value.clone(), Origin::File(file.path.to_owned())));
        }
        Ok(())
    }

    /// Puts the environment on top. Variables without `__` are not ours; of a section we do not know, they are
    /// remembered in [`Self::strange`].
    ///
    /// # Errors
    /// [`ConfigError::InValue`] names the variable.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix("SKEIN_") else { continue };
            let Some((section, key)) = rest.split_once("__") else { continue };
            let name = format!("{}.{}", section.to_lowercase(), key.to_lowercase());
            if !is_section(&section.to_lowercase()) {
                self.strange.push(variable);
                continue;
            }
            if find(&name).is_none() {
                let help = nearest(&name).map(|near| format!("did you mean {}?", env_name(near)));
                let message = format!("there is no key {name}");
                return Err(ConfigError::InValue { origin: variable, message, help });
            }
            self.set(&name, &text, Origin::Env(variable))?;
        }
        Ok(())
    }

    /// Puts one value on top, as text.
    ///
    /// # Errors
    /// [`ConfigError::InValue`] names where it came from.
    pub fn set(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let problem = |message| ConfigError::InValue { origin: origin.to_string(), message, help: None };
        let key = find(name).ok_or_else(|| problem(format!("there is no key {name}")))?;
        let value = key.kind.read(text).map_err(|wrong| problem(format!("{text:?} {wrong}")))?;
        self.values.insert(key.name, (value, origin));
        Ok(())
    }

    /// The value on top and where it came from.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Value, Origin)> {
        self.values.get(name)
    }

    /// Variables that look like ours but belong to no section of this program.
    #[must_use]
    pub fn strange(&self) -> &[String] {
        &self.strange
    }

    /// An error about the value on top of a key.
    #[must_use]
    pub fn problem(&self, name: &str, message: &str, help: &str) -> ConfigError {
        let origin = self.get(name).map_or_else(|| name.to_owned(), |(_, origin)| format!("{name} ({origin})"));
        ConfigError::InValue { origin, message: message.to_owned(), help: Some(help.to_owned()) }
    }

    /// All values as one table.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        for (name, (value, _)) in &self.values {
            let Some((section, key)) = name.split_once('.') else { continue };
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                inner.insert(key.to_owned(), value.clone());
            }
        }
        table
    }

    /// All keys as a TOML file that says what each is for and where its value came from.
    #[must_use]
    pub fn view(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            let Some((its_section, name)) = key.name.split_once('.') else { continue };
            if its_section != section {
                section = its_section;
                let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
            }
            let _ = match self.get(key.name) {
                Some((value, origin)) => writeln!(text, "{name} = {value}  # {origin}: {}", key.about),
                None => writeln!(text, "# {name} =  # not set: {}", key.about),
            };
        }
        text
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn problem(&self, message: String, label: String, span: Range<usize>, help: Option<String>) -> ConfigError {
        let source_code = NamedSource::new(self.path.display().to_string(), self.text.to_owned()).with_language("TOML");
        ConfigError::InFile { message, source_code: Arc::new(source_code), span: span.into(), label, help }
    }

    fn toml(&self, error: &toml::de::Error) -> ConfigError {
        self.problem("this is no TOML".into(), error.message().to_owned(), error.span().unwrap_or(0..0), None)
    }

    fn unknown(&self, name: &str, span: Range<usize>) -> ConfigError {
        let help = nearest(name).map(|near| format!("did you mean {near}?"));
        self.problem(format!("there is no key {name}"), "not known".into(), span, help)
    }

    fn wrong_value(&self, name: &str, wrong: &str, value: &Spanned<DeValue<'_>>) -> ConfigError {
        self.problem(format!("{name} {wrong}"), wrong.to_owned(), value.span(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn refused(text: &str) -> String {
        let error = Layers::default().text(Path::new("edge.toml"), text).unwrap_err();
        let mut shown = String::new();
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .render_report(&mut shown, &error)
            .unwrap();
        shown
    }

    fn minimal() -> Layers {
        let mut layers = Layers::default();
        layers
            .text(
                Path::new("edge.toml"),
                "[robot]\nid = \"rover-1\"\nmap = \"m.yaml\"\n[body]\naddress = \"unix:/s\"\n",
            )
            .unwrap();
        layers
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line_a_caret_and_the_key_that_was_meant() {
        let shown = refused("[debug]\nlisten = \"127.0.0.1:1\"\nalow_remote = true\n");
        assert!(shown.contains("edge.toml:3:1"), "{shown}");
        assert!(shown.contains("alow_remote = true"), "{shown}");
        assert!(shown.contains("did you mean debug.allow_remote?"), "{shown}");
        assert!(refused("[cluod]\nurl = \"none\"\n").contains("did you mean cloud.url?"));
        assert!(refused("id = \"rover-1\"\n").contains("did you mean robot.id?"));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_shown_where_it_stands() {
        let shown = refused("[loop]\n\npriority = \"high\"\n");
        assert!(shown.contains("edge.toml:3:12") && shown.contains("whole number from 0 to 99"), "{shown}");
        assert!(refused("[robot]\nid = \"Rover 1\"\n").contains("lower-case"));
        assert!(refused("[cloud]\nurl = \"https://x\"\n").contains("http://127.0.0.1:8000"));
        assert!(refused("[mesh\n").contains("this is no TOML"));
    }

    #[test]
    fn later_layers_win_and_say_where_a_value_came_from() {
        let mut layers = minimal();
        let env = [("SKEIN_LOG__LEVEL".to_owned(), "debug".to_owned()), ("SKEIN_CONTEXT".to_owned(), "x".to_owned())];
        layers.environment(env.into_iter()).unwrap();
        assert_eq!(layers.get("log.level").unwrap().1, Origin::Env("SKEIN_LOG__LEVEL".into()));
        layers.set("log.level", "trace", Origin::Flag("--log".into())).unwrap();
        let config = Config::from_layers(&layers).unwrap();
        assert_eq!(config.log.level, "trace");
        assert!(layers.view().contains("level = \"trace\"  # --log:"), "{}", layers.view());
    }

    #[test]
    fn a_wrong_variable_is_named_and_a_strange_section_is_only_remembered() {
        let mut layers = minimal();
        let wrong = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into_iter();
        let error = layers.environment(wrong("SKEIN_DEBUG__LISTN", "x")).unwrap_err();
        let help = miette::Diagnostic::help(&error).map(|h| h.to_string());
        assert_eq!(help.as_deref(), Some("did you mean SKEIN_DEBUG__LISTEN?"));
        let error = layers.environment(wrong("SKEIN_DEBUG__LISTEN", "everywhere")).unwrap_err();
        assert!(error.to_string().starts_with("SKEIN_DEBUG__LISTEN: \"everywhere\" must be"), "{error}");
        layers.environment(wrong("SKEIN_LEDGER__PATH", "x")).unwrap();
        assert_eq!(layers.strange(), ["SKEIN_LEDGER__PATH"]);
    }

    #[test]
    fn the_printed_configuration_reads_back_as_itself() {
        let layers = minimal();
        let mut again = Layers::default();
        again.text(Path::new("view.toml"), &layers.view()).unwrap();
        assert_eq!(again.table(), layers.table());
    }

    #[test]
    fn what_is_missing_or_open_to_others_is_refused_with_what_to_do() {
        let error = Config::from_layers(&Layers::default()).unwrap_err();
        assert!(matches!(&error, ConfigError::Missing { key: "robot.id", env, .. } if env == "SKEIN_ROBOT__ID"));
        let mut layers = minimal();
        layers.set("debug.listen", "0.0.0.0:8080", Origin::Flag("--debug".into())).unwrap();
        assert!(Config::from_layers(&layers).unwrap_err().to_string().contains("debug.listen (--debug)"));
        layers.set("debug.allow_remote", "true", Origin::Flag("--debug-allow-remote".into())).unwrap();
        assert!(Config::from_layers(&layers).is_ok());
    }

    #[test]
    fn every_default_is_of_its_own_kind() {
        for key in KEYS {
            let given = Layers::default().get(key.name).map(|(value, _)| value.clone());
            assert_eq!(given.is_some(), key.default.is_some(), "{}", key.name);
            assert!(given.is_none_or(|value| key.kind.check(&value).is_ok()), "{}", key.name);
        }
    }
}
