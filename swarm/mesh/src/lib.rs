//! What robots say to each other, over Zenoh: no router, no cloud.
//!
//! A [`Mesh`] carries [`Intent`]s and [`Hazard`]s between the coordination cores (`skein-coord`) of one fleet and knows
//! from liveliness tokens who is there. It decides nothing: it encodes, sends, checks and hands over.
//!
//! Every robot is a Zenoh peer that finds the others by multicast scouting (on loopback unless told otherwise) or by
//! the endpoints it is given, and links with each of them directly. Messages go out at once, unbatched: hazards with
//! real-time priority, intents below them. Nothing here waits for a slow peer: what does not fit into its queue is
//! dropped and counted, because the next intent comes 100 ms later and hazards are repeated.
//!
//! What arrives is checked ([`skein_wire::Wire`]) before anything looks at it; garbage is counted, never fatal, and a
//! message whose sender is not the one in its key is refused. Own messages never come back. A hazard goes to the
//! [`HazardHook`] on the network thread itself, so that it is in the reflex's slot before any queue.

mod config;
mod stats;
mod subscriber;

use std::sync::Arc;

use skein_types::coord::{Hazard, HazardKind, Intent};
use skein_types::ids::AgentId;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use thiserror::Error;
use tokio::sync::mpsc;
use zenoh::Wait;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Publisher;
use zenoh::qos::{CongestionControl, Priority};
use zenoh::sample::Locality;

pub use config::{MeshConfig, RUNTIME_ENV};
pub use stats::MeshStats;

use stats::Counters;
use subscriber::Subscriber;

/// Events that wait to be taken: ten peers fill it in two and a half seconds. Beyond it intents are dropped.
pub const EVENTS_MAX: usize = 256;
/// Places of [`EVENTS_MAX`] that intents leave free for hazards and for the coming and going of peers.
pub const EVENTS_RESERVED: usize = 64;

/// Called on the network thread with every hazard that a peer reports: it must not block.
pub type HazardHook = Arc<dyn Fn(&Hazard) + Send + Sync>;

/// What the mesh tells its robot.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshEvent {
    /// A peer spoke.
    Intent(Intent),
    /// A peer reported a danger.
    Hazard(Hazard),
    /// A peer came or went, by its liveliness token.
    PeerAlive {
        /// Who.
        agent: AgentId,
        /// Came or went.
        alive: bool,
    },
    /// The mesh works: it has been opened, or is linked with somebody again.
    Up,
    /// The last link to anybody is gone.
    Down,
}

