//! The table of `make bench`: every claim about speed or size, measured against a reference in the same run.

mod clock;
mod counting;
mod fleet;
mod paths;
mod reflex;
mod row;
mod split;
mod world;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;

use crate::row::Row;

/// Measures and prints the table.
#[derive(Parser)]
#[command(version, about = "Measures what the README claims and writes it down")]
struct Options {
    /// Where the rows go as JSON.
    #[arg(long, default_value = "bench.json")]
    out: PathBuf,
    /// Only rows whose group contains this: paths, split, world, reflex, fleet.
    #[arg(long)]
    only: Option<String>,
}

type Group = (&'static str, fn() -> Result<Vec<Row>>);

const GROUPS: &[Group] = &[
    ("paths", paths::rows),
    ("split", split::rows),
    ("world", world::rows),
    ("reflex", reflex::rows),
    ("fleet", fleet::rows),
];

fn main() -> Result<()> {
    let options = Options::parse();
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
