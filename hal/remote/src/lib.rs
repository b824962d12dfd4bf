//! A body in another process: versioned frames over a Unix socket.
//!
//! The robot's side is [`RemoteBody`], a [`Body`](skein_body::Body) like any other: its calls never wait, take no
//! lock, use no thread and allocate nothing, so the robot's real-time loop drives it directly. The other side, a
//! simulator or a vendor's driver, holds a [`Listener`] and one [`Connection`] for each robot; none of its calls wait
//! either, so that a slow robot never stalls the world.
//!
//! ```text
//! robot                                world
//!   Hello{version, name}        ──►      Listener::poll -> Arrival
//!   Welcome{body, home}         ◄──      Arrival::welcome      (or Refused{why} and the end)
//!   Actuate | Halt | Restore    ──►      Connection::serve     each tick; all in order
//!   Sensors{…, scan when new}   ◄──      Connection::serve     100 Hz; dropped when the robot does not read
//! ```
//!
//! A frame is its length (`u32`, little-endian, of what follows), a kind (`u8`) and the fields in order. Times travel
//! as ages with the sender's own stamp, which the receiver maps to its clock by the shortest delay it saw lately; no
//! clock is shared. A frame that is too long, unknown, cut off or has bytes to spare ends the connection with an error
//! that names the field.
//!
//! Laws: a robot whose commands stop for [`SILENCE_MAX`] is halted by the world's side; a world that is gone is a
//! [`BodyError::Lost`](skein_body::BodyError::Lost) on the robot's, with nothing moving. Whether to connect again is
//! the caller's choice.
//!
//! The socket is for its owner alone: its mode is 0600, and each end asks the kernel for the other's user
//! (`SO_PEERCRED`) and takes only its own user or root.

mod bridge;
pub mod check;
mod client;
mod codec;
mod pipe;
mod server;

pub use client::{Options, RemoteBody};
pub use codec::{Command, FRAME_BYTES_MAX, Malformed, Refusal, Unexpected, VERSION, Welcome};
pub use pipe::RemoteError;
pub use server::{Arrival, Connection, Listener, SILENCE_MAX, Sent, WEDGED_AFTER};
