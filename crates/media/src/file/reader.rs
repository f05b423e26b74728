//! Prompt files to linear samples at 8 kHz, mono.
//!
//! ```text
//! bytes ─ head checked ─ symphonia: container, coding ─ channels averaged ─ resampled ─ samples
//! ```
//!
//! A file is input from outside. What its header claims is never believed further than its bytes go: audio is taken as it
//! is read, a packet at a time, so that memory follows the real length, and that has a limit. Before a header reaches
//! symphonia its channels and rate are checked, and what nobody needs of it and could do harm is overwritten.

use std::io::{self, Cursor, Read};
use std::time::Duration;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::default::formats::WavReader;

use crate::codec::resample::{MAX_RATE, MIN_RATE, Resampler};
use crate::codec::{Codec, Decoder, SAMPLE_RATE};

#[cfg(test)]
mod tests;

/// The longest prompt. It bounds the memory of one: 115 MB of samples, of which half remains when encoded.
pub const MAX_DURATION: Duration = Duration::from_secs(2 * 60 * 60);

/// The most channels: 7.1, more than any prompt has; symphonia's arithmetic holds for these.
const MAX_CHANNELS: u16 = 8;

/// The most bytes read of a file, those of the largest RIFF file. With it even a source without end has one.
const MAX_BYTES: u64 = 1 << 32;

/// How far into a file its audio may begin. Notes and pictures may precede it, and are smaller.
const HEAD: u64 = 1024 * 1024;

/// Why a file is no prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptError {
    /// Its container or coding is not ours, or its rate or number of channels beyond what we take; says which.
    Unsupported(String),
    /// It is damaged; says where.
    Malformed(String),
    /// It lasts more than [`MAX_DURATION`].
    TooLong,
    /// Reading failed; says how.
    Unreadable(String),
}

/// Decodes an audio file to samples at 8 kHz, mono. `name` is that of the file: raw G.711 is known by its ending `.alaw`,
/// `.al`, `.ulaw` or `.ul`; all else by its content.
///
/// WAV is read with linear PCM of 8, 16, 24 or 32 bits, float, a-law or mu-law, at any rate; channels are averaged. A file
/// that ends before its header says gives what is there.
pub fn decode(mut source: impl Read + Send + Sync, name: &str) -> Result<Vec<i16>, PromptError> {
    if let Some(codec) = raw_codec(name) {
        return decode_raw(source, codec);
    }
    let mut head = Vec::new();
    source.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    check_head(&mut head)?;
    let whole = Cursor::new(head).chain(source).take(MAX_BYTES);
    let stream = MediaSourceStream::new(Box::new(ReadOnlySource::new(whole)), Default::default());
    let mut reader = WavReader::try_new(stream, FormatOptions::default()).map_err(from_symphonia)?;
    let parameters = reader
        .default_track(TrackType::Audio)
        .and_then(|track| track.codec_params.as_ref()?.audio().cloned())
        .ok_or_else(|| PromptError::Malformed("no audio track".into()))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .map_err(from_symphonia)?;
    let rate = parameters.sample_rate.unwrap_or_default();
    let resampler = Resampler::new(rate, SAMPLE_RATE).ok_or_else(|| unsupported_rate(rate))?;
    decode_packets(&mut reader, decoder.as_mut(), resampler)
}

/// The codec of a file without a header, by its name.
fn raw_codec(name: &str) -> Option<Codec> {
    let (_, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "alaw" | "al" => Some(Codec::Pcma),
        "ulaw" | "ul" => Some(Codec::Pcmu),
        _ => None,
    }
}

