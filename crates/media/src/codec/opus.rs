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
pub use coder::{Decoder, Encoder, Error, Settings};

/// Samples per second, of what is encoded and decoded and of the RTP clock (RFC 7587 §4.1).
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples of the longest packet, 120 ms.
pub const MAX_SAMPLES: usize = 5760;

/// Octets of the longest packet that we send: one frame at its longest (§3.2.1), which a datagram holds.
pub const MAX_OCTETS: usize = 1275;

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
