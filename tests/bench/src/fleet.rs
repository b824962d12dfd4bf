//! The whole fleet as real processes on a busy machine: how punctual the reflexes are, and what a robot costs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::row::Row;

const ROBOTS: u32 = 6;
/// Lateness may be this much above what the system itself gives a thread of the same class.
const LATENESS_SLACK_US: f64 = 500.0;
/// At p99.9, as a share of what the system gives such a thread.
const LATENESS_P999_RATIO: f64 = 1.2;

/// Runs the demo beside two busy threads and `cyclictest`, all at the same time.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let (report, system) = busy(|| {
        let cyclic = start_cyclictest(folder.path())?;
        let report = demo(folder.path())?;
        Ok((report, cyclictest_quantiles(cyclic, folder.path())?))
    })?;
    let mut rows = vec![lateness(&report, system.p99)?, lateness_p999(&report, system.p999)?, coverage(&report)?];
    rows.extend(footprint(&report, "rover-", "robot", 8.0, 64.0)?);
    rows.extend(footprint(&report, "cloud", "supervisor", 5.0, 96.0)?);
    Ok(rows)
}

/// Keeps two threads computing while the work is done.
fn busy<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

fn demo(folder: &Path) -> Result<Value> {
    let file = folder.join("r.json");
    let beside = std::env::current_exe()?.with_file_name("skein");
    let status = Command::new(&beside)
        .args(["demo", "--headless", "--robots", &ROBOTS.to_string(), "--report"])
        .arg(&file)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {}", beside.display()))?;
    ensure!(status.success(), "the demo ended with {status}");
    Ok(serde_json::from_str(&std::fs::read_to_string(file)?)?)
}

/// As many threads at 10 ms as there are reflex loops, with their priority, until it is interrupted; histograms in µs.
fn start_cyclictest(folder: &Path) -> Result<Child> {
    Command::new("cyclictest")
        .args(["-q", "-m", "-p", "50", "-i", "10000", "-h", "20000", "-t", &ROBOTS.to_string()])
        .arg(format!("--histfile={}", folder.join("cyclic").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting cyclictest (Debian: rt-tests)")
}

/// Of the worst thread, µs.
struct Quantiles {
    p99: f64,
    p999: f64,
}

fn cyclictest_quantiles(mut child: Child, folder: &Path) -> Result<Quantiles> {
    // It writes its histograms when it is interrupted.
    let pid = Pid::from_raw(i32::try_from(child.id())?).context("its process")?;
    kill_process(pid, Signal::INT)?;
    child.wait()?;
    let text = std::fs::read_to_string(folder.join("cyclic")).context("the histogram of cyclictest")?;
    // A line for each latency: µs, then how often each thread had it.
    let lines: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().map_while(|part| part.parse().ok()).collect())
        .filter(|line: &Vec<f64>| line.len() > 1)
        .collect();
    let threads = lines.iter().map(Vec::len).max().unwrap_or(1) - 1;
    let worst = |share: f64| (1..=threads).filter_map(|thread| quantile(&lines, thread, share)).fold(0.0, f64::max);
    let found = Quantiles { p99: worst(0.99), p999: worst(0.999) };
    ensure!(found.p999 > 0.0, "cyclictest measured nothing");
    Ok(found)
}

fn quantile(lines: &[Vec<f64>], thread: usize, share: f64) -> Option<f64> {
    let count = |line: &Vec<f64>| line.get(thread).copied().unwrap_or(0.0);
    let total: f64 = lines.iter().map(count).sum();
    let mut seen = 0.0;
    let at = lines.iter().find(|line| {
        seen += count(line);
        seen >= share * total
    })?;
    at.first().copied().filter(|_| total > 0.0)
}

fn number(report: &Value, path: &str) -> Result<f64> {
    report.pointer(path).and_then(Value::as_f64).with_context(|| format!("{path} in the demo's report"))
}

fn lateness(report: &Value, system: f64) -> Result<Row> {
    let ours = number(report, "/reflex/lateness_us/p99")?;
    let missed = number(report, "/reflex/missed_ticks")?;
    let ticks = number(report, "/reflex/ticks")?;
    Ok(Row {
        name: "lateness of the 100 Hz loop, busy machine, p99".into(),
        ours,
        reference: system,
        ratio: ours / system.max(1.0),
        goal: format!("cyclictest + {LATENESS_SLACK_US:.0} us"),
        met: ours <= system + LATENESS_SLACK_US,
        unit: "us",
        how: format!(
            "worst of {ROBOTS} robots in the demo beside two busy threads; worst of {ROBOTS} threads of cyclictest -p50 -i10000 at the same time; {missed:.0} of {ticks:.0} ticks missed"
        ),
    })
}

fn lateness_p999(report: &Value, system: f64) -> Result<Row> {
    let ours = number(report, "/reflex/lateness_us/p999")?;
    let ratio = ours / system.max(1.0);
    Ok(Row {
        name: "lateness of the 100 Hz loop, busy machine, p99.9".into(),
        ours,
        reference: system,
        ratio,
        goal: format!("at most {LATENESS_P999_RATIO} of cyclictest"),
        met: ratio <= LATENESS_P999_RATIO,
        unit: "us",
        how: format!("as above, {ROBOTS} robots and {ROBOTS} threads of cyclictest"),
    })
}

fn coverage(report: &Value) -> Result<Row> {
    let ours = number(report, "/coverage_ratio")?;
    Ok(Row {
        name: "coverage of the demo on that busy machine".into(),
        ours,
        reference: 0.99,
        ratio: ours / 0.99,
        goal: "at least 0.99".into(),
        met: ours >= 0.99 && number(report, "/collisions")? == 0.0,
        unit: "share",
        how: format!(
            "by the world's measure, {:.0} s, closest approach of two centres {:.2} m",
            number(report, "/duration_s")?,
            number(report, "/min_separation_m")?
        ),
    })
}

/// The costliest process of a kind.
fn footprint(report: &Value, prefix: &str, name: &str, cpu_goal: f64, memory_goal: f64) -> Result<Vec<Row>> {
    let of_kind = |figure: &str| -> f64 {
        let all = report["processes"].as_array().map_or(&[][..], Vec::as_slice);
        all.iter()
            .filter(|process| process["name"].as_str().is_some_and(|name| name.starts_with(prefix)))
            .filter_map(|process| process[figure].as_f64())
            .fold(0.0, f64::max)
    };
    let (cpu, memory) = (100.0 * of_kind("cpu_share"), of_kind("rss_peak_mib"));
    ensure!(memory > 0.0, "the demo's report has no process named {prefix}…");
    let row = |what: &str, ours: f64, goal: f64, unit: &'static str| Row {
        name: format!("{name}: {what}"),
        ours,
        reference: goal,
        ratio: ours / goal,
        goal: format!("at most {goal:.0} {unit}"),
        met: ours <= goal,
        unit,
        how: "the costliest process of its kind in the same demo".into(),
    };
    Ok(vec![row("share of one core", cpu, cpu_goal, "%"), row("peak memory", memory, memory_goal, "MiB")])
}
