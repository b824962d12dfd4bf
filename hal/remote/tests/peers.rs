//! What the two ends do with each other when one of them is slow, gone, old, or talks garbage.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use core::time::Duration;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use proptest::prelude::*;
use skein_body::conformance::{PointBody, TICK};
use skein_body::{Body, BodyError};
use skein_body_remote::{
    Connection, FRAME_BYTES_MAX, Listener, Options, Refusal, RemoteBody, RemoteError, Sent, VERSION, Welcome,
};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Pose, Twist};
use skein_types::ids::AgentId;
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::time::MonoTime;

const START: MonoTime = MonoTime::from_millis(1_000);

struct Door {
    listener: Listener,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn door() -> Door {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world");
    Door { listener: Listener::bind(&path).unwrap(), path, _folder: folder }
}

fn name(text: &str) -> AgentId {
    AgentId::new(text).unwrap()
}

fn welcome() -> Welcome {
    Welcome { descriptor: BodyDescriptor::rover(), home: Pose::new(1.0, 2.0, 0.5) }
}

impl Door {
    fn connect(&mut self, agent: &str) -> (RemoteBody, Connection) {
        let (path, agent) = (self.path.clone(), name(agent));
        std::thread::scope(|scope| {
            let robot = scope.spawn(move || RemoteBody::connect(&path, &agent, Options::default()).unwrap().0);
            let connection = self.arrival().welcome(START, &welcome()).unwrap();
            (robot.join().unwrap(), connection)
        })
    }

    fn arrival(&mut self) -> skein_body_remote::Arrival {
        loop {
            if let Some(arrival) = self.listener.poll(START) {
                return arrival;
            }
            std::thread::yield_now();
        }
    }

    /// A stream that has said hello and been welcomed, and then does as it likes.
    fn stray(&mut self) -> (UnixStream, Connection) {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all(&hello(VERSION, "rover-1")).unwrap();
        let connection = self.arrival().welcome(START, &welcome()).unwrap();
        (stream, connection)
    }
}

fn hello(version: u16, name: &str) -> Vec<u8> {
    let mut fields = vec![1_u8];
    fields.extend(0x534b_4244_u32.to_le_bytes());
    fields.extend(version.to_le_bytes());
    fields.extend((name.len() as u16).to_le_bytes());
    fields.extend(name.as_bytes());
    framed(&fields)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend(body);
    frame
}

fn follow(now: MonoTime, vx: f64) -> ActuatorFrame {
    ActuatorFrame { at: now, sequence: 1, mode: DriveMode::Follow, twist: Twist::planar(vx, 0.0) }
}

fn body() -> PointBody {
    PointBody::new(BodyDescriptor::rover(), Pose::default())
}

fn refused(answer: impl FnOnce(&mut Door) + Send) -> RemoteError {
    let mut door = door();
    let path = door.path.clone();
    std::thread::scope(|scope| {
        let robot = scope.spawn(move || RemoteBody::connect(&path, &name("rover-9"), Options::default()));
        answer(&mut door);
        robot.join().unwrap().unwrap_err()
    })
}

#[test]
fn a_refusal_says_why() {
    let unknown = Refusal::UnknownRobot("rover-1 to rover-6".into());
    for refusal in [unknown, Refusal::AlreadyConnected, Refusal::Other("closing down".into())] {
        let told = refusal.clone();
        let error = refused(move |door| door.arrival().refuse(&told));
        assert!(matches!(&error, RemoteError::Refused(why) if *why == refusal), "{error}");
        assert!(error.to_string().contains(&refusal.to_string()), "{error}");
    }
}

#[test]
fn a_refusal_longer_than_its_bound_is_cut_at_a_letter() {
    let error = refused(|door| door.arrival().refuse(&Refusal::Other("ü".repeat(5_000))));
    assert!(matches!(&error, RemoteError::Refused(Refusal::Other(why)) if why.len() == 512), "{error}");
}

#[test]
fn another_version_is_refused_with_both() {
    let mut door = door();
    let mut stream = UnixStream::connect(&door.path).unwrap();
    stream.write_all(&hello(7, "rover-1")).unwrap();
    assert!(door.listener.poll(START).is_none());
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, framed(&[3, 0, VERSION as u8, 0, 0, 0]));
}

