//! Payload types: what each number means in one session. A meaning that was given once is never another (RFC 3264 §8.3.2),
//! and the offerer's numbers go before ours.

use super::LocalMedia;
use super::parse::{Encoding, Media};
use crate::codec::Codec;

/// The name of telephone-events (RFC 4733 §7.1.1), in any case.
const TELEPHONE_EVENT: &str = "telephone-event";
/// The payload type that telephone-events have where it is free, and those after it.
const EVENTS: std::ops::Range<u8> = 101..128;
/// The dynamic range (RFC 3551 §3).
const DYNAMIC: std::ops::Range<u8> = 96..128;

/// The meanings that hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    audio: Vec<(Codec, u8)>,
    /// Telephone-events by their clock rate.
    events: Vec<(u32, u8)>,
    /// Bit n is set if n has ever meant something, to us or to the peer.
    given: u128,
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

    /// Takes the meanings that an offer of the peer's gives, of all that it has: what is not used today may be used
    /// tomorrow. Of several numbers that mean the same the first counts.
    pub(super) fn learn(&mut self, offer: &Media<'_>) {
        let encodings: Vec<Encoding<'_>> = offer.encodings().collect();
        for encoding in encodings.iter().rev() {
            let Encoding { payload_type, name, clock_rate, channels } = *encoding;
            self.forget(payload_type);
            if let Some(codec) = Codec::from_rtpmap(name, clock_rate, channels) {
                self.learn_codec(codec, payload_type);
            } else if name.eq_ignore_ascii_case(TELEPHONE_EVENT) {
                self.events.retain(|(known, _)| *known != clock_rate);
                self.events.push((clock_rate, payload_type));
            }
        }
    }

    /// A codec has this number from now on.
    pub(super) fn learn_codec(&mut self, codec: Codec, number: u8) {
        self.forget(number);
        self.audio.retain(|(known, _)| *known != codec);
        self.audio.push((codec, number));
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
                    && let Some(number) = self.take(EVENTS)
                {
                    self.events.push((rate, number));
                }
            }
        }
        for &codec in &local.codecs {
            // A codec whose own number means something else here has none.
            let range = codec.static_payload_type().map_or(DYNAMIC, |number| number..number + 1);
            if self.codec(codec).is_none()
                && let Some(number) = self.take(range)
            {
                self.audio.push((codec, number));
            }
        }
    }

    /// The first number that has never meant anything.
    fn take(&mut self, mut range: std::ops::Range<u8>) -> Option<u8> {
        let number = range.find(|&number| self.given >> number & 1 == 0)?;
        self.given |= 1 << number;
        Some(number)
    }

    /// A number means something else from now on, whatever it did before.
    fn forget(&mut self, number: u8) {
        self.given |= 1 << number;
        self.audio.retain(|(_, known)| *known != number);
        self.events.retain(|(_, known)| *known != number);
    }
}
