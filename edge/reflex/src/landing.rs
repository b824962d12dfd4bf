//! Landing: once begun it goes on to the ground, even when its cause ends in the air.
//!
//! ```text
//! UP ──a cause that lands──► LANDING ──on the ground, and no cause that lands──► UP
//! ```
//!
//! Only causes of the failsafe table whose action is `Land` on this body begin it, so that on wheels it never begins.

use skein_types::safety::Causes;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Landing {
    /// What it lands for; none while it does not land.
    causes: Causes,
}

impl Landing {
    /// One tick: the causes that ask for it now, and whether a frame that can be trusted shows the ground.
    pub(crate) fn update(&mut self, asking: Causes, on_ground: bool) {
        let ends = on_ground && asking.is_empty();
        self.causes = if ends { Causes::NONE } else { self.causes.union(asking) };
    }

    /// What it lands for.
    pub(crate) const fn causes(self) -> Causes {
        self.causes
    }
}
