//! `skein`: the command line. Noun, then verb; data on stdout, messages on stderr; the exit code says how the command ended.

mod args;
mod client;
mod clock;
mod commands;
mod context;
mod failure;
mod http;
mod interrupt;
mod latch_request;
mod output;
mod run;
mod zone;

use std::process::ExitCode;

use clap::Parser;
use miette::GraphicalReportHandler;

use args::Cli;
use context::Context;
use failure::{Exit, Failure};

fn main() -> ExitCode {
    if let Some(failure) = run::become_child_if_asked() {
        return end_with(&failure);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => {
            // A reader of the help that went away is not a failure.
            let _ = error.print();
            return Exit::Ok.into();
        }
        Err(error) => return end_with(&Failure::from(error)),
    };
    match run_to_end(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => end_with(&failure),
    }
}

/// One thread: the kernel ends the children of the thread that started them, so that thread must live to the end.
fn run_to_end(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    let context = Context::new(cli.common)?;
    let exit = runtime.block_on(commands::run(&context, cli.command));
    // A request that still waits for a process that hangs must not keep this one.
    runtime.shutdown_background();
    exit
}

fn end_with(failure: &Failure) -> ExitCode {
    let theme = if output::is_colourful() {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(2);
    match handler.render_report(&mut text, failure) {
        Ok(()) => output::talk(text.trim_end()),
        Err(_) => output::talk(&format!("error: {failure}")),
    }
    failure.exit().into()
}
