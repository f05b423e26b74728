//! SIP URIs (RFC 3261 §19.1). The text is kept as it came, with every escape: `%20`, `%00` and an escaped `@` mean
//! what they meant to whoever wrote them. Only the parts that decide where a request goes are looked into.
//!
//! ```text
//! sip:user;par=u%40example.net:secret@192.0.2.1:5070;transport=tcp;lr?Subject=x
//!     └──────────── user part ──────┘ └─host──┘ port └─── params ────┘ headers
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scan::{Params, number};
use crate::event::Transport;

/// The longest URI that is looked at; a longer Request-URI is answered 414 (reliability P1).
pub(crate) const MAX_URI: usize = 1024;

/// What a URI is of, as far as we can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Sip,
    Sips,
}

/// Why a text is no URI that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UriError {
    /// Not a URI, or a `sip:` URI with a bad part: 400.
    Malformed,
    /// A URI of another scheme, such as `tel:`: 416.
    Scheme,
    /// Longer than [`MAX_URI`]: 414.
    TooLong,
}

/// A `transport` parameter that names one we do not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownTransport;

/// A `sip:` or `sips:` URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uri {
    scheme: Scheme,
    text: String,
    host: String,
    port: Option<u16>,
    params: Params,
}

impl Uri {
    /// Reads a URI without angle brackets.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, UriError> {
        if text.len() > MAX_URI {
            return Err(UriError::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| UriError::Malformed)?;
        if !text.bytes().all(is_uri_byte) {
            return Err(UriError::Malformed);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Malformed)?;
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case("sip") => Scheme::Sip,
            () if scheme.eq_ignore_ascii_case("sips") => Scheme::Sips,
            () if is_scheme(scheme) => return Err(UriError::Scheme),
            () => return Err(UriError::Malformed),
        };
        let after_user = match rest.split_once('@') {
            Some(("", _)) => return Err(UriError::Malformed),
            Some((_user, rest)) => rest,
            None => rest,
        };
        let before_headers = after_user.split_once('?').map_or(after_user, |(head, _)| head);
        let (host_port, params) = match before_headers.split_once(';') {
            Some((host_port, params)) => {
                (host_port, Params::parse(params.as_bytes()).ok_or(UriError::Malformed)?)
            }
            None => (before_headers, Params::default()),
        };
        let (host, port) = split_host_port(host_port).ok_or(UriError::Malformed)?;
        Ok(Self { scheme, text: text.to_owned(), host: host.to_owned(), port, params })
    }

    /// The URI as it came.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Of `sip` and `sips`, which.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where a request to this URI is sent: `maddr` if it has one, else the host (RFC 3263 §4); an IPv6 address
    /// without its brackets.
    pub(crate) fn target(&self) -> &str {
        unbracketed(self.params.get("maddr").unwrap_or(&self.host))
    }

    /// The user part with its password, as it is written; empty where there is none.
    pub(crate) fn user(&self) -> &str {
        let rest = self.text.split_once(':').map_or("", |(_, rest)| rest);
        rest.split_once('@').map_or("", |(user, _)| user)
    }

    /// The host as it is meant, whatever `maddr` says; an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        unbracketed(&self.host)
    }

    /// Whether the URI wants a method, which a Request-URI must not (§19.1.1).
    pub(crate) fn has_method(&self) -> bool {
        self.params.get("method").is_some()
    }

    /// The port, if the URI says one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// The transport that its parameter asks for; `None` where it has none, which leaves the choice (RFC 3263 §4.1).
    pub(crate) fn transport(&self) -> Result<Option<Transport>, UnknownTransport> {
        match self.params.get("transport") {
            None => Ok(None),
            Some(name) if name.eq_ignore_ascii_case("udp") => Ok(Some(Transport::Udp)),
            Some(name) if name.eq_ignore_ascii_case("tcp") => Ok(Some(Transport::Tcp)),
            Some(name) if name.eq_ignore_ascii_case("tls") => Ok(Some(Transport::Tls)),
            Some(_) => Err(UnknownTransport),
        }
    }

    /// The method that its parameter asks for.
    pub(crate) fn method(&self) -> Option<&str> {
        self.params.get("method")
    }

    /// Whether a proxy at this URI routes loosely: `lr`, with whatever value (`lr=on` is seen in the field).
    pub(crate) fn is_loose(&self) -> bool {
        self.params.get("lr").is_some()
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Splits `host[:port]`; the host keeps its brackets. `None` where either is bad.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']')?;
            let host = text.get(..address.len() + 2)?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => Some(number(port.as_bytes(), u32::from(u16::MAX)).filter(|&port| port > 0)?),
    };
    is_host(host).then_some((host, port.and_then(|port| u16::try_from(port).ok())))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| ipv6(inner).is_some()),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

/// Whether two URIs have the same scheme, user, host and port, compared as RFC 3261 §19.1.4 has it; parameters and headers
/// may differ, which those who compute a digest over them often leave out.
pub(crate) fn same_address(left: &[u8], right: &[u8]) -> bool {
    fn address(uri: &[u8]) -> Option<(String, Option<&str>, String)> {
        let (scheme, rest) = std::str::from_utf8(uri).ok()?.split_once(':')?;
        let (user, rest) = match rest.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let host_port = rest.split([';', '?']).next()?;
        Some((scheme.to_ascii_lowercase(), user, host_port.to_ascii_lowercase()))
    }
    left == right || address(left).is_some_and(|left| address(right) == Some(left))
}

