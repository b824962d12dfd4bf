//! Who may stop a robot, and the register that remembers it.
//!
//! | module | what it holds |
//! |---|---|
//! | `principal` | who commands |
//! | `request` | what one principal asks of a latch, once |
//! | `register` | the state that requests lead to, which merges |
//! | `messages` | leases, reports, orders and gossip about it |
//!
//! # Terms
//!
//! - *Request*: what one principal asked once ([`LatchRequest`]). It travels as it is over every path and takes effect
//!   once, however often and over however many paths it arrives.
//! - *Register*: the state that requests lead to ([`LatchRegister`]). Two copies of it merge, in any order and any
//!   number of times, to the same state.
//! - *Epoch*: counts the releases of a register. A release names the epoch that it ends.
//!
//! ```text
//!            STOP, KILL                 RELEASE(e)
//!  (e, Released) ──────► (e, Stop|Kill) ──────────► (e+1, Released)
//!                           │      ▲
//!                           └──────┘ another STOP or KILL: (e+1, the higher level)
//! ```
//!
//! A second request opens the next epoch so that a release which is under way for the first one cannot undo it. A stop
//! also lifts the epoch to the second (Unix time) in which it was made: a robot that was parted from the fleet while
//! the fleet was stopped and released does not lose a later stop of its own to that release. Where the clocks of two
//! operators differ by more than the time between release and stop, the merge order alone decides.

mod messages;
mod principal;
mod register;
mod request;

pub use messages::{
    GOSSIP_REQUESTS_MAX, GOSSIP_ROBOTS_MAX, LatchGossip, LatchOrder, LatchReport, LeaseGrant, RelayedRequest, Term,
    hello_message,
};
pub use principal::{Principal, PrincipalError};
pub use register::{LatchRegister, LatchSet, LatchView, REASON_BYTES_MAX, ReleaseRefused};
pub use request::{Epoch, LatchAction, LatchRequest, LatchScope};
