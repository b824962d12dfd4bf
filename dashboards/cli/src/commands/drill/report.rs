//! What a drill measured: one record for each event, and the figures over all of them.

use std::collections::BTreeMap;

use serde::Serialize;
use skein_types::ids::AgentId;

use super::plan::Event;
use crate::commands::latch::Tally;
use crate::output::Table;

/// What was done to the fleet once, and how long it took to recover.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Round {
    pub number: u32,
    pub kind: String,
    pub robot: AgentId,
    /// Since the start of the drill, seconds.
    pub at_s: f64,
    /// From the sending of the STOP until the robot stood, for robots that moved; milliseconds.
    pub click_to_rest_ms: BTreeMap<AgentId, f64>,
    pub acknowledgements: Vec<Acknowledgement>,
    /// Promises that were broken.
    pub broken: Vec<String>,
    /// What happened that is no promise.
    pub notes: Vec<String>,
}

/// One robot's acknowledgement over one path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Acknowledgement {
    pub robot: AgentId,
    pub path: String,
    pub after_ms: f64,
}

/// The whole drill.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub fleet: String,
    pub seed: u64,
    pub robots: usize,
    pub rounds: Vec<Round>,
    pub contacts: u64,
    pub click_to_rest_ms: Figures,
    pub acknowledged_ms: BTreeMap<String, Figures>,
    /// Promises that were broken outside of a round.
    pub broken: Vec<String>,
    pub software: &'static str,
}

/// Of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Figures {
    pub(super) fn of(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * sample.len() as f64).ceil() as usize;
            sample.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Self { count: sample.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }

    fn text(&self) -> String {
        if self.count == 0 {
            return "–".to_owned();
        }
        format!("{:.0} / {:.0} / {:.0}", self.p50, self.p99, self.max)
    }
}

impl Round {
    pub(super) fn new(number: u32, event: &Event, at_s: f64) -> Self {
        Self {
            number,
            kind: event.kind.name(),
            robot: event.robot.clone(),
            at_s,
            click_to_rest_ms: BTreeMap::new(),
            acknowledgements: Vec::new(),
            broken: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn take_tally(&mut self, tally: &Tally) {
        for (robot, entry) in &tally.robots {
            let one = entry.arrivals.iter().map(|arrival| Acknowledgement {
                robot: robot.clone(),
                path: arrival.path.kind().to_owned(),
                after_ms: arrival.after.as_secs_f64() * 1000.0,
            });
            self.acknowledgements.extend(one);
        }
    }

    /// One line of progress.
    pub(super) fn line(&self, of: u32) -> String {
        let rest = Figures::of(self.click_to_rest_ms.values().copied().collect());
        let rest = if rest.count == 0 { String::new() } else { format!("  at rest after {:.0} ms", rest.max) };
        let acks = self.acknowledgements.iter().map(|ack| ack.after_ms).fold(0.0, f64::max);
        let acks = if acks > 0.0 { format!("  acknowledged within {acks:.0} ms") } else { String::new() };
        let wrong: Vec<String> = self.broken.iter().map(|text| format!("\n      BROKEN: {text}")).collect();
        let number = self.number;
        format!("{number:>4}/{of}  {:<15}  {:<9}{acks}{rest}{}", self.kind, self.robot.as_str(), wrong.concat())
    }
}

impl Report {
    /// Fills in the figures over all rounds.
    pub(super) fn summed_up(mut self) -> Self {
        self.click_to_rest_ms = Figures::of(self.rests(|_| true));
        let mut paths = BTreeMap::<String, Vec<f64>>::new();
        for ack in self.rounds.iter().flat_map(|round| &round.acknowledgements) {
            paths.entry(ack.path.clone()).or_default().push(ack.after_ms);
        }
        self.acknowledged_ms = paths.into_iter().map(|(path, sample)| (path, Figures::of(sample))).collect();
        self
    }

    fn rests(&self, chosen: impl Fn(&Round) -> bool) -> Vec<f64> {
        let rounds = self.rounds.iter().filter(|round| chosen(round));
        rounds.flat_map(|round| round.click_to_rest_ms.values().copied()).collect()
    }

    pub(super) fn all_broken(&self) -> Vec<String> {
        let of_rounds = self.rounds.iter().flat_map(|round| {
            round.broken.iter().map(|text| format!("round {} ({} {}): {text}", round.number, round.kind, round.robot))
        });
        of_rounds.chain(self.broken.iter().cloned()).collect()
    }

    /// One row for each kind of event.
    pub(super) fn table(&self) -> Table {
        let headings = &["EVENT", "COUNT", "CLICK TO REST p50/p99/max ms", "ACKNOWLEDGED p50/p99/max ms", "BROKEN"];
        let mut table = Table::new(headings, 5);
        let kinds: std::collections::BTreeSet<&String> = self.rounds.iter().map(|round| &round.kind).collect();
        for kind in kinds {
            let rounds: Vec<&Round> = self.rounds.iter().filter(|round| round.kind == *kind).collect();
            let acks = rounds.iter().flat_map(|round| &round.acknowledgements).map(|ack| ack.after_ms).collect();
            table.row([
                kind.clone(),
                rounds.len().to_string(),
                Figures::of(self.rests(|round| round.kind == *kind)).text(),
                Figures::of(acks).text(),
                rounds.iter().map(|round| round.broken.len()).sum::<usize>().to_string(),
            ]);
        }
        let broken = self.all_broken().len().to_string();
        let acks = self.rounds.iter().flat_map(|round| &round.acknowledgements).map(|ack| ack.after_ms).collect();
        let count = self.rounds.len().to_string();
        table.row(["all".into(), count, self.click_to_rest_ms.text(), Figures::of(acks).text(), broken]);
        for (path, figures) in &self.acknowledged_ms {
            table.row([format!("path: {path}"), figures.count.to_string(), "–".into(), figures.text(), "–".into()]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_sample() {
        let hundred = Figures::of((1..=100).rev().map(f64::from).collect());
        assert_eq!(hundred, Figures { count: 100, p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(Figures::of(vec![7.0]), Figures { count: 1, p50: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(Figures::of(Vec::new()).text(), "–");
    }
}
