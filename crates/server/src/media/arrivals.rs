//! How a media thread finds the sockets in which a packet waits.
//!
//! All sockets of a thread are registered once, and the kernel is asked without waiting, in the slots in which the
//! thread is awake anyway: a stream that sends costs one read a packet, one that is silent costs nothing, and nothing
//! ever wakes a thread for a single packet. `benches/README.md` has what other ways cost; to try one, this is the file.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Sockets that are told of at a time. Those beyond it come first the next time.
const BATCH: usize = 512;

/// The sockets that are listened to, by numbers of the caller's.
#[derive(Debug)]
pub(super) struct Arrivals {
    epoll: OwnedFd,
    ready: Vec<u64>,
}

impl Arrivals {
    /// No sockets yet.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, ready: Vec::new() })
    }

    /// From now on this socket is listened to, until it is closed or removed.
    pub(super) fn add(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number), EventFlags::IN)?)
    }

    /// This socket is not listened to any more.
    pub(super) fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// What can be read from as soon as a packet waits.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// The numbers of the sockets in which something waits. One in which something is left is told of the next time.
    pub(super) fn poll(&mut self) -> &[u64] {
        self.ready.clear();
        let mut batch = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It can only fail for a signal: the next slot asks again.
        if let Ok((found, _)) = epoll::wait(&self.epoll, &mut batch, Some(&now)) {
            self.ready.extend(found.iter().map(|event| event.data.u64()));
        }
        &self.ready
    }
}
