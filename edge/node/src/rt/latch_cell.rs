//! Two atomic 64-bit integers between the latch authority and the reflex thread: the latch that holds, and what the
//! reflex has latched by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use skein_types::authority::LatchView;
use skein_types::safety::Causes;

/// The low 32 bits of what the reflex has latched are causes, the high 32 bits the stamp that it had read.
const CAUSE_BITS: u32 = 32;

/// What holds, for the reflex; what the reflex has latched, for the authority.
#[derive(Debug, Default)]
pub struct LatchCell {
    view: AtomicU64,
    latched: AtomicU64,
}

impl LatchCell {
    /// Written under the lock of the authority, so that the newest stands.
    pub fn publish(&self, view: LatchView) {
        self.view.store(view.pack(), Ordering::Release);
    }

    /// What the next tick obeys.
    #[must_use]
    pub fn view(&self) -> LatchView {
        LatchView::unpack(self.view.load(Ordering::Acquire))
    }

    /// What the reflex holds until a release, with the latch that it had read.
    pub(super) fn latched(&self, causes: Causes, seen: LatchView) {
        let stamp = seen.stamp << CAUSE_BITS;
        self.latched.store(stamp | u64::from(causes.bits()), Ordering::Release);
    }

    /// The causes that the reflex holds, if any, and the stamp that it had read by then.
    #[must_use]
    pub fn reflex_latched(&self) -> Option<(Causes, u64)> {
        let packed = self.latched.load(Ordering::Acquire);
        let causes = Causes::from_bits(u32::try_from(packed & u64::from(u32::MAX)).unwrap_or(0))?;
        (!causes.is_empty()).then_some((causes, packed >> CAUSE_BITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::safety::{Cause, Latch};

    #[test]
    fn both_words_read_back() {
        let cell = LatchCell::default();
        let view = LatchView { level: Latch::Kill, stamp: 7 };
        cell.publish(view);
        assert_eq!((cell.view(), cell.reflex_latched()), (view, None));
        cell.latched(Causes::NONE.with(Cause::Tilt), view);
        assert_eq!(cell.reflex_latched(), Some((Causes::NONE.with(Cause::Tilt), 7)));
    }
}
