//! URIs of the API: `[[sip:]user@]host[:port][;parameter…]`, to the full SIP URI that goes on the wire (RFC 3261 §19.1).
//!
//! The name of a caller or callee keeps its port as given: one with a port and one without are not equal (§19.1.4), so
//! that an added `:5060` would name somebody else. An address to send to has its port filled in.
//!
//! What is accepted here is written into SIP headers, so that everything that could end a URI or a line is refused:
//! the grammar's own characters, and nothing else.

use std::net::{Ipv4Addr, Ipv6Addr};

use offhook_client::wire::limits::URI_MAX;

/// The port that is meant where none is given.
const PORT: u16 = 5060;

/// What a caller's or callee's URI should have been.
pub(crate) const URI: &str = "[[sip:]user@]host[:port]";
/// What a transport of a callee's URI should have been.
pub(crate) const TRANSPORT: &str = "transport=udp, tcp or tls, or no transport: others are not spoken";
/// What a URI of a host alone should have been.
pub(crate) const HOST: &str = "[sip:]host[:port]";

/// The full URI, `sip:[user@]host[:port][;parameter…]`.
pub(crate) fn full(text: &str) -> Option<String> {
    let (user, place) = match without_scheme(text)?.rsplit_once('@') {
        Some((user, place)) => (Some(user).filter(|user| is_user(user)).map(Some)?, place),
        None => (None, without_scheme(text)?),
    };
    let (host, parameters) = match place.split_once(';') {
        Some((host, parameters)) => (host, Some(parameters)),
        None => (place, None),
    };
    let mut uri = String::from("sip:");
    if let Some(user) = user {
        uri.push_str(user);
        uri.push('@');
    }
    host_port(host)?;
    uri.push_str(host);
    if let Some(parameters) = parameters {
        if !parameters.split(';').all(is_parameter) {
            return None;
        }
        uri.push(';');
        uri.push_str(parameters);
    }
    Some(uri)
}

/// Whether the `transport` of a [`full`] URI, if it has one, is one that we speak (RFC 3261 §19.1.1).
pub(crate) fn is_reachable(uri: &str) -> bool {
    let place = uri.rsplit_once('@').map_or(uri, |(_, place)| place);
    let spoken = |value: &str| ["udp", "tcp", "tls"].iter().any(|known| value.eq_ignore_ascii_case(known));
    place.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.eq_ignore_ascii_case("transport") || spoken(value)
    })
}

/// `host:port` of a URI that has neither user nor parameters; IPv6 in brackets.
pub(crate) fn host(text: &str) -> Option<String> {
    let (host, port) = host_port(without_scheme(text)?)?;
    Some(format!("{host}:{}", port.unwrap_or(PORT)))
}

fn without_scheme(text: &str) -> Option<&str> {
    if text.len() > URI_MAX {
        return None;
    }
    let scheme = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    Some(if scheme { &text[4..] } else { text })
}

/// The host, with the brackets of an IPv6 address, and the port if there is one.
fn host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (&text[..address.len() + 2], if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            if !is_hostname(host) {
                return None;
            }
            (host, port)
        }
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port| port != 0)?)
        }
        Some(_) => return None,
    };
    Some((host, port))
}

/// An IPv4 address or a domain name (RFC 3261 §25.1 `hostname`; underscores too, which networks in use have).
fn is_hostname(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = host.strip_suffix('.').unwrap_or(host);
    if host.len() > 253 || !labels.split('.').all(label) {
        return false;
    }
    // What ends in a number is an address, or nothing: there is no such domain, and resolvers that take `0x7f.1` or
    // `2130706433` for an address would be led somewhere else than was looked at.
    let last = labels.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    !numeric || host.parse::<Ipv4Addr>().is_ok()
}

/// RFC 3261 §25.1 `user`; no password, which §19.1.1 advises against and which would let other schemes in.
fn is_user(user: &str) -> bool {
    !user.is_empty() && is_escaped_text(user, b"-_.!~*'()&=+$,;?/")
}

/// `name[=value]` (RFC 3261 §25.1 `other-param`).
fn is_parameter(parameter: &str) -> bool {
    let (name, value) =
        parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
    let is_text = |text: &str| !text.is_empty() && is_escaped_text(text, b"-_.!~*'()[]/:&+$");
    is_text(name) && value.is_none_or(is_text)
}

