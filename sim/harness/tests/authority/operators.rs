//! Operators press STOP and KILL, and look before they release.

use core::time::Duration;

use skein_types::authority::{Epoch, LatchAction, LatchRegister, LatchRequest, LatchScope, Principal};
use skein_types::ids::{CommandId, OperatorId};
use uuid::Uuid;

use super::model::{Process, Register};
use super::script::{Access, Act, Action, Press};
use super::world::{Event, World, agent, register_of, wall};

impl World {
    pub(crate) fn act(&mut self, act: Act) {
        let press = act.press;
        if press.action == Action::Release {
            let delay = 1 + self.below(400);
            self.at(self.now + Duration::from_millis(delay), Event::Look { press });
            return;
        }
        let action = if press.action == Action::Kill { LatchAction::Kill } else { LatchAction::Stop };
        let request = self.request(&press, action);
        self.model.on_made(self.now, register_of(press.target), &request);
        self.deliver(&press, &request, &[]);
    }

    fn request(&mut self, press: &Press, action: LatchAction) -> LatchRequest {
        self.callers += 1;
        let scope = if press.target.is_some() { LatchScope::Robot } else { LatchScope::Fleet };
        let id = CommandId(Uuid::from_u128(u128::from(self.script.seed) << 64 | u128::from(self.callers)));
        let by = Principal::Operator(OperatorId::new(press.operator).unwrap());
        self.log.push(format!("{} {} {action:?} {:?} over {:?}", self.now, press.operator, press.target, press.over));
        LatchRequest { id, scope, action, reason: "scripted".to_owned(), by, at: wall(self.now) }
    }

    /// Over each path that the operator uses.
    fn deliver(&mut self, press: &Press, request: &LatchRequest, epochs: &[(Option<usize>, Epoch)]) {
        for access in &press.over {
            match access {
                // A release of all at the supervisor names every register: who has seen one robot's copy sends it there.
                Access::Supervisor if press.action == Action::Release && epochs.len() < self.least_epochs(press) => {}
                Access::Supervisor => {
                    let (target, request, epochs) = (press.target, request.clone(), epochs.to_vec());
                    self.send(true, Event::AtSupervisor { target, request, epochs });
                }
                Access::Debug(robot) => {
                    self.callers += 1;
                    let (caller, target, request) = (self.callers, press.target.map(agent), request.clone());
                    let event = Event::Debug { robot: *robot, caller, target, request };
                    self.send(self.debug_open(*robot), event);
                }
            }
        }
    }

    /// How many registers a release names at the supervisor.
    fn least_epochs(&self, press: &Press) -> usize {
        let known = (0..self.robots.len()).filter(|robot| self.supervisor.wanted(self.now, *robot).is_some()).count();
        if press.target.is_some() { 1 } else { 1 + known }
    }

    pub(crate) fn look(&mut self, press: Press) {
        let seen = press.over.first().map(|access| self.registers_at(*access, press.target)).unwrap_or_default();
        if !seen.is_empty() {
            let think = 20 + self.below(3_000);
            self.at(self.now + Duration::from_millis(think), Event::Release { press, seen });
        }
    }

    /// What an operator sees: of the whole fleet, at the supervisor, all registers.
    fn registers_at(&self, access: Access, target: Option<usize>) -> Vec<(Option<usize>, LatchRegister)> {
        match access {
            Access::Supervisor => {
                let all = [None].into_iter().chain((0..self.robots.len()).map(Some));
                let asked = all.filter(|register| target.is_none() || *register == target);
                let found =
                    |of: Option<usize>| self.supervisor.register(self.now, register_of(of)).map(|found| (of, found));
                asked.filter_map(found).collect()
            }
            Access::Debug(robot) => {
                let reachable = self.debug_open(robot) && !self.robots[robot].hung && target.is_none_or(|t| t == robot);
                let authority = self.robots[robot].authority.as_ref().filter(|_| reachable);
                let scope = if target.is_some() { LatchScope::Robot } else { LatchScope::Fleet };
                authority.map(|a| (target, a.latches().get(scope).clone())).into_iter().collect()
            }
        }
    }

    pub(crate) fn release(&mut self, press: &Press, seen: &[(Option<usize>, LatchRegister)]) {
        let Some((_, register)) = seen.iter().find(|(of, _)| *of == press.target) else { return };
        if seen.iter().all(|(_, register)| !register.is_latched()) {
            return;
        }
        let request = self.request(press, LatchAction::Release { epoch: register.epoch });
        for (of, register) in seen {
            let action = LatchAction::Release { epoch: register.epoch };
            self.model.on_made(self.now, register_of(*of), &LatchRequest { action, ..request.clone() });
        }
        let epochs: Vec<_> = seen.iter().map(|(of, register)| (*of, register.epoch)).collect();
        self.deliver(press, &request, &epochs);
    }

    /// At the supervisor, or where there is none, at every robot.
    pub(crate) fn release_everything(&mut self) {
        if self.supervisor.is_up() {
            let seen = self.registers_at(Access::Supervisor, None);
            let over = vec![Access::Supervisor];
            return self.release(&Press { operator: "ada", action: Action::Release, target: None, over }, &seen);
        }
        for robot in 0..self.robots.len() {
            for target in [None, Some(robot)] {
                let over = vec![Access::Debug(robot)];
                let seen = self.registers_at(Access::Debug(robot), target);
                self.release(&Press { operator: "ada", action: Action::Release, target, over }, &seen);
            }
        }
    }

    pub(crate) fn at_supervisor(
        &mut self,
        target: Option<usize>,
        request: LatchRequest,
        epochs: &[(Option<usize>, Epoch)],
    ) {
        if !self.supervisor.is_up() {
            return;
        }
        let orders = self.supervisor.on_request(self.now, target, request.clone(), epochs);
        if let Some(after) = self.supervisor.register(self.now, register_of(target)) {
            self.model.on_handled(Process::Supervisor, &request, &after);
        }
        if self.supervisor.has_kept_all() {
            self.model.on_acknowledged(Process::Supervisor, request.id);
        }
        self.send_orders(orders);
        self.note_supervisor();
    }

    /// What the supervisor holds now binds it.
    pub(crate) fn note_supervisor(&mut self) {
        for register in self.registers() {
            if let Some(found) = self.supervisor.register(self.now, register) {
                self.model.on_holds(Process::Supervisor, register, &found);
            }
        }
    }

    pub(crate) fn registers(&self) -> Vec<Register> {
        (0..self.robots.len()).map(Register::Robot).chain([Register::Fleet]).collect()
    }
}
