//! Ports for servers that are stopped and started again.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;

/// What is handed out: below the ports that systems give to whoever connects, which would take a stopped server's.
const PORTS: Range<u16> = 10_000..32_000;

/// A loopback port for TCP that no other test is given while this is held, in whatever process.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    /// The same port for UDP, which a server does not use.
    _held: UdpSocket,
}

impl Port {
    /// Any on which nobody listens.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn any() -> Port {
        let all = PORTS.len() as u16;
        let first = (uuid::Uuid::new_v4().as_u128() % u128::from(all)) as u16;
        let mut ports = (0..all).map(|next| PORTS.start + (first + next) % all);
        ports.find_map(Port::hold).expect("loopback has free ports")
    }

    fn hold(number: u16) -> Option<Port> {
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Port { number, _held: held })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_to_one_at_a_time_and_can_be_listened_on() {
        let port = Port::any();
        assert!(Port::hold(port.number()).is_none());
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        let number = port.number();
        drop(port);
        assert!(Port::hold(number).is_none(), "somebody listens");
        drop(server);
        assert!(Port::hold(number).is_some());
    }
}
