//! Many runs of a fleet on the virtual clock: every seed has its own faults, and a failure prints the command that repeats it.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use skein_types::polygon::Polygon;
use thiserror::Error;

use crate::fleet::{
    Access, FaultKind, FaultSpec, Fleet, FleetConfig, FleetReport, Impairment, LinkKind, Press, PressAction, mixed,
};
use crate::place::Place;

/// How many kinds of seeds there are.
const KINDS: u64 = 10;
/// Most seeds in one batch.
pub const SEEDS_MAX: u64 = 100_000;

/// Seeds as people write them: `7`, `1..10` (with both ends), or several of these with commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Vec<u64>);

/// Why seeds were not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SeedsError {
    /// Neither a number nor a range.
    #[error("{0:?} is not a seed; write 7, 1..10 (both ends included) or 1..3,7")]
    Shape(String),
    /// A range that runs backwards.
    #[error("{0}..{1} is empty; the smaller seed comes first")]
    Empty(u64, u64),
    /// More than [`SEEDS_MAX`].
    #[error("these are more than {SEEDS_MAX} seeds")]
    TooMany,
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let mut seeds = Vec::new();
        for part in text.split(',').map(str::trim) {
            let number = |text: &str| text.trim().parse::<u64>().map_err(|_| SeedsError::Shape(part.to_owned()));
            let (first, last) = match part.split_once("..") {
                Some((first, last)) => (number(first)?, number(last.strip_prefix('=').unwrap_or(last))?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(SeedsError::Empty(first, last));
            }
            if last - first >= SEEDS_MAX - seeds.len() as u64 {
                return Err(SeedsError::TooMany);
            }
            seeds.extend(first..=last);
        }
        Ok(Self(seeds))
    }
}

/// One run of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many robots.
    pub robots: usize,
    /// What goes wrong.
    pub faults: Vec<FaultSpec>,
    /// What operators press.
    pub presses: Vec<Press>,
}

/// Every number of robots with every seed, and the faults of each.
#[must_use]
pub fn cases(robots: &[usize], seeds: &Seeds) -> Vec<Case> {
    let case = |&robots: &usize| seeds.0.iter().map(move |&seed| case_of(seed, robots));
    robots.iter().flat_map(case).collect()
}

fn case_of(seed: u64, robots: usize) -> Case {
    Case { seed, robots, faults: faults_of(seed, robots), presses: presses_of(seed, robots) }
}

/// Every tenth seed is about authority: a robot is stopped by name at its own debug API, then the fleet at the supervisor;
/// both are released later. Meanwhile links suffer and processes restart (see [`faults_of`]).
fn presses_of(seed: u64, robots: usize) -> Vec<Press> {
    if seed % KINDS != 9 {
        return Vec::new();
    }
    let draw = |salt: u64, below: u64| mixed(seed.wrapping_mul(16).wrapping_add(salt)) % below.max(1);
    let robot = draw(1, robots as u64) as usize;
    let at = |seconds: u64| Duration::from_secs(seconds);
    let (first, second) = (6 + draw(2, 20), 30 + draw(3, 20));
    let (named, all) = (vec![Access::Debug(robot)], vec![Access::Supervisor]);
    let press = |action, target, seconds, accesses: &Vec<Access>| Press {
        action,
        target,
        at: at(seconds),
        accesses: accesses.clone(),
    };
    vec![
        press(PressAction::Stop, Some(robot), first, &named),
        press(PressAction::Release, Some(robot), first + 8, &named),
        press(PressAction::Stop, None, second, &vec![Access::Supervisor, Access::Debug(robot)]),
        press(PressAction::Release, None, second + 12, &all),
    ]
}

