//! Data on stdout, in the requested format; messages on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// Format of the data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// JSON, for programs
    Json,
    /// YAML, for programs
    Yaml,
    /// One name a line, for other commands
    Name,
}

/// Rows under headings. Columns after the narrow ones are for `-o wide`.
pub(crate) struct Table {
    headings: &'static [&'static str],
    narrow: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The first `narrow` columns are always shown.
    pub(crate) fn new(headings: &'static [&'static str], narrow: usize) -> Self {
        Self { headings, narrow, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The columns, padded; the first column of each row is its name.
    fn render(&self, wide: bool) -> String {
        let columns = if wide { self.headings.len() } else { self.narrow };
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            let heading = self.headings.get(column).map_or(0, |heading| heading.chars().count());
            cells.max().unwrap_or(0).max(heading)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        core::iter::once(&headings).chain(&self.rows).map(|row| line(row, &widths)).collect()
    }

    fn names(&self) -> String {
        self.rows.iter().filter_map(|row| row.first()).map(|name| format!("{name}\n")).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// Writes data: the table for people, the value itself for programs.
pub(crate) fn show(format: Format, value: &impl Serialize, table: impl FnOnce() -> Table) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Wide => data(&table().render(format == Format::Wide)),
        Format::Name => data(&table().names()),
        Format::Json => data(&format!("{}\n", json(value)?)),
        Format::Yaml => data(&yaml(value)?),
    }
}

fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml_ng::to_string(value).map_err(|error| Failure::failed(format!("cannot write YAML: {error}")))
}

/// One document of a YAML stream.
pub(crate) fn yaml_document(value: &impl Serialize) -> Result<String, Failure> {
    Ok(format!("---\n{}", yaml(value)?))
}

/// One line of NDJSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
    Ok(format!("{text}\n"))
}

/// Pretty JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))
}

/// Writes to stdout. A reader that went away (`| head`) is no failure.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a message to stderr.
pub(crate) fn talk(text: &str) {
    // A closed stderr has no reader to inform.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether stderr is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Colour on stderr only on a terminal and without `NO_COLOR`.
pub(crate) fn is_colourful() -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_off && is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_wide_shows_the_rest() {
        let mut table = Table::new(&["NAME", "STATE", "WHY"], 2);
        table.row(["rover-1".into(), "IDLE".into(), "nothing to do".into()]);
        table.row(["r2".into(), "EXECUTING".into(), "–".into()]);
        assert_eq!(table.render(false), "NAME     STATE\nrover-1  IDLE\nr2       EXECUTING\n");
        assert_eq!(table.render(true).lines().next(), Some("NAME     STATE      WHY"));
        assert_eq!(table.names(), "rover-1\nr2\n");
    }
}
