//! `stop`, `kill`, `release`: requests about operator latches, over every path at the same time.

mod known;
mod paths;
mod seen;
mod tally;

use core::time::Duration;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use skein_types::authority::{LatchRegister, LatchSet};
use skein_types::ids::AgentId;
use skein_types::safety::Latch;

pub(super) use known::{DebugEndpoint, of_record};

use paths::Wait;
use tally::Entry;
pub(super) use tally::Tally;

use super::show;
use crate::args::{Kill, Targets};
use crate::clock;
use crate::context::{Context, Target};
use crate::failure::{Exit, Failure};
use crate::latch_request::{Ask, Level, Request, Seen};
use crate::output::{self, Table, talk};

/// Longest wait for acknowledgements when `--timeout` is absent. The whole command ends within two seconds.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_millis(1600);

/// Longest wait of a drill, which wants to see every path.
const LINGER: Duration = Duration::from_millis(400);

pub(super) async fn stop(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let robots = named(&targets)?;
    raise_and_print(context, Level::Stop, robots, targets.reason).await
}

pub(super) async fn kill(context: &Context, kill: Kill) -> Result<Exit, Failure> {
    if kill.confirm != kill.robot {
        return Err(Failure::usage(format!("--confirm is {}, the robot is {}", kill.confirm, kill.robot))
            .help("repeat the robot's name: KILL cuts its motor power, and a flying robot falls"));
    }
    raise_and_print(context, Level::Kill, Some(vec![kill.robot]), kill.reason).await
}

async fn raise_and_print(
    context: &Context,
    level: Level,
    robots: Option<Vec<AgentId>>,
    reason: String,
) -> Result<Exit, Failure> {
    let target = context.target()?;
    context.announce(&target);
    let request = request(context, Ask::Raise { level, robots }, reason)?;
    let endpoints = of_record(target.record.as_ref());
    let tally = send(context, &target, request.clone(), endpoints, Duration::ZERO).await?;
    print(context, &request, &tally)?;
    conclude(&request, &tally)
}

pub(super) async fn release(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let names = named(&targets)?;
    let target = context.target()?;
    context.announce(&target);
    context.operator()?;
    let latches = seen::ask(&target.cloud, &of_record(target.record.as_ref())).await;
    if !latches.is_answered {
        return Err(Failure::new(Exit::Unreachable, "neither the supervisor nor any robot answers"));
    }
    let seen = to_release(&latches.robots, names.as_deref())?;
    if seen.is_empty() {
        talk("nothing to release: no robot is stopped by a latch of its own");
        return Ok(still_held(&latches.robots, names.as_deref()));
    }
    show_seen(&latches.robots, &seen);
    let request = request(context, Ask::Release(seen), targets.reason)?;
    let tally = send(context, &target, request.clone(), latches.endpoints, Duration::ZERO).await?;
    print(context, &request, &tally)?;
    let exit = conclude(&request, &tally)?;
    still_held(&latches.robots, names.as_deref());
    Ok(exit)
}

/// STOP or KILL without a word, over every path; waits for the slower paths as well.
pub(super) async fn raise(
    context: &Context,
    target: &Target,
    level: Level,
    robots: Option<Vec<AgentId>>,
    reason: &str,
) -> Result<Tally, Failure> {
    let request = request(context, Ask::Raise { level, robots }, reason.to_owned())?;
    send(context, target, request, of_record(target.record.as_ref()), LINGER).await
}

/// Releases every latch that was raised for this reason, without a word.
pub(super) async fn release_all(context: &Context, target: &Target, reason: &str) -> Result<(), Failure> {
    let mut latches = seen::ask(&target.cloud, &of_record(target.record.as_ref())).await;
    for set in latches.robots.values_mut() {
        for register in [&mut set.own, &mut set.fleet] {
            if register.reason != reason {
                *register = LatchRegister::released();
            }
        }
    }
    let seen = to_release(&latches.robots, None)?;
    if seen.is_empty() {
        return Ok(());
    }
    let request = request(context, Ask::Release(seen), reason.to_owned())?;
    send(context, target, request, latches.endpoints, Duration::ZERO).await.map(drop)
}

fn request(context: &Context, ask: Ask, reason: String) -> Result<Request, Failure> {
    Ok(Request::new(ask, context.caller()?, reason))
}

async fn send(
    context: &Context,
    target: &Target,
    request: Request,
    endpoints: BTreeMap<AgentId, DebugEndpoint>,
    linger: Duration,
) -> Result<Tally, Failure> {
    let longest = context.timeout().unwrap_or(ACKNOWLEDGED_WITHIN);
    Ok(paths::send(request, &target.cloud, context.caller()?, endpoints, Wait { longest, linger }).await)
}