/// An address where the host is a literal; a name otherwise.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.parse().ok().or_else(|| ipv6(host).map(IpAddr::V6))
}

/// An IPv6 address without its brackets. The grammar of RFC 3261 allows a third colon before an IPv4 address, and RFC
/// 5118 §4.10 asks to tolerate it there.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (head, ipv4) = text.split_once(":::")?;
    ipv4.parse::<Ipv4Addr>().ok()?;
    format!("{head}::{ipv4}").parse().ok()
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Anything printable but what would let a URI end, or begin, something else in a header.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"<>\"".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, target: &str, port: Option<u16>) {
        let uri = Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!((uri.target(), uri.port(), uri.as_str()), (target, port, text));
    }

    #[test]
    fn where_a_uri_leads() {
        check("sip:alice@example.com", "example.com", None);
        check("SIP:alice@example.com:5070;transport=tcp", "example.com", Some(5070));
        check("sip:192.0.2.1", "192.0.2.1", None);
        check("sip:a@[2001:db8::10]:5070", "2001:db8::10", Some(5070));
        check("sip:a@[2001:db8::10]", "2001:db8::10", None);
        // RFC 5118 §4.3, §4.4, §4.10.
        check("sip:[2001:db8::10:5070]", "2001:db8::10:5070", None);
        check("sip:[2001:db8::10]:5070", "2001:db8::10", Some(5070));
        check("sip:user@[2001:db8:::192.0.2.1]", "2001:db8:::192.0.2.1", None);
        check("sip:ss1.example.com;maddr=192.0.2.9;lr", "192.0.2.9", None);
        // RFC 4475 §3.1.1.3 (esc01), §3.1.1.4 (escnull), §3.1.1.9 (semiuri) and §3.1.1.2 (intmeth).
        check("sip:sips%3Auser%40example.com@example.net", "example.net", None);
        check("sip:null-%00-null@example.com", "example.com", None);
        check("sip:user;par=u%40example.net@example.com", "example.com", None);
        check(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "example.com",
            None,
        );
    }

    #[test]
    fn what_is_no_uri() {
        for (text, error) in [
            ("", UriError::Malformed),
            ("sip:", UriError::Malformed),
            ("sip:@example.com", UriError::Malformed),
            ("sip:a@example.com:0", UriError::Malformed),
            ("sip:a@example.com:65536", UriError::Malformed),
            ("sip:a@example.com:+5060", UriError::Malformed),
            ("sip:a@[2001:db8::10", UriError::Malformed),
            ("sip:a@[::g]", UriError::Malformed),
            ("<sip:a@example.com>", UriError::Malformed),
            ("sip:a b@example.com", UriError::Malformed),
            ("sip:a@example.com\r\nX: y", UriError::Malformed),
            ("sip:é@example.com", UriError::Malformed),
            ("tel:+358-555-1234567", UriError::Scheme),
            ("nobodyKnowsThisScheme:totallyopaquecontent", UriError::Scheme),
            ("soap.beep://192.0.2.103:3002", UriError::Scheme),
        ] {
            assert_eq!(Uri::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(Uri::parse(&[b'a'; MAX_URI + 1]), Err(UriError::TooLong));
    }

    #[test]
    fn the_same_address() {
        for (left, right, same) in [
            ("sip:100@h", "sip:100@h", true),
            ("sip:100@h;transport=udp", "SIP:100@H", true),
            ("sip:a;x=1@h?y", "sip:a;x=1@h;z", true),
            ("sip:a;x=1@h", "sip:a;x=2@h", false),
            ("sip:A@h", "sip:a@h", false),
            ("sip:a@h", "sip:a@h:5060", false),
            ("sip:a@h", "sips:a@h", false),
            ("sip:a@h", "sip:h", false),
            ("tel:1", "tel:1", true),
            ("x", "x", true),
            ("x", "y", false),
        ] {
            assert_eq!(same_address(left.as_bytes(), right.as_bytes()), same, "{left} {right}");
        }
    }

    #[test]
    fn loose_routing_and_transports() {
        let uri = |text: &str| Uri::parse(text.as_bytes()).unwrap();
        assert!(uri("sip:p1.example.com;lr").is_loose());
        assert!(uri("sip:p1.example.com;LR=on").is_loose());
        assert!(!uri("sip:lr@p1.example.com;lrx").is_loose());
        assert_eq!(uri("sip:a@b").transport(), Ok(None));
        assert_eq!(uri("sip:a@b;transport=udp").transport(), Ok(Some(Transport::Udp)));
        assert_eq!(uri("sip:a@b;transport=TCP").transport(), Ok(Some(Transport::Tcp)));
        assert_eq!(uri("sip:a@b;transport=tls").transport(), Ok(Some(Transport::Tls)));
        assert_eq!(uri("sip:a@b;transport=sctp").transport(), Err(UnknownTransport));
    }

    #[test]
    fn a_third_colon_is_tolerated_before_ipv4_only() {
        let address: IpAddr = "2001:db8::192.0.2.1".parse().unwrap();
        assert_eq!(literal("2001:db8::192.0.2.1"), Some(address));
        assert_eq!(literal("2001:db8:::192.0.2.1"), Some(address));
        for text in [
            "2001:db8:::1",
            ":::",
            ":::1",
            "2001::db8:::192.0.2.1",
            "2001:db8::::192.0.2.1",
            "1:::192.0.2.256",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
