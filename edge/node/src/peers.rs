//! The robot's place among its peers: opened again whenever it is lost, and never in anyone's way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skein_agent::Input;
use skein_mesh::{HazardHook, Mesh, MeshConfig, MeshError, MeshEvent, MeshHooks};
use skein_types::coord::Hazard;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock;
use crate::pilot::{AgentBusy, Message, PilotHandle, Word};
use crate::rt::HazardEnd;

/// Pauses before the mesh is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// To say goodbye.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// Everything the peers need.
pub struct Peers {
    /// How they are reached.
    pub config: MeshConfig,
    /// Hazards go straight to the reflex.
    pub hook: HazardHook,
    /// What is to be said.
    pub words: mpsc::Receiver<Word>,
    /// Who is to hear.
    pub pilot: PilotHandle,
    /// Makes the pauses differ from robot to robot.
    pub seed: u64,
}

/// A hook that puts a hazard into the reflex's slot on the network thread itself. The lock is only between network
/// threads; the reflex reads the slot without one.
#[must_use]
pub fn straight_to_the_reflex(end: HazardEnd) -> HazardHook {
    let end = Mutex::new(end);
    Arc::new(move |hazard: &Hazard| end.lock().unwrap_or_else(PoisonError::into_inner).put(clock::now(), hazard))
}

impl Peers {
    /// Talks until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, self.seed);
        loop {
            let opened = tokio::select! {
                opened = Mesh::open(&self.config, self.hooks()) => opened,
                () = cancel.cancelled() => return,
            };
            let failed = match opened {
                Ok((mesh, events)) => {
                    backoff.reset();
                    tracing::info!("the mesh is open");
                    self.talk(mesh, events, &cancel).await
                }
                Err(failed) => Some(failed),
            };
            if cancel.is_cancelled() {
                return;
            }
            self.tell(Message::Mesh(false));
            let pause = backoff.next_pause();
            let reason = failed.map_or_else(|| "it ended".to_owned(), |e| describe(&e));
            tracing::error!(%reason, pause_ms = pause.as_millis(), "no mesh");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    /// Until cancelled (then it says goodbye) or until the session is of no more use.
    async fn talk(
        &mut self,
        mesh: Mesh,
        mut events: mpsc::Receiver<MeshEvent>,
        cancel: &CancellationToken,
    ) -> Option<MeshError> {
        loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    let _gone_either_way = tokio::time::timeout(CLOSE_WITHIN, mesh.close()).await;
                    return None;
                }
                word = self.words.recv() => {
                    if let Err(failed) = say(&mesh, word?) {
                        return Some(failed);
                    }
                }
                event = events.recv() => self.hear(event?),
            }
        }
    }

    fn hooks(&self) -> MeshHooks {
        MeshHooks { on_hazard: Some(Arc::clone(&self.hook)), on_latch: None }
    }

    fn hear(&self, event: MeshEvent) {
        self.tell(match event {
            MeshEvent::Intent(intent) => Message::Input(Box::new(Input::Intent(intent))),
            MeshEvent::Hazard(hazard) => Message::Input(Box::new(Input::Hazard(hazard))),
            MeshEvent::MapHazard { from, entry } => Message::Input(Box::new(Input::MapHazard { from, entry })),
            MeshEvent::PeerAlive { agent, alive } => Message::Input(Box::new(Input::PeerAlive { agent, alive })),
            MeshEvent::Up => Message::Mesh(true),
            MeshEvent::Down => Message::Mesh(false),
        });
    }

    fn tell(&self, message: Message) {
        if let Err(AgentBusy) = self.pilot.send(message) {
            tracing::debug!("the agent hears no peers just now");
        }
    }
}

fn say(mesh: &Mesh, word: Word) -> Result<(), MeshError> {
    match word {
        Word::Say(intent) => mesh.publish_intent(intent),
        Word::Warn(hazard) => mesh.publish_hazard(hazard),
        Word::Map(entry) => mesh.publish_map_hazard(entry),
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
