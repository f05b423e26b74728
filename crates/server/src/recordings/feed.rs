//! The way to the recording threads, for threads that must not wait.
//!
//! Questions and end marks wait for room, each recording has one of either. Audio does not: where the queue is full it is
//! left out, and when there is room again the recording thread is told how long the gap is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::Thread;
use std::time::Duration;

use offhook_media::event::{Audio, RecordingId};

use super::{ToDisk, length};
use crate::outbox::{Outbox, TrySend};

/// The sending end of the queues of all recording threads. Each thread that sends has its own.
#[derive(Debug)]
pub struct Feed {
    /// A recording's thread is always the same, so its messages keep their order.
    threads: Vec<Outbox<ToDisk, SyncSender<ToDisk>>>,
    /// Who looks into the queues, now and then by themselves.
    sleepers: Vec<Thread>,
    /// Gaps of recordings that are not told yet.
    gaps: HashMap<RecordingId, Duration>,
    /// Microseconds of all gaps, of all feeds.
    total: Arc<AtomicU64>,
}

impl Feed {
    /// A feed of these queues, each with the thread that it leads to.
    pub(crate) fn new(queues: Vec<(SyncSender<ToDisk>, Thread)>) -> Self {
        let (senders, sleepers): (Vec<_>, _) = queues.into_iter().unzip();
        let threads = senders.into_iter().map(Outbox::new).collect();
        Self { threads, sleepers, gaps: HashMap::new(), total: Arc::default() }
    }

    /// Another feed of the same threads.
    pub fn another(&self) -> Self {
        let senders = self.threads.iter().map(|thread| thread.sender().clone());
        let queues = senders.zip(self.sleepers.iter().cloned()).collect();
        Self { total: Arc::clone(&self.total), ..Self::new(queues) }
    }

    /// How much audio was left out by all feeds so far.
    pub fn gaps(&self) -> Duration {
        Duration::from_micros(self.total.load(Ordering::Relaxed))
    }

    /// Sends, without waiting and without losing the count. Audio waits until the thread looks for it.
    pub fn send(&mut self, message: ToDisk) {
        let recording = message.recording();
        let index = usize::try_from(recording.0).unwrap_or_default() % self.threads.len();
        let thread = &mut self.threads[index];
        thread.flush();
        // What has no length must not be left out.
        let length = match &message {
            ToDisk::Audio(Audio { chunk, .. }) => length(chunk),
            _ => Duration::ZERO,
        };
        if length.is_zero() {
            if let Some(length) = self.gaps.remove(&recording) {
                thread.send(ToDisk::Gap { recording, length });
            }
            thread.send(message);
            return self.sleepers[index].unpark();
        }
        if let Some(&length) = self.gaps.get(&recording)
            && thread.backlog() == 0
            && thread.sender().try_send_item(ToDisk::Gap { recording, length }).is_none()
        {
            self.gaps.remove(&recording);
        }
        let is_next = thread.backlog() == 0 && !self.gaps.contains_key(&recording);
        if !is_next || thread.sender().try_send_item(message).is_some() {
            *self.gaps.entry(recording).or_default() += length;
            self.total.fetch_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Sends what waits, as far as there is room.
    pub fn flush(&mut self) {
        self.threads.iter_mut().for_each(Outbox::flush);
    }

    /// How many messages wait.
    pub fn backlog(&self) -> usize {
        self.threads.iter().map(Outbox::backlog).sum()
    }
}
