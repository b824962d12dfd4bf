//! The last step before a child becomes its program: it asks the kernel to end it when its parent is gone, so that no
//! robot is left driving when `skein` itself was killed.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::args::Child;
use crate::failure::Failure;

/// Becomes the program; returns only when it cannot.
pub(crate) fn become_program(child: &Child) -> Failure {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return Failure::failed(format!("cannot tie this process to its parent: {error}"));
    }
    // The parent may have gone before the line above.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(child.parent) {
        return Failure::failed("the process that started this one is gone");
    }
    let Some((program, arguments)) = child.command.split_first() else {
        return Failure::usage("no program was named");
    };
    let error = Command::new(program).args(arguments).exec();
    Failure::failed(format!("cannot start {}: {error}", program.display()))
}
