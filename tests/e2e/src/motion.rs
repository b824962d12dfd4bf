//! Whether a robot moves, by its own account.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::http;
use crate::process::wait_for;

/// A robot that moved less than this between two looks stands, metres.
const STANDS: f64 = 0.01;

/// Where a robot believes it is, metres.
///
/// # Errors
/// When its debug API does not answer, or the robot has no pose yet.
pub fn place(debug: &str) -> Result<(f64, f64)> {
    let status = http::get(debug, "/status")?.json()?;
    let axis = |name: &str| status["pose"]["position"][name].as_f64().with_context(|| format!("{name} in {status}"));
    Ok((axis("x")?, axis("y")?))
}

/// How fast its body says that a robot moves, m/s: true even while its agent hangs.
///
/// # Errors
/// When its debug API does not answer, or there is no body.
pub fn speed(debug: &str) -> Result<f64> {
    let status = http::get(debug, "/status")?.json()?;
    status["speed"].as_f64().with_context(|| format!("speed in {status}"))
}

/// Waits until a robot has stood still from one look to the next.
///
/// # Errors
/// When it still moves after `patience`.
pub fn wait_standing(debug: &str, patience: Duration) -> Result<()> {
    let mut before = place(debug)?;
    wait_for(patience, &format!("the robot at {debug} to stand"), || {
        let now = place(debug)?;
        let moved = (now.0 - before.0).hypot(now.1 - before.1);
        before = now;
        Ok((moved < STANDS).then_some(()))
    })
}

/// Waits until a robot has moved on by 0.3 m.
///
/// # Errors
/// When it has not within `patience`.
pub fn wait_moving(debug: &str, patience: Duration) -> Result<()> {
    let start = place(debug)?;
    wait_for(patience, &format!("the robot at {debug} to move"), || {
        let now = place(debug)?;
        Ok(((now.0 - start.0).hypot(now.1 - start.1) > 0.3).then_some(()))
    })
}
