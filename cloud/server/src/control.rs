//! People and programs: `MissionControl`.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use skein_supervisor::{Answer, LeaseView, OperatorCommand, OperatorRequest, RobotTargets};
use skein_types::authority::{Epoch, LatchAction, LatchRegister, Principal};
use skein_types::fleet::{FleetView, RobotView};
use skein_types::ids::{AgentId, CommandId, EventId, MissionId, OperatorId};
use skein_types::mission::{Mission, MissionSpec, Preview};
use skein_types::time::WallTime;
use skein_wire::bounds::DECISIONS_MAX;
use skein_wire::request::{
    EventFilter, Explanation, HeldLease, KillOrder, Lease, Missions, ReleaseOrder, ReleaseOutcomes, RenewLease, Robots,
    StopOrder, StopOutcomes, Submit, TakeLease, Targets, mission_id, mission_states, robot_id,
};
use skein_wire::v1;
use skein_wire::v1::mission_control_server::MissionControl;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::core_actor::{CoreHandle, CoreMessage, Published};
use crate::events::Records;
use crate::meter::Meter;
use crate::problem::Problem;
use crate::stop_lane::StopLane;
use crate::viewer::{HEARTBEAT, Viewer, seen};

/// The metadata key under which a caller says its name.
pub(crate) const OPERATOR_KEY: &str = "skein-operator";
/// The metadata key under which a caller shows its lease.
pub(crate) const LEASE_KEY: &str = "skein-lease";
/// Messages that may wait for one viewer.
const VIEW_QUEUE: usize = 2;
/// A record's entries that may wait for one viewer.
const EVENT_QUEUE: usize = 64;
/// Decisions that explain a robot.
const DECISIONS: usize = 20;

/// A STOP or KILL.
pub(crate) struct StopCommand {
    pub(crate) targets: RobotTargets,
    pub(crate) action: LatchAction,
    pub(crate) reason: String,
    /// The client's id, so that the same request over several paths takes effect once.
    pub(crate) id: Option<CommandId>,
    pub(crate) at: Option<WallTime>,
}

/// A RELEASE.
pub(crate) struct Release {
    pub(crate) targets: RobotTargets,
    pub(crate) reason: String,
    pub(crate) id: Option<CommandId>,
    pub(crate) epochs: Vec<(Option<AgentId>, Epoch)>,
}

/// What every service needs.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) core: CoreHandle,
    pub(crate) lane: Arc<StopLane>,
    pub(crate) records: Records,
    pub(crate) published: Published,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    pub(crate) epoch: u64,
}

/// Who calls, and the lease that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) by: Principal,
    pub(crate) lease: Option<Uuid>,
}

impl Caller {
    /// From the texts of the metadata or headers.
    pub(crate) fn new(operator: Option<&str>, lease: Option<&str>) -> Result<Self, Problem> {
        Ok(Self { by: principal(operator)?, lease: shown_lease(lease)? })
    }

    /// Of a STOP: a name or lease that makes no sense must not keep it from being obeyed.
    pub(crate) fn of_stop(operator: Option<&str>) -> Principal {
        principal(operator).unwrap_or_else(|_| anonymous())
    }
}

fn principal(operator: Option<&str>) -> Result<Principal, Problem> {
    let Some(name) = operator.filter(|name| !name.is_empty()) else { return Ok(anonymous()) };
    OperatorId::new(name).map(Principal::Operator).map_err(|error| {
        Problem::new(
            axum::http::StatusCode::BAD_REQUEST,
            "bad_operator",
            format!("{OPERATOR_KEY} {name:?} {error}"),
            "use lower-case letters, digits, - and _",
        )
    })
}

/// An operator who gave no name. The name is well-formed; only if it were not, the supervisor itself would stand here.
fn anonymous() -> Principal {
    OperatorId::new("anonymous").map_or_else(|_| LatchRegister::released().by, Principal::Operator)
}

impl Services {
    /// Gives a request to the core.
    pub(crate) async fn request(&self, caller: Caller, command: OperatorCommand) -> Result<Answer, Problem> {
        let request = Box::new(OperatorRequest { by: caller.by, lease: caller.lease, command });
        Ok(self.core.ask(|reply| CoreMessage::Request { request, reply }).await??)
    }

    /// A request whose answer is a mission.
    pub(crate) async fn mission_request(&self, caller: Caller, command: OperatorCommand) -> Result<Mission, Problem> {
        match self.request(caller, command).await? {
            Answer::Mission(mission) => Ok(*mission),
            Answer::Latched { .. } | Answer::Lease(_) | Answer::Released => Err(mixed_up()),
        }
    }

