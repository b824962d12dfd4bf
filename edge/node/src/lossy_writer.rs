//! Standard error that never holds anybody up: lines go through a bounded queue to a thread of its own, and what finds
//! no place is dropped and counted. A full pipe at the other end costs log lines, not the robot.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::clock;

/// Lines that wait: some seconds of a busy log.
const LINES_MAX: usize = 1024;
/// At the end the queue has this long to empty.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);
/// The thread looks whether it is to end this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const STACK_BYTES: usize = 128 * 1024;

/// Makes the writers of log lines.
#[derive(Clone, Debug)]
pub struct LossyWriter {
    lines: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

/// Ends the thread when dropped, after what is in the queue has been written or the time is over.
#[derive(Debug)]
pub struct FlushGuard {
    thread: Mutex<Option<JoinHandle<()>>>,
    ending: Arc<AtomicU64>,
}

impl LossyWriter {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<(Self, FlushGuard)> {
        let (lines, queue) = sync_channel(LINES_MAX);
        let (dropped, ending) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (counted, told) = (Arc::clone(&dropped), Arc::clone(&ending));
        let thread = Builder::new()
            .name("skein-log".into())
            .stack_size(STACK_BYTES)
            .spawn(move || write_all(out, &queue, &counted, &told))?;
        Ok((Self { lines, dropped }, FlushGuard { thread: Mutex::new(Some(thread)), ending }))
    }

    /// Lines that were dropped.
    #[must_use]
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }
}

impl Write for LossyWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(line.to_vec()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LossyWriter {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn write_all(mut out: impl Write, queue: &Receiver<Vec<u8>>, dropped: &AtomicU64, ending: &AtomicU64) {
    let mut said = 0;
    loop {
        match queue.recv_timeout(LOOK_EVERY) {
            // A closed standard error is no reason to end: the ring of the debug API has the lines.
            Ok(line) => drop(out.write_all(&line)),
            Err(RecvTimeoutError::Timeout) if ending.load(Ordering::Acquire) == 0 => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
        let lost = dropped.load(Ordering::Relaxed);
        if lost > said {
            drop(writeln!(out, "skein-edge: {} log lines were dropped", lost - said));
            said = lost;
        }
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        self.ending.store(1, Ordering::Release);
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let deadline = clock::now() + FLUSH_WITHIN;
        while !thread.is_finished() && clock::now() < deadline {
            clock::sleep_until(clock::now() + Duration::from_millis(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose other end nobody reads.
    struct Stuck(Arc<Mutex<()>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _waits = self.0.lock();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_costs_lines_and_no_time() {
        let gate = Arc::<Mutex<()>>::default();
        let held = gate.lock().unwrap();
        let (mut writer, guard) = LossyWriter::start(Stuck(Arc::clone(&gate))).unwrap();
        let begun = clock::now();
        for _ in 0..4 * LINES_MAX {
            writer.write_all(b"line\n").unwrap();
        }
        assert!(clock::now().since(begun) < Duration::from_secs(2));
        assert!(writer.dropped().load(Ordering::Relaxed) >= 2 * LINES_MAX as u64);
        drop(held);
        drop(guard);
    }

    #[test]
    fn what_was_taken_is_written_before_the_end() {
        #[derive(Clone, Default)]
        struct Kept(Arc<Mutex<Vec<u8>>>);
        impl Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let (mut writer, guard) = LossyWriter::start(kept.clone()).unwrap();
        (0..100).for_each(|i| writeln!(writer, "{i}").unwrap());
        drop(guard);
        assert!(String::from_utf8_lossy(&kept.0.lock().unwrap()).contains("99\n"));
    }
}
