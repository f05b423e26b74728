//! WAV: RIFF, and RF64 or BW64 beyond its 32 bits (EBU Tech 3306), with every coding that telephone prompts come in.
//!
//! ```text
//! RIFF size WAVE │ fmt  size …coding… │ fact 4 samples │ others, passed over │ data size …audio…
//! ```
//! The size of the data is a claim: where less is there the file was cut short. One that could not be known when the header
//! was written is none ([`UNKNOWN`]). The size of the whole is not looked at.

use std::io::Read;

use super::{Audio, MAX_CHANNELS, MAX_GAP, PromptError, cut_short, malformed, skip, to_i16, unreadable};
use crate::codec::{Codec, Decoder, adpcm, gsm};

/// The most bytes of a format chunk: that of Microsoft's ADPCM has a table of 50.
const MAX_FORMAT: u32 = 4096;

/// The most bytes of a block of ADPCM: of 8 kHz stereo ten times over.
const MAX_BLOCK: u16 = 1 << 14;

/// From this size on it is no claim. Into a pipe SoX and espeak-ng write this one, arecord 0x7fff_ff00 and 0x8000_0000,
/// FFmpeg all ones, GStreamer 0, which is none either. No prompt has so much: it is more than two hours of 48 kHz in stereo.
const UNKNOWN: u32 = 0x7fff_f000;

/// Bytes decoded at a time, at least: 0.3 s of mono at 48 kHz and 16 bits.
const PIECE: usize = 32 * 1024;

/// How audio is coded.
enum Coding {
    /// Unsigned bytes.
    Unsigned,
    /// Signed integers of so many bytes, 2 to 4.
    Signed(usize),
    Float,
    Double,
    Law(Decoder),
    Ima,
    Microsoft(Vec<[i16; 2]>),
    Gsm(Box<gsm::Decoder>),
}

/// A WAV file whose header has been read.
pub(super) struct Wav<R> {
    source: R,
    coding: Coding,
    channels: usize,
    rate: u32,
    /// Bytes that belong together.
    block: usize,
    /// Bytes of audio that are still to come at most, and whether they must.
    data: u64,
    is_claimed: bool,
    /// Samples of each channel that are still to come, where the header says that: a last block may have more.
    samples: Option<u64>,
    bytes: Vec<u8>,
    interleaved: Vec<i16>,
}

/// What the format chunk says.
struct Format {
    coding: Coding,
    channels: usize,
    rate: u32,
    block: usize,
}

impl<R: Read> Wav<R> {
    /// Reads up to the audio.
    pub(super) fn open(mut source: R) -> Result<Self, PromptError> {
        let mut budget = MAX_GAP;
        skip(&mut source, 12)?;
        let (mut format, mut fact, mut long) = (None, None, None);
        loop {
            let [a, b, c, d, e, f, g, h] = take::<8>(&mut source)?;
            let size = u32::from_le_bytes([e, f, g, h]);
            let padded = u64::from(size) + u64::from(size % 2);
            if &[a, b, c, d] != b"data" {
                // Its head counts as well: chunks of no length would go on for ever.
                budget = budget.checked_sub(8 + padded).ok_or_else(|| malformed("no audio within reach"))?;
            }
            match (&[a, b, c, d], format.take()) {
                (b"data", None) => return Err(malformed("no format before the audio")),
                (b"data", Some(format)) => {
                    // All ones refer to a `ds64`, in which FFmpeg leaves 0 where it writes into a pipe.
                    let claim = match (size, long) {
                        (u32::MAX, Some(long)) => Some(long).filter(|&long| long != 0 && long != u64::MAX),
                        (0 | UNKNOWN.., _) => None,
                        (size, _) => Some(u64::from(size)),
                    };
                    return Ok(Self::of(source, format, claim, fact));
                }
                (b"fmt ", _) => {
                    if size > MAX_FORMAT {
                        return Err(malformed("a format of more than 4 kB"));
                    }
                    let mut body = vec![0; usize::try_from(padded).unwrap_or_default()];
                    source.read_exact(&mut body).map_err(unreadable)?;
                    format = Some(parse_format(&body)?);
                }
                (b"ds64", kept) if (28..=MAX_FORMAT).contains(&size) => {
                    let [.., i, j, k, l, m, n, o, p] = take::<16>(&mut source)?;
                    long = Some(u64::from_le_bytes([i, j, k, l, m, n, o, p]));
                    skip(&mut source, padded - 16)?;
                    format = kept;
                }
                (b"fact", kept) if (4..=MAX_FORMAT).contains(&size) => {
                    fact = Some(u32::from_le_bytes(take::<4>(&mut source)?));
                    skip(&mut source, padded - 4)?;
                    format = kept;
                }
                (_, kept) => {
                    skip(&mut source, padded)?;
                    format = kept;
                }
            }
        }
    }

