//! Via (RFC 3261 §20.42): which way a response goes back, and by its branch which transaction it belongs to.

use std::net::{IpAddr, SocketAddr};

use super::scan::{self, Params};
use super::uri::split_host_port;
use crate::event::{Flow, Transport};

/// The default port of SIP over UDP and TCP (RFC 3261 §19.1.2).
pub(crate) const DEFAULT_PORT: u16 = 5060;
/// The default port of SIP over TLS.
pub(crate) const DEFAULT_TLS_PORT: u16 = 5061;

/// What makes a branch unique over all of its sender's transactions (RFC 3261 §8.1.1.7).
pub(crate) const COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    /// `host[:port]` as sent, in lower case: a part of the transaction's key.
    pub(crate) sent_by: String,
    host: String,
    port: Option<u16>,
    params: Params,
}

impl Via {
    /// Reads one value: `SIP/2.0/UDP host[:port];params`, with white space wherever the grammar allows it.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let (head, params) = match scan::find(value, b';')? {
            Some(at) => {
                let (head, params) = value.split_at_checked(at)?;
                (head, Params::parse(params.get(1..)?)?)
            }
            None => (value, Params::default()),
        };
        let (protocol, rest) = scan::cut(head, b'/');
        let (version, rest) = scan::cut(rest?, b'/');
        // A later version is answered 505 by way of this Via, so its number is nothing to stumble over.
        if !protocol.eq_ignore_ascii_case(b"SIP") || !super::name::is_token(version) {
            return None;
        }
        let rest = rest?;
        let blank = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, sent_by) = rest.split_at_checked(blank)?;
        if !super::name::is_token(transport) {
            return None;
        }
        let sent_by = join_host_port(std::str::from_utf8(sent_by).ok()?)?;
        let (host, port) = split_host_port(&sent_by)?;
        Some(Self { host: host.to_ascii_lowercase(), port, sent_by: sent_by.to_ascii_lowercase(), params })
    }

    /// The branch, where it is one of RFC 3261: the cookie and something after it.
    pub(crate) fn branch(&self) -> Option<&str> {
        let branch = self.params.get("branch")?;
        let cookie = branch.get(..COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(COOKIE) && branch.len() > COOKIE.len()).then_some(branch)
    }

    /// Where the response to a request with this top Via goes (RFC 3261 §18.2.2, RFC 3581 §4): back over the flow it
    /// came by; on UDP to its source port if it asked so by `rport`, else to the port in sent-by. Always to the
    /// source address: `maddr` is not followed, it would let one datagram aim a response at anyone.
    pub(crate) fn reply_flow(&self, flow: Flow) -> Flow {
        match flow.transport {
            Transport::Udp if self.params.get("rport").is_none() => {
                let remote = SocketAddr::new(flow.remote.ip(), self.port.unwrap_or(DEFAULT_PORT));
                Flow { remote, ..flow }
            }
            Transport::Udp | Transport::Tcp | Transport::Tls => flow,
        }
    }

    /// What a server writes into the top Via before it answers: whether `received` is due because sent-by is not the
    /// source (§18.2.1) or `rport` was asked for (RFC 3581 §4), and whether an empty `rport` waits for its value.
    pub(crate) fn wants(&self, source: IpAddr) -> (bool, bool) {
        let rport = self.params.get("rport") == Some("");
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let same = host.parse::<IpAddr>().is_ok_and(|host| host == source);
        (rport || !same, rport)
    }
}

/// `host : port` without its blanks; blanks anywhere else are an error.
fn join_host_port(text: &str) -> Option<String> {
    let mut joined = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !joined.is_empty() && !joined.ends_with(':') && !word.starts_with(':') {
            return None;
        }
        joined.push_str(word);
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport) -> Flow {
        Flow {
            transport,
            local: "198.51.100.1:5060".parse().unwrap(),
            remote: "192.0.2.7:40000".parse().unwrap(),
            name: None,
        }
    }

    #[test]
    fn values_of_the_torture_test() {
        let via = Via::parse(b"SIP  / 2.0 /UDP 192.0.2.2;branch=390skdjuw").unwrap();
        assert_eq!((&*via.sent_by, via.branch()), ("192.0.2.2", None));
        let via =
            Via::parse(b"SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  ").unwrap();
        assert_eq!((&*via.sent_by, via.branch()), ("spindle.example.com", Some("z9hG4bK9ikj8")));
        assert!(Via::parse(b"SIP/2.0/UNKNOWN t5.example.com;branch=z9hG4bKa").is_some());
        // §3.2.1: a branch of nothing but the cookie means nothing.
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").unwrap().branch(), None);
    }

    #[test]
    fn bad_values() {
        for value in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP//UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP 192.0.2.15;;,;,,",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP a b",
        ] {
            assert_eq!(Via::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn where_responses_go() {
        for (via, transport, remote) in [
            ("SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKa", Transport::Udp, "192.0.2.7:5070"),
            ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa", Transport::Udp, "192.0.2.7:5060"),
            ("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", Transport::Udp, "192.0.2.7:40000"),
            ("SIP/2.0/UDP 10.0.0.1;maddr=203.0.113.9;branch=z9hG4bKa", Transport::Udp, "192.0.2.7:5060"),
            ("SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bKa", Transport::Tcp, "192.0.2.7:40000"),
        ] {
            let flow = Via::parse(via.as_bytes()).unwrap().reply_flow(flow(transport));
            assert_eq!(flow.remote, remote.parse().unwrap(), "{via}");
        }
    }

    #[test]
    fn received_and_rport() {
        let wants = |via: &str| Via::parse(via.as_bytes()).unwrap().wants("192.0.2.7".parse().unwrap());
        assert_eq!(wants("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa"), (false, false));
        assert_eq!(wants("SIP/2.0/UDP gw.example.com;branch=z9hG4bKa"), (true, false));
        assert_eq!(wants("SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bKa"), (true, true));
        assert_eq!(wants("SIP/2.0/UDP 192.0.2.7;rport=5;branch=z9hG4bKa"), (false, false));
    }
}
