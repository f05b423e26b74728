//! The pool of RTP port pairs. A pair is leased with both of its sockets already open, so that an SDP never names a
//! port that turns out to be taken (`reliability.md` E2).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_call::Port;
use offhook_media::event::Channel;
use socket2::{Domain, Socket, Type};

/// A released pair rests so long before it is used again, so that late packets of its last call reach nobody
/// (`reliability.md` R11).
const QUARANTINE: Duration = Duration::from_secs(5);

/// How many pairs that other programs hold are skipped for one lease; more means that the range is taken.
const TRIES: usize = 32;

/// The two sockets of a leg, non-blocking, and connected to the peer once it is known: the kernel then drops what
/// comes from elsewhere, and sending costs less.
#[derive(Debug)]
#[allow(clippy::disallowed_types, reason = "the sockets of the RTP path live here and in the media threads")]
pub struct Sockets {
    rtp: std::net::UdpSocket,
    rtcp: std::net::UdpSocket,
    /// Whether the peer is known. Until then anybody could send, and nothing is taken.
    is_connected: bool,
}

impl Sockets {
    fn bind(address: IpAddr, port: u16) -> io::Result<Self> {
        let open = |port: u16| {
            // Non-blocking from its birth, which saves a system call.
            let socket =
                Socket::new(Domain::for_address((address, port).into()), Type::DGRAM.nonblocking(), None)?;
            socket.bind(&SocketAddr::new(address, port).into())?;
            Ok::<_, io::Error>(socket.into())
        };
        Ok(Self { rtp: open(port)?, rtcp: open(port + 1)?, is_connected: false })
    }

    /// From now on, talk to this peer only. One on hold the old way, with an address of zeros, stays where it was: to
    /// the kernel zeros are ourselves.
    pub fn connect(&mut self, rtp: SocketAddr, rtcp: SocketAddr) -> io::Result<()> {
        if rtp.ip().is_unspecified() {
            return Ok(());
        }
        self.rtp.connect(rtp)?;
        self.is_connected = true;
        if rtcp.ip().is_unspecified() { Ok(()) } else { self.rtcp.connect(rtcp) }
    }

    /// Whether the peer is known.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Sends one packet to the connected peer.
    pub fn send(&self, channel: Channel, packet: &[u8]) -> io::Result<usize> {
        self.of(channel).send(packet)
    }

    /// Receives one packet of the connected peer, or `WouldBlock`.
    pub fn receive(&self, channel: Channel, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_connected {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.of(channel).recv(buffer)
    }

    /// One of the two.
    #[allow(clippy::disallowed_types, reason = "as above")]
    pub fn of(&self, channel: Channel) -> &std::net::UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}

/// All pairs of the configured range: free, leased or at rest.
#[derive(Debug)]
pub struct Ports {
    address: IpAddr,
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    leased: HashMap<Port, Option<Sockets>>,
}

impl Ports {
    /// The given even ports, each with the odd one above it; used in order from a random start, so that a restarted
    /// server does not meet the packets of the calls that it lost.
    pub fn new(address: IpAddr, ports: impl Iterator<Item = u16>, random: u64) -> Self {
        let mut free: VecDeque<u16> = ports.collect();
        if !free.is_empty() {
            let start = usize::try_from(random % free.len() as u64).unwrap_or(0);
            free.rotate_left(start);
        }
        Self { address, free, resting: VecDeque::new(), leased: HashMap::new() }
    }

    /// Opens the next free pair; `None` where all are in use.
    pub fn lease(&mut self, now: Instant) -> Option<Port> {
        while self.resting.front().is_some_and(|(since, _)| now.duration_since(*since) >= QUARANTINE) {
            let (_, port) = self.resting.pop_front()?;
            self.free.push_back(port);
        }
        for _ in 0..TRIES {
            let port = self.free.pop_front()?;
            match Sockets::bind(self.address, port) {
                Ok(sockets) => {
                    self.leased.insert(Port(port), Some(sockets));
                    return Some(Port(port));
                }
                Err(error) if out_of_descriptors(&error) => {
                    self.free.push_front(port);
                    return None;
                }
                Err(_) => self.resting.push_back((now, port)),
            }
        }
        None
    }

    /// The sockets of a leased pair, once.
    pub fn take(&mut self, port: Port) -> Option<Sockets> {
        self.leased.get_mut(&port)?.take()
    }

