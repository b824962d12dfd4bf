//! What survives the process: SQLite in the state folder.
//!
//! `supervisor.db` holds the records the core must have again (latches, robots, missions, leases) and the events; each
//! transaction is synced to the disk before anything that depends on it is sent. `history.db` holds a snapshot of the
//! fleet for each second in which something changed; losing its last seconds in a power cut is no harm.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use skein_supervisor::{LatchRecord, Record, SUPERVISOR};
use skein_types::authority::LatchRegister;
use skein_types::event::{Event, EventKind};
use skein_types::fleet::FleetView;
use skein_types::ids::{AgentId, EventId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use skein_wire::Wire;
use thiserror::Error;

/// Most entries of the record that are kept; the oldest go first.
const EVENTS_MAX: i64 = 1_000_000;
/// Most snapshots that are kept: some hours of a fleet at work.
const SNAPSHOTS_MAX: i64 = 20_000;
/// Bounds are looked at after so many additions.
const PRUNE_EVERY: u32 = 1_000;
/// Room on the disk that is held for latches.
const RESERVE: &str = "reserve";
/// Enough for a write-ahead log with the latches of a large fleet.
const RESERVE_BYTES: usize = 512 * 1024;
/// The layout of the tables.
const LAYOUT: i64 = 1;

/// Why nothing can be kept or found.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be made or used.
    #[error("cannot use the state folder {path}: {source}")]
    Folder {
        /// The folder of the ledger.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works in it.
    #[error("another supervisor works in {0}: end it, or choose another folder with --state")]
    InUse(PathBuf),
    /// Made by a newer release.
    #[error("{path} was made by a newer release (layout {found}, this one knows {LAYOUT})")]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of its layout, newer than this program writes.
        found: i64,
    },
    /// SQLite failed.
    #[error("{doing}: {source}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The databases are not open.
    #[error("the databases are closed: {0}")]
    Closed(String),
    /// Something that is kept makes no sense any more.
    #[error("the {kind} {key} in {path} cannot be read: {reason}")]
    Damaged {
        /// What kind of record.
        kind: String,
        /// Its primary key.
        key: String,
        /// In which file.
        path: PathBuf,
        /// What does not decode in it.
        reason: String,
    },
}

fn sql(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Sql { doing, source }
}

/// The writing end, used by the core actor alone.
pub(crate) struct Store {
    dir: PathBuf,
    connections: Option<Connections>,
    /// Why there are none.
    failure: Option<String>,
    added: u32,
    snapshots: u32,
    /// The folder itself is locked for as long as the process runs: that needs no space on the disk.
    _lock: File,
}

struct Connections {
    main: Connection,
    history: Connection,
}

/// What a commit added.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appended {
    /// Events that were new.
    pub(crate) events: u64,
}

/// What an earlier start recorded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) records: Vec<Record>,
    /// Rows that could not be read, for people.
    pub(crate) damaged: Vec<String>,
}

