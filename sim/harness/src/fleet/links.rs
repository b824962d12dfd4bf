//! Streams to the supervisor, the mesh, and what travels over them.

use core::time::Duration;
use std::rc::Rc;

use skein_robot::link::LinkInput;
use skein_robot::{RobotInput, RobotOutput};
use skein_supervisor::Input as SupervisorInput;
use skein_types::authority::LatchGossip;
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, CloudCommand, CommandOutcome};
use skein_wire::Wire;

use super::event_queue::{PeerMessage, SimEvent};
use super::fault::LinkKind;
use super::network::Link;
use super::run::Fleet;
use super::sim_robot::SimRobot;

/// A broken stream, or a peer that vanished, is noticed after this.
const NOTICE: Duration = Duration::from_secs(1);
/// A new peer is noticed after this.
const DISCOVERY: Duration = Duration::from_millis(150);
/// Bytes of an attempt to open a stream.
const DIAL_BYTES: usize = 128;

impl Fleet {
    /// Does what a robot's core wants done.
    pub(super) fn send_outputs(&mut self, number: usize) {
        while let Some(output) = self.robots.get_mut(number).filter(|r| !r.is_hung()).and_then(SimRobot::poll_output) {
            let Some(output) = self.probe_output(number, output) else { continue };
            match output {
                RobotOutput::Save { ticket, contents } => self.save(number, ticket, contents),
                RobotOutput::Ack { outcome, .. } => self.on_answer(number, &outcome),
                RobotOutput::Dial => self.dial(number),
                RobotOutput::HangUp => self.robots.get_mut(number).into_iter().for_each(SimRobot::hang_up),
                RobotOutput::Report(report) => self.send_report(number, report),
                RobotOutput::Intent(intent) => self.broadcast(number, PeerMessage::Intent, intent.to_bytes()),
                RobotOutput::Hazard(hazard) => self.broadcast(number, PeerMessage::Hazard, hazard.to_bytes()),
                RobotOutput::MapHazard(entry) => self.broadcast(number, PeerMessage::MapHazard, entry.to_bytes()),
                RobotOutput::Gossip(gossip) => self.broadcast(number, PeerMessage::Gossip, gossip.to_bytes()),
            }
        }
    }

    fn save(&mut self, number: usize, ticket: u64, contents: Box<skein_robot::latch::LatchFileContents>) {
        if let Some(robot) = self.robots.get_mut(number) {
            let (start, takes) = robot.save(ticket, contents);
            self.transport.schedule(self.now + takes, SimEvent::Saved { robot: number, start, ticket });
        }
    }

    fn dial(&mut self, number: usize) {
        let Some(robot) = self.robots.get_mut(number) else { return };
        robot.stream += 1;
        robot.is_streaming = false;
        let event = SimEvent::DialArrives { robot: number, stream: robot.stream };
        self.transport.send(self.now, Link::report(number), DIAL_BYTES, &event);
    }

    /// The supervisor's machine accepts a stream when the supervisor runs, and refuses it when it does not.
    pub(super) fn on_dial(&mut self, robot: usize, stream: u64) {
        let answer = if self.supervisor.is_alive() {
            SimEvent::DialAnswered { robot, stream }
        } else {
            SimEvent::StreamBroken { robot, stream }
        };
        self.transport.send(self.now, Link::command(robot), DIAL_BYTES, &answer);
    }

    pub(super) fn on_dial_answered(&mut self, number: usize, stream: u64) {
        let newest = |robot: &&mut SimRobot| robot.stream == stream && robot.is_alive();
        let Some(robot) = self.robots.get_mut(number).filter(newest) else { return };
        robot.is_streaming = true;
        self.give(number, RobotInput::Link(LinkInput::Connected { challenge: None }));
    }

