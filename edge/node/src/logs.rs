//! The log: to standard error, and the last lines of it in a ring for the debug API.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::clock;
use crate::config::Log;
use crate::lossy_writer::{FlushGuard, LossyWriter};

/// Longest text of one field, so that the ring is bounded in bytes too.
const FIELD_BYTES_MAX: usize = 2048;

/// One line of the log, as the debug API sends it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Rises by one each line of this process.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
    /// Which part of the program.
    pub target: &'static str,
    /// The sentence.
    pub message: String,
    /// What belongs to the sentence, by name.
    pub fields: Map<String, Value>,
    #[serde(skip)]
    severity: Severity,
    #[serde(skip)]
    unix_millis: i64,
}

/// How bad, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something failed, and does not go on by itself.
    Error,
    /// Something should be looked at.
    Warn,
    /// A step that an operator expects.
    Info,
    /// For finding a fault.
    Debug,
    /// Every detail.
    Trace,
}

/// The last lines.
#[derive(Debug)]
pub struct Ring {
    lines: Mutex<VecDeque<Arc<Line>>>,
    kept: usize,
    more: Notify,
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// This bad or worse.
    pub worst: Severity,
    /// After this sequence.
    pub after: Option<u64>,
    /// Not before this, milliseconds since 1970.
    pub from_unix_millis: Option<i64>,
}

impl FromStr for Severity {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_lowercase().as_str() {
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!("{word:?} is no level; levels are error, warn, info, debug, trace")),
        }
    }
}

impl From<&Level> for Severity {
    fn from(level: &Level) -> Self {
        match *level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Ring {
    /// Keeps the last so many lines.
    #[must_use]
    pub fn new(kept: usize) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::new(VecDeque::with_capacity(kept)), kept, more: Notify::new() })
    }

    /// The kept lines that pass the filter, oldest first.
    #[must_use]
    pub fn read(&self, filter: &LogFilter) -> Vec<Arc<Line>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| filter.takes(line)).cloned().collect()
    }

    /// Waits for lines after the last that `filter` let through, and takes them.
    pub async fn follow(&self, filter: &mut LogFilter) -> Vec<Arc<Line>> {
        loop {
            let mut waiting = std::pin::pin!(self.more.notified());
            waiting.as_mut().enable();
            let newest = self.newest();
            let lines = self.read(filter);
            // What was filtered out has been seen as well.
            filter.after = filter.after.max(newest);
            if !lines.is_empty() {
                return lines;
            }
            waiting.await;
        }
    }

    fn newest(&self) -> Option<u64> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).back().map(|line| line.sequence)
    }

    /// Adds a line. Held for one push: a log line never waits for a reader.
    fn push(&self, make: impl FnOnce(u64) -> Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = lines.back().map_or(1, |line| line.sequence + 1);
        if lines.len() >= self.kept {
            lines.pop_front();
        }
        lines.push_back(Arc::new(make(sequence)));
        drop(lines);
        self.more.notify_waiters();
    }
}

impl LogFilter {
    /// Everything from this level up.
    #[must_use]
    pub const fn from_level(worst: Severity) -> Self {
        Self { worst, after: None, from_unix_millis: None }
    }

    fn takes(&self, line: &Line) -> bool {
        line.severity <= self.worst
            && self.after.is_none_or(|after| line.sequence > after)
            && self.from_unix_millis.is_none_or(|from| line.unix_millis >= from)
    }
}

