//! `stop`, `kill`, `resume`: a person's hand on robots. Each robot says itself that it is done.

use serde_json::json;
use skein_wire::request::{KillOrder, ResumeOrder, RobotOutcome, StopOrder, Targets as Whom};

use super::{Context, show};
use crate::args::{Kill, Targets};
use crate::failure::{Exit, Failure};
use crate::output::{self, Table, talk};

pub(super) async fn stop(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let order = StopOrder { targets: whom(&targets), reason: targets.reason };
    let outcomes = context.cloud().await?.stop(order).await?;
    tell(context, &outcomes)
}

pub(super) async fn resume(context: &Context, targets: Targets) -> Result<Exit, Failure> {
    let order = ResumeOrder { targets: whom(&targets), reason: targets.reason };
    let outcomes = context.cloud().await?.resume(order).await?;
    tell(context, &outcomes)
}

pub(super) async fn kill(context: &Context, kill: Kill) -> Result<Exit, Failure> {
    if kill.confirm != kill.robot {
        return Err(Failure::usage(format!("--confirm says {}, the robot is {}", kill.confirm, kill.robot))
            .help("repeat the robot's name: KILL cuts its power, and a flying robot falls"));
    }
    let outcome = context.cloud().await?.kill(KillOrder { robot: kill.robot, reason: kill.reason }).await?;
    tell(context, &[outcome])
}

fn whom(targets: &Targets) -> Whom {
    if targets.all { Whom::All } else { Whom::Robots(targets.robots.clone()) }
}

/// Done only when every robot itself said so.
fn tell(context: &Context, outcomes: &[RobotOutcome]) -> Result<Exit, Failure> {
    let value: Vec<_> = outcomes
        .iter()
        .map(|o| json!({"robot": o.robot, "acknowledged": o.acknowledged, "latch": o.latch, "text": o.text}))
        .collect();
    output::show(context.common.output, &value, || {
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
