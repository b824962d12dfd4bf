//! Presence, hazards and right of way among robots.
