//! One robot's latch from outside, with a clock that a test moves.
#![allow(dead_code, unreachable_pub, reason = "a module that each test takes its part of")]

use skein_robot::latch::{
    Found, LatchAuthority, LatchFileContents, LatchInput, LatchOutcome, LatchOutput, LatchPath, Start,
};
use skein_types::authority::{
    Epoch, LatchAction, LatchGossip, LatchOrder, LatchRegister, LatchReport, LatchRequest, LatchScope, LatchSet,
    Principal, RelayedRequest,
};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, OperatorId};
use skein_types::safety::Latch;
use skein_types::time::{MonoTime, WallTime};
use std::time::Duration;
use uuid::Uuid;

pub const START: MonoTime = MonoTime::from_millis(10_000);
pub const BOOT: u128 = 0xb007 << 64;
pub const SECOND: Duration = Duration::from_secs(1);

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn robot(number: usize) -> AgentId {
    AgentId::new(format!("rover-{number:04}")).unwrap()
}

pub fn operator(name: &str) -> OperatorId {
    OperatorId::new(name).unwrap()
}

pub fn start() -> Start {
    Start {
        robot: robot(1),
        fleet: FleetId::new("yard").unwrap(),
        boot: BootId(Uuid::from_u128(BOOT)),
        kernel_boot: "k1".into(),
        now: START,
        wall: WallTime::from_unix_nanos(1_800_000_000_000_000_000),
        mesh_may_release: false,
    }
}

pub fn id(number: u128) -> CommandId {
    CommandId(Uuid::from_u128(number))
}

pub fn request(number: u128, scope: LatchScope, action: LatchAction) -> LatchRequest {
    let (by, at) = (Principal::Operator(operator("ada")), WallTime::from_unix_nanos(1));
    LatchRequest { id: id(number), scope, action, reason: "smoke".into(), by, at }
}

pub fn stop(number: u128) -> LatchRequest {
    request(number, LatchScope::Robot, LatchAction::Stop)
}

pub fn fleet_stop(number: u128) -> LatchRequest {
    request(number, LatchScope::Fleet, LatchAction::Stop)
}

pub fn release(number: u128, epoch: u64) -> LatchRequest {
    request(number, LatchScope::Robot, LatchAction::Release { epoch: Epoch(epoch) })
}

pub fn stopped_in(epoch: u64) -> LatchRegister {
    LatchRegister { epoch: Epoch(epoch), level: Latch::Stop, ..LatchRegister::released() }
}

pub fn gossip_of(sender: usize) -> LatchGossip {
    LatchGossip {
        sender: robot(sender),
        boot: BootId(Uuid::nil()),
        sequence: 1,
        fleet: LatchRegister::released(),
        robots: Vec::new(),
        requests: Vec::new(),
    }
}

pub fn relayed(requests: impl IntoIterator<Item = (Option<usize>, LatchRequest)>) -> LatchInput {
    let requests = requests.into_iter().map(|(to, request)| RelayedRequest { target: to.map(robot), request });
    LatchInput::Gossip(Box::new(LatchGossip { requests: requests.collect(), ..gossip_of(2) }))
}

/// One robot's latch; what it says is kept until a test takes it.
pub struct Bench {
    pub authority: LatchAuthority,
    pub now: MonoTime,
    pub said: Vec<LatchOutput>,
}

impl Bench {
    pub fn begin(start: &Start, found: Found) -> Self {
        let authority = LatchAuthority::start(start.now, start, found);
        let mut bench = Self { authority, now: start.now, said: Vec::new() };
        bench.drain();
        bench
    }

    /// Started for the first time, with all of it on the disk, and nothing left to say.
    pub fn fresh() -> Self {
        Self::settled(&start())
    }

    pub fn settled(start: &Start) -> Self {
        let mut bench = Self::begin(start, Found::Nothing);
        bench.save(Ok(()));
        bench.said.clear();
        bench
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.authority.poll_output() {
            self.said.push(output);
        }
    }

    pub fn handle(&mut self, input: LatchInput) {
        self.authority.handle(self.now, input);
        self.drain();
    }

    pub fn after(&mut self, span: Duration, input: LatchInput) {
        self.now = self.now + span;
        self.handle(input);
    }

    pub fn ask(&mut self, caller: u64, request: LatchRequest) {
        self.handle(LatchInput::Request { from: LatchPath::DebugApi(caller), target: None, request });
    }

    pub fn order(&mut self, request: Option<LatchRequest>, state: LatchSet) {
        self.handle(LatchInput::Order { command: id(500), order: LatchOrder { request, state } });
    }

    /// Answers the save that was asked for last.
    pub fn save(&mut self, result: Result<(), &str>) {
        let (ticket, _) = self.saves().pop().unwrap();
        self.said.retain(|output| !matches!(output, LatchOutput::Save { .. }));
        self.handle(LatchInput::Saved { ticket, result: result.map_err(str::to_owned) });
    }

    /// Lets the time pass, calling at each deadline and not otherwise.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while self.authority.next_deadline() <= until {
            self.now = self.now.max(self.authority.next_deadline());
            self.handle(LatchInput::Tick);
        }
        self.now = until;
    }

    pub fn saves(&self) -> Vec<(u64, LatchFileContents)> {
        let save = |output: &LatchOutput| match output {
            LatchOutput::Save { ticket, contents } => Some((*ticket, (**contents).clone())),
            _ => None,
        };
        self.said.iter().filter_map(save).collect()
    }

    pub fn acks(&self) -> Vec<(LatchPath, LatchOutcome)> {
        let ack = |output: &LatchOutput| match output {
            LatchOutput::Ack { path, outcome } => Some((*path, outcome.clone())),
            _ => None,
        };
        self.said.iter().filter_map(ack).collect()
    }

    pub fn gossip(&self) -> Vec<LatchGossip> {
        let gossip = |output: &LatchOutput| match output {
            LatchOutput::Gossip(gossip) => Some((**gossip).clone()),
            _ => None,
        };
        self.said.iter().filter_map(gossip).collect()
    }

    pub fn reports(&self) -> Vec<LatchReport> {
        let report = |output: &LatchOutput| match output {
            LatchOutput::Report(report) => Some(report.clone()),
            _ => None,
        };
        self.said.iter().filter_map(report).collect()
    }

    pub fn level(&self) -> Latch {
        self.authority.latches().level()
    }
}
