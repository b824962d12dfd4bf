//! What each command does.

mod demo;
mod doctor;
mod drill;
mod latch;
mod lease;
mod lifecycle;
mod manual;
mod mission;
mod report;
mod robot;
mod show;
mod status;
mod version;
mod why;
mod zones;

use clap::CommandFactory;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;

/// Runs a command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::demo(context, args).await,
        Command::Up(args) => lifecycle::up(context, args).await,
        Command::Drill(args) => drill::drill(context, args).await,
        other => {
            let mut interrupt = Interrupt::listen()?;
            tokio::select! {
                outcome = run_droppable(context, other) => outcome,
                () = interrupt.heard() => Ok(Exit::Interrupted),
            }
        }
    }
}

/// Commands that own no processes: they can be dropped at any moment.
async fn run_droppable(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Down => lifecycle::down(context).await,
        Command::Status => status::status(context).await,
        Command::Doctor(args) => doctor::doctor(context, &args),
        Command::Mission(verb) => mission::mission(context, verb).await,
        Command::Robot(verb) => robot::robot(context, verb).await,
        Command::Stop(targets) => latch::stop(context, targets).await,
        Command::Kill(order) => latch::kill(context, order).await,
        Command::Release(targets) => latch::release(context, targets).await,
        Command::Lease(verb) => lease::lease(context, verb).await,
        Command::Override(args) => manual::manual(context, args).await,
        Command::Zone(verb) => zones::zone(context, verb),
        Command::Completion { shell } => completion(shell),
        Command::Version => version::version(context),
        Command::Demo(_) | Command::Up(_) | Command::Drill(_) => Ok(Exit::Usage),
    }
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "skein", &mut script);
    crate::output::data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
