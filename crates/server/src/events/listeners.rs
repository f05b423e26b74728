//! Where those are in the log who are told of events as they come, so that it can be seen how far the last of them is behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::EventLog;

/// Their places.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    places: DashMap<u64, Arc<AtomicU64>>,
    next: AtomicU64,
}

/// The place of one of them, as long as it listens.
#[derive(Debug)]
pub struct Listening {
    log: Arc<EventLog>,
    number: u64,
    place: Arc<AtomicU64>,
}

impl Listening {
    /// Begins after an event.
    pub fn after(log: Arc<EventLog>, seq: u64) -> Self {
        let place = Arc::new(AtomicU64::new(seq));
        let number = log.listeners.next.fetch_add(1, Ordering::Relaxed);
        log.listeners.places.insert(number, place.clone());
        Self { log, number, place }
    }

    /// It has been told of everything up to an event, or has passed it over.
    pub fn has_passed(&self, seq: u64) {
        self.place.store(seq, Ordering::Relaxed);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.log.listeners.places.remove(&self.number);
    }
}

impl EventLog {
    /// How many listen, and how many events the last of them is behind.
    pub fn listeners(&self) -> (usize, u64) {
        let places = self.listeners.places.iter().map(|place| place.load(Ordering::Relaxed));
        let (mut count, newest) = (0, self.newest());
        let last = places.inspect(|_| count += 1).min();
        (count, newest.saturating_sub(last.unwrap_or(newest)))
    }
}