    fn of(source: R, format: Format, claim: Option<u64>, fact: Option<u32>) -> Self {
        let Format { coding, channels, rate, block } = format;
        let in_blocks = matches!(coding, Coding::Ima | Coding::Microsoft(_) | Coding::Gsm(_));
        // All ones and 0 are left by writers that did not know.
        let samples = fact.filter(|&fact| in_blocks && fact != 0 && fact != u32::MAX).map(u64::from);
        Self {
            source,
            coding,
            channels,
            rate,
            block,
            data: claim.unwrap_or(u64::MAX),
            is_claimed: claim.is_some(),
            samples,
            bytes: Vec::new(),
            interleaved: Vec::new(),
        }
    }

    /// Decodes what was read, whole blocks of it; where the file ends, of ADPCM the last one as far as it goes.
    fn decode(&mut self) {
        let Self { coding, channels, block, bytes, interleaved: out, .. } = self;
        match coding {
            Coding::Unsigned => out.extend(bytes.iter().map(|&byte| (i16::from(byte) - 0x80) << 8)),
            Coding::Signed(2) => out.extend(le(bytes).map(i16::from_le_bytes)),
            Coding::Signed(3) => {
                out.extend(le(bytes).map(|[a, b, c]| to_16(i32::from_le_bytes([0, a, b, c]))))
            }
            Coding::Signed(_) => out.extend(le(bytes).map(|bytes| to_16(i32::from_le_bytes(bytes)))),
            Coding::Float => out.extend(le(bytes).map(|bytes| to_i16(f32::from_le_bytes(bytes) * 32_768.0))),
            Coding::Double => {
                out.extend(le(bytes).map(|bytes| to_i16(single(f64::from_le_bytes(bytes)) * 32_768.0)))
            }
            Coding::Law(decoder) => decoder.decode(bytes, out),
            Coding::Ima => {
                bytes.chunks(*block).for_each(|block| adpcm::ima::decode_block(block, *channels, out));
            }
            Coding::Microsoft(weights) => bytes
                .chunks(*block)
                .for_each(|block| adpcm::microsoft::decode_block(block, *channels, weights, out)),
            Coding::Gsm(decoder) => {
                bytes.as_chunks().0.iter().for_each(|block| decoder.decode_block(block, out));
            }
        }
    }
}

impl<R: Read> Audio for Wav<R> {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError> {
        let wanted = PIECE.next_multiple_of(self.block);
        let limit = self.data.min(wanted as u64);
        self.bytes.clear();
        self.source.by_ref().take(limit).read_to_end(&mut self.bytes).map_err(unreadable)?;
        self.data -= self.bytes.len() as u64;
        let is_short = self.is_claimed && (self.bytes.len() as u64) < limit && self.samples != Some(0);
        if is_short && self.bytes.is_empty() {
            return Err(cut_short());
        }
        self.interleaved.clear();
        self.decode();
        let more = is_short || self.bytes.len() == wanted && self.samples != Some(0);
        let before = out.len();
        out.extend(self.interleaved.chunks_exact(self.channels).map(mean));
        if let Some(left) = &mut self.samples {
            let made = (out.len() - before) as u64;
            out.truncate(before + usize::try_from(made.min(*left)).unwrap_or(usize::MAX));
            *left -= made.min(*left);
        }
        Ok(more)
    }
}

