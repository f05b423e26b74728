//! Sources and their indices: which of 2^48 packets a sequence number of 16 bits means (RFC 3711 §3.3.1), and whether it has
//! been there before (§3.3.2).
//!
//! ```text
//!   index = roll-over counter (32 bits) || sequence number (16 bits)
//!   window:   highest - 127 … highest    one bit each; what is older cannot be told from a replay
//! ```

/// Indices below the highest that are told apart. At least 64 (RFC 3711 §3.3.2), and above the 100 places that a packet may
/// come late (RFC 3550 A.1).
const WINDOW: u64 = 128;
/// Sources that are remembered under one key; an authentic packet is needed to become one. A peer has one at a time and
/// another after each hold or transfer behind it. Beyond these the one that has been silent for longest is forgotten.
const MAX_SOURCES: usize = 32;

/// The sources under one key, the one heard last in front.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

/// One source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) rtp: Window,
    pub(super) rtcp: Window,
}

impl Streams {
    /// What is known of a source: nothing, where it is new.
    pub(super) fn get(&self, ssrc: u32) -> Stream {
        let known = self.0.iter().find(|stream| stream.ssrc == ssrc).copied();
        known.unwrap_or(Stream { ssrc, rtp: Window::default(), rtcp: Window::default() })
    }

    /// Remembers a source as it is now.
    pub(super) fn put(&mut self, stream: Stream) {
        match self.0.iter().position(|known| known.ssrc == stream.ssrc) {
            Some(place) => self.0[..=place].rotate_right(1),
            None => {
                self.0.truncate(MAX_SOURCES - 1);
                self.0.insert(0, stream);
            }
        }
        self.0[0] = stream;
    }

    /// What is known of the sources under one key, and of those under the keys before it that have sent no RTP since.
    pub(super) fn since(&self, mut before: Self) -> Self {
        let heard = self.0.iter().rev().filter(|stream| stream.rtp.is_heard());
        heard.for_each(|&stream| before.put(stream));
        before
    }
}

/// The indices of one source in one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    highest: Option<u64>,
    /// Bit n is `highest - n`.
    seen: u128,
}

impl Window {
    /// The index that a sequence number most likely means: the nearest to the highest (RFC 3711 appendix A). None before
    /// the first roll-over counter there is. The first packet of a source has a counter of zero.
    pub(super) fn estimate(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else { return Some(sequence.into()) };
        let (counter, last) = (highest >> 16, highest & 0xffff);
        let sequence = u64::from(sequence);
        let counter = if sequence > last + 0x8000 {
            counter.checked_sub(1)?
        } else if sequence + 0x8000 < last {
            counter + 1
        } else {
            counter
        };
        Some(counter << 16 | sequence)
    }

    /// Whether any index has been entered.
    pub(super) fn is_heard(&self) -> bool {
        self.highest.is_some()
    }

    /// Whether an index has certainly not been entered.
    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let behind = highest - index;
                behind < WINDOW && self.seen >> behind & 1 == 0
            }
            _ => true,
        }
    }

    /// Enters an index that is new.
    pub(super) fn enter(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index >= highest {
            let ahead = index - highest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = Some(index);
        } else if highest - index < WINDOW {
            self.seen |= 1 << (highest - index);
        }
    }

    /// One above the highest.
    pub(super) fn next(&self) -> u64 {
        self.highest.map_or(0, |highest| highest + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(indices: impl IntoIterator<Item = u64>) -> Window {
        let mut window = Window::default();
        indices.into_iter().for_each(|index| window.enter(index));
        window
    }

    #[test]
    fn the_nearest_index_is_meant() {
        for (highest, sequence, expected) in [
            (0, 1, Some(1)),
            (0xffff, 0, Some(0x1_0000)),
            (0x1_0000, 0xffff, Some(0xffff)),
            (0x1_8000, 0x0000, Some(0x1_0000)),
            (0x1_8001, 0x0000, Some(0x2_0000)),
            (0x1_7fff, 0xffff, Some(0x1_ffff)),
            (0x1_7ffe, 0xffff, Some(0xffff)),
            (0, 0x8000, Some(0x8000)),
            (0, 0x8001, None),
            (0xffff_ffff_ffff, 0, Some(1 << 48)),
        ] {
            assert_eq!(after([highest]).estimate(sequence), expected, "{sequence:#x} after {highest:#x}");
        }
        assert_eq!(Window::default().estimate(0xfff0), Some(0xfff0), "the first of a source");
    }

    /// `update_seq` over several cycles, with loss, as RFC 3711 appendix A counts them.
    #[test]
    fn the_counter_rolls_over() {
        let mut window = Window::default();
        for index in (40_000..400_000).step_by(977) {
            let sequence = u16::try_from(index & 0xffff).expect("16 bits");
            assert_eq!(window.estimate(sequence), Some(index));
            window.enter(index);
        }
    }

    #[test]
    fn r3_an_index_is_new_once() {
        let window = after([1000, 1002, 1001]);
        for (index, expected) in [
            (1000, false),
            (1001, false),
            (1002, false),
            (1003, true),
            (999, true),
            (875, true),
            (874, false),
        ] {
            assert_eq!(window.is_new(index), expected, "{index}");
        }
        let far = after([1000, 2000]);
        assert!(!far.is_new(1000) && !far.is_new(2000) && far.is_new(1999) && far.is_new(1873));
        assert!(!far.is_new(1872), "older than the window");
        assert!(after([5, 133]).is_new(6));
        assert!(!after([5, 132]).is_new(5));
    }

    #[test]
    fn r3_no_more_sources_are_remembered_than_the_limit() {
        let mut streams = Streams::default();
        for ssrc in 0..1000 {
            streams.put(Stream { rtp: after([7]), ..streams.get(ssrc) });
            // The first is heard again and again.
            streams.put(streams.get(0));
        }
        assert_eq!(streams.0.len(), MAX_SOURCES);
        assert_eq!(streams.get(0).rtp, after([7]));
        assert_eq!(streams.get(999).rtp, after([7]));
        assert_eq!(streams.get(1).rtp, Window::default());
    }
}