impl Store {
    /// Opens or makes the folder; one process at a time. A full disk is no error: [`Self::failure`] says so.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let folder = |source| StoreError::Folder { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(folder)?;
        let lock = File::open(dir).map_err(folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(folder(source)),
        }
        let mut store =
            Self { dir: dir.to_owned(), connections: None, failure: None, added: 0, snapshots: 0, _lock: lock };
        match store.connect() {
            Err(error @ StoreError::Newer { .. }) => Err(error),
            Ok(()) | Err(_) => Ok(store),
        }
    }

    /// Takes room on the disk that [`Self::free_reserve`] gives back. Where there is none, latches have no reserve.
    pub(crate) fn hold_reserve(&self) {
        let path = self.dir.join(RESERVE);
        let length = std::fs::metadata(&path).map_or(0, |file| file.len());
        if usize::try_from(length).is_ok_and(|length| length >= RESERVE_BYTES) {
            return;
        }
        if let Err(error) = std::fs::write(&path, vec![0; RESERVE_BYTES]) {
            tracing::warn!(%error, "no room on the disk is held in reserve for latches");
            self.free_reserve();
        }
    }

    /// Gives the room back; `false` when none was held.
    pub(crate) fn free_reserve(&self) -> bool {
        std::fs::remove_file(self.dir.join(RESERVE)).is_ok()
    }

    /// Why nothing can be written, if nothing can.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Opens the databases, again if need be.
    pub(crate) fn connect(&mut self) -> Result<(), StoreError> {
        self.connections = None;
        let opened = open_databases(&self.dir);
        self.failure = opened.as_ref().err().map(ToString::to_string);
        self.connections = Some(opened?);
        Ok(())
    }

    fn connections(&self) -> Result<&Connections, StoreError> {
        self.connections.as_ref().ok_or_else(|| StoreError::Closed(self.failure.clone().unwrap_or_default()))
    }

    /// What an earlier start recorded. When the databases cannot be opened as usual (a write-ahead log needs room on
    /// the disk), they are read without a shared index, which needs none.
    pub(crate) fn records(&self) -> Result<Loaded, StoreError> {
        match &self.connections {
            Some(connections) => read_records(&connections.main),
            None => {
                let path = self.dir.join("supervisor.db");
                if !path.exists() {
                    return Ok(Loaded::default());
                }
                let main = Connection::open(&path).map_err(sql("open the database"))?;
                main.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sql("lock the database"))?;
                read_records(&main)
            }
        }
    }

    /// Writes records and events in one transaction, or nothing. Durable when it returns.
    pub(crate) fn append<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
        events: &[&Event],
    ) -> Result<Appended, StoreError> {
        let connections =
            self.connections.as_mut().ok_or_else(|| StoreError::Closed(self.failure.clone().unwrap_or_default()))?;
        let round = connections.main.transaction().map_err(sql("begin"))?;
        for record in records {
            write_record(&round, record)?;
        }
        let mut added = 0;
        for event in events {
            added += add_event(&round, event)?;
        }
        self.added += u32::try_from(added).unwrap_or(u32::MAX);
        if self.added >= PRUNE_EVERY {
            self.added = 0;
            let oldest = "DELETE FROM events WHERE row <= (SELECT max(row) FROM events) - ?1";
            round.execute(oldest, [EVENTS_MAX]).map_err(sql("forget the oldest events"))?;
        }
        round.commit().map_err(sql("commit"))?;
        Ok(Appended { events: added })
    }

    /// Keeps a snapshot of the fleet.
    pub(crate) fn append_snapshot(&mut self, view: FleetView) -> Result<(), StoreError> {
        let at = view.at.unix_nanos();
        let body = view.to_bytes();
        let history = &self.connections()?.history;
        let add = "INSERT OR REPLACE INTO pictures(at, body) VALUES (?1, ?2)";
        history
            .prepare_cached(add)
            .and_then(|mut add| add.execute(params![at, body]))
            .map_err(sql("keep a snapshot"))?;
        if self.snapshots >= PRUNE_EVERY {
            let oldest = "DELETE FROM pictures WHERE at NOT IN (SELECT at FROM pictures ORDER BY at DESC LIMIT ?1)";
            history.execute(oldest, [SNAPSHOTS_MAX]).map_err(sql("forget the oldest snapshots"))?;
            self.snapshots = 0;
        }
        self.snapshots += 1;
        Ok(())
    }

    /// The number of the newest event.
    pub(crate) fn newest_row(&self) -> i64 {
        let newest = |main: &Connection| {
            main.query_row("SELECT coalesce(max(row), 0) FROM events", [], |row| row.get(0)).unwrap_or(0)
        };
        self.connections.as_ref().map_or(0, |connections| newest(&connections.main))
    }

    /// A reading end, which opens when it is first asked.
    pub(crate) fn reader(&self) -> Reader {
        Reader { dir: self.dir.clone(), connections: None }
    }
}

fn open_databases(dir: &Path) -> Result<Connections, StoreError> {
    let main = connect(&dir.join("supervisor.db"), "FULL")?;
    layout(&main, &dir.join("supervisor.db"), MAIN_TABLES)?;
    let history = connect(&dir.join("history.db"), "NORMAL")?;
    layout(&history, &dir.join("history.db"), HISTORY_TABLES)?;
    Ok(Connections { main, history })
}

/// One damaged row must not hide all others: it is named. A damaged latch reads as STOP.
fn read_records(main: &Connection) -> Result<Loaded, StoreError> {
    // A first start on a full disk leaves a database without tables behind.
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'records'";
    let tables: i64 = main.query_row(tables, [], |row| row.get(0)).map_err(sql("look for the tables"))?;
    if tables == 0 {
        return Ok(Loaded::default());
    }
    let mut rows = main.prepare("SELECT kind, key, body FROM records ORDER BY kind, key").map_err(sql("read"))?;
    let row =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?));
    let mut loaded = Loaded::default();
    for found in rows.query_map([], row).map_err(sql("read the records"))? {
        let (kind, key, body) = found.map_err(sql("read a record"))?;
        match serde_json::from_str(&body) {
            Ok(record) => loaded.records.push(record),
            Err(error) => {
                loaded.damaged.push(format!("the {kind} {key:?} cannot be read: {error}"));
                if kind == "latch" {
                    loaded.records.push(unreadable_latch(&key));
                }
            }
        }
    }
    Ok(loaded)
}