    /// A request whose answer is a lease.
    pub(crate) async fn lease_request(&self, caller: Caller, command: OperatorCommand) -> Result<LeaseView, Problem> {
        match self.request(caller, command).await? {
            Answer::Lease(lease) => Ok(lease),
            Answer::Latched { .. } | Answer::Mission(_) | Answer::Released => Err(mixed_up()),
        }
    }

    /// Submits a mission under an id of its own.
    pub(crate) async fn submit(&self, caller: Caller, key: String, spec: MissionSpec) -> Result<Mission, Problem> {
        let id = MissionId(Uuid::now_v7());
        self.mission_request(caller, OperatorCommand::Submit { id, key, spec }).await
    }

    pub(crate) async fn mission(&self, id: MissionId) -> Result<Mission, Problem> {
        Ok(self.core.ask(|reply| CoreMessage::Mission(id, reply)).await??)
    }

    pub(crate) async fn robot(&self, agent: AgentId) -> Result<RobotView, Problem> {
        Ok(self.core.ask(|reply| CoreMessage::Robot(agent, reply)).await??)
    }

    pub(crate) async fn leases(&self) -> Result<Vec<LeaseView>, Problem> {
        Ok(self.core.ask(CoreMessage::Leases).await?)
    }

    /// Plans on a copy of the core, so that the core goes on meanwhile.
    pub(crate) async fn preview(&self, spec: MissionSpec) -> Result<Preview, Problem> {
        let copy = self.core.ask(CoreMessage::Copy).await?;
        let planned = tokio::task::spawn_blocking(move || copy.preview(crate::clock::now(), &spec));
        Ok(planned.await.map_err(|_| mixed_up())??)
    }

    /// Why a robot does what it does.
    pub(crate) async fn why(&self, robot: AgentId) -> Result<Explanation, Problem> {
        let view = self.robot(robot.clone()).await?;
        let decisions = self.records.decisions(robot, DECISIONS.min(DECISIONS_MAX)).await?;
        let Some(sample) = view.telemetry else {
            let why = "it has not said anything since the supervisor started".to_owned();
            return Ok(Explanation { why, failsafe: Default::default(), causes: Vec::new(), decisions });
        };
        let age = view.age.0;
        let why = if age > 1.0 { format!("{age:.0} s ago: {}", sample.why) } else { sample.why };
        Ok(Explanation { why, failsafe: sample.failsafe, causes: sample.causes.iter().collect(), decisions })
    }
}

pub(crate) fn mixed_up() -> Problem {
    Problem::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the answer does not fit the question",
        "look at the supervisor's log",
    )
}

/// The lease a caller shows, if it shows one.
pub(crate) fn shown_lease(text: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let parse = |text: &str| {
        Uuid::try_parse(text).map_err(|_| {
            Problem::new(
                axum::http::StatusCode::BAD_REQUEST,
                "bad_lease",
                format!("{LEASE_KEY} {text:?} is no UUID"),
                "use the id that TakeLease gave",
            )
        })
    };
    text.map(parse).transpose()
}

fn text_of<'a>(metadata: &'a MetadataMap, key: &str) -> Option<&'a str> {
    metadata.get(key).and_then(|value| value.to_str().ok())
}

fn caller_of(metadata: &MetadataMap) -> Result<Caller, Problem> {
    Caller::new(text_of(metadata, OPERATOR_KEY), text_of(metadata, LEASE_KEY))
}

fn robot_targets(targets: Targets) -> RobotTargets {
    match targets {
        Targets::All => RobotTargets::All,
        Targets::Robots(robots) => RobotTargets::These(robots),
    }
}

fn wire_lease(lease: LeaseView) -> Lease {
    let LeaseView { id, operator, robots, expires_at } = lease;
    Lease { id, operator, robots, expires_at }
}

/// The service for people and programs.
pub(crate) struct Control(pub(crate) Services);

