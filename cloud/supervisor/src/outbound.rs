//! What leaves the core: records first, then the commands and answers that depend on them; and the numbers they carry.

use std::collections::VecDeque;

use serde_json::Value;
use skein_types::authority::Term;
use skein_types::event::EventKind;
use skein_types::ids::{CommandId, Generation};
use skein_types::link::{CloudCommand, Order};
use skein_types::time::{MonoTime, WallTime};

use crate::api::Output;
use crate::journal::{Journal, numbered};
use crate::record::Record;

/// Collects the outputs of one call.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    epoch: u64,
    /// Of this start: in every command, so that robots refuse those of an earlier one.
    term: Term,
    wall: (WallTime, MonoTime),
    journal: Journal,
    commands: u64,
    revision: u64,
    records: Vec<Record>,
    actions: Vec<Output>,
    ready: VecDeque<Output>,
}

impl Outbound {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            term: Term(1),
            wall: (WallTime::default(), MonoTime::ZERO),
            journal: Journal::new(epoch),
            commands: 0,
            revision: 0,
            records: Vec::new(),
            actions: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    pub(crate) const fn set_wall(&mut self, now: MonoTime, wall: WallTime) {
        self.wall = (wall, now);
    }

    /// The wall clock, kept going by the monotonic clock since it was last read.
    pub(crate) fn wall_now(&self, now: MonoTime) -> WallTime {
        self.wall.0 + now.since(self.wall.1)
    }

    /// Adds an event to the supervisor's own chain.
    pub(crate) fn emit_event(&mut self, now: MonoTime, kind: EventKind, name: &str, payload: &Value) {
        let wall = self.wall_now(now);
        self.journal.write(now, wall, kind, name, payload);
    }

    /// Keeps something before this call's commands leave.
    pub(crate) fn persist(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Something the shell has to do once this call's records are durable.
    pub(crate) fn act(&mut self, output: Output) {
        self.actions.push(output);
    }

    pub(crate) const fn term(&self) -> Term {
        self.term
    }

    /// The term that follows one that was seen, kept before any command carries it.
    pub(crate) fn begin_term_after(&mut self, seen: Term) {
        self.term = seen.next();
        self.persist(Record::Term(self.term));
    }

    /// An order as a command of this term.
    pub(crate) const fn command(&self, id: CommandId, generation: Generation, order: Order) -> CloudCommand {
        CloudCommand { id, generation, term: self.term, expires_at: None, order }
    }

    pub(crate) fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(numbered(self.epoch, 2, self.commands))
    }

    /// Of the view of the fleet; rises with every change that people may see.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) const fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    /// Puts this call's outputs in order: records, events, actions.
    pub(crate) fn flush(&mut self) {
        let events = self.journal.take();
        if !events.is_empty() {
            self.records.push(Record::Events(events));
        }
        self.ready.extend(self.records.drain(..).map(Output::Persist));
        self.ready.extend(self.actions.drain(..));
    }

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }
}
