//! The link to the supervisor as a state machine: when to connect, what to greet with, where each command belongs.
//!
//! ```text
//!             pause over            connected               first command, or a while without a break
//!   PAUSED ─────────────► CONNECTING ─────────► STREAMING ─────────────────────────► (backoff starts anew)
//!     ▲                       │ too late, refused   │ broken, closed
//!     └───────────────────────┴─────────────────────┘ the pause doubles, with jitter
//! ```
//!
//! On a new stream the supervisor answers with a challenge; Hello carries the robot's signature over it
//! ([`hello_message`]), so that nobody else can take the robot's place.

use core::time::Duration;
use std::collections::VecDeque;

use skein_types::authority::{LatchOrder, LatchReport, LatchSet, Term, hello_message};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use skein_types::link::{CloudCommand, Hello, HelloProof, Order, SCHEMA};
use skein_types::time::MonoTime;

use crate::backoff::Backoff;

/// From the first packet to the supervisor's answer.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(8);
/// A stream that lasted this long counts as a success: the next pause is short again.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// Signs as this robot.
pub trait RobotKey {
    /// The public half.
    fn public_key(&self) -> [u8; 32];
    /// An Ed25519 signature.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// What does not change from stream to stream.
#[derive(Clone, Debug, PartialEq)]
pub struct RobotIdentity {
    /// Name of the robot, unique in its fleet.
    pub robot: AgentId,
    /// A supervisor of another fleet refuses the robot.
    pub fleet: FleetId,
    /// This boot of its process.
    pub boot: BootId,
    /// What its body can do.
    pub body: BodyDescriptor,
    /// Where it started and returns to, `map_from_body`.
    pub home: Pose,
    /// Version of its software.
    pub software: String,
    /// Where its debug API listens, `host:port`; empty when it has none.
    pub debug_address: String,
    /// BLAKE3 of its map, in hex.
    pub map_hash: String,
}

/// What the robot is doing when a stream begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Last command that took effect.
    pub last_command: Option<CommandId>,
    /// The order it works on.
    pub working_on: Option<(MissionId, Generation)>,
    /// The latches it obeys.
    pub latch: LatchReport,
}

impl RobotIdentity {
    /// First message on a new stream.
    #[must_use]
    pub fn hello(&self, standing: Standing, challenge: Option<[u8; 32]>, key: Option<&dyn RobotKey>) -> Hello {
        let proof = challenge.zip(key).map(|(challenge, key)| {
            let public_key = key.public_key();
            let message = hello_message(&challenge, &self.fleet, &self.robot, self.boot, &public_key);
            HelloProof { public_key, signature: key.sign(&message) }
        });
        Hello {
            agent: self.robot.clone(),
            fleet: self.fleet.clone(),
            boot: self.boot,
            body: self.body,
            home: self.home,
            software: self.software.clone(),
            schema: SCHEMA,
            last_command: standing.last_command,
            working_on: standing.working_on,
            debug_address: self.debug_address.clone(),
            map_hash: self.map_hash.clone(),
            latch: standing.latch,
            proof,
        }
    }
}

/// Where the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPhase {
    /// Waits before the next attempt.
    Paused {
        /// When the next attempt begins.
        until: MonoTime,
    },
    /// Has sent for the supervisor.
    Connecting {
        /// When the attempt began.
        since: MonoTime,
    },
    /// Both sides talk.
    Streaming {
        /// When the supervisor answered.
        since: MonoTime,
    },
}

/// What happened to the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkInput {
    /// The supervisor answered; its challenge, when it gave one.
    Connected {
        /// For the proof in Hello.
        challenge: Option<[u8; 32]>,
    },
    /// Refused, broken or closed.
    Broken {
        /// What the transport said.
        reason: String,
    },
    /// Time has passed.
    Tick,
}

/// What is to be done with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkOutput {
    /// Open a connection; [`LinkInput::Connected`] or [`LinkInput::Broken`] answers.
    Dial,
    /// Give the attempt up.
    HangUp,
    /// Send Hello, then what the outbox has.
    Greet {
        /// For the proof in Hello.
        challenge: Option<[u8; 32]>,
    },
    /// The supervisor answers.
    Up,
    /// It does not, or no longer.
    Down {
        /// One sentence, for people.
        reason: String,
        /// Until the next attempt.
        pause: Duration,
    },
}

