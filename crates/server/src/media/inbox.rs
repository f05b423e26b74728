//! The way to a media thread: a bounded channel, and a bell by which the thread can wait for messages and for packets at
//! the same time.
//!
//! ```text
//!   control, other threads ──message──▶ channel ─▶ Inbox
//!                          └───ring───▶ bell ────▶ wait ◀──── packets, while nothing else is to be done
//! ```
//! The bell is quieted before the channel is looked into, so no message waits unseen.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::ToMedia;
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
    /// Hands a message over, and waits for room where there is none. One that nobody will ever receive is dropped.
    pub(super) fn send(&self, message: ToMedia) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(message);
            self.ring();
        }
    }

    fn ring(&self) {
        // It can only fail once it has been rung 2^64 - 2 times, and then it rings.
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

impl TrySend<ToMedia> for Door {
    fn try_send_item(&self, message: ToMedia) -> Option<ToMedia> {
        let left = self.sender.as_ref()?.try_send_item(message);
        self.ring();
        left
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The thread is to find that nobody can send any more.
        self.sender = None;
        self.ring();
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// There may be a message, or nobody can send any more.
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

    /// The next message, whenever it comes; none when nobody can send any more.
    pub(super) fn recv(&self) -> Option<ToMedia> {
        loop {
            match self.try_recv() {
                Ok(message) => return Some(message),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.wait(None, None),
            };
        }
    }

    /// Waits for a message, or for something that is to be read from what is `beside`; for ever or so long.
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
    use offhook_media::event::LegId;

    use super::*;

    fn message(leg: u64) -> ToMedia {
        ToMedia::Expect { leg: LegId(leg) }
    }

    fn leg(message: Option<ToMedia>) -> Option<LegId> {
        message.and_then(|message| message.leg())
    }

    #[test]
    fn a_message_ends_a_wait_and_so_does_the_end_of_all_senders() {
        let (door, inbox) = open(4).expect("a bell");
        assert_eq!(inbox.wait(Some(Duration::ZERO), None), Woken::Late);
        door.send(message(1));
        assert_eq!(door.try_send_item(message(2)).map(|_| ()), None);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert_eq!(inbox.wait(Some(Duration::ZERO), None), Woken::Late, "quieted at once");
        assert_eq!([leg(inbox.recv()), leg(inbox.recv())], [Some(LegId(1)), Some(LegId(2))]);
        let other = door.clone();
        drop(door);
        assert_eq!(inbox.wait(None, None), Woken::Rung);
        assert!(matches!(inbox.try_recv(), Err(TryRecvError::Empty)), "there is another sender");
        drop(other);
        assert!(inbox.recv().is_none());
    }

    #[test]
    fn what_comes_beside_ends_a_wait_and_messages_go_first() {
        let (door, inbox) = open(4).expect("a bell");
        let beside = eventfd(1, EventfdFlags::CLOEXEC).expect("something to read");
        let wait = || inbox.wait(Some(Duration::ZERO), Some(std::os::fd::AsFd::as_fd(&beside)));
        assert_eq!(wait(), Woken::Beside);
        door.send(message(1));
        assert_eq!((wait(), wait()), (Woken::Rung, Woken::Beside));
    }
}
