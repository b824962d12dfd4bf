//! The supervisor's API for people, `MissionControl`.

use core::future::Future;
use core::time::Duration;

use skein_types::fleet::RobotView;
use skein_types::ids::{AgentId, MissionId, OperatorId};
use skein_types::mission::{Mission, MissionSpec, Preview};
use skein_wire::request::{
    Explanation, HeldLease, KillOrder, Lease, Leases, Missions, ReleaseOrder, ReleaseOutcomes, RenewLease,
    RobotOutcome, Robots, StopOrder, StopOutcomes, Submit, TakeLease, Targets,
};
use skein_wire::v1::mission_control_client::MissionControlClient;
use skein_wire::{MESSAGE_BYTES_MAX, v1};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::failure::{Exit, Failure};
use crate::latch_request::{Ask, Caller, Level, Request};

/// Longest time to wait for an answer when `--timeout` is absent.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest time to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The operator's name and lease are in the metadata of every request.
impl Interceptor for Caller {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let mut put = |name: &'static str, value: &str| {
            let value: MetadataValue<Ascii> = value.parse().map_err(|_| Status::invalid_argument(name))?;
            request.metadata_mut().insert(name, value);
            Ok::<_, Status>(())
        };
        if let Some(operator) = &self.operator {
            put("skein-operator", operator.as_str())?;
        }
        if let Some(lease) = &self.lease {
            put("skein-lease", &lease.to_string())?;
        }
        Ok(request)
    }
}

/// A connection to a supervisor.
#[derive(Clone)]
pub(crate) struct Cloud {
    client: MissionControlClient<InterceptedService<Channel, Caller>>,
    channel: Channel,
    answer_within: Duration,
}

impl Cloud {
    /// Connects; a supervisor that does not answer is a failure that says so.
    pub(crate) async fn connect(url: &str, answer_within: Duration) -> Result<Self, Failure> {
        let channel = endpoint(url)?.connect().await.map_err(|error| unreachable(url, &error))?;
        Ok(Self::over(channel, Caller::default(), answer_within))
    }

    /// Connects at the first request, and again whenever the connection was lost.
    pub(crate) fn lazy(url: &str, answer_within: Duration) -> Result<Self, Failure> {
        Ok(Self::over(endpoint(url)?.connect_lazy(), Caller::default(), answer_within))
    }

    /// The same connection, with the name of the person who gives the commands.
    pub(crate) fn called_by(self, caller: Caller) -> Self {
        Self::over(self.channel, caller, self.answer_within)
    }

    fn over(channel: Channel, caller: Caller, answer_within: Duration) -> Self {
        let client = MissionControlClient::with_interceptor(channel.clone(), caller)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Self { client, channel, answer_within }
    }

