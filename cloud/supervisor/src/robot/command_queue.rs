//! The commands that a robot has not answered yet.

use core::time::Duration;

use skein_types::ids::CommandId;
use skein_types::link::{CloudCommand, Order};
use skein_types::time::MonoTime;

/// Most commands that may wait for one robot's answer; the oldest go first.
const PENDING_MAX: usize = 32;

/// A command without an answer.
#[derive(Clone, Debug)]
struct Pending {
    command: CloudCommand,
    /// When it was last sent; `None` when it waits for a stream.
    sent_at: Option<MonoTime>,
}

/// Commands in the order in which they were given.
#[derive(Clone, Debug)]
pub(crate) struct CommandQueue {
    pending: Vec<Pending>,
}

impl CommandQueue {
    pub(super) const fn new() -> Self {
        Self { pending: Vec::new() }
    }

    /// Keeps a command until it is answered; what it makes pointless is dropped.
    pub(crate) fn push(&mut self, command: CloudCommand) {
        self.pending.retain(|old| !supersedes(&command.order, &old.command.order));
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(Pending { command, sent_at: None });
    }

    /// An answer came: the command it was for.
    pub(crate) fn on_ack(&mut self, id: CommandId) -> Option<CloudCommand> {
        let index = self.pending.iter().position(|pending| pending.command.id == id)?;
        Some(self.pending.remove(index).command)
    }

    /// The stream is new: everything unanswered goes out again. Commands up to the last that took effect are named.
    pub(super) fn on_reconnect(&mut self, last_command: Option<CommandId>) -> Vec<CommandId> {
        for pending in &mut self.pending {
            pending.sent_at = None;
        }
        let done = last_command.and_then(|last| self.pending.iter().position(|pending| pending.command.id == last));
        let effective = done.map_or(0, |index| index + 1);
        self.pending.iter().take(effective).map(|pending| pending.command.id).collect()
    }

    /// Commands to send now, marked as sent.
    pub(super) fn take_due(&mut self, now: MonoTime, resend_after: Duration) -> Vec<CloudCommand> {
        let mut due = Vec::new();
        for pending in &mut self.pending {
            if pending.sent_at.is_none_or(|sent| now.since(sent) >= resend_after) {
                pending.sent_at = Some(now);
                due.push(pending.command.clone());
            }
        }
        due
    }

    /// A command that would take its work away or give it other work waits for its answer.
    pub(crate) fn awaits_work_order(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending.command.order, Order::Assign(_) | Order::Cancel(_)))
    }
}

/// Whether an order makes an older, unanswered one pointless.
fn supersedes(new: &Order, old: &Order) -> bool {
    match new {
        Order::Assign(_) | Order::Cancel(_) => {
            matches!(old, Order::Assign(_) | Order::Cancel(_) | Order::Pause(_) | Order::Resume(_))
        }
        Order::Pause(mission) | Order::Resume(mission) => {
            matches!(old, Order::Pause(other) | Order::Resume(other) if other == mission)
        }
        _ => matches!((new, old), (Order::Lease(_), Order::Lease(_))),
    }
}
