//! Submits a survey over gRPC and follows it to its end.
//!
//! ```console
//! $ skein up --robots 3
//! $ cargo run -p skein --example submit_mission -- http://127.0.0.1:8000
//! ```
//!
//! The same calls work from any language: the schema is `proto/schema/skein/v1/mission_control.proto`.

use std::error::Error;
use std::time::Duration;

use skein_types::geometry::Point;
use skein_types::mission::{Mission, MissionSpec, Objective, Priority};
use skein_types::polygon::Polygon;
use skein_wire::request::Submit;
use skein_wire::v1::mission_control_client::MissionControlClient;
use skein_wire::v1::{GetMissionRequest, SubmitMissionRequest};
use tonic::Request;
use tonic::transport::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
    let mut supervisor = MissionControlClient::new(Endpoint::from_shared(url)?.connect().await?);

    // A rectangle in metres of the map's frame. Checked types become wire messages with `into`.
    let spec = MissionSpec {
        name: "example".to_owned(),
        objective: Objective::Survey,
        zone: Polygon::rectangle(Point::new(2.0, 2.0), Point::new(10.0, 8.0))?,
        priority: Priority::NORMAL,
        robots: Vec::new(),
        return_home: false,
    };
    // The key makes the request safe to repeat: the same key again is the same mission.
    let key = format!("example-{}", std::process::id());
    let mut request: Request<SubmitMissionRequest> = Request::new(Submit { spec, key }.into());
    request.metadata_mut().insert("skein-operator", "example".parse()?);

    // Wire messages become checked types with `try_into`; the error names the field that is wrong.
    let mut mission: Mission = supervisor.submit_mission(request).await?.into_inner().try_into()?;
    println!("submitted {} of {:.1} m²", mission.id, mission.area);
    while !mission.state.is_terminal() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = GetMissionRequest { mission: mission.id.to_string() };
        mission = supervisor.get_mission(request).await?.into_inner().try_into()?;
        println!("{:?} at {:.1} % with {} robots", mission.state, mission.covered.0, mission.slices.len());
    }
    println!("{:?} {}", mission.state, mission.reason);
    Ok(())
}
