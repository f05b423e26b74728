//! Free loopback ports. "Bind to 0 and let go" races between parallel tests, so blocks are dealt out from one counter
//! of the process; that each port of a block is free is looked up as well, for the sake of other processes.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// The most ports that a block can have, half of all.
pub const MOST: u16 = 10_000;
/// Below the ephemeral ports of Linux (32768…), so that no socket of the test itself gets one by chance.
const FIRST: u16 = 10_000;
/// One above the last port that is dealt out.
const END: u16 = 32_000;

/// The first port of `count` neighbouring ports that are free for UDP and TCP on 127.0.0.1; it is even, as RTP wants.
pub fn block(count: u16) -> u16 {
    assert!(count <= MOST, "{count} ports are too many");
    let count = count.next_multiple_of(2);
    for _attempt in 0..END - FIRST {
        let start = deal(count);
        if (start..start + count).all(is_free) {
            return start;
        }
    }
    panic!("no {count} neighbouring free ports in {FIRST}..{END}");
}

/// One free port.
pub fn one() -> u16 {
    block(2)
}

/// Whether a UDP socket is bound to `port`, or TCP listens there, by the kernel's lists: looking does not get in the way of who is about to
/// bind it, as trying to bind would.
pub fn is_bound(port: u16) -> bool {
    let place = format!(":{port:04X}");
    ["udp", "udp6", "tcp", "tcp6"].iter().any(|list| {
        let sockets = std::fs::read_to_string(format!("/proc/net/{list}")).expect("the list of sockets");
        let mut locals = sockets.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        locals.any(|local| local.ends_with(&place))
    })
}

/// The next `count` ports, from the beginning again at the end; each run of the tests begins elsewhere.
fn deal(count: u16) -> u16 {
    /// 0 = nothing dealt yet.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let place = |next: u16| match next {
        0 => beginning(),
        next if next + count > END => FIRST,
        next => next,
    };
    let advance = |next: u16| Some(place(next) + count);
    let dealt = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance);
    place(dealt.unwrap_or_else(|next| next))
}

/// Where this process begins: anywhere in the lower half, so that the largest block fits above it.
fn beginning() -> u16 {
    let spread = u32::from(END - FIRST - MOST);
    let offset = std::process::id().wrapping_mul(2_654_435_761) % spread;
    (FIRST + u16::try_from(offset).unwrap_or_default()) & !1
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_dealt_twice_in_a_round() {
        let blocks: Vec<(u16, u16)> =
            (0..300).map(|n| 1 + n % 37).map(|count| (block(count), count)).collect();
        let mut ports: Vec<u16> = blocks.iter().flat_map(|&(start, count)| start..start + count).collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), all);
        assert!(blocks.iter().all(|(start, _)| start % 2 == 0));
    }

    #[test]
    fn a_bound_port_is_seen() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let port = socket.local_addr().expect("its address").port();
        assert!(is_bound(port));
        drop(socket);
        assert!(!is_bound(port));
    }
}
