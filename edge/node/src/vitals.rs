//! What the process costs: processor time and memory, read from the kernel once a second.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};
use skein_types::time::MonoTime;

use crate::clock;

/// The latest reading.
#[derive(Debug, Default)]
pub struct Vitals {
    cpu_load_bits: AtomicU64,
    load_average_bits: AtomicU64,
    memory_bytes: AtomicU64,
}

/// What the next reading is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: MonoTime,
    cpu_seconds: f64,
}

impl Vitals {
    /// Share of one processor, load of the machine, resident bytes.
    #[must_use]
    pub fn latest(&self) -> (f64, f64, u64) {
        let number = |bits: &AtomicU64| f64::from_bits(bits.load(Ordering::Relaxed));
        (number(&self.cpu_load_bits), number(&self.load_average_bits), self.memory_bytes.load(Ordering::Relaxed))
    }

    /// Processor time used since the start of the process, seconds.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    /// Reads CPU time, system load and memory; the process's CPU load is measured since `last`.
    pub fn read(&self, last: Option<Mark>) -> Mark {
        let mark = Mark { at: clock::now(), cpu_seconds: self.cpu_seconds() };
        if let Some(last) = last {
            let load = (mark.cpu_seconds - last.cpu_seconds) / mark.at.secs_since(last.at).max(1e-3);
            self.cpu_load_bits.store(load.to_bits(), Ordering::Relaxed);
        }
        if let Some(average) = number_after("/proc/loadavg", "") {
            self.load_average_bits.store(average.to_bits(), Ordering::Relaxed);
        }
        if let Some(kilobytes) = number_after("/proc/self/status", "VmRSS:") {
            self.memory_bytes.store(kilobytes as u64 * 1024, Ordering::Relaxed);
        }
        mark
    }
}

/// The first number after a label, in one of the kernel's text files.
fn number_after(path: &str, label: &str) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.split_once(label)?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory_and_time() {
        let vitals = Vitals::default();
        let mark = vitals.read(None);
        let mut work = 0_u64;
        while vitals.cpu_seconds() - mark.cpu_seconds < 0.005 {
            work = std::hint::black_box(work.wrapping_mul(31).wrapping_add(1));
        }
        vitals.read(Some(mark));
        let (load, average, memory) = vitals.latest();
        assert!(load > 0.0 && load < 64.0 && average >= 0.0, "{load} {average}");
        assert!(memory > 1_000_000, "{memory}");
    }
}
