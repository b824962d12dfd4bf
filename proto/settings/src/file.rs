//! One TOML file: its values with the place of each, and errors that point into it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::keys::{Key, Program};
use crate::problem::SettingsError;

/// The text of a file and the program whose keys may stand in it.
pub(crate) struct SettingsFile<'a> {
    pub(crate) program: &'static Program,
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl SettingsFile<'_> {
    /// Every value of the file with its key, checked.
    pub(crate) fn values(&self) -> Result<Vec<(&'static Key, Value)>, SettingsError> {
        let spans = DeTable::parse(self.text).map_err(|e| self.not_toml(&e))?;
        let values: Table = toml::from_str(self.text).map_err(|e| self.not_toml(&e))?;
        let mut found = Vec::new();
        for (section, content) in spans.get_ref() {
            let name = section.get_ref().as_ref();
            match content.get_ref() {
                DeValue::Table(inner) if self.program.has_section(name) => {
                    self.section(name, inner, values.get(name), &mut found)?;
                }
                _ => return Err(self.unknown(name, section.span())),
            }
        }
        Ok(found)
    }

    fn section(
        &self,
        section: &str,
        spans: &DeTable<'_>,
        values: Option<&Value>,
        found: &mut Vec<(&'static Key, Value)>,
    ) -> Result<(), SettingsError> {
        for (key, spanned) in spans {
            let name = format!("{section}.{}", key.get_ref());
            let known = self.program.find(&name).ok_or_else(|| self.unknown(&name, key.span()))?;
            let Some(value) = values.and_then(|table| table.get(key.get_ref().as_ref())) else { continue };
            known.kind.check(value).map_err(|wrong| self.wrong_value(&name, &wrong, spanned))?;
            found.push((known, value.clone()));
        }
        Ok(())
    }

    fn not_toml(&self, error: &toml::de::Error) -> SettingsError {
        self.problem("not TOML".into(), error.message().to_owned(), error.span().unwrap_or(0..0), None)
    }

    fn unknown(&self, name: &str, span: Range<usize>) -> SettingsError {
        let help = self.program.nearest(name).map(|near| format!("did you mean {near}?"));
        self.problem(format!("there is no key {name}"), "unknown key".into(), span, help)
    }

    fn wrong_value(&self, name: &str, wrong: &str, value: &Spanned<DeValue<'_>>) -> SettingsError {
        self.problem(format!("{name} {wrong}"), wrong.to_owned(), value.span(), None)
    }

    fn problem(&self, message: String, label: String, span: Range<usize>, help: Option<String>) -> SettingsError {
        let source = NamedSource::new(self.path.display().to_string(), self.text.to_owned()).with_language("TOML");
        SettingsError::InFile { message, source_code: Arc::new(source), span: span.into(), label, help }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CLOUD, EDGE};

    fn refused(program: &'static Program, text: &str) -> String {
        let error = SettingsFile { program, path: Path::new("skein.toml"), text }.values().unwrap_err();
        let mut shown = String::new();
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .render_report(&mut shown, &error)
            .unwrap();
        shown
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_line_and_the_key_that_was_meant() {
        let shown = refused(&EDGE, "[debug]\nlisten = \"127.0.0.1:1\"\nalow_remote = true\n");
        assert!(shown.contains("skein.toml:3:1") && shown.contains("alow_remote = true"), "{shown}");
        assert!(shown.contains("did you mean debug.allow_remote?"), "{shown}");
        assert!(refused(&EDGE, "[cluod]\nurl = \"none\"\n").contains("did you mean cloud.url?"));
        assert!(refused(&EDGE, "id = \"rover-1\"\n").contains("did you mean robot.id?"));
        assert!(refused(&CLOUD, "[cloud]\nflete = \"a\"\n").contains("did you mean cloud.fleet?"));
    }

    #[test]
    fn a_key_of_another_program_is_unknown_in_this_ones_file() {
        assert!(refused(&CLOUD, "[robot]\nid = \"rover-1\"\n").contains("there is no key robot"));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_shown_at_its_place() {
        let shown = refused(&EDGE, "[loop]\n\npriority = \"high\"\n");
        assert!(shown.contains("skein.toml:3:12") && shown.contains("whole number from 0 to 99"), "{shown}");
        assert!(refused(&EDGE, "[robot]\nid = \"Rover 1\"\n").contains("lower-case"));
        assert!(refused(&CLOUD, "[cloud]\nlisten = 7\n").contains("skein.toml:2:10"));
        assert!(refused(&EDGE, "[mesh\n").contains("not TOML"));
    }
}