#[test]
fn a_world_that_never_answers_is_given_up_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mute");
    let _mute = UnixListener::bind(&path).unwrap();
    let options = Options { connect_within: Duration::from_millis(50), ..Options::default() };
    let error = RemoteBody::connect(&path, &name("rover-1"), options).unwrap_err();
    assert!(matches!(error, RemoteError::Deadline("answer the greeting")), "{error}");
    let nobody = RemoteBody::connect(&folder.path().join("nobody"), &name("rover-1"), options).unwrap_err();
    assert!(matches!(nobody, RemoteError::Connect { .. }), "{nobody}");
}

#[test]
fn a_stranger_who_says_nothing_is_turned_away_and_keeps_nobody_out() {
    let mut door = door();
    let mut silent = UnixStream::connect(&door.path).unwrap();
    assert!(door.listener.poll(START).is_none());
    let (_robot, connection) = door.connect("rover-2");
    assert_eq!(connection.agent().as_str(), "rover-2");
    assert!(door.listener.poll(START + Duration::from_secs(3)).is_none());
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("no name in time"));
}

#[test]
fn an_abandoned_socket_is_taken_over_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world");
    drop(UnixListener::bind(&path).unwrap());
    let living = Listener::bind(&path).unwrap();
    assert!(matches!(Listener::bind(&path), Err(RemoteError::Listen { .. })));
    drop(living);
    assert!(!path.exists());
}

#[test]
fn before_the_first_frame_nothing_is_sensed_and_a_gone_world_is_lost() {
    let mut door = door();
    let (mut robot, mut connection) = door.connect("rover-1");
    assert_eq!(robot.sense(START), Err(BodyError::NothingSensed));
    assert_eq!(connection.serve(START, &mut body()).unwrap(), Sent::OnItsWay);
    drop(connection);
    // What was sent before the end still tells of the end.
    assert!(matches!(robot.sense(START), Err(BodyError::Lost(_))));
    assert!(matches!(robot.actuate(START, &follow(START, 0.5)), Err(BodyError::Lost(_))));
    assert!(matches!(robot.halt(START), Err(BodyError::Lost(_))));
}

#[test]
fn a_silent_world_is_lost_until_it_speaks_again() {
    let mut door = door();
    let (mut robot, mut connection) = door.connect("rover-1");
    connection.serve(START, &mut body()).unwrap();
    robot.sense(START).unwrap();
    let later = START + Duration::from_millis(1_001);
    assert!(matches!(robot.sense(later), Err(BodyError::Lost(_))));
    connection.serve(later, &mut body()).unwrap();
    assert_eq!(robot.sense(later).unwrap().at, later);
}

#[test]
fn the_same_robot_can_come_back() {
    let mut door = door();
    let (robot, mut connection) = door.connect("rover-1");
    drop(robot);
    assert!(matches!(connection.serve(START, &mut body()), Err(RemoteError::Closed)));
    drop(connection);
    let (mut robot, mut connection) = door.connect("rover-1");
    connection.serve(START, &mut body()).unwrap();
    assert!(robot.sense(START).is_ok());
}

#[test]
fn a_dead_robot_stops() {
    let mut door = door();
    let (mut robot, mut connection) = door.connect("rover-1");
    let mut world = body();
    let mut now = START;
    for _ in 0..100 {
        robot.actuate(now, &follow(now, 0.5)).unwrap();
        connection.serve(now, &mut world).unwrap();
        now = now + TICK;
        world.advance(now, TICK);
    }
    assert!(world.twist().vx > 0.4);
    drop(robot);
    assert!(connection.serve(now, &mut world).is_err());
    for _ in 0..100 {
        now = now + TICK;
        world.advance(now, TICK);
    }
    assert_eq!(world.twist(), Twist::ZERO);
}

