//! MP3 for recordings (ISO/IEC 13818-3 and the extension for low rates known as MPEG-2.5): samples to frames, by rusty_mp3.
//!
//! ```text
//! ┌ tag ─┬ frame ─┬ frame ─┬ …     frames of one length, each of 576 samples, which a file can end after;
//! └──────┴────────┴────────┴──     the first is silent, and tells how many there are and what is to be left out
//! ```
//!
//! The tag, a frame with a header that Xing and LAME have invented, is longer than the frames and so says another bit rate. A
//! player that finds no count in it takes that bit rate for the whole file's, which is then half as long for it. So the tag
//! has a count from the beginning, and is to be written anew whenever there are more frames.
//!
//! At the rates taken here frames stand alone and are given out as they are made. Above 24 kHz the library would keep all
//! until the end, to share bits among them. What can be heard of a file that is not ended lies up to 2,260 samples behind what
//! was encoded, 280 ms at 8 kHz: two frames are kept back, and decoding ends 1,105 samples before the last frame does.

#[cfg(test)]
mod tests;

use rusty_mp3::encode::lametag::{DECODER_DELAY, ENCODER_DELAY, TagInfo, TagStats, tag_frame, tag_header};
use rusty_mp3::header::FrameHeader;
use rusty_mp3::{Mp3Encoder, Mp3EncoderConfig, encoder_header};

/// The rates taken, in Hz.
pub const RATES: [u32; 6] = [8000, 11_025, 12_000, 16_000, 22_050, 24_000];

/// Bits per second of each channel: of 8 kHz speech less than a thousandth of the power is lost.
pub const BITRATE: u32 = 32_000;

/// Samples of a frame, of each channel.
pub const FRAME_SAMPLES: usize = 576;

/// Encodes one or two channels.
pub struct Encoder {
    library: Mp3Encoder,
    rate: u32,
    channels: u16,
    begun: bool,
    /// The header of the tag, and what it has to tell of the frames that were given out.
    tag: FrameHeader,
    frames: TagStats,
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
        let tag = tag_header(&encoder_header(rate, channels, bitrate_kbps).ok()?);
        let frames = TagStats::new(tag.frame_size());
        Some(Self { library, rate, channels, begun: false, tag, frames })
    }

    /// Takes samples, whole moments of all channels, and appends the frames that they complete to `out`; before the first,
    /// the tag of those that come with it. Up to two frames' samples are kept back.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        // It refuses rates only, and this is one of those it has.
        let _ = self.library.push_pcm_s16(samples, self.channels, self.rate);
        self.drain(out);
    }

    /// The tag of all frames that were given out, to be written over the one with which the stream began; nothing before
    /// there are any.
    pub fn tag(&self) -> Vec<u8> {
        if !self.begun {
            return Vec::new();
        }
        // What a decoder needs after the end is what it is behind: all that it gives counts.
        let info = TagInfo { vbr: false, delay: ENCODER_DELAY, padding: DECODER_DELAY };
        tag_frame(&self.tag, &self.frames, &info)
    }

    /// Ends the stream: appends the last frames to `out`, and gives the last tag, which tells its exact length. Nothing is
    /// where there was nothing to encode.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Vec<u8> {
        self.library.finish();
        self.drain(out);
        self.library.lame_tag_frame().unwrap_or_default().to_vec()
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        let (start, is_first) = (out.len(), !self.begun);
        while let Ok(frame) = self.library.next_packet() {
            // The first is the library's own tag, which tells of no frame at all.
            if std::mem::replace(&mut self.begun, true) {
                self.frames.add_frame(&frame);
            }
            out.extend_from_slice(&frame);
        }
        if is_first {
            let tag = self.tag();
            out[start..start + tag.len()].copy_from_slice(&tag);
        }
    }
}
