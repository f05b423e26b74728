//! Payload types: what each number means in one session. A meaning that was given once is never another (RFC 3264 §8.3.2),
//! and the offerer's numbers go before ours.

use super::LocalMedia;
use super::parse::{Encoding, Media};
use crate::codec::{Codec, SAMPLE_RATE};

/// What has payload types beside the codecs, one for each clock rate that these count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// RFC 4733.
    TelephoneEvent,
    /// RFC 3389.
    ComfortNoise,
}

impl Beside {
    /// In the order in which they get their numbers and are named.
    const ALL: [Self; 2] = [Self::TelephoneEvent, Self::ComfortNoise];

    /// Its encoding name (RFC 3389 §7, RFC 4733 §7.1.1).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ComfortNoise => "CN",
            Self::TelephoneEvent => "telephone-event",
        }
    }

    /// What an encoding name stands for, in any case.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|beside| beside.name().eq_ignore_ascii_case(name))
    }

    /// Whether it goes with a codec in our descriptions. Opus describes its pauses itself (RFC 7587 §3.1.3).
    pub(super) fn goes_with(self, codec: Codec, local: &LocalMedia) -> bool {
        match self {
            Self::ComfortNoise => local.comfort_noise && codec != Codec::Opus,
            Self::TelephoneEvent => local.telephone_events,
        }
    }

    /// Whether the peer describes it, by this clock rate: as the fixed payload type, or as a dynamic one.
    pub(super) fn is(self, encoding: &Encoding<'_>, clock_rate: u32) -> bool {
        let number = encoding.payload_type;
        let has_number = DYNAMIC.contains(&number) || self.range(clock_rate).contains(&number);
        has_number && encoding.clock_rate == clock_rate && encoding.name.eq_ignore_ascii_case(self.name())
    }

    /// The payload types that it may have of us. That of comfort noise is fixed for the clock of telephones, and for no other
    /// (RFC 3389 §4).
    fn range(self, clock_rate: u32) -> std::ops::Range<u8> {
        match self {
            Self::ComfortNoise if clock_rate == SAMPLE_RATE => COMFORT_NOISE..COMFORT_NOISE + 1,
            Self::ComfortNoise | Self::TelephoneEvent => BESIDE,
        }
    }
}

/// The payload type of comfort noise at 8 kHz (RFC 3551 table 4).
pub(crate) const COMFORT_NOISE: u8 = 13;
/// The payload type that telephone-events have where it is free, and those after it.
const BESIDE: std::ops::Range<u8> = 101..128;
/// The dynamic range (RFC 3551 §3).
const DYNAMIC: std::ops::Range<u8> = 96..128;

/// The meanings that hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    audio: Vec<(Codec, u8)>,
    /// What is beside the codecs, by its clock rate.
    beside: Vec<(Beside, u32, u8)>,
    /// Bit n is set if n has ever meant something, to us or to the peer.
    given: u128,
}

impl Numbers {
    /// The number of a codec.
    pub(super) fn codec(&self, codec: Codec) -> Option<u8> {
        self.audio.iter().find(|(known, _)| *known == codec).map(|(_, number)| *number)
    }

    /// The number of what is beside the codecs of a clock rate.
    pub(super) fn beside(&self, beside: Beside, clock_rate: u32) -> Option<u8> {
        let is_it = |known: &&(Beside, u32, u8)| (known.0, known.1) == (beside, clock_rate);
        self.beside.iter().find(is_it).map(|(.., number)| *number)
    }

    /// What is beside these codecs in our offers, with its clock rates and numbers.
    pub(super) fn all_beside(&self, codecs: &[Codec], local: &LocalMedia) -> Vec<(Beside, u32, u8)> {
        let with_number = |(beside, rate)| Some((beside, rate, self.beside(beside, rate)?));
        wanted(codecs, local).filter_map(with_number).collect()
    }

    /// Takes the meanings that an offer of the peer's gives, of all that it has: what is not used today may be used
    /// tomorrow. Of several numbers that mean the same the first counts.
    pub(super) fn learn(&mut self, offer: &Media<'_>) {
        let encodings: Vec<Encoding<'_>> = offer.encodings().collect();
        for encoding in encodings.iter().rev() {
            let Encoding { payload_type, name, clock_rate, channels, .. } = *encoding;
            self.forget(payload_type);
            if let Some(codec) = Codec::from_rtpmap(name, clock_rate, channels) {
                self.learn_codec(codec, payload_type);
            } else if let Some(beside) = Beside::of(name) {
                self.beside.retain(|known| (known.0, known.1) != (beside, clock_rate));
                self.beside.push((beside, clock_rate, payload_type));
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
        for (beside, rate) in wanted(&local.codecs, local) {
            if self.beside(beside, rate).is_none()
                && let Some(number) = self.take(beside.range(rate))
            {
                self.beside.push((beside, rate, number));
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
        self.beside.retain(|(.., known)| *known != number);
    }
}

/// What our descriptions name beside these codecs: each for each clock rate, that of telephones first, since it gets the
/// usual number.
fn wanted(codecs: &[Codec], local: &LocalMedia) -> impl Iterator<Item = (Beside, u32)> {
    Beside::ALL.into_iter().flat_map(move |beside| {
        let with = codecs.iter().filter(move |codec| beside.goes_with(**codec, local));
        let mut rates: Vec<u32> = with.map(|codec| codec.clock_rate()).collect();
        rates.sort_unstable();
        rates.dedup();
        rates.into_iter().map(move |rate| (beside, rate))
    })
}
