//! How a media thread finds the packets that have come to its sockets: behind one trait, so that another way can be tried.
//!
//! ```text
//!   Readiness   the kernel is asked, without waiting, which sockets have something; those are read
//!   Sweep       all sockets are read, once a frame, or in each slot while packets are passed on
//! ```
//! Either way nothing wakes a thread for each packet, and one packet is read of each socket at a time, so that none is kept
//! waiting by a flood at another. `benches/README.md` has what each of them costs.

use std::fmt::Debug;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use offhook_media::PHASES;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::config::MediaIo;

/// Sockets that are told of at a time. Those beyond it come first the next time.
const BATCH: usize = 512;

/// Packets taken from one socket when packets are looked for: one for each slot that has passed, and no more than these.
/// One is due every 20 ms; three let what came in 200 ms, for as long as the engine makes up for, be read within four
/// frames, and give a flood no more than its share.
pub(super) const MAX_AT_ONCE: u64 = 3;

/// Sweeps in which a socket for reports is read once: there is one each few seconds.
const SWEEPS_PER_REPORT: usize = 10;

/// When packets are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Slots since the last time.
    pub(super) slots: u64,
    /// Packets are to be passed on as they come.
    pub(super) passes_on: bool,
}

/// What reads one packet of the socket with this number; `false` if there was none.
pub(super) type Read<'a> = dyn FnMut(u64) -> bool + 'a;

/// A way to find packets. Sockets have numbers of the caller's, even ones those for RTP, odd ones those for RTCP.
pub(super) trait Arrivals: Debug + Send {
    /// From now on this socket is listened to.
    fn add(&mut self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()>;

    /// This socket is not listened to any more.
    fn remove(&mut self, socket: BorrowedFd<'_>, number: u64);

    /// Reads what has come. Returns whether there was anything.
    fn read(&mut self, look: Look, read: &mut Read<'_>) -> bool;

    /// What can be read from as soon as a packet has come, if there is such a thing.
    fn waker(&self) -> Option<BorrowedFd<'_>>;
}

/// The way that the configuration names.
pub(super) fn by(io: MediaIo) -> io::Result<Box<dyn Arrivals>> {
    Ok(match io {
        MediaIo::Readiness => Box::new(Readiness::new()?),
        MediaIo::Sweep => Box::new(Sweep::default()),
    })
}

/// By an epoll set: a stream that sends costs one read a packet, one that is silent costs nothing.
#[derive(Debug)]
struct Readiness {
    epoll: OwnedFd,
}

impl Readiness {
    fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }
}

impl Arrivals for Readiness {
    fn add(&mut self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number), EventFlags::IN)?)
    }

    fn remove(&mut self, socket: BorrowedFd<'_>, _number: u64) {
        // It was added, so it is there.
        let _ = epoll::delete(&self.epoll, socket);
    }

    fn read(&mut self, look: Look, read: &mut Read<'_>) -> bool {
        let mut batch = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut has_read = false;
        for _ in 0..look.slots.clamp(1, MAX_AT_ONCE) {
            // It can only fail for a signal: the next slot asks again.
            let Ok((found, _)) = epoll::wait(&self.epoll, &mut batch, Some(&now)) else { break };
            if found.is_empty() {
                break;
            }
            has_read = true;
            for event in found {
                read(event.data.u64());
            }
        }
        has_read
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }
}

/// By reading: no set is kept up when a packet comes or goes, and a silent stream costs a read in vain.
#[derive(Debug, Default)]
struct Sweep {
    rtp: Vec<u64>,
    rtcp: Vec<u64>,
    /// Those that had a packet when they were read last.
    had: Vec<u64>,
    /// Slots since the last sweep.
    slots: u64,
    sweeps: usize,
}

impl Sweep {
    fn list(&mut self, number: u64) -> &mut Vec<u64> {
        if number.is_multiple_of(2) { &mut self.rtp } else { &mut self.rtcp }
    }
}

