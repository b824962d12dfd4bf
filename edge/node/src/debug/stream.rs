//! What is told as it happens: telemetry and log lines, as server-sent events or as lines of JSON.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::logs::{LogFilter, Severity};

/// A quiet stream says this often that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How telemetry is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub(super) struct TelemetryQuery {
    /// `sse` streams ten samples a second.
    stream: Option<String>,
}

/// Which log lines are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub(super) struct LogsQuery {
    /// This bad or worse: `error`, `warn`, `info` (the default), `debug` or `trace`.
    level: Option<String>,
    /// After this sequence number, or of the last `30s`, `5m`, `2h`.
    since: Option<String>,
    /// `true` goes on as lines come.
    follow: Option<bool>,
}

/// Latest sample, or ten a second with `?stream=sse`.
#[utoipa::path(get, path = "/api/v1/telemetry", tag = "read", params(TelemetryQuery),
    responses(
        (status = 200, description = "One sample, or a stream of events named `telemetry`", body = serde_json::Value),
        (status = 503, description = "No sample yet, or too many streams", body = super::Problem)))]
pub(super) async fn telemetry(
    State(api): State<Api>,
    query: Result<Query<TelemetryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    match checked(query)?.stream.as_deref() {
        None | Some("") => {
            let sample = api.telemetry.borrow().clone();
            let sample =
                sample.ok_or_else(|| Problem::unavailable("starting", "no sample yet", "try again in a second"))?;
            Ok(axum::Json(&*sample).into_response())
        }
        Some("sse") => Ok(sse(&api, telemetry_events(&api), api.stream_permit()?)),
        Some(other) => {
            let detail = format!("stream={other:?} is not known");
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_query",
                detail,
                "use ?stream=sse, or nothing for one sample",
            ))
        }
    }
}

fn telemetry_events(api: &Api) -> impl Stream<Item = Event> + Send + use<> {
    let mut receiver = api.telemetry.clone();
    receiver.mark_changed();
    stream::unfold(receiver, |mut receiver| async move {
        loop {
            receiver.changed().await.ok()?;
            let sample = receiver.borrow_and_update().clone();
            if let Some(sample) = sample {
                return Some((event("telemetry", sample.sequence, &*sample), receiver));
            }
        }
    })
}

/// The last log lines as NDJSON, or as server-sent events when asked with `Accept: text/event-stream`.
#[utoipa::path(get, path = "/api/v1/logs", tag = "read", params(LogsQuery),
    responses(
        (status = 200, description = "One JSON object a line", content_type = "application/x-ndjson"),
        (status = 400, description = "A level or a time that is none", body = super::Problem)))]
pub(super) async fn logs(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = checked(query)?;
    let mut filter = filter(&query)?;
    let as_events =
        headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/event-stream"));
    if as_events {
        let permit = api.stream_permit()?;
        let lines = log_lines(&api, filter).map(|line| event("log", line.sequence, &*line));
        return Ok(sse(&api, lines, permit));
    }
    if query.follow == Some(true) {
        let permit = api.stream_permit()?;
        let lines = until_cancelled(&api, log_lines(&api, filter).map(|line| Ok::<_, Infallible>(json_line(&*line))));
        return Ok(ndjson(Body::from_stream(held(lines, permit))));
    }
    filter.after = filter.after.or(Some(0));
    let text: String = api.ring.read(&filter).iter().map(|line| json_line(&**line)).collect();
    Ok(ndjson(Body::from(text)))
}

fn log_lines(api: &Api, filter: LogFilter) -> impl Stream<Item = std::sync::Arc<crate::logs::Line>> + Send + use<> {
    let ring = std::sync::Arc::clone(&api.ring);
    stream::unfold((ring, filter), |(ring, mut filter)| async move {
        let lines = ring.follow(&mut filter).await;
        Some((stream::iter(lines), (ring, filter)))
    })
    .flatten()
}

fn filter(query: &LogsQuery) -> Result<LogFilter, Problem> {
    let bad = |detail: String, hint: &str| Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail, hint);
    let worst = query.level.as_deref().unwrap_or("info").parse::<Severity>();
    let mut filter = LogFilter::from_level(worst.map_err(|e| bad(e, "such as ?level=warn"))?);
    let Some(since) = &query.since else { return Ok(filter) };
    if let Ok(sequence) = since.parse::<u64>() {
        filter.after = Some(sequence);
    } else if let Some(seconds) = span_seconds(since) {
        filter.from_unix_millis = Some(clock::wall().unix_millis().saturating_sub(seconds.saturating_mul(1000)));
    } else {
        return Err(bad(format!("since={since:?} is neither a number nor a span"), "such as ?since=120 or ?since=30s"));
    }
    Ok(filter)
}

/// `30s`, `5m`, `2h`.
fn span_seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: i64 = text.get(..text.len() - 1)?.parse().ok()?;
    (number >= 0).then(|| number.saturating_mul(unit))
}

fn checked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", e.body_text(), "the parameters are listed on /docs")
    })
}

fn event(name: &str, id: u64, value: &impl Serialize) -> Event {
    let data = serde_json::to_string(value).unwrap_or_default();
    Event::default().event(name).id(id.to_string()).data(data)
}

fn json_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

fn ndjson(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

fn sse(api: &Api, events: impl Stream<Item = Event> + Send + 'static, permit: OwnedSemaphorePermit) -> Response {
    let events = until_cancelled(api, events.map(Ok::<_, Infallible>));
    Sse::new(held(events, permit)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Ends with the process, so that an open stream does not hold up its end.
fn until_cancelled<S: Stream + Send>(api: &Api, stream: S) -> impl Stream<Item = S::Item> + Send + use<S> {
    stream.take_until(api.cancel.clone().cancelled_owned())
}

/// Keeps the permit for as long as the stream lives.
fn held<S: Stream + Send>(stream: S, permit: OwnedSemaphorePermit) -> impl Stream<Item = S::Item> + Send + use<S> {
    stream.map(move |item| {
        let _held = &permit;
        item
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_nonsense_is_not() {
        assert_eq!(span_seconds("30s"), Some(30));
        assert_eq!(span_seconds("5m"), Some(300));
        assert_eq!(span_seconds("2h"), Some(7200));
        for nonsense in ["", "s", "-1s", "3d", "1.5s", "9999999999999999999h", "ü"] {
            assert_eq!(span_seconds(nonsense), None, "{nonsense}");
        }
    }
}
