//! `robot`.

use clap::Subcommand;
use skein_types::ids::AgentId;

/// `robot`.
#[derive(Debug, Subcommand)]
pub(crate) enum Robot {
    /// Lists robots
    Ls,
    /// Shows one robot
    Get {
        /// Name of the robot
        robot: AgentId,
    },
    /// Prints a robot's log, read from the robot itself
    #[command(after_help = "Example:\n  skein robot logs rover-1 --follow --level warn")]
    Logs {
        /// Name of the robot
        robot: AgentId,
        /// Go on as the log grows
        #[arg(short, long)]
        follow: bool,
        /// Only lines of this level and worse: error, warn, info, debug
        #[arg(long, value_name = "LEVEL")]
        level: Option<String>,
        /// Only lines of the last span, such as 30s, or after a line's number
        #[arg(long, value_name = "SPAN")]
        since: Option<String>,
    },
    /// Explains what a robot does, and its last decisions
    Why {
        /// Name of the robot
        robot: AgentId,
    },
}
