//! Opus (RFC 6716) as RTP carries it (RFC 7587): always 48 kHz to us, whatever band the sender found worth its bits.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! ┌─────────┬─┬───┐     config: mode, band and length of a frame
//! │ config  │s│ c │     s: two channels    c: one frame, two alike, two, or as many as the next octet says
//! └─────────┴─┴───┘
//! ```
//!
//! How long a packet lasts is written in its first two octets (§3.1, §3.2) and read here. The coding itself is that of
//! libopus, behind the feature `opus`, in one file that nothing else knows the inside of.

#[cfg(feature = "opus")]
mod coder;
#[cfg(test)]
mod tests;

#[cfg(feature = "opus")]
pub use coder::{Decoder, Encoder, Error};

/// Samples per second, of what is encoded and decoded and of the RTP clock (RFC 7587 §4.1).
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples of the longest packet, 120 ms.
pub const MAX_SAMPLES: usize = 5760;

/// Octets of the longest packet that we send: one frame at its longest (§3.2.1), which a datagram holds.
pub const MAX_OCTETS: usize = 1275;

/// Rates in Hz that a peer may play (RFC 7587 §6.1).
pub const RATES: std::ops::RangeInclusive<u32> = 8000..=SAMPLE_RATE;

/// Bits per second that Opus has (RFC 7587 §6.1).
pub const BIT_RATES: std::ops::RangeInclusive<u32> = 6000..=510_000;

/// Octets of the longest packet that need not be sent: nothing has changed since the last (RFC 7587 §3.1.3).
pub const DTX_OCTETS: usize = 2;

/// How an encoder encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bits per second, 6,000 to 510,000.
    pub bitrate: u32,
    /// The highest rate in Hz that anybody will play: what is above half of it is left out.
    pub playback_rate: u32,
    /// How many packets of a hundred are expected to be lost. From 1 on each packet carries a sketch of the one before
    /// where that is worth its bits (in-band FEC).
    pub expected_loss: u8,
    /// Sends next to nothing while nobody speaks: a packet of at most two octets, which need not be sent at all
    /// (RFC 7587 §3.1.3).
    pub dtx: bool,
    /// Makes all packets of a length equally large.
    pub cbr: bool,
}

impl Default for Settings {
    /// 32 kbit/s, full-band speech by RFC 7587 §3.1.1; 5 % loss; no DTX.
    fn default() -> Self {
        Self { bitrate: 32_000, playback_rate: SAMPLE_RATE, expected_loss: 5, dtx: false, cbr: false }
    }
}

/// What a peer asks of the Opus that it hears (RFC 7587 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// The highest rate in Hz that it plays: `maxplaybackrate`.
    pub playback_rate: u32,
    /// The most bits per second that it takes on average: `maxaveragebitrate`.
    pub max_bitrate: Option<u32>,
    /// Whether it makes use of in-band FEC: `useinbandfec`.
    pub fec: bool,
    /// Whether it would rather not be sent silence: `usedtx`.
    pub dtx: bool,
    /// Whether it wants all packets equally large: `cbr`.
    pub cbr: bool,
}

impl Default for Wishes {
    /// Where nothing is said.
    fn default() -> Self {
        Self { playback_rate: SAMPLE_RATE, max_bitrate: None, fec: false, dtx: false, cbr: false }
    }
}

impl Wishes {
    /// What they come to where the peer reports such a loss, in packets of a hundred.
    pub fn settings(self, loss: u8) -> Settings {
        // The upper ends of what RFC 7587 §3.1.1 finds good for speech, and between them for the bands between.
        let enough = match self.playback_rate {
            ..=8000 => 12_000,
            8001..=12_000 => 16_000,
            12_001..=16_000 => 20_000,
            16_001..=24_000 => 28_000,
            _ => 32_000,
        };
        Settings {
            bitrate: self.max_bitrate.map_or(enough, |most| most.min(enough)),
            playback_rate: self.playback_rate,
            expected_loss: if self.fec { loss } else { 0 },
            dtx: self.dtx,
            cbr: self.cbr,
        }
    }

    /// Whether packets will do that were made for anybody ([`Settings::default`]): what is only a hint is not worth a
    /// second encoding.
    pub fn take_anything(self) -> bool {
        !self.cbr && self.max_bitrate.is_none_or(|most| most >= Settings::default().bitrate)
    }
}

/// How many samples at 48 kHz a packet lasts. `None` if it is no Opus packet: empty, without frames, or longer than
/// 120 ms (§3.4, R1, R5).
pub fn samples_in(packet: &[u8]) -> Option<usize> {
    let (&first, rest) = packet.split_first()?;
    let frames = match first & 0x03 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(rest.first()? & 0x3f),
    };
    let samples = frames * frame_samples(first >> 3);
    (1..=MAX_SAMPLES).contains(&samples).then_some(samples)
}

/// Samples of a frame of a configuration (Table 2).
fn frame_samples(config: u8) -> usize {
    match config {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1920, 2880][usize::from(config & 0x03)],
        // Hybrid: 10, 20 ms.
        12..16 => [480, 960][usize::from(config & 0x01)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(config & 0x03)],
    }
}
