//! The reference model: which STOPs bind which process, by causality alone.
//!
//! A STOP or KILL that a process has handled binds it until an operator has made a release that could know of it: one that
//! was made after the STOP and names an epoch that is not older than the one the STOP holds there. What a process has not
//! acknowledged as kept may be lost with the process; what it has acknowledged binds every later boot.

use std::collections::BTreeMap;

use skein_types::authority::{Epoch, LatchAction, LatchRegister, LatchRequest};
use skein_types::ids::CommandId;
use skein_types::safety::Latch;
use skein_types::time::MonoTime;

/// A register of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Register {
    Fleet,
    Robot(usize),
}

/// A process that handles requests and keeps registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    Supervisor,
    Robot(usize),
}

/// A STOP or KILL that binds a process.
#[derive(Clone, Debug)]
struct Duty {
    level: Latch,
    /// The epoch of the register after the process handled it.
    epoch: Epoch,
    acknowledged: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// When each request was made.
    made: BTreeMap<CommandId, (MonoTime, Register)>,
    releases: Vec<(MonoTime, Register, Epoch)>,
    duties: BTreeMap<(Process, Register, CommandId), Duty>,
}

impl Model {
    /// An operator makes a request.
    pub(crate) fn on_made(&mut self, now: MonoTime, register: Register, request: &LatchRequest) {
        self.made.entry(request.id).or_insert((now, register));
        if let LatchAction::Release { epoch } = request.action {
            self.releases.push((now, register, epoch));
        }
    }

    /// A process has handled a request; `after` is its register then.
    pub(crate) fn on_handled(&mut self, process: Process, request: &LatchRequest, after: &LatchRegister) {
        let level = match request.action {
            LatchAction::Stop => Latch::Stop,
            LatchAction::Kill => Latch::Kill,
            LatchAction::Release { .. } => return,
        };
        self.bind(process, request.id, level, after.epoch);
    }

    /// A process holds a register that a STOP or KILL has set, however it came there.
    pub(crate) fn on_holds(&mut self, process: Process, register: Register, found: &LatchRegister) {
        if found.is_latched() && self.made.get(&found.request).is_some_and(|(_, of)| *of == register) {
            self.bind(process, found.request, found.level, found.epoch);
        }
    }

    fn bind(&mut self, process: Process, request: CommandId, level: Latch, epoch: Epoch) {
        let Some((made, register)) = self.made.get(&request).copied() else { return };
        if !self.is_released_after(made, register, epoch) {
            let duty = Duty { level, epoch, acknowledged: false };
            self.duties.entry((process, register, request)).or_insert(duty);
        }
    }

    /// A process has acknowledged a request as kept.
    pub(crate) fn on_acknowledged(&mut self, process: Process, request: CommandId) {
        for ((of, _, id), duty) in &mut self.duties {
            duty.acknowledged |= *of == process && *id == request;
        }
    }

    /// A process has ended: what it has not acknowledged may be lost with it.
    pub(crate) fn on_death(&mut self, process: Process) {
        self.duties.retain(|(of, ..), duty| *of != process || duty.acknowledged);
    }

    /// Compares a register of a process with the model. A KILL binds fully within its epoch; where a STOP that did not know
    /// of it has opened a later one, the robot stands, but its power may be on.
    pub(crate) fn check(&self, process: Process, register: Register, found: &LatchRegister) -> Result<(), String> {
        let duties = self.duties.iter().filter(|((of, which, _), _)| (*of, *which) == (process, register));
        let least = |duty: &Duty| if found.epoch > duty.epoch { Latch::Stop } else { duty.level };
        let broken = duties.filter(|(_, duty)| found.level < least(duty)).find(|((_, _, id), duty)| {
            let made = self.made.get(id).map_or(MonoTime::ZERO, |(made, _)| *made);
            !self.is_released_after(made, register, duty.epoch)
        });
        let Some((_, duty)) = broken else { return Ok(()) };
        let (level, epoch) = (found.level, found.epoch);
        Err(format!(
            "{process:?} has {register:?} at {level:?} in epoch {epoch} though {:?} of epoch {} binds it",
            duty.level, duty.epoch
        ))
    }

    fn is_released_after(&self, made: MonoTime, register: Register, epoch: Epoch) -> bool {
        self.releases.iter().any(|(at, of, named)| *of == register && *at > made && *named >= epoch)
    }
}
