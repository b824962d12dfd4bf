//! Records on their way to the disk. While the disk is full or failing they wait here, bounded; latches are written
//! first: room on the disk is held in reserve for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use skein_supervisor::{Record, StorageState};
use skein_types::event::Event;
use skein_types::fleet::FleetView;
use skein_types::time::MonoTime;

use crate::store::{Appended, Store, StoreError};

/// How often a store that failed is tried again.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// Events that wait for the disk; of more, the oldest are lost, which an event says. Robots keep theirs until they are
/// acknowledged, which they are not before they are written.
const EVENTS_WAITING_MAX: usize = 20_000;
/// Records that wait for the disk: far more than robots, missions and leases there can be.
const RECORDS_WAITING_MAX: usize = 16_384;
/// Events of one transaction when a backlog is written.
const EVENTS_AT_ONCE: usize = 2_000;

/// The writing end of the ledger.
pub(crate) struct Ledger {
    store: Store,
    /// By kind and key: the last of each counts.
    records: BTreeMap<(u8, String), Record>,
    events: VecDeque<Event>,
    lost_events: u64,
    state: StorageState,
    retry_at: MonoTime,
}

/// What became of a round's records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// All of them are on the disk.
    pub(crate) durable: bool,
    /// Events that were new.
    pub(crate) events: u64,
}

impl Ledger {
    pub(crate) fn new(store: Store, now: MonoTime) -> Self {
        let state = match store.failure() {
            Some(why) => StorageState::Failing(why.to_owned()),
            None => StorageState::Healthy,
        };
        store.hold_reserve();
        Self {
            store,
            records: BTreeMap::new(),
            events: VecDeque::new(),
            lost_events: 0,
            state,
            retry_at: now + RETRY_PERIOD,
        }
    }

    pub(crate) const fn state(&self) -> &StorageState {
        &self.state
    }

    /// Events that were lost because the disk was full for too long.
    pub(crate) const fn lost_events(&self) -> u64 {
        self.lost_events
    }

    pub(crate) fn newest_row(&self) -> i64 {
        self.store.newest_row()
    }

    /// When a failed store is tried again.
    pub(crate) fn next_retry(&self) -> Option<MonoTime> {
        matches!(self.state, StorageState::Failing(_)).then_some(self.retry_at)
    }

    /// Takes a round's records and writes all that wait, unless the store failed a moment ago.
    pub(crate) fn append(&mut self, now: MonoTime, records: impl Iterator<Item = Record>) -> Written {
        let mut has_latch = false;
        for record in records {
            has_latch |= is_latch(&record);
            self.take(record);
        }
        if self.records.is_empty() && self.events.is_empty() && self.state == StorageState::Healthy {
            return Written { durable: true, events: 0 };
        }
        if self.state != StorageState::Healthy && now < self.retry_at && !has_latch {
            return Written::default();
        }
        match self.write() {
            Ok(events) => {
                if self.state != StorageState::Healthy {
                    self.store.hold_reserve();
                }
                self.state = StorageState::Healthy;
                Written { durable: true, events }
            }
            Err(why) => {
                self.retry_at = now + RETRY_PERIOD;
                if self.state == StorageState::Healthy {
                    tracing::error!(%why, "the ledger cannot be written; STOP works, new missions are refused");
                }
                self.state = StorageState::Failing(why);
                self.write_latches();
                Written::default()
            }
        }
    }

    /// Writes the latches that wait, alone; into the room that was held in reserve when there is no other.
    fn write_latches(&mut self) {
        if !self.records.values().any(is_latch) {
            return;
        }
        let mut written = self.try_latches();
        if written.is_err() && self.store.free_reserve() {
            written = self.try_latches();
        }
        match written {
            Ok(()) => self.records.retain(|_, record| !is_latch(record)),
            Err(why) => tracing::error!(%why, "latches are not kept here; robots that were reached keep theirs"),
        }
    }

    fn try_latches(&mut self) -> Result<(), StoreError> {
        if self.store.failure().is_some() {
            self.store.connect()?;
        }
        self.store.append(self.records.values().filter(|record| is_latch(record)), &[]).map(drop)
    }

    fn take(&mut self, record: Record) {
        if let Record::Events(events) = record {
            self.events.extend(events);
            while self.events.len() > EVENTS_WAITING_MAX {
                self.events.pop_front();
                self.lost_events += 1;
            }
            return;
        }
        let key = record.key();
        if self.records.len() < RECORDS_WAITING_MAX || self.records.contains_key(&key) {
            self.records.insert(key, record);
        }
    }

    /// Writes what waits: the records, latches first, with the first events; then the other events.
    fn write(&mut self) -> Result<u64, String> {
        if self.store.failure().is_some() {
            self.store.connect().map_err(|error| error.to_string())?;
        }
        let mut new = 0;
        loop {
            let count = self.events.len().min(EVENTS_AT_ONCE);
            let events: Vec<&Event> = self.events.iter().take(count).collect();
            let Appended { events } =
                self.store.append(self.records.values(), &events).map_err(|error| error.to_string())?;
            new += events;
            self.records.clear();
            self.events.drain(..count);
            if self.events.is_empty() {
                return Ok(new);
            }
        }
    }

    /// Keeps a snapshot of the fleet for later. It may be lost: it is for looking back only.
    pub(crate) fn append_snapshot(&mut self, view: FleetView) {
        if self.state == StorageState::Healthy
            && let Err(error) = self.store.append_snapshot(view)
        {
            tracing::warn!(%error, "a snapshot of the fleet was not kept");
        }
    }
}

const fn is_latch(record: &Record) -> bool {
    matches!(record, Record::Latch(_))
}
