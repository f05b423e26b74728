//! Samples to the bytes of a format. Of a coding with blocks, the block that is not full is the tail.

use super::{RecordFormat, RecordSpec};
use crate::codec::{self, Codec, adpcm::ima, gsm};

/// Octets of a block of IMA ADPCM that a channel has until the next one's turn.
const GROUP: usize = 4;

/// The state of a coding.
#[derive(Debug)]
pub(super) enum Encoder {
    /// One piece for each sample.
    Plain(RecordFormat),
    /// Blocks, of samples of all channels in turn.
    Blocks { coding: BlockCoding, channels: usize, pending: Vec<i16> },
}

/// A coding of blocks.
#[derive(Clone, Debug)]
pub(super) enum BlockCoding {
    /// One for each channel.
    Ima(Vec<ima::Encoder>),
    Gsm(Box<gsm::Encoder>),
}

impl Encoder {
    pub(super) fn new(spec: RecordSpec) -> Self {
        let channels = usize::from(spec.channels);
        let coding = match spec.format {
            RecordFormat::Ima => BlockCoding::Ima(vec![ima::Encoder::new(); channels]),
            RecordFormat::Gsm => BlockCoding::Gsm(Box::default()),
            format => return Self::Plain(format),
        };
        Self::Blocks { coding, channels, pending: Vec::new() }
    }

    /// Appends the bytes that are complete.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Plain(RecordFormat::Pcm8) => {
                out.extend(samples.iter().map(|&sample| to_unsigned_8(sample)))
            }
            Self::Plain(RecordFormat::Alaw) => codec::Encoder::new(Codec::Pcma).encode(samples, out),
            Self::Plain(RecordFormat::Mulaw) => codec::Encoder::new(Codec::Pcmu).encode(samples, out),
            Self::Plain(_) => out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Self::Blocks { coding, channels, pending } => {
                pending.extend_from_slice(samples);
                let length = coding.block_samples() * *channels;
                let whole = pending.len() / length * length;
                pending[..whole].chunks_exact(length).for_each(|block| coding.encode(block, out));
                pending.drain(..whole);
            }
        }
    }

    /// The block that is not full, filled up with silence. It will be written again.
    pub(super) fn tail(&self) -> Vec<u8> {
        let mut tail = Vec::new();
        if let Self::Blocks { coding, channels, pending } = self
            && !pending.is_empty()
        {
            let mut block = pending.clone();
            block.resize(coding.block_samples() * channels, 0);
            coding.clone().encode(&block, &mut tail);
        }
        tail
    }
}

impl BlockCoding {
    /// Samples of each channel.
    fn block_samples(&self) -> usize {
        match self {
            Self::Ima(_) => ima::BLOCK_SAMPLES,
            Self::Gsm(_) => gsm::BLOCK_SAMPLES,
        }
    }

    fn encode(&mut self, block: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Gsm(encoder) => {
                if let Some(block) = block.first_chunk() {
                    out.extend_from_slice(&encoder.encode_block(block));
                }
            }
            Self::Ima(encoders) => {
                let channels = encoders.len();
                let mut blocks = Vec::with_capacity(channels);
                for (channel, encoder) in encoders.iter_mut().enumerate() {
                    let mut own = [0; ima::BLOCK_SAMPLES];
                    let samples = block.iter().skip(channel).step_by(channels);
                    own.iter_mut().zip(samples).for_each(|(own, &sample)| *own = sample);
                    blocks.push(encoder.encode_block(&own));
                }
                // The headers of all channels, then their octets, four of each in turn.
                for at in (0..ima::BLOCK_OCTETS).step_by(GROUP) {
                    blocks.iter().for_each(|block| out.extend_from_slice(&block[at..at + GROUP]));
                }
            }
        }
    }
}

/// The nearest of 256 levels; WAV has 8-bit samples unsigned, 128 in the middle.
fn to_unsigned_8(sample: i16) -> u8 {
    let [high, _] = sample.saturating_add(0x80).to_be_bytes();
    high ^ 0x80
}