type Watching<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Served<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MissionControl for Control {
    async fn preview_mission(&self, request: Request<v1::PreviewMissionRequest>) -> Served<v1::PreviewMissionResponse> {
        let spec = MissionSpec::try_from(request.into_inner()).map_err(Problem::from)?;
        Ok(Response::new(self.0.preview(spec).await?.into()))
    }

    async fn submit_mission(&self, request: Request<v1::SubmitMissionRequest>) -> Served<v1::SubmitMissionResponse> {
        let caller = caller_of(request.metadata())?;
        let Submit { spec, key } = Submit::try_from(request.into_inner()).map_err(Problem::from)?;
        Ok(Response::new(self.0.submit(caller, key, spec).await?.into()))
    }

    async fn pause_mission(&self, request: Request<v1::PauseMissionRequest>) -> Served<v1::PauseMissionResponse> {
        let caller = caller_of(request.metadata())?;
        let id = mission_id(&request.get_ref().mission).map_err(Problem::from)?;
        Ok(Response::new(self.0.mission_request(caller, OperatorCommand::Pause(id)).await?.into()))
    }

    async fn resume_mission(&self, request: Request<v1::ResumeMissionRequest>) -> Served<v1::ResumeMissionResponse> {
        let caller = caller_of(request.metadata())?;
        let id = mission_id(&request.get_ref().mission).map_err(Problem::from)?;
        Ok(Response::new(self.0.mission_request(caller, OperatorCommand::Resume(id)).await?.into()))
    }

    async fn cancel_mission(&self, request: Request<v1::CancelMissionRequest>) -> Served<v1::CancelMissionResponse> {
        let caller = caller_of(request.metadata())?;
        let wire = request.into_inner();
        let mission = mission_id(&wire.mission).map_err(Problem::from)?;
        let wanted = OperatorCommand::Cancel { mission, reason: wire.reason };
        Ok(Response::new(self.0.mission_request(caller, wanted).await?.into()))
    }

    async fn list_missions(&self, request: Request<v1::ListMissionsRequest>) -> Served<v1::ListMissionsResponse> {
        let states = mission_states(&request.get_ref().states).map_err(Problem::from)?;
        let missions = self.0.core.ask(|reply| CoreMessage::Missions(states, reply)).await.map_err(Problem::from)?;
        Ok(Response::new(Missions(missions).into()))
    }

    async fn get_mission(&self, request: Request<v1::GetMissionRequest>) -> Served<v1::GetMissionResponse> {
        let id = mission_id(&request.get_ref().mission).map_err(Problem::from)?;
        Ok(Response::new(self.0.mission(id).await?.into()))
    }

    async fn stop(&self, request: Request<v1::StopRequest>) -> Served<v1::StopResponse> {
        let by = Caller::of_stop(text_of(request.metadata(), OPERATOR_KEY));
        let order = StopOrder::try_from(request.into_inner()).map_err(Problem::from)?;
        let StopOrder { targets, reason, request: id, at } = order;
        let targets = robot_targets(targets);
        let command = StopCommand { targets, action: LatchAction::Stop, reason, id, at };
        Ok(Response::new(StopOutcomes(self.0.stop(by, command).await?).into()))
    }

    async fn kill(&self, request: Request<v1::KillRequest>) -> Served<v1::KillResponse> {
        let by = Caller::of_stop(text_of(request.metadata(), OPERATOR_KEY));
        let order = KillOrder::try_from(request.into_inner()).map_err(Problem::from)?;
        let KillOrder { robot, reason, request: id, at } = order;
        let targets = RobotTargets::These(vec![robot]);
        let command = StopCommand { targets, action: LatchAction::Kill, reason, id, at };
        let outcome = self.0.stop(by, command).await?.into_iter().next().ok_or_else(mixed_up)?;
        Ok(Response::new(outcome.into()))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Served<v1::ReleaseResponse> {
        let caller = caller_of(request.metadata())?;
        let order = ReleaseOrder::try_from(request.into_inner()).map_err(Problem::from)?;
        let ReleaseOrder { targets, reason, request: id, epochs } = order;
        let release = Release { targets: robot_targets(targets), reason, id, epochs };
        Ok(Response::new(ReleaseOutcomes(self.0.release(caller, release).await?).into()))
    }

    async fn take_lease(&self, request: Request<v1::TakeLeaseRequest>) -> Served<v1::TakeLeaseResponse> {
        let caller = caller_of(request.metadata())?;
        let TakeLease { operator, robots, time_to_live } =
            TakeLease::try_from(request.into_inner()).map_err(Problem::from)?;
        let command = OperatorCommand::TakeLease { id: Uuid::now_v7(), operator, robots, time_to_live };
        let lease = wire_lease(self.0.lease_request(caller, command).await?);
        Ok(Response::new(lease.into()))
    }

    async fn renew_lease(&self, request: Request<v1::RenewLeaseRequest>) -> Served<v1::RenewLeaseResponse> {
        let caller = caller_of(request.metadata())?;
        let RenewLease { id, time_to_live } = RenewLease::try_from(request.into_inner()).map_err(Problem::from)?;
        let command = OperatorCommand::RenewLease { id, time_to_live };
        let lease = wire_lease(self.0.lease_request(caller, command).await?);
        Ok(Response::new(v1::RenewLeaseResponse { lease: Some(lease.into()) }))
    }

    async fn list_leases(&self, _request: Request<v1::ListLeasesRequest>) -> Served<v1::ListLeasesResponse> {
        let held = |lease: LeaseView| {
            let LeaseView { operator, robots, expires_at, .. } = lease;
            HeldLease { operator, robots, expires_at }.into()
        };
        let leases = self.0.leases().await?.into_iter().map(held).collect();
        Ok(Response::new(v1::ListLeasesResponse { leases }))
    }

    async fn release_lease(&self, request: Request<v1::ReleaseLeaseRequest>) -> Served<v1::ReleaseLeaseResponse> {
        let caller = caller_of(request.metadata())?;
        if let Some(id) = shown_lease(Some(request.get_ref().lease.as_str()))? {
            self.0.request(caller, OperatorCommand::ReleaseLease(id)).await?;
        }
        Ok(Response::new(v1::ReleaseLeaseResponse {}))
    }

    async fn list_robots(&self, _request: Request<v1::ListRobotsRequest>) -> Served<v1::ListRobotsResponse> {
        Ok(Response::new(Robots(self.0.core.ask(CoreMessage::Robots).await.map_err(Problem::from)?).into()))
    }

    async fn get_robot(&self, request: Request<v1::GetRobotRequest>) -> Served<v1::GetRobotResponse> {
        let agent = robot_id(request.into_inner().robot).map_err(Problem::from)?;
        Ok(Response::new(self.0.robot(agent).await?.into()))
    }

    async fn why(&self, request: Request<v1::WhyRequest>) -> Served<v1::WhyResponse> {
        let agent = robot_id(request.into_inner().robot).map_err(Problem::from)?;
        Ok(Response::new(self.0.why(agent).await?.into()))
    }

    async fn query_events(&self, request: Request<v1::QueryEventsRequest>) -> Served<v1::QueryEventsResponse> {
        let wire = request.into_inner();
        let filter = EventFilter::try_from(wire.filter.unwrap_or_default()).map_err(Problem::from)?;
        Ok(Response::new(self.0.records.page(filter, wire.limit, &wire.page_token).await?.into()))
    }

    async fn state_at(&self, request: Request<v1::StateAtRequest>) -> Served<v1::StateAtResponse> {
        let at = WallTime::from_unix_nanos(request.get_ref().at_unix_nanos);
        let view: FleetView = self.0.records.state_at(at).await?;
        Ok(Response::new(view.into()))
    }

    type WatchFleetStream = Watching<v1::WatchFleetResponse>;

    async fn watch_fleet(&self, request: Request<v1::WatchFleetRequest>) -> Served<Self::WatchFleetStream> {
        let services = &self.0;
        let viewer = Viewer {
            snapshots: services.published.snapshots.clone(),
            meter: services.meter.clone(),
            epoch: services.epoch,
            notices: 0,
            since: seen(&request.get_ref().resume_token, services.epoch),
            shown: 0,
        };
        let (out, messages) = mpsc::channel(VIEW_QUEUE);
        let closing = services.closing.clone();
        services.tasks.spawn(async move {
            tokio::select! {
                () = viewer.run(out) => {}
                () = closing.cancelled() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    type WatchEventsStream = Watching<v1::WatchEventsResponse>;

    async fn watch_events(&self, request: Request<v1::WatchEventsRequest>) -> Served<Self::WatchEventsStream> {
        let wire = request.into_inner();
        let filter = EventFilter::try_from(wire.filter.unwrap_or_default()).map_err(Problem::from)?;
        let after = if wire.after.is_empty() { None } else { Some(parse_event(&wire.after)?) };
        let mut follower = self.0.records.follow(filter, after).await?;
        let (out, messages) = mpsc::channel(EVENT_QUEUE);
        let closing = self.0.closing.clone();
        self.0.tasks.spawn(async move {
            loop {
                let found = tokio::select! {
                    () = closing.cancelled() => return,
                    () = out.closed() => return,
                    found = tokio::time::timeout(HEARTBEAT, follower.next()) => found,
                };
                let messages = match found {
                    Ok(Ok(events)) => events.into_iter().map(|event| Ok(Some(event))).collect(),
                    Ok(Err(problem)) => vec![Err(Status::from(problem))],
                    Err(_elapsed) => vec![Ok(None)],
                };
                for message in messages {
                    let message = message.map(|event| v1::WatchEventsResponse { event: event.map(Into::into) });
                    if out.send(message).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }
}

/// An event's id out of a request.
pub(crate) fn parse_event(text: &str) -> Result<EventId, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            axum::http::StatusCode::BAD_REQUEST,
            "bad_event_id",
            format!("field after: {text:?} is no UUID"),
            "use the id of an event, or none to begin with what comes next",
        )
    })
}
