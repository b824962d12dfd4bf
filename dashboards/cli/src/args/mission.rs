//! `mission`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use skein_types::ids::AgentId;

/// A mission to preview or to submit.
#[derive(Clone, Debug, Args)]
pub(crate) struct Spec {
    /// GeoJSON polygon [default: the zone of the fleet that is up here]
    #[arg(long, value_name = "ZONE.geojson")]
    pub zone: Option<PathBuf>,
    /// Map whose datum a zone in longitude and latitude needs [default: that of the fleet that is up here]
    #[arg(long, alias = "world", value_name = "MAP.yaml")]
    pub map: Option<PathBuf>,
    /// What the robots do in the zone
    #[arg(long, value_enum, default_value = "survey", value_name = "OBJECTIVE")]
    pub objective: ObjectiveArg,
    /// 1 (low) to 10 (critical)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10), value_name = "NUMBER")]
    pub priority: u32,
    /// Name of the mission, for people [default: the zone's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Only this robot may take part; repeat the option for more [default: any]
    #[arg(long = "robot", value_name = "ROBOT")]
    pub robots: Vec<AgentId>,
    /// Robots go back to where they started when done
    #[arg(long)]
    pub return_home: bool,
}

/// Objectives that the supervisor accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ObjectiveArg {
    /// Cover the zone once
    Survey,
    /// Go to the zone and stay
    Guard,
}

/// `mission`.
#[derive(Debug, Subcommand)]
#[command(after_help = "MISSION is an id, the beginning of an id, or `last`.")]
pub(crate) enum Mission {
    /// Shows what would happen; nothing moves
    #[command(after_help = "Example:\n  skein mission preview --zone zone.geojson")]
    Preview(Spec),
    /// Submits a mission to the supervisor
    #[command(after_help = "Examples:
  skein mission submit --zone zone.geojson --wait
  skein mission submit --zone gate.geojson --objective guard --priority 8 --robot rover-2")]
    Submit {
        #[command(flatten)]
        spec: Spec,
        /// Idempotency key: the same key again returns the same mission
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Wait for the mission's end
        #[arg(long)]
        wait: bool,
    },
    /// Lists missions, newest first
    Ls {
        /// Only missions that have not ended
        #[arg(long)]
        active: bool,
    },
    /// Shows one mission
    Get {
        /// Mission: its id, the beginning of it, or `last`
        mission: String,
    },
    /// Prints a line each time the mission changes, until its end
    Watch {
        /// Mission: its id, the beginning of it, or `last`
        #[arg(default_value = "last")]
        mission: String,
    },
    /// Waits for the mission's end; exits 0 only when it is DONE
    #[command(after_help = "The wait survives a restart of the supervisor; --timeout bounds it.
Example:\n  skein mission wait last --timeout 10m")]
    Wait {
        /// Mission: its id, the beginning of it, or `last`
        #[arg(default_value = "last")]
        mission: String,
    },
    /// Halts the work and keeps the assignments
    Pause {
        /// Mission: its id, the beginning of it, or `last`
        mission: String,
    },
    /// Goes on with a paused mission
    Resume {
        /// Mission: its id, the beginning of it, or `last`
        mission: String,
    },
    /// Cancels the mission
    Cancel {
        /// Mission: its id, the beginning of it, or `last`
        mission: String,
        /// Reason; goes into the record
        #[arg(long, default_value = "")]
        reason: String,
    },
}