fn unreadable_latch(key: &str) -> Record {
    let register = LatchRegister {
        level: Latch::Stop,
        reason: "its record was unreadable".to_owned(),
        ..LatchRegister::released()
    };
    let target = AgentId::new(key).ok();
    Record::Latch(Box::new(LatchRecord {
        target,
        register,
        pending: Vec::new(),
        seen: Vec::new(),
        fleet_reached: None,
    }))
}

fn write_record(round: &Connection, record: &Record) -> Result<(), StoreError> {
    let (_, key) = record.key();
    match record {
        Record::Latch(_) => put(round, "latch", &key, record),
        Record::Term(_) => put(round, "term", &key, record),
        Record::Lease(_) => put(round, "lease", &key, record),
        Record::LeaseEnded(_) => remove(round, "lease", &key),
        Record::Robot(_) => put(round, "robot", &key, record),
        Record::RobotForgotten(_) => remove(round, "robot", &key).and_then(|()| remove(round, "latch", &key)),
        Record::Hazards(_) => put(round, "hazards", &key, record),
        Record::Mission(_) => put(round, "mission", &key, record),
        Record::StopAll(_) => put(round, "stop_all", &key, record),
        Record::Events(events) => events.iter().try_for_each(|event| add_event(round, event).map(drop)),
    }
}

fn remove(round: &Connection, kind: &str, key: &str) -> Result<(), StoreError> {
    let remove = "DELETE FROM records WHERE kind = ?1 AND key = ?2";
    let mut remove = round.prepare_cached(remove).map_err(sql("prepare"))?;
    remove.execute(params![kind, key]).map(drop).map_err(sql("remove a record"))
}

const MAIN_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS records(kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(kind, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events(row INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, agent TEXT NOT NULL,
        boot BLOB NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, kind INTEGER NOT NULL, about TEXT,
        body BLOB NOT NULL);
    CREATE UNIQUE INDEX IF NOT EXISTS events_once ON events(agent, boot, sequence);
    CREATE INDEX IF NOT EXISTS events_id ON events(id);
    CREATE INDEX IF NOT EXISTS events_at ON events(at);
    CREATE INDEX IF NOT EXISTS events_about ON events(about) WHERE about IS NOT NULL;";

const HISTORY_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS pictures(at INTEGER PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;";

fn connect(path: &Path, synchronous: &str) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(sql("open the database"))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql("turn on the write-ahead log"))?;
    connection.pragma_update(None, "synchronous", synchronous).map_err(sql("set how writes are synced"))?;
    tune(&connection)?;
    Ok(connection)
}

fn tune(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(sql("set the busy timeout"))?;
    // 1 MiB of cached pages is plenty for what is looked up here.
    connection.pragma_update(None, "cache_size", -1024).map_err(sql("set the cache size"))
}

fn layout(connection: &Connection, path: &Path, tables: &str) -> Result<(), StoreError> {
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql("read the layout"))?;
    if found > LAYOUT {
        return Err(StoreError::Newer { path: path.to_owned(), found });
    }
    connection.execute_batch(tables).map_err(sql("make the tables"))?;
    connection.pragma_update(None, "user_version", LAYOUT).map_err(sql("write the layout"))
}

fn put(round: &Connection, kind: &str, key: &str, record: &Record) -> Result<(), StoreError> {
    let body = serde_json::to_string(record).map_err(|error| StoreError::Damaged {
        kind: kind.to_owned(),
        key: key.to_owned(),
        path: PathBuf::new(),
        reason: error.to_string(),
    })?;
    let replace = "INSERT OR REPLACE INTO records(kind, key, body) VALUES (?1, ?2, ?3)";
    let mut replace = round.prepare_cached(replace).map_err(sql("prepare"))?;
    replace.execute(params![kind, key, body]).map(drop).map_err(sql("keep a record"))
}

/// Adds an event; one that is there already counts as none.
fn add_event(round: &Connection, event: &Event) -> Result<u64, StoreError> {
    let add = "INSERT OR IGNORE INTO events(id, agent, boot, sequence, at, kind, about, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut add = round.prepare_cached(add).map_err(sql("prepare"))?;
    let sequence = i64::try_from(event.sequence).unwrap_or(i64::MAX);
    let added = add
        .execute(params![
            event.id.0.as_bytes().as_slice(),
            event.agent.as_str(),
            event.boot.0.as_bytes().as_slice(),
            sequence,
            event.at.unix_nanos(),
            event.kind as u8,
            about(event),
            event.clone().to_bytes(),
        ])
        .map_err(sql("keep an event"))?;
    Ok(added as u64)
}

