//! Messages between robots over Zenoh: no router, no cloud.
//!
//! A [`Mesh`] carries intents, hazards, latches and entries of the shared hazard map between the robots of one fleet,
//! and knows from liveliness tokens which robots are there. It decides nothing: it encodes, sends, checks and hands
//! over.
//!
//! Every robot is a Zenoh peer that finds the others by multicast scouting (on loopback unless configured otherwise)
//! or by the endpoints it is given, and links with each of them directly, over TLS where [`TlsFiles`] are given.
//! Messages go out at once, unbatched: latches and hazards with real-time priority, intents below them, the shared map
//! last. Nothing here waits for a slow peer: what does not fit into its queue is dropped and counted, because the next
//! intent comes 100 ms later and everything else is repeated. Nothing is kept for a peer that is not linked, so after
//! an outage the newest message comes first.
//!
//! What arrives is limited by sender (`limits`) and checked ([`skein_wire::Wire`]) before it is used. Garbage is
//! counted, never fatal, and a message whose sender is not the one in its key is refused. Own messages never come back.
//! Hazards and latches go to the [`MeshHooks`] on the network thread itself, before any queue.

mod config;
mod limits;
mod stats;
mod subscriber;

use std::sync::{Arc, Mutex, PoisonError};

use skein_types::authority::LatchGossip;
use skein_types::coord::{Hazard, HazardKind, Intent, MapHazard};
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

pub use config::{AccessRules, MeshConfig, RUNTIME_ENV, TlsFiles};
pub use stats::MeshStats;

use stats::Counters;
use subscriber::Subscriber;

/// Events that wait to be taken: ten peers fill it in two and a half seconds. Beyond it intents are dropped.
pub const EVENTS_MAX: usize = 256;
/// Places of [`EVENTS_MAX`] that intents leave free for hazards and for the coming and going of peers.
pub const EVENTS_RESERVED: usize = 64;

/// Called on the network thread with every hazard that a peer reports: it must not block.
pub type HazardHook = Arc<dyn Fn(&Hazard) + Send + Sync>;
/// Called on the network thread with all latch gossip of peers: it must not block.
pub type LatchHook = Arc<dyn Fn(LatchGossip) + Send + Sync>;

/// Receivers that get their messages on the network thread, before any queue.
#[derive(Clone, Default)]
pub struct MeshHooks {
    /// Receives hazards, which are queued as [`MeshEvent::Hazard`] as well.
    pub on_hazard: Option<HazardHook>,
    /// Receives latch gossip, which is not queued.
    pub on_latch: Option<LatchHook>,
}

/// What the mesh hands to its robot.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshEvent {
    /// Intent of a peer.
    Intent(Intent),
    /// Hazard reported by a peer.
    Hazard(Hazard),
    /// Entry of the shared hazard map.
    MapHazard {
        /// The peer that sent it, not always the one that sensed it.
        from: AgentId,
        /// What it says.
        entry: MapHazard,
    },
    /// A peer came or went, by its liveliness token.
    PeerAlive {
        /// Name of the peer.
        agent: AgentId,
        /// Whether it came.
        alive: bool,
    },
    /// The mesh works: it has been opened, or is linked with another robot again.
    Up,
    /// The last link is gone.
    Down,
}

/// Why there is no mesh.
#[derive(Debug, Error)]
pub enum MeshError {
    /// The mesh would listen beyond this machine, and the configuration does not allow it.
    #[error("the mesh would listen on {endpoint}, beyond this machine: set allow_remote to consent")]
    RemoteNotAllowed {
        /// The endpoint, or the network interface of the multicast search.
        endpoint: String,
    },
    /// Access rules identify robots by their certificates.
    #[error("access rules for the mesh need TLS")]
    AccessWithoutTls,
    /// Zenoh does not take a setting.
    #[error("the mesh setting {key} = {value} is refused")]
    Setting {
        /// Its name in Zenoh.
        key: String,
        /// The value, JSON5.
        value: String,
        /// Zenoh's error.
        #[source]
        source: zenoh::Error,
    },
    /// The configuration file for Zenoh cannot be read.
    #[error("the Zenoh configuration {path} is refused")]
    File {
        /// Path of the file.
        path: String,
        /// Zenoh's error.
        #[source]
        source: zenoh::Error,
    },
    /// No session: an endpoint cannot be listened on, most often.
    #[error("the mesh cannot be opened")]
    Open(#[source] zenoh::Error),
    /// A key cannot be declared in the session.
    #[error("the mesh cannot declare {key}")]
    Declare {
        /// Key expression of the topic.
        key: String,
        /// Zenoh's error.
        #[source]
        source: zenoh::Error,
    },
    /// A message was not taken.
    #[error("the mesh cannot send to {key}")]
    Send {
        /// Key expression of the topic.
        key: String,
        /// Zenoh's error.
        #[source]
        source: zenoh::Error,
    },
    /// The session does not end in order.
    #[error("the mesh does not close")]
    Close(#[source] zenoh::Error),
}

/// A robot's session among its peers. Dropping it leaves without notice; peers then see the closed links.
pub struct Mesh {
    session: zenoh::Session,
    presence: Publisher<'static>,
    latch: Publisher<'static>,
    map: Publisher<'static>,
    hazards: HazardPublisher,
    token: Mutex<Option<LivelinessToken>>,
    counters: Arc<Counters>,
}

/// Publishes hazards, from any thread: it shares no lock and no queue with the rest of the mesh.
#[derive(Clone)]
pub struct HazardPublisher {
    publishers: Arc<Vec<(HazardKind, Publisher<'static>)>>,
    counters: Arc<Counters>,
}

impl HazardPublisher {
    /// Warns the peers. Returns at once.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish(&self, hazard: Hazard) -> Result<(), MeshError> {
        let kind = hazard.kind;
        let bytes = hazard.to_bytes();
        for (_, publisher) in self.publishers.iter().filter(|(of, _)| *of == kind) {
            put(publisher, bytes.clone(), &self.counters)?;
        }
        self.counters.hazards_sent.count();
        Ok(())
    }
}

impl Mesh {
    /// Opens the session, announces this robot, and subscribes to its peers.
    ///
    /// # Errors
    /// [`MeshError`] names the setting, the key or the endpoint that is refused.
    pub async fn open(config: &MeshConfig, hooks: MeshHooks) -> Result<(Self, mpsc::Receiver<MeshEvent>), MeshError> {
        config.check_consent()?;
        let session = zenoh::open(config.to_zenoh()?).await.map_err(MeshError::Open)?;
        let keys = SwarmKeys::new(config.fleet.clone());
        let counters = Arc::new(Counters::default());
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let own = config.agent.clone();
        let subscriber = Arc::new(Subscriber::new(keys.clone(), own.clone(), sender, hooks, Arc::clone(&counters)));
        subscriber.on_open();
        listen(&session, &keys, &subscriber).await?;
        let presence_key = keys.key(&SwarmKey::Presence(own.clone()));
        let latch_key = keys.key(&SwarmKey::Latch(own.clone()));
        let map_key = keys.key(&SwarmKey::MapHazard(own.clone()));
        let mesh = Self {
            presence: publisher(&session, &presence_key, Priority::InteractiveHigh).await?,
            latch: publisher(&session, &latch_key, Priority::RealTime).await?,
            map: publisher(&session, &map_key, Priority::DataLow).await?,
            hazards: hazard_publisher(&session, &keys, &own, &counters).await?,
            token: Mutex::new(None),
            session,
            counters,
        };
        let token = mesh.session.liveliness().declare_token(presence_key.clone()).await;
        *mesh.token() = Some(token.map_err(declaring(&presence_key))?);
        Ok((mesh, events))
    }

    /// Publishes the own intent. Returns at once; a peer that is too slow misses it.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_intent(&self, intent: Intent) -> Result<(), MeshError> {
        put(&self.presence, intent.to_bytes(), &self.counters)?;
        self.counters.intents_sent.count();
        Ok(())
    }

    /// Warns the peers. Returns at once.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_hazard(&self, hazard: Hazard) -> Result<(), MeshError> {
        self.hazards.publish(hazard)
    }

