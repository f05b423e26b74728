//! Where a request goes (RFC 3263, the part without NAPTR and SRV): by the transport and the host of the next hop's
//! URI. A literal address is known at once; a name is asked for by [`Event::Resolve`](crate::event::Event::Resolve)
//! and answered by [`Command::Resolved`](crate::event::Command::Resolved), off the thread that handles calls.
//!
//! ```text
//! sip:a@192.0.2.1                  UDP, port 5060; ours to choose another (RFC 3261 §18.1.1)
//! sip:a@192.0.2.1;transport=tcp    TCP, port 5060
//! sips:a@192.0.2.1                 TLS, port 5061, and nothing else ever
//! sip:a@example.com                whatever the name service says
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{Lookup, Target, Transport};
use crate::message::{DEFAULT_PORT, DEFAULT_TLS_PORT, Scheme, Uri, literal};

/// How long a call, or any other request, waits for the name service in all before it is on its way (reliability S18).
/// The driver has the same limit for one question; this one keeps a call from hanging on an answer that never comes.
pub(crate) const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// How many addresses of one name are tried: each may take 64·T1, and nobody waits longer for a call.
pub(crate) const MAX_ADDRESSES: usize = 8;

/// What a next hop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// An address. `fixed`: the URI says which transport, so no other will do.
    Address { target: Target, fixed: bool },
    /// A name.
    Name(Lookup),
    /// A transport or scheme that we do not speak.
    Unreachable,
}

impl Destination {
    /// Where a request to this URI is sent.
    pub(crate) fn of(uri: &Uri) -> Self {
        let secure = uri.scheme() == Scheme::Sips;
        // RFC 3261 §26.2.2: with `sips`, `transport=tcp` means TLS over TCP; there is none over UDP.
        let said = match (uri.transport(), secure) {
            (Err(_), _) | (Ok(Some(Transport::Udp)), true) => return Self::Unreachable,
            (Ok(Some(_)), true) => Some(Transport::Tls),
            (Ok(said), _) => said,
        };
        match literal(uri.target()) {
            Some(address) => {
                let transport = said.unwrap_or(if secure { Transport::Tls } else { Transport::Udp });
                let default = if transport == Transport::Tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
                let address = SocketAddr::new(address, uri.port().unwrap_or(default));
                Self::Address {
                    target: Target { transport, address, name: None },
                    fixed: said.is_some() || secure,
                }
            }
            None => Self::Name(Lookup {
                host: uri.target().to_owned(),
                port: uri.port(),
                transport: said,
                secure: secure || said == Some(Transport::Tls),
            }),
        }
    }

    /// An outbound proxy `host[:port][;transport=…]` on the way to a URI, whose scheme and, where it says none itself,
    /// whose transport it shares; `None` where the text is not that.
    pub(crate) fn of_proxy(text: &str, to: &Uri) -> Option<Self> {
        if text.contains(['@', '?']) {
            return None;
        }
        let scheme = if to.scheme() == Scheme::Sips { "sips" } else { "sip" };
        let proxy = Uri::parse(format!("{scheme}:{text}").as_bytes()).ok()?;
        let inherited = match (proxy.transport(), to.transport()) {
            (Ok(None), Ok(Some(transport))) => format!(";transport={transport}"),
            _ => String::new(),
        };
        Uri::parse(format!("{scheme}:{text}{inherited}").as_bytes()).ok().map(|proxy| Self::of(&proxy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text.as_bytes()).unwrap()
    }

    fn address(transport: Transport, text: &str, fixed: bool) -> Destination {
        Destination::Address {
            target: Target { transport, address: text.parse().unwrap(), name: None },
            fixed,
        }
    }

    #[test]
    fn addresses() {
        use Transport::{Tcp, Tls, Udp};
        for (text, transport, target, fixed) in [
            ("sip:a@192.0.2.1", Udp, "192.0.2.1:5060", false),
            ("sip:a@192.0.2.1;transport=udp", Udp, "192.0.2.1:5060", true),
            ("sip:a@192.0.2.1:5070;transport=tcp", Tcp, "192.0.2.1:5070", true),
            ("sip:a@[2001:db8::1]", Udp, "[2001:db8::1]:5060", false),
            ("sip:a@192.0.2.1;transport=tls", Tls, "192.0.2.1:5061", true),
            ("sips:a@192.0.2.1", Tls, "192.0.2.1:5061", true),
            ("sips:a@192.0.2.1:5063;transport=tcp", Tls, "192.0.2.1:5063", true),
            ("sip:a@gw.example.com;maddr=192.0.2.9", Udp, "192.0.2.9:5060", false),
        ] {
            assert_eq!(Destination::of(&uri(text)), address(transport, target, fixed), "{text}");
        }
        for text in ["sip:a@192.0.2.1;transport=sctp", "sips:a@192.0.2.1;transport=udp"] {
            assert_eq!(Destination::of(&uri(text)), Destination::Unreachable, "{text}");
        }
    }

    #[test]
    fn names() {
        for (text, port, transport, secure) in [
            ("sip:a@gw.example.com", None, None, false),
            ("sip:a@gw.example.com:5080", Some(5080), None, false),
            ("sip:a@gw.example.com;transport=tcp", None, Some(Transport::Tcp), false),
            ("sip:a@gw.example.com;transport=tls", None, Some(Transport::Tls), true),
            ("sips:a@gw.example.com", None, None, true),
            ("sips:a@gw.example.com;transport=tcp", None, Some(Transport::Tls), true),
        ] {
            let lookup = Lookup { host: "gw.example.com".to_owned(), port, transport, secure };
            assert_eq!(Destination::of(&uri(text)), Destination::Name(lookup), "{text}");
        }
    }

    #[test]
    fn proxies() {
        let of = |text, to| Destination::of_proxy(text, &uri(to));
        let plain = "sip:a@b";
        assert_eq!(of("[::1]:5070", plain), Some(address(Transport::Udp, "[::1]:5070", false)));
        assert_eq!(
            of("192.0.2.9;transport=tcp", plain),
            Some(address(Transport::Tcp, "192.0.2.9:5060", true))
        );
        assert_eq!(
            of("192.0.2.9", "sip:a@b;transport=tcp"),
            Some(address(Transport::Tcp, "192.0.2.9:5060", true))
        );
        assert_eq!(of("192.0.2.9", "sips:a@b"), Some(address(Transport::Tls, "192.0.2.9:5061", true)));
        assert_eq!(of("192.0.2.9;transport=udp", "sips:a@b"), Some(Destination::Unreachable));
        for text in ["bad host", "", "a@192.0.2.9", "192.0.2.9:0", "192.0.2.9?x=y", "192.0.2.9>"] {
            assert_eq!(of(text, plain), None, "{text}");
        }
    }
}
