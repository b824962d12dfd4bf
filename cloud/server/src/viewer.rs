//! Viewers of the fleet: each gets what changed since its last snapshot, and the newest when it was slow.

use std::sync::Arc;
use std::time::Duration;

use skein_types::fleet::FleetView;
use skein_wire::v1;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::core_actor::FleetSnapshot;
use crate::meter::Meter;

/// Without news, a sign of life after this.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);

/// A stream of fleet changes to one client.
pub(crate) struct Viewer {
    pub(crate) snapshots: watch::Receiver<Arc<FleetSnapshot>>,
    pub(crate) meter: Arc<Meter>,
    /// Of this life of the supervisor.
    pub(crate) epoch: u64,
    /// Of the alarms and hazards that the viewer has seen.
    pub(crate) notices: u64,
    /// What the viewer has seen.
    pub(crate) since: u64,
    pub(crate) shown: u64,
}

/// What a viewer had seen, if its token is of this life of the supervisor.
pub(crate) fn seen(token: &str, epoch: u64) -> u64 {
    let parts = token
        .split_once('-')
        .and_then(|(life, revision)| Some((u64::from_str_radix(life, 16).ok()?, revision.parse().ok()?)));
    match parts {
        Some((life, revision)) if life == epoch => revision,
        Some(_) | None => 0,
    }
}

impl Viewer {
    /// Sends snapshots until the viewer is gone or the core ends.
    pub(crate) async fn run(mut self, out: mpsc::Sender<Result<v1::WatchFleetResponse, Status>>) {
        let meter = self.meter.clone();
        let _watching = meter.viewers.hold();
        // The snapshot that lies there may be older than the first viewer; the next comes soon.
        self.snapshots.mark_unchanged();
        loop {
            let changed = tokio::select! {
                () = out.closed() => return,
                changed = tokio::time::timeout(HEARTBEAT, self.snapshots.changed()) => changed,
            };
            let view = match changed {
                Ok(Err(_owner_gone)) => return,
                Ok(Ok(())) => {
                    let snapshot = self.snapshots.borrow_and_update().clone();
                    match self.news(&snapshot) {
                        Some(news) => Some(news),
                        None => continue,
                    }
                }
                // Nothing changed for a while: a sign of life.
                Err(_elapsed) => None,
            };
            let resume_token = format!("{:x}-{}", self.epoch, self.since);
            let message = v1::WatchFleetResponse { view: view.map(Into::into), resume_token };
            meter.shown.add(1);
            if out.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }

    /// What this viewer has not seen of a snapshot.
    fn news(&mut self, snapshot: &FleetSnapshot) -> Option<FleetView> {
        let since = core::mem::replace(&mut self.since, snapshot.view.sequence);
        let robots = fresh(&snapshot.view.robots, &snapshot.robots, since);
        let missions = fresh(&snapshot.view.missions, &snapshot.missions, since);
        let noticed = core::mem::replace(&mut self.notices, snapshot.notices) == snapshot.notices;
        if robots.is_empty() && missions.is_empty() && noticed && self.shown > 0 {
            return None;
        }
        self.shown += 1;
        let FleetView { at, alarms, hazards, .. } = &snapshot.view;
        let (alarms, hazards) = (alarms.clone(), hazards.clone());
        Some(FleetView { sequence: self.shown, at: *at, robots, missions, alarms, hazards })
    }
}

fn fresh<T: Clone>(all: &[T], revisions: &[u64], since: u64) -> Vec<T> {
    all.iter().zip(revisions).filter(|(_, revision)| **revision > since).map(|(item, _)| item.clone()).collect()
}
