//! Who acknowledged a request about a latch, by which path and after how long; and whether the wait is over.
//!
//! Pure: times are spans since the request was sent.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use skein_types::authority::LatchSet;
use skein_types::fleet::LatchDurability;
use skein_types::ids::AgentId;

use crate::failure::Exit;

/// After every known robot has acknowledged, the supervisor has this long to take the request into its record, and to
/// name robots that nobody else knows.
const SUPERVISOR_WITHIN: Duration = Duration::from_millis(400);
/// A request that is passed on over the mesh arrives within this time, or not at all.
const MESH_WITHIN: Duration = Duration::from_millis(700);

/// How a request reached a robot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Path {
    /// Through the supervisor.
    Supervisor,
    /// The robot's own debug API.
    Direct,
    /// Passed on by this robot over the mesh.
    Mesh(AgentId),
}

impl Path {
    /// The path without the robot that passed the request on.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Direct => "direct",
            Self::Mesh(_) => "mesh",
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Supervisor | Self::Direct => self.kind().to_owned(),
            Self::Mesh(relay) => format!("mesh ({relay})"),
        }
    }
}

/// What a robot said of its latches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub latches: LatchSet,
    /// It is on the robot's disk; unknown where only a peer spoke of the robot.
    pub kept: Option<bool>,
    /// Why it is not.
    pub text: String,
}

impl Ack {
    /// What a supervisor says that the robot reported; `None` while the robot still writes it to its disk.
    pub(crate) fn reported(latches: LatchSet, durability: LatchDurability) -> Option<Self> {
        match durability {
            LatchDurability::Kept => Some(Self { latches, kept: Some(true), text: String::new() }),
            LatchDurability::Saving => None,
            LatchDurability::NotKept(text) => Some(Self { latches, kept: Some(false), text }),
        }
    }
}

/// What a path found out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finding {
    /// The robot belongs to the fleet.
    Known(AgentId),
    /// The robot can be reached by the path.
    Reached(AgentId),
    /// The robot did what was asked.
    Acknowledged(AgentId, Path, Ack),
    /// The robot, or the supervisor for it, refused.
    Refused(AgentId, Path, String),
    /// The robot cannot be reached by the path.
    Unreached(AgentId, Path, String),
    /// The supervisor named all robots it knows.
    SupervisorNamedAll,
    /// The supervisor took the request.
    SupervisorAnswered,
    /// The supervisor did not answer.
    SupervisorFailed(String),
    /// The supervisor refused the request.
    SupervisorRefused(String),
}

/// One robot's acknowledgement over one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub path: Path,
    pub after: Duration,
    pub ack: Ack,
}

/// What is known of one robot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub is_reached: bool,
    /// In the order of arrival.
    pub arrivals: Vec<Arrival>,
    /// Refusals, by path.
    pub refusals: BTreeMap<Path, String>,
    /// Why paths failed.
    pub failures: BTreeMap<Path, String>,
}

impl Entry {
    pub(crate) fn first(&self) -> Option<&Arrival> {
        self.arrivals.first()
    }

    /// What it obeys is on its disk, as far as any path said.
    pub(crate) fn kept(&self) -> Option<bool> {
        let mut said = self.arrivals.iter().filter_map(|arrival| arrival.ack.kept).peekable();
        said.peek()?;
        Some(said.all(|kept| kept))
    }

    /// Why the robot has not acknowledged, or what is wrong although it has.
    pub(crate) fn remark(&self) -> String {
        if let Some(Arrival { ack, .. }) = self.arrivals.iter().find(|arrival| arrival.ack.kept == Some(false)) {
            return format!("stopped, not kept: {}", ack.text);
        }
        if !self.arrivals.is_empty() {
            return String::new();
        }
        let texts = self.refusals.iter().chain(&self.failures);
        texts.map(|(path, why)| format!("{}: {why}", path.name())).collect::<Vec<_>>().join("; ")
    }

    /// The robot's debug API failed or refused.
    fn has_ended(&self) -> bool {
        self.failures.contains_key(&Path::Direct) || self.refusals.contains_key(&Path::Direct)
    }

    /// No more is to be expected of the supervisor and of the robot's debug API.
    fn is_settled(&self) -> bool {
        let has_ended = |path: &Path| self.failures.contains_key(path) || self.refusals.contains_key(path);
        !self.arrivals.is_empty() || (has_ended(&Path::Supervisor) && has_ended(&Path::Direct))
    }
}

/// All robots of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub robots: BTreeMap<AgentId, Entry>,
    /// Only these robots are meant; every robot when none.
    named: Option<Vec<AgentId>>,
    has_named_all: bool,
    has_answered: bool,
    pub supervisor_failure: Option<String>,
    pub supervisor_refusal: Option<String>,
    all_since: Option<Duration>,
}

