//! The table of `make bench`: every claim about speed or size, measured against a reference in the same run.

mod bodies;
mod child;
mod clock;
mod command_line;
mod counting;
mod fleet;
mod flood;
mod hazard;
mod lost_body;
mod paths;
mod reflex;
mod row;
mod split;
mod stop;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use skein_types::ids::FleetId;

use crate::child::Role;
use crate::row::Row;

/// Measures and prints the table.
#[derive(Parser)]
#[command(version, about = "Measures what the README claims and writes it down")]
struct Options {
    /// File for the rows, as JSON.
    #[arg(long, default_value = "bench.json")]
    out: PathBuf,
    /// Only the groups whose names contain this: paths, split, world, reflex, lost-body, hazard, stop, command-line, fleet.
    #[arg(long)]
    only: Option<String>,
    /// What this process does for another one that measures.
    #[arg(long, hide = true, requires = "fleet")]
    child: Option<Role>,
    /// Fleets of that measurement.
    #[arg(long, hide = true)]
    fleet: Vec<FleetId>,
    /// Messages a second of that process.
    #[arg(long, hide = true, default_value_t = flood::RATE)]
    rate: u64,
}

type Group = (&'static str, fn() -> Result<Vec<Row>>);

const GROUPS: &[Group] = &[
    ("paths", paths::rows),
    ("split", split::rows),
    ("world", world::rows),
    ("reflex", reflex::rows),
    ("lost-body", lost_body::rows),
    ("hazard", hazard::rows),
    ("stop", stop::rows),
    ("command-line", command_line::rows),
    ("fleet", fleet::rows),
];

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(role) = options.child {
        return match role {
            Role::HazardReceiver => hazard::receive(&options.fleet),
            Role::Flood => flood::run(&options.fleet, options.rate),
        };
    }
    let mut rows = Vec::new();
    for (name, measure) in GROUPS {
        if options.only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            eprintln!("measuring {name} …");
            rows.extend(measure().with_context(|| format!("measuring {name}"))?);
        }
    }
    row::print(&rows);
    let text = serde_json::to_string_pretty(&json!({ "rows": rows }))?;
    std::fs::write(&options.out, text + "\n").with_context(|| format!("writing {}", options.out.display()))?;
    eprintln!("written to {}", options.out.display());
    Ok(())
}
