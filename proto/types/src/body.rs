//! What a robot's body is, told by the body itself.

use serde::{Deserialize, Serialize};

use crate::units::{Kilograms, Meters, MetersPerSecond, MetersPerSecondSquared, RadiansPerSecond, WattHours};

/// How a body moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// Two driven wheels: forward and turn.
    Differential,
    /// Any direction over the floor.
    Holonomic,
    /// Flies and hovers.
    Multirotor,
}

/// The envelope of a body: what it can do, and the shape others keep clear of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BodyDescriptor {
    /// How it moves.
    pub drive: Drive,
    /// Radius of the circle around its centre that holds the whole footprint.
    pub radius: Meters,
    /// Fastest over the floor.
    pub speed_max: MetersPerSecond,
    /// Fastest turn, radians per second, in either direction.
    pub yaw_rate_max: RadiansPerSecond,
    /// Hardest it speeds up.
    pub acceleration_max: MetersPerSecondSquared,
    /// Hardest it brakes; the braking distance comes from this.
    pub braking_max: MetersPerSecondSquared,
    /// How far its survey sensor sweeps.
    pub sweep_range: Meters,
    /// How far its lidar sees.
    pub lidar_range: Meters,
    /// Energy when full.
    pub battery_capacity: WattHours,
    /// Heaviest load, kilograms.
    pub payload_max: Kilograms,
}

impl BodyDescriptor {
    /// The rover of the demo: 0.25 m radius, 1 m/s, a sensor that sweeps 2 m.
    #[must_use]
    pub const fn rover() -> Self {
        Self {
            drive: Drive::Differential,
            radius: Meters(0.25),
            speed_max: MetersPerSecond(1.0),
            yaw_rate_max: RadiansPerSecond(2.0),
            acceleration_max: MetersPerSecondSquared(1.0),
            braking_max: MetersPerSecondSquared(2.0),
            sweep_range: Meters(2.0),
            lidar_range: Meters(10.0),
            battery_capacity: WattHours(100.0),
            payload_max: Kilograms(20.0),
        }
    }

    /// A robot that moves in any direction without turning.
    #[must_use]
    pub const fn holonomic() -> Self {
        Self { drive: Drive::Holonomic, ..Self::rover() }
    }

    /// A small multirotor.
    #[must_use]
    pub const fn multirotor() -> Self {
        Self {
            drive: Drive::Multirotor,
            speed_max: MetersPerSecond(3.0),
            acceleration_max: MetersPerSecondSquared(3.0),
            braking_max: MetersPerSecondSquared(4.0),
            battery_capacity: WattHours(60.0),
            payload_max: Kilograms(1.0),
            ..Self::rover()
        }
    }

    /// Fastest climb and descent: none on wheels, a third of the top speed over the floor in the air.
    #[must_use]
    pub const fn vertical_speed_max(&self) -> MetersPerSecond {
        match self.drive {
            Drive::Differential | Drive::Holonomic => MetersPerSecond::ZERO,
            Drive::Multirotor => MetersPerSecond(self.speed_max.0 / 3.0),
        }
    }

    /// All figures are finite and the ones that must be positive are.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let positive = [
            self.radius.0,
            self.speed_max.0,
            self.yaw_rate_max.0,
            self.acceleration_max.0,
            self.braking_max.0,
            self.sweep_range.0,
            self.lidar_range.0,
            self.battery_capacity.0,
        ];
        positive.iter().all(|v| v.is_finite() && *v > 0.0)
            && self.payload_max.0.is_finite()
            && self.payload_max.0 >= 0.0
    }
}
