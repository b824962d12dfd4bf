//! What can be asked for.

use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use skein_types::ids::AgentId;

use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  skein demo                              the sample warehouse, six robots, from start to report
  skein up --robots 3                     supervisor and robots in the background
  skein mission submit --zone zone.geojson
  skein mission wait last && skein down

Exit codes: 0 done, 1 failed, 2 asked wrongly, 3 not found, 4 refused, 5 nobody answers, 130 interrupted.";

/// Commands a fleet of robots: missions, robots, safety, and simulated fleets to try them on.
#[derive(Debug, Parser)]
#[command(name = "skein", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// How data is written to stdout
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// The supervisor's address [default: that of the fleet that is up here, else http://127.0.0.1:8000]
    #[arg(long, global = true, env = "SKEIN_CLOUD", value_name = "URL")]
    pub cloud: Option<String>,
    /// How long to wait for an answer, such as 500ms, 10s, 2m
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Span>,
    /// Where `up` and `demo` keep pids, ports, sockets and logs
    #[arg(long, global = true, env = "SKEIN_DIR", default_value = ".skein", value_name = "FOLDER")]
    pub dir: PathBuf,
}

/// The verbs and nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a whole survey with simulated robots and reports it
    Demo(Demo),
    /// Starts a supervisor and simulated robots as real processes
    Up(Up),
    /// Ends what `up` started
    Down,
    /// Shows what is up here: processes, robots, missions
    Status,
    /// Looks for what this machine lacks, and says how to mend it
    Doctor(Doctor),
    /// Plans, starts and follows missions
    #[command(subcommand)]
    Mission(Mission),
    /// Looks at robots
    #[command(subcommand)]
    Robot(Robot),
    /// Halts robots until `resume` releases them
    Stop(Targets),
    /// Cuts the power of one robot
    Kill(Kill),
    /// Releases robots that were stopped or killed
    Resume(Targets),
    /// Checks and converts zone files
    #[command(subcommand)]
    Zone(Zone),
    /// Prints a completion script for a shell
    #[command(after_help = "Example:\n  skein completion bash > ~/.local/share/bash-completion/completions/skein")]
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Shows the versions of this program and of what it starts
    Version,
    /// Becomes another program that ends with its parent
    #[command(hide = true)]
    Child(Child),
}

/// The simulated fleet.
#[derive(Clone, Debug, Args)]
pub(crate) struct FleetArgs {
    /// A ROS map (YAML beside its PGM) [default: the sample warehouse]
    #[arg(long, value_name = "MAP.yaml")]
    pub world: Option<PathBuf>,
    /// GeoJSON polygon near which the robots start [default: the whole map]
    #[arg(long, value_name = "ZONE.geojson")]
    pub zone: Option<PathBuf>,
    /// How many robots
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=200), value_name = "N")]
    pub robots: u16,
    /// What is drawn by chance comes from this
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// How many people walk about
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub people: u16,
    /// Where the supervisor listens [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Port of the first robot's debug API; the next ones follow [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub debug_port: Option<u16>,
    /// Leave a supervisor that ended where it is, instead of starting it again
    #[arg(long)]
    pub no_restart: bool,
}

/// `demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  skein demo
  skein demo --headless --report report.json
  skein demo --world MAP.yaml --zone ZONE.geojson --robots 10 --seed 7")]
pub(crate) struct Demo {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Plain lines instead of a progress bar
    #[arg(long)]
    pub headless: bool,
    /// Write the report here, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Give up after this
    #[arg(long, default_value = "30m", value_name = "TIME")]
    pub time_limit: Span,
    /// Leave everything running after the report, until Ctrl-C
    #[arg(long)]
    pub keep_running: bool,
}

/// `up`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  skein up
  skein up --world MAP.yaml --zone ZONE.geojson --robots 3 --seed 7
  skein status && skein down")]
