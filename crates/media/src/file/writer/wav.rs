//! The head of a WAV file, byte for byte as SoX writes it.
//!
//! ```text
//! linear PCM            a-law, mu-law                  IMA ADPCM, GSM 06.10
//! RIFF size WAVE        RIFF size WAVE                 RIFF size WAVE
//! fmt  16   tag 1       fmt  18   tag 6, 7             fmt  20   tag 0x11, 0x31, samples of a block
//!                       fact 4    samples              fact 4    samples       (required of all but tag 1)
//! data size … [pad]     data size … [pad]              data size … [pad]
//! ```
//! Its length never changes, so it is written again in place whenever there is more audio.

use super::{RecordFormat, RecordSpec};
use crate::codec::{adpcm::ima, gsm};

/// The head of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WavHeader {
    spec: RecordSpec,
}

/// What a format chunk says of a coding.
struct Coding {
    /// The WAVE format tag (RFC 2361).
    tag: u16,
    /// Bytes of the smallest piece, of all channels.
    block: u16,
    /// Samples of each channel in it.
    samples: u16,
    /// Bits of a sample; 0 where it is no whole number.
    bits: u16,
    /// What follows the fields that all have; none in linear PCM.
    extension: Option<Vec<u8>>,
}

impl WavHeader {
    pub(super) fn new(spec: RecordSpec) -> Self {
        Self { spec }
    }

    /// The head of a file with so many bytes of audio, which are so many samples of each channel.
    pub(super) fn bytes(&self, data_len: u64, samples: u64) -> Vec<u8> {
        let Coding { tag, block, samples: per_block, bits, extension } = self.coding();
        let RecordSpec { rate, channels, .. } = self.spec;
        let per_second = u64::from(rate) * u64::from(block) / u64::from(per_block);
        let mut rest = Vec::with_capacity(64);
        rest.extend_from_slice(b"WAVEfmt ");
        let length = extension.as_ref().map_or(16, |extension| 18 + extension.len() as u64);
        rest.extend_from_slice(&size(length).to_le_bytes());
        rest.extend_from_slice(&tag.to_le_bytes());
        rest.extend_from_slice(&channels.to_le_bytes());
        rest.extend_from_slice(&rate.to_le_bytes());
        rest.extend_from_slice(&size(per_second).to_le_bytes());
        rest.extend_from_slice(&block.to_le_bytes());
        rest.extend_from_slice(&bits.to_le_bytes());
        if let Some(extension) = extension {
            rest.extend_from_slice(&u16::try_from(extension.len()).unwrap_or(u16::MAX).to_le_bytes());
            rest.extend_from_slice(&extension);
            rest.extend_from_slice(b"fact");
            rest.extend_from_slice(&4u32.to_le_bytes());
            rest.extend_from_slice(&size(samples).to_le_bytes());
        }
        let padded = data_len.saturating_add(self.padding(data_len).len() as u64);
        rest.extend_from_slice(b"data");
        rest.extend_from_slice(&size(data_len).to_le_bytes());

        let riff_len = padded.saturating_add(rest.len() as u64);
        [b"RIFF".as_slice(), &size(riff_len).to_le_bytes(), &rest].concat()
    }

    /// What has to follow so many bytes of audio: chunks lie at even places.
    pub(super) fn padding(&self, data_len: u64) -> &'static [u8] {
        if data_len.is_multiple_of(2) { &[] } else { &[0] }
    }

    /// Of so many bytes, those that are whole blocks and need no padding; and the samples of each channel in them.
    pub(super) fn whole(&self, bytes: u64) -> (u64, u64) {
        let Coding { block, samples, .. } = self.coding();
        let (block, blocks) = (u64::from(block), bytes / u64::from(block.max(1)));
        let blocks = if block.is_multiple_of(2) { blocks } else { blocks / 2 * 2 };
        (blocks * block, blocks * u64::from(samples))
    }

    fn coding(&self) -> Coding {
        let channels = self.spec.channels;
        let plain = |tag, bits: u16, extension| Coding {
            tag,
            block: channels * (bits / 8),
            samples: 1,
            bits,
            extension,
        };
        let blocks = |tag, octets: usize, samples: usize, bits| {
            let [octets, samples] = [octets, samples].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
            let extension = Some(samples.to_le_bytes().to_vec());
            Coding { tag, block: channels * octets, samples, bits, extension }
        };
        match self.spec.format {
            RecordFormat::Pcm8 => plain(1, 8, None),
            RecordFormat::Alaw => plain(6, 8, Some(Vec::new())),
            RecordFormat::Mulaw => plain(7, 8, Some(Vec::new())),
            RecordFormat::Ima => blocks(0x11, ima::BLOCK_OCTETS, ima::BLOCK_SAMPLES, 4),
            RecordFormat::Gsm => blocks(0x31, gsm::BLOCK_OCTETS, gsm::BLOCK_SAMPLES, 0),
            // Of those that are no WAV file nobody asks.
            RecordFormat::Pcm16 | RecordFormat::Mp3 | RecordFormat::Opus => plain(1, 16, None),
        }
    }
}

/// A size of the container, which has 32 bits: more is told as its largest. A file ends before it gets there.
fn size(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
