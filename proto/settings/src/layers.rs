//! The layers, and where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::file::SettingsFile;
use crate::folders::files_of;
use crate::keys::{PROGRAMS, Program};
use crate::problem::SettingsError;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of keys.
    Default,
    /// A file, by its path.
    File(PathBuf),
    /// A variable of the environment, by its name.
    Env(String),
    /// A flag of the command line, such as `--map`.
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
    program: &'static Program,
    values: BTreeMap<&'static str, (Value, Origin)>,
    unknown_variables: Vec<String>,
}

impl Layers {
    /// Defaults, the standard files, the file of `--config`, the environment; flags go on top with [`Self::set`].
    ///
    /// # Errors
    /// [`SettingsError`] for the first value that is wrong, with its place.
    pub fn standard(
        program: &'static Program,
        config: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Self::defaults(program);
        for path in files_of(program.name) {
            layers.file(&path, false)?;
        }
        if let Some(path) = config {
            layers.file(path, true)?;
        }
        layers.environment(variables)?;
        Ok(layers)
    }

    /// The lowest layer.
    #[must_use]
    pub fn defaults(program: &'static Program) -> Self {
        let mut values = BTreeMap::new();
        for key in program.keys {
            let parsed = key.default.and_then(|text| format!("v = {text}").parse::<Table>().ok());
            if let Some(value) = parsed.and_then(|mut table| table.remove("v")) {
                values.insert(key.name, (value, Origin::Default));
            }
        }
        Self { program, values, unknown_variables: Vec::new() }
    }

    /// Puts a file on top. `must_exist` is for files that someone named.
    ///
    /// # Errors
    /// [`SettingsError`] with the line, a caret and, for an unknown key, the one that was perhaps meant.
    pub fn file(&mut self, path: &Path, must_exist: bool) -> Result<(), SettingsError> {
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(path, &text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !must_exist => Ok(()),
            Err(e) => Err(SettingsError::Unreadable { path: path.to_owned(), reason: e.to_string() }),
        }
    }

    /// Puts the text of a file on top.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn text(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let file = SettingsFile { program: self.program, path, text };
        for (key, value) in file.values()? {
            self.values.insert(key.name, (value, Origin::File(path.to_owned())));
        }
        Ok(())
    }

    /// Puts the environment on top. Variables without `__` are not settings; those of another program are left alone;
    /// those of a section that no program has are kept in [`Self::unknown_variables`].
    ///
    /// # Errors
    /// [`SettingsError::InValue`] names the variable.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), SettingsError> {
        for (variable, text) in variables {
            let Some((section, key)) = variable.strip_prefix("SKEIN_").and_then(|rest| rest.split_once("__")) else {
                continue;
            };
            let section = section.to_lowercase();
            let name = format!("{section}.{}", key.to_lowercase());
            if self.program.find(&name).is_some() {
                self.set(&name, &text, Origin::Env(variable))?;
            } else if PROGRAMS.iter().any(|program| program.find(&name).is_some()) {
                continue;
            } else if PROGRAMS.iter().any(|program| program.has_section(&section)) {
                return Err(self.unknown_variable(variable, &name));
            } else {
                self.unknown_variables.push(variable);
            }
        }
        Ok(())
    }

    fn unknown_variable(&self, origin: String, name: &str) -> SettingsError {
        let all = std::iter::once(&self.program).chain(PROGRAMS);
        let near = all.filter_map(|program| program.nearest(name)).next();
        let help = near.map(|near| format!("did you mean {}?", env_name(near)));
        SettingsError::InValue { origin, message: format!("there is no key {name}"), help }
    }

    /// Puts one value on top, as text.
    ///
    /// # Errors
    /// [`SettingsError::InValue`] names where it came from.
    pub fn set(&mut self, name: &str, text: &str, origin: Origin) -> Result<(), SettingsError> {
        let problem = |message| SettingsError::InValue { origin: origin.to_string(), message, help: None };
        let key = self.program.find(name).ok_or_else(|| problem(format!("there is no key {name}")))?;
        let value = key.kind.read(text).map_err(|wrong| problem(format!("{text:?} {wrong}")))?;
        self.values.insert(key.name, (value, origin));
        Ok(())
    }

    /// The value on top and where it came from.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Value, Origin)> {
        self.values.get(name)
    }

    /// Variables that look like settings but belong to no section of any program: worth a warning.
    #[must_use]
    pub fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }

    /// Insists that keys without a default are given; each comes with its flag for the error.
    ///
    /// # Errors
    /// [`SettingsError::Missing`] for the first that is not.
    pub fn require(&self, keys: &[(&'static str, &'static str)]) -> Result<(), SettingsError> {
        match keys.iter().find(|(key, _)| self.get(key).is_none()) {
            Some(&(key, flag)) => Err(SettingsError::Missing { key, flag, env: env_name(key) }),
            None => Ok(()),
        }
    }

    /// All values as the program's own type, one table per section.
    ///
    /// # Errors
    /// [`SettingsError::Whole`] where the type does not fit the table of keys.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        Value::Table(self.table()).try_into().map_err(|e| SettingsError::Whole(e.message().to_owned()))
    }

    /// An error about the value on top of a key, for checks that one kind cannot make.
    #[must_use]
    pub fn problem(&self, name: &str, message: &str, help: &str) -> SettingsError {
        let origin = self.get(name).map_or_else(|| name.to_owned(), |(_, origin)| format!("{name} ({origin})"));
        SettingsError::InValue { origin, message: message.to_owned(), help: Some(help.to_owned()) }
    }

    /// All values, one table per section.
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

    /// All keys as a TOML file that says what each is for and where its value came from; reads back as itself.
    #[must_use]
    pub fn view(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in self.program.keys {
            if key.section() != section {
                section = key.section();
                let _ = writeln!(text, "{}[{section}]", if text.is_empty() { "" } else { "\n" });
            }
            let _ = match self.get(key.name) {
                Some((value, origin)) => writeln!(text, "{} = {value}  # {origin}: {}", key.last(), key.about),
                None => writeln!(text, "# {} =  # not set: {}", key.last(), key.about),
            };
        }
        text
    }
}

