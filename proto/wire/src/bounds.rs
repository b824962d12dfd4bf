//! How large things may be on the wire. What is larger is refused by the receiver; free text is cut by the sender.

pub use skein_types::coord::INTENT_PATH_MAX;
pub use skein_types::event::EVENT_PAYLOAD_BYTES_MAX;
pub use skein_types::ids::NAME_BYTES_MAX;
pub use skein_types::mission::TEXT_BYTES_MAX;
pub use skein_types::polygon::POLYGON_CORNERS_MAX;
pub use skein_types::region::REGION_RUNS_MAX;
use skein_types::telemetry::TELEMETRY_BATCH;

/// Largest encoded message, in bytes: a region of the most runs a map yields fits several times.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest encoded message between robots, in bytes: an intent with the longest path takes a sixth of it.
pub const SWARM_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Most samples in one batch: a robot that could not send for a second sends what it has at once.
pub const TELEMETRY_SAMPLES_MAX: usize = TELEMETRY_BATCH * 10;
/// Most events in one batch; of the largest payload each they just fit into one message.
pub const EVENTS_MAX: usize = 200;
/// Most robots in one list or picture.
pub const ROBOTS_MAX: usize = 10_000;
/// Most missions in one list or picture.
pub const MISSIONS_MAX: usize = 10_000;
/// Most points of a previewed path.
pub const PREVIEW_PATH_MAX: usize = 100_000;
/// Most verdicts of one preview.
pub const VERDICTS_MAX: usize = 1_000;
/// Most decisions in one explanation.
pub const DECISIONS_MAX: usize = 100;
/// Largest gossip about latches between two robots: sixty-four registers and sixteen requests.
pub const GOSSIP_BYTES_MAX: usize = 32 * 1024;
