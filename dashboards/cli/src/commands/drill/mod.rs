//! `skein drill`: stops, releases, hangs and kills parts of a running fleet, measures how long each STOP takes, and
//! checks what must hold: a STOP is kept, nothing moves without a fresh setpoint, nothing touches anything.

mod events;
mod observe;
mod plan;
mod processes;
mod report;
mod truth;

use core::time::Duration;
use std::time::Instant;

use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{MissionSpec, Objective, Priority};
use skein_types::safety::Latch;

use events::{REASON, Trial, robots_of};
use observe::Observer;
use plan::{Event, Plan};
use report::{Figures, Report, Round};
use truth::Truth;

use super::latch;
use crate::args::Drill;
use crate::client::Cloud;
use crate::clock;
use crate::context::{Context, Target};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, talk};
use crate::run::write_whole;
use crate::zone;

/// Shortest and longest time that something hangs or holds, milliseconds.
const SPAN_MS: (u64, u64) = (1_000, 2_500);
/// The supervisor answers within this time when it is asked for missions between two events.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A drill under way.
struct Running<'a> {
    context: &'a Context,
    target: Target,
    robots: Vec<AgentId>,
    observer: Observer,
    plan: Plan,
    start: Instant,
    missions: Vec<MissionId>,
    keeps_moving: bool,
    /// Contacts and falls that the world counts.
    contacts: u64,
    /// Those of them since the drill began.
    new_contacts: u64,
}

pub(super) async fn drill(context: &Context, args: Drill) -> Result<Exit, Failure> {
    let mut interrupt = Interrupt::listen()?;
    let mut running = Running::begin(context, &args).await?;
    let mut report = running.empty_report(&args);
    let mut was_interrupted = false;
    for number in 1..=args.rounds {
        let outcome = tokio::select! {
            outcome = running.round(number) => outcome,
            () = interrupt.heard() => {
                was_interrupted = true;
                break;
            }
        };
        match outcome {
            Ok(round) => {
                talk(&round.line(args.rounds));
                report.rounds.push(round);
            }
            Err(failure) => {
                report.broken.push(format!("round {number}: {failure}"));
                break;
            }
        }
    }
    running.end(&mut report).await;
    conclude(context, &args, report.summed_up(), was_interrupted)
}

impl<'a> Running<'a> {
    async fn begin(context: &'a Context, args: &Drill) -> Result<Self, Failure> {
        let target = context.target()?;
        let record = target.record.as_ref().filter(|record| record.by_up).ok_or_else(|| {
            Failure::new(Exit::Refused, "a drill runs only on a fleet that `skein up` started")
                .help("start one with `skein up`, in a run directory of its own with --dir")
        })?;
        context.announce(&target);
        context.operator()?;
        let (robots, observer) = robots_of(&target);
        let plan = Plan::new(args.seed, &args.only, robots.clone(), record.restarts);
        if plan.is_empty() {
            return Err(Failure::new(Exit::Refused, "nothing can be drilled here")
                .help("events that kill need a fleet that is started again: `skein up` without --no-restart"));
        }
        for robot in &robots {
            let latch = observer.sample(robot).await.and_then(|sample| sample.latch);
            if latch.is_some_and(|latch| latch != Latch::Released) {
                return Err(Failure::new(Exit::Refused, format!("{robot} is stopped"))
                    .help("a drill begins with a released fleet: `skein release --all`"));
            }
        }
        let contacts = Truth::read(&record.truth).map_or(0, |truth| truth.collisions_total + truth.falls);
        let (start, keeps_moving) = (clock::now(), !args.no_mission);
        let missions = Vec::new();
        Ok(Self { context, target, robots, observer, plan, start, missions, keeps_moving, contacts, new_contacts: 0 })
    }

