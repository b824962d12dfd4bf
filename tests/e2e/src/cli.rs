//! The command line, as an operator runs it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use crate::fleet::TOKEN;
use crate::process::command;

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// From start to exit.
    pub took: Duration,
    /// Data on standard output; null when it is not JSON.
    pub data: Value,
    /// Standard error.
    pub talk: String,
}

impl Answer {
    /// The row of one robot in a list.
    #[must_use]
    pub fn robot(&self, name: &str) -> &Value {
        let rows = self.data.as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().find(|row| row["robot"] == name).unwrap_or(&Value::Null)
    }

    /// Whether a robot acknowledged a STOP, KILL or release.
    #[must_use]
    pub fn is_acknowledged(&self, name: &str) -> bool {
        self.robot(name)["acknowledged"] == true
    }
}

/// `skein --dir DIR -o json ARGUMENTS` as operator ada.
///
/// # Errors
/// When the program cannot be started.
#[expect(clippy::disallowed_methods, reason = "how long a command takes is what is tested")]
pub fn skein(directory: &Path, arguments: &[&str]) -> Result<Answer> {
    let start = Instant::now();
    let output = program(directory)?.args(["-o", "json"]).args(arguments).output()?;
    let took = start.elapsed();
    Ok(Answer {
        code: output.status.code().unwrap_or(-1),
        took,
        data: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        talk: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn program(directory: &Path) -> Result<Command> {
    let mut program = command("skein")?;
    program.arg("--dir").arg(directory).stdin(Stdio::null());
    program.env("SKEIN_OPERATOR", "ada").env("SKEIN_OVERRIDE_TOKEN", TOKEN);
    program.env_remove("SKEIN_CLOUD").env_remove("SKEIN_LEASE");
    Ok(program)
}
