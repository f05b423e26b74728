//! The jitter buffer: packets put back into the order of their sequence numbers, each at most once (RFC 3550 §6.4.4
//! speaks of it only by its effect). It knows places, not time; `playout.rs` decides when the next one is due.
//!
//! ```text
//!    inserted out of order      ┌───┬───┬───┬───┬───┐
//!    and twice           ─────▶ │ 7 │ 8 │   │ 10│   │ ─────▶ taken: 7, 8, lost, 10, nothing there
//!                               └───┴───┴───┴───┴───┘
//! ```

use crate::codec::Codec;

/// Packets that are kept: the longest target of 200 ms three times over at 10 ms a packet. More would only be delay.
const CAPACITY: u64 = 64;

/// The place in the ring of an extended sequence number.
fn slot(place: u64) -> usize {
    usize::try_from(place % CAPACITY).unwrap_or_default()
}

/// Packets in order.
#[derive(Debug, Default)]
pub(crate) struct JitterBuffer {
    /// Empty until the first packet; then [`CAPACITY`] slots.
    slots: Vec<Slot>,
    /// Memory of payloads that were taken, the last one's last: it is used again first, as the caches still have it.
    spare: Vec<Vec<u8>>,
    /// The payload that was taken last.
    taken: Vec<u8>,
    /// The place to take next; none before the first was taken.
    next: Option<u64>,
    /// The place after the highest that was inserted.
    end: u64,
    packets: usize,
    ticks: usize,
}

/// A line of the caches, since each is touched twice in as many packets as there are.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Slot {
    place: Option<u64>,
    /// The place that was taken from here last.
    taken: Option<u64>,
    /// None for what is no audio.
    codec: Option<Codec>,
    payload: Vec<u8>,
    ticks: u32,
}

const _: () = assert!(size_of::<Slot>() == 64);

/// What became of a packet that was to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Queued,
    /// It was given up so many places ago.
    Late {
        places: u64,
    },
    Duplicate,
}

/// What is at the next place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<'a> {
    /// A payload and its codec; without one, a description of silence, or nothing if empty.
    Packet(Option<Codec>, &'a [u8]),
    /// Nothing, but something is behind it.
    Lost,
    /// Nothing, and nothing is behind it. The place stays the next.
    Empty,
}

impl JitterBuffer {
    /// Forgets everything: another stream begins.
    pub(crate) fn restart(&mut self) {
        for slot in &mut self.slots {
            (slot.place, slot.taken) = (None, None);
        }
        (self.next, self.packets, self.ticks) = (None, 0, 0);
    }

    /// Reads the places that are inserted and taken next, to bring them into the caches.
    pub(crate) fn fetch(&self) -> bool {
        let at =
            |place| self.slots.get(slot(place)).is_some_and(|slot: &Slot| slot.payload.first() == Some(&0));
        at(self.end) ^ at(self.next.unwrap_or_default())
    }

    /// How long the packets that wait last, in ticks.
    pub(crate) fn ticks(&self) -> usize {
        self.ticks
    }

    /// The places before the newest packet at which nothing is: what has not come yet, and what never will.
    pub(crate) fn missing(&self) -> usize {
        let places = self.next.map_or(0, |next| self.end.saturating_sub(next));
        usize::try_from(places).unwrap_or(usize::MAX).saturating_sub(self.packets)
    }

