//! Room for the bodies of requests, of all connections together: those that are on their way, and those that are being served.
//!
//! ```text
//!   POST       bytes ─▶ Body ─────────────────────────────────▶ until it is answered
//!   WebSocket  bytes ─▶ Body ─▶ Held ─▶ Claimed, by the request ─▶ until it is answered
//! ```
//! Nothing is taken for what a request claims to be long, only for what is there of it; and nothing for one that is short, as
//! nearly all are: they are bounded by the number of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of all of them: sixty-four of the longest.
pub(crate) const ROOM: usize = 64 << 20;

/// What every body has without asking. On as many connections as there may be that is a quarter of the above.
const FREE: usize = 16 << 10;

/// The most that messages of one connection have which nobody has claimed. What is more is of messages that were no requests.
const UNCLAIMED_MAX: usize = 2 << 20;

/// The room.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }

    /// For a body of which nothing is there yet.
    pub(crate) fn body(&self) -> Body {
        Body { room: self.clone(), length: 0, permit: None }
    }

    /// What is left of it.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }

    /// For a connection whose requests are read by somebody else.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::new(Held { room: self.clone(), unclaimed: AtomicUsize::new(0) })
    }
}

/// There is none, so that a body cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// The room of one body, as it grows; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    room: Room,
    length: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Body {
    /// So many bytes more are there.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let counted = |length: usize| length.saturating_sub(FREE);
        let more = counted(self.length + bytes) - counted(self.length);
        self.length += bytes;
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| NoRoom)?;
        let more = self.room.0.clone().try_acquire_many_owned(more).map_err(|_| NoRoom)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// The room of messages that have come by a WebSocket, until the requests that they are claim it.
#[derive(Debug)]
pub(crate) struct Held {
    room: Room,
    unclaimed: AtomicUsize,
}

impl Held {
    /// A message is there to its end.
    pub(crate) fn add(&self, body: Body) {
        if let Some(permit) = body.permit
            && self.unclaimed.load(Ordering::Relaxed) + permit.num_permits() <= UNCLAIMED_MAX
        {
            self.unclaimed.fetch_add(permit.num_permits(), Ordering::Relaxed);
            permit.forget();
        }
    }

    /// For the request that has just been read: all that nobody has claimed.
    pub(crate) fn claim(self: &Arc<Self>) -> Claimed {
        Claimed { room: self.room.clone(), bytes: self.unclaimed.swap(0, Ordering::Relaxed) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.0.add_permits(*self.unclaimed.get_mut());
    }
}

/// The room of a request that is being served; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Claimed {
    room: Room,
    bytes: usize,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.room.0.add_permits(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_short_body_asks_for_nothing_and_a_long_one_for_what_is_there() {
        let room = Room::new();
        let mut body = room.body();
        assert_eq!((body.grow(FREE), room.free()), (Ok(()), ROOM));
        assert_eq!((body.grow(1), room.free()), (Ok(()), ROOM - 1));
        assert_eq!((body.grow(1_000), room.free()), (Ok(()), ROOM - 1_001));
        drop(body);
        assert_eq!(room.free(), ROOM);
    }

    #[test]
    fn all_of_them_together_have_a_bound() {
        let room = Room::new();
        let mut bodies: Vec<_> = (0..64).map(|_| room.body()).collect();
        for body in &mut bodies {
            assert_eq!(body.grow(MIB + FREE), Ok(()));
        }
        let mut one_more = room.body();
        assert_eq!((one_more.grow(FREE), one_more.grow(1)), (Ok(()), Err(NoRoom)));
        bodies.pop();
        assert_eq!(one_more.grow(1), Ok(()));
    }

    #[test]
    fn the_room_of_a_message_goes_with_its_request() {
        let room = Room::new();
        let held = room.held();
        let message = |length| {
            let mut body = room.body();
            body.grow(length).unwrap();
            held.add(body);
        };
        message(FREE + 7);
        let first = held.claim();
        message(FREE + 5);
        message(3);
        assert_eq!(room.free(), ROOM - 12);
        let second = held.claim();
        drop(first);
        assert_eq!(room.free(), ROOM - 5);
        drop(second);
        assert_eq!(room.free(), ROOM);
        // What was no request goes with the connection, and is never much.
        for _ in 0..100 {
            message(MIB);
        }
        assert!(ROOM - room.free() <= UNCLAIMED_MAX, "{}", ROOM - room.free());
        drop(held);
        assert_eq!(room.free(), ROOM);
    }
}