/// The layer that fills the ring.
struct RingLayer(Arc<Ring>);

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let wall = clock::wall();
        let severity = Severity::from(event.metadata().level());
        self.0.push(|sequence| Line {
            sequence,
            at: clock::rfc3339(wall),
            level: severity.name(),
            target: event.metadata().target(),
            message: fields.message,
            fields: fields.rest,
            severity,
            unix_millis: wall.unix_millis(),
        });
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.rest.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.put(field, Value::String(cut(text)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(cut(value.to_owned())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

fn cut(mut text: String) -> String {
    if text.len() > FIELD_BYTES_MAX {
        let end = (0..=FIELD_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Lines that standard error did not take, since the start.
static DROPPED: OnceLock<Arc<AtomicU64>> = OnceLock::new();

/// Log lines that were dropped because standard error took them too slowly; the ring has them.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.get().map_or(0, |dropped| dropped.load(Ordering::Relaxed))
}

/// Starts the log of the process. `RUST_LOG` wins over the configuration. What is in the queue is written when the
/// guard is dropped.
///
/// # Errors
/// A sentence when the filter cannot be read or a log runs already.
pub fn start(config: &Log, ring: &Arc<Ring>) -> Result<FlushGuard, String> {
    let directives = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = directives.as_deref().unwrap_or(&config.level);
    let filter = EnvFilter::try_new(text).map_err(|e| format!("log filter {text:?}: {e}"))?;
    let (writer, guard) = LossyWriter::start(std::io::stderr()).map_err(|e| format!("no thread for the log: {e}"))?;
    let _first = DROPPED.set(writer.dropped());
    let registry = tracing_subscriber::registry().with(filter).with(RingLayer(Arc::clone(ring)));
    let started = if config.format == "json" {
        registry.with(fmt::layer().json().with_writer(writer)).try_init()
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
        registry.with(fmt::layer().with_ansi(colour).with_writer(writer)).try_init()
    };
    started.map(|()| guard).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(kept: usize, log: impl FnOnce()) -> Arc<Ring> {
        let ring = Ring::new(kept);
        let subscriber = tracing_subscriber::registry().with(RingLayer(Arc::clone(&ring)));
        tracing::subscriber::with_default(subscriber, log);
        ring
    }

    #[test]
    fn the_ring_keeps_the_last_lines_and_their_numbers_go_on() {
        let ring = logged(16, || (0..100).for_each(|i| tracing::info!(i, "line")));
        let lines = ring.read(&LogFilter::from_level(Severity::Info));
        assert_eq!(lines.len(), 16);
        assert_eq!(lines.last().unwrap().sequence, 100);
        assert_eq!(lines.last().unwrap().fields["i"], 99);
    }

    #[test]
    fn only_the_wanted_lines_are_given() {
        let ring = logged(16, || {
            tracing::error!("bad");
            tracing::debug!(answer = true, name = "x", "fine");
            tracing::warn!(value = 1.5, "odd");
        });
        let messages =
            |filter: &LogFilter| -> Vec<String> { ring.read(filter).iter().map(|line| line.message.clone()).collect() };
        assert_eq!(messages(&LogFilter::from_level(Severity::Warn)), ["bad", "odd"]);
        let after = LogFilter { after: Some(1), ..LogFilter::from_level(Severity::Trace) };
        assert_eq!(messages(&after), ["fine", "odd"]);
        let future = LogFilter { from_unix_millis: Some(i64::MAX), ..after };
        assert!(messages(&future).is_empty());
        assert!("loud".parse::<Severity>().unwrap_err().contains("error, warn"));
    }

    #[test]
    fn a_long_field_is_cut_between_characters() {
        let ring = logged(16, || tracing::info!("{}", "ü".repeat(5_000)));
        let line = ring.read(&LogFilter::from_level(Severity::Trace)).remove(0);
        assert!(line.message.len() <= FIELD_BYTES_MAX + 3 && line.message.ends_with("ü…"));
    }

    #[tokio::test]
    async fn who_follows_gets_each_line_once_and_is_not_woken_by_what_is_not_wanted() {
        let ring = Ring::new(16);
        let put = |level: Level| {
            ring.push(|sequence| Line {
                sequence,
                at: String::new(),
                level: "x",
                target: "t",
                message: String::new(),
                fields: Map::new(),
                severity: Severity::from(&level),
                unix_millis: 0,
            });
        };
        let mut filter = LogFilter::from_level(Severity::Info);
        put(Level::INFO);
        assert_eq!(ring.follow(&mut filter).await.len(), 1);
        put(Level::DEBUG);
        put(Level::WARN);
        let lines = ring.follow(&mut filter).await;
        assert_eq!(lines.iter().map(|line| line.sequence).collect::<Vec<_>>(), [3]);
    }
}
