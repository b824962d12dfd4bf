//! Lost links, and what the configured policy makes of them.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::failsafe::{LossPolicy, LossRule};
use skein_types::safety::{Cause, Causes};
use skein_types::telemetry::LinkState;
use skein_types::time::MonoTime;

use crate::config::FailsafePolicy;
use crate::reporting::Reporting;

/// The state of both links and since when one is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Links {
    state: LinkState,
    cloud: LossTimer,
    mesh: LossTimer,
    /// The policy of the last cycle.
    policy: LossPolicy,
}

/// Since when a link is lost. Only a link that was up can be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct LossTimer {
    was_up: bool,
    lost_since: Option<MonoTime>,
}

impl LossTimer {
    fn update(&mut self, now: MonoTime, up: bool) {
        self.was_up |= up;
        if up {
            self.lost_since = None;
        } else if self.was_up {
            self.lost_since.get_or_insert(now);
        }
    }
}

impl Links {
    /// Takes the state of the links. True when the cloud is back.
    pub(crate) fn on_change(&mut self, now: MonoTime, state: LinkState, reporting: &mut Reporting) -> bool {
        if state == self.state {
            return false;
        }
        let cloud_returned = state.cloud && !self.state.cloud;
        self.state = state;
        self.cloud.update(now, state.cloud);
        self.mesh.update(now, state.mesh);
        let payload = json!({ "cloud": state.cloud, "mesh": state.mesh });
        reporting.emit_event(now, EventKind::System, "link", &payload);
        cloud_returned
    }

    pub(crate) const fn state(&self) -> LinkState {
        self.state
    }

    pub(crate) const fn is_mesh_lost(&self) -> bool {
        self.mesh.lost_since.is_some()
    }

    pub(crate) fn causes(&self) -> Causes {
        let mut causes = Causes::NONE;
        if self.cloud.lost_since.is_some() {
            causes.insert(Cause::CloudLost);
        }
        if self.mesh.lost_since.is_some() {
            causes.insert(Cause::MeshLost);
        }
        causes
    }

    /// The policy in force.
    pub(crate) const fn policy(&self) -> LossPolicy {
        self.policy
    }

    /// The cause that asks for the present policy, for the reason text.
    pub(crate) fn cause(&self, now: MonoTime, rules: &FailsafePolicy) -> Option<Cause> {
        let (cloud, mesh) = self.policies(now, rules);
        if mesh == self.policy && mesh != LossPolicy::Continue {
            Some(Cause::MeshLost)
        } else {
            (cloud == self.policy && cloud != LossPolicy::Continue).then_some(Cause::CloudLost)
        }
    }

    fn policies(&self, now: MonoTime, rules: &FailsafePolicy) -> (LossPolicy, LossPolicy) {
        let policy = |timer: &LossTimer, rule: &LossRule| {
            timer.lost_since.map_or(LossPolicy::Continue, |since| rule.at(now.since(since)))
        };
        (policy(&self.cloud, &rules.cloud_lost), policy(&self.mesh, &rules.mesh_lost))
    }

    /// Applies the rules. A hold wins over a return. True when the policy changed.
    pub(crate) fn update_policy(&mut self, now: MonoTime, rules: &FailsafePolicy, reporting: &mut Reporting) -> bool {
        let policy = match self.policies(now, rules) {
            (LossPolicy::Hold, _) | (_, LossPolicy::Hold) => LossPolicy::Hold,
            (LossPolicy::Return, _) | (_, LossPolicy::Return) => LossPolicy::Return,
            (LossPolicy::Continue, LossPolicy::Continue) => LossPolicy::Continue,
        };
        if policy == self.policy {
            return false;
        }
        self.policy = policy;
        let action = match policy {
            LossPolicy::Continue => "continue",
            LossPolicy::Hold => "hold",
            LossPolicy::Return => "return",
        };
        let cause = self.cause(now, rules).map(Cause::name);
        reporting.emit_event(now, EventKind::Safety, "link_failsafe", &json!({ "action": action, "cause": cause }));
        true
    }
}