/// `SKEIN_SECTION__KEY` of `section.key`.
fn env_name(key: &str) -> String {
    format!("SKEIN_{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CLOUD, EDGE};

    fn variable(name: &str, value: &str) -> impl Iterator<Item = (String, String)> {
        [(name.to_owned(), value.to_owned())].into_iter()
    }

    fn help(error: &SettingsError) -> Option<String> {
        miette::Diagnostic::help(error).map(|help| help.to_string())
    }

    #[test]
    fn later_layers_win_and_say_where_a_value_came_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.toml");
        std::fs::write(&path, "[log]\nlevel = \"warn\"\nkept = 20\n[robot]\nid = \"rover-1\"\n").unwrap();
        let env = [("SKEIN_LOG__LEVEL", "debug"), ("SKEIN_DIR", "x"), ("PATH", "/bin")];
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut layers = Layers::standard(&EDGE, Some(&path), env).unwrap();
        assert_eq!(layers.get("log.kept").unwrap().1, Origin::File(path));
        assert_eq!(layers.get("log.level").unwrap().1, Origin::Env("SKEIN_LOG__LEVEL".into()));
        assert_eq!(layers.get("log.format").unwrap().1, Origin::Default);
        layers.set("log.level", "trace", Origin::Flag("--log".into())).unwrap();
        assert!(layers.view().contains("level = \"trace\"  # --log:"), "{}", layers.view());
        assert!(layers.view().contains("# cpu =  # not set:"), "{}", layers.view());
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let error = Layers::standard(&EDGE, Some(Path::new("absent.toml")), std::iter::empty()).unwrap_err();
        assert!(error.to_string().starts_with("cannot read absent.toml"), "{error}");
    }

    #[test]
    fn a_wrong_variable_is_an_error_that_names_it() {
        let mut layers = Layers::defaults(&EDGE);
        let error = layers.environment(variable("SKEIN_DEBUG__LISTN", "x")).unwrap_err();
        assert_eq!(help(&error).as_deref(), Some("did you mean SKEIN_DEBUG__LISTEN?"));
        let error = layers.environment(variable("SKEIN_DEBUG__LISTEN", "everywhere")).unwrap_err();
        assert!(error.to_string().starts_with("SKEIN_DEBUG__LISTEN: \"everywhere\" must be"), "{error}");
        let error = Layers::defaults(&CLOUD).environment(variable("SKEIN_CLOUD__FLET", "x")).unwrap_err();
        assert_eq!(help(&error).as_deref(), Some("did you mean SKEIN_CLOUD__FLEET?"));
    }

    #[test]
    fn a_variable_of_another_program_is_left_alone() {
        for (program, name, value) in [
            (&EDGE, "SKEIN_CLOUD__LISTEN", "127.0.0.1:0"),
            (&CLOUD, "SKEIN_CLOUD__URL", "none"),
            (&CLOUD, "SKEIN_LOG__KEPT", "100"),
            (&CLOUD, "SKEIN_MESH__INTERFACE", "eth0"),
        ] {
            let mut layers = Layers::defaults(program);
            layers.environment(variable(name, value)).unwrap();
            assert_eq!(layers.table(), Layers::defaults(program).table());
            assert!(layers.unknown_variables().is_empty());
        }
    }

    #[test]
    fn a_variable_of_no_program_is_remembered_for_a_warning() {
        let mut layers = Layers::defaults(&EDGE);
        layers.environment(variable("SKEIN_BRAKES__COLOUR", "x")).unwrap();
        assert_eq!(layers.unknown_variables(), ["SKEIN_BRAKES__COLOUR"]);
    }

    #[test]
    fn the_printed_configuration_reads_back_as_itself() {
        for program in PROGRAMS {
            let mut layers = Layers::defaults(program);
            layers.set("log.level", "a \"quoted\" # text", Origin::Default).unwrap();
            let mut again = Layers::defaults(program);
            again.text(Path::new("view.toml"), &layers.view()).unwrap();
            assert_eq!(again.table(), layers.table());
        }
    }

    #[test]
    fn a_key_without_default_that_no_layer_gives_is_named_with_its_flag() {
        let error = Layers::defaults(&CLOUD).require(&[("cloud.listen", "--listen"), ("cloud.map", "--map")]);
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "cloud.map is not given");
        assert_eq!(help(&error).as_deref(), Some("give it with --map, as SKEIN_CLOUD__MAP, or in a file"));
    }
}
