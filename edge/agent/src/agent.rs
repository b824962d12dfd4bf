//! The core: routes each input to the part that owns the state, and runs the control cycle.

use serde_json::json;
use skein_types::authority::{LatchSet, Principal, Term};
use skein_types::coord::AgentState;
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Twist};
use skein_types::ids::{CommandId, Generation, MissionId, OperatorId};
use skein_types::link::{CloudCommand, CommandOutcome, Order};
use skein_types::mission::SliceState;
use skein_types::safety::Surroundings;
use skein_types::sensing::SensorFrame;
use skein_types::telemetry::{AgentTelemetry, LinkState};
use skein_types::time::MonoTime;

use crate::behavior::CycleContext;
use crate::config::AgentConfig;
use crate::control_loop::{self, Decision};
use crate::coordination::Coordination;
use crate::io::{Input, ManualRefused, Output, OverrideCommand, TimerKind};
use crate::localization::Localization;
use crate::localization::obstacle_layer::PeerMask;
use crate::navigation::{CONTROL_PERIOD, Navigation};
use crate::reporting::Reporting;
use crate::safety::{LatchChange, Safety};
use crate::status::{AgentStatus, OBSTACLES_SHOWN_MAX, PlanStatus, WorldStatus};
use crate::tasking::{CommandContext, Tasking};

/// The tactical plane of one robot.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    /// When the next control cycle is due. `None` before the first input.
    cycle_at: Option<MonoTime>,
    localization: Localization,
    coordination: Coordination,
    navigation: Navigation,
    tasking: Tasking,
    safety: Safety,
    reporting: Reporting,
}

