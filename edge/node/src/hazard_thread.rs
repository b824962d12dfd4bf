//! The thread that does nothing but publish hazards: woken by the tick that sensed one, past every queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use skein_mesh::Mesh;
use skein_robot::hazard::HazardSender;
use skein_types::coord::Hazard;
use skein_types::ids::{AgentId, BootId};

use crate::clock;
use crate::heartbeat::Heartbeat;
use crate::rt::{SensedEnd, Wake, WantedPrivileges, privileges};

/// Hazards of the agent that wait; it reports each place at most once a second.
const REPORTED_MAX: usize = 32;
/// Without news the thread goes round this often.
const IDLE: Duration = Duration::from_millis(200);
const STACK_BYTES: usize = 256 * 1024;

/// The mesh while it is open.
#[derive(Clone, Default)]
pub struct MeshSlot(Arc<Mutex<Option<Arc<Mesh>>>>);

impl MeshSlot {
    /// A mesh was opened, or lost.
    pub fn set(&self, mesh: Option<Arc<Mesh>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mesh;
    }

    fn get(&self) -> Option<Arc<Mesh>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The agent's way into the lane.
#[derive(Clone)]
pub struct HazardLane {
    reported: SyncSender<Hazard>,
    wake: Arc<Wake>,
}

impl HazardLane {
    /// Puts a hazard into the lane; `false` when it is full.
    #[must_use]
    pub fn report(&self, hazard: Hazard) -> bool {
        let taken = self.reported.try_send(hazard).is_ok();
        self.wake.raise();
        taken
    }
}

/// Everything the thread needs.
pub struct HazardThread {
    sender: HazardSender,
    sensed: SensedEnd,
    reported: Receiver<Hazard>,
    mesh: MeshSlot,
    heartbeat: Arc<Heartbeat>,
    ending: Arc<AtomicBool>,
}

/// The running thread.
pub struct HazardThreadHandle {
    thread: JoinHandle<()>,
    ending: Arc<AtomicBool>,
    wake: Arc<Wake>,
    /// When it last went round.
    pub heartbeat: Arc<Heartbeat>,
}

impl HazardThread {
    /// Both ends of the lane.
    #[must_use]
    pub fn new(robot: AgentId, boot: BootId, sensed: SensedEnd, mesh: MeshSlot) -> (Self, HazardLane) {
        let (tell, reported) = sync_channel(REPORTED_MAX);
        let wake = Arc::clone(&sensed.wake);
        let sender = HazardSender::new(robot, boot);
        let this = Self { sender, sensed, reported, mesh, heartbeat: Arc::default(), ending: Arc::default() };
        (this, HazardLane { reported: tell, wake })
    }

    /// Starts the thread, with this priority of `SCHED_FIFO` where the system grants it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self, priority: i32) -> std::io::Result<HazardThreadHandle> {
        let (ending, wake, heartbeat) =
            (Arc::clone(&self.ending), Arc::clone(&self.sensed.wake), Arc::clone(&self.heartbeat));
        let thread = Builder::new().name("skein-hazard".into()).stack_size(STACK_BYTES).spawn(move || {
            let granted = privileges::ask(&WantedPrivileges { priority, cpu: None, lock_memory: false });
            tracing::info!(scheduling = granted.scheduling, "the hazard thread runs");
            self.run();
        })?;
        Ok(HazardThreadHandle { thread, ending, wake, heartbeat })
    }

    fn run(mut self) {
        while !self.ending.load(Ordering::Acquire) {
            self.heartbeat.beat(clock::now());
            self.collect();
            self.publish();
            self.sensed.wake.wait(IDLE);
        }
    }

    fn collect(&mut self) {
        while let Ok(sensed) = self.sensed.sensed.pop() {
            self.sender.on_sensed(clock::now(), clock::wall(), &sensed);
        }
        while let Ok(hazard) = self.reported.try_recv() {
            self.sender.on_reported(clock::now(), hazard);
        }
    }

    fn publish(&mut self) {
        let mesh = self.mesh.get();
        while let Some(hazard) = self.sender.next(clock::now()) {
            let Some(mesh) = &mesh else { continue };
            if let Err(error) = mesh.publish_hazard(hazard) {
                tracing::warn!(%error, "a hazard was not sent");
            }
        }
    }
}

impl HazardThreadHandle {
    /// Ended without being told.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells the thread to end.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.wake.raise();
    }
}
