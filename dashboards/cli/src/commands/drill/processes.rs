//! The processes of the fleet as the drill treats them: hung, let go on, killed.

use core::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::run::ProcessRecord;

/// Pause between two looks at the record.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A process of the fleet by its name, as the record says now.
pub(super) fn find(context: &Context, name: &str) -> Result<ProcessRecord, Failure> {
    let record = context.current()?.ok_or_else(|| Failure::failed("the fleet ended during the drill"))?;
    let process = record.processes.into_iter().find(|process| process.name == name);
    process.ok_or_else(|| Failure::failed(format!("{name} is not a process of this fleet")))
}

/// Sends a signal to the process of this name; true when it was alive.
pub(super) fn signal(context: &Context, name: &str, signal: Signal) -> Result<bool, Failure> {
    let process = find(context, name)?;
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).filter(|_| process.is_alive());
    Ok(pid.is_some_and(|pid| kill_process(pid, signal).is_ok()))
}

/// Lets every process of the fleet go on that was hung.
pub(super) fn let_all_go_on(context: &Context) {
    let processes = context.current().ok().flatten().map(|record| record.processes).unwrap_or_default();
    for process in processes.iter().filter(|process| process.is_alive()) {
        if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
            // It may have ended a moment ago.
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// Waits until the process of this name runs under another pid; false when it does not within the time.
pub(super) async fn until_restarted(
    context: &Context,
    name: &str,
    before: u32,
    within: Duration,
) -> Result<bool, Failure> {
    let deadline = clock::now() + within;
    loop {
        let process = find(context, name)?;
        if process.pid != before && process.is_alive() {
            return Ok(true);
        }
        if clock::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
