//! What keeps the robot from its task: latches, manual override, battery, lost links, silent peers, the reflex.

pub(crate) mod battery;
pub(crate) mod links;
pub(crate) mod manual;
pub(crate) mod peer_wait;

use std::time::Duration;

use serde_json::json;
use skein_types::authority::{LatchSet, Principal};
use skein_types::body::Drive;
use skein_types::event::EventKind;
use skein_types::failsafe::LossPolicy;
use skein_types::ids::AgentId;
use skein_types::limits::MANUAL_POSE_AGE_MAX;
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch, ReflexReport};
use skein_types::sensing::Battery;
use skein_types::telemetry::{LinkState, OperatingMode, ReflexStats};
use skein_types::time::MonoTime;

use self::battery::BatteryMonitor;
use self::links::Links;
use self::manual::{ManualControl, ManualState};
use self::peer_wait::PeerWait;
use crate::config::AgentConfig;
use crate::io::{ManualRefused, OverrideCommand};
use crate::reporting::Reporting;
use crate::status::{FailsafeStatus, ManualStatus, ReflexStatus};

/// What a change of the latches means for the motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LatchChange {
    /// A latch was set: the robot has to stand at once.
    Latched,
    /// The last latch was released: the robot may have been moved meanwhile.
    Released,
    /// The level is the same.
    SameLevel,
}

/// Latches, control, battery, links and the last reflex report.
#[derive(Clone, Debug)]
pub(crate) struct Safety {
    /// This robot, which can latch itself.
    own: AgentId,
    /// The actions of the failsafe table depend on it.
    drive: Drive,
    latches: LatchSet,
    manual: ManualState,
    battery: BatteryMonitor,
    links: Links,
    peer_wait: PeerWait,
    reflex: ReflexReport,
    reflex_stats: ReflexStats,
}

