//! `skein robot`: robots, and their logs.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use skein_types::ids::AgentId;

use super::{show, why};
use crate::args::Robot;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, talk};

pub(super) async fn robot(context: &Context, verb: Robot) -> Result<Exit, Failure> {
    match verb {
        Robot::Ls => {
            let robots = context.cloud().await?.robots().await?;
            if robots.is_empty() {
                talk("no robots; `skein up` starts simulated ones");
            }
            output::show(context.format(), &robots, || show::robots(&robots))?;
        }
        Robot::Get { robot } => {
            let robot = context.cloud().await?.robot(&robot).await?;
            output::show(context.format(), &robot, || show::robots(std::slice::from_ref(&robot)))?;
        }
        Robot::Why { robot } => why::why(context, &robot).await?,
        Robot::Logs { robot, follow, level, since } => logs(context, &robot, follow, level, since).await?,
    }
    Ok(Exit::Ok)
}

/// The robot keeps its log: the request goes to its own debug API.
async fn logs(
    context: &Context,
    robot: &AgentId,
    follow: bool,
    level: Option<String>,
    since: Option<String>,
) -> Result<(), Failure> {
    let view = context.cloud().await?.robot(robot).await?;
    if view.debug_address.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{robot} has no debug API"))
            .help("start it with --debug ADDRESS; a robot that `up` started also writes .skein/logs"));
    }
    let mut query = vec![format!("follow={follow}")];
    query.extend(level.map(|level| format!("level={}", escaped(&level))));
    query.extend(since.map(|since| format!("since={}", escaped(&since))));
    let url = format!("http://{}/api/v1/logs?{}", view.debug_address, query.join("&"));
    let wrong = |error: &dyn core::fmt::Display| {
        Failure::new(Exit::Unreachable, format!("{robot} does not answer at {}: {error}", view.debug_address))
            .help("its debug API listens on its own machine; run this command there")
    };
    let uri = url.parse().map_err(|_| Failure::failed(format!("{robot} reports an invalid debug address: {url}")))?;
    let client: Client<HttpConnector, String> = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(context.answer_within(), client.get(uri)).await;
    let answer = answer.map_err(|_| wrong(&"no answer in time"))?.map_err(|error| wrong(&error))?;
    let status = answer.status();
    let mut body = answer.into_body();
    if !status.is_success() {
        let text = body.collect().await.map_err(|error| wrong(&error))?.to_bytes();
        return Err(refused(robot, status.as_u16(), &serde_json::from_slice(&text).unwrap_or_default()));
    }
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(|error| wrong(&error))?.into_data() {
            output::data(&String::from_utf8_lossy(&bytes))?;
        }
    }
    Ok(())
}

/// A robot's refusal is a problem document with a hint.
pub(super) fn refused(robot: &AgentId, status: u16, problem: &serde_json::Value) -> Failure {
    let part = |name: &str| problem.get(name).and_then(serde_json::Value::as_str);
    let detail = part("detail").unwrap_or("no reason given");
    let failure = Failure::new(Exit::Refused, format!("{robot} answers {status}: {detail}"));
    match part("hint") {
        Some(hint) => failure.help(hint),
        None => failure,
    }
}

/// Percent-encodes what may not stand in a query.
pub(super) fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_cannot_be_broken_out_of() {
        assert_eq!(escaped("30s"), "30s");
        assert_eq!(escaped("a&b=c d/ä"), "a%26b%3Dc%20d%2F%C3%A4");
    }

    #[test]
    fn a_robots_refusal_keeps_its_hint() {
        let robot = AgentId::new("rover-1").unwrap();
        let failure =
            refused(&robot, 400, &serde_json::json!({"detail": "level=loud is none", "hint": "such as warn"}));
        assert_eq!(failure.to_string(), "rover-1 answers 400: level=loud is none");
        assert_eq!(miette::Diagnostic::help(&failure).unwrap().to_string(), "such as warn");
    }
}