/// The faults of a seed, in turn: none, a death, a death with a restart, a cut from the supervisor, a cut from the peers, a
/// restart of the supervisor, hangs, impaired links, storage faults, and a mixture for the presses. Without peers a death
/// always ends.
fn faults_of(seed: u64, robots: usize) -> Vec<FaultSpec> {
    let draw = |salt: u64, below: u64| mixed(seed.wrapping_mul(8).wrapping_add(salt)) % below.max(1);
    let robot = Some(draw(1, robots as u64) as usize);
    let (at, lasts) = (Duration::from_secs(8 + draw(2, 50)), Duration::from_secs(5 + draw(3, 40)));
    let fault = |kind, robot, lasts| FaultSpec { kind, robot, at, lasts };
    let ends = Some(lasts);
    match seed % KINDS {
        1 if robots > 1 => vec![fault(FaultKind::Kill, robot, None)],
        1 | 2 => vec![fault(FaultKind::Kill, robot, ends)],
        3 => vec![fault(FaultKind::Cut(LinkKind::Cloud), robot, ends)],
        4 => vec![fault(FaultKind::Cut(LinkKind::Mesh), robot, ends)],
        5 => vec![fault(FaultKind::KillCloud, None, ends)],
        6 => vec![
            fault([FaultKind::Hang, FaultKind::HangAgent][draw(4, 2) as usize % 2], robot, ends),
            fault(FaultKind::HangCloud, None, Some(lasts / 2)),
        ],
        7 => Impairment::ALL
            .iter()
            .flat_map(|how| {
                [LinkKind::Mesh, LinkKind::Cloud].map(|link| fault(FaultKind::Impair(link, *how), None, ends))
            })
            .collect(),
        8 => vec![fault(FaultKind::SlowDisk, robot, ends), fault(FaultKind::CloudDiskFull, None, ends)],
        9 => vec![
            fault(FaultKind::Impair(LinkKind::Mesh, Impairment::Loss), None, ends),
            fault(FaultKind::Impair(LinkKind::Cloud, Impairment::Delay), None, ends),
            fault(
                [FaultKind::Kill, FaultKind::HangAgent][draw(4, 2) as usize],
                Some(draw(5, robots as u64) as usize),
                Some(Duration::from_secs(3)),
            ),
            FaultSpec {
                kind: FaultKind::KillCloud,
                robot: None,
                at: Duration::from_secs(36),
                lasts: Some(Duration::from_secs(3)),
            },
        ],
        _ => Vec::new(),
    }
}

impl Case {
    /// The command that repeats exactly this run; `place` are the flags that name the place.
    #[must_use]
    pub fn repeat(&self, place: &str) -> String {
        let faults: String = self.faults.iter().map(|fault| format!(" --fault {fault}")).collect();
        let presses: String = self.presses.iter().map(|press| format!(" --press {press}")).collect();
        format!("skein-sim run {place}--robots {} --seed {}{faults}{presses}", self.robots, self.seed)
    }

    /// Faults and presses in one line.
    #[must_use]
    pub fn faults(&self) -> String {
        let presses = self.presses.iter().map(ToString::to_string);
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).chain(presses).collect();
        if faults.is_empty() { "no fault".to_owned() } else { faults.join(" ") }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, {} robot{}, ", self.seed, self.robots, if self.robots == 1 { "" } else { "s" })?;
        f.write_str(&self.faults())
    }
}

/// The result of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Everything random followed from it.
    pub seed: u64,
    /// How many robots.
    pub robots: usize,
    /// The faults, as they are written on a command line.
    pub faults: String,
    /// Every check held.
    pub passed: bool,
    /// Share of the reachable zone that was truly swept, 0 to 1.
    pub coverage_ratio: f64,
    /// Contacts in the world, of all kinds.
    pub contacts: u64,
    /// Smallest true distance between two robots' centres; none with one robot.
    pub closest_m: Option<f64>,
    /// Virtual time from submission to the mission's end, or of the whole run when it did not end.
    pub time_s: f64,
    /// The checks that did not hold, or why the run could not begin.
    pub failures: Vec<String>,
    /// The seconds before the first incident of a run that failed.
    pub story: Vec<String>,
    /// The command that repeats exactly this run.
    pub repeat: String,
}

