//! The robot's process.

use std::process::ExitCode;

use clap::Parser as _;
use skein_edge::cli::Cli;
use skein_edge::config::Config;
use skein_edge::logs::{self, Ring};
use skein_edge::node;
use skein_mesh::RUNTIME_ENV;

/// The command line or the configuration is wrong.
const USAGE: u8 = 2;
/// Everything asynchronous runs on one thread; Zenoh does not work on a runtime that lives on its caller's.
const WORKER_THREADS: usize = 1;
const STACK_BYTES: usize = 1024 * 1024;
/// Threads for calls that wait: connecting to the body, writing the latch, joining a thread.
const BLOCKING_THREADS: usize = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    keep_zenoh_small();
    let config = match read(&cli) {
        Ok(Some(config)) => config,
        Ok(None) => return ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            return ExitCode::from(USAGE);
        }
    };
    let ring = Ring::new(config.log.kept);
    let _flushed_at_the_end = match logs::start(&config.log, &ring) {
        Ok(guard) => guard,
        Err(reason) => {
            eprintln!("skein-edge: {reason}");
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .thread_name("skein-io")
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(node::run(config, ring));
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("skein-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(cli: &Cli) -> Result<Option<Config>, miette::Report> {
    let layers = cli.layers()?;
    if cli.print_config {
        print!("{}", layers.view());
        return Ok(None);
    }
    let config = Config::from_layers(&layers)?;
    for variable in layers.unknown_variables() {
        eprintln!("skein-edge: {variable} is not a setting of any program; ignored");
    }
    Ok(Some(config))
}

/// Zenoh reads how many threads it may have from the environment, once, and nowhere else.
#[expect(unsafe_code, reason = "the environment is set before any other thread exists, so nobody reads it meanwhile")]
fn keep_zenoh_small() {
    let (name, value) = RUNTIME_ENV;
    if std::env::var_os(name).is_none() {
        // SAFETY: called first thing in `main`, with one thread.
        unsafe { std::env::set_var(name, value) };
    }
}
