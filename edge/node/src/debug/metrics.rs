//! Figures for Prometheus: `skein_` prefix, base units, no ids as labels.

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::clock;
use crate::rt::latency_histogram::LatencyHistogram;

/// Upper bounds of the histogram of lateness, microseconds.
const BOUNDS_US: [u64; 12] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000];

/// The text format of Prometheus.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, about: &str) {
        let _ = writeln!(self.0, "# HELP {name} {about}\n# TYPE {name} {kind}");
    }

    fn gauge(&mut self, name: &str, about: &str, value: impl Display) {
        self.head(name, "gauge", about);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, about: &str, value: impl Display) {
        self.head(name, "counter", about);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counters(&mut self, name: &str, about: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "counter", about);
        for (word, value) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{word}\"}} {value}");
        }
    }

    fn histogram(&mut self, name: &str, about: &str, values: &LatencyHistogram) {
        self.head(name, "histogram", about);
        for bound in BOUNDS_US {
            let within = values.at_most(Duration::from_micros(bound));
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{}\"}} {within}", bound as f64 / 1e6);
        }
        let count = values.count();
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "{name}_sum {}\n{name}_count {count}", values.sum_seconds());
    }
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "read",
    responses((status = 200, description = "The text format of Prometheus", content_type = "text/plain")))]
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let mut page = Page(String::with_capacity(6 * 1024));
    process(&mut page, &api);
    reflex(&mut page, &api);
    latch(&mut page, &api);
    robot(&mut page, &api);
    outbox(&mut page, &api);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0).into_response()
}

fn process(page: &mut Page, api: &Api) {
    let (_, _, memory) = api.vitals.latest();
    page.head("skein_build_info", "gauge", "Which software.");
    let _ = writeln!(page.0, "skein_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    page.gauge("skein_uptime_seconds", "Since the start.", clock::now().secs_since(api.identity.started));
    page.counter("skein_process_cpu_seconds_total", "Processor time used.", api.vitals.cpu_seconds());
    page.gauge("skein_process_resident_memory_bytes", "Memory in use.", memory);
    page.counter(
        "skein_log_lines_dropped_total",
        "Log lines dropped because nobody took them.",
        crate::logs::dropped(),
    );
    page.counter("skein_task_restarts_total", "Tasks that had to be started again.", api.restarts.count());
    page.counter(
        "skein_agent_messages_refused_total",
        "Messages refused or dropped because a lane of the agent was full.",
        api.agent.refused(),
    );
}

fn reflex(page: &mut Page, api: &Api) {
    let gauges = &api.gauges;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    page.histogram("skein_reflex_lateness_seconds", "How late each tick began.", &gauges.lateness);
    page.histogram("skein_reflex_tick_seconds", "How long each tick took.", &gauges.duration);
    let missed = "Ticks that did not begin within their period.";
    page.counter("skein_reflex_missed_ticks_total", missed, count(&gauges.missed));
    let dropped = "Ticks whose record was dropped because the agent's ring was full.";
    page.counter("skein_reflex_reports_dropped_total", dropped, count(&gauges.dropped));
    page.counter("skein_body_refused_total", "Commands the body did not take.", count(&gauges.refused));
    page.gauge("skein_body_connected", "1 when there is a body.", u8::from(gauges.has_body()));
}

fn latch(page: &mut Page, api: &Api) {
    let report = api.latch.report();
    page.gauge("skein_latch_level", "0 released, 1 stop, 2 kill.", report.latches.level() as u8);
    page.gauge("skein_latch_kept", "1 when the latch is on the disk.", u8::from(report.kept));
}

fn robot(page: &mut Page, api: &Api) {
    let sample = api.telemetry.borrow().clone();
    let Some(sample) = sample else { return };
    page.gauge("skein_battery_ratio", "Charge left, 0 to 1.", sample.battery.get() / 100.0);
    page.gauge("skein_failsafe_level", "Rung of the ladder, 0 none to 7 kill.", sample.failsafe as u8);
    page.gauge("skein_peers_visible", "Peers heard within the last second.", sample.peers_visible);
    page.gauge("skein_cloud_link_up", "1 when the supervisor answers.", u8::from(sample.link.cloud));
    page.gauge("skein_mesh_up", "1 when the mesh is up.", u8::from(sample.link.mesh));
    page.gauge("skein_speed_meters_per_second", "Over the floor.", sample.twist.speed());
    page.gauge("skein_position_std_meters", "How unsure the position is.", sample.position_std.get());
    page.counter("skein_telemetry_samples_total", "Samples taken.", sample.sequence);
}

fn outbox(page: &mut Page, api: &Api) {
    let backlog = api.outbox.backlog();
    page.gauge("skein_outbox_events", "Events the supervisor has not acknowledged as durable.", backlog.events);
    let dropped = [("telemetry", backlog.telemetry_dropped), ("event", backlog.events_dropped)];
    page.counters("skein_outbox_dropped_total", "Dropped because the bound was reached.", "kind", &dropped);
}
