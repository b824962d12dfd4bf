//! The robot's end.

use std::os::unix::net::UnixStream;
use std::path::Path;

use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};
use skein_body::{Body, BodyError, Loss};
use skein_types::body::BodyDescriptor;
use skein_types::ids::AgentId;
use skein_types::motion::ActuatorFrame;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::bridge::Bridge;
use crate::codec::{Command, Welcome, read_answer, read_sensors, write_command, write_hello};
use crate::pipe::{Pipe, RemoteError};
use crate::server::check_peer;

/// How patient the robot's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For connecting, greeting and being welcomed, all together.
    pub connect_within: Duration,
    /// A world that is silent this long counts as lost, until it speaks again.
    pub silence_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_within: Duration::from_secs(5), silence_max: Duration::from_secs(1) }
    }
}

/// A body at the other end of a Unix socket.
#[derive(Debug)]
pub struct RemoteBody {
    pipe: Pipe,
    descriptor: BodyDescriptor,
    silence_max: Duration,
    bridge: Bridge,
    sensors: SensorFrame,
    /// When a frame was last read; `None` before the first.
    heard_at: Option<MonoTime>,
    /// Why it is over, once it is.
    ended: Option<Loss>,
}

impl RemoteBody {
    /// Connects, says its name, and waits until it is welcomed. This is the only call that waits, and never past
    /// [`Options::connect_within`].
    ///
    /// # Errors
    /// [`RemoteError`] says which step failed and, when the world refused, why.
    pub fn connect(path: &Path, agent: &AgentId, options: Options) -> Result<(Self, Welcome), RemoteError> {
        let deadline = monotonic() + options.connect_within;
        let stream = reach(path, deadline)?;
        check_peer(&stream)?;
        let mut pipe = Pipe::new(stream)?;
        pipe.send(|out| write_hello(out, agent))?;
        while !pipe.is_flushed() {
            wait_for(&pipe, PollFlags::OUT, deadline, "take the greeting")?;
            pipe.flush()?;
        }
        let answer = loop {
            if let Some(answer) = pipe.receive_one(read_answer)? {
                break answer;
            }
            wait_for(&pipe, PollFlags::IN, deadline, "answer the greeting")?;
        };
        let welcome = answer.map_err(RemoteError::Refused)?;
        let body = Self {
            pipe,
            descriptor: welcome.descriptor,
            silence_max: options.silence_max,
            bridge: Bridge::default(),
            sensors: SensorFrame::unknown(welcome.descriptor.lidar_range),
            heard_at: None,
            ended: None,
        };
        Ok((body, welcome))
    }

    fn order(&mut self, now: MonoTime, command: &Command) -> Result<(), BodyError> {
        self.still_there()?;
        match self.pipe.send(|out| write_command(out, now, command)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(BodyError::Lost(Loss::Full)),
            Err(error) => Err(self.end(&error)),
        }
    }

    fn still_there(&self) -> Result<(), BodyError> {
        self.ended.map_or(Ok(()), |loss| Err(BodyError::Lost(loss)))
    }

    fn end(&mut self, error: &RemoteError) -> BodyError {
        let loss = loss(error);
        self.ended = Some(loss);
        BodyError::Lost(loss)
    }
}

/// What the real-time loop is told.
fn loss(error: &RemoteError) -> Loss {
    match error {
        RemoteError::Closed | RemoteError::Refused(_) => Loss::Closed,
        RemoteError::Malformed(_) => Loss::Malformed,
        RemoteError::Connect { source, .. } | RemoteError::Listen { source, .. } | RemoteError::Io { source, .. } => {
            Loss::System(source.raw_os_error().unwrap_or_default())
        }
        RemoteError::Deadline(_) => Loss::Full,
        RemoteError::Stranger { .. } => Loss::Closed,
    }
}

impl Body for RemoteBody {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.still_there()?;
        let (sensors, bridge) = (&mut self.sensors, &mut self.bridge);
        let mut heard = false;
        let received = self.pipe.receive(&mut |raw| {
            heard = true;
            read_sensors(raw, now, bridge, sensors)
        });
        if heard {
            self.heard_at = Some(now);
        }
        if let Err(error) = received {
            return Err(self.end(&error));
        }
        let heard_at = self.heard_at.ok_or(BodyError::NothingSensed)?;
        let silence = now.since(heard_at);
        if silence > self.silence_max {
            return Err(BodyError::Lost(Loss::Silent(silence)));
        }
        Ok(self.sensors)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        if !frame.twist.is_finite() {
            self.order(now, &Command::Halt)?;
            return Err(BodyError::NotFinite);
        }
        self.order(now, &Command::Actuate(*frame))
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.order(now, &Command::Halt)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.order(now, &Command::RestorePower)
    }
}

/// A connected stream, or the reason why not, by the deadline. A listener whose queue is full is tried again.
fn reach(path: &Path, deadline: MonoTime) -> Result<UnixStream, RemoteError> {
    let failed = |e: Errno| RemoteError::Connect { path: path.to_path_buf(), source: e.into() };
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(Errno::AGAIN | Errno::INTR) => {
                let rest = deadline.since(monotonic());
                if rest.is_zero() {
                    return Err(RemoteError::Deadline("take the connection"));
                }
                // Nothing tells when the queue has room again; look once in a while.
                let pause = timespec(rest.min(Duration::from_millis(10)));
                let _interrupted_is_as_good = poll(&mut [], Some(&pause));
            }
            Err(e) => return Err(failed(e)),
        }
    }
}

fn wait_for(pipe: &Pipe, what: PollFlags, deadline: MonoTime, step: &'static str) -> Result<(), RemoteError> {
    let rest = deadline.since(monotonic());
    if rest.is_zero() {
        return Err(RemoteError::Deadline(step));
    }
    match poll(&mut [PollFd::new(pipe, what)], Some(&timespec(rest))) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(RemoteError::Io { operation: "wait for", source: e.into() }),
    }
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(span.subsec_nanos()) }
}

/// Only for the deadline of the greeting; every other call is told the time.
fn monotonic() -> MonoTime {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    MonoTime::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