#[test]
fn a_robot_that_does_not_read_never_stalls_the_world_and_finds_a_fresh_scan() {
    let mut door = door();
    let (mut robot, mut connection) = door.connect("rover-1");
    let (mut world, mut now, mut dropped) = (body(), START, 0);
    for _ in 0..5_000 {
        now = now + TICK;
        dropped += u32::from(connection.serve(now, &mut world).unwrap() == Sent::Dropped);
    }
    assert!(dropped > 4_000, "{dropped}");
    // One pass empties what waited, the next brings what is new.
    robot.sense(now).unwrap();
    connection.serve(now, &mut world).unwrap();
    now = now + TICK * 10;
    connection.serve(now, &mut world).unwrap();
    let fresh = robot.sense(now).unwrap();
    assert!(now.since(fresh.at) < Duration::from_millis(20), "{:?}", now.since(fresh.at));
    assert!(now.since(fresh.scan.at) < Duration::from_millis(120), "{:?}", now.since(fresh.scan.at));
}

#[test]
fn a_world_that_does_not_read_fills_up_and_is_an_error_and_later_obeys_the_newest() {
    let mut door = door();
    let (mut robot, mut connection) = door.connect("rover-1");
    let full = (0..100_000).find_map(|_| robot.actuate(START, &follow(START, 0.1)).err());
    assert!(matches!(full, Some(BodyError::Lost(_))), "{full:?}");
    let mut world = body();
    connection.serve(START, &mut world).unwrap();
    let now = START + TICK;
    robot.actuate(now, &follow(now, 0.7)).unwrap();
    let mut last = None;
    connection.receive(now, &mut |command| last = Some(command)).unwrap();
    assert_eq!(last, Some(skein_body_remote::Command::Actuate(follow(now, 0.7))));
}

#[test]
fn every_bad_frame_of_a_robot_ends_its_connection_with_the_reason() {
    let actuate = |mode: u8, vx: f64| {
        let mut f = vec![5_u8];
        f.extend([0; 24]);
        f.push(mode);
        f.extend([vx, 0.0, 0.0, 0.0].iter().flat_map(|v: &f64| v.to_le_bytes()));
        framed(&f)
    };
    let spare = framed(&[6, 0]);
    let cases: [(&str, Vec<u8>); 7] = [
        ("frame of 0 bytes", vec![0, 0, 0, 0]),
        ("bytes; 1 to", (FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec()),
        ("kind 77", framed(&[77])),
        ("bytes too many", spare),
        ("ends within sent", framed(&[5, 1, 2])),
        ("mode has no such value: 9", actuate(9, 0.0)),
        ("twist has no such value", actuate(0, f64::NAN)),
    ];
    for (reason, bytes) in cases {
        let (mut stream, mut connection) = door().stray();
        stream.write_all(&bytes).unwrap();
        let error = connection.serve(START, &mut body()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} instead of {reason}");
    }
    let (mut stream, mut connection) = door().stray();
    stream.write_all(&actuate(0, 0.3)).unwrap();
    connection.serve(START, &mut body()).unwrap();
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_whole_in_the_end() {
    let (mut stream, mut connection) = door().stray();
    let mut halts = 0;
    for byte in framed(&[6]).into_iter().chain(framed(&[7])) {
        stream.write_all(&[byte]).unwrap();
        connection.receive(START, &mut |_| halts += 1).unwrap();
    }
    assert_eq!(halts, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn garbage_is_an_error_or_nothing_and_never_more(bytes in prop::collection::vec(any::<u8>(), 0..2_000), cut in 0_u32..64) {
        let mut place = door();
        let (mut stream, mut connection) = place.stray();
        let mut sent = if cut % 2 == 0 { framed(&bytes) } else { bytes };
        sent.truncate(sent.len().saturating_sub(cut as usize));
        stream.write_all(&sent).unwrap();
        let mut commands = 0;
        for _ in 0..3 {
            if connection.receive(START, &mut |_| commands += 1).is_err() {
                break;
            }
        }
        prop_assert!(commands <= sent.len() / 5);
        // The robot's end, with the same garbage from the world.
        let path = place.path.clone();
        let mut robot = std::thread::scope(|scope| {
            let robot = scope.spawn(move || RemoteBody::connect(&path, &name("rover-3"), Options::default()).unwrap().0);
            let arrival = place.arrival();
            let _connection = arrival.welcome(START, &welcome()).unwrap();
            robot.join().unwrap()
        });
        prop_assert!(matches!(robot.sense(START), Err(BodyError::Lost(_))));
    }
}
