//! Real processes together.
