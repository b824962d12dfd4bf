//! The robot's process: it owns the real clock, the threads and the sockets, and decides nothing.
//!
//! ```text
//!   body ◄──► reflex thread ──ring──► agent thread ──outbox──► uplink ──► supervisor
//!               ▲  ▲  100 Hz  ◄─slots──  20 Hz  ▲ ▲  queue         │
//!               │  └ hazards straight ─ mesh ───┘ └────────────────┘
//!               └ a lost body is found again by the keeper        debug API reads all of it
//! ```

pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod debug;
pub mod keeper;
pub mod logs;
pub mod node;
pub mod notify;
pub mod outbox;
pub mod peers;
pub mod pilot;
pub mod place;
pub mod rt;
pub mod state;
pub mod uplink;
pub mod vitals;
pub mod watch;