    async fn within<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.answer_within, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("").into()),
        }
    }

    pub(crate) async fn preview(&self, spec: MissionSpec) -> Result<Preview, Failure> {
        let request: v1::PreviewMissionRequest = spec.into();
        Ok(self.within(self.client.clone().preview_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn submit(&self, spec: MissionSpec, key: String) -> Result<Mission, Failure> {
        let request: v1::SubmitMissionRequest = Submit { spec, key }.into();
        Ok(self.within(self.client.clone().submit_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn pause(&self, mission: MissionId) -> Result<Mission, Failure> {
        let request = v1::PauseMissionRequest { mission: mission.to_string() };
        Ok(self.within(self.client.clone().pause_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn resume_mission(&self, mission: MissionId) -> Result<Mission, Failure> {
        let request = v1::ResumeMissionRequest { mission: mission.to_string() };
        Ok(self.within(self.client.clone().resume_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn cancel(&self, mission: MissionId, reason: String) -> Result<Mission, Failure> {
        let request = v1::CancelMissionRequest { mission: mission.to_string(), reason };
        Ok(self.within(self.client.clone().cancel_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn missions(&self) -> Result<Vec<Mission>, Failure> {
        let request = v1::ListMissionsRequest::default();
        let Missions(missions) = self.within(self.client.clone().list_missions(request)).await?.try_into()?;
        Ok(missions)
    }

    pub(crate) async fn mission(&self, mission: MissionId) -> Result<Mission, Failure> {
        let request = v1::GetMissionRequest { mission: mission.to_string() };
        Ok(self.within(self.client.clone().get_mission(request)).await?.try_into()?)
    }

    pub(crate) async fn robots(&self) -> Result<Vec<RobotView>, Failure> {
        let request = v1::ListRobotsRequest {};
        let Robots(robots) = self.within(self.client.clone().list_robots(request)).await?.try_into()?;
        Ok(robots)
    }

    pub(crate) async fn robot(&self, robot: &AgentId) -> Result<RobotView, Failure> {
        let request = v1::GetRobotRequest { robot: robot.to_string() };
        Ok(self.within(self.client.clone().get_robot(request)).await?.try_into()?)
    }

    pub(crate) async fn why(&self, robot: &AgentId) -> Result<Explanation, Failure> {
        let request = v1::WhyRequest { robot: robot.to_string() };
        Ok(self.within(self.client.clone().why(request)).await?.try_into()?)
    }

    /// STOP, KILL or RELEASE; answers what the supervisor knows of each robot at once.
    pub(crate) async fn latch(&self, request: &Request) -> Result<Vec<RobotOutcome>, Failure> {
        let (id, at) = (Some(request.id), Some(request.at));
        let targets = |robots: Option<Vec<AgentId>>| robots.map_or(Targets::All, Targets::Robots);
        let reason = request.reason.clone();
        match &request.ask {
            Ask::Raise { level: Level::Stop, robots } => {
                let order = StopOrder { targets: targets(robots.clone()), reason, request: id, at };
                let wire: v1::StopRequest = order.into();
                let StopOutcomes(outcomes) = self.within(self.client.clone().stop(wire)).await?.try_into()?;
                Ok(outcomes)
            }
            Ask::Raise { level: Level::Kill, robots } => {
                let mut outcomes = Vec::new();
                for robot in robots.iter().flatten().cloned() {
                    let wire: v1::KillRequest = KillOrder { robot, reason: reason.clone(), request: id, at }.into();
                    outcomes.push(self.within(self.client.clone().kill(wire)).await?.try_into()?);
                }
                Ok(outcomes)
            }
            Ask::Release(seen) => {
                let own = seen.robots.iter().map(|(robot, epoch)| (Some(robot.clone()), *epoch));
                let epochs = seen.fleet.map(|epoch| (None, epoch)).into_iter().chain(own).collect();
                let order = ReleaseOrder { targets: targets(request.named()), reason, request: id, epochs };
                let wire: v1::ReleaseRequest = order.into();
                let ReleaseOutcomes(outcomes) = self.within(self.client.clone().release(wire)).await?.try_into()?;
                Ok(outcomes)
            }
        }
    }

    pub(crate) async fn take_lease(
        &self,
        operator: OperatorId,
        robots: Vec<AgentId>,
        time_to_live: Duration,
    ) -> Result<Lease, Failure> {
        let wire: v1::TakeLeaseRequest = TakeLease { operator, robots, time_to_live }.into();
        Ok(self.within(self.client.clone().take_lease(wire)).await?.try_into()?)
    }

    pub(crate) async fn renew_lease(&self, id: Uuid, time_to_live: Duration) -> Result<Lease, Failure> {
        let wire: v1::RenewLeaseRequest = RenewLease { id, time_to_live }.into();
        let answer = self.within(self.client.clone().renew_lease(wire)).await?;
        Ok(answer.try_into()?)
    }

    pub(crate) async fn release_lease(&self, id: Uuid) -> Result<(), Failure> {
        let wire = v1::ReleaseLeaseRequest { lease: id.to_string() };
        self.within(self.client.clone().release_lease(wire)).await.map(drop)
    }

    pub(crate) async fn leases(&self) -> Result<Vec<HeldLease>, Failure> {
        let wire = v1::ListLeasesRequest {};
        let Leases(leases) = self.within(self.client.clone().list_leases(wire)).await?.try_into()?;
        Ok(leases)
    }
}

fn endpoint(url: &str) -> Result<Endpoint, Failure> {
    let wrong = || {
        Failure::usage(format!("\"{url}\" is not the address of a supervisor"))
            .help("write it as http://127.0.0.1:8000")
    };
    if !url.starts_with("http://") {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
    Ok(endpoint.connect_timeout(CONNECT_WITHIN))
}

fn unreachable(url: &str, error: &tonic::transport::Error) -> Failure {
    let mut cause: &dyn core::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::new(Exit::Unreachable, format!("no supervisor answers at {url}: {cause}"))
        .help("start a fleet with `skein up`, or name another supervisor with --cloud URL")
}