impl Outcome {
    fn new(case: &Case, repeat: String) -> Self {
        Self {
            seed: case.seed,
            robots: case.robots,
            faults: case.faults(),
            passed: false,
            coverage_ratio: 0.0,
            contacts: 0,
            closest_m: None,
            time_s: 0.0,
            failures: Vec::new(),
            story: Vec::new(),
            repeat,
        }
    }

    fn with(self, report: &FleetReport) -> Self {
        let broken = report.checks.iter().filter(|check| !check.holds);
        let broken = broken.map(|check| format!("not so: {} ({})", check.what, check.seen));
        let told = report.incidents.iter().take(1).filter(|_| !report.is_good()).flat_map(|incident| {
            let heading = format!("at {:.1} s: {}", incident.at_s, incident.what);
            core::iter::once(heading).chain(incident.story.iter().cloned())
        });
        let ended = report.mission.as_ref().and_then(|mission| mission.duration_s);
        Self {
            passed: report.is_good(),
            coverage_ratio: report.coverage_ratio,
            contacts: report.collisions.total(),
            closest_m: report.min_separation_m,
            time_s: ended.unwrap_or(report.duration_s),
            failures: broken.collect(),
            story: told.collect(),
            ..self
        }
    }
}

/// Where and for how long the runs of a batch go on.
#[derive(Clone, Debug)]
pub struct BatchConfig {
    /// Map, planning grid and solid ground.
    pub place: Place,
    /// What is surveyed in it.
    pub zone: Polygon,
    /// A run ends at the latest after this.
    pub limit: Duration,
    /// The flags that name the place on a command line, with a space behind.
    pub flags: String,
}

/// Runs one case; `None` when `go_on` broke it off. A fleet that cannot begin and a panic are failures like any other.
#[must_use]
pub fn run(batch: &BatchConfig, case: &Case, go_on: &dyn Fn() -> bool) -> Option<Outcome> {
    let outcome = Outcome::new(case, case.repeat(&batch.flags));
    let config = FleetConfig {
        limit: batch.limit,
        faults: case.faults.clone(),
        presses: case.presses.clone(),
        ..FleetConfig::new(batch.place.clone(), batch.zone.clone(), case.robots, case.seed)
    };
    let fleet = || Fleet::new(config).map(|mut fleet| fleet.run_while(go_on));
    match catch_unwind(AssertUnwindSafe(fleet)) {
        Ok(Ok(report)) => report.map(|report| outcome.with(&report)),
        Ok(Err(error)) => Some(Outcome { failures: vec![format!("it cannot begin: {error}")], ..outcome }),
        Err(panic) => Some(Outcome { failures: vec![format!("it panicked: {}", message_of(&*panic))], ..outcome }),
    }
}

