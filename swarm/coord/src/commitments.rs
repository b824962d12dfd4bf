//! Check of yield commitments: a peer that promised to yield to this robot must not advance into its path.

use skein_types::coord::AgentState;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::PEER_CLEARANCE;
use crate::config::CoordConfig;
use crate::peer::Peer;
use crate::peers::PeerTable;
use crate::planned_path::PlannedPath;

/// A robot is this far off its published path without meaning to, metres.
const OFF_ITS_PATH: f64 = 0.04;
/// A yielding peer may come up to the conflict; nearer to this robot than this it has to keep off, metres.
const WATCHED: f64 = 3.0;

/// A broken commitment to yield.
pub(crate) struct Breach {
    pub(crate) agent: AgentId,
    /// Distance the peer moved into the path it promised to clear, metres.
    pub(crate) advanced: f64,
    /// Trust that is left, 0 to 1.
    pub(crate) trust: f64,
}

/// Compares the last two messages of each peer with the path of this robot, and lowers the trust of those that broke
/// a commitment.
pub(crate) fn check(now: MonoTime, peers: &mut PeerTable, path: &PlannedPath, config: &CoordConfig) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for peer in peers.iter_mut() {
        let Some(before) = peer.before.take() else { continue };
        if peer.intent.yields_to.as_ref() != Some(&config.id) {
            peer.trust.no_promise();
            continue;
        }
        let clearance = config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE;
        if let Some(advanced) = peer.trust.step(now, advance(path, clearance, &before, peer)) {
            breaches.push(Breach { agent: peer.intent.sender.clone(), advanced, trust: peer.trust.share(now) });
        }
    }
    breaches
}

/// Distance a yielding peer moved into the path it promised to clear, or along that path towards this robot, between
/// its last two messages and against the path as it is now. A peer that publishes a path out of it may come nearer
/// along that path: then only its distance from the published path counts.
fn advance(path: &PlannedPath, clearance: f64, before: &PlannedPath, peer: &Peer) -> f64 {
    let place = peer.intent.pose.position;
    let (was, is) = (before.start(), place);
    if is.distance(path.start()) > WATCHED {
        return 0.0;
    }
    let aside = path.distance(was) - path.distance(is);
    let along = was.distance(path.start()) - is.distance(path.start());
    let step = aside.max(along);
    if path.distance(is) >= clearance || step <= 0.0 {
        return step.min(0.0);
    }
    let leads_out = peer.intent.state == AgentState::Yielding && path.distance(peer.path.end()) >= clearance;
    if leads_out { (before.distance(is) - OFF_ITS_PATH).max(0.0) } else { step }
}
