//! `skein version`: this program and those it starts, which should be of one release.

use std::process::Command;

use serde_json::json;
use skein_types::link::SCHEMA;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Table};
use crate::run::programs;

/// What a program says of its version; none when it is not there or does not say.
pub(super) fn of_program(name: &str) -> Option<String> {
    let program = programs::find(name).ok()?;
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().last().filter(|_| output.status.success()).map(str::to_owned)
}

pub(super) fn version(context: &Context) -> Result<Exit, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let others: Vec<(&str, Option<String>)> = programs::ALL.iter().map(|name| (*name, of_program(name))).collect();
    let programs: serde_json::Map<_, _> =
        others.iter().map(|(name, version)| ((*name).to_owned(), json!(version))).collect();
    let value = json!({"skein": own, "schema": SCHEMA, "programs": programs});
    output::show(context.format(), &value, || {
        let mut table = Table::new(&["PROGRAM", "VERSION"], 2);
        table.row(["skein".to_owned(), own.to_owned()]);
        for (name, version) in &others {
            table.row([(*name).to_owned(), version.clone().unwrap_or_else(|| "not found".to_owned())]);
        }
        table.row(["wire schema".to_owned(), format!("{SCHEMA}")]);
        table
    })?;
    Ok(Exit::Ok)
}
