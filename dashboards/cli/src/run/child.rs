//! The last step before a child becomes its program: it asks the kernel to end it when its parent is gone, so that no
//! robot is left driving when `skein` itself was killed.
//!
//! `skein __child PARENT PROGRAM ARGUMENT…` is not a command for people: it is read before the command line is.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::failure::Failure;

/// First argument of a child.
pub(super) const CHILD: &str = "__child";

/// Becomes the program when the arguments ask for it; returns only when that fails, or was not asked for.
pub(crate) fn become_child_if_asked() -> Option<Failure> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(CHILD)) {
        return None;
    }
    let parent = arguments.next().and_then(|pid| pid.to_str().and_then(|pid| pid.parse::<i32>().ok()));
    Some(become_program(parent, &arguments.collect::<Vec<OsString>>()))
}

fn become_program(parent: Option<i32>, command: &[OsString]) -> Failure {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Failure::failed(format!("cannot tie this process to its parent: {error}"));
    }
    // The parent may have gone before the line above.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != parent {
        return Failure::failed("the process that started this one is gone");
    }
    let Some((program, arguments)) = command.split_first() else {
        return Failure::usage("no program is named");
    };
    let error = Command::new(program).args(arguments).exec();
    Failure::failed(format!("cannot start {}: {error}", program.display()))
}
