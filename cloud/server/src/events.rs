//! Questions about the record, answered on reading connections beside the core's.

use std::sync::{Arc, Mutex, PoisonError};

use skein_types::event::Event;
use skein_types::fleet::FleetView;
use skein_types::ids::{AgentId, EventId};
use skein_types::time::WallTime;
use skein_wire::bounds::EVENTS_MAX;
use skein_wire::request::{EventFilter, EventPage};
use tokio::sync::watch;

use crate::core_actor::empty_fleet;
use crate::problem::{Closing, Problem};
use crate::store::{Reader, Selection, StoreError};

/// Entries that are looked at for one message of a stream.
const CHUNK: usize = 100;

/// Reads of the ledger, shared by all services.
#[derive(Clone)]
pub(crate) struct Records {
    reader: Arc<Mutex<Reader>>,
    newest: watch::Receiver<i64>,
}

fn selection(filter: EventFilter) -> Selection {
    Selection { agent: filter.agent, kinds: filter.kinds, since: filter.since, until: filter.until }
}

impl Records {
    pub(crate) fn new(reader: Reader, newest: watch::Receiver<i64>) -> Self {
        Self { reader: Arc::new(Mutex::new(reader)), newest }
    }

    /// Reads on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let reader = self.reader.clone();
        let answer = tokio::task::spawn_blocking(move || {
            // A panic elsewhere cannot have left a connection that only reads in a wrong state.
            question(&mut reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(answer.await.map_err(|_| Closing)??)
    }

    /// One page of the record; the token is the number of the last entry seen.
    pub(crate) async fn page(&self, filter: EventFilter, limit: u32, token: &str) -> Result<EventPage, Problem> {
        let after = if token.is_empty() { 0 } else { parse_token(token)? };
        let limit = if limit == 0 { EVENTS_MAX } else { (limit as usize).min(EVENTS_MAX) };
        let of = selection(filter);
        let found = self.read(move |reader| reader.events(&of, after, limit)).await?;
        let last = found.last().map(|(row, _)| row.to_string()).filter(|_| found.len() == limit);
        Ok(EventPage {
            events: found.into_iter().map(|(_, event)| event).collect(),
            next_page_token: last.unwrap_or_default(),
        })
    }

    /// The last decisions of a robot and about it, newest first.
    pub(crate) async fn decisions(&self, robot: AgentId, limit: usize) -> Result<Vec<Event>, Problem> {
        self.read(move |reader| reader.decisions(&robot, limit)).await
    }

    /// The fleet as it was; empty before the first event.
    pub(crate) async fn state_at(&self, at: WallTime) -> Result<FleetView, Problem> {
        let found = self.read(move |reader| reader.snapshot_at(at)).await?;
        Ok(found.unwrap_or(empty_fleet(at)))
    }

    /// Follows the record from after an event, or from now.
    pub(crate) async fn follow(&self, filter: EventFilter, after: Option<EventId>) -> Result<Follower, Problem> {
        let row = match after {
            None => *self.newest.borrow(),
            Some(id) => self.read(move |reader| reader.row_of(id)).await?.ok_or_else(|| {
                Problem::new(
                    axum::http::StatusCode::NOT_FOUND,
                    "unknown_event",
                    format!("there is no event {id} in the record"),
                    "it may be older than what is kept: query the events instead",
                )
            })?,
        };
        Ok(Follower { records: self.clone(), of: selection(filter), row, newest: self.newest.clone() })
    }
}

fn parse_token(token: &str) -> Result<i64, Problem> {
    token.parse().map_err(|_| {
        Problem::new(
            axum::http::StatusCode::BAD_REQUEST,
            "bad_page_token",
            format!("field page_token has the unknown value {token:?}"),
            "use the next_page_token of the page before, or none",
        )
    })
}

/// Reads the record as it grows, without gaps however slowly it is asked.
pub(crate) struct Follower {
    records: Records,
    of: Selection,
    row: i64,
    newest: watch::Receiver<i64>,
}

impl Follower {
    /// Begins with the oldest entry that is kept.
    pub(crate) const fn rewind(&mut self) {
        self.row = 0;
    }

    /// The next entries; waits until there are some.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, Problem> {
        loop {
            let newest = *self.newest.borrow_and_update();
            if newest > self.row {
                let (of, row) = (self.of.clone(), self.row);
                let found = self.records.read(move |reader| reader.events(&of, row, CHUNK)).await?;
                self.row = if found.len() < CHUNK { newest } else { found.last().map_or(newest, |(row, _)| *row) };
                if !found.is_empty() {
                    return Ok(found.into_iter().map(|(_, event)| event).collect());
                }
                continue;
            }
            self.newest.changed().await.map_err(|_| Closing)?;
        }
    }
}