impl Agent {
    /// An agent before its first input.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        Self {
            cycle_at: None,
            localization: Localization::new(),
            coordination: Coordination::new(&config),
            navigation: Navigation::new(config.map.clone(), &config.descriptor),
            tasking: Tasking::new(),
            safety: Safety::new(&config),
            reporting: Reporting::new(&config),
            config,
        }
    }

    /// One mutation. Drain its effects with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        self.safety.on_input(now, || self.coordination.peer_names(now), &mut self.reporting);
        match input {
            Input::Sensors(frame) => self.on_sensors(now, frame),
            Input::Reflex(report) => self.safety.on_reflex_report(report),
            Input::Intent(intent) => {
                self.safety.on_intent(now, &intent.sender);
                let sight = self.localization.sight_of(&self.config, &intent);
                self.step_coordinator(now, skein_coord::Input::SightedIntent { intent, sight });
            }
            Input::Hazard(hazard) => {
                self.step_coordinator(now, skein_coord::Input::Hazard(hazard));
                self.publish_surroundings(now);
            }
            Input::MapHazard { from, entry } => {
                self.step_coordinator(now, skein_coord::Input::MapHazard { from, entry });
            }
            Input::Hazards(entries) => self.step_coordinator(now, skein_coord::Input::MapHazards(entries)),
            Input::PeerAlive { agent, alive } => {
                self.step_coordinator(now, skein_coord::Input::PeerAlive { agent, alive });
            }
            Input::Command(command) => self.on_command(now, &command),
            Input::Link(link) => self.on_link_change(now, link),
            Input::Latch(latches) => self.on_latch(now, latches),
            Input::Override(command) => self.on_manual_override(now, command),
            Input::GiveBack { by } => self.on_give_back(now, &by),
            Input::ReflexStats(stats) => self.safety.on_reflex_stats(stats),
            Input::Wall(wall) => self.reporting.set_wall(now, wall),
            Input::Cycle => {}
        }
        self.run_timers(now);
    }

    /// What has to be done outside, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.reporting.poll_output()
    }

    /// When to call [`Self::handle`] with [`Input::Cycle`] at the latest. `None` before the first input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, TimerKind)> {
        let cycle = self.cycle_at.map(|at| (at, TimerKind::Cycle));
        let coordination = self.coordination.next_deadline().map(|at| (at, TimerKind::Coordination));
        [cycle, coordination].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Mission and generation of its task, for the Hello of a new stream.
    #[must_use]
    pub fn working_on(&self) -> Option<(MissionId, Generation)> {
        self.tasking.working_on()
    }

    /// The last command that took effect, for the Hello of a new stream.
    #[must_use]
    pub const fn last_command(&self) -> Option<CommandId> {
        self.tasking.last_command()
    }

    /// Whether an operator may drive now; a shell answers 409 with the error.
    ///
    /// # Errors
    /// [`ManualRefused`]: the robot is latched, has no power, no pose or an old one.
    pub fn may_override(&self, now: MonoTime) -> Result<(), ManualRefused> {
        let pose_age = self.localization.pose().map(|_| now.since(self.localization.pose_at()));
        self.safety.may_override(pose_age, self.localization.is_unpowered())
    }

    /// An operator has control and has not given it back.
    #[must_use]
    pub const fn is_manual(&self) -> bool {
        self.safety.manual().is_manual()
    }

    /// The operator who has control, for the record that survives the process.
    #[must_use]
    pub const fn manual_operator(&self) -> Option<&OperatorId> {
        self.safety.manual().operator()
    }

    /// The highest term of a planner seen in commands.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.tasking.term()
    }

    /// Runs the timers that are due.
    fn run_timers(&mut self, now: MonoTime) {
        self.coordination.on_time(now, &mut self.reporting);
        let due = *self.cycle_at.get_or_insert(now);
        if due <= now {
            let next = due + CONTROL_PERIOD;
            self.cycle_at = Some(if next > now { next } else { now + CONTROL_PERIOD });
            self.reporting.counters_mut().cycles += 1;
            self.run_cycle(now);
        }
    }

    fn on_sensors(&mut self, now: MonoTime, frame: Box<SensorFrame>) {
        let effect = self.localization.on_frame(frame);
        if let Some(distance) = effect.relocalized {
            self.reporting.emit_event(now, EventKind::System, "relocalized", &json!({ "by_m": distance }));
            self.navigation.clear_path();
        }
        if effect.new_scan {
            self.integrate_scan(now);
        }
        if let Some(pose) = self.localization.trusted_pose() {
            self.tasking.on_position(&self.config.map, pose.position);
        }
        self.sample_telemetry(now);
    }

    fn integrate_scan(&mut self, now: MonoTime) {
        let masks = self.coordination.peer_masks(now, self.position());
        if let Some(disagrees) = self.localization.integrate_scan(now, &self.config.map, &masks) {
            let name = if disagrees { "map_disagrees" } else { "map_agrees" };
            let payload = json!({ "consistency": self.localization.obstacles().consistency() });
            self.reporting.emit_event(now, EventKind::Decision, name, &payload);
        }
        self.share_obstacles(now, &masks);
    }

    /// Keeps the obstacles of the shared map as the lidar sees them.
    fn share_obstacles(&mut self, now: MonoTime, masks: &[PeerMask]) {
        let mut gone = self.localization.check_obstacles(self.coordination.reported_obstacles());
        gone.extend(self.coordination.own_obstacles_taken_by(masks));
        self.coordination.clear_obstacles(now, &gone, &mut self.reporting);
        let hears_peers = self.safety.links().state().mesh;
        let still = self.localization.still_obstacles(now, &self.config.map, hears_peers);
        self.coordination.report_obstacles(now, &still, &mut self.reporting);
        self.coordination.note_seen(&self.config.map, self.localization.obstacles());
    }

    fn step_coordinator(&mut self, now: MonoTime, input: skein_coord::Input) {
        self.coordination.step_coordinator(now, input, &mut self.reporting);
    }

    fn on_link_change(&mut self, now: MonoTime, link: LinkState) {
        if self.safety.on_link_change(now, link, &mut self.reporting) {
            self.reporting.progress_mut().report_all();
        }
    }

    fn on_latch(&mut self, now: MonoTime, latches: LatchSet) {
        match self.safety.on_latch(now, latches, &mut self.reporting) {
            LatchChange::Latched => {
                self.navigation.stand(now);
                let speed_max = self.config.descriptor.speed_max.get();
                self.reporting.publish_setpoint(now, Twist::ZERO, 0.0, speed_max);
            }
            LatchChange::Released => self.interrupt_task(),
            LatchChange::SameLevel => {}
        }
        self.publish_surroundings(now);
    }

    fn on_manual_override(&mut self, now: MonoTime, command: OverrideCommand) {
        let taken =
            self.may_override(now).and_then(|()| self.safety.on_manual_override(now, command, &mut self.reporting));
        if let Err(refused) = taken {
            self.reporting.override_refused(now, &refused);
        }
    }

    fn on_give_back(&mut self, now: MonoTime, by: &Principal) {
        if self.safety.on_give_back(now, by, &mut self.reporting) {
            self.interrupt_task();
        }
    }

    /// The robot may be elsewhere than its path expects: plans again.
    fn interrupt_task(&mut self) {
        self.tasking.on_interruption();
        self.navigation.reset();
    }

    fn on_command(&mut self, now: MonoTime, command: &CloudCommand) {
        if matches!(command.order, Order::EventsKept { .. })
            || !self.tasking.admit_command(now, command, &mut self.reporting)
        {
            return;
        }
        let outcome = self.execute_command(now, command);
        self.tasking.complete_command(now, command, outcome, &mut self.reporting);
    }

    fn execute_command(&mut self, now: MonoTime, command: &CloudCommand) -> CommandOutcome {
        let position = self.position();
        let Self { config, navigation, reporting, .. } = self;
        let mut ctx = CommandContext { now, config, position, navigation, reporting };
        match &command.order {
            Order::Assign(assignment) => self.tasking.assign(&mut ctx, command, assignment),
            Order::Pause(mission) => {
                self.tasking.change_state(&mut ctx, *mission, SliceState::Paused, "paused by the supervisor")
            }
            Order::Resume(mission) => {
                self.tasking.change_state(&mut ctx, *mission, SliceState::MovingToStart, "resumed")
            }
            Order::Cancel(mission) => {
                self.tasking.change_state(&mut ctx, *mission, SliceState::Cancelled, "cancelled by the supervisor")
            }
            Order::Hazards(entries) => {
                self.step_coordinator(now, skein_coord::Input::MapHazards(entries.clone()));
                CommandOutcome::Done
            }
            Order::EventsKept { .. } | Order::Latch(_) | Order::Lease(_) => CommandOutcome::Done,
        }
    }

    /// One control cycle.
    fn run_cycle(&mut self, now: MonoTime) {
        let cliffs = self.localization.cliffs(self.config.descriptor.radius.get());
        self.coordination.report_cliffs(now, &cliffs, &mut self.reporting);
        let Decision { output, state, why } = self.decide(now);
        self.reporting.set_reason(now, state, &why);
        let speed_max = self.config.descriptor.speed_max.get();
        self.reporting.publish_setpoint(now, output.twist, output.speed_limit, speed_max);
        self.publish_surroundings(now);
        self.tasking.report_given_up(now, &self.config, &mut self.reporting);
        self.tasking.report_progress(now, self.eta(), &mut self.reporting);
    }

    fn decide(&mut self, now: MonoTime) -> Decision {
        let Some(pose) = self.localization.pose() else {
            return Decision::stand(AgentState::Idle, "waits for its first pose estimate");
        };
        let mut ctx = CycleContext {
            now,
            pose,
            config: &self.config,
            localization: &self.localization,
            safety: &mut self.safety,
            coordination: &mut self.coordination,
            navigation: &mut self.navigation,
            reporting: &mut self.reporting,
        };
        control_loop::decide(&mut ctx, &mut self.tasking)
    }

    fn publish_surroundings(&mut self, now: MonoTime) {
        let near = self.position();
        let surroundings = Surroundings {
            peers: self.coordination.surroundings_peers(near),
            hazards: self.coordination.surroundings_hazards(now, near),
            causes: self.safety.causes(),
        };
        self.reporting.emit(Output::Surroundings(Box::new(surroundings)));
    }

    /// One sample of telemetry for each sensor frame.
    fn sample_telemetry(&mut self, now: MonoTime) {
        let Some(frame) = self.localization.frame() else { return };
        let (failsafe, causes) = self.safety.failsafe();
        let pose = self.localization.pose();
        let sample = AgentTelemetry {
            agent: self.config.id.clone(),
            at: self.reporting.wall(now),
            sequence: self.reporting.next_sample(),
            pose: pose.unwrap_or(frame.estimate.pose),
            position_std: frame.estimate.position_std,
            twist: frame.twist,
            battery: frame.battery.charge,
            mode: self.safety.mode(pose.is_some()),
            state: self.reporting.reason().state(),
            failsafe,
            causes,
            mission: self.working_on().map(|(mission, _)| mission),
            link: self.safety.links().state(),
            peers_visible: u32::try_from(self.coordination.peer_count()).unwrap_or(u32::MAX),
            reflex: *self.safety.reflex_stats(),
            why: self.reporting.reason().why().to_owned(),
        };
        self.reporting.add_sample(sample);
    }

    /// Where the robot is (map frame); home when that is not known.
    fn position(&self) -> Point {
        self.localization.pose().unwrap_or(self.config.home).position
    }

    /// Seconds to the end of its task.
    fn eta(&self) -> Option<f64> {
        self.tasking.eta(self.localization.pose().map(|pose| pose.position), &self.navigation)
    }

    /// Everything an engineer may ask, at the time `now`.
    #[must_use]
    pub fn status(&self, now: MonoTime) -> AgentStatus {
        let frame = self.localization.frame();
        let battery = self.localization.battery();
        let pose = self.localization.pose();
        AgentStatus {
            agent: self.config.id.clone(),
            fleet: self.config.fleet.clone(),
            boot: self.config.boot,
            mode: self.safety.mode(pose.is_some()),
            state: self.reporting.reason().state(),
            why: self.reporting.reason().why().to_owned(),
            reasons: self.reporting.reason().past(now),
            latch: self.safety.latches().level(),
            latches: self.safety.latches().clone(),
            manual: self.safety.manual_status(),
            manual_refused: self.may_override(now).err(),
            pose: pose.unwrap_or(self.config.home),
            position_std: frame.map_or(0.0, |frame| frame.estimate.position_std.get()),
            twist: self.localization.twist(),
            battery: battery.charge.get(),
            charging: battery.charging,
            mission: self.tasking.active().map(|task| task.status(self.config.cell_area())),
            failsafe: self.safety.failsafe_status(),
            link: self.safety.links().state(),
            plan: self.plan_status(),
            world: self.world_status(now),
            peers: self.coordination.peer_status(now, self.position()),
            reflex: self.safety.reflex_status(),
            counters: *self.reporting.counters(),
        }
    }

    fn plan_status(&self) -> PlanStatus {
        let mut status = self.navigation.status();
        if let Some(viewpoints) = self.tasking.viewpoints() {
            status.viewpoints = viewpoints;
        }
        status.eta = self.eta();
        status
    }

    fn world_status(&self, now: MonoTime) -> WorldStatus {
        let frame = self.config.map.frame();
        let obstacles = self.localization.obstacles();
        WorldStatus {
            obstacles: obstacles.obstacles().take(OBSTACLES_SHOWN_MAX).map(|cell| frame.center_of(cell)).collect(),
            blocked: self.navigation.blocked_places(now),
            hazards: self.coordination.hazard_status(now, self.position()),
            consistency: obstacles.consistency(),
            swept: self.tasking.covered_cells() as f64 * self.config.cell_area(),
        }
    }
}