/// The robot that an event of the supervisor is about.
fn about(event: &Event) -> Option<String> {
    if event.agent.as_str() != SUPERVISOR {
        return None;
    }
    let payload: serde_json::Value = serde_json::from_str(&event.payload).ok()?;
    payload.get("robot")?.as_str().map(str::to_owned)
}

/// The reading end.
pub(crate) struct Reader {
    dir: PathBuf,
    connections: Option<Connections>,
}

/// Which entries of the record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) agent: Option<AgentId>,
    pub(crate) kinds: Vec<EventKind>,
    pub(crate) since: Option<WallTime>,
    pub(crate) until: Option<WallTime>,
}

impl Reader {
    fn connections(&mut self) -> Result<&Connections, StoreError> {
        if self.connections.is_none() {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let open = |name: &str| {
                let connection =
                    Connection::open_with_flags(self.dir.join(name), flags).map_err(sql("open for reading"))?;
                tune(&connection)?;
                Ok(connection)
            };
            self.connections = Some(Connections { main: open("supervisor.db")?, history: open("history.db")? });
        }
        self.connections.as_ref().ok_or_else(|| StoreError::Closed("it was not opened".to_owned()))
    }

    /// Entries after a row, in the order they were kept, each with its row.
    pub(crate) fn events(&mut self, of: &Selection, after: i64, limit: usize) -> Result<Vec<(i64, Event)>, StoreError> {
        let query = "SELECT row, body FROM events WHERE row > ?1 AND (?2 IS NULL OR agent = ?2)
            AND at >= ?3 AND at <= ?4 AND (?5 = 0 OR (?5 >> kind) & 1) ORDER BY row LIMIT ?6";
        let mut query = self.connections()?.main.prepare_cached(query).map_err(sql("prepare"))?;
        let kinds = of.kinds.iter().fold(0_i64, |bits, kind| bits | 1 << (*kind as u8));
        let rows = query.query_map(
            params![
                after,
                of.agent.as_ref().map(AgentId::as_str),
                of.since.map_or(i64::MIN, WallTime::unix_nanos),
                of.until.map_or(i64::MAX, WallTime::unix_nanos),
                kinds,
                i64::try_from(limit).unwrap_or(i64::MAX),
            ],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
        );
        decoded(rows.map_err(sql("query the events"))?)
    }

    /// The last decisions of a robot and about it, newest first.
    pub(crate) fn decisions(&mut self, robot: &AgentId, limit: usize) -> Result<Vec<Event>, StoreError> {
        let query =
            "SELECT row, body FROM events WHERE kind = ?1 AND (agent = ?2 OR about = ?2) ORDER BY row DESC LIMIT ?3";
        let mut query = self.connections()?.main.prepare_cached(query).map_err(sql("prepare"))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![EventKind::Decision as u8, robot.as_str(), limit], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        });
        Ok(decoded(rows.map_err(sql("query the decisions"))?)?.into_iter().map(|(_, event)| event).collect())
    }

    /// The row of an event.
    pub(crate) fn row_of(&mut self, id: EventId) -> Result<Option<i64>, StoreError> {
        let query = "SELECT row FROM events WHERE id = ?1";
        let found = self.connections()?.main.query_row(query, params![id.0.as_bytes().as_slice()], |row| row.get(0));
        found.optional().map_err(sql("look an event up"))
    }

    /// The last snapshot that was taken not after a moment; none before the first.
    pub(crate) fn snapshot_at(&mut self, at: WallTime) -> Result<Option<FleetView>, StoreError> {
        let query = "SELECT body FROM pictures WHERE at <= ?1 ORDER BY at DESC LIMIT 1";
        let body: Option<Vec<u8>> = self
            .connections()?
            .history
            .query_row(query, [at.unix_nanos()], |row| row.get(0))
            .optional()
            .map_err(sql("look a snapshot up"))?;
        Ok(body.and_then(|body| FleetView::from_bytes(&body).ok()))
    }
}

fn decoded(rows: impl Iterator<Item = rusqlite::Result<(i64, Vec<u8>)>>) -> Result<Vec<(i64, Event)>, StoreError> {
    let mut events = Vec::new();
    for row in rows {
        let (row, body) = row.map_err(sql("read an event"))?;
        // What was written by this crate is readable; a damaged row is left out rather than hiding all others.
        if let Ok(event) = Event::from_bytes(&body) {
            events.push((row, event));
        }
    }
    Ok(events)
}
