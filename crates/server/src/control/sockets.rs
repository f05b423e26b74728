//! What the control loop listens on, from where it is opened to where it is started.

use std::net::SocketAddr;

use offhook_sip::event::Transport;

/// The sockets that the loop listens on, opened and not started yet.
#[derive(Debug, Default)]
pub struct Sockets {
    /// SIP over UDP.
    #[allow(clippy::disallowed_types, reason = "handed from the start of the server to the control thread")]
    pub udp: Vec<std::net::UdpSocket>,
    /// SIP over TCP.
    pub tcp: Vec<std::net::TcpListener>,
    /// SIP over TLS.
    pub tls: Vec<std::net::TcpListener>,
}

impl Sockets {
    /// The addresses that they are bound to, those of one transport in their order.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        let udp = self.udp.iter().map(|socket| (Transport::Udp, socket.local_addr()));
        let streams = |transport, sockets: &[std::net::TcpListener]| {
            let local = sockets.iter().map(|socket| (transport, socket.local_addr()));
            local.collect::<Vec<_>>()
        };
        let tcp = streams(Transport::Tcp, &self.tcp);
        let tls = streams(Transport::Tls, &self.tls);
        let all = udp.chain(tcp).chain(tls);
        all.filter_map(|(transport, local)| Some((transport, local.ok()?))).collect()
    }
}
