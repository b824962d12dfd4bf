//! Streams to the supervisor, the mesh, and what travels over them.

use core::time::Duration;
use std::rc::Rc;

use skein_agent::Input;
use skein_supervisor::Input as SupervisorInput;
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, CloudCommand};
use skein_types::telemetry::LinkState;
use skein_wire::Wire;

use super::event_queue::SimEvent;
use super::fault::LinkKind;
use super::network::Link;
use super::run::Fleet;
use super::sim_robot::{RobotOutput, SimRobot};

/// A broken stream, or a peer that vanished, is noticed after this.
const NOTICE: Duration = Duration::from_secs(1);
/// A new peer is noticed after this.
const DISCOVERY: Duration = Duration::from_millis(150);
/// A stream that could not be opened is tried again after this.
const REDIAL: Duration = Duration::from_millis(1_500);
/// A started process opens its stream within so many microseconds after the first.
const DIAL_US: (u64, u64) = (100_000, 300_000);

impl Fleet {
    /// Sends what a robot has to say.
    pub(super) fn send_outputs(&mut self, number: usize) {
        let mut outputs = Vec::new();
        if let Some(robot) = self.robots.get_mut(number) {
            robot.drain(self.now, |output| outputs.push(output));
        }
        for output in outputs {
            match output {
                RobotOutput::Report(report) => self.send_report(number, report),
                RobotOutput::Intent(intent) => {
                    self.broadcast(number, intent.to_bytes(), |robot, bytes| SimEvent::IntentArrives { robot, bytes });
                }
                RobotOutput::Hazard(hazard) => {
                    self.broadcast(number, hazard.to_bytes(), |robot, bytes| SimEvent::HazardArrives { robot, bytes });
                }
                RobotOutput::MapHazard(entry) => {
                    let event = |robot, bytes| SimEvent::MapHazardArrives { robot, from: number, bytes };
                    self.broadcast(number, entry.to_bytes(), event);
                }
                RobotOutput::SaveLatch { boot, latch, takes } => {
                    self.queue.schedule(self.now + takes, SimEvent::LatchKept { robot: number, boot, latch });
                }
            }
        }
    }

    fn send_report(&mut self, number: usize, report: AgentReport) {
        let Some(robot) = self.robots.get(number).filter(|robot| robot.is_linked()) else { return };
        let (stream, bytes) = (robot.stream, Rc::<[u8]>::from(report.to_bytes()));
        for at in self.network.send(self.now, Link::report(number), bytes.len()) {
            let bytes = Rc::clone(&bytes);
            self.queue.schedule(at, SimEvent::ReportArrives { robot: number, stream, bytes });
        }
    }

    fn broadcast(&mut self, from: usize, bytes: Vec<u8>, event: impl Fn(usize, Rc<[u8]>) -> SimEvent) {
        let bytes = Rc::<[u8]>::from(bytes);
        for to in (0..self.robots.len()).filter(|to| *to != from) {
            for at in self.network.send(self.now, Link::mesh(from, to), bytes.len()) {
                self.queue.schedule(at, event(to, Rc::clone(&bytes)));
            }
        }
    }

    pub(super) fn send_commands(&mut self, commands: Vec<(AgentId, CloudCommand)>) {
        for (agent, command) in commands {
            let Some(number) = self.robots.iter().position(|robot| robot.config.id == agent) else { continue };
            let Some(robot) = self.robots.get(number).filter(|robot| robot.is_linked()) else { continue };
            let (stream, bytes) = (robot.stream, Rc::<[u8]>::from(command.to_bytes()));
            for at in self.network.send(self.now, Link::command(number), bytes.len()) {
                let bytes = Rc::clone(&bytes);
                self.queue.schedule(at, SimEvent::CommandArrives { robot: number, stream, bytes });
            }
        }
    }

