//! What the system grants the reflex thread: priority, a processor of its own, memory that stays.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct WantedPrivileges {
    /// Of `SCHED_FIFO`; 0 asks for nothing.
    pub priority: i32,
    /// The processor to pin the thread to.
    pub cpu: Option<usize>,
    /// Keep the process's memory out of swap.
    pub lock_memory: bool,
}

/// What was granted, as sentences for an engineer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// Scheduling of the thread.
    pub scheduling: String,
    /// Where it runs.
    pub processor: String,
    /// Whether memory stays.
    pub memory: String,
}

/// Asks for all of it on the calling thread. Nothing that is refused is an error: the loop measures its lateness.
#[must_use]
pub fn ask(wanted: &WantedPrivileges) -> Granted {
    Granted {
        scheduling: scheduling(wanted.priority),
        processor: wanted.cpu.map_or_else(|| "any".into(), pinned),
        memory: if wanted.lock_memory { locked() } else { "not locked".into() },
    }
}

fn scheduling(priority: i32) -> String {
    if priority <= 0 {
        return "normal".into();
    }
    match fifo(priority) {
        Ok(()) => format!("SCHED_FIFO {priority}"),
        Err(e) => format!("normal (SCHED_FIFO {priority} refused: {e})"),
    }
}

#[expect(unsafe_code, reason = "the scheduler's policy can only be set through a C call; it reads one plain struct")]
fn fifo(priority: i32) -> Result<(), std::io::Error> {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: `param` lives until the call returns and 0 means the calling thread.
    let code = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) };
    if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn pinned(cpu: usize) -> String {
    let mut set = CpuSet::new();
    if cpu >= CpuSet::MAX_CPU {
        return format!("any (there is no processor {cpu})");
    }
    set.set(cpu);
    match sched_setaffinity(None, &set) {
        Ok(()) => format!("pinned to {cpu}"),
        Err(e) => format!("any (processor {cpu} refused: {e})"),
    }
}

/// Only what has been touched is locked: the untouched rest of every thread's stack costs nothing.
fn locked() -> String {
    match mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        Ok(()) => "locked when touched".into(),
        Err(e) => format!("not locked ({e}; raise LimitMEMLOCK)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_not_done_and_what_cannot_be_is_said() {
        let granted = ask(&WantedPrivileges { priority: 0, cpu: Some(usize::MAX), lock_memory: false });
        assert_eq!(granted.scheduling, "normal");
        assert!(granted.processor.starts_with("any (there is no processor"));
        assert_eq!(granted.memory, "not locked");
    }
}
