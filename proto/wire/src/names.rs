//! Keys of the swarm's messages: `skein/{fleet}/swarm/…`. Every key in the system is made and taken apart here.

use core::fmt;

use skein_types::coord::HazardKind;
use skein_types::ids::{AgentId, FleetId, MissionId, NameError};
use thiserror::Error;

/// First part of every key.
const ROOT: &str = "skein";
/// Third part: what robots say to each other.
const SWARM: &str = "swarm";

/// One fleet's keys. Robots of different fleets share none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmKeys {
    fleet: FleetId,
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmKey {
    /// `presence/{agent}`: the robot is there (a liveliness token) and says its intents.
    Presence(AgentId),
    /// `hazards/{kind}/{agent}`: a danger that the robot saw.
    Hazard(HazardKind, AgentId),
    /// `negotiation/{agent}`: what robots settle between two of them.
    Negotiation(AgentId),
    /// `claims/{mission}/{cell}`: who works on a cell.
    Claim(MissionId, u32),
    /// What a robot passes on about latches.
    Latch(AgentId),
    /// `map/{agent}`: entries of the shared hazard map that the robot knows.
    MapHazard(AgentId),
}

/// Why a key was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Another fleet's or no key of the swarm at all.
    #[error("the key {0:?} is none of this fleet's swarm")]
    Foreign(String),
    /// Of this fleet's swarm, of a kind this build does not know.
    #[error("the key {0:?} is of an unknown kind")]
    Kind(String),
    /// A name in it is no name.
    #[error("the name in the key {key:?} {error}")]
    Name {
        /// The whole key.
        key: String,
        /// What is wrong with the name.
        error: NameError,
    },
}

/// The name of a kind of hazard in a key.
#[must_use]
pub const fn hazard_kind_name(kind: HazardKind) -> &'static str {
    match kind {
        HazardKind::Cliff => "cliff",
        HazardKind::Person => "person",
        HazardKind::Obstacle => "obstacle",
        HazardKind::Breakdown => "breakdown",
    }
}

fn hazard_kind(name: &str) -> Option<HazardKind> {
    [HazardKind::Cliff, HazardKind::Person, HazardKind::Obstacle, HazardKind::Breakdown]
        .into_iter()
        .find(|kind| hazard_kind_name(*kind) == name)
}

impl SwarmKeys {
    /// The keys of a fleet.
    #[must_use]
    pub const fn new(fleet: FleetId) -> Self {
        Self { fleet }
    }

    /// The key for something.
    #[must_use]
    pub fn key(&self, key: &SwarmKey) -> String {
        match key {
            SwarmKey::Presence(agent) => self.join(format_args!("presence/{agent}")),
            SwarmKey::Hazard(kind, agent) => self.join(format_args!("hazards/{}/{agent}", hazard_kind_name(*kind))),
            SwarmKey::Negotiation(agent) => self.join(format_args!("negotiation/{agent}")),
            SwarmKey::Latch(agent) => self.join(format_args!("latch/{agent}")),
            SwarmKey::MapHazard(agent) => self.join(format_args!("map/{agent}")),
            SwarmKey::Claim(mission, cell) => self.join(format_args!("claims/{mission}/{cell}")),
        }
    }

    /// Matches the presence of every robot.
    #[must_use]
    pub fn every_presence(&self) -> String {
        self.join(format_args!("presence/*"))
    }

    /// The key expression of every robot's latches.
    #[must_use]
    pub fn every_latch(&self) -> String {
        self.join(format_args!("latch/*"))
    }

    /// Matches the hazard map entries of every robot.
    #[must_use]
    pub fn every_map_hazard(&self) -> String {
        self.join(format_args!("map/*"))
    }

    /// Matches every hazard of every robot.
    #[must_use]
    pub fn every_hazard(&self) -> String {
        self.join(format_args!("hazards/*/*"))
    }

    /// Matches the negotiation of every robot.
    #[must_use]
    pub fn every_negotiation(&self) -> String {
        self.join(format_args!("negotiation/*"))
    }

