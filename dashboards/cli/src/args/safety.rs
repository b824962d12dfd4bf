//! `stop`, `kill`, `release`.

use clap::Args;
use skein_types::ids::AgentId;

/// Robots that `stop` and `release` act on.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  skein stop --all --reason \"person on the floor\"\n  skein release rover-1")]
pub(crate) struct Targets {
    /// Names of the robots
    #[arg(value_name = "ROBOT", conflicts_with = "all")]
    pub robots: Vec<AgentId>,
    /// Every robot of the fleet
    #[arg(long)]
    pub all: bool,
    /// Reason; goes into the record
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `kill`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  skein kill rover-1 --confirm rover-1 --reason \"smoke\"")]
pub(crate) struct Kill {
    /// Name of the robot
    pub robot: AgentId,
    /// The same name again
    #[arg(long, value_name = "ROBOT")]
    pub confirm: AgentId,
    /// Reason; goes into the record
    #[arg(long)]
    pub reason: String,
}