impl Tally {
    /// For these robots, or for every robot that becomes known.
    pub(crate) fn new(named: Option<Vec<AgentId>>) -> Self {
        let robots = named.iter().flatten().map(|robot| (robot.clone(), Entry::default())).collect();
        Self { robots, named, ..Self::default() }
    }

    fn is_meant(&self, robot: &AgentId) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(robot))
    }

    /// Takes a finding in; robots that are not meant are left out.
    pub(crate) fn on_finding(&mut self, after: Duration, finding: Finding) {
        match finding {
            Finding::Known(robot) => drop(self.entry(&robot)),
            Finding::Reached(robot) => self.change(&robot, |entry| entry.is_reached = true),
            Finding::Acknowledged(robot, path, ack) => self.change(&robot, |entry| {
                entry.is_reached = true;
                entry.failures.remove(&path);
                if entry.arrivals.iter().all(|arrival| arrival.path != path) {
                    entry.arrivals.push(Arrival { path, after, ack });
                }
            }),
            Finding::Refused(robot, path, text) => self.change(&robot, |entry| {
                entry.is_reached = true;
                entry.refusals.insert(path, text);
            }),
            Finding::Unreached(robot, path, text) => self.change(&robot, |entry| {
                entry.failures.insert(path, text);
            }),
            Finding::SupervisorNamedAll => self.has_named_all = true,
            Finding::SupervisorAnswered => self.has_answered = true,
            Finding::SupervisorFailed(text) => self.supervisor_failure = Some(text),
            Finding::SupervisorRefused(text) => self.supervisor_refusal = Some(text),
        }
        self.all_since = if self.has_all() { self.all_since.or(Some(after)) } else { None };
    }

    fn change(&mut self, robot: &AgentId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entry(robot) {
            change(entry);
        }
    }

    fn entry(&mut self, robot: &AgentId) -> Option<&mut Entry> {
        self.is_meant(robot).then(|| self.robots.entry(robot.clone()).or_default())
    }

    fn has_all(&self) -> bool {
        !self.robots.is_empty() && self.robots.values().all(|entry| !entry.arrivals.is_empty())
    }

    /// Nothing more is to be expected: every robot has acknowledged and the supervisor had its time, or all that have
    /// not are out of reach of the supervisor and of their debug APIs and the mesh had its time.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        let are_all_known = self.named.is_some() || self.has_named_all || self.has_supervisor_ended();
        let is_supervisor_done = self.has_supervisor_ended() || (self.has_answered && are_all_known);
        match self.all_since {
            Some(since) => is_supervisor_done || now.saturating_sub(since) >= SUPERVISOR_WITHIN,
            None if self.robots.is_empty() => are_all_known,
            None => are_all_known && now >= MESH_WITHIN && self.is_settled(),
        }
    }

    fn has_supervisor_ended(&self) -> bool {
        self.supervisor_failure.is_some() || self.supervisor_refusal.is_some()
    }

    fn is_settled(&self) -> bool {
        self.robots.values().all(|entry| entry.is_settled() || (self.has_supervisor_ended() && entry.has_ended()))
    }

    /// Robots that no path reached.
    pub(crate) fn unreached(&self) -> Vec<&AgentId> {
        self.robots.iter().filter(|(_, entry)| !entry.is_reached).map(|(robot, _)| robot).collect()
    }

    /// Robots that can be reached and have not acknowledged.
    pub(crate) fn silent(&self) -> Vec<&AgentId> {
        let is_silent = |entry: &Entry| entry.is_reached && entry.arrivals.is_empty();
        self.robots.iter().filter(|(_, entry)| is_silent(entry)).map(|(robot, _)| robot).collect()
    }

    /// Ok when every robot that can be reached has acknowledged.
    pub(crate) fn exit(&self) -> Exit {
        let silent = self.silent();
        let is_refused = |robot: &&AgentId| self.robots.get(*robot).is_some_and(|entry| !entry.refusals.is_empty());
        let any = self.robots.values().any(|entry| !entry.arrivals.is_empty());
        match (silent.is_empty(), any) {
            (false, _) if silent.iter().all(is_refused) => Exit::Refused,
            (false, _) => Exit::Failed,
            (true, true) => Exit::Ok,
            (true, false) if self.supervisor_refusal.is_some() => Exit::Refused,
            (true, false) => Exit::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robot(name: &str) -> AgentId {
        AgentId::new(name).unwrap()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn ack() -> Ack {
        Ack { latches: LatchSet::default(), kept: Some(true), text: String::new() }
    }

    fn acknowledged(name: &str, path: Path) -> Finding {
        Finding::Acknowledged(robot(name), path, ack())
    }

    #[test]
    fn the_first_path_counts_and_every_path_is_kept() {
        let mut tally = Tally::new(Some(vec![robot("r1")]));
        assert!(!tally.is_over(ms(0)));
        tally.on_finding(ms(5), acknowledged("r1", Path::Direct));
        tally.on_finding(ms(40), acknowledged("r1", Path::Supervisor));
        tally.on_finding(ms(60), acknowledged("r1", Path::Supervisor));
        let entry = &tally.robots[&robot("r1")];
        let seen: Vec<_> = entry.arrivals.iter().map(|a| (a.path.name(), a.after.as_millis())).collect();
        assert_eq!(seen, [("direct".to_owned(), 5), ("supervisor".to_owned(), 40)]);
        assert!(!tally.is_over(ms(60)), "the supervisor is to record the request");
        tally.on_finding(ms(70), Finding::SupervisorAnswered);
        assert!(tally.is_over(ms(70)) && tally.exit() == Exit::Ok);
    }

    #[test]
    fn a_supervisor_that_hangs_does_not_hold_up_a_stop_of_all() {
        let mut tally = Tally::new(None);
        tally.on_finding(ms(1), Finding::Known(robot("r1")));
        tally.on_finding(ms(1), Finding::Known(robot("r2")));
        tally.on_finding(ms(9), acknowledged("r1", Path::Direct));
        assert!(!tally.is_over(ms(2000)), "r2 is still expected");
        tally.on_finding(ms(20), acknowledged("r2", Path::Mesh(robot("r1"))));
        assert!(!tally.is_over(ms(21)), "the supervisor may name more robots");
        assert!(tally.is_over(ms(420)));
        tally.on_finding(ms(30), Finding::SupervisorFailed("no answer".into()));
        assert!(tally.is_over(ms(30)));
    }

    #[test]
    fn a_stop_that_is_not_on_the_disk_is_said_whichever_path_brought_it() {
        let mut tally = Tally::new(Some(vec![robot("r1")]));
        let not_kept = LatchDurability::NotKept("disk full".into());
        let ack = |durability| Ack::reported(LatchSet::default(), durability);
        assert_eq!(ack(LatchDurability::Saving), None, "not before the robot knows");
        let unknown = Ack { latches: LatchSet::default(), kept: None, text: String::new() };
        tally.on_finding(ms(1), Finding::Acknowledged(robot("r1"), Path::Mesh(robot("r2")), unknown));
        assert_eq!(tally.robots[&robot("r1")].kept(), None, "a peer does not know");
        tally.on_finding(ms(2), Finding::Acknowledged(robot("r1"), Path::Supervisor, ack(not_kept).unwrap()));
        tally.on_finding(ms(3), acknowledged("r1", Path::Direct));
        let entry = &tally.robots[&robot("r1")];
        assert_eq!((entry.kept(), entry.remark().as_str()), (Some(false), "stopped, not kept: disk full"));
    }

    #[test]
    fn a_robot_that_nobody_reached_is_named_and_does_not_fail_the_others() {
        let mut tally = Tally::new(None);
        tally.on_finding(ms(1), Finding::Known(robot("r1")));
        tally.on_finding(ms(3), Finding::Unreached(robot("r1"), Path::Direct, "Connection refused".into()));
        assert_eq!((tally.exit(), tally.is_over(ms(900))), (Exit::Unreachable, false));
        tally.on_finding(ms(4), acknowledged("r2", Path::Direct));
        assert_eq!((tally.exit(), tally.unreached()), (Exit::Ok, vec![&robot("r1")]));
        assert_eq!(tally.robots[&robot("r1")].remark(), "direct: Connection refused");
        tally.on_finding(ms(5), Finding::Reached(robot("r1")));
        assert_eq!((tally.exit(), tally.silent()), (Exit::Failed, vec![&robot("r1")]));
    }

    #[test]
    fn a_refusal_ends_the_wait_and_robots_that_are_not_meant_are_left_out() {
        let mut tally = Tally::new(Some(vec![robot("r1")]));
        tally.on_finding(ms(1), acknowledged("r9", Path::Direct));
        tally.on_finding(ms(2), Finding::Refused(robot("r1"), Path::Direct, "stopped again".into()));
        assert!(!tally.is_over(ms(800)), "the supervisor is still expected");
        tally.on_finding(ms(3), Finding::SupervisorRefused("lease held".into()));
        assert!(!tally.is_over(ms(3)) && tally.is_over(ms(700)) && tally.robots.len() == 1);
        assert_eq!(
            (tally.exit(), tally.robots[&robot("r1")].remark().as_str()),
            (Exit::Refused, "direct: stopped again")
        );
    }
}
