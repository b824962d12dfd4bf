//! The reflex thread with a real body at the other end of a socket: it loses it, gets it back, and leaves it halted.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use skein_body::{Fence, SafeBody};
use skein_body_remote::{Command, Connection, Listener, Options, RemoteBody, Welcome};
use skein_edge::clock;
use skein_edge::rt::{Ending, Ends, Gauges, RtThread, Ticker, WantedPrivileges, exchange};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Pose, Twist};
use skein_types::ids::AgentId;
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::Cause;
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::units::{Meters, MetersPerSecond, Percent, Radians};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A body on a thread of its own: it does at once what it is told, and can hang up.
struct FarBody {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    hang_up: AtomicBool,
    connections: AtomicUsize,
    follows: AtomicUsize,
    halts: AtomicUsize,
}

impl FarBody {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("body.sock");
        let mut listener = Listener::bind(&socket).expect("a socket");
        let shared = Arc::<Shared>::default();
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .spawn(move || {
                let mut connection = None;
                let mut world = World::default();
                while !seen.stop.load(Ordering::Acquire) {
                    world.serve(&mut listener, &mut connection, &seen);
                    clock::sleep_until(clock::now() + Duration::from_millis(5));
                }
            })
            .expect("a thread");
        Self { thread: Some(thread), shared, socket, _folder: folder }
    }

    fn connect(&self) -> Box<SafeBody<RemoteBody>> {
        let robot = AgentId::new("rover-1").expect("a name");
        let (body, _) = RemoteBody::connect(&self.socket, &robot, Options::default()).expect("a body");
        Box::new(SafeBody::new(body, Fence::unbounded()))
    }
}

impl Drop for FarBody {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the body's thread ends");
        }
    }
}

#[derive(Default)]
struct World {
    twist: Twist,
    sequence: u64,
}

impl World {
    fn serve(&mut self, listener: &mut Listener, connection: &mut Option<Connection>, seen: &Shared) {
        let now = clock::now();
        if let Some(arrival) = listener.poll(now) {
            let welcome = Welcome { descriptor: BodyDescriptor::rover(), home: Pose::default() };
            *connection = arrival.welcome(now, &welcome).ok();
            seen.connections.fetch_add(1, Ordering::AcqRel);
        }
        if seen.hang_up.swap(false, Ordering::AcqRel) {
            *connection = None;
        }
        let Some(open) = connection.as_mut() else { return };
        let twist = &mut self.twist;
        let heard = open.receive(now, &mut |command| match command {
            Command::Actuate(frame) if frame.mode == DriveMode::Follow => {
                seen.follows.fetch_add(1, Ordering::AcqRel);
                *twist = frame.twist;
            }
            Command::Actuate(_) | Command::Halt => {
                seen.halts.fetch_add(1, Ordering::AcqRel);
                *twist = Twist::ZERO;
            }
            Command::RestorePower => {}
        });
        self.sequence += 1;
        let frame = SensorFrame {
            at: now,
            sequence: self.sequence,
            estimate: PoseEstimate {
                pose: Pose::default(),
                position_std: Meters(0.01),
                heading_std: Radians(0.01),
                at: now,
            },
            twist: self.twist,
            scan: Scan { at: now, ranges: [f32::INFINITY; BEAMS], range_max: Meters(10.0) },
            battery: Battery { charge: Percent(90.0), charging: false },
            motors_powered: true,
            ..SensorFrame::unknown(Meters(10.0))
        };
        if heard.is_err() || open.send(now, &frame).is_err() {
            *connection = None;
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock::now() + PATIENCE;
    while !holds() {
        assert!(clock::now() < deadline, "never: {what}");
        clock::sleep_until(clock::now() + Duration::from_millis(2));
    }
}

fn start(body: &FarBody, ends: Ends<RemoteBody>) -> (RtThread, Rest) {
    let reflex = Reflex::new(ReflexConfig::new(BodyDescriptor::rover()));
    let ticker = Ticker::new(body.connect(), reflex, ends.reflex);
    let wanted = WantedPrivileges { priority: 0, cpu: None, lock_memory: false };
    let thread = RtThread::start(ticker, Arc::clone(&ends.gauges), wanted).expect("a thread");
    let rest = Rest { agent: ends.agent, body: ends.body, requests: ends.requests, gauges: ends.gauges };
    (thread, rest)
}

struct Rest {
    agent: skein_edge::rt::AgentEnd,
    body: skein_edge::rt::BodyEnd<RemoteBody>,
    requests: Arc<skein_edge::rt::Requests>,
    gauges: Arc<Gauges>,
}

impl Rest {
    fn drive(&mut self, sequence: u64) {
        let now = clock::now();
        self.agent.setpoint.write(Setpoint {
            twist: Twist::planar(0.3, 0.0),
            speed_limit: MetersPerSecond(0.5),
            sequence,
            at: now,
            valid_until: now + Duration::from_millis(100),
        });
    }

    fn newest_causes(&mut self) -> Option<skein_types::safety::Causes> {
        std::iter::from_fn(|| self.agent.records.pop().ok()).last().map(|record| record.report.causes)
    }
}

#[test]
fn a_fresh_setpoint_drives_silence_halts_and_the_end_leaves_the_body_standing() {
    let body = FarBody::start();
    let (thread, mut rest) = start(&body, exchange());
    let mut sequence = 0;
    eventually("the body follows", || {
        sequence += 1;
        rest.drive(sequence);
        body.shared.follows.load(Ordering::Acquire) > 20
    });
    eventually("the dead-man holds it", || rest.newest_causes().is_some_and(|causes| causes.contains(Cause::DeadMan)));
    let before = body.shared.halts.load(Ordering::Acquire);
    eventually("the body is halted", || body.shared.halts.load(Ordering::Acquire) > before);
    rest.requests.finish();
    assert_eq!(thread.join(), Ending::Standing);
    assert!(rest.gauges.ticks() > 20);
}

#[test]
fn a_lost_body_is_handed_out_and_a_new_one_taken_in_while_the_loop_goes_on() {
    let body = FarBody::start();
    let (thread, mut rest) = start(&body, exchange());
    eventually("the loop runs", || rest.gauges.ticks() > 10);
    assert!(rest.gauges.has_body());
    body.shared.hang_up.store(true, Ordering::Release);
    eventually("the loss is seen", || !rest.gauges.has_body());
    assert!(rest.body.lost.pop().is_ok(), "the old body is in the ring by then");
    let ticks = rest.gauges.ticks();
    eventually("the loop goes on without a body", || rest.gauges.ticks() > ticks + 10);
    eventually("it reports so", || rest.newest_causes().is_some_and(|causes| causes.contains(Cause::StaleFrame)));
    assert!(rest.body.attach.push(body.connect()).is_ok());
    eventually("the new body is taken", || rest.gauges.has_body());
    eventually("its frames count", || rest.newest_causes().is_some_and(|causes| !causes.contains(Cause::StaleFrame)));
    assert_eq!(body.shared.connections.load(Ordering::Acquire), 2);
    rest.requests.finish();
    assert_eq!(thread.join(), Ending::Standing);
}

#[test]
fn without_a_body_the_loop_ends_at_once() {
    let body = FarBody::start();
    let (thread, rest) = start(&body, exchange());
    body.shared.hang_up.store(true, Ordering::Release);
    eventually("the loss is seen", || !rest.gauges.has_body());
    rest.requests.finish();
    assert_eq!(thread.join(), Ending::NoBody);
}