    pub(super) fn on_stream_broken(&mut self, number: usize, stream: u64) {
        let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.stream == stream) else { return };
        robot.hang_up();
        self.give(number, RobotInput::Link(LinkInput::Broken { reason: "the stream broke".to_owned() }));
    }

    pub(super) fn on_stream_gone(&mut self, number: usize, stream: u64) {
        if self.supervisor.forget_stream(number, stream)
            && let Some(agent) = self.robots.get(number).map(|robot| robot.id().clone())
        {
            self.handle_in_supervisor(SupervisorInput::Disconnected(agent));
        }
    }

    /// Both ends find out that a robot's stream is broken.
    pub(super) fn break_stream(&mut self, number: usize) {
        if let Some(stream) = self.robots.get(number).map(|robot| robot.stream) {
            self.transport.schedule(self.now + NOTICE, SimEvent::StreamBroken { robot: number, stream });
            self.lose_stream(number, stream);
        }
    }

    /// The supervisor finds out that a robot's stream is broken.
    pub(super) fn lose_stream(&mut self, number: usize, stream: u64) {
        self.transport.schedule(self.now + NOTICE, SimEvent::StreamGone { robot: number, stream });
    }

    fn send_report(&mut self, number: usize, report: AgentReport) {
        let Some(robot) = self.robots.get(number).filter(|robot| robot.is_streaming) else { return };
        let bytes = Rc::<[u8]>::from(report.to_bytes());
        let length = bytes.len();
        let event = SimEvent::ReportArrives { robot: number, stream: robot.stream, bytes };
        self.transport.send(self.now, Link::report(number), length, &event);
    }

    fn broadcast(&mut self, from: usize, kind: PeerMessage, bytes: Vec<u8>) {
        let bytes = Rc::<[u8]>::from(bytes);
        for robot in (0..self.robots.len()).filter(|to| *to != from) {
            let event = SimEvent::PeerMessageArrives { robot, from, kind, bytes: Rc::clone(&bytes) };
            self.transport.send(self.now, Link::mesh(from, robot), bytes.len(), &event);
        }
    }

    pub(super) fn on_peer_message(&mut self, robot: usize, from: usize, kind: PeerMessage, bytes: &[u8]) {
        use skein_robot::latch::LatchInput;
        let input = match kind {
            PeerMessage::Intent => self.decode::<Intent>(bytes).map(RobotInput::Intent),
            PeerMessage::Hazard => self.decode::<Hazard>(bytes).map(RobotInput::Hazard),
            PeerMessage::MapHazard => {
                let from = self.robots.get(from).map(|peer| peer.id().clone());
                let entry = self.decode::<MapHazard>(bytes);
                from.zip(entry).map(|(from, entry)| RobotInput::MapHazard { from, entry })
            }
            PeerMessage::Gossip => {
                let gossip = self.decode::<LatchGossip>(bytes);
                gossip.map(|gossip| RobotInput::Latch(LatchInput::Gossip(Box::new(gossip))))
            }
        };
        if let Some(input) = input {
            self.give(robot, input);
        }
    }

    pub(super) fn send_commands(&mut self, commands: Vec<(AgentId, CloudCommand)>) {
        for (agent, command) in commands {
            let Some(number) = self.number_of(&agent) else { continue };
            let Some(stream) = self.supervisor.stream_of(number) else { continue };
            let bytes = Rc::<[u8]>::from(command.to_bytes());
            let length = bytes.len();
            let event = SimEvent::CommandArrives { robot: number, stream, bytes };
            self.transport.send(self.now, Link::command(number), length, &event);
        }
    }

    pub(super) fn handle_in_supervisor(&mut self, input: SupervisorInput) {
        let commands = self.supervisor.handle(self.now, input);
        self.send_commands(commands);
    }

    pub(super) fn on_report(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(agent) = self.robots.get(number).map(|robot| robot.id().clone()) else { return };
        let Some(report) = self.decode::<AgentReport>(bytes) else { return };
        let input = match report {
            AgentReport::Hello(hello) => {
                self.supervisor.open_stream(number, stream);
                SupervisorInput::Connected(Box::new(hello))
            }
            // What comes on a stream that the supervisor no longer knows is not read.
            _ if self.supervisor.stream_of(number) != Some(stream) => return,
            report => {
                if let AgentReport::Ack(ack) = &report {
                    let kept = ack.outcome == CommandOutcome::Done;
                    self.operators.acknowledge(self.now, number, ack.command, kept, true);
                }
                SupervisorInput::Report { agent, report }
            }
        };
        self.handle_in_supervisor(input);
    }

    pub(super) fn on_command(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(command) = self.decode::<CloudCommand>(bytes) else { return };
        if self.robots.get(number).is_some_and(|robot| robot.stream == stream && robot.is_streaming) {
            self.give(number, RobotInput::Command(command));
        }
    }

    /// Finds out which robots' mesh sessions see each other now; they notice a little later.
    pub(super) fn update_presence(&mut self) {
        for number in 0..self.robots.len() {
            let up = !self.transport.network().is_isolated(LinkKind::Mesh, number);
            let changed = |robot: &&mut SimRobot| robot.is_alive() && robot.is_mesh_up != Some(up);
            if let Some(robot) = self.robots.get_mut(number).filter(changed) {
                robot.is_mesh_up = Some(up);
                self.give(number, RobotInput::MeshUp(up));
            }
        }
        let alive: Vec<bool> = self.robots.iter().map(SimRobot::is_alive).collect();
        for change in self.presence.update(&alive, self.transport.network()) {
            let (a, b) = change.pair;
            let at = self.now + if change.alive { DISCOVERY } else { NOTICE };
            for (robot, peer) in [(a, b), (b, a)] {
                self.transport.schedule(at, SimEvent::PeerSeen { robot, peer, alive: change.alive });
            }
        }
    }

    pub(super) fn on_peer(&mut self, robot: usize, peer: usize, alive: bool) {
        // What has changed again since is not noticed.
        if self.presence.sees(robot, peer) == alive
            && let Some(agent) = self.robots.get(peer).map(|r| r.id().clone())
        {
            self.give(robot, RobotInput::PeerAlive { agent, alive });
        }
    }

    fn number_of(&self, agent: &AgentId) -> Option<usize> {
        self.robots.iter().position(|robot| robot.id() == agent)
    }
}