/// Why there is no mesh.
#[derive(Debug, Error)]
pub enum MeshError {
    /// Zenoh does not take a setting.
    #[error("the mesh setting {key} = {value} is refused")]
    Setting {
        /// Which, as Zenoh calls it.
        key: String,
        /// The value, JSON5.
        value: String,
        /// What Zenoh says.
        #[source]
        source: zenoh::Error,
    },
    /// The configuration file for Zenoh cannot be read.
    #[error("the Zenoh configuration {path} is refused")]
    File {
        /// Where it is.
        path: String,
        /// What Zenoh says.
        #[source]
        source: zenoh::Error,
    },
    /// No session: an endpoint cannot be listened on, most often.
    #[error("the mesh cannot be opened")]
    Open(#[source] zenoh::Error),
    /// A key cannot be declared in the session.
    #[error("the mesh cannot declare {key}")]
    Declare {
        /// Which.
        key: String,
        /// What Zenoh says.
        #[source]
        source: zenoh::Error,
    },
    /// A message was not taken.
    #[error("the mesh cannot send to {key}")]
    Send {
        /// Which key.
        key: String,
        /// What Zenoh says.
        #[source]
        source: zenoh::Error,
    },
    /// The session does not end in order.
    #[error("the mesh does not close")]
    Close(#[source] zenoh::Error),
}

/// A robot's place among its peers. Dropping it leaves without a word; peers then notice by the closed links.
pub struct Mesh {
    session: zenoh::Session,
    presence: Publisher<'static>,
    hazards: Vec<(HazardKind, Publisher<'static>)>,
    token: LivelinessToken,
    counters: Arc<Counters>,
}

impl Mesh {
    /// Opens the session, says that this robot is there, and begins to listen.
    ///
    /// # Errors
    /// [`MeshError`] names the setting, the key or the endpoint that is refused.
    pub async fn open(
        config: &MeshConfig,
        on_hazard: Option<HazardHook>,
    ) -> Result<(Self, mpsc::Receiver<MeshEvent>), MeshError> {
        let session = zenoh::open(config.to_zenoh()?).await.map_err(MeshError::Open)?;
        let keys = SwarmKeys::new(config.fleet.clone());
        let counters = Arc::new(Counters::default());
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let subscriber =
            Arc::new(Subscriber::new(keys.clone(), config.agent.clone(), sender, on_hazard, Arc::clone(&counters)));
        subscriber.up();
        listen(&session, &keys, &subscriber).await?;
        let own = keys.key(&SwarmKey::Presence(config.agent.clone()));
        let presence = publisher(&session, &own, Priority::InteractiveHigh).await?;
        let mut hazards = Vec::new();
        for kind in [HazardKind::Cliff, HazardKind::Person, HazardKind::Obstacle, HazardKind::Breakdown] {
            let key = keys.key(&SwarmKey::Hazard(kind, config.agent.clone()));
            hazards.push((kind, publisher(&session, &key, Priority::RealTime).await?));
        }
        let token = session.liveliness().declare_token(own.clone()).await.map_err(declaring(&own))?;
        Ok((Self { session, presence, hazards, token, counters }, events))
    }

    /// Tells the peers what this robot means to do. Returns at once; a peer that is too slow misses it.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_intent(&self, intent: Intent) -> Result<(), MeshError> {
        self.put(&self.presence, intent.to_bytes())?;
        self.counters.intent_sent();
        Ok(())
    }

    /// Warns the peers. Returns at once.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_hazard(&self, hazard: Hazard) -> Result<(), MeshError> {
        let kind = hazard.kind;
        let bytes = hazard.to_bytes();
        for (_, publisher) in self.hazards.iter().filter(|(of, _)| *of == kind) {
            self.put(publisher, bytes.clone())?;
        }
        self.counters.hazard_sent();
        Ok(())
    }

    /// What was sent, heard, refused and dropped since the start.
    #[must_use]
    pub fn stats(&self) -> MeshStats {
        self.counters.read()
    }

    /// Addresses at which other robots can reach this one, for an explicit `connect`.
    pub async fn locators(&self) -> Vec<String> {
        self.session.info().locators().await.iter().map(ToString::to_string).collect()
    }

    /// Says goodbye and ends the session.
    ///
    /// # Errors
    /// [`MeshError::Close`] when Zenoh reports a failure; the session is gone nevertheless.
    pub async fn close(self) -> Result<(), MeshError> {
        self.token.undeclare().await.map_err(MeshError::Close)?;
        self.session.close().await.map_err(MeshError::Close)
    }

    fn put(&self, publisher: &Publisher<'static>, bytes: Vec<u8>) -> Result<(), MeshError> {
        publisher.put(bytes).wait().map_err(|source| {
            self.counters.failed();
            MeshError::Send { key: publisher.key_expr().to_string(), source }
        })
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh").field("zid", &self.session.zid()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn declaring(key: &str) -> impl FnOnce(zenoh::Error) -> MeshError + use<> {
    let key = key.to_owned();
    |source| MeshError::Declare { key, source }
}

async fn publisher(session: &zenoh::Session, key: &str, priority: Priority) -> Result<Publisher<'static>, MeshError> {
    session
        .declare_publisher(key.to_owned())
        .priority(priority)
        .congestion_control(CongestionControl::Drop)
        .express(true)
        .allowed_destination(Locality::Remote)
        .await
        .map_err(declaring(key))
}

async fn listen(session: &zenoh::Session, keys: &SwarmKeys, subscriber: &Arc<Subscriber>) -> Result<(), MeshError> {
    let hear = |key: String| {
        let subscriber = Arc::clone(subscriber);
        let declared = session
            .declare_subscriber(key.clone())
            .allowed_origin(Locality::Remote)
            .callback(move |sample| subscriber.on_sample(&sample))
            .background();
        async move { declared.await.map_err(declaring(&key)) }
    };
    hear(keys.every_hazard()).await?;
    hear(keys.every_presence()).await?;
    let tokens = keys.every_presence();
    let watcher = Arc::clone(subscriber);
    session
        .liveliness()
        .declare_subscriber(tokens.clone())
        .history(true)
        .callback(move |sample| watcher.on_liveliness(&sample))
        .background()
        .await
        .map_err(declaring(&tokens))?;
    let watcher = Arc::clone(subscriber);
    session
        .info()
        .transport_events_listener()
        .history(true)
        .callback(move |event| watcher.on_transport(event.kind()))
        .background()
        .await
        .map_err(declaring("transport events"))
}
