//! `skein`: the command line. Noun, then verb; stdout is data, stderr is talk; exit codes say how it went.

mod args;
mod client;
mod clock;
mod commands;
mod failure;
mod interrupt;
mod output;
mod run;
mod zone;

use std::process::ExitCode;

use clap::Parser;
use miette::GraphicalReportHandler;

use args::Cli;
use failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run_to_end(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure);
            failure.exit().into()
        }
    }
}

/// One thread: the kernel ends the children of the thread that started them, so that thread must live to the end.
fn run_to_end(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))?;
    runtime.block_on(commands::run(cli))
}

fn tell(failure: &Failure) {
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
}
