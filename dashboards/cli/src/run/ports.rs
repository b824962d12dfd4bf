//! Ports: taken as asked for, or the next best one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::failure::{Exit, Failure};

/// Whether something could listen there now.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

/// A free port of the loopback interface.
pub(crate) fn any_free() -> Result<SocketAddr, Failure> {
    Free::default().next()
}

/// Draws different free ports: each stays taken until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Free {
    held: Vec<TcpListener>,
}

impl Free {
    pub(crate) fn next(&mut self) -> Result<SocketAddr, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| no_port(&error))?;
        let address = listener.local_addr().map_err(|error| no_port(&error))?;
        self.held.push(listener);
        Ok(address)
    }
}

fn no_port(error: &std::io::Error) -> Failure {
    Failure::failed(format!("no port is free on the loopback interface: {error}"))
}

/// The refusal for a port that was asked for and is in use.
pub(crate) fn taken(address: SocketAddr, what: &str, flag: &str) -> Failure {
    Failure::new(Exit::Refused, format!("{address} is in use, where {what} should listen"))
        .help(format!("end what listens there (`ss -ltnp` shows it), or choose another port with {flag}"))
}
