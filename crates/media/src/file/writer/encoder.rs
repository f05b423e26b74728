//! Samples to the bytes of a format. Of a coding with blocks, the block that is not full is the tail.

use super::{RecordFormat, RecordSpec};
use crate::codec::{self, Codec, adpcm::ima, gsm, mp3};
#[cfg(feature = "opus")]
use crate::file::opus;

/// The serial number of the one stream that an Ogg file of ours has (RFC 3533 §6).
#[cfg(feature = "opus")]
const SERIAL: u32 = 1;

/// Octets of a block of IMA ADPCM that a channel has until the next one's turn.
const GROUP: usize = 4;

/// The state of a coding.
#[derive(Debug)]
pub(super) enum Encoder {
    /// One piece for each sample.
    Plain(RecordFormat),
    /// Blocks, of samples of all channels in turn; so many are complete, and the next one is not.
    Blocks { coding: BlockCoding, channels: usize, complete: usize, pending: Vec<i16> },
    /// Frames, until the end; then the tag of all.
    Mp3(Option<Box<mp3::Encoder>>, Vec<u8>),
    /// Pages, until the end.
    #[cfg(feature = "opus")]
    Opus(Option<Box<opus::Writer>>),
}

/// A coding of blocks.
#[derive(Clone, Debug)]
pub(super) enum BlockCoding {
    /// One for each channel.
    Ima(Vec<ima::Encoder>),
    Gsm(Box<gsm::Encoder>),
}

impl Encoder {
    /// An encoder, and what its file begins with in `head`.
    #[cfg_attr(
        not(feature = "opus"),
        expect(unused_variables, clippy::ptr_arg, reason = "Opus alone has a head of its own")
    )]
    pub(super) fn new(spec: RecordSpec, head: &mut Vec<u8>) -> Option<Self> {
        let channels = usize::from(spec.channels);
        let coding = match spec.format {
            RecordFormat::Ima => BlockCoding::Ima(vec![ima::Encoder::new(); channels]),
            RecordFormat::Gsm => BlockCoding::Gsm(Box::default()),
            RecordFormat::Mp3 => {
                let encoder = mp3::Encoder::new(spec.rate, spec.channels)?;
                return Some(Self::Mp3(Some(Box::new(encoder)), Vec::new()));
            }
            #[cfg(feature = "opus")]
            RecordFormat::Opus => {
                let [_, channels] = spec.channels.to_be_bytes();
                let settings = codec::opus::Settings { expected_loss: 0, ..Default::default() };
                let writer = opus::Writer::new(spec.rate, channels, settings, SERIAL, head).ok()?;
                return Some(Self::Opus(Some(Box::new(writer))));
            }
            #[cfg(not(feature = "opus"))]
            RecordFormat::Opus => return None,
            format => return Some(Self::Plain(format)),
        };
        Some(Self::Blocks { coding, channels, complete: 0, pending: Vec::new() })
    }

    /// Whether its bytes lie in a WAV file.
    pub(super) fn is_in_wav(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Blocks { .. })
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
            Self::Blocks { coding, channels, complete, pending } => {
                pending.extend_from_slice(samples);
                let length = coding.block_samples() * *channels;
                *complete += pending.len() / length;
                let whole = pending.len() / length * length;
                pending[..whole].chunks_exact(length).for_each(|block| coding.encode(block, out));
                pending.drain(..whole);
            }
            Self::Mp3(encoder, _) => {
                if let Some(encoder) = encoder {
                    encoder.encode(samples, out);
                }
            }
            #[cfg(feature = "opus")]
            Self::Opus(writer) => {
                if let Some(writer) = writer {
                    // libopus refuses frames of other lengths only; without one the file is valid all the same.
                    let _ = writer.push(samples, out);
                }
            }
        }
    }

    /// Whether its bytes are the codes of this law.
    pub(super) fn is_in(&self, law: Codec) -> bool {
        match self {
            Self::Plain(RecordFormat::Alaw) => law == Codec::Pcma,
            Self::Plain(RecordFormat::Mulaw) => law == Codec::Pcmu,
            _ => false,
        }
    }

    /// Appends what was kept back: nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            // Their last block is the tail, and stays.
            Self::Plain(_) | Self::Blocks { .. } => {}
            Self::Mp3(encoder, last_tag) => {
                if let Some(encoder) = encoder.take() {
                    *last_tag = encoder.finish(out);
                }
            }
            #[cfg(feature = "opus")]
            Self::Opus(writer) => {
                if let Some(writer) = writer.take() {
                    // As above.
                    let _ = writer.finish(out);
                }
            }
        }
    }

    /// What the file shall begin with from now on, where that changes.
    pub(super) fn head(&self) -> Vec<u8> {
        match self {
            Self::Mp3(Some(encoder), _) => encoder.tag(),
            Self::Mp3(None, last_tag) => last_tag.clone(),
            _ => Vec::new(),
        }
    }

    /// What ends the file now and will be written over: of blocks the one that is not full, filled up with silence; of
    /// Ogg the last page.
    pub(super) fn tail(&self) -> Vec<u8> {
        let mut tail = Vec::new();
        match self {
            Self::Blocks { coding, channels, complete, pending } => {
                let begun = usize::from(!pending.is_empty());
                let more = (*complete + begun).next_multiple_of(coding.multiple()) - *complete;
                let length = coding.block_samples() * channels;
                let mut blocks = pending.clone();
                blocks.resize(more * length, 0);
                let mut coding = coding.clone();
                blocks.chunks_exact(length).for_each(|block| coding.encode(block, &mut tail));
            }
            #[cfg(feature = "opus")]
            Self::Opus(Some(writer)) => return writer.tail(),
            _ => {}
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

    /// What the number of blocks in a file is a multiple of. Those of GSM have 65 bytes, and an odd number of bytes leaves
    /// others a choice of misreadings: RIFF wants a byte of padding behind it, which is no audio; libsndfile then takes it
    /// for a block more, and where it is counted as audio, as libsndfile and SoX write it, FFmpeg takes it for a broken one.
    fn multiple(&self) -> usize {
        match self {
            Self::Ima(_) => 1,
            Self::Gsm(_) => 2,
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
