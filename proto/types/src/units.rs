//! Physical quantities as types, so that a speed is never passed where a distance is meant.

use core::fmt;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};
use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $symbol:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0.0);

            /// The bare number, in the unit of the type.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }

            /// Neither infinite nor NaN.
            #[must_use]
            pub const fn is_finite(self) -> bool {
                self.0.is_finite()
            }

            /// The smaller of the two; a NaN loses.
            #[must_use]
            pub const fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }

            /// The larger of the two; a NaN loses.
            #[must_use]
            pub const fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }

            /// Magnitude without its sign.
            #[must_use]
            pub const fn abs(self) -> Self {
                Self(self.0.abs())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if let Some(digits) = f.precision() {
                    write!(f, "{:.*} {}", digits, self.0, $symbol)
                } else {
                    write!(f, "{} {}", self.0, $symbol)
                }
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }

        impl Div for $name {
            type Output = f64;
            fn div(self, divisor: Self) -> f64 {
                self.0 / divisor.0
            }
        }
    };
}

unit!(
    /// A length or distance.
    Meters, "m"
);
unit!(
    /// An area.
    SquareMeters, "m²"
);
unit!(
    /// A linear speed or velocity component.
    MetersPerSecond, "m/s"
);
unit!(
    /// A linear acceleration.
    MetersPerSecondSquared, "m/s²"
);
unit!(
    /// Plane angle, counter-clockwise from east.
    Radians, "rad"
);
unit!(
    /// Rate of turn, counter-clockwise.
    RadiansPerSecond, "rad/s"
);
unit!(
    /// A span of time where a number is wanted; [`core::time::Duration`] elsewhere.
    Seconds, "s"
);
unit!(
    /// Share of a whole, 0 to 100.
    Percent, "%"
);
unit!(
    /// A mass.
    Kilograms, "kg"
);
unit!(
    /// An amount of energy.
    WattHours, "Wh"
);

impl Mul<Seconds> for MetersPerSecond {
    type Output = Meters;
    fn mul(self, time: Seconds) -> Meters {
        Meters(self.0 * time.0)
    }
}

impl Div<MetersPerSecond> for Meters {
    type Output = Seconds;
    fn div(self, speed: MetersPerSecond) -> Seconds {
        Seconds(self.0 / speed.0)
    }
}