/// One robot's link. Without a supervisor in the configuration there is none.
#[derive(Clone, Debug)]
pub struct LinkSession {
    phase: LinkPhase,
    backoff: Backoff,
    outputs: VecDeque<LinkOutput>,
}

impl LinkSession {
    /// A link whose first attempt is due now.
    #[must_use]
    pub const fn new(now: MonoTime, backoff: Backoff) -> Self {
        Self { phase: LinkPhase::Paused { until: now }, backoff, outputs: VecDeque::new() }
    }

    /// Applies one input; its outputs are drained with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, input: LinkInput) {
        match (self.phase, input) {
            (LinkPhase::Connecting { .. }, LinkInput::Connected { challenge }) => {
                self.phase = LinkPhase::Streaming { since: now };
                self.outputs.push_back(LinkOutput::Greet { challenge });
                self.outputs.push_back(LinkOutput::Up);
            }
            (LinkPhase::Connecting { .. }, LinkInput::Broken { reason }) => self.pause(now, reason),
            (LinkPhase::Streaming { since }, LinkInput::Broken { reason }) => {
                if now.since(since) > GOOD_AFTER {
                    self.backoff.reset();
                }
                self.pause(now, reason);
            }
            // Late news of an attempt that was given up, or of a stream that has ended.
            (LinkPhase::Paused { .. } | LinkPhase::Streaming { .. }, LinkInput::Connected { .. })
            | (LinkPhase::Paused { .. }, LinkInput::Broken { .. })
            | (_, LinkInput::Tick) => {}
        }
        self.catch_up(now);
    }

    /// What is to be done, in this order.
    pub fn poll_output(&mut self) -> Option<LinkOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle`] with [`LinkInput::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        match self.phase {
            LinkPhase::Paused { until } => Some(until),
            LinkPhase::Connecting { since } => Some(since + CONNECT_WITHIN),
            LinkPhase::Streaming { .. } => None,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn phase(&self) -> LinkPhase {
        self.phase
    }

    /// The supervisor answers.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self.phase, LinkPhase::Streaming { .. })
    }

    fn catch_up(&mut self, now: MonoTime) {
        match self.phase {
            LinkPhase::Paused { until } if until <= now => {
                self.phase = LinkPhase::Connecting { since: now };
                self.outputs.push_back(LinkOutput::Dial);
            }
            LinkPhase::Connecting { since } if now.since(since) >= CONNECT_WITHIN => {
                self.outputs.push_back(LinkOutput::HangUp);
                self.pause(now, format!("no answer within {} s", CONNECT_WITHIN.as_secs()));
            }
            LinkPhase::Paused { .. } | LinkPhase::Connecting { .. } | LinkPhase::Streaming { .. } => {}
        }
    }

    fn pause(&mut self, now: MonoTime, reason: String) {
        let pause = self.backoff.next_pause();
        self.phase = LinkPhase::Paused { until: now + pause };
        self.outputs.push_back(LinkOutput::Down { reason, pause });
    }
}

/// Where a command belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the latch, past everything else.
    Latch,
    /// To the lease.
    Lease,
    /// To the outbox: events are durable.
    Outbox,
    /// To the agent.
    Agent,
    /// Back: it comes from a planner whose term is over.
    Stale,
}

/// Where a command belongs, for a robot that has seen this term. STOP and KILL pass whatever the term.
#[must_use]
pub fn destination(command: &CloudCommand, known: Term) -> Destination {
    match &command.order {
        Order::Latch(order) if stops(order) => Destination::Latch,
        Order::EventsKept { .. } => Destination::Outbox,
        _ if command.term < known => Destination::Stale,
        Order::Latch(_) => Destination::Latch,
        Order::Lease(_) => Destination::Lease,
        Order::Assign(_) | Order::Pause(_) | Order::Resume(_) | Order::Cancel(_) | Order::Hazards(_) => {
            Destination::Agent
        }
    }
}

/// What of a latch order is taken: of a planner whose term is over only its STOP or KILL, not what it believes.
#[must_use]
pub fn admitted_order(order: LatchOrder, term: Term, known: Term) -> LatchOrder {
    if term >= known { order } else { LatchOrder { state: LatchSet::default(), ..order } }
}

fn stops(order: &LatchOrder) -> bool {
    order.request.as_ref().is_some_and(|request| request.action.is_stopping())
}

