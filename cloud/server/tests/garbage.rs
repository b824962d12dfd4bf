//! Bad input at every door is answered with a clear error, and the server goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use skein_wire::v1;
use skein_wire::v1::mission_control_client::MissionControlClient;
use support::{channel, client, get, http, post, serve, spec};
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_refuses_with_a_problem_that_has_a_code_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let bow = r#"{"objective":"survey","zone":{"exterior":[[0,0],[5,5],[5,0],[0,5]]}}"#;
    let outside = r#"{"objective":"survey","zone":{"exterior":[[900,0],[905,0],[905,5]]}}"#;
    let search = r#"{"objective":"search","zone":{"exterior":[[0,0],[5,0],[5,5]]}}"#;
    let cases = [
        (bow, "422", "bad_zone"),
        (outside, "422", "zone_outside_map"),
        (search, "422", "objective_unsupported"),
        (r#"{"objective":"survey"}"#, "400", "missing field `zone`"),
        (r#"{"objective":"survey","zone":{},"prioritty":3}"#, "400", "prioritty"),
        (r#"{"objective":"survey","zone":{},"priority":11}"#, "400", "priorities are 1 (low) to 10"),
        (r#"{"objective":"survey","zone":{"exterior":[[1e999,0],[5,0],[5,5]]}}"#, "400", "number out of range"),
        ("[[[[", "400", "bad_json"),
        ("", "400", "missing field"),
    ];
    for (body, status, text) in cases {
        let answer = post(address, "/api/v1/missions", body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"hint\""), "{answer}");
        assert!(answer.contains(text), "{body}: {answer}");
    }
    let missing = "/api/v1/missions/00000000-0000-0000-0000-000000000001";
    assert!(get(address, missing).await.contains("unknown_mission"));
    assert!(get(address, "/api/v1/missions/7").await.contains("is no UUID"));
    assert!(get(address, "/api/v1/robots/nobody").await.contains("unknown_robot"));
    assert!(get(address, "/api/v1/events?knd=x").await.contains("knd"));
    assert!(get(address, "/healthz").await.contains("200 OK"));
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let announced = "POST /api/v1/missions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                     content-length: 100000000\r\nconnection: close\r\n\r\n";
    let answer = http(address, announced).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"), "{answer}");

    let mut big = spec((0.0, 0.0), (5.0, 5.0));
    big.name = "x".repeat(100_000_000);
    let request = v1::SubmitMissionRequest { spec: Some(big), idempotency_key: String::new() };
    let mut people = MissionControlClient::new(channel(address).await).max_encoding_message_size(200_000_000);
    let status = people.submit_mission(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    assert!(get(address, "/healthz").await.contains("200 OK"));
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_refuses_with_the_field_or_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let mut people = client(server.address()).await;
    let submit = |spec| v1::SubmitMissionRequest { spec: Some(spec), idempotency_key: String::new() };

    let mut nan = spec((0.0, 0.0), (5.0, 5.0));
    if let Some(number) = nan.zone.as_mut().and_then(|zone| zone.exterior.as_mut()).and_then(|ring| ring.xy.first_mut())
    {
        *number = f64::NAN;
    }
    let status = people.submit_mission(submit(nan)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("spec.zone"), "{}", status.message());

    let outside = people.submit_mission(submit(spec((900.0, 0.0), (910.0, 5.0)))).await.unwrap_err();
    assert_eq!(outside.code(), Code::InvalidArgument);
    assert!(outside.message().contains("outside the map"), "{}", outside.message());
    assert_eq!(outside.metadata().get("skein-code").unwrap(), "zone_outside_map");

    let unknown = v1::GetMissionRequest { mission: "00000000-0000-0000-0000-000000000001".to_owned() };
    assert_eq!(people.get_mission(unknown).await.unwrap_err().code(), Code::NotFound);
    let both =
        v1::StopRequest { robots: vec!["rover-1".to_owned()], all: true, reason: String::new(), ..Default::default() };
    assert_eq!(people.stop(both).await.unwrap_err().code(), Code::InvalidArgument);
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_protocol_end_their_connection_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let garbage: String = (0..2000_u32).map(|i| char::from(u8::try_from(i * 7 % 127).unwrap())).collect();
    let _whatever = http(address, &format!("{garbage}\r\n\r\n")).await;
    assert!(get(address, "/healthz").await.contains("200 OK"));
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_serves_health_reflection_grpc_web_and_only_pages_that_may() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel(address).await);
    let request = tonic_health::pb::HealthCheckRequest { service: "skein.v1.MissionControl".to_owned() };
    assert_eq!(health.check(request).await.unwrap().into_inner().status, 1);

    let web = "POST /skein.v1.MissionControl/ListMissions HTTP/1.1\r\nhost: localhost\r\n\
               content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\norigin: http://localhost:5173\r\n\
               content-length: 5\r\nconnection: close\r\n\r\n\0\0\0\0\0";
    let answer = http(address, web).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("grpc-status:0"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: http://localhost:5173"), "{answer}");
    let stranger = web.replace("localhost:5173", "evil.example");
    assert!(!http(address, &stranger).await.contains("access-control-allow-origin"));
    let rebound = "GET /api/v1/missions HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(http(address, rebound).await.starts_with("HTTP/1.1 421"));
    let cancel = "POST /api/v1/missions/00000000-0000-0000-0000-000000000001/cancel HTTP/1.1\r\nhost: localhost\r\n\
                  content-length: 0\r\nconnection: close\r\n\r\n";
    assert!(http(address, cancel).await.starts_with("HTTP/1.1 415"), "an empty body is no exception");
    let path = get(address, "/api/v1/robots/%ff%fe").await;
    assert!(path.starts_with("HTTP/1.1 400") && path.contains("application/problem+json"), "{path}");
    let text = "POST /api/v1/stop HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\
                connection: close\r\n\r\n{\"all\":true}";
    assert!(http(address, text).await.starts_with("HTTP/1.1 415"));
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_supervisors_never_work_on_the_same_folder() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let config = skein_cloud::serve::ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        state: dir.path().to_owned(),
        fleet: skein_types::ids::FleetId::new("test").unwrap(),
        allow_origins: Vec::new(),
    };
    let map = skein_cloud::mapfile::load(&support::map()).unwrap();
    let Err(error) = skein_cloud::serve::start(&config, map).await else { panic!("two at once") };
    assert!(error.to_string().contains("another supervisor"), "{error}");
    server.close().await.unwrap();
}
