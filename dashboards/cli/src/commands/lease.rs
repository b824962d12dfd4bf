//! `skein lease`: control of robots by one operator at a time.

use core::time::Duration;

use serde_json::{Value, json};
use skein_types::ids::AgentId;
use skein_types::time::WallTime;
use skein_wire::request::{HeldLease, Lease};
use uuid::Uuid;

use super::show;
use crate::args::Lease as Verb;
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, talk};

pub(super) async fn lease(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Take { robots, all, time_to_live } => take(context, robots, all, time_to_live.0).await?,
        Verb::Renew { time_to_live } => {
            let id = own(context)?;
            let lease = context.cloud_to_change().await?.renew_lease(id, time_to_live.0).await?;
            print(context, &lease)?;
        }
        Verb::Release => {
            let id = own(context)?;
            context.cloud_to_change().await?.release_lease(id).await?;
            talk("the lease is given back");
        }
        Verb::Ls => list(context).await?,
    }
    Ok(Exit::Ok)
}

async fn take(context: &Context, robots: Vec<AgentId>, all: bool, time_to_live: Duration) -> Result<(), Failure> {
    if robots.is_empty() && !all {
        return Err(Failure::usage("no robot is named").help("name robots, or use --all for every robot of the fleet"));
    }
    let operator = context.operator()?;
    let cloud = context.cloud_to_change().await?;
    let lease = cloud.take_lease(operator, robots, time_to_live).await?;
    if matches!(context.format(), Format::Table | Format::Wide) {
        talk(&format!("use it with: export SKEIN_LEASE={}", lease.id));
    }
    print(context, &lease)
}

fn own(context: &Context) -> Result<Uuid, Failure> {
    context.caller()?.lease.ok_or_else(|| {
        Failure::usage("no lease is named")
            .help("give its id with --lease or SKEIN_LEASE; `skein lease take` printed it")
    })
}

fn print(context: &Context, lease: &Lease) -> Result<(), Failure> {
    let value = json!({
        "lease": lease.id,
        "operator": lease.operator,
        "robots": lease.robots,
        "expires_in_s": remaining(lease.expires_at),
    });
    output::show(context.format(), &value, || {
        let mut table = Table::new(&["LEASE", "OPERATOR", "ROBOTS", "ENDS IN"], 4);
        let ends = show::span(remaining(lease.expires_at));
        table.row([lease.id.to_string(), lease.operator.to_string(), names(&lease.robots), ends]);
        table
    })
}

async fn list(context: &Context) -> Result<(), Failure> {
    let leases = context.cloud().await?.leases().await?;
    if leases.is_empty() {
        talk("no lease is in force");
    }
    let value = |lease: &HeldLease| json!({"operator": lease.operator, "robots": lease.robots, "expires_in_s": remaining(lease.expires_at)});
    let values: Vec<Value> = leases.iter().map(value).collect();
    output::show(context.format(), &values, || {
        let mut table = Table::new(&["OPERATOR", "ROBOTS", "ENDS IN"], 3);
        for lease in &leases {
            table.row([lease.operator.to_string(), names(&lease.robots), show::span(remaining(lease.expires_at))]);
        }
        table
    })
}

fn remaining(expires_at: WallTime) -> f64 {
    (-clock::seconds_since_unix(expires_at.unix_nanos())).max(0.0)
}

/// A lease that names no robot is over all of them.
fn names(robots: &[AgentId]) -> String {
    match robots {
        [] => "all".to_owned(),
        robots => robots.iter().map(AgentId::as_str).collect::<Vec<_>>().join(" "),
    }
}
