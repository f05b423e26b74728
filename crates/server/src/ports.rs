//! The pool of RTP port pairs. A pair is leased with both of its sockets already open, so that an SDP never names a
//! port that turns out to be taken (`reliability.md` E2).

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
use offhook_call::Port;
use offhook_media::event::Channel;
use socket2::{Domain, Socket, Type};

/// A released pair rests so long before it is used again, so that late packets of its last call reach nobody
/// (`reliability.md` R11).
const QUARANTINE: Duration = Duration::from_secs(5);

/// Descriptors beside those of calls: listeners, connections of applications, files.
pub const OTHER_DESCRIPTORS: u64 = 2_000;

/// The descriptors of a call: two sockets and a recording.
pub const DESCRIPTORS_OF_A_CALL: u64 = 3;

/// How many pairs that other programs hold are skipped for one lease; more means that the range is taken.
const TRIES: usize = 32;

/// The two sockets of a leg, non-blocking, and connected to the peer once it is known: the kernel then drops what
/// comes from elsewhere, and sending costs less.
#[derive(Debug)]
pub struct Sockets {
    rtp: Tied,
    rtcp: Tied,
    is_ipv6: bool,
}

/// Asks a connected socket again that refuses: what it tells once, of whatever it is asked next, is that a packet sent before
/// has found a closed port or a wall (ICMP, RFC 1122 §4.1.3.3). That says nothing of what has come, or is to be sent.
pub fn despite_the_last<T, E: Into<io::Error>>(mut ask: impl FnMut() -> Result<T, E>) -> io::Result<T> {
    match ask().map_err(Into::into) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => ask().map_err(Into::into),
        answer => answer,
    }
}

/// One socket, and whom it hears.
#[derive(Debug)]
#[allow(clippy::disallowed_types, reason = "the sockets of the RTP path live here and in the media threads")]
struct Tied {
    socket: std::net::UdpSocket,
    tie: Tie,
}