fn named(targets: &Targets) -> Result<Option<Vec<AgentId>>, Failure> {
    match (targets.all, targets.robots.is_empty()) {
        (true, _) => Ok(None),
        (false, false) => Ok(Some(targets.robots.clone())),
        (false, true) => {
            Err(Failure::usage("no robot is named").help("name robots, or use --all for every robot of the fleet"))
        }
    }
}

/// The epochs to release.
fn to_release(latches: &BTreeMap<AgentId, LatchSet>, named: Option<&[AgentId]>) -> Result<Seen, Failure> {
    if let Some(unknown) = named.into_iter().flatten().find(|robot| !latches.contains_key(*robot)) {
        return Err(Failure::new(Exit::NotFound, format!("robot {unknown} is not known, or does not answer"))
            .help("`skein robot ls` lists the robots"));
    }
    let meant = latches.iter().filter(|(robot, _)| named.is_none_or(|named| named.contains(robot)));
    let latched = meant.filter(|(_, set)| set.own.is_latched());
    Ok(Seen {
        is_all: named.is_none(),
        fleet: fleet_of(latches).filter(|_| named.is_none()).map(|fleet| fleet.epoch),
        robots: latched.map(|(robot, set)| (robot.clone(), set.own.epoch)).collect(),
    })
}

/// The fleet's register when it is latched, as the robot that knows most says.
fn fleet_of(latches: &BTreeMap<AgentId, LatchSet>) -> Option<&LatchRegister> {
    latches.values().map(|set| &set.fleet).max().filter(|fleet| fleet.is_latched())
}

/// Shows the operator what is about to be released.
fn show_seen(latches: &BTreeMap<AgentId, LatchSet>, seen: &Seen) {
    if let Some(fleet) = fleet_of(latches).filter(|_| seen.fleet.is_some()) {
        talk(&format!("releasing the fleet: {}", describe(fleet)));
    }
    for (robot, set) in latches.iter().filter(|(robot, _)| seen.robots.contains_key(*robot)) {
        talk(&format!("releasing {robot}: {}", describe(&set.own)));
    }
}

/// "STOP of epoch 3 by operator:ada, 2 min ago: person on the floor".
fn describe(register: &LatchRegister) -> String {
    let level = show::word(&register.level).to_uppercase();
    let age = show::span(clock::seconds_since_unix(register.at.unix_nanos()));
    let reason = if register.reason.is_empty() { String::new() } else { format!(": {}", register.reason) };
    format!("{level} of epoch {} by {}, {age} ago{reason}", register.epoch, register.by)
}

/// Robots released by name still stand while the fleet's latch holds.
fn still_held(latches: &BTreeMap<AgentId, LatchSet>, named: Option<&[AgentId]>) -> Exit {
    match (named, fleet_of(latches)) {
        (Some(_), Some(fleet)) => {
            let text = describe(fleet);
            talk(&format!("the whole fleet is still stopped ({text}); end that with `skein release --all`"));
            Exit::Refused
        }
        _ => Exit::Ok,
    }
}

fn print(context: &Context, request: &Request, tally: &Tally) -> Result<(), Failure> {
    if tally.robots.is_empty() {
        return Ok(());
    }
    let value: Vec<Value> = tally.robots.iter().map(|(robot, entry)| value(request, robot, entry)).collect();
    output::show(context.format(), &value, || {
        let mut table =
            Table::new(&["ROBOT", "ACKNOWLEDGED", "LATCH", "PATH", "AFTER", "REMARK", "EPOCH", "OTHER PATHS"], 6);
        for (robot, entry) in &tally.robots {
            table.row(row(robot, entry));
        }
        table
    })
}

fn row(robot: &AgentId, entry: &Entry) -> [String; 8] {
    let first = entry.first();
    let of = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let others = entry.arrivals.iter().skip(1).map(|a| format!("{} {} ms", a.path.name(), a.after.as_millis()));
    let others: Vec<String> = others.collect();
    [
        robot.to_string(),
        if first.is_some() { "yes" } else { "NO" }.to_owned(),
        of(first.map(|arrival| show::word(&arrival.ack.latches.level()))),
        of(first.map(|arrival| arrival.path.name())),
        of(first.map(|arrival| format!("{} ms", arrival.after.as_millis()))),
        entry.remark(),
        of(first.map(|arrival| arrival.ack.latches.holding().epoch.to_string())),
        others.join(", "),
    ]
}

