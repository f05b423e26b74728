//! The ways that messages take: transports, the flows between two addresses, and the names that addresses stand for.
//! Part of the vocabulary; to be had by way of [`event`](crate::event).

use std::fmt;
use std::net::SocketAddr;

/// How a message travels (RFC 3261 §18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message per datagram; requests and responses are retransmitted.
    Udp,
    /// A stream, framed by `Content-Length`; nothing but the 2xx to INVITE is retransmitted.
    Tcp,
    /// The same stream inside TLS (RFC 3261 §26.2): what a `sips:` URI asks for.
    Tls,
}

impl Transport {
    /// Whether the transport itself guarantees delivery, which sets half of the timers to zero (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

impl fmt::Display for Transport {
    /// As it stands in a Via (`UDP`, `TCP`, `TLS`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        })
    }
}

/// The host name that a TLS peer's certificate has to be for: that of [`Lookup::host`] (RFC 5922 §4), not one that the name
/// service put in its place. The driver numbers the names and keeps them; here they only go from a target to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerName(pub u64);

/// A path between one local and one remote address. Responses go back by the flow their request came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport protocol.
    pub transport: Transport,
    /// Our listening address; a connection that we open has a passing port of its own, which nobody needs to know.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Whose certificate a connection that we open by TLS must show; without it, one for the address.
    pub name: Option<PeerName>,
}

impl Flow {
    /// Whether both lead to one address; and by TLS, where that is how `other` leads there. A connection that was opened
    /// anew is the same peer's.
    pub(crate) fn is_from_place_of(self, other: Self) -> bool {
        let address = |flow: Self| flow.remote.ip().to_canonical();
        address(self) == address(other)
            && (other.transport != Transport::Tls || self.transport == Transport::Tls)
    }
}

/// One whole message to put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where it goes, and from which of our addresses.
    pub flow: Flow,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A place that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How it is reached.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Who must be there; only TLS can tell.
    pub name: Option<PeerName>,
}

/// What is known of a next hop whose addresses are wanted (RFC 3263 §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// A host name; never an IP literal.
    pub host: String,
    /// The port, where the URI has one: then there is no SRV.
    pub port: Option<u16>,
    /// The transport, where the URI says one: then there is no NAPTR.
    pub transport: Option<Transport>,
    /// Whether it is a `sips:` URI, which only TLS will do for.
    pub secure: bool,
}
