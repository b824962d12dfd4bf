//! All missions that are held in memory, and the idempotency keys they came under.

use std::collections::BTreeMap;

use core::cmp::Reverse;
use skein_types::ids::MissionId;

use crate::mission::Mission;

/// Most ended missions that are kept in memory.
const ENDED_MAX: usize = 500;

/// Missions by id and by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missions {
    by_id: BTreeMap<MissionId, Mission>,
    by_key: BTreeMap<String, MissionId>,
}

impl Missions {
    pub(crate) fn get(&self, id: MissionId) -> Option<&Mission> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: MissionId) -> Option<&mut Mission> {
        self.by_id.get_mut(&id)
    }

    /// The mission that came under an idempotency key; an empty key is none.
    pub(crate) fn with_key(&self, key: &str) -> Option<&Mission> {
        self.by_key.get(key).and_then(|id| self.by_id.get(id))
    }

    pub(crate) fn insert(&mut self, mission: Mission) {
        if !mission.key().is_empty() {
            self.by_key.insert(mission.key().to_owned(), mission.id());
        }
        self.by_id.insert(mission.id(), mission);
    }

    /// In the order of their ids: oldest first.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &Mission> {
        self.by_id.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Mission> {
        self.by_id.values_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Missions that have not ended.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Mission> {
        self.by_id.values().filter(|mission| !mission.state().is_terminal())
    }

    /// Missions that have not ended, the highest priority first, then the older.
    pub(crate) fn open_by_urgency(&self) -> Vec<MissionId> {
        let mut ids: Vec<_> = self.open().map(|mission| (Reverse(mission.spec().priority), mission.id())).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// Drops the oldest ended missions from memory; the ledger keeps them.
    pub(crate) fn forget_ended(&mut self) {
        let ended: Vec<MissionId> =
            self.by_id.values().filter(|mission| mission.state().is_terminal()).map(Mission::id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            if let Some(mission) = self.by_id.remove(id) {
                self.by_key.remove(mission.key());
            }
        }
    }
}
