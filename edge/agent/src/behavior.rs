//! What the robot does in one control cycle, and what the choice is made from.

use serde_json::json;
use skein_coord::OwnState;
use skein_types::coord::AgentState;
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::mission::Priority;
use skein_types::time::MonoTime;

use crate::config::AgentConfig;
use crate::coordination::Coordination;
use crate::localization::Localization;
use crate::navigation::Navigation;
use crate::navigation::planner::{CostmapSources, PlanOutcome};
use crate::reporting::Reporting;
use crate::safety::Safety;

/// A place counts as reached within this distance, metres.
pub(crate) const ARRIVED: f64 = 0.15;

/// What the robot does in this cycle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Behavior {
    /// Stand; yield to peers where the state allows it.
    Stand { state: AgentState, why: String },
    /// Move as the operator commands.
    Manual { twist: Twist, why: String },
    /// Follow the path of the navigation.
    Go { state: AgentState, why: String },
}

impl Behavior {
    pub(crate) fn stand(state: AgentState, why: impl Into<String>) -> Self {
        Self::Stand { state, why: why.into() }
    }
}

/// Result of [`CycleContext::approach`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Approach {
    pub(crate) behavior: Behavior,
    /// The last attempt to find a path failed.
    pub(crate) failed: bool,
}

/// The parts of the agent that one control cycle reads and changes.
pub(crate) struct CycleContext<'a> {
    pub(crate) now: MonoTime,
    /// `map_from_body` now.
    pub(crate) pose: Pose,
    pub(crate) config: &'a AgentConfig,
    pub(crate) localization: &'a Localization,
    pub(crate) safety: &'a mut Safety,
    pub(crate) coordination: &'a mut Coordination,
    pub(crate) navigation: &'a mut Navigation,
    pub(crate) reporting: &'a mut Reporting,
}

impl CycleContext<'_> {
    /// Makes sure that there is a path through the waypoints.
    pub(crate) fn ensure_path(&mut self, waypoints: &[Point]) -> PlanOutcome {
        let sources = CostmapSources { obstacles: self.localization.obstacles(), keepouts: self.coordination };
        self.navigation.ensure_path(self.now, &self.pose, waypoints, &sources, self.reporting)
    }

    /// Brings the costmap up to date.
    pub(crate) fn update_costmap(&mut self) {
        let sources = CostmapSources { obstacles: self.localization.obstacles(), keepouts: self.coordination };
        self.navigation.update_costmap(self.now, self.pose.position, &sources);
    }

    /// Brings the costmap up to date when it is due.
    pub(crate) fn refresh_costmap(&mut self) {
        let sources = CostmapSources { obstacles: self.localization.obstacles(), keepouts: self.coordination };
        self.navigation.refresh_costmap(self.now, self.pose.position, &sources);
    }

    /// Records a decision.
    pub(crate) fn emit_decision(&mut self, name: &str, payload: &serde_json::Value) {
        self.reporting.emit_event(self.now, EventKind::Decision, name, payload);
    }

    /// Whether the robot is at a goal, or as near to it as its path leads.
    pub(crate) fn has_arrived(&self, goal: Point) -> bool {
        self.navigation.has_arrived(&self.pose, goal, ARRIVED)
    }

    /// Go to one goal. Without a path the robot stands and retries.
    pub(crate) fn approach(&mut self, goal: Point, state: AgentState, why: String) -> Approach {
        let go_on = |behavior| Approach { behavior, failed: false };
        if self.navigation.is_waiting_to_retry(self.now) {
            return go_on(Behavior::stand(state, format!("{why}, but finds no path; tries again")));
        }
        match self.ensure_path(&[goal]) {
            PlanOutcome::Path => {
                self.navigation.retries_mut().stop_waiting();
                go_on(Behavior::Go { state, why })
            }
            PlanOutcome::Deferred => go_on(Behavior::stand(state, format!("{why}; plans a path"))),
            PlanOutcome::NoPath => {
                let failed = self.navigation.retries_mut().record_failure(self.now);
                let attempts = self.navigation.retries_mut().count();
                self.emit_decision("no_path", &json!({ "to": goal, "attempts": attempts }));
                Approach { behavior: Behavior::stand(state, format!("{why}, but finds no path; tries again")), failed }
            }
        }
    }

    /// Return to the charger, or stand there until charged.
    pub(crate) fn charge(&mut self) -> Approach {
        let battery = self.localization.battery();
        let charge = battery.charge.get();
        let home = self.config.home.position;
        if battery.charging || self.pose.position.distance(home) < ARRIVED {
            let why = if battery.charging { "charges" } else { "waits at its charger for current" };
            let until = self.config.charge_until;
            let why = format!("{why}: {charge:.0} % of {until:.0} %");
            return Approach { behavior: Behavior::stand(AgentState::Charging, why), failed: false };
        }
        self.approach(home, AgentState::Returning, format!("returns to charge at {charge:.0} %"))
    }

    /// The state that the coordination announces to the peers.
    pub(crate) fn own_state(&self, state: AgentState, path: Vec<Point>, priority: Priority) -> OwnState {
        OwnState {
            pose: self.pose,
            pose_age: self.now.since(self.localization.pose_at()),
            velocity: self.localization.velocity(),
            path,
            state,
            priority,
            carrying: self.localization.is_carrying(),
            emergency: false,
            wall: self.reporting.wall(self.now),
        }
    }
}
