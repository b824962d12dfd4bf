//! Other processes of a measurement: this program again, under another name.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use skein_types::ids::FleetId;

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Receives hazards and bare messages and notes when.
    HazardReceiver,
    /// Publishes intents.
    Flood,
}

/// A child that has said that it is ready. It ends when its input is closed, at the latest when this is dropped.
pub(crate) struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// A child that publishes this many intents a second to these fleets in turn.
    pub(crate) fn flood(fleets: &[FleetId], rate: u64) -> Result<Self> {
        Self::spawn(Role::Flood, fleets, &["--rate", &rate.to_string()])
    }

    pub(crate) fn start(role: Role, fleets: &[FleetId]) -> Result<Self> {
        Self::spawn(role, fleets, &[])
    }

    fn spawn(role: Role, fleets: &[FleetId], more: &[&str]) -> Result<Self> {
        let name = role.to_possible_value().context("a name")?.get_name().to_owned();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--child", &name])
            .args(more)
            .args(fleets.iter().flat_map(|fleet| ["--fleet", fleet.as_str()]))
            .env(skein_mesh::RUNTIME_ENV.0, skein_mesh::RUNTIME_ENV.1)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.trim() == READY, "{name} said {line:?}");
        Ok(Self { child, output })
    }

    /// Closes its input and reads what it prints at its end.
    pub(crate) fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a child ended with {status}");
        Ok(text)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const READY: &str = "ready";

/// In a child: says that it is ready, then waits until the input is closed.
pub(crate) fn ready_until_closed() -> Result<()> {
    println!("{READY}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
