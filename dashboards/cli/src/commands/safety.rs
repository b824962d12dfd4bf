//! `stop`, `kill`, `resume`: a person's hand on robots. Each robot says itself that it is done.

use core::time::Duration;

use serde_json::json;
use skein_types::safety::Latch;
use skein_wire::request::{KillOrder, ReleaseOrder, RobotOutcome, StopOrder, Targets as Whom};

use super::show;
use crate::args::{Kill, Targets};
use crate::client::Cloud;
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Table, talk};

/// How often robots are looked at until they have said that they are done.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn stop(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let order = StopOrder { targets: whom(&targets)?, reason: targets.reason, request: None, at: None };
    let cloud = context.cloud_to_change().await?;
    let outcomes = cloud.stop(order).await?;
    let outcomes = until_said(context, &cloud, outcomes, |latch| latch >= Latch::Stop).await?;
    tell(context, &outcomes)
}

pub(super) async fn release(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let order = ReleaseOrder { targets: whom(&targets)?, reason: targets.reason, request: None, epochs: Vec::new() };
    let cloud = context.cloud_to_change().await?;
    let outcomes = cloud.release(order).await?;
    let outcomes = until_said(context, &cloud, outcomes, |latch| latch == Latch::Released).await?;
    tell(context, &outcomes)
}

pub(super) async fn kill(context: &Context, kill: Kill) -> Result<Exit, Failure> {
    if kill.confirm != kill.robot {
        return Err(Failure::usage(format!("--confirm says {}, the robot is {}", kill.confirm, kill.robot))
            .help("repeat the robot's name: KILL cuts its power, and a flying robot falls"));
    }
    let cloud = context.cloud_to_change().await?;
    let outcome = cloud.kill(KillOrder { robot: kill.robot, reason: kill.reason, request: None, at: None }).await?;
    let outcomes = until_said(context, &cloud, vec![outcome], |latch| latch == Latch::Kill).await?;
    tell(context, &outcomes)
}

/// The supervisor answers at once; here the robots are waited for, as long as an answer may take.
async fn until_said(
    context: &Context,
    cloud: &Cloud,
    mut outcomes: Vec<RobotOutcome>,
    is_done: impl Fn(Latch) -> bool,
) -> Result<Vec<RobotOutcome>, Failure> {
    let deadline = clock::now() + context.answer_within();
    while outcomes.iter().any(|outcome| !outcome.acknowledged) && clock::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let robots = cloud.robots().await?;
        for outcome in outcomes.iter_mut().filter(|outcome| !outcome.acknowledged) {
            let view = robots.iter().find(|robot| robot.agent == outcome.robot);
            if let Some(view) = view.filter(|view| view.connected && is_done(view.latch)) {
                outcome.acknowledged = true;
                outcome.latch = view.latch;
                outcome.text.clear();
            }
        }
    }
    Ok(outcomes)
}

fn whom(targets: &Targets) -> Result<Whom, Failure> {
    if targets.all {
        return Ok(Whom::All);
    }
    if targets.robots.is_empty() {
        return Err(Failure::usage("no robot was named").help("name robots, or say --all for every robot there is"));
    }
    Ok(Whom::Robots(targets.robots.clone()))
}

/// Done only when every robot itself said so.
fn tell(context: &Context, outcomes: &[RobotOutcome]) -> Result<Exit, Failure> {
    let value: Vec<_> = outcomes
        .iter()
        .map(|o| json!({"robot": o.robot, "acknowledged": o.acknowledged, "latch": o.latch, "text": o.text}))
        .collect();
    output::show(context.format(), &value, || {
        let mut table = Table::new(&["ROBOT", "ACKNOWLEDGED", "LATCH", "WHY"], 4);
        for outcome in outcomes {
            let said = if outcome.acknowledged { "yes" } else { "NO" };
            table.row([outcome.robot.to_string(), said.to_owned(), show::word(&outcome.latch), outcome.text.clone()]);
        }
        table
    })?;
    let silent = outcomes.iter().filter(|outcome| !outcome.acknowledged).count();
    if silent == 0 {
        return Ok(Exit::Ok);
    }
    talk(&format!(
        "{silent} of {} robots have not acknowledged; the order is sent to them as soon as they are heard",
        outcomes.len()
    ));
    Ok(Exit::Failed)
}
