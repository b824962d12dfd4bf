//! What every [`Body`] must do, as checks that any implementation runs: the simulated world's, the remote one, a
//! vendor's driver on its bench.
//!
//! A [`Rig`] is the body together with the time and the place it lives in. [`run`] builds a fresh one for each check
//! and drives it at 100 Hz. The rig must stand on a free, level floor with at least 4 m around it.
//!
//! ```
//! use skein_body::conformance::{self, PointRig};
//! use skein_types::body::BodyDescriptor;
//!
//! conformance::run(&mut || PointRig::new(BodyDescriptor::rover())).unwrap();
//! ```

mod checks;
mod point;

pub use point::{PointBody, PointRig};

use core::time::Duration;
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use thiserror::Error;

use crate::{Body, BodyError};

/// The period at which the checks drive a body.
pub const TICK: Duration = Duration::from_millis(10);

/// A body and what lies behind it: its time and its true place.
pub trait Rig {
    /// The body under test.
    fn body(&mut self) -> &mut dyn Body;

    /// The time of the rig's clock; passed to each call of the body.
    fn now(&self) -> MonoTime;

    /// Lets time pass, with everything that goes on in the meantime, and nothing said to the body.
    fn advance(&mut self, span: Duration);

    /// Where the body really is, `map_from_body`.
    fn truth(&self) -> Pose;
}

/// What a body did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{check}: {what}")]
pub struct Finding {
    /// Which check found it.
    pub check: &'static str,
    /// What it saw.
    pub what: String,
}

/// All that a body did wrong, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the body does not keep its contract:\n{}", list(.0))]
pub struct Findings(pub Vec<Finding>);

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|f| format!("  {f}\n")).collect()
}

/// Runs every check, each on a fresh rig. `Ok` has the number of checks that were run.
///
/// # Errors
/// [`Findings`] lists every check that failed and what it saw.
pub fn run<R: Rig>(make: &mut impl FnMut() -> R) -> Result<usize, Findings> {
    let mut findings = Vec::new();
    for (check, examine) in checks::ALL {
        let mut rig = make();
        if let Err(what) = examine(&mut Bench { rig: &mut rig, sequence: 0 }) {
            findings.push(Finding { check, what });
        }
    }
    if findings.is_empty() { Ok(checks::ALL.len()) } else { Err(Findings(findings)) }
}

/// A rig with the counter of its commands: the hands of a check.
struct Bench<'a> {
    rig: &'a mut dyn Rig,
    sequence: u64,
}

impl Bench<'_> {
    fn sense(&mut self) -> Result<SensorFrame, String> {
        let now = self.rig.now();
        self.rig.body().sense(now).map_err(|e| format!("sense failed: {e}"))
    }

    /// One command, as old as said.
    fn command(&mut self, mode: DriveMode, twist: Twist, age: Duration) -> Result<(), BodyError> {
        let now = self.rig.now();
        self.sequence += 1;
        let frame = ActuatorFrame { at: now - age, sequence: self.sequence, mode, twist };
        self.rig.body().actuate(now, &frame)
    }

    /// Senses and commands at 100 Hz for a while; every command must be taken.
    fn drive(&mut self, mode: DriveMode, twist: Twist, span: Duration) -> Result<(), String> {
        for _ in 0..ticks(span) {
            self.sense()?;
            self.command(mode, twist, Duration::ZERO).map_err(|e| format!("{mode:?} {twist:?} was refused: {e}"))?;
            self.rig.advance(TICK);
        }
        Ok(())
    }

    /// The same with commands as old as said, and whether they are refused or ignored does not matter.
    fn insist(&mut self, mode: DriveMode, twist: Twist, span: Duration, age: Duration) -> Result<(), String> {
        for _ in 0..ticks(span) {
            self.sense()?;
            let _refused_or_ignored = self.command(mode, twist, age);
            self.rig.advance(TICK);
        }
        Ok(())
    }

    /// Senses at 100 Hz and says nothing.
    fn keep_silent(&mut self, span: Duration) -> Result<(), String> {
        for _ in 0..ticks(span) {
            self.sense()?;
            self.rig.advance(TICK);
        }
        Ok(())
    }
}

fn ticks(span: Duration) -> u128 {
    span.as_nanos() / TICK.as_nanos()
}