fn decode_raw(source: impl Read, codec: Codec) -> Result<Vec<i16>, PromptError> {
    let mut bytes = Vec::new();
    source
        .take(MAX_DURATION.as_secs() * u64::from(SAMPLE_RATE) + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let mut samples = Vec::new();
    Decoder::new(codec).decode(&bytes, &mut samples);
    within_limit(samples)
}

fn decode_packets(
    reader: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    mut resampler: Resampler,
) -> Result<Vec<i16>, PromptError> {
    let (mut interleaved, mut mono, mut out) = (Vec::<f32>::new(), Vec::new(), Vec::new());
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            // The end that the header told, or the one that came first.
            Ok(None) => break,
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(from_symphonia(error)),
        };
        let audio = decoder.decode(&packet).map_err(from_symphonia)?;
        let channels = audio.spec().channels().count().max(1);
        interleaved.resize(audio.samples_interleaved(), 0.0);
        audio.copy_to_slice_interleaved(&mut interleaved);
        mono.clear();
        mono.extend(interleaved.chunks_exact(channels).map(mix_down));
        resampler.push(&mono, &mut out);
        out = within_limit(out)?;
    }
    resampler.finish(&mut out);
    within_limit(out)
}

/// The mean of one moment's channels, of which 1.0 is full scale.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float beyond the range becomes its end, and none becomes 0"
)]
fn mix_down(channels: &[f32]) -> i16 {
    let mean = channels.iter().sum::<f32>() / channels.len() as f32;
    (mean * 32_768.0).round() as i16
}

fn within_limit(samples: Vec<i16>) -> Result<Vec<i16>, PromptError> {
    let limit = MAX_DURATION.as_secs() * u64::from(SAMPLE_RATE);
    if samples.len() as u64 > limit { Err(PromptError::TooLong) } else { Ok(samples) }
}

/// Checks what precedes the audio of a WAV file, and makes it safe to read.
fn check_head(head: &mut [u8]) -> Result<(), PromptError> {
    if head.get(..4) != Some(b"RIFF") || head.get(8..12) != Some(b"WAVE") {
        return Err(PromptError::Unsupported("not a WAV file".into()));
    }
    // Not known: read to the end. A writer that was cut off has left 0 here, and a damaged size helps nobody.
    head[4..8].fill(0xff);
    let malformed = |what: &str| PromptError::Malformed(what.into());
    let (mut at, mut formats) = (12, 0);
    while let Some(&[a, b, c, d, e, f, g, h]) = head.get(at..).and_then(<[u8]>::first_chunk) {
        let body = at + 8;
        let end =
            usize::try_from(u32::from_le_bytes([e, f, g, h])).ok().and_then(|len| body.checked_add(len));
        let end = end.ok_or_else(|| malformed("a chunk without end"))?;
        match &[a, b, c, d] {
            b"data" if formats > 0 => return Ok(()),
            b"data" => return Err(malformed("no format before the audio")),
            b"fmt " => {
                let format = head.get_mut(body..end).ok_or_else(|| malformed("ends within its format"))?;
                check_format(format)?;
                formats += 1;
            }
            // Titles and the like: symphonia would take them into memory, and passes over what it does not know.
            b"LIST" => head[at..body - 4].copy_from_slice(b"JUNK"),
            _ => {}
        }
        at = end.saturating_add(end % 2);
    }
    Err(malformed("no audio within reach"))
}

/// Checks the body of a format chunk.
fn check_format(format: &mut [u8]) -> Result<(), PromptError> {
    let &mut [_, _, a, b, c, d, e, f, ..] = format else {
        return Err(PromptError::Malformed("short format".into()));
    };
    let (channels, rate) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(PromptError::Unsupported(format!("{channels} channels")));
    }
    if !(MIN_RATE..=MAX_RATE).contains(&rate) {
        return Err(unsupported_rate(rate));
    }
    // Which loudspeaker a channel belongs to does not matter, and symphonia 0.6.1 shifts out of range over some masks.
    if let Some(mask) = format.get_mut(20..24) {
        mask.fill(0);
    }
    Ok(())
}

fn unsupported_rate(rate: u32) -> PromptError {
    PromptError::Unsupported(format!("{rate} samples per second"))
}

fn unreadable(error: io::Error) -> PromptError {
    PromptError::Unreadable(error.to_string())
}

fn from_symphonia(error: Error) -> PromptError {
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            PromptError::Malformed("ends within its header".into())
        }
        Error::IoError(error) => unreadable(error),
        Error::Unsupported(what) => PromptError::Unsupported(what.into()),
        other => PromptError::Malformed(other.to_string()),
    }
}