/// One robot's outcome, for programs.
pub(super) fn value(request: &Request, robot: &AgentId, entry: &Entry) -> Value {
    let first = entry.first();
    let paths = entry
        .arrivals
        .iter()
        .map(|arrival| json!({"path": arrival.path.name(), "after_ms": arrival.after.as_secs_f64() * 1000.0}));
    json!({
        "robot": robot,
        "request": request.id,
        "acknowledged": first.is_some(),
        "reached": entry.is_reached,
        "latch": first.map_or(Latch::Released, |arrival| arrival.ack.latches.level()),
        "latches": first.map(|arrival| &arrival.ack.latches),
        "kept": entry.kept(),
        "path": first.map(|arrival| arrival.path.name()),
        "after_ms": first.map(|arrival| arrival.after.as_secs_f64() * 1000.0),
        "paths": paths.collect::<Vec<_>>(),
        "text": entry.remark(),
    })
}

/// Names what is missing; the exit code says the worst of it.
fn conclude(request: &Request, tally: &Tally) -> Result<Exit, Failure> {
    let list = |robots: &[&AgentId]| robots.iter().map(|robot| robot.as_str()).collect::<Vec<_>>().join(", ");
    if tally.robots.is_empty() {
        return Err(nobody(tally));
    }
    if let Some(failure) = &tally.supervisor_failure {
        talk(&format!("the supervisor did not take part: {failure}"));
    }
    if let Some(refusal) = &tally.supervisor_refusal {
        talk(&format!("the supervisor refused the {}: {refusal}", request.name()));
    }
    let (unreached, silent) = (tally.unreached(), tally.silent());
    if !unreached.is_empty() {
        talk(&format!("not reached: {}{}", list(&unreached), pending(request, tally)));
    }
    if !silent.is_empty() {
        talk(&format!("not acknowledged: {}", list(&silent)));
    }
    Ok(tally.exit())
}

/// No robot is known, neither here nor to the supervisor.
fn nobody(tally: &Tally) -> Failure {
    let help = "start a fleet with `skein up`, or name another supervisor with --cloud URL";
    match (&tally.supervisor_refusal, &tally.supervisor_failure) {
        (Some(refusal), _) => Failure::new(Exit::Refused, refusal.clone()),
        (None, Some(failure)) => Failure::new(Exit::Unreachable, failure.clone()).help(help),
        (None, None) => Failure::new(Exit::NotFound, "the fleet has no robots").help(help),
    }
}

/// The supervisor keeps what a robot should have, and sends it when the robot connects.
fn pending(request: &Request, tally: &Tally) -> String {
    let is_kept = tally.supervisor_failure.is_none() && tally.supervisor_refusal.is_none();
    if is_kept { format!("; the supervisor sends the {} when they connect", request.name()) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::authority::{Epoch, Principal};

    fn latched(epoch: u64) -> LatchRegister {
        LatchRegister {
            epoch: Epoch(epoch),
            level: Latch::Stop,
            reason: "person on the floor".into(),
            by: "operator:ada".parse::<Principal>().unwrap(),
            ..LatchRegister::released()
        }
    }

    fn robots(own: &[(&str, Option<u64>)], fleet: Option<u64>) -> BTreeMap<AgentId, LatchSet> {
        let register = |epoch: Option<u64>| epoch.map(latched).unwrap_or_default();
        let entry = |(name, epoch): &(&str, Option<u64>)| {
            (AgentId::new(*name).unwrap(), LatchSet { own: register(*epoch), fleet: register(fleet) })
        };
        own.iter().map(entry).collect()
    }

    #[test]
    fn a_release_names_the_epochs_that_are_latched() {
        let latches = robots(&[("r1", Some(3)), ("r2", None)], Some(7));
        let all = to_release(&latches, None).unwrap();
        assert_eq!((all.fleet, all.robots.len(), all.is_all), (Some(Epoch(7)), 1, true));
        let r1 = [AgentId::new("r1").unwrap()];
        let one = to_release(&latches, Some(&r1)).unwrap();
        assert_eq!((one.fleet, one.robots.get(&r1[0])), (None, Some(&Epoch(3))));
        assert_eq!(still_held(&latches, Some(&r1)), Exit::Refused);
        let unknown = [AgentId::new("r9").unwrap()];
        assert_eq!(to_release(&latches, Some(&unknown)).unwrap_err().exit(), Exit::NotFound);
    }

    #[test]
    fn a_register_reads_as_a_sentence() {
        assert!(describe(&latched(3)).starts_with("STOP of epoch 3 by operator:ada, "));
        assert!(describe(&latched(3)).ends_with("ago: person on the floor"));
    }
}
