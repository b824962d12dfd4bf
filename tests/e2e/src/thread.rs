//! One thread of another process, stopped while all its others run.

use std::fs;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// A thread that does not run, as if it hung. It must be used by the thread that made it.
#[derive(Debug)]
pub struct Hung(Pid);

impl Hung {
    /// Stops the thread of this name in a process. `None` when this machine does not permit it.
    ///
    /// # Errors
    /// When there is no such thread, or it cannot be stopped.
    pub fn hang(process: u32, name: &str) -> Result<Option<Self>> {
        let thread = Pid::from_raw(find(process, name)?);
        match ptrace::seize(thread, Options::empty()) {
            Err(Errno::EPERM) => return Ok(None),
            seized => seized.with_context(|| format!("stopping thread {thread}"))?,
        }
        ptrace::interrupt(thread)?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        Ok(Some(Self(thread)))
    }

    /// Takes note of the end of the thread: until then its process stays in the table.
    pub fn reap(&self) {
        // It runs, or is gone: both are as wanted.
        let _ = waitpid(self.0, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}

/// The id of the thread of this name.
fn find(process: u32, name: &str) -> Result<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).with_context(|| format!("threads of {process}"))?;
    for task in tasks.flatten() {
        let is_named = fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name);
        if let Some(id) = task.file_name().to_str().filter(|_| is_named) {
            return Ok(id.parse()?);
        }
    }
    anyhow::bail!("{process} has no thread {name}")
}
