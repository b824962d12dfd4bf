//! A robot's debug API, with real latch registers and a mesh of other fakes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use skein_types::authority::{Epoch, LatchAction, LatchRequest, LatchScope, LatchSet};
use skein_types::time::WallTime;

/// The registers of all robots of a fake fleet: the mesh carries every change at once.
#[derive(Clone, Default)]
pub(crate) struct Mesh {
    robots: Arc<Mutex<BTreeMap<String, LatchSet>>>,
    /// Requests that came in, with the robot that took each.
    pub(crate) requests: Arc<Mutex<Vec<(String, Value)>>>,
}

#[derive(Clone)]
struct Robot {
    name: String,
    mesh: Mesh,
    can_keep: bool,
}

impl Mesh {
    /// A robot on the mesh whose debug API cannot be reached.
    pub(crate) fn add(&self, name: &str) {
        self.robots.lock().unwrap().insert(name.to_owned(), LatchSet::default());
    }

    /// A robot on the mesh with a debug API.
    pub(crate) async fn serve(&self, name: &str) -> SocketAddr {
        self.serve_as(name, true).await
    }

    /// As [`Self::serve`]; `can_keep` is false for a robot whose disk is full.
    pub(crate) async fn serve_as(&self, name: &str, can_keep: bool) -> SocketAddr {
        self.add(name);
        let robot = Robot { name: name.to_owned(), mesh: self.clone(), can_keep };
        let router = Router::new()
            .route("/api/v1/stop", post(stop))
            .route("/api/v1/release", post(release))
            .route("/api/v1/latches", get(latches))
            .route("/api/v1/override", post(drive).delete(give_back))
            .with_state(robot);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    pub(crate) fn latches(&self, name: &str) -> LatchSet {
        self.robots.lock().unwrap().get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn apply(&self, name: &str, request: &LatchRequest) -> Result<LatchSet, String> {
        let mut robots = self.robots.lock().unwrap();
        let changed = robots.get(name).unwrap().apply(request).map_err(|refused| refused.to_string())?;
        robots.insert(name.to_owned(), changed.clone());
        // The fleet's register reaches every robot of the mesh.
        for other in robots.values_mut() {
            other.fleet = other.fleet.merge(&changed.fleet);
        }
        Ok(changed)
    }

    fn take_in(&self, robot: &str, body: &Value) {
        self.requests.lock().unwrap().push((robot.to_owned(), body.clone()));
    }
}

fn request(body: &Value, scope: LatchScope, action: LatchAction) -> LatchRequest {
    LatchRequest {
        id: body["id"].as_str().unwrap().parse().unwrap(),
        scope,
        action,
        reason: body["reason"].as_str().unwrap().to_owned(),
        by: format!("operator:{}", body["operator"].as_str().unwrap()).parse().unwrap(),
        at: WallTime::from_unix_nanos(body["at"].as_i64().unwrap() * 1_000_000),
    }
}

async fn stop(State(robot): State<Robot>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    robot.mesh.take_in(&robot.name, &body);
    let scope = if body["scope"] == "fleet" { LatchScope::Fleet } else { LatchScope::Robot };
    let action = if body["level"] == "kill" { LatchAction::Kill } else { LatchAction::Stop };
    let request = request(&body, scope, action);
    if let Some(target) = body["robot"].as_str().filter(|target| *target != robot.name) {
        robot.mesh.apply(target, &request).unwrap();
        return (StatusCode::OK, Json(json!({"verdict": "relayed"})));
    }
    let latches = robot.mesh.apply(&robot.name, &request).unwrap();
    let text = if robot.can_keep { "" } else { "no space left on device" };
    (StatusCode::OK, Json(json!({"robot": robot.name, "latches": latches, "kept": robot.can_keep, "error": text})))
}

async fn release(State(robot): State<Robot>, headers: HeaderMap, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    robot.mesh.take_in(&robot.name, &body);
    if headers.get("authorization").is_none_or(|value| value != "Bearer a-token-that-is-long-enough") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"detail": "no token was sent"})));
    }
    let scope = if body["scope"] == "fleet" { LatchScope::Fleet } else { LatchScope::Robot };
    let epoch = Epoch(body["epoch"].as_u64().unwrap());
    if let Err(refused) = robot.mesh.apply(&robot.name, &request(&body, scope, LatchAction::Release { epoch })) {
        return (StatusCode::CONFLICT, Json(json!({"detail": refused})));
    }
    let latches = robot.mesh.latches(&robot.name);
    (StatusCode::OK, Json(json!({"robot": robot.name, "latches": latches, "kept": true})))
}

async fn latches(State(robot): State<Robot>) -> Json<Value> {
    let known = robot.mesh.robots.lock().unwrap().clone();
    let others = known.iter().filter(|(name, _)| **name != robot.name);
    let known: Vec<Value> = others
        .map(|(name, latches)| json!({"robot": name, "register": latches.own, "fleet": latches.fleet, "age_s": 0.1}))
        .collect();
    Json(json!({"robot": robot.name, "latches": robot.mesh.latches(&robot.name), "kept": true, "known": known}))
}

async fn drive(
    State(robot): State<Robot>,
    headers: HeaderMap,
    Json(mut body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    body["token"] = json!(headers.contains_key("authorization"));
    robot.mesh.take_in(&robot.name, &body);
    if robot.mesh.latches(&robot.name).holding().is_latched() {
        return (StatusCode::CONFLICT, Json(json!({"detail": "the robot is stopped", "hint": "release it first"})));
    }
    (StatusCode::ACCEPTED, Json(json!({"ttl_ms": body["ttl_ms"]})))
}

async fn give_back(State(robot): State<Robot>) -> Json<Value> {
    robot.mesh.take_in(&robot.name, &json!("give back"));
    Json(json!({}))
}
