//! Keeps a task running: one that ends, panics or no longer goes round is started again after a pause.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::heartbeat::{BEAT_EVERY, HANGS_AFTER, Heartbeat};

/// Pause before a task is started again: noticed within a second, and no busy loop.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks in a row that found a task silent before it is started again: 2 s after it was noticed.
const SILENT_LOOKS_MAX: u32 = 10;

/// How often tasks had to be started again, for `/metrics` and `/status`.
#[derive(Clone, Debug, Default)]
pub struct Restarts(Arc<AtomicU64>);

impl Restarts {
    /// Since the start of the process.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How a task ended that should not have.
#[derive(Debug)]
enum Ended {
    /// It returned or panicked.
    Finished(Option<Result<(), JoinError>>),
    /// It has not gone round for too long.
    Silent,
}

/// Runs what `make` makes until cancelled. The task has to beat at least every [`BEAT_EVERY`].
pub async fn supervised<F>(
    name: &'static str,
    cancel: CancellationToken,
    restarts: Restarts,
    mut make: impl FnMut(Arc<Heartbeat>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let heartbeat = Arc::<Heartbeat>::default();
        heartbeat.beat(clock::now());
        let mut task = JoinSet::new();
        task.spawn(make(Arc::clone(&heartbeat)));
        let ended = tokio::select! {
            ended = task.join_next() => Ended::Finished(ended),
            () = silence(name, &heartbeat) => Ended::Silent,
        };
        // A task that is silent is aborted here.
        drop(task);
        if cancel.is_cancelled() {
            return;
        }
        restarts.0.fetch_add(1, Ordering::Relaxed);
        match ended {
            Ended::Finished(Some(Err(error))) => {
                tracing::error!(task = name, %error, "a task died and is started again")
            }
            Ended::Finished(_) => tracing::error!(task = name, "a task ended early and is started again"),
            Ended::Silent => tracing::error!(task = name, "a task hangs and is started again"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cancel.cancelled() => return,
        }
    }
}

/// Ends when several looks in a row found no recent beat: a process that was suspended finds it late once only.
async fn silence(name: &'static str, heartbeat: &Heartbeat) {
    let mut look = tokio::time::interval(BEAT_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0;
    while silent < SILENT_LOOKS_MAX {
        look.tick().await;
        if heartbeat.age(clock::now()).is_none_or(|age| age <= HANGS_AFTER) {
            silent = 0;
            continue;
        }
        silent += 1;
        if silent == 1 {
            tracing::error!(task = name, "a task does not go round");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_or_ends_early_is_started_again_until_cancelled() {
        let (cancel, restarts) = (CancellationToken::new(), Restarts::default());
        let runs = Arc::<AtomicU64>::default();
        let (seen, told) = (Arc::clone(&runs), cancel.clone());
        supervised("test", cancel.clone(), restarts.clone(), move |_| {
            let (run, cancel) = (seen.fetch_add(1, Ordering::Relaxed), told.clone());
            async move {
                match run {
                    0 => panic!("planted"),
                    1 => {}
                    _ => cancel.cancel(),
                }
            }
        })
        .await;
        assert_eq!((runs.load(Ordering::Relaxed), restarts.count()), (3, 2));
    }
    #[tokio::test]
    async fn a_task_that_waits_for_ever_is_started_again_and_one_that_beats_is_left_alone() {
        let (cancel, restarts) = (CancellationToken::new(), Restarts::default());
        let runs = Arc::<AtomicU64>::default();
        let (seen, told) = (Arc::clone(&runs), cancel.clone());
        supervised("test", cancel.clone(), restarts.clone(), move |beat| {
            let (run, cancel) = (seen.fetch_add(1, Ordering::Relaxed), told.clone());
            async move {
                if run == 0 {
                    std::future::pending::<()>().await;
                }
                let until = clock::now() + HANGS_AFTER * 4;
                while clock::now() < until {
                    beat.while_waiting(tokio::time::sleep(BEAT_EVERY * 2)).await;
                }
                cancel.cancel();
            }
        })
        .await;
        assert_eq!((runs.load(Ordering::Relaxed), restarts.count()), (2, 1));
    }
}