pub(crate) struct Up {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Stay in front; Ctrl-C ends the fleet
    #[arg(long)]
    pub foreground: bool,
    /// Go on with the missions of the fleet that was up here before
    #[arg(long)]
    pub keep_state: bool,
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Doctor {
    /// Port the supervisor would listen on
    #[arg(long, default_value_t = 8000, value_name = "PORT")]
    pub port: u16,
    /// Port of the first robot's debug API
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub debug_port: u16,
    /// How many robots should fit
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub robots: u16,
}

/// What is wanted of a zone.
#[derive(Clone, Debug, Args)]
pub(crate) struct Spec {
    /// GeoJSON polygon [default: the zone of the fleet that is up here]
    #[arg(long, value_name = "ZONE.geojson")]
    pub zone: Option<PathBuf>,
    /// The map whose datum a zone in longitude and latitude needs [default: that of the fleet that is up here]
    #[arg(long, value_name = "MAP.yaml")]
    pub world: Option<PathBuf>,
    /// survey (cover it once) or guard (go there and stay)
    #[arg(long, default_value = "survey", value_name = "OBJECTIVE")]
    pub objective: ObjectiveArg,
    /// 1 (low) to 10 (critical)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10), value_name = "NUMBER")]
    pub priority: u32,
    /// For people [default: the zone's name]
    #[arg(long)]
    pub name: Option<String>,
    /// Only this robot may take part; give it again for more [default: any]
    #[arg(long = "robot", value_name = "ROBOT")]
    pub robots: Vec<AgentId>,
    /// Robots go back to where they started when done
    #[arg(long)]
    pub return_home: bool,
}

/// `mission`.
#[derive(Debug, Subcommand)]
#[command(after_help = "A mission is named by its id, by the beginning of its id, or as `last`.")]
pub(crate) enum Mission {
    /// Shows what would happen; nothing moves
    #[command(after_help = "Example:\n  skein mission preview --zone zone.geojson")]
    Preview(Spec),
    /// Commits a mission
    #[command(after_help = "Examples:
  skein mission submit --zone zone.geojson --wait
  skein mission submit --zone gate.geojson --objective guard --priority 8 --robot rover-2")]
    Submit {
        #[command(flatten)]
        spec: Spec,
        /// The same key again gives the same mission, never a second one
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Wait for its end
        #[arg(long)]
        wait: bool,
    },
    /// Lists missions, newest first
    Ls {
        /// Only those that have not ended
        #[arg(long)]
        active: bool,
    },
    /// Shows one mission
    Get {
        /// Which
        mission: String,
    },
    /// Prints a line each time it changes, until it ends
    Watch {
        /// Which
        #[arg(default_value = "last")]
        mission: String,
    },
    /// Waits for its end; exits 0 only when it is DONE
    Wait {
        /// Which
        #[arg(default_value = "last")]
        mission: String,
    },
    /// Halts the work, keeps the orders
    Pause {
        /// Which
        mission: String,
    },
    /// Goes on with it
    Resume {
        /// Which
        mission: String,
    },
    /// Ends it
    Cancel {
        /// Which
        mission: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// `robot`.
#[derive(Debug, Subcommand)]
pub(crate) enum Robot {
    /// Lists robots
    Ls,
    /// Shows one robot
    Get {
        /// Which
        robot: AgentId,
    },
    /// Prints a robot's log, from the robot itself
    #[command(after_help = "Example:\n  skein robot logs rover-1 --follow --level warn")]
    Logs {
        /// Which
        robot: AgentId,
        /// Go on as it grows
        #[arg(short, long)]
        follow: bool,
        /// Only lines of this level and worse: error, warn, info, debug
        #[arg(long, value_name = "LEVEL")]
        level: Option<String>,
        /// Only lines of the last while, such as 30s, or after a line's number
        #[arg(long, value_name = "SPAN")]
        since: Option<String>,
    },
    /// Says why a robot does what it does
    Why {
        /// Which
        robot: AgentId,
    },
}

/// Whom `stop` and `resume` mean.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  skein stop --all --reason \"person on the floor\"\n  skein resume rover-1")]
pub(crate) struct Targets {
    /// Which robots
    #[arg(value_name = "ROBOT", conflicts_with = "all")]
    pub robots: Vec<AgentId>,
    /// Every robot
    #[arg(long)]
    pub all: bool,
    /// Why; goes into the record
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `kill`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  skein kill rover-1 --confirm rover-1 --reason \"smoke\"")]
pub(crate) struct Kill {
    /// Which robot
    pub robot: AgentId,
    /// The same name again
    #[arg(long, value_name = "ROBOT")]
    pub confirm: AgentId,
    /// Why; goes into the record
    #[arg(long)]
    pub reason: String,
}

/// `zone`.
#[derive(Debug, Subcommand)]
pub(crate) enum Zone {
    /// Says whether a file is a usable zone, how large it is and where it lies
    #[command(after_help = "Example:\n  skein zone check zone.geojson --world MAP.yaml")]
    Check(ZoneFile),
    /// Writes a zone in metres of the map's frame, as GeoJSON, to stdout
    #[command(after_help = "Example:\n  skein zone import field.geojson --world MAP.yaml > field.map.geojson")]
    Import(ZoneFile),
}

/// A zone file and its map.
#[derive(Clone, Debug, Args)]
pub(crate) struct ZoneFile {
    /// GeoJSON: a Polygon, a Feature or a FeatureCollection
    pub file: PathBuf,
    /// The map it belongs to
    #[arg(long, value_name = "MAP.yaml")]
    pub world: Option<PathBuf>,
}

/// `child`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Child {
    /// Pid of the process that started this one
    #[arg(long)]
    pub parent: i32,
    /// Program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<std::ffi::OsString>,
}

/// Objectives that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ObjectiveArg {
    /// Cover it once.
    Survey,
    /// Cover it until the thing is found.
    Search,
    /// Cover it again and again.
    Patrol,
    /// Pick up, carry, put down.
    Deliver,
    /// Go there and stay.
    Guard,
}

/// A span of time as people write it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim() {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            other => return Err(format!("{other:?} is no unit of time; write 500ms, 10s, 2m or 1h")),
        };
        let seconds: f64 = number.parse().map_err(|_| "write a number and a unit, such as 10s".to_owned())?;
        Duration::try_from_secs_f64(seconds * scale).map(Self).map_err(|_| "that is too long".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        let span = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(span("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("30"), Ok(Duration::from_secs(30)));
        assert_eq!(span("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "ten", "1 fortnight", "-3s", "1e400h"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
