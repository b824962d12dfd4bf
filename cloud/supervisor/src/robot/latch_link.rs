//! The latches that a robot reports, and the order about them that is under way.

use core::time::Duration;

use skein_types::authority::{LatchOrder, LatchReport};
use skein_types::ids::CommandId;
use skein_types::safety::Latch;
use skein_types::time::MonoTime;

/// What one robot reports of its latches, and what it is told.
#[derive(Clone, Debug)]
pub(crate) struct LatchLink {
    reported: Option<LatchReport>,
    sending: Option<Sending>,
}

/// A latch order without an answer.
#[derive(Clone, Debug)]
struct Sending {
    id: CommandId,
    order: LatchOrder,
    sent_at: MonoTime,
}

impl LatchLink {
    pub(super) const fn silent() -> Self {
        Self { reported: None, sending: None }
    }

    /// As it last reported; none before the first Hello since this start.
    pub(crate) const fn reported(&self) -> Option<&LatchReport> {
        self.reported.as_ref()
    }

    /// What it obeys, as it last reported.
    pub(crate) fn level(&self) -> Latch {
        self.reported.as_ref().map_or(Latch::Released, |report| report.latches.level())
    }

    /// Takes a report; `true` when it differs from the last.
    pub(crate) fn on_report(&mut self, report: LatchReport) -> bool {
        let changed = self.reported.as_ref() != Some(&report);
        self.reported = Some(report);
        changed
    }

    /// No order is under way any more.
    pub(crate) fn forget_order(&mut self) {
        self.sending = None;
    }

    /// The order under way is the one of this command.
    pub(crate) fn is_sending(&self, command: CommandId) -> bool {
        self.sending.as_ref().is_some_and(|sending| sending.id == command)
    }

    /// The id to send an order under, if it is due. A request is sent under its own id, so that it is the same command
    /// over every path. `sent`: the shell has sent it just now.
    pub(crate) fn due(
        &mut self,
        now: MonoTime,
        resend_after: Duration,
        order: &LatchOrder,
        fresh: CommandId,
        sent: bool,
    ) -> Option<CommandId> {
        if let Some(sending) = self.sending.as_mut().filter(|sending| sending.order == *order) {
            let due = now.since(sending.sent_at) >= resend_after;
            if due {
                sending.sent_at = now;
            }
            return due.then_some(sending.id);
        }
        let id = order.request.as_ref().map_or(fresh, |request| request.id);
        self.sending = Some(Sending { id, order: order.clone(), sent_at: now });
        (!sent).then_some(id)
    }
}
