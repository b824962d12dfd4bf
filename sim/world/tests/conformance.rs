//! The world's bodies keep the contract that every body keeps, with perfect and with usual sensors and motors.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use skein_body::Body;
use skein_body::conformance::{self, Rig};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose};
use skein_types::region::RegionFrame;
use skein_types::time::MonoTime;
use skein_world::{Noise, RobotSpec, SimBody, Terrain, World, WorldConfig};

struct SimRig {
    world: Rc<RefCell<World>>,
    body: SimBody,
}

fn field() -> Arc<Terrain> {
    static FIELD: LazyLock<Arc<Terrain>> = LazyLock::new(|| {
        let frame = RegionFrame { origin: Point::new(-15.0, -15.0), resolution: 0.1, width: 300, height: 300 };
        Arc::new(Terrain::new(frame, |_| false).unwrap())
    });
    Arc::clone(&FIELD)
}

impl SimRig {
    fn new(descriptor: BodyDescriptor, noise: Noise, seed: u64) -> Self {
        let start = Pose { z: 1.0, ..Pose::new(0.0, 0.0, 0.3) };
        let start = if descriptor == BodyDescriptor::multirotor() { start } else { Pose { z: 0.0, ..start } };
        let robots = vec![RobotSpec { descriptor, start }];
        let config =
            WorldConfig { robots, noise, start: MonoTime::from_millis(5_000), ..WorldConfig::new(seed, field()) };
        let world = Rc::new(RefCell::new(World::new(config).unwrap()));
        let body = SimBody::new(&world, 0).unwrap();
        Self { world, body }
    }
}

impl Rig for SimRig {
    fn body(&mut self) -> &mut dyn Body {
        &mut self.body
    }

    fn now(&self) -> MonoTime {
        self.world.borrow().now()
    }

    fn advance(&mut self, span: Duration) {
        let until = self.now() + span;
        self.world.borrow_mut().advance_to(until);
    }

    fn truth(&self) -> Pose {
        self.world.borrow().pose(0).unwrap()
    }
}

fn check(descriptor: BodyDescriptor) {
    for (noise, seed) in [(Noise::none(), 1), (Noise::usual(), 2), (Noise::usual(), 3)] {
        conformance::run(&mut || SimRig::new(descriptor, noise, seed)).unwrap();
    }
}

#[test]
fn a_rover_keeps_the_contract() {
    check(BodyDescriptor::rover());
}

#[test]
fn a_holonomic_robot_keeps_the_contract() {
    check(BodyDescriptor::holonomic());
}

#[test]
fn a_multirotor_keeps_the_contract() {
    check(BodyDescriptor::multirotor());
}
