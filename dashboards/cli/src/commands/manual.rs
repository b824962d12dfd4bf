//! `skein override`: driving a robot by hand through its debug API.

use core::time::Duration;

use serde_json::{Value, json};
use skein_types::ids::OperatorId;

use super::latch::{DebugEndpoint, of_record};
use super::robot::{escaped, refused};
use crate::args::Override;
use crate::client::Cloud;
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::http::{Answer, Credentials, Http};
use crate::output::{self, Table, talk};

/// Time to live of one command; the robot takes at most a second.
const COMMAND_TTL: Duration = Duration::from_millis(500);
/// Period of the commands while the robot is driven: one may be lost.
const COMMAND_PERIOD: Duration = Duration::from_millis(200);

/// The robot's debug API and what is sent with each request.
struct Session {
    http: Http,
    endpoint: DebugEndpoint,
    credentials: Credentials,
    operator: OperatorId,
    within: Duration,
}

pub(super) async fn manual(context: &Context, args: Override) -> Result<Exit, Failure> {
    let session = Session::open(context, &args).await?;
    if args.give_back { session.give_back(context, &args).await } else { session.drive(context, &args).await }
}

impl Session {
    async fn open(context: &Context, args: &Override) -> Result<Self, Failure> {
        let operator = context.operator()?;
        let target = context.target()?;
        context.announce(&target);
        let mut endpoints = of_record(target.record.as_ref());
        let endpoint = match endpoints.remove(&args.robot) {
            Some(endpoint) => endpoint,
            None => {
                let view = Cloud::connect(&target.cloud, context.answer_within()).await?.robot(&args.robot).await?;
                DebugEndpoint { address: view.debug_address, token_file: None }
            }
        };
        if endpoint.address.is_empty() {
            return Err(Failure::new(Exit::NotFound, format!("{} has no debug API", args.robot))
                .help("start the robot with --debug ADDRESS"));
        }
        let credentials = Credentials { token: endpoint.token(), lease: context.caller()?.lease };
        Ok(Self { http: Http::new(), endpoint, credentials, operator, within: context.answer_within() })
    }

    async fn drive(&self, context: &Context, args: &Override) -> Result<Exit, Failure> {
        let start = clock::now();
        let mut answer = Value::Null;
        loop {
            let left = args.duration.0.saturating_sub(clock::now() - start);
            let ttl = left.min(COMMAND_TTL).max(Duration::from_millis(1));
            let body = json!({
                "operator": self.operator,
                "reason": args.reason,
                "ttl_ms": u64::try_from(ttl.as_millis()).unwrap_or(1),
                "twist": {"vx": args.forward, "vy": args.left, "yaw_rate": args.turn},
            });
            if !left.is_zero() {
                let posted =
                    self.http.post(&self.endpoint.address, "/api/v1/override", &self.credentials, &body, self.within);
                answer = self.check(args, posted.await)?.body;
            }
            if left <= COMMAND_TTL {
                tokio::time::sleep(left).await;
                break;
            }
            tokio::time::sleep(COMMAND_PERIOD).await;
        }
        talk(&format!("{} holds in MANUAL; `skein override {} --give-back` ends that", args.robot, args.robot));
        self.print(context, args, "MANUAL", &answer)
    }

    async fn give_back(&self, context: &Context, args: &Override) -> Result<Exit, Failure> {
        let path = format!("/api/v1/override?lease={}", escaped(self.operator.as_str()));
        let deleted = self.http.delete(&self.endpoint.address, &path, &self.credentials, self.within).await;
        let answer = self.check(args, deleted)?.body;
        self.print(context, args, "given back", &answer)
    }

    fn check(&self, args: &Override, answer: Result<Answer, crate::http::HttpError>) -> Result<Answer, Failure> {
        let answer = answer.map_err(|error| {
            let address = &self.endpoint.address;
            Failure::new(Exit::Unreachable, format!("{} does not answer at {address}: {error}", args.robot))
                .help("its debug API listens on its own machine; run this command there")
        })?;
        if answer.is_success() { Ok(answer) } else { Err(refused(&args.robot, answer.status, &answer.body)) }
    }

    fn print(&self, context: &Context, args: &Override, state: &str, answer: &Value) -> Result<Exit, Failure> {
        let value = json!({"robot": args.robot, "operator": self.operator, "state": state, "answer": answer});
        output::show(context.format(), &value, || {
            let mut table = Table::new(&["ROBOT", "OPERATOR", "STATE"], 3);
            table.row([args.robot.to_string(), self.operator.to_string(), state.to_owned()]);
            table
        })?;
        Ok(Exit::Ok)
    }
}