    fn empty_report(&self, args: &Drill) -> Report {
        Report {
            fleet: self.target.record.as_ref().map(|record| record.fleet.clone()).unwrap_or_default(),
            seed: args.seed,
            robots: self.robots.len(),
            rounds: Vec::new(),
            contacts: 0,
            click_to_rest_ms: Figures::default(),
            acknowledged_ms: Default::default(),
            broken: Vec::new(),
            software: env!("CARGO_PKG_VERSION"),
        }
    }

    async fn round(&mut self, number: u32) -> Result<Round, Failure> {
        let event: Event =
            self.plan.draw(clock::now()).ok_or_else(|| Failure::failed("there is nothing to choose from"))?;
        let span = self.plan.pause(SPAN_MS.0, SPAN_MS.1);
        let mut round = Round::new(number, &event, (clock::now() - self.start).as_secs_f64());
        if self.keeps_moving
            && let Err(failure) = self.keep_moving().await
        {
            round.notes.push(format!("no mission: {failure}"));
        }
        let (context, target, observer, robots) = (self.context, &self.target, &self.observer, &self.robots);
        Trial { context, target, observer, robots, round: &mut round, span }.run(&event).await?;
        self.check_contacts(&mut round);
        Ok(round)
    }

    /// Submits a survey of the fleet's zone when no mission is under way.
    async fn keep_moving(&mut self) -> Result<(), Failure> {
        let Some(record) = &self.target.record else { return Ok(()) };
        let cloud = Cloud::connect(&self.target.cloud, ANSWER_WITHIN).await?.called_by(self.context.caller()?);
        if cloud.missions().await?.iter().any(|mission| !mission.state.is_terminal()) {
            return Ok(());
        }
        let spec = MissionSpec {
            name: REASON.to_owned(),
            objective: Objective::Survey,
            zone: zone::read(&record.zone, None)?.polygon,
            priority: Priority::NORMAL,
            robots: Vec::new(),
            return_home: false,
        };
        self.missions.push(cloud.submit(spec, clock::fresh_key()).await?.id);
        Ok(())
    }

    fn check_contacts(&mut self, round: &mut Round) {
        let truth = self.target.record.as_ref().and_then(|record| Truth::read(&record.truth));
        let Some(total) = truth.map(|truth| truth.collisions_total + truth.falls) else { return };
        if total > self.contacts {
            round.broken.push(format!("{} contacts or falls", total - self.contacts));
            self.new_contacts += total - self.contacts;
            self.contacts = total;
        }
    }

    /// Leaves the fleet as it was found: every process goes on, every latch of the drill is released, its missions end.
    async fn end(&mut self, report: &mut Report) {
        report.contacts = self.new_contacts;
        processes::let_all_go_on(self.context);
        if let Err(failure) = latch::release_all(self.context, &self.target, REASON).await {
            report.broken.push(format!("the fleet could not be released: {failure}"));
        }
        for robot in &self.robots {
            let within = Duration::from_secs(5);
            if !self.observer.until_latch(robot, within, |latch| latch == Latch::Released).await {
                report.broken.push(format!("{robot} is left stopped"));
            }
        }
        let Ok(cloud) = Cloud::connect(&self.target.cloud, ANSWER_WITHIN).await else { return };
        for mission in &self.missions {
            // It may have ended.
            let _ = cloud.cancel(*mission, "the drill ended".to_owned()).await;
        }
    }
}

fn conclude(context: &Context, args: &Drill, report: Report, was_interrupted: bool) -> Result<Exit, Failure> {
    if let Some(path) = &args.report {
        write_whole(path, format!("{}\n", output::json(&report)?).as_bytes())?;
    }
    output::show(context.format(), &report, || report.table())?;
    let broken = report.all_broken();
    for text in &broken {
        talk(&format!("broken: {text}"));
    }
    match (broken.is_empty(), was_interrupted) {
        (false, _) => Ok(Exit::Failed),
        (true, true) => Ok(Exit::Interrupted),
        (true, false) => Ok(Exit::Ok),
    }
}
