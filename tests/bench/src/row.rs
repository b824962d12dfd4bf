//! One line of the table.

use serde::Serialize;

/// A claim, measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What is measured.
    pub name: String,
    /// Our figure.
    pub ours: f64,
    /// The figure it is held against: another library in the same run, or the bound.
    pub reference: f64,
    /// Ours against the reference; see `how`.
    pub ratio: f64,
    /// What the ratio or the figure has to be.
    pub goal: String,
    /// Whether it is.
    pub met: bool,
    /// Of `ours` and `reference`.
    pub unit: &'static str,
    /// How it was measured, so that it can be repeated.
    pub how: String,
}

/// Prints the table for people, on stdout.
pub(crate) fn print(rows: &[Row]) {
    println!("{:<52} {:>14} {:>14} {:>9}  {:<10} {:<24} met", "what", "ours", "reference", "ratio", "unit", "goal");
    for row in rows {
        println!(
            "{:<52} {:>14} {:>14} {:>9.3}  {:<10} {:<24} {}",
            row.name,
            figure(row.ours),
            figure(row.reference),
            row.ratio,
            row.unit,
            row.goal,
            if row.met { "yes" } else { "NO" }
        );
    }
}

fn figure(value: f64) -> String {
    if value != 0.0 && value.abs() < 10.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

/// The share `q` (0 to 1) of sorted values lies at or below the answer; zero for none.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * q).round() as usize).copied().unwrap_or_default()
}
