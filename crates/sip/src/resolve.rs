//! Where a request goes (RFC 3263, the part without NAPTR and SRV): by the transport and the host of the next hop's
//! URI. A literal address is known at once; a name is asked for by [`Event::Resolve`](crate::event::Event::Resolve)
//! and answered by [`Command::Resolved`](crate::event::Command::Resolved), off the thread that handles calls.

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{Lookup, Target, Transport};
use crate::message::{DEFAULT_PORT, Scheme, Uri, literal, split_host_port};

/// How long an answer of the name service is waited for. The driver has a limit of 5 s of its own (reliability S18);
/// this one only keeps a call from hanging on an answer that never comes.
pub(crate) const QUERY_LIMIT: Duration = Duration::from_secs(8);

/// How many addresses of one name are tried: each may take 64·T1, and nobody waits longer for a call.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// What a next hop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// An address.
    Address(Target),
    /// A name.
    Name(Lookup),
    /// A transport or scheme that we do not speak.
    Unreachable,
}

impl Destination {
    /// Where a request to this URI is sent.
    pub(crate) fn of(uri: &Uri) -> Self {
        match uri.transport() {
            Some(transport) if uri.scheme() == Scheme::Sip => {
                Self::from_host(transport, uri.target(), uri.port())
            }
            _ => Self::Unreachable,
        }
    }

    /// An outbound proxy `host[:port]`, reached by UDP; `None` where the text is not that.
    pub(crate) fn of_proxy(text: &str, transport: Transport) -> Option<Self> {
        let (host, port) = split_host_port(text)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self::from_host(transport, host, port))
    }

    fn from_host(transport: Transport, host: &str, port: Option<u16>) -> Self {
        match literal(host) {
            Some(address) => {
                let address = SocketAddr::new(address, port.unwrap_or(DEFAULT_PORT));
                Self::Address(Target { transport, address, name: None })
            }
            None => Self::Name(Lookup {
                host: host.to_owned(),
                port,
                transport: Some(transport),
                secure: transport == Transport::Tls,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops() {
        let of = |text: &str| Destination::of(&Uri::parse(text.as_bytes()).unwrap());
        let address = |transport, text: &str| {
            Destination::Address(Target { transport, address: text.parse().unwrap(), name: None })
        };
        assert_eq!(of("sip:a@192.0.2.1"), address(Transport::Udp, "192.0.2.1:5060"));
        assert_eq!(of("sip:a@192.0.2.1:5070;transport=tcp"), address(Transport::Tcp, "192.0.2.1:5070"));
        assert_eq!(of("sip:a@[2001:db8::1]"), address(Transport::Udp, "[2001:db8::1]:5060"));
        assert_eq!(
            of("sip:a@gw.example.com:5080"),
            Destination::Name(Lookup {
                host: "gw.example.com".to_owned(),
                port: Some(5080),
                transport: Some(Transport::Udp),
                secure: false,
            })
        );
        assert_eq!(of("sips:a@192.0.2.1"), Destination::Unreachable);
        assert_eq!(of("sip:a@192.0.2.1;transport=sctp"), Destination::Unreachable);
        assert_eq!(
            Destination::of_proxy("[::1]:5070", Transport::Udp),
            Some(address(Transport::Udp, "[::1]:5070"))
        );
        assert_eq!(Destination::of_proxy("bad host", Transport::Udp), None);
    }
}
