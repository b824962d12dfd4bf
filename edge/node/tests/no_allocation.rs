//! A tick takes no memory and gives none back, with a body at the other end of a socket and everything that can come.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use skein_body::{Fence, SafeBody};
use skein_body_remote::{Connection, Listener, Options, RemoteBody, Welcome};
use skein_edge::clock;
use skein_edge::rt::{Ticker, exchange};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::authority::LatchView;
use skein_types::body::BodyDescriptor;
use skein_types::coord::{Hazard, HazardKind};
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId};
use skein_types::motion::Setpoint;
use skein_types::polygon::Polygon;
use skein_types::safety::{Latch, Surroundings};
use skein_types::sensing::{PoseEstimate, Scan, SensorFrame};
use skein_types::time::WallTime;
use skein_types::units::{Meters, MetersPerSecond};
use uuid::Uuid;

thread_local! {
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    COUNT.with(|count| count.set(count.get().map(|n| n + 1)));
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; it passes everything on")]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was taken or given back in there, by this thread.
fn counted(work: impl FnOnce()) -> u64 {
    COUNT.with(|count| count.set(Some(0)));
    work();
    COUNT.with(|count| count.replace(None)).unwrap_or_default()
}

fn frame(sequence: u64, nearest: f32) -> SensorFrame {
    let now = clock::now();
    let mut scan = Scan { at: now, ..Scan::nothing(Meters(10.0)) };
    scan.ranges[3] = nearest;
    scan.ranges[4] = f32::NAN;
    let estimate =
        PoseEstimate { pose: Pose::new(1.0, 1.0, 0.3), position_std: Meters(0.02), at: now, ..PoseEstimate::default() };
    SensorFrame { at: now, sequence, estimate, scan, motors_powered: true, ..SensorFrame::unknown(Meters(10.0)) }
}

fn connected() -> (Connection, RemoteBody, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("body.sock");
    let mut listener = Listener::bind(&socket).expect("a socket");
    let robot = AgentId::new("rover-1").expect("a name");
    let calling = std::thread::Builder::new()
        .spawn(move || RemoteBody::connect(&socket, &robot, Options::default()).expect("a body").0)
        .expect("a thread");
    let arrival = loop {
        match listener.poll(clock::now()) {
            Some(arrival) => break arrival,
            None => clock::sleep_until(clock::now() + Duration::from_millis(1)),
        }
    };
    let welcome = Welcome { descriptor: BodyDescriptor::rover(), home: Pose::default() };
    let connection = arrival.welcome(clock::now(), &welcome).expect("it waits for the answer");
    (connection, calling.join().expect("it connects"), folder)
}

#[test]
fn a_tick_neither_takes_nor_gives_back_memory() {
    // The counter itself must be able to fail.
    assert_eq!(counted(|| drop(std::hint::black_box(vec![1, 2, 3]))), 2);

    let (mut far, body, _folder) = connected();
    let corners = [(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)].map(|(x, y)| Point::new(x, y));
    let fence = Fence::from(Polygon::new(corners.to_vec(), Vec::new()).expect("a square"));
    let mut ends = exchange();
    let reflex = Reflex::new(ReflexConfig::new(BodyDescriptor::rover()));
    let mut ticker = Ticker::new(Box::new(SafeBody::new(body, fence)), reflex, ends.reflex);
    let hazard = Hazard {
        reporter: AgentId::new("rover-2").expect("a name"),
        sequence: 1,
        kind: HazardKind::Cliff,
        position: Point::new(3.0, 1.0),
        radius: Meters(0.5),
        boot: BootId(Uuid::nil()),
        age: Duration::ZERO,
        time_to_live: Duration::from_secs(1),
        seen_at: WallTime::default(),
    };
    let mut taken = 0;
    for round in 0..600_u64 {
        far.receive(clock::now(), &mut |_| {}).expect("the robot is there");
        far.send(clock::now(), &frame(round, 0.2 + (round % 50) as f32 * 0.1)).expect("the robot is there");
        if round % 5 == 0 {
            let now = clock::now();
            let speed = if round % 3 == 0 { f64::NAN } else { 0.8 };
            ends.agent.setpoint.write(Setpoint {
                twist: Twist::planar(speed, 0.2),
                speed_limit: MetersPerSecond(1.0),
                sequence: round,
                at: now,
                valid_until: now + Duration::from_millis(100),
            });
            ends.agent.surroundings.write(Surroundings::empty());
            ends.latch.publish(match round {
                0..=400 => LatchView { level: Latch::Released, stamp: 0 },
                401..=500 => LatchView { level: Latch::Kill, stamp: 0 },
                _ => LatchView { level: Latch::Released, stamp: 1 },
            });
            ends.hazards.put(now, &hazard);
        }
        // The ring is drained by nobody in the second half: full, it must cost nothing either.
        while round < 300 && ends.agent.records.pop().is_ok() {}
        let n = counted(|| ticker.tick(clock::now()));
        // The first ticks meet buffers that grow once.
        taken += if round < 5 { 0 } else { n };
    }
    assert_eq!(taken, 0, "allocations and releases in 595 ticks");
}

#[test]
fn a_tick_that_loses_its_body_and_those_without_one_take_no_memory() {
    let (far, body, _folder) = connected();
    let ends = exchange();
    let reflex = Reflex::new(ReflexConfig::new(BodyDescriptor::rover()));
    let mut ticker = Ticker::new(Box::new(SafeBody::new(body, Fence::unbounded())), reflex, ends.reflex);
    for _ in 0..5 {
        ticker.tick(clock::now());
    }
    assert!(ticker.has_body());
    drop(far);
    let mut taken = 0;
    for _ in 0..100 {
        taken += counted(|| ticker.tick(clock::now()));
    }
    assert!(!ticker.has_body(), "the loss was seen");
    assert_eq!(taken, 0, "allocations and releases in 100 ticks");
    let mut lost = ends.body.lost;
    assert!(lost.pop().is_ok(), "the body is dropped elsewhere");
}
