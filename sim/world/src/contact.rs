//! Who touched what. A touch that goes on, or comes back within half a second, is one contact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_types::geometry::Point;
use skein_types::time::MonoTime;

/// A touch within so many steps of the last one continues it.
const SAME_TOUCH_STEPS: u64 = 50;
/// Contacts kept with their details; later ones are only counted.
pub const CONTACTS_KEPT: usize = 1_000;

/// What touched what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactKind {
    /// Two robots touched.
    RobotRobot,
    /// A robot and something solid.
    RobotWall,
    /// A robot and a person.
    RobotPerson,
}

/// One contact, at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// Virtual time of the first touch.
    pub at: MonoTime,
    /// What touched what.
    pub kind: ContactKind,
    /// Number of the robot.
    pub robot: usize,
    /// Number of the other robot or of the person.
    pub other: Option<usize>,
    /// Centre of the robot.
    pub place: Point,
}

/// How many contacts there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collisions {
    /// Between two robots.
    pub robot_robot: u64,
    /// Between a robot and something solid.
    pub robot_wall: u64,
    /// Between a robot and a person.
    pub robot_person: u64,
}

impl Collisions {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.robot_robot + self.robot_wall + self.robot_person
    }
}

/// The book of contacts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contacts {
    last: BTreeMap<(ContactKind, usize, Option<usize>), u64>,
    pub(crate) counts: Collisions,
    pub(crate) kept: Vec<Contact>,
}

impl Contacts {
    pub(crate) fn touch(&mut self, tick: u64, contact: Contact) {
        let key = (contact.kind, contact.robot, contact.other);
        let before = self.last.insert(key, tick);
        if before.is_some_and(|last| tick - last <= SAME_TOUCH_STEPS) {
            return;
        }
        match contact.kind {
            ContactKind::RobotRobot => self.counts.robot_robot += 1,
            ContactKind::RobotWall => self.counts.robot_wall += 1,
            ContactKind::RobotPerson => self.counts.robot_person += 1,
        }
        if self.kept.len() < CONTACTS_KEPT {
            self.kept.push(contact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_touch_counts_once_and_a_new_one_again() {
        let mut contacts = Contacts::default();
        let touch = |other| Contact {
            at: MonoTime::ZERO,
            kind: ContactKind::RobotRobot,
            robot: 0,
            other: Some(other),
            place: Point::default(),
        };
        (0..200).for_each(|tick| contacts.touch(tick, touch(1)));
        contacts.touch(240, touch(1));
        assert_eq!(contacts.counts.robot_robot, 1);
        contacts.touch(300, touch(1));
        contacts.touch(300, touch(2));
        assert_eq!(contacts.counts.total(), 3);
        assert_eq!(contacts.kept.len(), 3);
    }
}
