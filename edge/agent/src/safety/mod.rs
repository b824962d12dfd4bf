//! What keeps the robot from its task: operator latch, manual override, battery, lost connections, the reflex.

pub(crate) mod manual;

use std::time::Duration;

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::OperatorId;
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch, ReflexReport};
use skein_types::sensing::Battery;
use skein_types::telemetry::{LinkState, OperatingMode, ReflexStats};
use skein_types::time::MonoTime;

use self::manual::ManualControl;
use crate::config::AgentConfig;
use crate::io::{Output, OverrideCommand};
use crate::reporting::Reporting;
use crate::status::{FailsafeStatus, ReflexStatus};

/// Tilt must last this long to count as a tip-over.
const TIPPED_OVER: Duration = Duration::from_millis(100);
/// Power and balance have this long to come back after a release.
const RELEASE_SETTLES: Duration = Duration::from_millis(2500);

/// Latch, manual override, battery, links and the last reflex report.
#[derive(Clone, Debug)]
pub(crate) struct Safety {
    latch: Latch,
    latch_reason: String,
    released_at: MonoTime,
    /// Since when the reflex has reported tilt.
    tilted_since: Option<MonoTime>,
    manual: Option<ManualControl>,
    /// The charge fell below the lower threshold and has not reached the upper one since.
    needs_charge: bool,
    link: LinkState,
    /// Connections that were up at least once: only those can be lost.
    link_seen: LinkState,
    reflex: ReflexReport,
    reflex_stats: ReflexStats,
}

impl Safety {
    pub(crate) fn new() -> Self {
        Self {
            latch: Latch::Released,
            latch_reason: String::new(),
            released_at: MonoTime::ZERO,
            tilted_since: None,
            manual: None,
            needs_charge: false,
            link: LinkState::default(),
            link_seen: LinkState::default(),
            reflex: ReflexReport::none(),
            reflex_stats: ReflexStats::default(),
        }
    }

    pub(crate) const fn latch(&self) -> Latch {
        self.latch
    }

    pub(crate) fn latch_reason(&self) -> &str {
        &self.latch_reason
    }

    /// Sets the latch. True when its level changed: a manual command ends and the robot has to stand.
    pub(crate) fn set_latch(&mut self, now: MonoTime, latch: Latch, reason: &str, reporting: &mut Reporting) -> bool {
        let changed = self.latch != latch;
        self.latch = latch;
        reason.clone_into(&mut self.latch_reason);
        if changed {
            let payload = json!({ "latch": latch, "reason": reason });
            reporting.emit_event(now, EventKind::Safety, "latch", &payload);
            reporting.emit(Output::LatchChanged(latch));
            self.manual = None;
        }
        changed
    }

    /// An operator released the latch; power and balance may take a moment to come back.
    pub(crate) const fn released(&mut self, now: MonoTime) {
        self.released_at = now;
    }

