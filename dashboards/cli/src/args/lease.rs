//! `lease`, `override`.

use clap::{Args, Subcommand};
use skein_types::ids::AgentId;

use super::Span;

/// `lease`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  export SKEIN_LEASE=$(skein lease take --all --for 10m -o name)
  skein lease renew --for 10m
  skein lease release")]
pub(crate) enum Lease {
    /// Takes control of robots: others cannot command them until the lease ends. STOP and KILL need no lease
    Take {
        /// Names of the robots
        #[arg(value_name = "ROBOT", conflicts_with = "all")]
        robots: Vec<AgentId>,
        /// Every robot of the fleet
        #[arg(long)]
        all: bool,
        /// How long the lease lasts unless it is renewed
        #[arg(long = "for", default_value = "10m", value_name = "TIME")]
        time_to_live: Span,
    },
    /// Keeps the lease of --lease or SKEIN_LEASE for longer
    Renew {
        /// How long the lease lasts from now on
        #[arg(long = "for", default_value = "10m", value_name = "TIME")]
        time_to_live: Span,
    },
    /// Gives the lease of --lease or SKEIN_LEASE back
    Release,
    /// Lists the leases in force
    Ls,
}

/// `override`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "The robot's reflex and fence hold as for everything. After the time the robot holds in MANUAL;
--give-back lets it work by itself again.

Examples:
  skein override rover-1 --forward 0.2 --for 2s --reason \"clear the doorway\"
  skein override rover-1 --give-back")]
pub(crate) struct Override {
    /// Name of the robot
    pub robot: AgentId,
    /// Speed forward, m/s; negative is backward
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_name = "M/S")]
    pub forward: f64,
    /// Speed to the left, m/s; only for bodies that can
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_name = "M/S")]
    pub left: f64,
    /// Turning speed, rad/s; positive is counter-clockwise
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_name = "RAD/S")]
    pub turn: f64,
    /// How long to drive; Ctrl-C ends it earlier
    #[arg(long = "for", default_value = "500ms", value_name = "TIME")]
    pub duration: Span,
    /// Reason; goes into the record
    #[arg(long, default_value = "driven from the command line")]
    pub reason: String,
    /// End the override: the robot works by itself again
    #[arg(long, conflicts_with_all = ["forward", "left", "turn", "duration"])]
    pub give_back: bool,
}
