//! How a media thread finds the packets that have come to its sockets: behind one trait, so that another way can be tried.
//!
//! ```text
//!   Readiness   sockets of legs that have frames are read in the slot of their frame, or several packets at a time where
//!               they are only recorded; of all others the kernel is asked, without waiting, which have something
//!   Sweep       all sockets are read, once a frame, or in each slot while packets are passed on
//! ```
//! Either way nothing wakes a thread for each packet, and no more packets are read of a socket at a time than a stream has
//! in a frame, so that none is kept waiting by a flood at another. `benches/README.md` has what each of them costs.

use std::fmt::Debug;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use offhook_media::{Frames, Heard, PHASES, is_span_turn};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::config::MediaIo;

/// Sockets that are told of at a time. Those beyond it come first the next time.
const BATCH: usize = 512;

/// Packets taken from one socket when packets are looked for: one for each slot that has passed, and no more than these.
/// One is due every 20 ms; three let what came in 200 ms, for as long as the engine makes up for, be read within four
/// frames, and give a flood no more than its share.
pub(super) const MAX_AT_ONCE: u64 = 3;

/// A stream that has one packet a frame is looked at for a second one in each of so many frames: one that has come early,
/// or since the clocks drift, waits for 160 ms at most.
const FRAMES_PER_SECOND_LOOK: u64 = 8;

/// A socket that nothing has come to for so many frames, a second, is read in each eighth, where nobody listens: what comes
/// then is the beginning of a talk, or a key, and waits for 140 ms more at most.
const SILENT_FRAMES: u8 = 50;
const FRAMES_PER_SILENT_LOOK: u64 = 8;

/// Sweeps in which a socket for reports is read once: there is one each few seconds.
const SWEEPS_PER_REPORT: usize = 10;

/// When packets are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Slots since the last time.
    pub(super) slots: u64,
    /// Packets are to be passed on as they come.
    pub(super) passes_on: bool,
    /// The phase that has its frame now, and the number of that frame.
    pub(super) frame: Option<(u8, u64)>,
}

/// What of a socket is to be read at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing yet: it is read next, and what is needed for that may be brought into the caches.
    Next,
    /// One packet.
    One,
    /// What has come in a span of frames.
    Span,
}

/// What reads packets of the socket with this number, and says how many there were.
pub(super) type Read<'a> = dyn FnMut(u64, Wanted) -> u64 + 'a;

/// A way to find packets. Sockets have numbers of the caller's, even ones those for RTP, odd ones those for RTCP.
pub(super) trait Arrivals: Debug + Send {
    /// From now on this socket is listened to.
    fn add(&mut self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()>;

    /// This socket is not listened to any more.
    fn remove(&mut self, socket: BorrowedFd<'_>, number: u64);

    /// The leg of a socket that is listened to has its frames in this phase from now on, or none.
    fn follow(&mut self, socket: BorrowedFd<'_>, number: u64, frames: Option<Frames>) -> io::Result<()>;

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

/// By an epoll set, where packets come now and then: a socket costs a read a packet, and nothing while it is silent. But
/// each packet that is sent by it or comes to it looks at the set. So sockets of legs that have something to do in each
/// frame are not in it, and are read once a frame, just before the leg needs what has come.
#[derive(Debug)]
struct Readiness {
    epoll: OwnedFd,
    /// The sockets that are not in the set, by the phases in which they are read.
    steady: [Vec<Steady>; PHASES as usize],
}

/// A socket that is read in frames of its leg.
#[derive(Clone, Copy, Debug)]
struct Steady {
    number: u64,
    frames: Frames,
    /// Packets that it had when it was read last.
    had: u64,
    /// Frames since it had any.
    silent: u8,
}

impl Steady {
    /// Packets that are to be read in this frame of its leg, at most.
    fn wants(&self, frame: u64) -> u64 {
        match self.frames.heard {
            Heard::InSpans => u64::from(is_span_turn(frame, self.frames.phase)),
            // An eighth of them in each frame, so that it takes as long as the next.
            Heard::ByNobody if self.silent == SILENT_FRAMES => {
                u64::from((frame + self.number / 2).is_multiple_of(FRAMES_PER_SILENT_LOOK))
            }
            // After none, or two, the next time there may be more than one.
            _ if self.had == 1 && !frame.is_multiple_of(FRAMES_PER_SECOND_LOOK) => 1,
            _ => MAX_AT_ONCE,
        }
    }

    /// Reads what is to be read in this frame of its leg. Returns whether there was anything.
    fn read(&mut self, frame: u64, read: &mut Read<'_>) -> bool {
        let most = self.wants(frame);
        if self.frames.heard == Heard::InSpans {
            return most > 0 && read(self.number, Wanted::Span) > 0;
        }
        self.had = (0..most).take_while(|_| read(self.number, Wanted::One) > 0).count() as u64;
        self.silent = if self.had > 0 { 0 } else { (self.silent + 1).min(SILENT_FRAMES) };
        self.had > 0
    }
}

impl Readiness {
    fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, steady: Default::default() })
    }

    /// Reads the sockets of a phase.
    fn read_steady(&mut self, phase: u8, frame: u64, read: &mut Read<'_>) -> bool {
        let mut has_read = false;
        let mut sockets =
            self.steady.get_mut(usize::from(phase)).map(|sockets| &mut sockets[..]).unwrap_or_default();
        while let Some((socket, rest)) = sockets.split_first_mut() {
            if let Some(next) = rest.first().filter(|next| next.wants(frame) > 0) {
                read(next.number, Wanted::Next);
            }
            has_read |= socket.read(frame, read);
            sockets = rest;
        }
        has_read
    }
}

impl Arrivals for Readiness {
    fn add(&mut self, socket: BorrowedFd<'_>, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number), EventFlags::IN)?)
    }