    /// Matches every claim of a mission.
    #[must_use]
    pub fn every_claim(&self, mission: MissionId) -> String {
        self.join(format_args!("claims/{mission}/*"))
    }

    /// What a key is for.
    ///
    /// # Errors
    /// [`KeyError`] when it is not one of this fleet's.
    pub fn parse(&self, key: &str) -> Result<SwarmKey, KeyError> {
        let mut parts = key.split('/');
        let ours =
            parts.next() == Some(ROOT) && parts.next() == Some(self.fleet.as_str()) && parts.next() == Some(SWARM);
        if !ours {
            return Err(KeyError::Foreign(key.to_owned()));
        }
        let unknown = || KeyError::Kind(key.to_owned());
        let name = |text: &str| AgentId::new(text).map_err(|error| KeyError::Name { key: key.to_owned(), error });
        let (kind, first, second) = (parts.next(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(unknown());
        }
        match (kind, first, second) {
            (Some("presence"), Some(agent), None) => Ok(SwarmKey::Presence(name(agent)?)),
            (Some("negotiation"), Some(agent), None) => Ok(SwarmKey::Negotiation(name(agent)?)),
            (Some("latch"), Some(agent), None) => Ok(SwarmKey::Latch(name(agent)?)),
            (Some("map"), Some(agent), None) => Ok(SwarmKey::MapHazard(name(agent)?)),
            (Some("hazards"), Some(word), Some(agent)) => {
                Ok(SwarmKey::Hazard(hazard_kind(word).ok_or_else(unknown)?, name(agent)?))
            }
            (Some("claims"), Some(mission), Some(cell)) => {
                let mission = mission.parse::<MissionId>().map_err(|_| unknown())?;
                Ok(SwarmKey::Claim(mission, cell.parse().map_err(|_| unknown())?))
            }
            _ => Err(unknown()),
        }
    }

    fn join(&self, rest: fmt::Arguments<'_>) -> String {
        format!("{ROOT}/{}/{SWARM}/{rest}", self.fleet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SwarmKeys {
        SwarmKeys::new(FleetId::new("warehouse").unwrap())
    }

    #[test]
    fn a_key_reads_back_as_what_it_was_made_for() {
        let agent = AgentId::new("rover-1").unwrap();
        let mission: MissionId = "0190b2f0-7b1a-7000-8000-000000000001".parse().unwrap();
        let all = [
            SwarmKey::Presence(agent.clone()),
            SwarmKey::Hazard(HazardKind::Cliff, agent.clone()),
            SwarmKey::Hazard(HazardKind::Breakdown, agent.clone()),
            SwarmKey::Negotiation(agent.clone()),
            SwarmKey::Latch(agent),
            SwarmKey::Claim(mission, 17),
        ];
        for key in all {
            assert_eq!(keys().parse(&keys().key(&key)), Ok(key));
        }
        assert_eq!(keys().key(&SwarmKey::Presence(AgentId::new("a").unwrap())), "skein/warehouse/swarm/presence/a");
        assert_eq!(keys().every_hazard(), "skein/warehouse/swarm/hazards/*/*");
    }

    #[test]
    fn foreign_unknown_and_broken_keys_are_refused() {
        let other = SwarmKeys::new(FleetId::new("yard").unwrap());
        let key = other.key(&SwarmKey::Presence(AgentId::new("rover-1").unwrap()));
        assert!(matches!(keys().parse(&key), Err(KeyError::Foreign(_))));
        for key in ["", "skein", "skein/warehouse", "skein/warehouse/cloud/x"] {
            assert!(matches!(keys().parse(key), Err(KeyError::Foreign(_))), "{key}");
        }
        for rest in ["", "weather/x", "presence", "presence/a/b", "hazards/fire/a", "hazards/cliff", "claims/7/1"] {
            let key = format!("skein/warehouse/swarm/{rest}");
            assert!(matches!(keys().parse(&key), Err(KeyError::Kind(_))), "{key}");
        }
        assert!(matches!(keys().parse("skein/warehouse/swarm/presence/Rover"), Err(KeyError::Name { .. })));
    }
}
