//! Charge thresholds with hysteresis.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::sensing::Battery;
use skein_types::time::MonoTime;

use crate::config::AgentConfig;
use crate::reporting::Reporting;

/// Whether the charge is low or critical. Each begins at its lower threshold and ends at its upper one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatteryMonitor {
    low: bool,
    critical: bool,
}

impl BatteryMonitor {
    /// The robot has to charge.
    pub(crate) const fn is_low(&self) -> bool {
        self.low
    }

    /// The robot must not move by itself.
    pub(crate) const fn is_critical(&self) -> bool {
        self.critical
    }

    /// Compares the charge with the thresholds. True when a state began or ended.
    pub(crate) fn update(
        &mut self,
        now: MonoTime,
        battery: Battery,
        config: &AgentConfig,
        reporting: &mut Reporting,
    ) -> bool {
        let before = *self;
        let charge = battery.charge.get();
        self.low = if self.low { charge < config.charge_until } else { charge <= config.charge_below };
        let critical = if self.critical { charge < config.critical_until } else { charge <= config.critical_below };
        // At the charger a critical charge holds nothing back: the robot stands there anyway.
        self.critical = critical && !battery.charging;
        let mut record = |begun, ended, name: (&str, &str)| {
            if begun != ended {
                let name = if begun { name.0 } else { name.1 };
                reporting.emit_event(now, EventKind::Decision, name, &json!({ "charge": charge }));
            }
        };
        record(self.low, before.low, ("charge_low", "charged"));
        record(self.critical, before.critical, ("charge_critical", "charge_sufficient"));
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::navigation::layered_grid::tests::hall;
    use skein_types::body::BodyDescriptor;
    use skein_types::geometry::Pose;
    use skein_types::ids::{AgentId, BootId, FleetId};
    use skein_types::units::Percent;
    use uuid::Uuid;

    #[test]
    fn charge_thresholds_have_hysteresis() {
        let (id, fleet) = (AgentId::new("rover-1").unwrap(), FleetId::new("fleet").unwrap());
        let boot = BootId(Uuid::from_u128(1));
        let config = AgentConfig::new(id, fleet, boot, Pose::default(), BodyDescriptor::rover(), hall(), 1);
        let mut reporting = Reporting::new(&config);
        let mut monitor = BatteryMonitor::default();
        let mut at = |charge: f64, charging: bool| {
            let battery = Battery { charge: Percent(charge), charging };
            let changed = monitor.update(MonoTime::ZERO, battery, &config, &mut reporting);
            (monitor.is_low(), monitor.is_critical(), changed)
        };
        assert_eq!(at(21.0, false), (false, false, false));
        assert_eq!(at(19.9, false), (true, false, true));
        assert_eq!(at(2.9, false), (true, true, true));
        assert_eq!(at(7.0, false), (true, true, false), "the critical state does not flap");
        assert_eq!(at(7.0, true), (true, false, true), "it may charge");
        assert_eq!(at(79.0, true), (true, false, false), "it charges to the upper threshold");
        assert_eq!(at(80.0, true), (false, false, true));
    }
}
