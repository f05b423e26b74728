//! A sender that never blocks and never loses: what a full channel does not take waits here, in order.
//!
//! It is bounded by what feeds it. A recording has one question and one end under way; a media thread takes no packets while
//! too many events wait; and while too many commands wait for a media thread, applications are refused what they ask.

use std::collections::VecDeque;

/// The non-blocking half of a bounded channel.
pub trait TrySend<T> {
    /// Hands the item over, or gives it back where the channel is full; an item nobody will ever receive is dropped.
    fn try_send_item(&self, item: T) -> Option<T>;
}

impl<T> TrySend<T> for std::sync::mpsc::SyncSender<T> {
    fn try_send_item(&self, item: T) -> Option<T> {
        match self.try_send(item) {
            Err(std::sync::mpsc::TrySendError::Full(item)) => Some(item),
            Ok(()) | Err(std::sync::mpsc::TrySendError::Disconnected(_)) => None,
        }
    }
}

impl<T> TrySend<T> for tokio::sync::mpsc::Sender<T> {
    fn try_send_item(&self, item: T) -> Option<T> {
        match self.try_send(item) {
            Err(tokio::sync::mpsc::error::TrySendError::Full(item)) => Some(item),
            Ok(()) | Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => None,
        }
    }
}

/// A channel's sender and what still waits for it.
#[derive(Debug)]
pub struct Outbox<T, S> {
    sender: S,
    waiting: VecDeque<T>,
}

impl<T, S: TrySend<T>> Outbox<T, S> {
    /// An empty outbox.
    pub fn new(sender: S) -> Self {
        Self { sender, waiting: VecDeque::new() }
    }

    /// Sends now, or as soon as the channel has room.
    pub fn send(&mut self, item: T) {
        self.waiting.push_back(item);
        self.flush();
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        while let Some(item) = self.waiting.pop_front() {
            if let Some(item) = self.sender.try_send_item(item) {
                self.waiting.push_front(item);
                return;
            }
        }
    }

    /// The channel itself.
    pub fn sender(&self) -> &S {
        &self.sender
    }

    /// How many items wait.
    pub fn backlog(&self) -> usize {
        self.waiting.len()
    }
}
