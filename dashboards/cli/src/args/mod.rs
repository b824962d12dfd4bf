//! The command line's grammar: one module per noun, the options that every command takes here.

mod drill;
mod fleet;
mod lease;
mod mission;
mod robot;
mod safety;
mod span;
mod zone;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use skein_types::ids::OperatorId;
use uuid::Uuid;

pub(crate) use drill::{Drill, DrillKind};
pub(crate) use fleet::{Demo, Doctor, FleetArgs, Up};
pub(crate) use lease::{Lease, Override};
pub(crate) use mission::{Mission, ObjectiveArg, Spec};
pub(crate) use robot::Robot;
pub(crate) use safety::{Kill, Targets};
pub(crate) use span::Span;
pub(crate) use zone::{Zone, ZoneFile};

use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  skein demo                              the sample warehouse, six robots, from start to report
  skein up --robots 3                     supervisor and robots in the background
  skein mission submit --zone zone.geojson
  skein mission wait last && skein down

Exit codes: 0 done, 1 failed, 2 usage error, 3 not found, 4 refused, 5 unreachable, 130 interrupted.";

/// Commands a fleet of robots: missions, robots, safety, and simulated fleets to try them on.
#[derive(Debug, Parser)]
#[command(name = "skein", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Common {
    /// Format of the data on stdout
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Run directory of the fleet to command: pids, ports, sockets, state and logs [default: .skein]
    #[arg(long, global = true, env = "SKEIN_DIR", value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// Supervisor to command [default: that of the fleet in the run directory]
    #[arg(long, global = true, env = "SKEIN_CLOUD", value_name = "URL")]
    pub cloud: Option<String>,
    /// Your name; it goes into the record of every command you give [default: $USER]
    #[arg(long, global = true, env = "SKEIN_OPERATOR", value_name = "NAME")]
    pub operator: Option<OperatorId>,
    /// Id of the lease you hold, from `skein lease take`
    #[arg(long, global = true, env = "SKEIN_LEASE", value_name = "ID")]
    pub lease: Option<Uuid>,
    /// How long to wait for an answer, such as 500ms, 10s, 2m
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Span>,
}

/// Verbs and nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a whole survey with simulated robots and reports the result
    Demo(Demo),
    /// Starts a supervisor and simulated robots as real processes
    Up(Up),
    /// Ends what `up` started; operator latches (STOP, KILL) are kept
    Down,
    /// Shows processes, robots and missions of the fleet
    Status,
    /// Checks this machine and says how to repair what is missing
    Doctor(Doctor),
    /// Plans, starts and follows missions
    #[command(subcommand)]
    Mission(Mission),
    /// Shows robots, their logs and their reasons
    #[command(subcommand)]
    Robot(Robot),
    /// Stops robots until `release`
    Stop(Targets),
    /// Cuts the motor power of one robot until `release`
    Kill(Kill),
    /// Releases robots that were stopped or killed
    #[command(alias = "resume")]
    Release(Targets),
    /// Takes, renews, lists and gives back control of robots
    #[command(subcommand)]
    Lease(Lease),
    /// Drives a robot by hand, for a short time
    Override(Override),
    /// Tries stops, hangs and kills on a simulated fleet, and measures them
    Drill(Drill),
    /// Checks and converts zone files
    #[command(subcommand)]
    Zone(Zone),
    /// Prints a completion script for a shell
    #[command(after_help = "Example:\n  skein completion bash > ~/.local/share/bash-completion/completions/skein")]
    Completion {
        /// Shell to write the script for
        shell: clap_complete::Shell,
    },
    /// Shows the versions of this program and of the programs it starts
    Version,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    /// "Which" alone says nothing.
    #[test]
    fn every_argument_is_described() {
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    help.split_whitespace().count() > 2,
                    "{} of `{}`: {help:?}",
                    argument.get_id(),
                    command.get_name()
                );
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
