//! What a run of a fleet is made of, and what goes wrong in it.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use skein_types::body::BodyDescriptor;
use skein_types::polygon::Polygon;
use skein_world::Noise;
use thiserror::Error;

use crate::place::Place;

/// A fleet, its place and its work.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// Where.
    pub place: Place,
    /// What is to be surveyed, in the map's frame.
    pub zone: Polygon,
    /// How many robots.
    pub robots: usize,
    /// What they are.
    pub body: BodyDescriptor,
    /// Everything left to chance follows from it.
    pub seed: u64,
    /// The run ends at the latest after this.
    pub limit: Duration,
    /// How many people walk about.
    pub people: usize,
    /// How imperfect sensors and motors are.
    pub noise: Noise,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Robots go home when the work is done.
    pub return_home: bool,
}

impl FleetConfig {
    /// Rovers with usual noise and half an hour of time; nothing goes wrong.
    #[must_use]
    pub fn new(place: Place, zone: Polygon, robots: usize, seed: u64) -> Self {
        Self {
            place,
            zone,
            robots,
            body: BodyDescriptor::rover(),
            seed,
            limit: Duration::from_secs(30 * 60),
            people: 0,
            noise: Noise::usual(),
            faults: Vec::new(),
            return_home: false,
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Which robot, from 0; `None` is all of them (or the supervisor).
    pub robot: Option<usize>,
    /// When, from the start of the run.
    pub at: Duration,
    /// For how long; `None` is for good.
    pub lasts: Option<Duration>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The robot's process dies; with an end, it starts again then.
    Kill,
    /// The link to the supervisor is cut.
    CutCloud,
    /// The link to the peers is cut.
    CutMesh,
    /// The robot's motors lose their power.
    PowerLoss,
    /// The supervisor dies; with an end, it starts again then from what it kept.
    KillCloud,
}

impl Fault {
    /// As `skein-sim run` takes it, such as `--kill rover-2@60+20`.
    #[must_use]
    pub fn flag(&self) -> String {
        let name = match self.kind {
            FaultKind::Kill => "kill",
            FaultKind::CutCloud => "cut-cloud",
            FaultKind::CutMesh => "cut-mesh",
            FaultKind::PowerLoss => "power-loss",
            FaultKind::KillCloud => "kill-cloud",
        };
        let who = match (self.robot, self.kind) {
            (_, FaultKind::KillCloud) => String::new(),
            (Some(robot), _) => format!("rover-{}", robot + 1),
            (None, _) => "all".to_owned(),
        };
        let lasts = self.lasts.map_or(String::new(), |lasts| format!("+{}", lasts.as_secs_f64()));
        format!("--{name} {who}@{}{lasts}", self.at.as_secs_f64())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.robot.map_or("all robots".to_owned(), |robot| format!("rover-{}", robot + 1));
        match self.kind {
            FaultKind::Kill => write!(f, "{who} dies")?,
            FaultKind::CutCloud => write!(f, "{who} cut off from the supervisor")?,
            FaultKind::CutMesh => write!(f, "{who} cut off from the peers")?,
            FaultKind::PowerLoss => write!(f, "{who} without power")?,
            FaultKind::KillCloud => write!(f, "the supervisor dies")?,
        }
        write!(f, " at {} s", self.at.as_secs_f64())?;
        self.lasts.map_or(Ok(()), |lasts| write!(f, " for {} s", lasts.as_secs_f64()))
    }
}

/// When and whom a fault strikes: `ROBOT@SECONDS` or `ROBOT@SECONDS+DURATION`, where ROBOT is a name, a number from 1 or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Which robot, from 0; `None` is all.
    pub robot: Option<usize>,
    /// When.
    pub at: Duration,
    /// For how long.
    pub lasts: Option<Duration>,
}

/// Why a fault was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not ROBOT@SECONDS or ROBOT@SECONDS+DURATION, such as rover-2@60 or all@60+30")]
pub struct StrikeError(String);

impl FromStr for Strike {
    type Err = StrikeError;

    fn from_str(text: &str) -> Result<Self, StrikeError> {
        let wrong = || StrikeError(text.to_owned());
        let (who, when) = text.split_once('@').ok_or_else(wrong)?;
        let (at, lasts) = match when.split_once('+') {
            Some((at, lasts)) => (at, Some(lasts)),
            None => (when, None),
        };
        let seconds = |text: &str| text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let number = who.strip_prefix("rover-").unwrap_or(who).parse::<usize>().ok().filter(|n| *n > 0);
        let robot = match (who, number) {
            ("all" | "", _) => None,
            (_, Some(number)) => Some(number - 1),
            (_, None) => return Err(wrong()),
        };
        let lasts = lasts.map(|text| seconds(text).ok_or_else(wrong)).transpose()?;
        Ok(Self { robot, at: seconds(at).ok_or_else(wrong)?, lasts })
    }
}

impl Strike {
    /// As a fault of a kind.
    #[must_use]
    pub const fn with(self, kind: FaultKind) -> Fault {
        Fault { kind, robot: self.robot, at: self.at, lasts: self.lasts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_are_read_as_people_write_them() {
        let s = Duration::from_secs;
        let strike = |robot, at, lasts| Ok(Strike { robot, at, lasts });
        assert_eq!("rover-2@60".parse(), strike(Some(1), s(60), None));
        assert_eq!("3@1.5+30".parse(), strike(Some(2), Duration::from_millis(1_500), Some(s(30))));
        assert_eq!("all@60+5".parse(), strike(None, s(60), Some(s(5))));
        assert_eq!("@60".parse(), strike(None, s(60), None));
        for wrong in ["", "rover-2", "rover-0@1", "fox@1", "rover-1@x", "rover-1@-3", "rover-1@1+x", "1@1e300"] {
            assert!(wrong.parse::<Strike>().is_err(), "{wrong}");
        }
    }
}
