//! A body for a robot's process, served from here, that notes when the robot halted it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use skein_body::Body;
use skein_body::conformance::PointBody;
use skein_body_remote::{Command, Connection, Listener, Welcome};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::motion::DriveMode;
use skein_types::time::MonoTime;

use crate::clock::{now, sleep_until};

/// Period of the looks at the socket: how exactly a halt is dated.
const LOOK: Duration = Duration::from_micros(200);
const SENSE: Duration = Duration::from_millis(10);

/// What the robot commanded last.
#[derive(Default)]
struct Seen {
    /// When it began to halt, nanoseconds; 0 while it lets the body follow.
    halted_at: AtomicU64,
    /// Commands to follow since it last halted.
    follows: AtomicU64,
    end: AtomicBool,
}

/// A thread that serves one body.
pub(crate) struct BodyServer {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl BodyServer {
    pub(crate) fn start(socket: &Path, home: Pose) -> Result<Self> {
        let seen = Arc::new(Seen::default());
        let (listener, for_thread) = (Listener::bind(socket)?, Arc::clone(&seen));
        let thread =
            std::thread::Builder::new().name("body".into()).spawn(move || serve(listener, home, &for_thread))?;
        Ok(Self { seen, thread: Some(thread) })
    }

    /// When the robot began to halt, if it halts.
    pub(crate) fn halted_at(&self) -> Option<u64> {
        Some(self.seen.halted_at.load(Ordering::Acquire)).filter(|at| *at > 0)
    }

    /// Commands to follow since the robot last halted.
    pub(crate) fn follows(&self) -> u64 {
        self.seen.follows.load(Ordering::Acquire)
    }
}

impl Drop for BodyServer {
    fn drop(&mut self) {
        self.seen.end.store(true, Ordering::Release);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the body's thread ended early");
        }
    }
}

fn serve(mut listener: Listener, home: Pose, seen: &Seen) -> Result<()> {
    let descriptor = BodyDescriptor::rover();
    let mut body = PointBody::new(descriptor, home);
    let mut robot: Option<Connection> = None;
    let mut next = now();
    while !seen.end.load(Ordering::Acquire) {
        let at = now();
        if let Some(arrival) = listener.poll(at) {
            robot = Some(arrival.welcome(at, &Welcome { descriptor, home })?);
        }
        if let Some(connection) = &mut robot {
            let mut note = |command: Command| on_command(seen, &mut body, command);
            if connection.receive(at, &mut note).is_err() {
                robot = None;
            } else if at >= next {
                body.advance(at, SENSE);
                let frame = body.sense(at).map_err(|e| anyhow!("the body: {e}"))?;
                connection.send(at, &frame)?;
                next = at + SENSE;
            }
        }
        sleep_until(at + LOOK);
    }
    Ok(())
}

fn on_command(seen: &Seen, body: &mut PointBody, command: Command) {
    let at = now();
    match command {
        Command::Actuate(frame) => {
            if frame.mode == DriveMode::Follow {
                seen.halted_at.store(0, Ordering::Release);
                seen.follows.fetch_add(1, Ordering::AcqRel);
            } else {
                note_halt(seen, at);
            }
            let _late_or_not_finite = body.actuate(at, &frame);
        }
        Command::Halt => {
            note_halt(seen, at);
            let _out_of_reach = body.halt(at);
        }
        Command::RestorePower => drop(body.restore_power(at)),
    }
}

fn note_halt(seen: &Seen, at: MonoTime) {
    if seen.halted_at.load(Ordering::Acquire) == 0 {
        seen.follows.store(0, Ordering::Release);
        seen.halted_at.store(at.as_nanos(), Ordering::Release);
    }
}
