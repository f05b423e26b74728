//! The way to a media thread: a bounded channel, and a bell by which the thread can wait for messages, for legs of other
//! threads and for packets at the same time.
//!
//! ```text
//!   control ──message──▶ channel ──▶ Inbox
//!           └───ring───▶ bell ─────▶ wait ◀──── packets, while nothing else is to be done
//!           ┌───ring──────▲
//!   other thread ──leg──▶ Handover, with room for one
//! ```
//! The bell is quieted before the channels are looked into, so nothing waits unseen. A leg on its way has room of its own,
//! made when the way is opened, so a media thread never waits for another one.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::{Moved, ToMedia};
use crate::outbox::TrySend;

/// Opens a way to a thread on which so many messages may wait.
pub(super) fn open(bound: usize) -> io::Result<(Door, Inbox)> {
    let (sender, receiver) = sync_channel(bound);
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    Ok((Door { sender: Some(sender), bell: Arc::clone(&bell) }, Inbox { receiver, bell }))
}

/// The sender's end.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// There until this is dropped.
    sender: Option<SyncSender<ToMedia>>,
    bell: Arc<OwnedFd>,
}

impl Door {
    /// Opens the way for one leg to the thread behind this door.
    pub(super) fn handover(&self) -> (Handover, Receiver<Moved>) {
        let (sender, receiver) = sync_channel(1);
        (Handover { sender: Some(sender), bell: Arc::clone(&self.bell) }, receiver)
    }
}

/// It can only fail once it has been rung 2^64 - 2 times, and then it rings.
fn ring(bell: &OwnedFd) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

impl TrySend<ToMedia> for Door {
    fn try_send_item(&self, message: ToMedia) -> Option<ToMedia> {
        let left = self.sender.as_ref()?.try_send_item(message);
        ring(&self.bell);
        left
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The thread is to find that nobody can send any more.
        self.sender = None;
        ring(&self.bell);
    }
}

/// The way of one leg from one thread to another: it is given, or this is dropped because the leg is gone.
#[derive(Debug)]
pub(super) struct Handover {
    /// There until this is dropped.
    sender: Option<SyncSender<Moved>>,
    bell: Arc<OwnedFd>,
}

impl Handover {
    /// Gives the leg, if there is anybody left to take it.
    pub(super) fn give(self, moved: Moved) {
        // There is room for one, and this is the one.
        let _ = self.sender.as_ref().map(|sender| sender.try_send(moved));
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        // The thread is to find the leg, or that it does not come.
        self.sender = None;
        ring(&self.bell);
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// There may be a message or a leg, or nobody can send any more.
    Rung,
    /// What was waited for beside messages has come.
    Beside,
    /// Nothing came.
    Late,
}

/// The thread's end.
#[derive(Debug)]
pub(super) struct Inbox {
    receiver: Receiver<ToMedia>,
    bell: Arc<OwnedFd>,
}

impl Inbox {
    /// The next message.
    pub(super) fn try_recv(&self) -> Result<ToMedia, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Waits for a message or a leg, or for something that is to be read from what is `beside`; for ever or so long.
    pub(super) fn wait(&self, most: Option<Duration>, beside: Option<BorrowedFd<'_>>) -> Woken {
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        let bell = PollFd::new(&self.bell, PollFlags::IN);
        let mut both = [bell.clone(), bell];
        let waited = match beside {
            Some(beside) => {
                both[1] = PollFd::from_borrowed_fd(beside, PollFlags::IN);
                &mut both[..]
            }
            None => &mut both[..1],
        };
        // A signal is as good as the bell: the caller looks, and waits again.
        if poll(waited, most.as_ref()).is_ok_and(|found| found == 0) {
            return Woken::Late;
        }
        let has_come = |at: usize| waited.get(at).is_some_and(|one| !one.revents().is_empty());
        if has_come(1) && !has_come(0) {
            return Woken::Beside;
        }
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        Woken::Rung
    }
}

#[cfg(test)]
mod tests {
    use offhook_media::event::{Command, LegId};

    use super::*;

    fn message(leg: u64) -> ToMedia {
        ToMedia::Command(Command::RemoveLeg { leg: LegId(leg) })
    }

    fn send(door: &Door, leg: u64) {
        assert!(door.try_send_item(message(leg)).is_none(), "there is room");
    }

    #[test]
    fn a_message_ends_a_wait_and_so_does_the_end_of_all_senders() {
        let (door, inbox) = open(4).expect("a bell");
        assert_eq!(inbox.wait(Some(Duration::ZERO), None), Woken::Late);
        send(&door, 1);
        send(&door, 2);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert_eq!(inbox.wait(Some(Duration::ZERO), None), Woken::Late, "quieted at once");
        let leg = |message| match message {
            ToMedia::Command(command) => command.leg(),
            _ => None,
        };
        let came = std::iter::from_fn(|| inbox.try_recv().ok()).map(leg);
        assert_eq!(came.collect::<Vec<_>>(), [Some(LegId(1)), Some(LegId(2))]);
        let other = door.clone();
        drop(door);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert!(matches!(inbox.try_recv(), Err(TryRecvError::Empty)), "there is another sender");
        drop(other);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert!(matches!(inbox.try_recv(), Err(TryRecvError::Disconnected)));
    }

    #[test]
    fn what_comes_beside_ends_a_wait_and_messages_go_first() {
        let (door, inbox) = open(4).expect("a bell");
        let beside = eventfd(1, EventfdFlags::CLOEXEC).expect("something to read");
        let wait = || inbox.wait(Some(Duration::ZERO), Some(std::os::fd::AsFd::as_fd(&beside)));
        assert_eq!(wait(), Woken::Beside);
        send(&door, 1);
        assert_eq!((wait(), wait()), (Woken::Rung, Woken::Beside));
    }

    #[test]
    fn a_leg_that_does_not_come_ends_a_wait_too() {
        let (door, inbox) = open(1).expect("a bell");
        let (handover, coming) = door.handover();
        assert!(matches!(coming.try_recv(), Err(TryRecvError::Empty)));
        drop(handover);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert!(matches!(coming.try_recv(), Err(TryRecvError::Disconnected)));
    }
}
