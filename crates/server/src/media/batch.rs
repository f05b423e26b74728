//! Several packets of one socket by one system call, each with the moment at which it came, by the kernel's stamp.
//!
//! ```text
//!   sockets of legs that have their frames in spans ─▶ recvmmsg ─▶ packet, source, moment │ packet, source, moment │ …
//! ```
//! What is read long after it came is worth nothing without its moment: the jitter of the stream is made of them, and what
//! is recorded of it depends on which packets had come before a frame.

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
};
use nix::sys::time::TimeSpec;
use offhook_media::event::Channel;

use super::thread::PACKET;
use crate::clock::Clocks;
use crate::ports::{Sockets, despite_the_last};

/// Packets taken from one socket at a time: twice those that a stream of 10 ms has in a span, so that the half of it makes up
/// for a span that was missed; and to a flood they are its share.
pub(super) const MOST: usize = 20;

/// A packet that was read.
pub(super) struct Packet<'a> {
    /// When it came.
    pub(super) at: Instant,
    /// Where it came from, where that is not said by whom the socket is connected to.
    pub(super) source: Option<SocketAddr>,
    pub(super) bytes: &'a [u8],
}

/// Where they are read to. It has pointers for the kernel, and stays with the thread that made it.
#[derive(Debug)]
pub(super) struct Batch {
    // Of either family its own: the kernel says in a head how long the address in it is, and that is the room for the next.
    v4: MultiHeaders<SockaddrIn>,
    v6: MultiHeaders<SockaddrIn6>,
    buffers: Vec<[u8; PACKET]>,
}

impl Batch {
    pub(super) fn new() -> Self {
        let stamp = || Some(cmsg_space!(TimeSpec));
        Self {
            v4: MultiHeaders::preallocate(MOST, stamp()),
            v6: MultiHeaders::preallocate(MOST, stamp()),
            buffers: vec![[0; PACKET]; MOST],
        }
    }

    /// Reads what has come to a socket, as far as there is room. Returns how many packets there were.
    pub(super) fn read(
        &mut self,
        (sockets, channel): (&Sockets, Channel),
        clocks: Clocks,
        mut take: impl FnMut(Packet<'_>),
    ) -> u64 {
        let Self { v4, v6, buffers } = self;
        let read = despite_the_last(|| {
            if sockets.is_ipv6() {
                read(v6, buffers, (sockets, channel), clocks, &mut take)
            } else {
                read(v4, buffers, (sockets, channel), clocks, &mut take)
            }
        });
        read.unwrap_or_default()
    }
}

fn read<S: SockaddrLike + Copy + Into<SocketAddr>>(
    heads: &mut MultiHeaders<S>,
    buffers: &mut [[u8; PACKET]],
    (sockets, channel): (&Sockets, Channel),
    clocks: Clocks,
    take: &mut impl FnMut(Packet<'_>),
) -> nix::Result<u64> {
    let mut buffers = buffers.iter_mut();
    let mut slices: [[IoSliceMut<'_>; 1]; MOST] =
        std::array::from_fn(|_| [IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| &mut buffer[..]))]);
    let socket = sockets.of(channel).as_raw_fd();
    let packets = recvmmsg(socket, heads, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let tells_source = sockets.tells_source(channel);
    let mut count = 0;
    for packet in packets {
        let at = stamp(&packet).map_or(clocks.mono, |stamp| clocks.moment(stamp));
        let source = packet.address.filter(|_| tells_source).map(Into::into);
        let bytes = packet.iovs().next().unwrap_or_default();
        take(Packet { at, source, bytes });
        count += 1;
    }
    Ok(count)
}

/// The kernel's stamp of a packet, since 1970.
fn stamp<S>(packet: &RecvMsg<'_, '_, S>) -> Option<Duration> {
    let ControlMessageOwned::ScmTimestampns(stamp) = packet.cmsgs().ok()?.next()? else { return None };
    let seconds = u64::try_from(stamp.tv_sec()).ok()?;
    Some(Duration::new(seconds, u32::try_from(stamp.tv_nsec()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::ports::tests::{bound, connect};

    #[test]
    fn a_peer_that_refuses_our_packets_is_heard() {
        let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
        let at = |port| SocketAddr::new(loopback, port);
        let (mut ours, mut theirs) = (bound(loopback, 18_468), bound(loopback, 18_470));
        connect(&mut ours, at(18_470), at(18_471));
        connect(&mut theirs, at(18_468), at(18_469));
        for _ in 0..3 {
            theirs.send(Channel::Rtp, at(18_468), b"said").expect("sent");
        }
        drop(theirs);
        ours.send(Channel::Rtp, at(18_470), b"refused").expect("sent, and nobody is there");
        let mut batch = Batch::new();
        let read =
            batch.read((&ours, Channel::Rtp), clock::both(), |packet| assert_eq!(packet.bytes, b"said"));
        assert_eq!(read, 3);
    }
}