/// Why a command of an old term is refused.
#[must_use]
pub fn stale_reason(command: &CloudCommand, known: Term) -> String {
    format!("its term {} is over; this robot obeys {known}", command.term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::authority::{LatchAction, LatchRequest, LatchScope, Principal};
    use skein_types::time::WallTime;
    use uuid::Uuid;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_millis(millis)
    }

    fn session() -> LinkSession {
        LinkSession::new(at(0), Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 7))
    }

    fn outputs(link: &mut LinkSession) -> Vec<LinkOutput> {
        std::iter::from_fn(|| link.poll_output()).collect()
    }

    #[test]
    fn a_link_dials_greets_and_dials_again_after_a_break() {
        let mut link = session();
        link.handle(at(0), LinkInput::Tick);
        assert_eq!(outputs(&mut link), [LinkOutput::Dial]);
        let challenge = Some([7; 32]);
        link.handle(at(10), LinkInput::Connected { challenge });
        assert_eq!(outputs(&mut link), [LinkOutput::Greet { challenge }, LinkOutput::Up]);
        assert!(link.is_up() && link.next_deadline().is_none());
        link.handle(at(20), LinkInput::Broken { reason: "closed".into() });
        let [LinkOutput::Down { pause, .. }] = &outputs(&mut link)[..] else { panic!("it is down") };
        assert!(*pause <= Duration::from_millis(200));
        link.handle(at(20) + *pause, LinkInput::Tick);
        assert_eq!(outputs(&mut link), [LinkOutput::Dial]);
    }

    #[test]
    fn a_supervisor_that_never_answers_is_given_up_and_its_late_answer_ignored() {
        let mut link = session();
        link.handle(at(0), LinkInput::Tick);
        outputs(&mut link);
        let late = at(0) + CONNECT_WITHIN;
        link.handle(late, LinkInput::Tick);
        assert!(matches!(outputs(&mut link)[..], [LinkOutput::HangUp, LinkOutput::Down { .. }]));
        link.handle(late, LinkInput::Connected { challenge: None });
        assert!(outputs(&mut link).is_empty() && !link.is_up());
    }

    #[test]
    fn pauses_grow_until_a_stream_lasts() {
        let mut link = session();
        let mut now = at(0);
        let mut pauses = Vec::new();
        for lasts in [0, 0, 0, 0, 6_000, 0] {
            link.handle(now, LinkInput::Tick);
            link.handle(now, LinkInput::Connected { challenge: None });
            now = now + Duration::from_millis(lasts);
            link.handle(now, LinkInput::Broken { reason: String::new() });
            let pause = outputs(&mut link).into_iter().find_map(|output| match output {
                LinkOutput::Down { pause, .. } => Some(pause),
                _ => None,
            });
            pauses.push(pause.unwrap());
            now = now + pauses[pauses.len() - 1];
        }
        assert!(pauses[3] >= Duration::from_millis(800), "{pauses:?}");
        assert!(pauses[4] <= Duration::from_millis(200), "{pauses:?}");
    }

    fn command(term: u64, order: Order) -> CloudCommand {
        let id = CommandId(Uuid::from_u128(1));
        CloudCommand { id, generation: Generation(1), term: Term(term), expires_at: None, order }
    }

    fn latch(action: LatchAction) -> Order {
        let request = LatchRequest {
            id: CommandId(Uuid::from_u128(2)),
            scope: LatchScope::Robot,
            action,
            reason: String::new(),
            by: Principal::Robot(AgentId::new("rover-1").unwrap()),
            at: WallTime::default(),
        };
        Order::Latch(LatchOrder { request: Some(request), state: LatchSet::default() })
    }

    #[test]
    fn a_planner_whose_term_is_over_can_stop_and_nothing_else() {
        let to = |order| destination(&command(3, order), Term(4));
        assert_eq!(to(latch(LatchAction::Stop)), Destination::Latch);
        assert_eq!(to(latch(LatchAction::Kill)), Destination::Latch);
        assert_eq!(to(latch(LatchAction::Release { epoch: Default::default() })), Destination::Stale);
        assert_eq!(to(Order::Latch(LatchOrder { request: None, state: LatchSet::default() })), Destination::Stale);
        assert_eq!(to(Order::Pause(MissionId(Uuid::nil()))), Destination::Stale);
        assert_eq!(to(Order::Lease(None)), Destination::Stale);
        assert_eq!(destination(&command(4, Order::Lease(None)), Term(4)), Destination::Lease);
    }
}
