//! Codecs by their names in SDP, what each needs on the wire, and the samples in and out of them.
//!
//! ```text
//!   Codec      facts: names, rates, how long a payload lasts, what silence looks like      a Copy value
//!   Encoder    samples at the codec's rate ─▶ payload      one for each stream, since most codecs remember
//!   Decoder    payload ─▶ samples at the codec's rate      likewise
//! ```
//! Linear audio is 16-bit samples of one channel at [`Codec::sample_rate`]; RTP counts by [`Codec::clock_rate`], which
//! may differ (RFC 3551 §4.5.2). Everything appends, so that one buffer serves a whole packet. [`Codec::transcode`] goes
//! from law to law without linear samples between.

pub mod adpcm;
mod coder;
pub mod comfort_noise;
pub mod conceal;
pub mod g722;
pub mod gsm;
pub mod mp3;
pub mod opus;
mod pcma;
mod pcmu;
pub mod resample;
mod stream;
#[cfg(test)]
mod tests;

pub use coder::{Decoder, Encoder};

/// Samples per second of narrow-band audio, of both laws of G.711, and of all detectors.
pub const SAMPLE_RATE: u32 = 8000;

/// Frames per second, by which the engine hears and speaks.
const FRAMES: u32 = 50;

/// The longest payload that is taken, as a part of a second: 60 ms, the longest packet time (reliability.md P5).
const LONGEST_PAYLOAD: (u32, u32) = (60, 1000);

/// A codec that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law, static payload type 0.
    Pcmu,
    /// G.711 a-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9: samples at 16 kHz, by a clock of 8 kHz (RFC 3551 §4.5.2).
    G722,
    /// GSM 06.10 full rate, static payload type 3: frames of 20 ms.
    Gsm,
    /// Opus (RFC 7587), one channel: packets of any length, of 20 ms as we send them. Where the library is built in, the
    /// feature `opus`.
    Opus,
    /// Linear samples at 8 kHz, the high byte first (RFC 3551 §4.5.11).
    L16Narrow,
    /// Linear samples at 16 kHz.
    L16Wide,
}

/// The smallest piece that a payload can be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its bytes.
    pub bytes: usize,
    /// The samples that it lasts.
    pub samples: usize,
}

/// A moment's measure that all sample rates divide: 1/48,000 s.
pub(crate) const TICKS: u32 = 48_000;

/// Ticks in a frame of 20 ms.
pub(crate) const FRAME_TICKS: usize = (TICKS / FRAMES) as usize;

impl Codec {
    /// All of them. Of two with the same name, the one that the name alone means comes first.
    #[cfg(feature = "opus")]
    pub const ALL: [Self; 7] =
        [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::Gsm, Self::L16Wide, Self::L16Narrow];
    /// All of them but Opus, whose library is not built in.
    #[cfg(not(feature = "opus"))]
    pub const ALL: [Self; 6] =
        [Self::Pcmu, Self::Pcma, Self::G722, Self::Gsm, Self::L16Wide, Self::L16Narrow];

