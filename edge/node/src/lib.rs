//! The robot's process: it owns the real clock, the threads and the sockets, and decides nothing. The decisions are made
//! in `skein-robot` and below.
//!
//! ```text
//!   body ◄──► reflex thread ──ring──► agent thread ──outbox──► uplink ──► supervisor
//!              ▲  ▲  ▲ 100 Hz ◄─slots── 20 Hz ▲ mailbox             │
//!              │  │  └ straight hazards ─ mesh ┘◄────────────────────┤
//!              │  └──── latch cell ◄── latch service ◄───────────────┘ debug API, mesh, reflex
//!              └ a lost body is connected again                        disk thread keeps the latch
//! ```
//!
//! | thread | what it does |
//! |---|---|
//! | skein-reflex | the real-time tick |
//! | skein-agent | the tactical step |
//! | skein-hazard | publishes hazards, nothing else |
//! | skein-latch, skein-disk | time and reflex for the latch; the latch file |
//! | skein-io | uplink, mesh, body connector (asynchronous tasks) |
//! | skein-debug | the debug API |
//! | skein-watchdog | watches all of them |
//! | skein-log | standard error |

pub mod agent_thread;
pub mod body_connector;
pub mod cli;
pub mod clock;
pub mod config;
pub mod debug;
pub mod hazard_thread;
pub mod heartbeat;
pub mod latch_file;
pub mod latch_service;
pub mod logs;
pub mod lossy_writer;
pub mod mesh_task;
pub mod node;
pub mod notify;
pub mod outbox;
pub mod place;
pub mod robot_key;
pub mod rt;
pub mod supervise;
pub mod uplink;
pub mod vitals;
pub mod watchdog;