    /// Takes the report of a reflex tick. Returns why the robot has to latch STOP, if it has to: after a power loss or a
    /// tip-over an operator must release it.
    pub(crate) fn on_reflex_report(
        &mut self,
        now: MonoTime,
        report: ReflexReport,
        unpowered: bool,
    ) -> Option<&'static str> {
        let tilted = report.causes.contains(Cause::Tilt);
        self.tilted_since = tilted.then(|| self.tilted_since.unwrap_or(report.at));
        let tipped_over = self.tilted_since.is_some_and(|since| report.at.since(since) >= TIPPED_OVER);
        let reason = if unpowered && report.causes.contains(Cause::PowerLoss) {
            Some("the motors lost their power")
        } else {
            tipped_over.then_some("the robot tipped over")
        };
        self.reflex = report;
        reason.filter(|_| self.latch == Latch::Released && now > self.released_at + RELEASE_SETTLES)
    }

    pub(crate) fn on_reflex_stats(&mut self, stats: ReflexStats) {
        self.reflex_stats = stats;
    }

    pub(crate) const fn reflex(&self) -> &ReflexReport {
        &self.reflex
    }

    pub(crate) const fn reflex_stats(&self) -> &ReflexStats {
        &self.reflex_stats
    }

    /// Free distance ahead measured by the reflex, metres; infinite when it has none.
    pub(crate) fn clear_distance(&self) -> f64 {
        let clear = self.reflex.clear_distance.get();
        if clear.is_nan() { f64::INFINITY } else { clear }
    }

    /// The reflex holds the robot.
    pub(crate) fn reflex_holds(&self) -> bool {
        self.reflex.level >= FailsafeLevel::Hold
    }

    /// The state of the connections changed. True when the cloud is back.
    pub(crate) fn on_link_change(&mut self, now: MonoTime, link: LinkState, reporting: &mut Reporting) -> bool {
        if link == self.link {
            return false;
        }
        let cloud_returned = link.cloud && !self.link.cloud;
        self.link_seen =
            LinkState { cloud: self.link_seen.cloud || link.cloud, mesh: self.link_seen.mesh || link.mesh };
        self.link = link;
        let payload = json!({ "cloud": link.cloud, "mesh": link.mesh });
        reporting.emit_event(now, EventKind::System, "link", &payload);
        cloud_returned
    }

    pub(crate) const fn link(&self) -> LinkState {
        self.link
    }

    /// Takes a manual command.
    pub(crate) fn on_manual_override(&mut self, now: MonoTime, command: OverrideCommand, reporting: &mut Reporting) {
        if self.latch != Latch::Released {
            return reporting.override_refused(now, "the robot is latched");
        }
        let Some(manual) = ManualControl::new(now, command) else {
            return reporting.override_refused(now, "a value is not finite");
        };
        if self.manual.is_none() {
            let payload = json!({ "operator": manual.operator, "reason": manual.reason });
            reporting.emit_event(now, EventKind::Command, "override_started", &payload);
        }
        self.manual = Some(manual);
    }

    /// The manual command in force.
    pub(crate) const fn manual(&self) -> Option<&ManualControl> {
        self.manual.as_ref()
    }

    /// Ends a manual command that has expired. Returns its operator.
    pub(crate) fn expire_manual(&mut self, now: MonoTime) -> Option<OperatorId> {
        self.manual.take_if(|manual| manual.until <= now).map(|manual| manual.operator)
    }

    /// Compares the charge with the thresholds. True when the need to charge began or ended.
    pub(crate) fn check_battery(
        &mut self,
        now: MonoTime,
        battery: Battery,
        config: &AgentConfig,
        reporting: &mut Reporting,
    ) -> bool {
        let charge = battery.charge.get();
        if !self.needs_charge && charge < config.charge_below {
            self.needs_charge = true;
            let payload = json!({ "charge": charge, "goes": "home" });
            reporting.emit_event(now, EventKind::Decision, "charge_low", &payload);
            true
        } else if self.needs_charge && charge >= config.charge_until {
            self.needs_charge = false;
            reporting.emit_event(now, EventKind::Decision, "charged", &json!({ "charge": charge }));
            true
        } else {
            false
        }
    }

    pub(crate) const fn needs_charge(&self) -> bool {
        self.needs_charge
    }

    /// Causes found by the agent; the reflex finds its own.
    pub(crate) fn causes(&self) -> Causes {
        let mut causes = Causes::NONE;
        if self.link_seen.cloud && !self.link.cloud {
            causes.insert(Cause::CloudLost);
        }
        if self.link_seen.mesh && !self.link.mesh {
            causes.insert(Cause::MeshLost);
        }
        if self.needs_charge {
            causes.insert(Cause::BatteryLow);
        }
        causes
    }

    /// Level and causes of agent and reflex together.
    pub(crate) fn failsafe(&self) -> (FailsafeLevel, Causes) {
        let causes = self.reflex.causes.union(self.causes());
        (causes.level().max(self.reflex.level), causes)
    }

    pub(crate) fn mode(&self, localized: bool) -> OperatingMode {
        if self.latch != Latch::Released {
            OperatingMode::Intervened
        } else if self.manual.is_some() {
            OperatingMode::Manual
        } else if localized {
            OperatingMode::Automatic
        } else {
            OperatingMode::Startup
        }
    }

    pub(crate) fn failsafe_status(&self) -> FailsafeStatus {
        let (level, causes) = self.failsafe();
        FailsafeStatus { level, causes: causes.iter().collect() }
    }

    pub(crate) fn reflex_status(&self) -> ReflexStatus {
        ReflexStatus {
            clear_distance: Some(self.reflex.clear_distance.get()).filter(|d| d.is_finite()),
            stop_distance: self.reflex.stop_distance.get(),
            speed_allowed: self.reflex.speed_allowed.get(),
            stats: self.reflex_stats,
        }
    }
}