    /// Publishes hazards from a thread that does nothing else.
    #[must_use]
    pub fn hazard_publisher(&self) -> HazardPublisher {
        self.hazards.clone()
    }

    /// Passes latches on to the peers. Returns at once.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_latch(&self, gossip: LatchGossip) -> Result<(), MeshError> {
        put(&self.latch, gossip.to_bytes(), &self.counters)?;
        self.counters.latches_sent.count();
        Ok(())
    }

    /// Passes an entry of the shared hazard map on to the peers. Returns at once.
    ///
    /// # Errors
    /// [`MeshError::Send`] when the session is closed.
    pub fn publish_map_hazard(&self, entry: MapHazard) -> Result<(), MeshError> {
        put(&self.map, entry.to_bytes(), &self.counters)?;
        self.counters.map_hazards_sent.count();
        Ok(())
    }

    /// What was sent, received, refused and dropped since the start.
    #[must_use]
    pub fn stats(&self) -> MeshStats {
        self.counters.read()
    }

    /// Addresses at which other robots can reach this one, for an explicit `connect`.
    pub async fn locators(&self) -> Vec<String> {
        self.session.info().locators().await.iter().map(ToString::to_string).collect()
    }

    /// Withdraws the own token and ends the session.
    ///
    /// # Errors
    /// [`MeshError::Close`] when Zenoh reports a failure; the session is gone nevertheless.
    pub async fn close(&self) -> Result<(), MeshError> {
        let token = self.token().take();
        if let Some(token) = token {
            token.undeclare().await.map_err(MeshError::Close)?;
        }
        self.session.close().await.map_err(MeshError::Close)
    }

    fn token(&self) -> std::sync::MutexGuard<'_, Option<LivelinessToken>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(publisher: &Publisher<'static>, bytes: Vec<u8>, counters: &Counters) -> Result<(), MeshError> {
    publisher.put(bytes).wait().map_err(|source| {
        counters.failed.count();
        MeshError::Send { key: publisher.key_expr().to_string(), source }
    })
}

async fn hazard_publisher(
    session: &zenoh::Session,
    keys: &SwarmKeys,
    own: &AgentId,
    counters: &Arc<Counters>,
) -> Result<HazardPublisher, MeshError> {
    let mut publishers = Vec::new();
    for kind in [HazardKind::Cliff, HazardKind::Person, HazardKind::Obstacle, HazardKind::Breakdown] {
        let key = keys.key(&SwarmKey::Hazard(kind, own.clone()));
        publishers.push((kind, publisher(session, &key, Priority::RealTime).await?));
    }
    Ok(HazardPublisher { publishers: Arc::new(publishers), counters: Arc::clone(counters) })
}

impl std::fmt::Debug for HazardPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HazardPublisher").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MeshHooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshHooks").finish_non_exhaustive()
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
    let subscribe = |key: String| {
        let subscriber = Arc::clone(subscriber);
        let declared = session
            .declare_subscriber(key.clone())
            .allowed_origin(Locality::Remote)
            .callback(move |sample| subscriber.on_sample(&sample))
            .background();
        async move { declared.await.map_err(declaring(&key)) }
    };
    subscribe(keys.every_latch()).await?;
    subscribe(keys.every_hazard()).await?;
    subscribe(keys.every_presence()).await?;
    subscribe(keys.every_map_hazard()).await?;
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
