//! What the kernel says of a process.

use std::fs;

/// Ticks of CPU time a second: USER_HZ is 100 on every Linux this is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time used and when it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stat {
    /// User and system time, seconds.
    pub cpu_s: f64,
    /// In ticks since the machine started: with the pid it names one process for ever.
    pub start_ticks: u64,
    /// It has ended and waits to be reaped.
    pub is_zombie: bool,
}

/// From `/proc/PID/stat`; none when there is no such process.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Largest memory the process ever held, in bytes; none when it has ended.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    status_kib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:").map(|kib| kib * 1024)
}

/// Present memory, in bytes.
pub(crate) fn memory(pid: u32) -> Option<u64> {
    status_kib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:").map(|kib| kib * 1024)
}

/// The program's name is in brackets and may hold anything, brackets too.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let cpu_ticks = number(11)?.saturating_add(number(12)?);
    Some(Stat {
        cpu_s: cpu_ticks as f64 / TICKS_PER_SECOND,
        start_ticks: number(19)?,
        is_zombie: matches!(fields.first(), Some(&"Z" | &"X")),
    })
}

fn status_kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 98765 1000000 200 184 1 1 0 0";
        assert_eq!(parse_stat(line), Some(Stat { cpu_s: 3.0, start_ticks: 98765, is_zombie: false }));
        assert_eq!(parse_stat("42 (x"), None);
        assert_eq!(status_kib("Name:\tx\nVmHWM:\t    2048 kB\n", "VmHWM:"), Some(2048));
    }

    #[test]
    fn this_very_process_is_there() {
        let pid = std::process::id();
        assert!(stat(pid).is_some_and(|stat| stat.start_ticks > 0 && !stat.is_zombie));
        assert!(peak_memory(pid).unwrap() >= memory(pid).unwrap() / 2);
        assert_eq!(stat(u32::MAX), None);
    }
}
