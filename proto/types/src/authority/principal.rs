//! Principals: operators, robots and services that give commands.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::{AgentId, NameError, OperatorId};

/// Who gave a command. As text: `operator:NAME`, `robot:NAME` or `service:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Principal {
    /// A person.
    Operator(OperatorId),
    /// A robot, about itself (lost power, tip-over, emergency-stop button).
    Robot(AgentId),
    /// A program without a person behind it.
    Service(OperatorId),
}

/// Why a text names no principal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrincipalError {
    /// There is no `kind:` in front.
    #[error("has no kind; write operator:NAME, robot:NAME or service:NAME")]
    NoKind,
    /// The kind is none of the three.
    #[error("has the unknown kind {0:?}; kinds are operator, robot and service")]
    UnknownKind(String),
    /// The name is refused.
    #[error("has a name that {0}")]
    Name(#[from] NameError),
}

impl Principal {
    /// The name without the kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Operator(name) | Self::Service(name) => name.as_str(),
            Self::Robot(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Robot(name) => write!(f, "robot:{name}"),
            Self::Service(name) => write!(f, "service:{name}"),
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let (kind, name) = text.split_once(':').ok_or(PrincipalError::NoKind)?;
        match kind {
            "operator" => Ok(Self::Operator(OperatorId::new(name)?)),
            "robot" => Ok(Self::Robot(AgentId::new(name)?)),
            "service" => Ok(Self::Service(OperatorId::new(name)?)),
            unknown => Err(PrincipalError::UnknownKind(unknown.to_string())),
        }
    }
}

impl TryFrom<String> for Principal {
    type Error = PrincipalError;
    fn try_from(text: String) -> Result<Self, PrincipalError> {
        text.parse()
    }
}

impl From<Principal> for String {
    fn from(principal: Principal) -> Self {
        principal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_reads_back_and_nonsense_is_named() {
        for text in ["operator:ada", "robot:rover-1", "service:skein-cloud"] {
            assert_eq!(text.parse::<Principal>().unwrap().to_string(), text);
        }
        assert_eq!("ada".parse::<Principal>(), Err(PrincipalError::NoKind));
        assert!(matches!("king:ada".parse::<Principal>(), Err(PrincipalError::UnknownKind(_))));
        assert!(matches!("robot:Rover".parse::<Principal>(), Err(PrincipalError::Name(_))));
    }
}
