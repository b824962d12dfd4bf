//! What each command does.

mod demo;
mod doctor;
mod life;
mod mission;
mod report;
mod robot;
mod safety;
mod show;
mod version;
mod zones;

use core::time::Duration;

use clap::CommandFactory;

use crate::args::{Cli, Command, Common};
use crate::client::{ANSWER_WITHIN, Cloud};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::run::{Record, RunDirectory, become_program};

/// Where a supervisor is when nobody said otherwise and nothing is up here.
const DEFAULT_CLOUD: &str = "http://127.0.0.1:8000";

/// What every command works with.
pub(crate) struct Context {
    pub common: Common,
    pub directory: RunDirectory,
}

impl Context {
    /// The fleet that is up here.
    pub(crate) fn current(&self) -> Result<Option<Record>, Failure> {
        self.directory.current()
    }

    /// The supervisor's address: as asked for, or that of the fleet that is up here, or the usual one.
    pub(crate) fn cloud_url(&self) -> Result<String, Failure> {
        if let Some(url) = &self.common.cloud {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        Ok(self.current()?.map_or_else(|| DEFAULT_CLOUD.to_owned(), |record| record.cloud))
    }

    /// The supervisor.
    pub(crate) async fn cloud(&self) -> Result<Cloud, Failure> {
        Cloud::connect(&self.cloud_url()?, self.answer_within()).await
    }

    /// How long an answer may take.
    pub(crate) fn answer_within(&self) -> Duration {
        self.common.timeout.map_or(ANSWER_WITHIN, |span| span.0)
    }
}

/// Does what was asked for.
pub(crate) async fn run(cli: Cli) -> Result<Exit, Failure> {
    let directory = RunDirectory::new(&cli.common.dir)?;
    let context = Context { common: cli.common, directory };
    match cli.command {
        Command::Child(child) => Err(become_program(&child)),
        Command::Demo(args) => demo::demo(&context, args).await,
        Command::Up(args) => life::up(&context, args).await,
        other => {
            let mut interrupt = Interrupt::listen()?;
            tokio::select! {
                outcome = run_short(&context, other) => outcome,
                () = interrupt.heard() => Ok(Exit::Interrupted),
            }
        }
    }
}

/// Commands that can be dropped at any moment.
async fn run_short(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Down => life::down(context).await,
        Command::Status => life::status(context).await,
        Command::Doctor(args) => doctor::doctor(context, &args),
        Command::Mission(verb) => mission::mission(context, verb).await,
        Command::Robot(verb) => robot::robot(context, verb).await,
        Command::Stop(targets) => safety::stop(context, targets).await,
        Command::Kill(order) => safety::kill(context, order).await,
        Command::Resume(targets) => safety::resume(context, targets).await,
        Command::Zone(verb) => zones::zone(context, verb),
        Command::Completion { shell } => completion(shell),
        Command::Version => version::version(context),
        Command::Child(_) | Command::Demo(_) | Command::Up(_) => Ok(Exit::Usage),
    }
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "skein", &mut script);
    crate::output::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
