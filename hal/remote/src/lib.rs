//! A body in another process: versioned frames over a Unix socket.