/// Letters, digits, `marks`, and `%` with two hexadecimal digits.
fn is_escaped_text(text: &str, marks: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'%' => {
                bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
                    && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            }
            _ => byte.is_ascii_alphanumeric() || marks.contains(&byte),
        };
        if !good {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_the_full_one() {
        for (given, expected) in [
            ("sip:1000@192.0.2.1", "sip:1000@192.0.2.1"),
            ("1000@192.0.2.1:5060", "sip:1000@192.0.2.1:5060"),
            ("1000@192.0.2.1:5070", "sip:1000@192.0.2.1:5070"),
            ("SIP:1000@gw.example.com", "sip:1000@gw.example.com"),
            ("gw.example.com", "sip:gw.example.com"),
            ("gw_1", "sip:gw_1"),
            ("sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"),
            ("+4930123456;ext=7@[2001:db8::1]:5080", "sip:+4930123456;ext=7@[2001:db8::1]:5080"),
            ("1000@[::1]", "sip:1000@[::1]"),
            ("1000@192.0.2.1;transport=tcp;lr", "sip:1000@192.0.2.1;transport=tcp;lr"),
            ("*31%23@192.0.2.1", "sip:*31%23@192.0.2.1"),
            ("sip:sip@host", "sip:sip@host"),
        ] {
            assert_eq!(full(given).as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let long = format!("1000@{}", "a".repeat(URI_MAX));
        for bad in [
            "",
            "sip:",
            "@host",
            ":@host",
            "1000@",
            "a@b@c",
            "1000@host:0",
            "1000@host:65536",
            "1000@host:",
            "1000@host:+5060",
            "1000@host:50 60",
            "10 00@host",
            "1000@ho st",
            "1000@host\r\nX-Evil: 1",
            "1000@host\n",
            "1000@host\0",
            "<sip:1000@host>",
            "\"Bob\" <sip:1000@host>",
            "1000@host>",
            "1000@host;",
            "1000@host;a=",
            "1000@host;a b",
            "1000@host?X=1",
            "1000@[::1",
            "1000@[::g]",
            "1000@[::1]x",
            "1000@::1",
            "1000@999.1.1.1",
            "1000@1.2.3",
            "1000@2130706433",
            "1000@0x7f000001",
            "1000@0x7f.1",
            "1000@h.0X",
            "1000@192.0.2.1.",
            "a%2@host",
            "a%zz@host",
            "a#b@host",
            "tel:+4930123456",
            "sips:1000@host",
            "user:password@host",
            "1000@-host",
            "1000@host..net",
            "1000@höst",
            "jö@host",
            &long,
        ] {
            assert_eq!(full(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_transports_that_are_spoken_are_reachable() {
        for good in [
            "sip:1@h",
            "sip:h;lr",
            "sip:1@h;transport=udp",
            "sip:1@h;lr;Transport=TCP",
            "sip:1@h;transport=tls",
            // A parameter of the user part is none of the URI.
            "sip:1;transport=ws@h",
        ] {
            assert!(is_reachable(good), "{good}");
        }
        for bad in [
            "sip:1@h;transport=ws",
            "sip:h:5061;lr;TRANSPORT=WS",
            "sip:1@h;transport=sctp",
            "sip:1@h;transport",
        ] {
            assert!(!is_reachable(bad), "{bad}");
        }
        assert!(!is_reachable("sip:1@h;transport=udp;transport=ws"), "each counts");
    }

    #[test]
    fn a_host_alone_has_neither_user_nor_parameters() {
        assert_eq!(host("sip:192.0.2.7").as_deref(), Some("192.0.2.7:5060"));
        assert_eq!(host("[2001:db8::1]:5070").as_deref(), Some("[2001:db8::1]:5070"));
        assert_eq!(host("gw.example.com:5070").as_deref(), Some("gw.example.com:5070"));
        for bad in ["", "1000@192.0.2.7", "192.0.2.7;lr", "192.0.2.7\r\n", "sips:192.0.2.7", "2001:db8::1"] {
            assert_eq!(host(bad), None, "{bad:?}");
        }
    }
}