/// The body of a format chunk.
fn parse_format(body: &[u8]) -> Result<Format, PromptError> {
    let Some(&[tag_low, tag_high, a, b, c, d, e, f, _, _, _, _, g, h, i, j]) = body.first_chunk() else {
        return Err(malformed("short format"));
    };
    let word = |at: usize| Some(u16::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let (channels, rate) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
    let (block, bits) = (u16::from_le_bytes([g, h]), u16::from_le_bytes([i, j]));
    let tag = match u16::from_le_bytes([tag_low, tag_high]) {
        // WAVE_FORMAT_EXTENSIBLE: the tag is the beginning of a GUID.
        0xfffe => word(24).ok_or_else(|| malformed("short format"))?,
        tag => tag,
    };
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(PromptError::Unsupported(format!("{channels} channels")));
    }
    // A sample lies in whole bytes, its bits at their top.
    let width = block / channels;
    let fits = block.is_multiple_of(channels) && bits > 0 && bits.div_ceil(8) == width;
    let coding = match (tag, width) {
        (1, 1) if fits => Coding::Unsigned,
        (1, 2..=4) if fits => Coding::Signed(usize::from(width)),
        (3, 4) if fits => Coding::Float,
        (3, 8) if fits => Coding::Double,
        (6, 1) if fits => Coding::Law(Decoder::new(Codec::Pcma)),
        (7, 1) if fits => Coding::Law(Decoder::new(Codec::Pcmu)),
        (1 | 3 | 6 | 7, _) => return Err(malformed("a format that contradicts itself")),
        (0x11 | 0x02, _) if bits != 4 || block > MAX_BLOCK || width < 8 => {
            return Err(malformed("ADPCM of other than 4 bits, or odd blocks"));
        }
        (0x11, _) => Coding::Ima,
        (0x02, _) if channels <= 2 => Coding::Microsoft(weights(&word)),
        (0x31, _) if channels == 1 && usize::from(block) == gsm::BLOCK_OCTETS => Coding::Gsm(Box::default()),
        (tag, _) => return Err(PromptError::Unsupported(format!("WAV of format {tag:#x}"))),
    };
    Ok(Format { coding, channels: channels.into(), rate, block: block.into() })
}

/// The table that a format chunk of Microsoft's ADPCM has; the seven pairs that all have where it is cut off.
fn weights(word: &impl Fn(usize) -> Option<u16>) -> Vec<[i16; 2]> {
    let count = usize::from(word(20).unwrap_or_default());
    let pair = |n: usize| Some([word(22 + 4 * n)?.cast_signed(), word(24 + 4 * n)?.cast_signed()]);
    let own: Vec<_> = (0..count).map_while(pair).collect();
    if own.is_empty() { adpcm::microsoft::WEIGHTS.to_vec() } else { own }
}

fn take<const N: usize>(source: &mut impl Read) -> Result<[u8; N], PromptError> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn le<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The nearest sample of 16 bits.
fn to_16(sample: i32) -> i16 {
    let [_, _, low, high] = sample.saturating_add(0x8000).to_le_bytes();
    i16::from_le_bytes([low, high])
}

#[expect(clippy::cast_possible_truncation, reason = "a sample of 16 bits needs no more digits")]
fn single(value: f64) -> f32 {
    value as f32
}

/// The mean of one moment's channels.
fn mean(channels: &[i16]) -> i16 {
    let sum: f32 = channels.iter().map(|&sample| f32::from(sample)).sum();
    to_i16(sum / channels.len() as f32)
}