    fn remove(&mut self, socket: BorrowedFd<'_>, number: u64) {
        self.steady.iter_mut().for_each(|sockets| sockets.retain(|other| other.number != number));
        // Where it was steady it is not there.
        let _ = epoll::delete(&self.epoll, socket);
    }

    fn follow(&mut self, socket: BorrowedFd<'_>, number: u64, frames: Option<Frames>) -> io::Result<()> {
        self.remove(socket, number);
        match frames.and_then(|frames| Some((frames, self.steady.get_mut(usize::from(frames.phase))?))) {
            None => self.add(socket, number),
            Some((frames, sockets)) => {
                sockets.push(Steady { number, frames, had: 0, silent: 0 });
                Ok(())
            }
        }
    }

    fn read(&mut self, look: Look, read: &mut Read<'_>) -> bool {
        let mut batch = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut has_read = look.frame.is_some_and(|(phase, frame)| self.read_steady(phase, frame, read));
        for _ in 0..look.slots.clamp(1, MAX_AT_ONCE) {
            // It can only fail for a signal: the next slot asks again.
            let Ok((found, _)) = epoll::wait(&self.epoll, &mut batch, Some(&now)) else { break };
            if found.is_empty() {
                break;
            }
            has_read = true;
            for (index, event) in found.iter().enumerate() {
                if let Some(next) = found.get(index + 1) {
                    read(next.data.u64(), Wanted::Next);
                }
                read(event.data.u64(), Wanted::One);
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

    fn follow(&mut self, _: BorrowedFd<'_>, _: u64, _: Option<Frames>) -> io::Result<()> {
        // All are read in each frame.
        Ok(())
    }

    fn read(&mut self, look: Look, read: &mut Read<'_>) -> bool {
        self.slots += look.slots.max(1);
        if !look.passes_on && self.slots < u64::from(PHASES) {
            return false;
        }
        let most = std::mem::take(&mut self.slots).min(MAX_AT_ONCE);
        self.sweeps += 1;
        self.had.clear();
        self.had.extend(self.rtp.iter().filter(|number| read(**number, Wanted::One) > 0));
        let reports = self.rtcp.iter().skip(self.sweeps % SWEEPS_PER_REPORT).step_by(SWEEPS_PER_REPORT);
        self.had.extend(reports.filter(|number| read(**number, Wanted::One) > 0));
        let has_read = !self.had.is_empty();
        for _ in 1..most {
            self.had.retain(|number| read(*number, Wanted::One) > 0);
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

    const FRAME: Look = Look { slots: 10, passes_on: false, frame: None };
    const SLOT: Look = Look { slots: 1, passes_on: false, frame: None };

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
        let has_read = arrivals.read(look, &mut |number, wanted| {
            let most = match wanted {
                Wanted::Next => 0,
                Wanted::One => 1,
                Wanted::Span => usize::MAX,
            };
            let read = (0..most).take_while(|_| rustix::io::read(&sockets[&number], &mut [0; 8]).is_ok());
            let count = read.count();
            taken.extend(std::iter::repeat_n(number, count));
            count as u64
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
            let soon = Look { passes_on: true, ..SLOT };
            assert_eq!(read(&mut *arrivals, soon, &sockets), [4], "{io:?}");
            arrivals.remove(sockets[&4].as_fd(), 4);
            assert_eq!(read(&mut *arrivals, FRAME, &sockets), [] as [u64; 0], "{io:?}");
        }
    }

    #[test]
    fn what_comes_to_a_leg_that_has_frames_is_read_in_them() {
        let mut arrivals = by(MediaIo::Readiness).expect("a way");
        let sockets = sockets(&mut *arrivals, [3, 1, 0]);
        let frames = Some(Frames { phase: 3, heard: Heard::InFrames });
        for number in [0, 4] {
            arrivals.follow(sockets[&number].as_fd(), number, frames).expect("followed");
        }
        let mut at = |phase, frame| {
            let look = Look { frame: Some((phase, frame)), ..SLOT };
            read(&mut *arrivals, look, &sockets)
        };
        assert_eq!(at(2, 1), [2], "not in another phase");
        assert_eq!(at(3, 1), [0, 0, 0], "at first there may be more than one");
        let come = |number: u64| {
            rustix::io::write(&sockets[&number], &1_u64.to_ne_bytes()).expect("a packet");
        };
        come(0);
        assert_eq!(at(3, 2), [0]);
        come(0);
        come(0);
        assert_eq!((at(3, 3), at(3, 4)), (vec![0], vec![0]), "a stream has one a frame");
        come(0);
        come(0);
        assert_eq!(at(3, FRAMES_PER_SECOND_LOOK), [0, 0], "and now and then another");
        arrivals.follow(sockets[&0].as_fd(), 0, None).expect("followed");
        come(0);
        assert_eq!(read(&mut *arrivals, SLOT, &sockets), [0], "by the set again");
        arrivals.remove(sockets[&4].as_fd(), 4);
        come(4);
        assert_eq!(read(&mut *arrivals, Look { frame: Some((3, 1)), ..SLOT }, &sockets), [] as [u64; 0]);
    }

    /// How many frames a first packet waits at most, after seconds of silence.
    #[test]
    fn a_silent_leg_is_read_less_often_where_nobody_listens() {
        for (heard, most) in [(Heard::InFrames, 1), (Heard::ByNobody, FRAMES_PER_SILENT_LOOK)] {
            let mut arrivals = by(MediaIo::Readiness).expect("a way");
            let sockets = sockets(&mut *arrivals, [0, 0]);
            for number in [0, 2] {
                let frames = Some(Frames { phase: 0, heard });
                arrivals.follow(sockets[&number].as_fd(), number, frames).expect("followed");
            }
            let looks = |arrivals: &mut dyn Arrivals, frame| {
                let mut looks = 0;
                arrivals.read(Look { frame: Some((0, frame)), ..SLOT }, &mut |_, wanted| {
                    looks += u64::from(wanted == Wanted::One);
                    0
                });
                looks
            };
            (0..50).for_each(|frame| assert_eq!(looks(&mut *arrivals, frame), 2));
            let later: Vec<u64> = (52..152).map(|frame| looks(&mut *arrivals, frame)).collect();
            assert_eq!(later.iter().sum::<u64>(), 200 / most, "{heard:?}");
            assert!(heard == Heard::InFrames || !later.contains(&2), "not all in the same frame");
        }
    }

    /// What has come to a leg that is only recorded is read together, in the turn of its phase.
    #[test]
    fn what_is_only_recorded_is_read_in_spans() {
        let mut arrivals = by(MediaIo::Readiness).expect("a way");
        let sockets = sockets(&mut *arrivals, [0]);
        let frames = Some(Frames { phase: 3, heard: Heard::InSpans });
        arrivals.follow(sockets[&0].as_fd(), 0, frames).expect("followed");
        let mut taken = Vec::new();
        for frame in 0..10 {
            rustix::io::write(&sockets[&0], &1_u64.to_ne_bytes()).expect("a packet");
            let look = Look { frame: Some((3, frame)), ..SLOT };
            taken.push(read(&mut *arrivals, look, &sockets).len());
        }
        assert_eq!(taken, [0, 0, 3, 0, 0, 0, 0, 5, 0, 0]);
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
