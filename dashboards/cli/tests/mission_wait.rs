//! `skein mission wait` while the supervisor ends and comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use skein_types::geometry::Point;
use skein_types::mission::{Mission, MissionSpec, MissionState, Objective, Priority};
use skein_types::polygon::Polygon;
use skein_types::time::WallTime;
use skein_types::units::Percent;
use skein_wire::v1;
use support::Run;
use support::supervisor::Supervisor;

fn mission(state: MissionState) -> v1::Mission {
    let mission = Mission {
        id: "0190b2f0-7b1a-7000-8000-000000000001".parse().unwrap(),
        spec: MissionSpec {
            name: String::new(),
            objective: Objective::Survey,
            zone: Polygon::rectangle(Point::new(0.0, 0.0), Point::new(1.0, 1.0)).unwrap(),
            priority: Priority::NORMAL,
            robots: Vec::new(),
            return_home: false,
        },
        state,
        reason: String::new(),
        covered: Percent(50.0),
        area: 1.0,
        slices: Vec::new(),
        submitted_at: WallTime::from_unix_nanos(5),
        updated_at: WallTime::from_unix_nanos(5),
    };
    mission.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_outlives_a_restart_of_the_supervisor() {
    let known = Supervisor::default();
    known.desk.lock().unwrap().mission = Some(mission(MissionState::Running));
    let (address, before) = known.serve_apart("127.0.0.1:0".parse().unwrap());
    let run = Run::new(address, &[]);
    let restart = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        before.shutdown_background();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        known.desk.lock().unwrap().mission = Some(mission(MissionState::Done));
        known.serve_apart(address).1
    };
    let (seen, after) = tokio::join!(run.skein(&["mission", "wait", "last", "--timeout", "30s"]), restart);
    after.shutdown_background();
    assert_eq!((seen.code, seen.json()["state"].as_str()), (0, Some("DONE")), "{seen:?}");
    assert!(seen.talk.contains("asking again") && seen.talk.contains("answers again"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_ends_with_its_timeout_when_the_supervisor_stays_away() {
    let run = Run::new(support::supervisor::dead(), &[]);
    let seen = run.skein(&["mission", "wait", "last", "--timeout", "1s"]).await;
    assert!(seen.code == 5 && seen.took < Duration::from_secs(4), "{seen:?}");
}
