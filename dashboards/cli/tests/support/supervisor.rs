//! Supervisors in each state: dead, hanging, and one that answers.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use skein_wire::v1;
use skein_wire::v1::mission_control_server::{MissionControl, MissionControlServer};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// An address at which nothing listens.
pub(crate) fn dead() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Takes connections and never answers, as a process that was stopped with SIGSTOP does.
pub(crate) async fn hanging() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    address
}

/// What an answering supervisor knows and was asked.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) robots: Vec<v1::RobotView>,
    pub(crate) mission: Option<v1::Mission>,
    /// Name of the call, operator and lease of each change.
    pub(crate) calls: Vec<(&'static str, String, String)>,
}

/// A supervisor that answers from its desk.
#[derive(Clone, Default)]
pub(crate) struct Supervisor {
    pub(crate) desk: Arc<Mutex<Desk>>,
}

impl Supervisor {
    pub(crate) async fn serve(&self, address: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = MissionControlServer::new(self.clone());
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming);
        (address, tokio::spawn(async move { drop(server.await) }))
    }

    /// Serves from a runtime of its own, which takes every connection with it when it is shut down.
    pub(crate) fn serve_apart(&self, address: SocketAddr) -> (SocketAddr, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (supervisor, (tell, told)) = (self.clone(), std::sync::mpsc::channel());
        runtime.spawn(async move {
            let (address, server) = supervisor.serve(address).await;
            tell.send(address).unwrap();
            drop(server.await);
        });
        (told.recv().unwrap(), runtime)
    }

    fn note<T>(&self, call: &'static str, request: &Request<T>) {
        let text = |name: &str| {
            let value = request.metadata().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        self.desk.lock().unwrap().calls.push((call, text("skein-operator"), text("skein-lease")));
    }
}

type Served<T> = Result<Response<T>, Status>;
type Endless<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The calls that no test needs.
macro_rules! mission_control {
    ({ $($given:tt)* } $($name:ident($request:ident) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl MissionControl for Supervisor {
            type WatchFleetStream = Endless<v1::WatchFleetResponse>;
            type WatchEventsStream = Endless<v1::WatchEventsResponse>;
            $($given)*
            $(async fn $name(&self, _: Request<v1::$request>) -> Served<$response> {
                Err(Status::unimplemented("not part of the fake"))
            })*
        }
    };
}

mission_control! {
    {
        async fn list_robots(&self, _: Request<v1::ListRobotsRequest>) -> Served<v1::ListRobotsResponse> {
            Ok(Response::new(v1::ListRobotsResponse { robots: self.desk.lock().unwrap().robots.clone() }))
        }

        async fn stop(&self, request: Request<v1::StopRequest>) -> Served<v1::StopResponse> {
            self.note("stop", &request);
            Ok(Response::new(v1::StopResponse::default()))
        }

        async fn release(&self, request: Request<v1::ReleaseRequest>) -> Served<v1::ReleaseResponse> {
            self.note("release", &request);
            Err(Status::permission_denied("bob holds the lease"))
        }

        async fn get_mission(&self, _: Request<v1::GetMissionRequest>) -> Served<v1::GetMissionResponse> {
            Ok(Response::new(v1::GetMissionResponse { mission: self.desk.lock().unwrap().mission.clone() }))
        }

        async fn list_missions(&self, _: Request<v1::ListMissionsRequest>) -> Served<v1::ListMissionsResponse> {
            let missions = self.desk.lock().unwrap().mission.clone().into_iter().collect();
            Ok(Response::new(v1::ListMissionsResponse { missions }))
        }

        async fn take_lease(&self, request: Request<v1::TakeLeaseRequest>) -> Served<v1::TakeLeaseResponse> {
            self.note("take_lease", &request);
            let lease = v1::Lease {
                id: "0190b2f0-7b1a-7000-8000-000000000001".into(),
                operator: request.into_inner().operator,
                robots: Vec::new(),
                expires_at_unix_nanos: i64::MAX,
            };
            Ok(Response::new(v1::TakeLeaseResponse { lease: Some(lease) }))
        }

        async fn release_lease(&self, request: Request<v1::ReleaseLeaseRequest>) -> Served<v1::ReleaseLeaseResponse> {
            self.note("release_lease", &request);
            Ok(Response::new(v1::ReleaseLeaseResponse {}))
        }
    }
    preview_mission(PreviewMissionRequest) -> v1::PreviewMissionResponse;
    submit_mission(SubmitMissionRequest) -> v1::SubmitMissionResponse;
    pause_mission(PauseMissionRequest) -> v1::PauseMissionResponse;
    resume_mission(ResumeMissionRequest) -> v1::ResumeMissionResponse;
    cancel_mission(CancelMissionRequest) -> v1::CancelMissionResponse;
    kill(KillRequest) -> v1::KillResponse;
    renew_lease(RenewLeaseRequest) -> v1::RenewLeaseResponse;
    list_leases(ListLeasesRequest) -> v1::ListLeasesResponse;
    get_robot(GetRobotRequest) -> v1::GetRobotResponse;
    why(WhyRequest) -> v1::WhyResponse;
    query_events(QueryEventsRequest) -> v1::QueryEventsResponse;
    state_at(StateAtRequest) -> v1::StateAtResponse;
    watch_fleet(WatchFleetRequest) -> Self::WatchFleetStream;
    watch_events(WatchEventsRequest) -> Self::WatchEventsStream;
}