impl Safety {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        Self {
            own: config.id.clone(),
            drive: config.descriptor.drive,
            latches: LatchSet::default(),
            manual: ManualState::restored(config.manual.clone()),
            battery: BatteryMonitor::default(),
            links: Links::default(),
            peer_wait: PeerWait::default(),
            reflex: ReflexReport::none(),
            reflex_stats: ReflexStats::default(),
        }
    }

    /// Takes the registers that the robot obeys. A latch ends a manual command, but not the operator's control.
    pub(crate) fn on_latch(&mut self, now: MonoTime, latches: LatchSet, reporting: &mut Reporting) -> LatchChange {
        if latches == self.latches {
            return LatchChange::SameLevel;
        }
        let before = self.latches.level();
        self.latches = latches;
        let (level, holding) = (self.latches.level(), self.latches.holding());
        let payload = json!({
            "latch": level, "by": holding.by, "reason": holding.reason,
            "epochs": { "own": self.latches.own.epoch, "fleet": self.latches.fleet.epoch },
        });
        reporting.emit_event(now, EventKind::Safety, "latch", &payload);
        if level == before {
            LatchChange::SameLevel
        } else if level == Latch::Released {
            LatchChange::Released
        } else {
            self.manual.end_command(now, true);
            LatchChange::Latched
        }
    }

    pub(crate) const fn latches(&self) -> &LatchSet {
        &self.latches
    }

    /// Who stopped the robot and why; `None` when no latch is set.
    pub(crate) fn latch_reason(&self) -> Option<String> {
        let action = match self.latches.level() {
            Latch::Released => return None,
            Latch::Stop => "stopped",
            Latch::Kill => "power cut",
        };
        let holding = self.latches.holding();
        let by = match &holding.by {
            Principal::Robot(robot) if *robot == self.own => "the robot itself",
            by => by.name(),
        };
        Some(if holding.reason.is_empty() {
            format!("{action} by {by}")
        } else {
            format!("{action} by {by}: {}", holding.reason)
        })
    }

    /// Whether a manual command would be taken now, with a pose of this age.
    pub(crate) fn may_override(&self, pose_age: Option<Duration>, unpowered: bool) -> Result<(), ManualRefused> {
        if self.latches.level() != Latch::Released {
            let holding = self.latches.holding();
            return Err(ManualRefused::Latched { by: holding.by.clone(), reason: holding.reason.clone() });
        }
        if unpowered {
            return Err(ManualRefused::Unpowered);
        }
        match pose_age {
            None => Err(ManualRefused::NoPose),
            Some(age) if age > MANUAL_POSE_AGE_MAX => Err(ManualRefused::StalePose { age }),
            Some(_) => Ok(()),
        }
    }

    /// Takes a manual command.
    pub(crate) fn on_manual_override(
        &mut self,
        now: MonoTime,
        command: OverrideCommand,
        reporting: &mut Reporting,
    ) -> Result<(), ManualRefused> {
        let control = ManualControl::new(now, command).ok_or(ManualRefused::NotFinite)?;
        if !matches!(self.manual, ManualState::Driving(_)) {
            let payload = json!({ "operator": control.operator(), "reason": control.reason() });
            reporting.emit_event(now, EventKind::Command, "override_started", &payload);
        }
        self.manual = ManualState::Driving(control);
        Ok(())
    }

    /// The operator gives control back. True when an operator had it.
    pub(crate) fn on_give_back(&mut self, now: MonoTime, by: &Principal, reporting: &mut Reporting) -> bool {
        let manual = std::mem::take(&mut self.manual);
        if manual.is_manual() {
            let payload = json!({ "by": by, "operator": manual.operator() });
            reporting.emit_event(now, EventKind::Command, "control_given_back", &payload);
        }
        manual.is_manual()
    }

    /// Ends a manual command that has expired; the robot then holds until control is given back. True when one ended.
    pub(crate) fn expire_manual(&mut self, now: MonoTime, reporting: &mut Reporting) -> bool {
        let Some(operator) = self.manual.end_command(now, false) else { return false };
        let payload = json!({ "operator": operator, "then": "hold" });
        reporting.emit_event(now, EventKind::Command, "override_ended", &payload);
        true
    }

    pub(crate) const fn manual(&self) -> &ManualState {
        &self.manual
    }

    pub(crate) fn on_reflex_report(&mut self, report: ReflexReport) {
        self.reflex = report;
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

    /// Takes the state of the links. True when the cloud is back.
    pub(crate) fn on_link_change(&mut self, now: MonoTime, link: LinkState, reporting: &mut Reporting) -> bool {
        self.links.on_change(now, link, reporting)
    }

    pub(crate) const fn links(&self) -> &Links {
        &self.links
    }

    /// An input arrives: detects that the process was suspended, or has just started.
    pub(crate) fn on_input<P: Iterator<Item = AgentId>>(
        &mut self,
        now: MonoTime,
        peers: impl FnOnce() -> P,
        reporting: &mut Reporting,
    ) {
        if let Some(gap) = self.peer_wait.on_input(now, peers)
            && gap > Duration::ZERO
        {
            reporting.emit_event(now, EventKind::Safety, "suspended", &json!({ "for_s": gap.as_secs_f64() }));
        }
    }

    /// An intent of a peer arrives.
    pub(crate) fn on_intent(&mut self, now: MonoTime, sender: &AgentId) {
        self.peer_wait.on_intent(now, sender);
    }

    /// The robot holds until it hears its peers again.
    pub(crate) fn waits_for_peers(&self, now: MonoTime) -> bool {
        self.peer_wait.is_waiting(now)
    }

    /// Compares charge and links with their limits. True when the robot has to go elsewhere than before.
    pub(crate) fn update(
        &mut self,
        now: MonoTime,
        battery: Option<Battery>,
        config: &AgentConfig,
        reporting: &mut Reporting,
    ) -> bool {
        let charge = battery.is_some_and(|battery| self.battery.update(now, battery, config, reporting));
        let links = self.links.update_policy(now, &config.failsafe, reporting);
        charge || links
    }

    /// Neither the charge nor a lost link keeps the robot from its task.
    pub(crate) fn allows_task(&self) -> bool {
        !self.battery.is_low() && self.links.policy() == LossPolicy::Continue
    }

    pub(crate) const fn battery(&self) -> BatteryMonitor {
        self.battery
    }

    /// What the lost links demand, and the link to blame.
    pub(crate) fn loss_policy(&self, now: MonoTime, config: &AgentConfig) -> (LossPolicy, &'static str) {
        let link = match self.links.cause(now, &config.failsafe) {
            Some(Cause::CloudLost) => "the supervisor",
            _ => "the mesh",
        };
        (self.links.policy(), link)
    }

    /// Causes for the reflex to count; it finds its own, a critical charge among them.
    pub(crate) fn causes(&self) -> Causes {
        let mut causes = self.links.causes();
        if self.battery.is_low() {
            causes.insert(Cause::BatteryLow);
        }
        causes
    }

    /// Level and causes of agent and reflex together.
    pub(crate) fn failsafe(&self) -> (FailsafeLevel, Causes) {
        let mut causes = self.reflex.causes.union(self.causes());
        if self.battery.is_critical() {
            causes.insert(Cause::BatteryCritical);
        }
        (causes.level_on(self.drive).max(self.reflex.level), causes)
    }

    pub(crate) fn mode(&self, localized: bool) -> OperatingMode {
        if self.latches.level() != Latch::Released {
            OperatingMode::Intervened
        } else if self.manual.is_manual() {
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

    pub(crate) fn manual_status(&self) -> Option<ManualStatus> {
        let operator = self.manual.operator()?.clone();
        Some(ManualStatus { operator, driving: matches!(self.manual, ManualState::Driving(_)) })
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