    /// The pair is no longer in use; sockets that nobody took are closed.
    pub fn release(&mut self, now: Instant, port: Port) {
        if self.leased.remove(&port).is_some() {
            self.resting.push_back((now, port.0));
        }
    }
}

/// Out of descriptors is no fault of the port: the pair stays first in line.
fn out_of_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::MFILE.raw_os_error())
        || code == Some(rustix::io::Errno::NFILE.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn pool(ports: &[u16]) -> Ports {
        Ports::new(IpAddr::from([127, 0, 0, 1]), ports.iter().copied(), 0)
    }

    #[test]
    fn r11_a_released_pair_rests_before_it_is_leased_again() {
        let now = clock::now().mono;
        let mut ports = pool(&[18_400]);
        let port = ports.lease(now).expect("one pair is free");
        assert_eq!(port, Port(18_400));
        assert_eq!(ports.lease(now), None, "there is only one pair");
        drop(ports.take(port));
        ports.release(now, port);
        assert_eq!(ports.lease(now + Duration::from_millis(4_999)), None);
        assert_eq!(ports.lease(now + Duration::from_secs(5)), Some(port));
    }

    #[test]
    fn zeros_are_no_peer_and_change_none() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let (mut ours, mut theirs, mut stranger) =
            (bound(loopback, 18_420), bound(loopback, 18_422), bound(loopback, 18_424));
        let at = |port| SocketAddr::new(loopback, port);
        let zeros = SocketAddr::from(([0, 0, 0, 0], 18_422));
        theirs.connect(at(18_420), at(18_421)).expect("loopback");
        stranger.connect(at(18_420), at(18_421)).expect("loopback");
        let mut buffer = [0; 8];
        ours.connect(zeros, zeros).expect("nothing to do");
        stranger.send(Channel::Rtp, b"x").expect("sent");
        let nobody = ours.receive(Channel::Rtp, &mut buffer).expect_err("nobody is the peer");
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
        // What a stranger sent before the peer was known is in front of what the peer sends.
        ours.connect(at(18_422), at(18_423)).expect("loopback");
        while ours.receive(Channel::Rtp, &mut buffer).is_ok() {}
        ours.connect(zeros, zeros).expect("nothing to do");
        stranger.send(Channel::Rtp, b"x").expect("sent");
        theirs.send(Channel::Rtp, b"yes").expect("sent");
        assert_eq!(ours.receive(Channel::Rtp, &mut buffer).expect("the peer's"), 3);
        ours.send(Channel::Rtp, b"back").expect("still to the peer");
        assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours"), 4);
    }

    #[test]
    fn r1_media_goes_to_the_address_that_was_named_whoever_else_sends() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let [mut ours, mut theirs, mut stranger] = [18_440, 18_442, 18_444].map(|port| bound(loopback, port));
        let at = |port| SocketAddr::new(loopback, port);
        ours.connect(at(18_442), at(18_443)).expect("loopback");
        theirs.connect(at(18_440), at(18_441)).expect("loopback");
        stranger.connect(at(18_440), at(18_441)).expect("loopback");
        let mut buffer = [0; 8];
        for _ in 0..20 {
            stranger.send(Channel::Rtp, b"here").expect("sent");
            ours.send(Channel::Rtp, b"audio").expect("sent");
            assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours"), 5);
            assert!(stranger.receive(Channel::Rtp, &mut buffer).is_err(), "nothing of ours");
        }
    }

    #[test]
    fn r2_what_a_stranger_sends_is_not_taken() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let [mut ours, mut theirs, mut stranger] = [18_446, 18_448, 18_450].map(|port| bound(loopback, port));
        let at = |port| SocketAddr::new(loopback, port);
        ours.connect(at(18_448), at(18_449)).expect("loopback");
        theirs.connect(at(18_446), at(18_447)).expect("loopback");
        stranger.connect(at(18_446), at(18_447)).expect("loopback");
        let mut buffer = [0; 8];
        for channel in [Channel::Rtp, Channel::Rtcp] {
            stranger.send(channel, b"injected").expect("sent");
            theirs.send(channel, b"said").expect("sent");
            assert_eq!(ours.receive(channel, &mut buffer).expect("the peer's"), 4);
            assert!(ours.receive(channel, &mut buffer).is_err(), "nothing else");
        }
    }

    fn bound(address: IpAddr, port: u16) -> Sockets {
        Sockets::bind(address, port).expect("free ports")
    }

    #[test]
    fn a_pair_that_another_program_holds_is_skipped() {
        let now = clock::now().mono;
        let foreign = Sockets::bind(IpAddr::from([127, 0, 0, 1]), 18_410).expect("free port");
        let mut ports = pool(&[18_410, 18_412]);
        assert_eq!(ports.lease(now), Some(Port(18_412)));
        drop(foreign);
    }
}
