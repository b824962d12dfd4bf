//! What goes wrong in a run, and how a fault is written on a command line: `KIND:ROBOT@SECONDS+DURATION`.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use thiserror::Error;

/// A fault, and when it strikes which robot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Number of the robot, from 0; `None` is all of them, or the supervisor.
    pub robot: Option<usize>,
    /// From the start of the run.
    pub at: Duration,
    /// `None` lasts to the end of the run.
    pub lasts: Option<Duration>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The robot's process is killed; it is started again when the fault ends.
    Kill,
    /// The robot's machine loses its power, and with it the process; it starts again when the fault ends.
    PowerCut,
    /// The robot's process is stopped as by SIGSTOP: nothing in it runs.
    Hang,
    /// The agent's thread hangs: the reflex ticks on.
    HangAgent,
    /// The robot's motors lose their power.
    PowerLoss,
    /// The robot's links of a kind are cut.
    Cut(LinkKind),
    /// The robot's links of a kind are impaired.
    Impair(LinkKind, Impairment),
    /// The mesh falls into two parts: robots up to the named one (or the first half), and the others.
    SplitMesh,
    /// An unknown process on the mesh lies in the robot's name and in invented ones.
    Liar,
    /// The robot's disk is full: nothing is kept.
    DiskFull,
    /// The robot's disk takes up to 2 s to keep something.
    SlowDisk,
    /// The supervisor is killed; it is started again from its store when the fault ends.
    KillCloud,
    /// The supervisor's process is stopped as by SIGSTOP.
    HangCloud,
    /// The supervisor's disk is full.
    CloudDiskFull,
}

/// Kinds of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// A robot's stream to the supervisor.
    Cloud,
    /// Robot to robot.
    Mesh,
    /// An operator's requests to a robot's debug API.
    Debug,
}

/// What can be wrong with a link that still delivers something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impairment {
    /// Up to 500 ms late.
    Delay,
    /// One message in five is lost.
    Loss,
    /// One message in four arrives twice.
    Duplicate,
    /// Three messages in ten are overtaken.
    Reorder,
}

impl LinkKind {
    /// Every kind of link.
    pub const ALL: &'static [Self] = &[Self::Cloud, Self::Mesh, Self::Debug];

    const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Mesh => "mesh",
            Self::Debug => "debug",
        }
    }
}

impl Impairment {
    /// Every kind of impairment.
    pub const ALL: &'static [Self] = &[Self::Delay, Self::Loss, Self::Duplicate, Self::Reorder];

    const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Loss => "loss",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
        }
    }
}

impl FaultKind {
    /// Every kind of fault, with its parameters.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Kill,
            Self::PowerCut,
            Self::Hang,
            Self::HangAgent,
            Self::PowerLoss,
            Self::SplitMesh,
            Self::Liar,
            Self::DiskFull,
            Self::SlowDisk,
            Self::KillCloud,
            Self::HangCloud,
            Self::CloudDiskFull,
        ];
        all.extend(LinkKind::ALL.iter().map(|link| Self::Cut(*link)));
        for link in LinkKind::ALL {
            all.extend(Impairment::ALL.iter().map(|how| Self::Impair(*link, *how)));
        }
        all
    }

    /// Strikes the supervisor; naming a robot with it means nothing.
    #[must_use]
    pub const fn is_of_supervisor(self) -> bool {
        matches!(self, Self::KillCloud | Self::HangCloud | Self::CloudDiskFull)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("kill"),
            Self::PowerCut => f.write_str("power-cut"),
            Self::Hang => f.write_str("hang"),
            Self::HangAgent => f.write_str("hang-agent"),
            Self::PowerLoss => f.write_str("power-loss"),
            Self::Cut(link) => write!(f, "cut-{}", link.name()),
            Self::Impair(link, how) => write!(f, "{}-{}", link.name(), how.name()),
            Self::SplitMesh => f.write_str("split-mesh"),
            Self::Liar => f.write_str("liar"),
            Self::DiskFull => f.write_str("disk-full"),
            Self::SlowDisk => f.write_str("slow-disk"),
            Self::KillCloud => f.write_str("kill-cloud"),
            Self::HangCloud => f.write_str("hang-cloud"),
            Self::CloudDiskFull => f.write_str("cloud-disk-full"),
        }
    }
}

