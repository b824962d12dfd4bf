//! Who may know whom.
