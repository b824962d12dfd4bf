//! One process with what is needed to start it again.

use std::net::SocketAddr;

use super::directory::ProcessRecord;
use super::process::{Measured, Process, Start};
use super::restart::Restarts;
use crate::clock;
use crate::failure::Failure;

/// A process, its restarts, and what its earlier runs cost.
#[derive(Debug)]
pub(super) struct Supervised {
    process: Process,
    debug: Option<SocketAddr>,
    restarts: Restarts,
    count: u32,
    last_exit: Option<String>,
    earlier: Vec<Measured>,
}

impl Supervised {
    /// Starts it for the first time. `debug` is the address of a robot's debug API.
    pub(super) fn start(start: Start, debug: Option<SocketAddr>) -> Result<Self, Failure> {
        let process = Process::start(start)?;
        let restarts = Restarts::default();
        Ok(Self { process, debug, restarts, count: 0, last_exit: None, earlier: Vec::new() })
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    pub(super) fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    pub(super) fn name(&self) -> &str {
        self.process.name()
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.restarts.has_given_up()
    }

    /// Of every run.
    pub(super) fn measured(&self) -> Vec<Measured> {
        let mut all = self.earlier.clone();
        all.push(self.process.measured());
        all
    }

    pub(super) fn record(&self) -> ProcessRecord {
        ProcessRecord {
            debug: self.debug,
            restarts: self.count,
            last_exit: self.last_exit.clone(),
            has_given_up: self.has_given_up(),
            ..self.process.record()
        }
    }

    /// Takes its measure. When it ended, says how, and when it is started again if it may be.
    pub(super) fn poll(&mut self, may_restart: bool) -> Option<String> {
        let was_running = self.process.is_running();
        self.process.poll();
        if !was_running || self.process.is_running() {
            return None;
        }
        let (name, measured) = (self.name().to_owned(), self.process.measured());
        let how = measured.ended.unwrap_or_default();
        self.last_exit = Some(how.clone());
        if !may_restart {
            return Some(format!("{name} ended ({how})"));
        }
        let ran = core::time::Duration::try_from_secs_f64(measured.wall_s).unwrap_or_default();
        Some(match self.restarts.on_exit(clock::now(), ran) {
            Some(pause) => format!("{name} ended ({how}); started again in {:.1} s", pause.as_secs_f64()),
            None => format!("{name} ended ({how}) too often and is left alone; its log says why"),
        })
    }

    /// Starts it again when its pause is over. A start that fails counts as an end.
    pub(super) fn restart_if_due(&mut self) -> Option<String> {
        if !self.restarts.is_due(clock::now()) {
            return None;
        }
        match Process::start(self.process.recipe().clone()) {
            Ok(process) => {
                self.earlier.push(self.process.measured());
                self.process = process;
                self.count += 1;
                Some(format!("{} is started again (pid {})", self.name(), self.process.record().pid))
            }
            Err(failure) => {
                let _ = self.restarts.on_exit(clock::now(), core::time::Duration::ZERO);
                Some(failure.to_string())
            }
        }
    }
}
