//! A robot of the world as a [`Body`].

use std::cell::RefCell;
use std::rc::Rc;

use skein_body::{Body, BodyError, Loss, Unable};
use skein_types::body::BodyDescriptor;
use skein_types::motion::ActuatorFrame;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::robot::SILENCE_MAX;
use crate::world::{CommandError, World};

/// One robot of a shared world, for drivers that run on one thread. The first sensing at a time advances the world to
/// it.
#[derive(Clone, Debug)]
pub struct SimBody {
    world: Rc<RefCell<World>>,
    robot: usize,
    descriptor: BodyDescriptor,
}

impl SimBody {
    /// The body of one robot; none when there is no robot of this number.
    #[must_use]
    pub fn new(world: &Rc<RefCell<World>>, robot: usize) -> Option<Self> {
        let descriptor = *world.borrow().descriptor(robot)?;
        Some(Self { world: Rc::clone(world), robot, descriptor })
    }
}

impl Body for SimBody {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        let mut world = self.world.borrow_mut();
        world.advance_to(now);
        world.frame(self.robot).copied().ok_or(BodyError::NothingSensed)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        let mut world = self.world.borrow_mut();
        world.advance_to(now);
        world.actuate(self.robot, frame).map_err(refusal)
    }

    fn halt(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.world.borrow_mut().halt(self.robot);
        Ok(())
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.world.borrow_mut().restore_power(self.robot).map_err(refusal)
    }
}

fn refusal(error: CommandError) -> BodyError {
    match error {
        CommandError::NoRobot(_) => BodyError::Lost(Loss::Absent),
        CommandError::NotFinite => BodyError::NotFinite,
        CommandError::Late(age) => BodyError::Late { age, limit: SILENCE_MAX },
        CommandError::Powerless => BodyError::Refused(Unable::Powerless),
    }
}
