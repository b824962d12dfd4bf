//! Which requests were executed lately.

use std::collections::VecDeque;

use skein_types::ids::CommandId;

/// Most ids that are remembered: a request that comes again comes within seconds.
const RECENT_MAX: usize = 256;

/// The last ids, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecentIds {
    ids: VecDeque<CommandId>,
}

impl RecentIds {
    /// `true` when the id is new.
    pub(crate) fn insert(&mut self, id: CommandId) -> bool {
        if self.ids.contains(&id) {
            return false;
        }
        if self.ids.len() >= RECENT_MAX {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        true
    }
}
