//! The order that NAPTR and SRV records ask for (RFC 3263 §4.1, RFC 2782): pure functions, the chance comes from outside.

use offhook_sip::event::Transport;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The lower is tried first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// Where SIP is on the host.
    pub port: u16,
    /// The host, with its last dot.
    pub host: String,
}

/// A transport and the hosts that serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The lower is tried first.
    pub rank: usize,
    /// The transport.
    pub transport: Transport,
    /// Its hosts, in no order.
    pub servers: Vec<Server>,
}

/// The transport that a NAPTR record is for (RFC 3263 §4.1); none where it is not one of SIP's, which have the flag `s` and
/// no expression.
pub(super) fn service(flags: &[u8], services: &[u8], regexp: &[u8]) -> Option<Transport> {
    if !flags.eq_ignore_ascii_case(b"s") || !regexp.is_empty() {
        return None;
    }
    match services.to_ascii_uppercase().as_slice() {
        b"SIP+D2U" => Some(Transport::Udp),
        b"SIP+D2T" => Some(Transport::Tcp),
        b"SIPS+D2T" => Some(Transport::Tls),
        _ => None,
    }
}

/// What stands before a domain in the name of its SRV records.
pub(super) fn prefix(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

/// The hosts of all ways in the order to try them. `random(n)` is below `n`. The host `.` says that the service is not there
/// (RFC 2782).
pub(super) fn order(mut ways: Vec<Way>, mut random: impl FnMut(u64) -> u64) -> Vec<(Transport, Server)> {
    ways.sort_by_key(|way| way.rank);
    let mut ordered = Vec::new();
    for Way { transport, mut servers, .. } in ways {
        servers.retain(|server| server.host != ".");
        // Those without weight first, so that the draw of 0 is theirs.
        servers.sort_by_key(|server| (server.priority, server.weight));
        while let Some(first) = servers.first() {
            let same = servers.iter().take_while(|server| server.priority == first.priority);
            let sum: u64 = same.map(|server| u64::from(server.weight)).sum();
            let drawn = random(sum + 1);
            let mut running = 0;
            let at = servers.iter().position(|server| {
                running += u64::from(server.weight);
                running >= drawn
            });
            ordered.push((transport, servers.remove(at.unwrap_or(0))));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(priority: u16, weight: u16, host: &str) -> Server {
        Server { priority, weight, port: 5060, host: host.to_owned() }
    }

    #[test]
    fn naptr_records_of_sip_have_the_flag_s() {
        let table = [
            ("s", "SIP+D2U", "", Some(Transport::Udp)),
            ("S", "sip+d2t", "", Some(Transport::Tcp)),
            ("s", "SIPS+D2T", "", Some(Transport::Tls)),
            ("s", "SIP+D2S", "", None),
            ("u", "E2U+sip", "!^.*$!sip:info@example.com!", None),
            ("u", "SIP+D2U", "", None),
            ("s", "SIP+D2U", "!a!b!", None),
        ];
        for (flags, services, regexp, transport) in table {
            let found = service(flags.as_bytes(), services.as_bytes(), regexp.as_bytes());
            assert_eq!(found, transport, "{flags} {services}");
        }
    }

    #[test]
    fn priorities_and_ways_are_kept() {
        let ways = vec![
            Way { rank: 1, transport: Transport::Udp, servers: vec![server(0, 0, "c.")] },
            Way {
                rank: 0,
                transport: Transport::Tcp,
                servers: vec![server(20, 0, "b."), server(10, 5, "a."), server(0, 0, ".")],
            },
        ];
        let hosts: Vec<_> = order(ways, |below| below - 1).into_iter().map(|(t, s)| (t, s.host)).collect();
        let expected = [(Transport::Tcp, "a."), (Transport::Tcp, "b."), (Transport::Udp, "c.")];
        assert_eq!(hosts, expected.map(|(t, h)| (t, h.to_owned())));
    }

    /// The draw of RFC 2782, by hand: weights 0, 1, 3; the running sums are 0, 1, 4.
    #[test]
    fn the_draw_falls_by_weight() {
        let first = |drawn: u64| {
            let servers = vec![server(1, 3, "three."), server(1, 0, "none."), server(1, 1, "one.")];
            let ways = vec![Way { rank: 0, transport: Transport::Udp, servers }];
            order(ways, |below| drawn.min(below - 1)).swap_remove(0).1.host
        };
        assert_eq!([0, 1, 2, 3, 4].map(first), ["none.", "one.", "three.", "three.", "three."]);
    }
}
