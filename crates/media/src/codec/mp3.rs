//! MP3 for recordings (ISO/IEC 13818-3 and the extension for low rates known as MPEG-2.5): samples to frames, by rusty_mp3.
//!
//! ```text
//! ┌ tag ─┬ frame ─┬ frame ─┬ …     frames of one length, each of 576 samples, which a file can end after;
//! └──────┴────────┴────────┴──     the first is silent, and in the end tells how many there are
//! ```
//!
//! At the rates taken here frames stand alone and are given out as they are made. Above 24 kHz the library would keep all
//! until the end, to share bits among them. What can be heard of a file that is not ended lies up to 2,260 samples behind what
//! was encoded, 280 ms at 8 kHz: two frames are kept back, and decoding ends 1,105 samples before the last frame does.

#[cfg(test)]
mod tests;

use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig};

/// The rates taken, in Hz.
pub const RATES: [u32; 6] = [8000, 11_025, 12_000, 16_000, 22_050, 24_000];

/// Bits per second of each channel: of 8 kHz speech less than a thousandth of the power is lost.
pub const BITRATE: u32 = 32_000;

/// Samples of a frame, of each channel.
pub const FRAME_SAMPLES: usize = 576;

/// Octets of a frame's header.
const HEADER: usize = 4;

/// Encodes one or two channels.
pub struct Encoder {
    library: Mp3Encoder,
    rate: u32,
    channels: u16,
    begun: bool,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// For samples at `rate` Hz of so many channels in turn. `None` if the rate is none of [`RATES`] or the channels are
    /// not one or two.
    pub fn new(rate: u32, channels: u16) -> Option<Self> {
        if !RATES.contains(&rate) || !matches!(channels, 1 | 2) {
            return None;
        }
        let bitrate_kbps = BITRATE / 1000 * u32::from(channels);
        let library = Mp3Encoder::new(Mp3EncoderConfig { bitrate_kbps, vbr_quality: None });
        Some(Self { library, rate, channels, begun: false })
    }

    /// Takes samples, whole moments of all channels, and appends the frames that they complete to `out`; before the first,
    /// a silent one in place of the tag. Up to two frames' samples are kept back.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        // It refuses rates only, and this is one of those it has.
        let _ = self.library.push_pcm_s16(samples, self.channels, self.rate);
        self.drain(out);
    }

    /// Ends the stream: appends the last frames to `out`, and gives what the tag, with which the file began, has to be
    /// overwritten with to tell its length. Nothing is where there was nothing to encode.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Vec<u8> {
        self.library.finish();
        self.drain(out);
        self.library.lame_tag_frame().unwrap_or_default().to_vec()
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        while let Ok(mut frame) = self.library.next_packet() {
            // The tag would tell of no frame at all, and some players believe it. Nothing behind the header is silence.
            if !std::mem::replace(&mut self.begun, true) {
                frame[HEADER..].fill(0);
            }
            out.extend_from_slice(&frame);
        }
    }
}
