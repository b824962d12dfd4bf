//! `drill`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `drill`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Works only on a fleet that `skein up` started. Every STOP that the drill gives it also releases; Ctrl-C ends
it and leaves the fleet released.

Examples:
  skein drill --rounds 20 --report drill.json
  skein drill --only stop,hang-supervisor --seed 7"
)]
pub(crate) struct Drill {
    /// Number of events
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000), value_name = "N")]
    pub rounds: u32,
    /// Seed of the choice of events and robots
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// Kinds of events to choose from, with commas between them [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub only: Vec<DrillKind>,
    /// Write every measurement to this file, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Do not submit surveys of the fleet's zone to keep the robots moving
    #[arg(long)]
    pub no_mission: bool,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum DrillKind {
    /// STOP one robot by name
    Stop,
    /// STOP all robots
    StopAll,
    /// Hang a robot's process (SIGSTOP) and let it go on
    Hang,
    /// Hang the supervisor, STOP all robots meanwhile
    HangSupervisor,
    /// Kill a robot's process; it is started again
    Kill,
    /// STOP a robot, then kill its process: it must come back stopped
    KillStopped,
    /// Kill a robot's process, then STOP the robot by name: it must come back stopped
    StopDead,
    /// Kill the supervisor, STOP one robot meanwhile
    KillSupervisor,
}