    pub(super) fn handle_in_supervisor(&mut self, input: SupervisorInput) {
        let commands = self.supervisor.handle(self.now, input);
        self.send_commands(commands);
    }

    pub(super) fn on_report(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(robot) = self.robots.get(number).filter(|robot| robot.stream == stream) else { return };
        let agent = robot.config.id.clone();
        let Some(report) = self.decode::<AgentReport>(bytes) else { return };
        self.handle_in_supervisor(match report {
            AgentReport::Hello(hello) => SupervisorInput::Connected(Box::new(hello)),
            report => SupervisorInput::Report { agent, report },
        });
    }

    pub(super) fn on_command(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(command) = self.decode::<CloudCommand>(bytes) else { return };
        if let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.stream == stream) {
            robot.on_command(self.now, command);
            self.send_outputs(number);
        }
    }

    /// A robot's process has started and will open its stream.
    pub(super) fn dial_soon(&mut self, number: usize) {
        let jitter = self.network.random().below(DIAL_US.1 - DIAL_US.0);
        let at = self.now + Duration::from_micros(DIAL_US.0 + jitter);
        self.queue.schedule(at, SimEvent::Dial { robot: number });
    }

    pub(super) fn dial(&mut self, number: usize) {
        let reachable = self.supervisor.is_reachable() && self.network.is_open(Link::report(number));
        let now = self.now;
        let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.is_alive() && !robot.is_linked()) else {
            return;
        };
        if !reachable {
            self.queue.schedule(now + REDIAL, SimEvent::Dial { robot: number });
            return;
        }
        robot.stream += 1;
        let hello = robot.hello();
        robot.set_link(now, LinkState { cloud: true, ..robot.link() });
        if let Some(hello) = hello {
            self.send_report(number, AgentReport::Hello(hello));
        }
        self.send_outputs(number);
    }

    /// Both ends find that a stream is broken.
    pub(super) fn hang_up(&mut self, number: usize, stream: u64) {
        let now = self.now;
        let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.stream == stream) else { return };
        robot.stream += 1;
        robot.set_link(now, LinkState { cloud: false, ..robot.link() });
        let agent = robot.config.id.clone();
        self.handle_in_supervisor(SupervisorInput::Disconnected(agent));
        self.send_outputs(number);
        self.queue.schedule(now + REDIAL, SimEvent::Dial { robot: number });
    }

    pub(super) fn break_stream(&mut self, number: usize) {
        if let Some(robot) = self.robots.get(number) {
            let event = SimEvent::Hangup { robot: number, stream: robot.stream };
            self.queue.schedule(self.now + NOTICE, event);
        }
    }

    /// Finds out which robots' mesh sessions see each other now; they notice a little later.
    pub(super) fn update_presence(&mut self) {
        for number in 0..self.robots.len() {
            let mesh = !self.network.is_isolated(LinkKind::Mesh, number);
            let changed = |robot: &&mut SimRobot| robot.is_alive() && robot.link().mesh != mesh;
            if let Some(robot) = self.robots.get_mut(number).filter(changed) {
                robot.set_link(self.now, LinkState { mesh, ..robot.link() });
            }
        }
        let alive: Vec<bool> = self.robots.iter().map(SimRobot::is_alive).collect();
        for change in self.presence.update(&alive, &self.network) {
            let (a, b) = change.pair;
            let at = self.now + if change.alive { DISCOVERY } else { NOTICE };
            for (robot, peer) in [(a, b), (b, a)] {
                self.queue.schedule(at, SimEvent::PeerSeen { robot, peer, alive: change.alive });
            }
        }
    }

    pub(super) fn on_peer(&mut self, robot: usize, peer: usize, alive: bool) {
        // What has changed again since is not noticed.
        if self.presence.sees(robot, peer) == alive
            && let Some(agent) = self.robots.get(peer).map(|r| r.config.id.clone())
        {
            self.give(robot, Input::PeerAlive { agent, alive });
        }
    }
}
