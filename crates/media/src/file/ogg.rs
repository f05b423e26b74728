//! Opus in Ogg (RFC 3533, RFC 7845): packets out of a file, and packets into one that is whole at every moment.
//!
//! ```text
//! ┌ page ──────────────────────┬─────────┬────────┬───────────┐
//! │ OggS, flags, time, serial, │ sum     │ lengths│ packets   │   one length is 0 to 255; a packet ends with one below
//! │ number                     │ (CRC-32)│ (1 each)           │   255, and goes on on the next page where none is
//! └────────────────────────────┴─────────┴────────┴───────────┘
//!  first page: OpusHead    then: OpusTags, on as many as it takes    then: audio
//! ```
//!
//! The time of a page (its granule position) is that of the end of its last whole packet, in samples at 48 kHz. What the
//! encoder was late by is at the beginning and not to be heard (pre-skip); what the last packet has too much is beyond the
//! time of the last page.
//!
//! A file is input from outside. A page whose sum is wrong is passed over and the next one looked for; lengths are believed
//! as far as there are bytes.

mod page;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{Audio, Error, Reader};
pub use writer::Writer;

/// The head of a stream (RFC 7845 §5.1), as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Channels, 1 or 2.
    pub channels: u8,
    /// How many samples at 48 kHz are not to be heard at the beginning.
    pub pre_skip: u16,
    /// The rate before it was encoded, in Hz; 0 if it is not known. Nothing depends on it.
    pub rate: u32,
    /// By how much to change the level, in 1/256 dB.
    pub gain: i16,
}

impl Head {
    fn write(&self, out: &mut Vec<u8>) {
        // Version 1; the mapping family 0 is one or two channels in one stream.
        out.extend_from_slice(b"OpusHead\x01");
        out.push(self.channels);
        out.extend_from_slice(&self.pre_skip.to_le_bytes());
        out.extend_from_slice(&self.rate.to_le_bytes());
        out.extend_from_slice(&self.gain.to_le_bytes());
        out.push(0);
    }

    /// `None` if it is the head of something else, of a later version or of more than one stream.
    fn parse(packet: &[u8]) -> Option<Self> {
        let &[version, channels, a, b, c, d, e, f, g, h, family, ref mapping @ ..] =
            packet.strip_prefix(b"OpusHead")?
        else {
            return None;
        };
        let one_stream = family == 0 || (family == 1 && mapping.first() == Some(&1));
        // The lower four bits of the version may grow without a change that matters.
        (version & 0xf0 == 0 && matches!(channels, 1 | 2) && one_stream).then_some(Self {
            channels,
            pre_skip: u16::from_le_bytes([a, b]),
            rate: u32::from_le_bytes([c, d, e, f]),
            gain: i16::from_le_bytes([g, h]),
        })
    }
}
