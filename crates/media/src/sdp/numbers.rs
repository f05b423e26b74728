//! Payload types: what each number means in one session. A meaning that was given once stays (RFC 3264 §8.3.2), and the
//! offerer's numbers go before ours.

use super::LocalMedia;
use crate::codec::Codec;

/// The payload type that telephone-events have where it is free; the usual one of the dynamic range.
const TELEPHONE_EVENT: u8 = 101;
/// The dynamic range (RFC 3551 §3).
const DYNAMIC: std::ops::Range<u8> = 96..128;

/// The meanings that have been given.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    audio: Vec<(Codec, u8)>,
    /// Telephone-events by their clock rate.
    events: Vec<(u32, u8)>,
}

impl Numbers {
    /// The number of a codec.
    pub(super) fn codec(&self, codec: Codec) -> Option<u8> {
        self.audio.iter().find(|(known, _)| *known == codec).map(|(_, number)| *number)
    }

    /// The number of telephone-events at a clock rate.
    pub(super) fn event(&self, clock_rate: u32) -> Option<u8> {
        self.events.iter().find(|(known, _)| *known == clock_rate).map(|(_, number)| *number)
    }

    /// Telephone-events: their clock rates and numbers.
    pub(super) fn events(&self) -> impl Iterator<Item = (u32, u8)> {
        self.events.iter().copied()
    }

    /// The peer offers a codec under this number.
    pub(super) fn learn_codec(&mut self, codec: Codec, number: u8) {
        self.forget(number);
        self.audio.retain(|(known, _)| *known != codec);
        self.audio.push((codec, number));
    }

    /// The peer offers telephone-events under this number.
    pub(super) fn learn_event(&mut self, clock_rate: u32, number: u8) {
        self.forget(number);
        self.events.retain(|(known, _)| *known != clock_rate);
        self.events.push((clock_rate, number));
    }

    /// Gives a number to everything that we offer, as far as there is one.
    pub(super) fn give(&mut self, local: &LocalMedia) {
        if local.telephone_events {
            // The clock of telephones first: it gets the usual number.
            let mut rates: Vec<u32> = local.codecs.iter().map(|codec| codec.clock_rate()).collect();
            rates.sort_unstable();
            rates.dedup();
            for rate in rates {
                if self.event(rate).is_none()
                    && let Some(number) = self.first_free(TELEPHONE_EVENT..DYNAMIC.end)
                {
                    self.events.push((rate, number));
                }
            }
        }
        for &codec in &local.codecs {
            if self.codec(codec).is_none() {
                self.audio.extend(self.free_number(codec).map(|number| (codec, number)));
            }
        }
    }

    /// The number that is a codec's own, or the first free one of the dynamic range; a codec whose own number means
    /// something else here has none.
    fn free_number(&self, codec: Codec) -> Option<u8> {
        self.first_free(match codec.static_payload_type() {
            Some(number) => number..number + 1,
            None => DYNAMIC,
        })
    }

    fn first_free(&self, mut range: std::ops::Range<u8>) -> Option<u8> {
        range.find(|number| {
            self.audio.iter().all(|(_, taken)| taken != number)
                && self.events.iter().all(|(_, taken)| taken != number)
        })
    }

    fn forget(&mut self, number: u8) {
        self.audio.retain(|(_, known)| *known != number);
        self.events.retain(|(_, known)| *known != number);
    }
}
