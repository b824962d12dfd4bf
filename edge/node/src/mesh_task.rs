//! The robot's place among its peers: opened again whenever it is lost, and never in anyone's way.
//!
//! Of what this robot publishes only the newest matters: after an outage peers get the latest intent and latches, not a
//! queue of old ones. Hazards have a thread of their own ([`crate::hazard_thread`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skein_agent::Input;
use skein_mesh::{HazardHook, LatchHook, Mesh, MeshConfig, MeshError, MeshEvent, MeshHooks};
use skein_robot::backoff::Backoff;
use skein_robot::latch::LatchInput;
use skein_types::authority::LatchGossip;
use skein_types::coord::{Hazard, Intent, MapHazard};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::agent_thread::AgentMailbox;
use crate::clock;
use crate::hazard_thread::MeshSlot;
use crate::heartbeat::{BEAT_EVERY, Heartbeat};
use crate::latch_service::LatchService;
use crate::rt::HazardEnd;

/// Pauses before the mesh is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// To open it: longer than any connection that succeeds takes.
const OPEN_WITHIN: Duration = Duration::from_secs(20);
/// To leave in order.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Everything the mesh needs.
#[derive(Clone)]
pub struct MeshTask {
    /// How peers are reached.
    pub config: MeshConfig,
    /// Called on the network threads.
    pub hooks: MeshHooks,
    /// What this robot means to do.
    pub intent: watch::Receiver<Option<Intent>>,
    /// Entries of the shared hazard map that it passes on; when the mesh is behind, the oldest are dropped.
    pub map: broadcast::Sender<MapHazard>,
    /// What it passes on about latches.
    pub gossip: watch::Receiver<Option<Arc<LatchGossip>>>,
    /// The mesh while it is open, for the hazard thread.
    pub slot: MeshSlot,
    /// For what peers publish.
    pub agent: AgentMailbox,
    /// Makes the pauses differ from robot to robot.
    pub seed: u64,
}

/// Hooks that run on the network threads: a hazard goes into the reflex's slot, a latch into its cell. The lock of the
/// slot is only between network threads; the reflex reads it without one.
#[must_use]
pub fn straight_hooks(end: HazardEnd, latch: Arc<LatchService>) -> MeshHooks {
    let end = Mutex::new(end);
    let on_hazard: HazardHook =
        Arc::new(move |hazard: &Hazard| end.lock().unwrap_or_else(PoisonError::into_inner).put(clock::now(), hazard));
    let on_latch: LatchHook = Arc::new(move |gossip: LatchGossip| latch.handle(LatchInput::Gossip(Box::new(gossip))));
    MeshHooks { on_hazard: Some(on_hazard), on_latch: Some(on_latch) }
}

impl MeshTask {
    /// Keeps the mesh open until cancelled.
    pub async fn run(mut self, cancel: CancellationToken, heartbeat: Arc<Heartbeat>) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, self.seed);
        loop {
            let opening = tokio::time::timeout(OPEN_WITHIN, Mesh::open(&self.config, self.hooks.clone()));
            let opened = tokio::select! {
                opened = heartbeat.while_waiting(opening) => opened,
                () = cancel.cancelled() => return,
            };
            let failed = match opened {
                Ok(Ok((mesh, events))) => {
                    backoff.reset();
                    tracing::info!("the mesh is open");
                    self.exchange(Arc::new(mesh), events, &cancel, &heartbeat).await.map(|e| describe(&e))
                }
                Ok(Err(failed)) => Some(describe(&failed)),
                Err(_) => Some(format!("it did not open within {} s", OPEN_WITHIN.as_secs())),
            };
            self.slot.set(None);
            if cancel.is_cancelled() {
                return;
            }
            self.agent.mesh(false);
            let pause = backoff.next_pause();
            let reason = failed.unwrap_or_else(|| "it ended".to_owned());
            tracing::error!(%reason, pause_ms = pause.as_millis(), "no mesh");
            tokio::select! {
                () = heartbeat.while_waiting(tokio::time::sleep(pause)) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Until cancelled (then it leaves in order) or until the session is of no more use.
    async fn exchange(
        &mut self,
        mesh: Arc<Mesh>,
        mut events: mpsc::Receiver<MeshEvent>,
        cancel: &CancellationToken,
        heartbeat: &Heartbeat,
    ) -> Option<MeshError> {
        self.slot.set(Some(Arc::clone(&mesh)));
        self.gossip.mark_changed();
        let mut map = self.map.subscribe();
        let failed = loop {
            heartbeat.beat(clock::now());
            tokio::select! {
                () = tokio::time::sleep(BEAT_EVERY) => {}
                () = cancel.cancelled() => break None,
                changed = self.gossip.changed() => {
                    changed.ok()?;
                    let gossip = self.gossip.borrow_and_update().clone();
                    if let Some(Err(failed)) = gossip.map(|gossip| mesh.publish_latch((*gossip).clone())) {
                        break Some(failed);
                    }
                }
                changed = self.intent.changed() => {
                    changed.ok()?;
                    let intent = self.intent.borrow_and_update().clone();
                    if let Some(Err(failed)) = intent.map(|intent| mesh.publish_intent(intent)) {
                        break Some(failed);
                    }
                }
                entry = map.recv() => {
                    // An entry that was dropped is announced again by its reporter.
                    if let Some(Err(failed)) = entry.ok().map(|entry| mesh.publish_map_hazard(entry)) {
                        break Some(failed);
                    }
                }
                event = events.recv() => self.on_event(event?),
            }
        };
        self.slot.set(None);
        close(mesh).await;
        failed
    }

    fn on_event(&self, event: MeshEvent) {
        match event {
            MeshEvent::Intent(intent) => self.agent.peer(Input::Intent(intent)),
            MeshEvent::Hazard(hazard) => self.agent.peer(Input::Hazard(hazard)),
            MeshEvent::MapHazard { from, entry } => self.agent.peer(Input::MapHazard { from, entry }),
            MeshEvent::PeerAlive { agent, alive } => self.agent.peer(Input::PeerAlive { agent, alive }),
            MeshEvent::Up => self.agent.mesh(true),
            MeshEvent::Down => self.agent.mesh(false),
        }
    }
}

/// The hazard thread may hold the session for one more message; then dropping it leaves without an announcement.
async fn close(mesh: Arc<Mesh>) {
    if let Ok(mesh) = Arc::try_unwrap(mesh) {
        let _gone_either_way = tokio::time::timeout(CLOSE_WITHIN, mesh.close()).await;
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
