//! Keeps a task running: one that ends or panics without being told is started again after a pause.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Pause before a task is started again: noticed within a second, and no busy loop.
const PAUSE: Duration = Duration::from_millis(500);

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

/// Runs what `make` makes until cancelled.
pub async fn supervised<F>(
    name: &'static str,
    cancel: CancellationToken,
    restarts: Restarts,
    mut make: impl FnMut() -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(make());
        let ended = task.join_next().await;
        if cancel.is_cancelled() {
            return;
        }
        restarts.0.fetch_add(1, Ordering::Relaxed);
        match ended {
            Some(Err(error)) => tracing::error!(task = name, %error, "a task died and is started again"),
            Some(Ok(())) | None => tracing::error!(task = name, "a task ended early and is started again"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = cancel.cancelled() => return,
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
        supervised("test", cancel.clone(), restarts.clone(), move || {
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
}
