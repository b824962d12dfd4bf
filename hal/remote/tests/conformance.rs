//! A body at the other end of a real socket keeps the contract of a body.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use core::time::Duration;
use skein_body::conformance::{self, PointBody, Rig, TICK};
use skein_body::{Body, Fence, SafeBody};
use skein_body_remote::{Connection, Listener, Options, RemoteBody, Welcome};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::AgentId;
use skein_types::polygon::Polygon;
use skein_types::time::MonoTime;

/// The world's clock is ahead of the robot's by this, to show that no clock is shared.
const AHEAD: Duration = Duration::from_secs(86_400);

struct SocketRig<B> {
    body: B,
    world: PointBody,
    connection: Connection,
    now: MonoTime,
    _listener: Listener,
    _folder: tempfile::TempDir,
}

fn connect<B>(descriptor: BodyDescriptor, wrap: impl FnOnce(RemoteBody) -> B) -> SocketRig<B> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world");
    let mut listener = Listener::bind(&path).unwrap();
    let world = PointBody::new(descriptor, Pose::default());
    let now = MonoTime::from_millis(1_000);
    let name = AgentId::new("rover-1").unwrap();
    let (body, connection) = std::thread::scope(|scope| {
        let robot = scope.spawn(|| RemoteBody::connect(&path, &name, Options::default()).unwrap());
        let arrival = loop {
            if let Some(arrival) = listener.poll(now + AHEAD) {
                break arrival;
            }
            std::thread::yield_now();
        };
        assert_eq!(arrival.agent().as_str(), "rover-1");
        let welcome = Welcome { descriptor, home: Pose::default() };
        let connection = arrival.welcome(now + AHEAD, &welcome).unwrap();
        let (body, told) = robot.join().unwrap();
        assert_eq!(told, welcome);
        (body, connection)
    });
    let mut rig = SocketRig { body: wrap(body), world, connection, now, _listener: listener, _folder: folder };
    rig.step();
    rig
}

impl<B> SocketRig<B> {
    fn step(&mut self) {
        self.now = self.now + TICK;
        let there = self.now + AHEAD;
        self.connection.obey(there, &mut self.world).unwrap();
        self.world.advance(there, TICK);
        self.connection.serve(there, &mut self.world).unwrap();
    }
}

impl<B: Body> Rig for SocketRig<B> {
    fn body(&mut self) -> &mut dyn Body {
        &mut self.body
    }

    fn now(&self) -> MonoTime {
        self.now
    }

    fn advance(&mut self, span: Duration) {
        for _ in 0..span.as_nanos() / TICK.as_nanos() {
            self.step();
        }
    }

    fn truth(&self) -> Pose {
        self.world.pose()
    }
}

#[test]
fn a_remote_body_conforms() {
    for descriptor in [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor()] {
        conformance::run(&mut || connect(descriptor, |remote| remote)).unwrap();
    }
}

#[test]
fn a_remote_body_in_its_envelope_conforms() {
    let yard = Polygon::rectangle(Point::new(-30.0, -30.0), Point::new(30.0, 30.0)).unwrap();
    conformance::run(&mut || connect(BodyDescriptor::rover(), |remote| SafeBody::new(remote, Fence::from(&yard))))
        .unwrap();
}