/// Whom a socket hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tie {
    /// Nobody: who the peer is is not known, and nothing is taken.
    Nobody,
    /// Anybody, until the peer has shown where it is.
    Anybody,
    /// The peer, which has shown where it is. What others sent before may still be there, so that sources are asked for.
    Found,
    /// The peer, where it was named.
    Named,
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
        let (rtp, rtcp) = (open(port)?, open(port + 1)?);
        // What is not read at once is worth nothing without the moment at which it came.
        setsockopt(&rtp, ReceiveTimestampns, &true)?;
        Ok(Self { rtp: Tied::to_nobody(rtp), rtcp: Tied::to_nobody(rtcp), is_ipv6: address.is_ipv6() })
    }

    /// From now on, talk to this peer only on a channel; to whoever it may turn out to be, where that is not known. One on
    /// hold the old way, with an address of zeros, stays where it was: to the kernel zeros are ourselves.
    pub fn tie(&mut self, channel: Channel, peer: Option<SocketAddr>) -> io::Result<()> {
        let tied = match channel {
            Channel::Rtp => &mut self.rtp,
            Channel::Rtcp => &mut self.rtcp,
        };
        match peer {
            None => tied.open(),
            Some(peer) if peer.ip().is_unspecified() => Ok(()),
            Some(peer) => tied.connect(peer),
        }
    }

    /// Whether anybody is to be heard.
    pub fn is_tied(&self) -> bool {
        self.rtp.tie != Tie::Nobody
    }

    /// Sends one packet to the peer.
    pub fn send(&self, channel: Channel, destination: SocketAddr, packet: &[u8]) -> io::Result<usize> {
        let Tied { socket, tie } = self.tied(channel);
        match tie {
            Tie::Nobody => Err(io::ErrorKind::NotConnected.into()),
            Tie::Anybody => socket.send_to(packet, destination),
            Tie::Found | Tie::Named => despite_the_last(|| socket.send(packet)),
        }
    }

    /// Receives one packet, with its source where that is not said by whom the socket is connected to; or `WouldBlock`.
    pub fn receive(&self, channel: Channel, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let Tied { socket, tie } = self.tied(channel);
        match tie {
            Tie::Named => Ok((despite_the_last(|| socket.recv(buffer))?, None)),
            Tie::Anybody | Tie::Found => {
                let (length, source) = despite_the_last(|| socket.recv_from(buffer))?;
                Ok((length, Some(source)))
            }
            Tie::Nobody => {
                // Taken out, so that the socket is quiet, and thrown away.
                socket.recv(buffer)?;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Whether a packet's source has to be asked for: it is not known, or was not when the packet came.
    pub fn tells_source(&self, channel: Channel) -> bool {
        self.tied(channel).tie != Tie::Named
    }

    /// Whether they are of the newer family.
    pub fn is_ipv6(&self) -> bool {
        self.is_ipv6
    }

    /// One of the two.
    #[allow(clippy::disallowed_types, reason = "as above")]
    pub fn of(&self, channel: Channel) -> &std::net::UdpSocket {
        &self.tied(channel).socket
    }

    fn tied(&self, channel: Channel) -> &Tied {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}

impl Tied {
    #[allow(clippy::disallowed_types, reason = "as above")]
    fn to_nobody(socket: std::net::UdpSocket) -> Self {
        Self { socket, tie: Tie::Nobody }
    }

    fn connect(&mut self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer)?;
        self.tie = match self.tie {
            Tie::Nobody | Tie::Named => Tie::Named,
            Tie::Anybody | Tie::Found => Tie::Found,
        };
        Ok(())
    }

    fn open(&mut self) -> io::Result<()> {
        if matches!(self.tie, Tie::Found | Tie::Named) {
            rustix::net::connect_unspec(&self.socket)?;
        }
        self.tie = Tie::Anybody;
        Ok(())
    }
}

/// All pairs of the configured range: free, leased or at rest.
#[derive(Debug)]
pub struct Ports {
    address: IpAddr,
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    leased: HashMap<Port, Option<Sockets>>,
    /// The most that are leased at a time.
    most: usize,
}

/// How many pairs of ports there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortCounts {
    /// For calls to come.
    pub free: usize,
    /// Of calls that have ended a moment ago.
    pub resting: usize,
    /// Open.
    pub leased: usize,
}

/// How many pairs may be open where the process may have so many descriptors: the others are for those who would look
/// after what goes on (`reliability.md` E1), all that are usual or, where there are few, a quarter.
pub fn most_pairs(descriptors: Option<u64>) -> usize {
    let pairs = |most: u64| (most - OTHER_DESCRIPTORS.min(most / 4)) / DESCRIPTORS_OF_A_CALL;
    descriptors.map_or(usize::MAX, |most| usize::try_from(pairs(most)).unwrap_or(usize::MAX))
}

impl Ports {
    /// The given even ports, each with the odd one above it; used in order from a random start, so that a restarted
    /// server does not meet the packets of the calls that it lost. So many of them are leased at a time at most.
    pub fn new(address: IpAddr, ports: impl Iterator<Item = u16>, random: u64, most: usize) -> Self {
        let mut free: VecDeque<u16> = ports.collect();
        if !free.is_empty() {
            let start = usize::try_from(random % free.len() as u64).unwrap_or(0);
            free.rotate_left(start);
        }
        Self { address, free, resting: VecDeque::new(), leased: HashMap::new(), most }
    }

    /// Opens the next free pair; `None` where all are in use.
    pub fn lease(&mut self, now: Instant) -> Option<Port> {
        if self.leased.len() >= self.most {
            return None;
        }
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

    /// How many there are.
    pub fn counts(&self) -> PortCounts {
        let Self { free, resting, leased, .. } = self;
        PortCounts { free: free.len(), resting: resting.len(), leased: leased.len() }
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
pub(crate) mod tests {
    use super::*;
    use crate::clock;

    fn pool(ports: &[u16]) -> Ports {
        Ports::new(IpAddr::from([127, 0, 0, 1]), ports.iter().copied(), 0, usize::MAX)
    }

    #[test]
    fn descriptors_are_left_for_others() {
        let now = clock::now().mono;
        let mut ports = Ports::new(IpAddr::from([127, 0, 0, 1]), [18_404, 18_406].into_iter(), 0, 1);
        let port = ports.lease(now).expect("the first");
        assert_eq!(ports.lease(now), None, "the second would be one too many");
        ports.release(now, port);
        assert_eq!(ports.lease(now), Some(Port(18_406)));
        for (descriptors, pairs) in [(0, 0), (400, 100), (1_024, 256), (8_000, 2_000), (32_000, 10_000)] {
            assert_eq!(most_pairs(Some(descriptors)), pairs, "of {descriptors}");
        }
        assert_eq!(most_pairs(None), usize::MAX);
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
        connect(&mut theirs, at(18_420), at(18_421));
        connect(&mut stranger, at(18_420), at(18_421));
        let mut buffer = [0; 8];
        connect(&mut ours, zeros, zeros);
        stranger.send(Channel::Rtp, at(18_420), b"x").expect("sent");
        let nobody = ours.receive(Channel::Rtp, &mut buffer).expect_err("nobody is the peer");
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
        // What a stranger sent before the peer was known is in front of what the peer sends.
        connect(&mut ours, at(18_422), at(18_423));
        while ours.receive(Channel::Rtp, &mut buffer).is_ok() {}
        connect(&mut ours, zeros, zeros);
        stranger.send(Channel::Rtp, at(18_420), b"x").expect("sent");
        theirs.send(Channel::Rtp, at(18_420), b"yes").expect("sent");
        assert_eq!(ours.receive(Channel::Rtp, &mut buffer).expect("the peer's").0, 3);
        ours.send(Channel::Rtp, at(18_422), b"back").expect("still to the peer");
        assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours").0, 4);
    }

    /// One whose packets come, and at whose port ours are refused, as behind a wall that lets nothing in.
    #[test]
    fn a_peer_that_refuses_our_packets_is_heard() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let mut ours = bound(loopback, 18_464);
        let at = |port| SocketAddr::new(loopback, port);
        let theirs = || {
            let mut theirs = bound(loopback, 18_466);
            connect(&mut theirs, at(18_464), at(18_465));
            theirs
        };
        connect(&mut ours, at(18_466), at(18_467));
        let mut buffer = [0; 8];
        for channel in [Channel::Rtp, Channel::Rtcp] {
            let before = theirs();
            before.send(channel, at(18_464), b"said").expect("sent");
            drop(before);
            ours.send(channel, at(18_466), b"refused").expect("sent, and nobody is there");
            assert_eq!(ours.receive(channel, &mut buffer).expect("what was said before").0, 4);
            ours.send(channel, at(18_466), b"refused").expect("again");
            let back = theirs();
            ours.send(channel, at(18_466), b"audio").expect("sent");
            assert_eq!(back.receive(channel, &mut buffer).expect("ours").0, 5);
        }
    }

    #[test]
    fn r1_media_goes_to_the_address_that_was_named_whoever_else_sends() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let [mut ours, mut theirs, mut stranger] = [18_440, 18_442, 18_444].map(|port| bound(loopback, port));
        let at = |port| SocketAddr::new(loopback, port);
        connect(&mut ours, at(18_442), at(18_443));
        connect(&mut theirs, at(18_440), at(18_441));
        connect(&mut stranger, at(18_440), at(18_441));
        let mut buffer = [0; 8];
        for _ in 0..20 {
            stranger.send(Channel::Rtp, at(18_440), b"here").expect("sent");
            ours.send(Channel::Rtp, at(18_442), b"audio").expect("sent");
            assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours").0, 5);
            assert!(stranger.receive(Channel::Rtp, &mut buffer).is_err(), "nothing of ours");
        }
    }

    #[test]
    fn r2_what_a_stranger_sends_is_not_taken() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let [mut ours, mut theirs, mut stranger] = [18_446, 18_448, 18_450].map(|port| bound(loopback, port));
        let at = |port| SocketAddr::new(loopback, port);
        connect(&mut ours, at(18_448), at(18_449));
        connect(&mut theirs, at(18_446), at(18_447));
        connect(&mut stranger, at(18_446), at(18_447));
        let mut buffer = [0; 8];
        for channel in [Channel::Rtp, Channel::Rtcp] {
            stranger.send(channel, at(18_446), b"injected").expect("sent");
            theirs.send(channel, at(18_446), b"said").expect("sent");
            assert_eq!(ours.receive(channel, &mut buffer).expect("the peer's").0, 4);
            assert!(ours.receive(channel, &mut buffer).is_err(), "nothing else");
        }
    }

    /// Open to anybody, each packet comes with its source, and ours go where the engine says; found, the peer's alone.
    #[test]
    fn r2_an_open_socket_tells_who_sends_until_the_peer_is_found() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let [mut ours, mut theirs, mut stranger] = [18_452, 18_454, 18_456].map(|port| bound(loopback, port));
        let at = |port| SocketAddr::new(loopback, port);
        for other in [&mut theirs, &mut stranger] {
            connect(other, at(18_452), at(18_453));
        }
        let mut buffer = [0; 8];
        for _ in 0..2 {
            ours.tie(Channel::Rtp, None).expect("opened");
            stranger.send(Channel::Rtp, at(18_452), b"here").expect("sent");
            theirs.send(Channel::Rtp, at(18_452), b"said").expect("sent");
            stranger.send(Channel::Rtp, at(18_452), b"late").expect("sent");
            let mut heard = || ours.receive(Channel::Rtp, &mut buffer).ok().and_then(|(_, source)| source);
            assert_eq!((heard(), heard()), (Some(at(18_456)), Some(at(18_454))));
            ours.send(Channel::Rtp, at(18_454), b"audio").expect("sent");
            assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours").0, 5);
            ours.tie(Channel::Rtp, Some(at(18_454))).expect("connected");
            stranger.send(Channel::Rtp, at(18_452), b"more").expect("sent");
            let mut heard = || ours.receive(Channel::Rtp, &mut buffer).ok().and_then(|(_, source)| source);
            assert_eq!((heard(), heard()), (Some(at(18_456)), None), "what had come before, and no more");
            ours.send(Channel::Rtp, at(18_454), b"audio").expect("sent");
            assert_eq!(theirs.receive(Channel::Rtp, &mut buffer).expect("ours").0, 5);
            assert!(stranger.receive(Channel::Rtp, &mut buffer).is_err(), "nothing of ours");
        }
    }

    pub(crate) fn connect(sockets: &mut Sockets, rtp: SocketAddr, rtcp: SocketAddr) {
        sockets.tie(Channel::Rtp, Some(rtp)).expect("loopback");
        sockets.tie(Channel::Rtcp, Some(rtcp)).expect("loopback");
    }

    pub(crate) fn bound(address: IpAddr, port: u16) -> Sockets {
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
