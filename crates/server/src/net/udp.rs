//! SIP over UDP: one datagram, one message.
#![allow(clippy::disallowed_types, reason = "the SIP sockets live here")]

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use offhook_sip::event::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::input::Input;

/// Room for a burst of some thousand INVITEs while the control loop is busy; the kernel may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The largest datagram there is.
const DATAGRAM: usize = 65_535;

/// A listening address.
#[derive(Clone, Debug)]
pub struct Listener {
    socket: Rc<UdpSocket>,
    local: SocketAddr,
}

impl Listener {
    /// Opens the socket.
    pub fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // A smaller buffer only loses more of a burst, and SIP retransmits.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.bind(&address.into())?;
        Ok(socket.into())
    }

    /// Begins to listen, on the control thread's runtime.
    pub fn start(socket: std::net::UdpSocket, inputs: mpsc::Sender<Input>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let listener = Self { socket: Rc::new(UdpSocket::from_std(socket)?), local };
        tokio::task::spawn_local(listener.clone().listen(inputs));
        Ok(listener)
    }

    /// The address it listens on.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one datagram. A full buffer loses it, as any network might: SIP retransmits.
    ///
    /// It goes straight to the socket: the runtime refuses to send on a new socket until it has once heard from the
    /// kernel that the socket is writable, which loses the first message of a server that has just started.
    pub fn send(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
        match SockRef::from(&*self.socket).send_to(bytes, &remote.into()) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    async fn listen(self, inputs: mpsc::Sender<Input>) {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let (length, remote) = match self.socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    // An ICMP error of an earlier datagram; the transaction's timer deals with its loss.
                    tracing::debug!(%error, "UDP receive");
                    continue;
                }
            };
            let flow = Flow { transport: Transport::Udp, local: self.local, remote, name: None };
            let bytes = buffer.get(..length).unwrap_or_default();
            if is_keep_alive(bytes) {
                continue;
            }
            let bytes = bytes.to_vec();
            // While the control loop is behind, datagrams wait in the kernel and are dropped there.
            if inputs.send(Input::Message { flow, bytes }).await.is_err() {
                return;
            }
        }
    }
}

/// Line ends, or nothing, that keep the way through a NAT open (RFC 5626 §4.4; §3.5.1 has an answer on streams only).
fn is_keep_alive(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alives_are_not_messages() {
        for (bytes, expected) in
            [("", true), ("\r\n\r\n", true), ("\0", true), ("\r\nOPTIONS", false), ("jaK", false)]
        {
            assert_eq!(is_keep_alive(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_message_of_a_new_socket_is_sent() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let remote = peer.local_addr().unwrap();
        let (inputs, _kept) = mpsc::channel(1);
        let set = tokio::task::LocalSet::new();
        set.run_until(async {
            let socket = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = Listener::start(socket, inputs).unwrap();
            listener.send(b"INVITE", remote).unwrap();
        })
        .await;
        let mut buffer = [0; 16];
        let (length, _) = peer.recv_from(&mut buffer).expect("loopback delivers before send returns");
        assert_eq!(&buffer[..length], b"INVITE");
    }
}
