//! Free loopback ports. "Bind to 0 and let go" races between parallel tests, so blocks are dealt out from one counter
//! of the process; that each port of a block is free is looked up as well, for the sake of other processes.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ephemeral ports of Linux (32768…), so that no socket of the test itself gets one by chance.
const FIRST: u16 = 10_000;
/// The most ports that a block can have, half of all.
pub const MOST: u16 = 10_000;
/// One above the last port that is dealt out.
const END: u16 = 32_000;

/// The first port of `count` neighbouring ports that are free for UDP and TCP on 127.0.0.1; it is even, as RTP wants.
pub fn block(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = count.next_multiple_of(2);
    for _attempt in 0..END - FIRST {
        let offset = NEXT.fetch_add(count, Ordering::Relaxed);
        let start = FIRST + (process_offset().wrapping_add(offset)) % (END - FIRST - count);
        let start = start & !1;
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

/// Two runs at the same time begin in different places.
fn process_offset() -> u16 {
    #[allow(clippy::cast_possible_truncation, reason = "any spread will do")]
    let id = std::process::id() as u16;
    id.wrapping_mul(257) & !1
}

/// Whether nothing is bound to `port` of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_even() {
        let (a, b) = (block(11), block(4));
        assert_eq!(a % 2, 0);
        assert_eq!(b % 2, 0);
        assert!(a.abs_diff(b) >= 4, "{a} {b}");
    }
}
