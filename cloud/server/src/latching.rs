//! STOP, KILL and RELEASE as operators ask for them, with what each robot answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skein_supervisor::{Answer, OperatorCommand, OperatorRequest, Refusal, ReleaseCommand, RobotTargets};
use skein_types::authority::{LatchAction, LatchRequest, LatchScope, Principal};
use skein_types::fleet::LatchDurability;
use skein_types::ids::{AgentId, CommandId};
use skein_types::link::CommandOutcome;
use skein_types::safety::Latch;
use skein_wire::request::RobotOutcome;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::control::{Caller, Release, Services, StopCommand};
use crate::core_actor::CoreMessage;
use crate::problem::Problem;

/// How long a request about latches waits for robots and the core before it answers which have not.
const OUTCOMES_WITHIN: Duration = Duration::from_secs(1);
/// How long the record of a STOP may wait for a core that is busy.
const RECORD_WITHIN: Duration = Duration::from_secs(60);

impl Services {
    /// Stops robots: on their streams first, then in the core, then the answers are collected. The order of these steps
    /// is what makes it independent of the core, of planning and of the disk.
    pub(crate) async fn stop(&self, by: Principal, command: StopCommand) -> Result<Vec<RobotOutcome>, Problem> {
        let StopCommand { targets, action, reason, id, at } = command;
        let scope = if targets == RobotTargets::All { LatchScope::Fleet } else { LatchScope::Robot };
        let id = id.unwrap_or_else(|| CommandId(Uuid::now_v7()));
        let request = LatchRequest { id, scope, action, reason, by: by.clone(), at: at.unwrap_or_else(clock::wall) };
        let mut acks = self.lane.collect(id);
        let sent: BTreeSet<AgentId> = self.lane.stop(&targets, &request).into_iter().collect();
        let command = OperatorCommand::Stop { targets: targets.clone(), request, sent: true };
        let mut recorded = self.record(OperatorRequest { by, lease: None, command });

        let mut outcomes = BTreeMap::new();
        let mut answer = None;
        let end = tokio::time::sleep_until(deadline());
        tokio::pin!(end);
        while outcomes.len() < sent.len() || answer.is_none() {
            tokio::select! {
                Some((agent, outcome)) = acks.next() => drop(outcomes.insert(agent, outcome)),
                result = &mut recorded, if answer.is_none() => {
                    answer = Some(result.ok());
                    if let Some(Some(Err(refusal))) = &answer && sent.is_empty() {
                        return Err(refusal.clone().into());
                    }
                }
                () = &mut end => break,
            }
        }
        let level = if action == LatchAction::Kill { Latch::Kill } else { Latch::Stop };
        Ok(self.stop_outcomes(&targets, &sent, &outcomes, answer.flatten(), level))
    }

    /// Hands a STOP to the core ahead of everything else. When even that lane is full, a task waits for its turn.
    fn record(&self, request: OperatorRequest) -> oneshot::Receiver<Result<Answer, Refusal>> {
        let (reply, answer) = oneshot::channel();
        let message = CoreMessage::Request { request: Box::new(request), reply };
        if let Err(message) = self.core.send_urgent(message) {
            let core = self.core.clone();
            self.tasks.spawn(async move {
                let handed = tokio::time::timeout(RECORD_WITHIN, core.wait_urgent(*message)).await;
                if !matches!(handed, Ok(Ok(()))) {
                    tracing::error!("a STOP that was sent could not be recorded: the core does not answer");
                }
            });
        }
        answer
    }

    fn stop_outcomes(
        &self,
        targets: &RobotTargets,
        sent: &BTreeSet<AgentId>,
        acks: &BTreeMap<AgentId, CommandOutcome>,
        answer: Option<Result<Answer, Refusal>>,
        level: Latch,
    ) -> Vec<RobotOutcome> {
        let (known, unknown) = match answer {
            Some(Ok(Answer::Latched { robots, unknown, .. })) => (Some(robots), unknown),
            Some(Ok(_) | Err(_)) | None => (None, Vec::new()),
        };
        let recorded = known.is_some();
        let mut robots: BTreeSet<AgentId> = sent.iter().cloned().chain(known.unwrap_or_default()).collect();
        if let RobotTargets::These(named) = targets {
            robots.extend(named.iter().cloned());
        }
        let outcome = |robot: AgentId| {
            let text = if unknown.contains(&robot) {
                "no robot of this name is known".to_owned()
            } else if sent.contains(&robot) {
                silent_text()
            } else if recorded {
                "is not connected; it is stopped as soon as it connects".to_owned()
            } else {
                "has no stream here, and the supervisor is busy: try the robot itself".to_owned()
            };
            self.outcome(robot, acks, Some(level), text)
        };
        robots.into_iter().map(outcome).collect()
    }

    /// What a robot answered, or why it did not.
    fn outcome(
        &self,
        robot: AgentId,
        acks: &BTreeMap<AgentId, CommandOutcome>,
        raised_to: Option<Latch>,
        silent: String,
    ) -> RobotOutcome {
        let (latches, reported) = self.lane.latches(&robot);
        let (acknowledged, text) = match acks.get(&robot) {
            Some(CommandOutcome::Accepted | CommandOutcome::Done) => (true, String::new()),
            Some(CommandOutcome::Rejected(why) | CommandOutcome::Failed(why)) => (false, why.clone()),
            None => (false, silent),
        };
        // The report of the latch may be some milliseconds behind the acknowledgement, which comes after the robot's disk.
        let durability = if acknowledged { LatchDurability::Kept } else { reported };
        let latch = if acknowledged { latches.level().max(raised_to.unwrap_or_default()) } else { latches.level() };
        RobotOutcome { robot, acknowledged, latch, text, latches, durability }
    }

    /// Releases robots: recorded first, then sent.
    pub(crate) async fn release(&self, caller: Caller, release: Release) -> Result<Vec<RobotOutcome>, Problem> {
        let id = release.id.unwrap_or_else(|| CommandId(Uuid::now_v7()));
        let mut acks = self.lane.collect(id);
        let command = OperatorCommand::Release(ReleaseCommand {
            targets: release.targets,
            request: id,
            at: clock::wall(),
            reason: release.reason,
            epochs: release.epochs,
        });
        let Answer::Latched { robots, settled, .. } = self.request(caller, command).await? else {
            return Err(crate::control::mixed_up());
        };
        let connected = robots.iter().filter(|robot| self.lane.is_connected(robot)).count();
        let mut outcomes: BTreeMap<AgentId, CommandOutcome> =
            settled.into_iter().map(|robot| (robot, CommandOutcome::Done)).collect();
        let end = deadline();
        while outcomes.len() < connected {
            match tokio::time::timeout_at(end, acks.next()).await {
                Ok(Some((agent, outcome))) => drop(outcomes.insert(agent, outcome)),
                Ok(None) | Err(_) => break,
            }
        }
        let outcome = |robot: AgentId| {
            let silent = if self.lane.is_connected(&robot) {
                silent_text()
            } else {
                "is not connected; it is released when it connects, unless it was stopped again".to_owned()
            };
            self.outcome(robot, &outcomes, None, silent)
        };
        Ok(robots.into_iter().map(outcome).collect())
    }
}

fn silent_text() -> String {
    "has not answered yet; it is told again until it does".to_owned()
}

fn deadline() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the runtime's own clock is what its timer wants")]
    let now = Instant::from_std(std::time::Instant::now());
    now + OUTCOMES_WITHIN
}
