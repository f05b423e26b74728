//! Packets that have come to a leg whose frames are run several at a time (`bridge.rs`): side by side in the order in which
//! they came, each with the moment. Each is heard from the frame on that was due after it, so that it does not matter when the
//! frames are run. What is touched when a packet comes is its own few lines of memory, and not the whole of a jitter buffer.

use std::time::Instant;

use crate::codec::Codec;

/// Packets that wait at most: as many as a jitter buffer has. Of a flood the first are heard sooner.
const MOST: usize = 64;

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Came {
    /// Audio, or nothing that keeps its place, and the jitter of its stream in seconds.
    Audio { place: u64, codec: Codec, jitter: f64 },
    /// A description of the silence that follows.
    Noise { place: u64 },
    /// Something that we do not know, which only has its place.
    Unknown { place: u64 },
    /// The first of another stream is the next.
    Restart,
}

#[derive(Debug)]
struct Packet {
    at: Instant,
    came: Came,
    /// Where its payload ends; it begins where that of the one before it does.
    end: usize,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    packets: Vec<Packet>,
    payloads: Vec<u8>,
    /// How many of them are gone.
    taken: usize,
}

impl Waiting {
    /// Something came at this moment.
    pub(super) fn push(&mut self, at: Instant, came: Came, payload: &[u8]) {
        self.payloads.extend_from_slice(payload);
        self.packets.push(Packet { at, came, end: self.payloads.len() });
    }

    /// Reads where the next one comes to lie, for [`super::Leg::fetch`].
    pub(super) fn fetch(&self) -> bool {
        self.packets.last().is_some_and(|last| last.end == 0) ^ (self.payloads.last() == Some(&0))
    }

    /// Whether no more can wait.
    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= MOST
    }

    /// Takes the first, if it had come by this moment, where one is given.
    pub(super) fn take(&mut self, until: Option<Instant>) -> Option<(Came, &[u8])> {
        let has_come = |packet: &&Packet| until.is_none_or(|until| packet.at <= until);
        let Some(Packet { came, end, .. }) = self.packets.get(self.taken).filter(has_come) else {
            if self.taken == self.packets.len() {
                self.packets.clear();
                self.payloads.clear();
                self.taken = 0;
            }
            return None;
        };
        let begin = self.taken.checked_sub(1).map_or(0, |before| self.packets[before].end);
        self.taken += 1;
        Some((*came, &self.payloads[begin..*end]))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_is_taken_once_in_order_when_its_time_has_come() {
        #[allow(clippy::disallowed_methods, reason = "any instant serves as the epoch of a virtual clock")]
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let by = |ms| Some(at(ms));
        let mut waiting = Waiting::default();
        let audio = |place| Came::Audio { place, codec: Codec::Pcmu, jitter: 0.0 };
        for round in 0..3 {
            waiting.push(at(0), audio(round), &[1, 2]);
            waiting.push(at(20), Came::Restart, &[]);
            waiting.push(at(20), Came::Noise { place: 9 }, &[3]);
            assert_eq!(waiting.take(by(19)), Some((audio(round), &[1, 2][..])));
            assert_eq!(waiting.take(by(19)), None);
            waiting.push(at(40), audio(7), &[4; 160]);
            assert_eq!(waiting.take(by(20)), Some((Came::Restart, &[][..])));
            assert_eq!(waiting.take(by(20)), Some((Came::Noise { place: 9 }, &[3][..])));
            assert_eq!(waiting.take(by(39)), None);
            assert_eq!(waiting.take(None), Some((audio(7), &[4; 160][..])));
            assert_eq!(waiting.take(None), None);
            assert!(waiting.payloads.is_empty(), "its memory is used again");
        }
    }
}