fn message_of(panic: &(dyn core::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use skein_types::body::BodyDescriptor;
    use skein_types::geometry::Point;

    use super::*;
    use crate::sample;

    fn batch(limit_s: u64) -> BatchConfig {
        let (place, zone) = sample::warehouse(&BodyDescriptor::rover()).unwrap();
        BatchConfig { place, zone, limit: Duration::from_secs(limit_s), flags: "--minutes 0.1 ".to_owned() }
    }

    #[test]
    fn seeds_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.0);
        assert_eq!(read("7"), Ok(vec![7]));
        assert_eq!(read("1..3"), Ok(vec![1, 2, 3]));
        assert_eq!(read("1..=3"), Ok(vec![1, 2, 3]));
        assert_eq!(read("5, 1..2 ,9"), Ok(vec![5, 1, 2, 9]));
        assert_eq!(read("4..4"), Ok(vec![4]));
        assert_eq!(read("4..3"), Err(SeedsError::Empty(4, 3)));
        assert_eq!(read("0..99999999"), Err(SeedsError::TooMany));
        assert_eq!(read("0..99999,7"), Err(SeedsError::TooMany));
        assert_eq!(read("0..18446744073709551615"), Err(SeedsError::TooMany));
        for wrong in ["", "x", "1..", "..3", "-1", "1...3", "1,,2", "1..2..3"] {
            assert!(matches!(read(wrong), Err(SeedsError::Shape(_))), "{wrong}");
        }
    }

    #[test]
    fn every_group_of_faults_comes_up_and_a_seed_fixes_it() {
        let seeds: Seeds = "1..20".parse().unwrap();
        let all = cases(&[1, 6], &seeds);
        assert_eq!(all.len(), 40);
        assert_eq!(all, cases(&[1, 6], &seeds));
        let kinds: BTreeSet<_> = all.iter().flat_map(|case| case.faults.iter().map(|fault| fault.kind)).collect();
        assert!(kinds.len() >= 16, "{kinds:?}");
        for case in all {
            assert!(case.faults.iter().all(|fault| fault.robot.is_none_or(|robot| robot < case.robots)), "{case}");
            assert!(
                case.robots > 1 || case.faults.iter().all(|fault| fault.lasts.is_some()),
                "alone, and dead: {case}"
            );
        }
    }

    #[test]
    fn the_command_of_a_case_means_the_same_faults() {
        for case in cases(&[1, 6], &"0..23".parse().unwrap()) {
            let command = case.repeat("--map m.yaml --zone z.geojson ");
            let start =
                format!("skein-sim run --map m.yaml --zone z.geojson --robots {} --seed {}", case.robots, case.seed);
            let rest = command.strip_prefix(&start).unwrap();
            let words: Vec<&str> = rest.split_whitespace().collect();
            let of = |flag| words.chunks(2).filter(move |pair| pair[0] == flag).map(|pair| pair[1]);
            let faults: Vec<FaultSpec> = of("--fault").map(|spec| spec.parse().unwrap()).collect();
            let presses: Vec<Press> = of("--press").map(|press| press.parse().unwrap()).collect();
            assert_eq!((faults, presses), (case.faults, case.presses));
        }
    }

    #[test]
    fn a_run_that_fails_says_why_and_how_it_is_run_again() {
        let case = Case { seed: 6, robots: 2, faults: Vec::new(), presses: Vec::new() };
        let outcome = run(&batch(6), &case, &|| true).unwrap();
        assert!(!outcome.passed && outcome.coverage_ratio > 0.0, "{outcome:?}");
        assert!(outcome.failures.iter().any(|line| line.contains("at least 99 % was swept")), "{outcome:?}");
        assert_eq!(outcome.repeat, "skein-sim run --minutes 0.1 --robots 2 --seed 6");
    }

    #[test]
    fn a_fleet_that_cannot_begin_is_a_failure_and_not_the_end() {
        let zone = Polygon::rectangle(Point::new(500.0, 0.0), Point::new(510.0, 10.0)).unwrap();
        let nowhere = BatchConfig { zone, ..batch(6) };
        let outcome =
            run(&nowhere, &Case { seed: 1, robots: 2, faults: Vec::new(), presses: Vec::new() }, &|| true).unwrap();
        assert!(!outcome.passed && outcome.failures[0].starts_with("it cannot begin"), "{outcome:?}");
    }

    #[test]
    fn a_panic_is_a_failure_and_a_stop_is_none() {
        let case = Case { seed: 1, robots: 1, faults: Vec::new(), presses: Vec::new() };
        let outcome = run(&batch(6), &case, &|| panic!("planted")).unwrap();
        assert_eq!(outcome.failures, ["it panicked: planted"]);
        let asked = Cell::new(0);
        let few = || asked.replace(asked.get() + 1) < 100;
        assert_eq!(run(&batch(600), &case, &few), None);
    }
}