    /// Goes on with the first that has come: what lacks before it was waited for long enough.
    pub(crate) fn skip_missing(&mut self) {
        if let (Some(next), Some(lowest)) =
            (&mut self.next, self.slots.iter().filter_map(|slot| slot.place).min())
        {
            *next = lowest.max(*next);
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Puts a packet that lasts so many ticks at its place. If it lies beyond the capacity, the oldest make room.
    pub(crate) fn insert(
        &mut self,
        place: u64,
        codec: Option<Codec>,
        payload: &[u8],
        ticks: u32,
    ) -> Inserted {
        let earliest = match self.next {
            Some(next) => next,
            None if self.packets == 0 => {
                self.end = place;
                place
            }
            None => self.end.saturating_sub(CAPACITY),
        };
        if place < earliest {
            let was_taken = self.slots.get(slot(place)).is_some_and(|slot| slot.taken == Some(place));
            return if was_taken { Inserted::Duplicate } else { Inserted::Late { places: earliest - place } };
        }
        if self.slots.is_empty() {
            let empty = Slot { place: None, taken: None, codec, payload: Vec::new(), ticks: 0 };
            self.slots.resize(slot(CAPACITY - 1) + 1, empty);
        }
        if self.slots[slot(place)].place == Some(place) {
            return Inserted::Duplicate;
        }
        self.make_room(place);
        let slot = &mut self.slots[slot(place)];
        (slot.place, slot.codec, slot.ticks) = (Some(place), codec, ticks);
        if slot.payload.capacity() == 0 {
            slot.payload = self.spare.pop().unwrap_or_default();
        }
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        self.packets += 1;
        self.ticks += ticks as usize;
        Inserted::Queued
    }

    fn make_room(&mut self, place: u64) {
        if place < self.end {
            return;
        }
        let kept = self.end.saturating_sub(CAPACITY)..self.end;
        self.end = place + 1;
        let earliest = self.end.saturating_sub(CAPACITY);
        // In order, that is one place; of a jump, all of them.
        for given_up in kept.start..kept.end.min(earliest) {
            let slot = &mut self.slots[slot(given_up)];
            if slot.place.take_if(|place| *place == given_up).is_some() {
                self.packets -= 1;
                self.ticks -= slot.ticks as usize;
            }
        }
        self.next = self.next.map(|next| next.max(earliest));
    }

    /// What is at the next place, if it is a packet.
    pub(crate) fn peek(&self) -> Option<(Option<Codec>, &[u8])> {
        let next = self.next?;
        let slot = self.slots.get(slot(next)).filter(|slot| slot.place == Some(next))?;
        Some((slot.codec, &slot.payload))
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
        (slot.place, slot.taken) = (None, Some(next));
        self.packets -= 1;
        self.ticks -= slot.ticks as usize;
        self.spare.push(std::mem::replace(&mut self.taken, std::mem::take(&mut slot.payload)));
        Taken::Packet(slot.codec, &self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(buffer: &mut JitterBuffer, place: u64, payload: &[u8]) -> Inserted {
        buffer.insert(place, Some(Codec::Pcmu), payload, u32::try_from(payload.len()).expect("a packet"))
    }

    /// Inserts the places, then takes until empty: the first byte of each packet, `None` for a lost one.
    fn check(places: &[u64], expected: &[Option<u8>]) {
        let mut buffer = JitterBuffer::default();
        for &place in places {
            insert(&mut buffer, place, &place.to_be_bytes()[7..]);
        }
        assert_eq!(drain(&mut buffer), expected, "{places:?}");
        assert_eq!((buffer.ticks(), buffer.is_empty()), (0, true));
    }

    fn drain(buffer: &mut JitterBuffer) -> Vec<Option<u8>> {
        let mut taken = Vec::new();
        loop {
            match buffer.take() {
                Taken::Packet(_, payload) => taken.push(Some(payload[0])),
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
        assert_eq!(insert(&mut buffer, 10, &[0; 160]), Inserted::Queued);
        assert_eq!(insert(&mut buffer, 10, &[0; 160]), Inserted::Duplicate);
        assert_eq!(buffer.ticks(), 160);
        assert_eq!(buffer.take(), Taken::Packet(Some(Codec::Pcmu), &[0; 160]));
        assert_eq!(insert(&mut buffer, 10, &[0; 160]), Inserted::Duplicate, "it was heard");
        assert_eq!(insert(&mut buffer, 9, &[0; 160]), Inserted::Late { places: 2 });
        assert_eq!(buffer.take(), Taken::Empty);
        assert_eq!(
            insert(&mut buffer, 11, &[0; 160]),
            Inserted::Queued,
            "an empty buffer waits for the next place"
        );
    }

    #[test]
    fn the_oldest_make_room() {
        let mut buffer = JitterBuffer::default();
        for place in 0..200 {
            insert(&mut buffer, place, &[0]);
        }
        assert_eq!(buffer.ticks(), 64);
        assert_eq!(buffer.take(), Taken::Packet(Some(Codec::Pcmu), &[0]));
        assert_eq!(insert(&mut buffer, 5000, &[9]), Inserted::Queued);
        let taken = drain(&mut buffer);
        assert_eq!((taken.len(), taken.last()), (64, Some(&Some(9))));
        buffer.restart();
        assert_eq!(insert(&mut buffer, 3, &[3]), Inserted::Queued, "a restart forgets the places");
        assert_eq!(drain(&mut buffer), [Some(3)]);
    }
}