impl Arrivals for Sweep {
    fn add(&mut self, _socket: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        self.list(number).push(number);
        Ok(())
    }

    fn remove(&mut self, _socket: BorrowedFd<'_>, number: u64) {
        self.list(number).retain(|other| *other != number);
    }

    fn read(&mut self, look: Look, read: &mut Read<'_>) -> bool {
        self.slots += look.slots.max(1);
        if !look.passes_on && self.slots < u64::from(PHASES) {
            return false;
        }
        let most = std::mem::take(&mut self.slots).min(MAX_AT_ONCE);
        self.sweeps += 1;
        self.had.clear();
        self.had.extend(self.rtp.iter().filter(|number| read(**number)));
        let reports = self.rtcp.iter().skip(self.sweeps % SWEEPS_PER_REPORT).step_by(SWEEPS_PER_REPORT);
        self.had.extend(reports.filter(|number| read(**number)));
        let has_read = !self.had.is_empty();
        for _ in 1..most {
            self.had.retain(|number| read(*number));
        }
        has_read
    }

    fn waker(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    const FRAME: Look = Look { slots: 10, passes_on: false };
    const SLOT: Look = Look { slots: 1, passes_on: false };

    /// Sockets that are counters: what is in them is how often they can be read.
    fn sockets<const N: usize>(arrivals: &mut dyn Arrivals, packets: [u32; N]) -> BTreeMap<u64, OwnedFd> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        let sockets = packets.map(|packets| eventfd(packets, flags).expect("a counter"));
        let sockets: BTreeMap<u64, OwnedFd> = (0..).step_by(2).zip(sockets).collect();
        for (number, socket) in &sockets {
            arrivals.add(socket.as_fd(), *number).expect("added");
        }
        sockets
    }

    /// The numbers of the sockets that packets were read from, in order.
    fn read(arrivals: &mut dyn Arrivals, look: Look, sockets: &BTreeMap<u64, OwnedFd>) -> Vec<u64> {
        let mut taken = Vec::new();
        let has_read = arrivals.read(look, &mut |number| {
            let is_read = rustix::io::read(&sockets[&number], &mut [0; 8]).is_ok();
            taken.extend(is_read.then_some(number));
            is_read
        });
        assert_eq!(has_read, !taken.is_empty());
        taken
    }

    #[test]
    fn each_way_takes_one_of_each_at_a_time_and_of_a_flood_no_more_than_its_share() {
        for io in [MediaIo::Readiness, MediaIo::Sweep] {
            let mut arrivals = by(io).expect("a way");
            let sockets = sockets(&mut *arrivals, [0, 1, 100, 2]);
            let mut rounds = read(&mut *arrivals, FRAME, &sockets);
            rounds[..3].sort_unstable();
            rounds[3..5].sort_unstable();
            assert_eq!(rounds, [2, 4, 6, 4, 6, 4], "{io:?}");
            assert_eq!(read(&mut *arrivals, FRAME, &sockets), [4, 4, 4], "{io:?}");
            let soon = Look { slots: 1, passes_on: true };
            assert_eq!(read(&mut *arrivals, soon, &sockets), [4], "{io:?}");
            arrivals.remove(sockets[&4].as_fd(), 4);
            assert_eq!(read(&mut *arrivals, FRAME, &sockets), [] as [u64; 0], "{io:?}");
        }
    }

    #[test]
    fn a_sweep_is_due_once_a_frame_and_readiness_in_every_slot() {
        for (io, taken) in [(MediaIo::Readiness, 10), (MediaIo::Sweep, 3)] {
            let mut arrivals = by(io).expect("a way");
            let sockets = sockets(&mut *arrivals, [100]);
            let all: usize = (0..10).map(|_| read(&mut *arrivals, SLOT, &sockets).len()).sum();
            assert_eq!(all, taken, "{io:?}");
        }
    }
}
