//! Low and critical charge, with hysteresis: a battery that recovers under less load does not end them.
//!
//! ```text
//! ENOUGH ──charge at or below `enter`──► TOO LITTLE ──charge at or above `leave`, or on the charger──► ENOUGH
//! ```

use skein_types::limits::Band;
use skein_types::safety::{Cause, Causes};
use skein_types::sensing::Battery;
use skein_types::units::Percent;

use crate::config::ReflexConfig;

/// What the charge was too little for at the last frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Charge {
    low: bool,
    critical: bool,
}

impl Charge {
    /// One frame that can be trusted.
    pub(crate) fn update(&mut self, config: &ReflexConfig, battery: &Battery) {
        self.low = is_within(&config.battery_low, self.low, battery);
        self.critical = is_within(&config.battery_critical, self.critical, battery);
    }

    pub(crate) fn causes(self) -> Causes {
        let mut causes = Causes::NONE;
        if self.low {
            causes.insert(Cause::BatteryLow);
        }
        if self.critical {
            causes.insert(Cause::BatteryCritical);
        }
        causes
    }
}

fn is_within(band: &Band, was: bool, battery: &Battery) -> bool {
    // NaN counts as empty.
    let charge = if battery.charge.0.is_nan() { Percent(0.0) } else { battery.charge };
    !battery.charging && (charge <= band.enter || (was && charge < band.leave))
}
