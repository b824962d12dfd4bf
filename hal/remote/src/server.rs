//! The world's end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use core::time::Duration;
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_peercred};
use rustix::process::geteuid;
use skein_body::{Body, BodyError};
use skein_types::ids::AgentId;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::bridge::Bridge;
use crate::codec::{Command, Refusal, Welcome, read_command, read_hello, write_refusal, write_sensors, write_welcome};
use crate::pipe::{Pipe, RemoteError};

/// A robot whose commands stop this long is halted.
pub const SILENCE_MAX: Duration = Duration::from_millis(100);
/// A robot that has been silent this long is wedged: another process of its name may take the body.
pub const WEDGED_AFTER: Duration = Duration::from_secs(2);
/// A stranger has this long to say its name.
const HELLO_WITHIN: Duration = Duration::from_secs(2);
/// Strangers that are waited for at a time; more are turned away at the door.
const STRANGERS_MAX: usize = 64;
/// Frames wait in the system only as far as this: about ten, so that a robot that was away finds fresh ones.
const SEND_BUFFER_BYTES: usize = 16 * 1024;

/// Where robots come in.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    strangers: Vec<(Pipe, MonoTime)>,
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _somebody_else_removed_it = std::fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Listens at a path. A socket that a dead process left there is replaced; one that answers is not.
    ///
    /// # Errors
    /// [`RemoteError::Listen`] with what the system said.
    pub fn bind(path: &Path) -> Result<Self, RemoteError> {
        let failed = |source: io::Error| RemoteError::Listen { path: path.to_path_buf(), source };
        let listener = match UnixListener::bind(path) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
                std::fs::remove_file(path).map_err(failed)?;
                UnixListener::bind(path)
            }
            other => other,
        }
        .map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, path: path.to_path_buf(), strangers: Vec::new() })
    }

    /// The next robot that has said its name, if there is one. Never waits; call it each step until it is `None`.
    pub fn poll(&mut self, now: MonoTime) -> Option<Arrival> {
        self.let_in(now);
        let mut arrival = None;
        let mut waiting = Vec::with_capacity(self.strangers.len());
        for (mut pipe, since) in self.strangers.drain(..) {
            if arrival.is_some() {
                waiting.push((pipe, since));
                continue;
            }
            match pipe.receive_one(read_hello) {
                Ok(Some(Ok(agent))) => arrival = Some(Arrival { agent, pipe }),
                Ok(Some(Err(refusal))) => turn_away(pipe, &refusal),
                Ok(None) if now.since(since) < HELLO_WITHIN => waiting.push((pipe, since)),
                Ok(None) => turn_away(pipe, &Refusal::Other("it said no name in time".into())),
                Err(RemoteError::Malformed(why)) => turn_away(pipe, &Refusal::Other(format!("its greeting: {why}"))),
                Err(_gone) => {}
            }
        }
        self.strangers = waiting;
        arrival
    }

    fn let_in(&mut self, now: MonoTime) {
        while self.strangers.len() < STRANGERS_MAX {
            // The peer may hang up between the poll and this accept; the next call looks again.
            let Ok((stream, _)) = self.listener.accept() else { return };
            if check_peer(&stream).is_err() {
                continue;
            }
            let _a_larger_buffer_works_too = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
            if let Ok(pipe) = Pipe::new(stream) {
                self.strangers.push((pipe, now));
            }
        }
    }
}

/// The process at the other end runs as this user or as root.
pub(crate) fn check_peer(stream: &UnixStream) -> Result<(), RemoteError> {
    let peer = socket_peercred(stream).map_err(|e| RemoteError::Io { operation: "ask who is at", source: e.into() })?;
    let (theirs, ours) = (peer.uid.as_raw(), geteuid().as_raw());
    if theirs == ours || theirs == 0 { Ok(()) } else { Err(RemoteError::Stranger { theirs, ours }) }
}

