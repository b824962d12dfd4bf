//! The robot's outbox, shared between the threads that fill it and the stream that drains it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use skein_robot::link::Standing;
use skein_robot::outbox::{Backlog, Outbox};
use skein_types::authority::LatchReport;
use skein_types::event::Event;
use skein_types::ids::BootId;
use skein_types::link::AgentReport;
use tokio::sync::Notify;

/// [`Outbox`] behind a lock that is held for a few moves of memory and never across a wait.
#[derive(Debug, Default)]
pub struct SharedOutbox {
    outbox: Mutex<Outbox>,
    ready: Notify,
}

impl SharedOutbox {
    /// Takes a report.
    pub fn report(&self, report: AgentReport) {
        self.lock().report(report);
        self.ready.notify_one();
    }

    /// Takes an event.
    pub fn event(&self, event: Event) {
        self.lock().event(event);
        self.ready.notify_one();
    }

    /// The next thing to send on the present stream; waits until there is one.
    pub async fn next(&self) -> AgentReport {
        loop {
            if let Some(report) = self.try_next() {
                return report;
            }
            self.ready.notified().await;
        }
    }

    /// The next thing to send, if there is one.
    pub fn try_next(&self) -> Option<AgentReport> {
        self.lock().next_report()
    }

    /// A new stream begins: what may have been lost with the old one is sent again.
    pub fn begin_stream(&self) {
        self.lock().begin_stream();
        self.ready.notify_one();
    }

    /// The supervisor has made events of a boot durable, up to and with this one.
    pub fn kept(&self, boot: BootId, sequence: u64) {
        self.lock().kept(boot, sequence);
    }

    /// What Hello says of the present work, with the latches.
    #[must_use]
    pub fn standing(&self, latch: LatchReport) -> Standing {
        let outbox = self.lock();
        Standing { last_command: outbox.last_command(), working_on: outbox.working_on(), latch }
    }

    /// How full it is.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.lock().backlog()
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
