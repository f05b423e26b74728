//! SIP over UDP: one datagram, one message.
#![allow(clippy::disallowed_types, reason = "the SIP sockets live here")]

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use offhook_sip::event::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

/// Room for a burst of some thousand INVITEs while the control loop is busy; the kernel may grant less.
pub(crate) const RECEIVE_BUFFER: usize = 4 << 20;

/// The largest datagram there is.
pub const DATAGRAM: usize = 65_535;

/// A listening address.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
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
    pub fn start(socket: std::net::UdpSocket) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, local })
    }

    /// The address it listens on.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one datagram. A full buffer loses it, as any network might: SIP retransmits.
    ///
    /// It goes straight to the socket: the runtime refuses to send on a new socket until it has once heard from the
    /// kernel that the socket is writable, which loses the first message of a server that has just started.
    pub fn send(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<Sent> {
        sent(SockRef::from(&self.socket).send_to(bytes, &remote.into()))
    }

    /// Whether there may be a datagram to receive; if not, the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is found when it is received.
        self.socket.poll_recv_ready(cx).map(drop)
    }

    /// Receives one message, or none where the socket is empty. While the control loop is behind, datagrams wait in the
    /// kernel and are dropped there.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Received<'a> {
        let (length, remote) = match self.socket.try_recv_from(buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Empty,
            Err(error) => {
                // An ICMP error of an earlier datagram; the transaction's timer deals with its loss.
                tracing::debug!(%error, "UDP receive");
                return Received::Nothing;
            }
        };
        let flow = Flow { transport: Transport::Udp, local: self.local, remote, name: None };
        match buffer.get(..length) {
            Some(bytes) if !is_keep_alive(bytes) => Received::Message(flow, bytes),
            _ => Received::Nothing,
        }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The kernel has it.
    Whole,
    /// The kernel had no room for it.
    Lost,
}

fn sent(result: io::Result<usize>) -> io::Result<Sent> {
    match result {
        Ok(_) => Ok(Sent::Whole),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Sent::Lost),
        Err(error) => Err(error),
    }
}

/// What was found in a socket.
#[derive(Debug)]
pub enum Received<'a> {
    /// A message.
    Message(Flow, &'a [u8]),
    /// Something that is no message; there may be more behind it.
    Nothing,
    /// There is nothing left.
    Empty,
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

    /// The loopback has room for any number, so that this cannot be seen at a socket.
    #[test]
    fn what_the_kernel_has_no_room_for_is_lost_and_no_fault() {
        let failed = |kind: io::ErrorKind| sent(Err(kind.into())).map_err(|error| error.kind());
        assert_eq!(failed(io::ErrorKind::WouldBlock), Ok(Sent::Lost));
        assert_eq!(failed(io::ErrorKind::ConnectionRefused), Err(io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_message_of_a_new_socket_is_sent() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let remote = peer.local_addr().unwrap();
        let socket = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = Listener::start(socket).unwrap();
        assert_eq!(listener.send(b"INVITE", remote).unwrap(), Sent::Whole);
        let mut buffer = [0; 16];
        let (length, _) = peer.recv_from(&mut buffer).expect("loopback delivers before send returns");
        assert_eq!(&buffer[..length], b"INVITE");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn datagrams_are_received_until_there_are_none() {
        let socket = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = Listener::start(socket).unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (from, mut buffer) = (peer.local_addr().unwrap(), [0; 16]);
        for bytes in [&b"\r\n\r\n"[..], b"", b"BYE"] {
            peer.send_to(bytes, listener.local()).unwrap();
        }
        std::future::poll_fn(|cx| listener.poll_readable(cx)).await;
        for _ in 0..2 {
            assert!(matches!(listener.receive(&mut buffer), Received::Nothing), "a keep-alive");
        }
        let Received::Message(flow, bytes) = listener.receive(&mut buffer) else { panic!("a message") };
        assert_eq!((flow.remote, flow.local, bytes), (from, listener.local(), &b"BYE"[..]));
        assert!(matches!(listener.receive(&mut buffer), Received::Empty));
    }
}
