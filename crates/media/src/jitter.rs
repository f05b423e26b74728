//! The jitter buffer: packets put back into the order of their sequence numbers, each at most once (RFC 3550 §6.4.4
//! speaks of it only by its effect). It knows places, not time; `playout.rs` decides when the next one is due.
//!
//! ```text
//!    inserted out of order      ┌───┬───┬───┬───┬───┐
//!    and twice           ─────▶ │ 7 │ 8 │   │ 10│   │ ─────▶ taken: 7, 8, lost, 10, nothing there
//!                               └───┴───┴───┴───┴───┘
//! ```

/// Packets that are kept: the longest target of 200 ms three times over at 10 ms a packet. More would only be delay.
const CAPACITY: u64 = 64;

/// The place in the ring of an extended sequence number.
fn slot(place: u64) -> usize {
    usize::try_from(place % CAPACITY).unwrap_or_default()
}

/// Packets in order.
#[derive(Debug, Default)]
pub(crate) struct JitterBuffer {
    /// Empty until the first packet; then [`CAPACITY`] slots, whose payloads keep their memory.
    slots: Vec<Slot>,
    /// The place to take next; none before the first was taken.
    next: Option<u64>,
    /// The place after the highest that was inserted.
    end: u64,
    packets: usize,
    samples: usize,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    place: Option<u64>,
    payload: Vec<u8>,
}

/// What became of a packet that was to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Queued,
    /// Its place was taken already: it comes too late.
    Late,
    Duplicate,
}

/// What is at the next place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<'a> {
    /// A payload; empty for a packet that is no audio.
    Packet(&'a [u8]),
    /// Nothing, but something is behind it.
    Lost,
    /// Nothing, and nothing is behind it. The place stays the next.
    Empty,
}

impl JitterBuffer {
    /// Forgets everything: another stream begins.
    pub(crate) fn restart(&mut self) {
        for slot in &mut self.slots {
            slot.place = None;
        }
        (self.next, self.packets, self.samples) = (None, 0, 0);
    }

    /// Samples in the packets that wait, at one byte each.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Puts a packet at its place. If it lies beyond the capacity, the oldest make room.
    pub(crate) fn insert(&mut self, place: u64, payload: &[u8]) -> Inserted {
        let earliest = match self.next {
            Some(next) => next,
            None if self.packets == 0 => {
                self.end = place;
                place
            }
            None => self.end.saturating_sub(CAPACITY),
        };
        if place < earliest {
            return Inserted::Late;
        }
        if self.slots.is_empty() {
            self.slots.resize(slot(CAPACITY - 1) + 1, Slot::default());
        }
        if self.slots[slot(place)].place == Some(place) {
            return Inserted::Duplicate;
        }
        self.make_room(place);
        let slot = &mut self.slots[slot(place)];
        slot.place = Some(place);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        self.packets += 1;
        self.samples += payload.len();
        Inserted::Queued
    }

    fn make_room(&mut self, place: u64) {
        if place < self.end {
            return;
        }
        self.end = place + 1;
        let earliest = self.end.saturating_sub(CAPACITY);
        for slot in &mut self.slots {
            if slot.place.is_some_and(|place| place < earliest) {
                slot.place = None;
                self.packets -= 1;
                self.samples -= slot.payload.len();
            }
        }
        self.next = self.next.map(|next| next.max(earliest));
    }

    /// Puts what waits into another codec.
    pub(crate) fn recode(&mut self, recode: impl Fn(&mut Vec<u8>)) {
        self.slots.iter_mut().filter(|slot| slot.place.is_some()).for_each(|slot| recode(&mut slot.payload));
    }

    /// Takes what is at the next place.
    pub(crate) fn take(&mut self) -> Taken<'_> {
        if self.packets == 0 {
            return Taken::Empty;
        }
        let lowest = || self.slots.iter().filter_map(|slot| slot.place).min();
        let Some(next) = self.next.or_else(lowest) else { return Taken::Empty };
        self.next = Some(next + 1);
        let slot = &mut self.slots[slot(next)];
        if slot.place != Some(next) {
            return Taken::Lost;
        }
        slot.place = None;
        self.packets -= 1;
        self.samples -= slot.payload.len();
        Taken::Packet(&slot.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts the places, then takes until empty: the first byte of each packet, `None` for a lost one.
    fn check(places: &[u64], expected: &[Option<u8>]) {
        let mut buffer = JitterBuffer::default();
        for &place in places {
            buffer.insert(place, &place.to_be_bytes()[7..]);
        }
        assert_eq!(drain(&mut buffer), expected, "{places:?}");
        assert_eq!((buffer.samples(), buffer.is_empty()), (0, true));
    }

    fn drain(buffer: &mut JitterBuffer) -> Vec<Option<u8>> {
        let mut taken = Vec::new();
        loop {
            match buffer.take() {
                Taken::Packet(payload) => taken.push(Some(payload[0])),
                Taken::Lost => taken.push(None),
                Taken::Empty => return taken,
            }
        }
    }

    #[test]
    fn order_duplicates_and_losses() {
        check(&[], &[]);
        check(&[5, 6, 7], &[Some(5), Some(6), Some(7)]);
        check(&[7, 5, 6, 5], &[Some(5), Some(6), Some(7)]);
        check(&[5, 8], &[Some(5), None, None, Some(8)]);
        // 255 and 256 differ in more than the ring's index.
        check(&[256, 255], &[Some(255), Some(0)]);
    }

    #[test]
    fn what_was_taken_is_late() {
        let mut buffer = JitterBuffer::default();
        assert_eq!(buffer.insert(10, &[0; 160]), Inserted::Queued);
        assert_eq!(buffer.insert(10, &[0; 160]), Inserted::Duplicate);
        assert_eq!(buffer.samples(), 160);
        assert_eq!(buffer.take(), Taken::Packet(&[0; 160]));
        assert_eq!(buffer.insert(10, &[0; 160]), Inserted::Late);
        assert_eq!(buffer.insert(9, &[0; 160]), Inserted::Late);
        assert_eq!(buffer.take(), Taken::Empty);
        assert_eq!(
            buffer.insert(11, &[0; 160]),
            Inserted::Queued,
            "an empty buffer waits for the next place"
        );
    }

    #[test]
    fn the_oldest_make_room() {
        let mut buffer = JitterBuffer::default();
        for place in 0..200 {
            buffer.insert(place, &[0]);
        }
        assert_eq!(buffer.samples(), 64);
        assert_eq!(buffer.take(), Taken::Packet(&[0]));
        assert_eq!(buffer.insert(5000, &[9]), Inserted::Queued);
        let taken = drain(&mut buffer);
        assert_eq!((taken.len(), taken.last()), (64, Some(&Some(9))));
        buffer.restart();
        assert_eq!(buffer.insert(3, &[3]), Inserted::Queued, "a restart forgets the places");
        assert_eq!(drain(&mut buffer), [Some(3)]);
    }
}