    /// The encoding name of its `a=rtpmap` (RFC 3551), which the API uses too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Gsm => "GSM",
            Self::Opus => "opus",
            Self::L16Narrow | Self::L16Wide => "L16",
        }
    }

    /// The codec of an encoding name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The codec of an `a=rtpmap`: name, clock rate in Hz and channels (RFC 8866 §6.6).
    pub fn from_rtpmap(name: &str, clock_rate: u32, channels: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| {
            codec.name().eq_ignore_ascii_case(name)
                && (codec.clock_rate(), codec.channels()) == (clock_rate, channels)
        })
    }

    /// The channels that its `a=rtpmap` names. Audio is one channel, whatever that says.
    pub fn channels(self) -> u8 {
        if self == Self::Opus { 2 } else { 1 }
    }

    /// The rate in Hz of the samples that go in and come out.
    pub fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::Gsm | Self::L16Narrow => SAMPLE_RATE,
            Self::G722 | Self::L16Wide => 16_000,
            Self::Opus => opus::SAMPLE_RATE,
        }
    }

    /// The rate in Hz that RTP timestamps count by.
    pub fn clock_rate(self) -> u32 {
        // A mistake of RFC 1890 that has to stay.
        if self == Self::G722 { SAMPLE_RATE } else { self.sample_rate() }
    }

    /// The payload type that needs no `a=rtpmap` (RFC 3551 table 4); none for those that have a dynamic one.
    pub fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Gsm => Some(3),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus | Self::L16Narrow | Self::L16Wide => None,
        }
    }

    /// The smallest piece that its payload can be cut into; none where every packet is whole.
    pub fn unit(self) -> Option<Unit> {
        let (bytes, samples) = match self {
            Self::Pcmu | Self::Pcma => (1, 1),
            Self::G722 => (1, 2),
            Self::Gsm => (gsm::FRAME_OCTETS, gsm::FRAME_SAMPLES),
            Self::L16Narrow | Self::L16Wide => (2, 1),
            Self::Opus => return None,
        };
        Some(Unit { bytes, samples })
    }

    /// Samples that are encoded at once: of a unit, or of the packets that we send.
    pub(crate) fn unit_samples(self) -> usize {
        self.unit().map_or(self.frame_samples(), |unit| unit.samples)
    }

    /// Some silence to be repeated: whole units, or a packet of 20 ms.
    pub fn silence(self) -> &'static [u8] {
        match self {
            Self::Pcmu => &[pcmu::SILENCE],
            Self::Pcma => &[pcma::SILENCE],
            Self::G722 => &G722_SILENCE,
            Self::Gsm => &GSM_SILENCE,
            Self::Opus => &OPUS_SILENCE,
            Self::L16Narrow | Self::L16Wide => &[0, 0],
        }
    }

    /// Samples in a frame of 20 ms.
    pub fn frame_samples(self) -> usize {
        (self.sample_rate() / FRAMES) as usize
    }

    /// How many samples a payload lasts, or nothing if it is no whole number of units, none at all, or longer than 60 ms;
    /// of Opus, longer than the 120 ms that a packet can be.
    pub fn samples_in(self, payload: &[u8]) -> Option<usize> {
        let Some(unit) = self.unit() else { return opus::samples_in(payload) };
        let samples = payload.len() / unit.bytes * unit.samples;
        let (part, whole) = LONGEST_PAYLOAD;
        let longest = (self.sample_rate() / whole * part) as usize;
        (payload.len().is_multiple_of(unit.bytes) && (1..=longest).contains(&samples)).then_some(samples)
    }

    /// Ticks of 1/48,000 s in a sample.
    pub(crate) fn sample_ticks(self) -> usize {
        (TICKS / self.sample_rate()) as usize
    }

    /// So many samples as RTP timestamps count them.
    pub fn samples_to_clock(self, samples: usize) -> u32 {
        let clock = samples as u64 * u64::from(self.clock_rate()) / u64::from(self.sample_rate());
        u32::try_from(clock).unwrap_or(u32::MAX)
    }

    /// Whether it is one of the two laws of G.711: a code for each sample, by itself.
    pub(crate) fn is_law(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// Whether its payload is made of that of another, or of its own, without samples between.
    pub fn transcodes(self, from: Codec) -> bool {
        self == from || (self.is_law() && from.is_law())
    }

    /// Appends to `out`, in this codec, the payload `bytes` that are in the codec `from`; nothing where that cannot be
    /// done ([`Codec::transcodes`]).
    ///
    /// Of the two laws, each code becomes the one that its decoded value encodes to.
    pub fn transcode(self, from: Codec, bytes: &[u8], out: &mut Vec<u8>) {
        let table = match (from, self) {
            (Self::Pcmu, Self::Pcma) => &MU_TO_A,
            (Self::Pcma, Self::Pcmu) => &A_TO_MU,
            _ if from == self => return out.extend_from_slice(bytes),
            _ => return,
        };
        out.extend(bytes.iter().map(|&code| table[usize::from(code)]));
    }
}

/// A packet of 20 ms without anything in it: CELT in full band, one channel.
const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// The smallest steps up and down in both bands, in turn: from whatever was before, the step sizes and both predictors
/// fall to nothing. One octet alone would leave the low band's predictor at a constant.
const G722_SILENCE: [u8; 4] = [0x7d, 0x7d, 0xff, 0xff];

/// What an encoder at rest makes of a frame of silence.
const GSM_SILENCE: [u8; gsm::FRAME_OCTETS] = [
    0xd8, 0x20, 0xa2, 0xe1, 0x5a, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92,
    0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24, 0x50, 0x00, 0x49, 0x24, 0x92, 0x49, 0x24,
];

const MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = pcma::encode(pcmu::DECODED[code]);
        code += 1;
    }
    table
};

const A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = pcmu::encode(pcma::DECODED[code]);
        code += 1;
    }
    table
};
