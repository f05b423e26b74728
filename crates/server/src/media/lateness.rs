//! How punctual media threads are: each counts for itself, and is asked now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offhook_media::FRAME;

/// What one thread counts.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    slots: AtomicU64,
    nanos: AtomicU64,
    late: AtomicU64,
}

/// What all threads have counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Late {
    /// Slots that were worked in.
    pub slots: u64,
    /// How long after they were due, in all.
    pub lag: Duration,
    /// Those that were begun a frame late or later, and those that were left out.
    pub late: u64,
}

impl Lateness {
    /// A slot begins so long after it was due.
    pub(super) fn begins(&self, after: Duration) {
        self.slots.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if after >= FRAME {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// So many slots are left out.
    pub(super) fn leaves_out(&self, slots: u64) {
        self.late.fetch_add(slots, Ordering::Relaxed);
    }

    /// Adds what it has counted.
    pub(super) fn add_to(&self, late: &mut Late) {
        late.slots += self.slots.load(Ordering::Relaxed);
        late.lag += Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        late.late += self.late.load(Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late() {
        let (lateness, mut late) = (Lateness::default(), Late::default());
        for milliseconds in [0, 1, 19, 20, 100] {
            lateness.begins(Duration::from_millis(milliseconds));
        }
        lateness.leaves_out(7);
        lateness.add_to(&mut late);
        lateness.add_to(&mut late);
        assert_eq!((late.slots, late.lag, late.late), (10, Duration::from_millis(280), 18));
    }
}
