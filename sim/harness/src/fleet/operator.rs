//! What operators press in a run, and how it is written on a command line: `ACTION:TARGET@SECONDS/ACCESS,ACCESS`.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use thiserror::Error;

use super::fault::{robot_of, seconds};

/// An operator presses a button; a release looks at the registers first, over the first access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// What is asked.
    pub action: PressAction,
    /// Number of the robot, from 0; `None` is the fleet.
    pub target: Option<usize>,
    /// From the start of the run.
    pub at: Duration,
    /// Where the request goes, all at once.
    pub accesses: Vec<Access>,
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PressAction {
    /// Stand until released.
    Stop,
    /// Cut the power until released.
    Kill,
    /// End what the operator sees latched.
    Release,
}

/// A process that takes an operator's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// The supervisor's API.
    Supervisor,
    /// The debug API of the robot of this number; a request for another robot goes on over the mesh.
    Debug(usize),
}

/// Why a press on a command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not ACTION:TARGET@SECONDS or ACTION:TARGET@SECONDS/ACCESS,ACCESS, such as stop:all@30 or release:rover-2@60/rover-2,supervisor"
)]
pub struct PressError(String);

impl PressAction {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Release => "release",
        }
    }
}

impl FromStr for Press {
    type Err = PressError;

    fn from_str(text: &str) -> Result<Self, PressError> {
        let wrong = || PressError(text.to_owned());
        let (action, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (target, when) = rest.split_once('@').ok_or_else(wrong)?;
        let (at, accesses) = when.split_once('/').unwrap_or((when, "supervisor"));
        let actions = [PressAction::Stop, PressAction::Kill, PressAction::Release];
        let action = actions.into_iter().find(|known| known.name() == action).ok_or_else(wrong)?;
        let accesses = accesses.split(',').map(access_of).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        let target = robot_of(target).ok_or_else(wrong)?;
        Ok(Self { action, target, at: seconds(at).ok_or_else(wrong)?, accesses })
    }
}

fn access_of(text: &str) -> Option<Access> {
    if text == "supervisor" {
        return Some(Access::Supervisor);
    }
    robot_of(text).flatten().map(Access::Debug)
}

/// As it is written on a command line.
impl fmt::Display for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.action.name())?;
        match self.target {
            Some(robot) => write!(f, "rover-{}", robot + 1)?,
            None => f.write_str("all")?,
        }
        write!(f, "@{}/", self.at.as_secs_f64())?;
        for (number, access) in self.accesses.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            match access {
                Access::Supervisor => f.write_str("supervisor")?,
                Access::Debug(robot) => write!(f, "rover-{}", robot + 1)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_are_read_as_people_write_them_and_read_back() {
        let at = Duration::from_secs(30);
        let press = |action, target, accesses| Press { action, target, at, accesses };
        let stop = press(PressAction::Stop, None, vec![Access::Supervisor]);
        assert_eq!("stop:all@30".parse(), Ok(stop.clone()));
        let kill = press(PressAction::Kill, Some(1), vec![Access::Debug(0), Access::Supervisor]);
        assert_eq!("kill:rover-2@30/rover-1,supervisor".parse(), Ok(kill.clone()));
        let release = press(PressAction::Release, Some(2), vec![Access::Debug(2)]);
        for press in [stop, kill, release] {
            assert_eq!(press.to_string().parse(), Ok(press));
        }
        for wrong in ["", "stop", "stop:all", "halt:all@1", "stop:fox@1", "stop:1@x", "stop:1@1/", "stop:1@1/all"] {
            assert!(wrong.parse::<Press>().is_err(), "{wrong}");
        }
    }
}
