//! Ports: taken as asked for, or the next best one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::failure::{Exit, Failure};

/// Whether something could listen there now.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// A port of the loopback interface that nobody uses.
pub(crate) fn any_free() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::failed(format!("no port is free on the loopback interface: {error}")))
}

/// The refusal for a port that someone asked for and somebody has.
pub(crate) fn taken(address: SocketAddr, what: &str, flag: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{address} is in use, where {what} should listen"))
        .help(format!("end what listens there (`ss -ltnp` shows it), or choose another port with {flag}"))
}
