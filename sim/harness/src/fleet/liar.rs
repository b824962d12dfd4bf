//! An unknown process on the mesh (story 16): it invents robots, speaks in the name of a real one, claims emergencies, reports a
//! hazard a kilometre wide, forges releases and floods.

use skein_robot::RobotInput;
use skein_robot::latch::LatchInput;
use skein_types::authority::{Epoch, LatchGossip, LatchRegister};
use skein_types::coord::{Hazard, HazardKind, Intent};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::units::Meters;
use skein_wire::Wire;
use uuid::Uuid;

use super::event_queue::PeerMessage;
use super::run::Fleet;
use super::sim_robot::wall;

/// Names that it invents.
const GHOSTS: u64 = 70;
/// Messages to each robot in one tick: 2,000 a second.
const PER_TICK: u64 = 20;

impl Fleet {
    /// One tick of a liar that speaks in the name of the robot of this number.
    pub(super) fn lie(&mut self, impersonated: usize) {
        for _ in 0..PER_TICK {
            let Some((kind, bytes)) = self.next_lie(impersonated) else { return };
            for robot in 0..self.robots.len() {
                self.on_lie(robot, kind, &bytes);
            }
        }
    }

    fn next_lie(&mut self, impersonated: usize) -> Option<(PeerMessage, Vec<u8>)> {
        let truth = self.robots.get(impersonated)?.intent.clone()?;
        let draw = self.transport.network_mut().random().bits();
        let ghost = AgentId::new(format!("ghost-{}", 1 + draw % GHOSTS)).ok()?;
        let beside = Point::new((draw >> 8 & 0xff) as f64 / 64.0 - 2.0, (draw >> 16 & 0xff) as f64 / 64.0 - 2.0);
        let sequence = draw >> 24;
        Some(match draw >> 60 {
            0..=7 => (PeerMessage::Intent, ghost_intent(truth, ghost, beside, sequence).to_bytes()),
            8..=10 => (PeerMessage::Intent, stolen_name(truth, beside).to_bytes()),
            11..=12 => (PeerMessage::Hazard, self.wide_hazard(ghost, truth.pose.position, sequence).to_bytes()),
            13 => (PeerMessage::Gossip, forged_release(ghost, truth.sender, sequence).to_bytes()),
            _ => (PeerMessage::Intent, draw.to_le_bytes().repeat(20)),
        })
    }

    fn wide_hazard(&self, reporter: AgentId, position: Point, sequence: u64) -> Hazard {
        Hazard {
            reporter,
            boot: BootId(Uuid::from_u128(u128::from(sequence))),
            sequence,
            kind: HazardKind::Obstacle,
            position,
            radius: Meters(1_000.0),
            time_to_live: core::time::Duration::from_secs(60),
            age: core::time::Duration::ZERO,
            seen_at: wall(self.now),
        }
    }

    /// What cannot be decoded is not held against anybody.
    fn on_lie(&mut self, robot: usize, kind: PeerMessage, bytes: &[u8]) {
        let input = match kind {
            PeerMessage::Intent => Intent::from_bytes(bytes).ok().map(RobotInput::Intent),
            PeerMessage::Hazard => Hazard::from_bytes(bytes).ok().map(RobotInput::Hazard),
            PeerMessage::MapHazard => None,
            PeerMessage::Gossip => LatchGossip::from_bytes(bytes)
                .ok()
                .map(|gossip| RobotInput::Latch(LatchInput::Gossip(Box::new(gossip)))),
        };
        let runs = self.robots.get(robot).is_some_and(|receiver| !receiver.is_hung());
        if let Some(input) = input.filter(|_| runs) {
            self.give(robot, input);
        }
    }
}

fn ghost_intent(truth: Intent, sender: AgentId, beside: Point, sequence: u64) -> Intent {
    let at = truth.pose.position + beside;
    let mut right_of_way = truth.right_of_way;
    right_of_way.emergency = true;
    right_of_way.claimant = sender.clone();
    let boot = BootId(Uuid::from_u128(u128::from(sequence)));
    Intent { sender, boot, sequence, pose: Pose::new(at.x, at.y, 0.0), right_of_way, ..truth }
}

/// The robot's own name and boot, a sequence number that nothing follows, and a place where it is not.
fn stolen_name(truth: Intent, beside: Point) -> Intent {
    let at = truth.pose.position + beside * 3.0;
    let mut right_of_way = truth.right_of_way;
    right_of_way.emergency = true;
    Intent { sequence: u64::MAX / 2, pose: Pose::new(at.x, at.y, 0.0), right_of_way, ..truth }
}

fn forged_release(sender: AgentId, victim: AgentId, sequence: u64) -> LatchGossip {
    let released = LatchRegister { epoch: Epoch(1 << 39), ..LatchRegister::released() };
    LatchGossip {
        sender,
        boot: BootId(Uuid::from_u128(u128::from(sequence))),
        sequence,
        fleet: released.clone(),
        robots: vec![(victim, released)],
        requests: Vec::new(),
    }
}