/// Why a fault on a command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultSpecError {
    /// Not of the form.
    #[error(
        "{0:?} is not KIND:ROBOT@SECONDS or KIND:ROBOT@SECONDS+DURATION, such as kill:rover-2@60 or cut-mesh:all@60+30"
    )]
    Shape(String),
    /// A kind that does not exist.
    #[error("unknown fault {given:?}; known: {known}")]
    Kind {
        /// As the caller wrote it.
        given: String,
        /// All that exist.
        known: String,
    },
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let wrong = || FaultSpecError::Shape(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (robot, when) = rest.split_once('@').ok_or_else(wrong)?;
        let (at, lasts) = match when.split_once('+') {
            Some((at, lasts)) => (at, Some(lasts)),
            None => (when, None),
        };
        let lasts = lasts.map(|text| seconds(text).ok_or_else(wrong)).transpose()?;
        Ok(Self {
            kind: kind_of(kind)?,
            robot: robot_of(robot).ok_or_else(wrong)?,
            at: seconds(at).ok_or_else(wrong)?,
            lasts,
        })
    }
}

fn kind_of(name: &str) -> Result<FaultKind, FaultSpecError> {
    let all = FaultKind::all();
    all.iter().find(|kind| kind.to_string() == name).copied().ok_or_else(|| {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        FaultSpecError::Kind { given: name.to_owned(), known: known.join(", ") }
    })
}

/// A robot as people write it: `rover-2`, `2` (from 1), `all` or nothing for all; `None` when it is none of these.
pub(crate) fn robot_of(text: &str) -> Option<Option<usize>> {
    if matches!(text, "all" | "") {
        return Some(None);
    }
    let number = text.strip_prefix("rover-").unwrap_or(text).parse::<usize>().ok()?;
    number.checked_sub(1).map(Some)
}

/// A time or duration in seconds.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok())
}

/// As it is written on a command line.
impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind)?;
        match self.robot {
            _ if self.kind.is_of_supervisor() => {}
            Some(robot) => write!(f, "rover-{}", robot + 1)?,
            None => f.write_str("all")?,
        }
        write!(f, "@{}", self.at.as_secs_f64())?;
        self.lasts.map_or(Ok(()), |lasts| write!(f, "+{}", lasts.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_people_write_them() {
        let s = Duration::from_secs;
        let spec = |kind, robot, at, lasts| Ok(FaultSpec { kind, robot, at, lasts });
        assert_eq!("kill:rover-2@60".parse(), spec(FaultKind::Kill, Some(1), s(60), None));
        let cut = FaultKind::Cut(LinkKind::Mesh);
        assert_eq!("cut-mesh:3@1.5+30".parse(), spec(cut, Some(2), Duration::from_millis(1_500), Some(s(30))));
        let loss = FaultKind::Impair(LinkKind::Debug, Impairment::Loss);
        assert_eq!("debug-loss:all@60+5".parse(), spec(loss, None, s(60), Some(s(5))));
        assert_eq!("kill-cloud:@60".parse(), spec(FaultKind::KillCloud, None, s(60), None));
        for wrong in ["", "kill", "rover-2@60", "kill:rover-0@1", "kill:fox@1", "kill:1@x", "kill:1@-3", "kill:1@1+x"] {
            assert!(matches!(wrong.parse::<FaultSpec>(), Err(FaultSpecError::Shape(_))), "{wrong}");
        }
        let unknown = "explode:1@1".parse::<FaultSpec>().unwrap_err().to_string();
        assert!(unknown.contains("unknown fault \"explode\"") && unknown.contains("hang-agent"), "{unknown}");
    }

    #[test]
    fn every_fault_is_read_back_as_it_is_written() {
        for kind in FaultKind::all() {
            for robot in [None, Some(4)] {
                let robot = robot.filter(|_| !kind.is_of_supervisor());
                let spec =
                    FaultSpec { kind, robot, at: Duration::from_millis(1_250), lasts: Some(Duration::from_secs(3)) };
                assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