/// Nobody answers at the socket.
fn is_abandoned(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Says why, as far as the stream takes it, and closes.
fn turn_away(mut pipe: Pipe, refusal: &Refusal) {
    let _it_may_be_gone = pipe.send(|out| write_refusal(out, refusal));
}

/// A robot at the door: it said its name and waits for an answer.
#[derive(Debug)]
pub struct Arrival {
    agent: AgentId,
    pipe: Pipe,
}

impl Arrival {
    /// Who it says it is.
    #[must_use]
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Gives it its body.
    ///
    /// # Errors
    /// [`RemoteError`] when it has left already.
    pub fn welcome(mut self, now: MonoTime, welcome: &Welcome) -> Result<Connection, RemoteError> {
        self.pipe.send(|out| write_welcome(out, welcome))?;
        Ok(Connection {
            agent: self.agent,
            pipe: self.pipe,
            bridge: Bridge::default(),
            commanded_at: now,
            scan_sent: None,
        })
    }

    /// Sends it away and says why.
    pub fn refuse(self, refusal: &Refusal) {
        turn_away(self.pipe, refusal);
    }
}

/// What became of a sensor frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    OnItsWay,
    /// The robot does not read: dropped, the next one will be newer.
    Dropped,
}

/// One robot that drives one body.
#[derive(Debug)]
pub struct Connection {
    agent: AgentId,
    pipe: Pipe,
    bridge: Bridge,
    commanded_at: MonoTime,
    /// The time of the scan it has.
    scan_sent: Option<MonoTime>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Connection {
    /// The robot that drives the body of this connection.
    #[must_use]
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Hands over every command that has arrived, oldest first. Never waits.
    ///
    /// # Errors
    /// [`RemoteError`] when the robot is gone or sends garbage: drop the connection, and halt its body.
    pub fn receive(&mut self, now: MonoTime, take: &mut dyn FnMut(Command)) -> Result<(), RemoteError> {
        let (bridge, commanded_at) = (&mut self.bridge, &mut self.commanded_at);
        self.pipe.receive(&mut |raw| {
            let command = read_command(raw, now, bridge)?;
            *commanded_at = now;
            take(command);
            Ok(())
        })
    }

    /// The robot has said nothing for longer than [`SILENCE_MAX`].
    #[must_use]
    pub fn is_silent(&self, now: MonoTime) -> bool {
        now.since(self.commanded_at) > SILENCE_MAX
    }

    /// The robot has said nothing for so long that another process of its name may take the body.
    #[must_use]
    pub fn is_wedged(&self, now: MonoTime) -> bool {
        now.since(self.commanded_at) > WEDGED_AFTER
    }

    /// Sends what the body senses, with the scan only when it is a new one. Never waits.
    ///
    /// # Errors
    /// [`RemoteError`] when the robot is gone.
    pub fn send(&mut self, now: MonoTime, sensors: &SensorFrame) -> Result<Sent, RemoteError> {
        let is_new = self.scan_sent.is_none_or(|sent| sensors.scan.at > sent);
        if !self.pipe.send(|out| write_sensors(out, now, sensors, is_new))? {
            return Ok(Sent::Dropped);
        }
        self.scan_sent = Some(sensors.scan.at);
        Ok(Sent::OnItsWay)
    }

    /// One step of serving: commands to the body, silence to a halt, senses to the robot.
    ///
    /// # Errors
    /// [`RemoteError`] when the robot is gone or sends garbage; its body is halted then.
    pub fn serve(&mut self, now: MonoTime, body: &mut dyn Body) -> Result<Sent, RemoteError> {
        let obeyed = self.obey(now, body);
        if obeyed.is_err() || self.is_silent(now) {
            let _stands_already = body.halt(now);
        }
        obeyed?;
        match body.sense(now) {
            Ok(sensors) => self.send(now, &sensors),
            Err(_nothing_to_tell) => Ok(Sent::Dropped),
        }
    }

    /// The commands that have arrived, done in order. What a body refuses it answers by braking, and by what it senses.
    ///
    /// # Errors
    /// [`RemoteError`] when the robot is gone or sends garbage: drop the connection, and halt its body.
    pub fn obey(&mut self, now: MonoTime, body: &mut dyn Body) -> Result<(), RemoteError> {
        self.receive(now, &mut |command| {
            let _seen_in_what_it_senses: Result<(), BodyError> = match command {
                Command::Actuate(frame) => body.actuate(now, &frame),
                Command::Halt => body.halt(now),
                Command::RestorePower => body.restore_power(now),
            };
        })
    }
}
