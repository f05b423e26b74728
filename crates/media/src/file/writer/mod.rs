//! Recordings as files that are valid at every moment: a value that says what to write where, and owns no file.
//!
//! ```text
//!   chunks, any rate ─▶ resampled ─▶ encoded ─▶ Patch: audio at its place, then the header that counts it, at 0
//! ```
//! Whoever writes the file puts [`Writer::begin`] first and obeys one [`Patch`] after the other. Between the two writes of
//! a patch, and wherever it is cut off, the file is a valid one that is merely shorter. Nothing that was said to the writer
//! is kept back for a later patch, but for what an MP3 encoder keeps: where a coding has blocks, the one that is not full
//! is filled up with silence, and written again when it is.

mod encoder;
mod repair;
#[cfg(test)]
mod tests;
mod wav;

use std::time::Duration;

use crate::codec::resample::Resampler;
use crate::codec::{Codec, Decoder};
use crate::event::Chunk;
use encoder::Encoder;
pub use repair::{repair, spec_of};
use wav::WavHeader;

/// What a recording is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordFormat {
    /// Linear PCM, 8 bit, in WAV (the API's 1).
    Pcm8,
    /// G.711 a-law, in WAV (2).
    Alaw,
    /// G.711 mu-law, in WAV (3).
    Mulaw,
    /// IMA ADPCM, in WAV (4).
    Ima,
    /// GSM 06.10, in WAV (5).
    Gsm,
    /// MP3 (6).
    Mp3,
    /// Linear PCM, 16 bit, in WAV (7).
    Pcm16,
    /// Opus in Ogg (8).
    Opus,
}

impl RecordFormat {
    /// All of them, by their numbers.
    pub const ALL: [Self; 8] =
        [Self::Pcm8, Self::Alaw, Self::Mulaw, Self::Ima, Self::Gsm, Self::Mp3, Self::Pcm16, Self::Opus];

    /// Its number in the API's `record_format`.
    pub fn api_number(self) -> u8 {
        match self {
            Self::Pcm8 => 1,
            Self::Alaw => 2,
            Self::Mulaw => 3,
            Self::Ima => 4,
            Self::Gsm => 5,
            Self::Mp3 => 6,
            Self::Pcm16 => 7,
            Self::Opus => 8,
        }
    }

    /// The format of a number in the API's `record_format`; `None` for those that are none.
    pub fn from_api(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| u32::from(format.api_number()) == number)
    }
}

/// What a recording is, beyond its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpec {
    /// Its format.
    pub format: RecordFormat,
    /// Samples per second in the file.
    pub rate: u32,
    /// Channels: 1, or 2 with the first party left.
    pub channels: u16,
}

impl RecordSpec {
    /// A recording of `channels` legs, of which the codec has so many samples per second. The formats of the original
    /// system are telephone recordings, at 8 kHz; the others keep what the leg has. GSM has one channel, in which two legs
    /// are mixed.
    pub fn new(format: RecordFormat, leg_rate: u32, channels: u16) -> Self {
        let rate = match format {
            // Frames are shortest there, so the file is least behind.
            RecordFormat::Mp3 => MP3_RATE,
            RecordFormat::Pcm16 | RecordFormat::Opus => leg_rate,
            _ => crate::codec::SAMPLE_RATE,
        };
        // The format of GSM has no place for a second channel.
        let most = if format == RecordFormat::Gsm { 1 } else { 2 };
        Self { format, rate, channels: channels.clamp(1, most) }
    }
}

/// What to do to the file next: first the audio, then the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Where `audio` goes, in bytes from the beginning of the file: never beyond its end.
    pub at: u64,
    /// Audio, and what the container wants behind it.
    pub audio: Vec<u8>,
    /// What the file begins with from now on; empty where nothing changes.
    pub header: Vec<u8>,
}

/// The rate of MP3 files.
const MP3_RATE: u32 = 24_000;

/// What a file begins with.
#[derive(Debug)]
enum Head {
    /// It counts the audio.
    Wav(WavHeader),
    /// It stays as it is, but for what the encoder may say.
    Fixed(Vec<u8>),
}

impl Head {
    fn begin(&self) -> Vec<u8> {
        match self {
            Self::Wav(header) => header.bytes(0, 0),
            Self::Fixed(head) => head.clone(),
        }
    }
}

/// One file in the making.
#[derive(Debug)]
pub struct Writer {
    spec: RecordSpec,
    /// What precedes the audio: of WAV its head, of others what the encoder has said.
    head: Head,
    /// Its bytes.
    head_length: u64,
    encoder: Encoder,
    resamplers: Vec<Resampler>,
    /// The rate of what comes.
    rate: u32,
    /// Bytes of audio in the file that stay as they are.
    settled: u64,
    /// Bytes of the file.
    length: u64,
    /// Samples of each channel, encoded or waiting to be.
    samples: u64,
    /// Bytes that the next patch settles.
    fresh: Vec<u8>,
}

impl Writer {
    /// A file of which nothing is written yet. `None` where there is no encoder for what is wanted: this build has no Opus,
    /// or the codec none at that rate.
    pub fn new(spec: RecordSpec) -> Option<Self> {
        let mut head = Vec::new();
        let encoder = Encoder::new(spec, &mut head)?;
        let head = if encoder.is_in_wav() { Head::Wav(WavHeader::new(spec)) } else { Head::Fixed(head) };
        Some(Self {
            spec,
            head_length: head.begin().len() as u64,
            head,
            encoder,
            resamplers: Vec::new(),
            rate: spec.rate,
            settled: 0,
            length: 0,
            samples: 0,
            fresh: Vec::new(),
        })
    }

    /// The file before any audio.
    pub fn begin(&mut self) -> Vec<u8> {
        let head = self.head.begin();
        self.length = head.len() as u64;
        head
    }

    /// Takes a step of the recording.
    pub fn push(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Data { rate, channels, samples } if *channels == self.spec.channels => {
                self.take(*rate, samples);
            }
            Chunk::Data { rate, channels, samples } => {
                self.take(*rate, &rearrange(samples, *channels, self.spec.channels));
            }
            Chunk::Codes { law, codes } => self.take_codes(*law, codes),
            Chunk::Silence { rate, samples } => self.silence(*rate, *samples),
            Chunk::End => {
                self.flush();
                self.encoder.finish(&mut self.fresh);
            }
        }
    }

    /// What to write so that the file has all that was pushed.
    pub fn patch(&mut self) -> Patch {
        // As much again is to be expected.
        let room = Vec::with_capacity(self.fresh.capacity());
        let mut audio = std::mem::replace(&mut self.fresh, room);
        let at = self.head_length + self.settled;
        self.settled += audio.len() as u64;
        let tail = self.encoder.tail();
        let data = self.settled + tail.len() as u64;
        audio.extend(tail);
        let header = match &self.head {
            Head::Wav(header) => {
                audio.extend_from_slice(header.padding(data));
                header.bytes(data, self.samples)
            }
            Head::Fixed(_) => self.encoder.head(),
        };
        self.length = at + audio.len() as u64;
        Patch { at, audio, header }
    }

    /// How long the audio is once all patches are written.
    pub fn duration(&self) -> Duration {
        let nanos = u128::from(self.samples) * 1_000_000_000 / u128::from(self.spec.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Bytes of the file once all patches are written.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn take(&mut self, rate: u32, samples: &[i16]) {
        self.go_on_at(rate);
        if rate == self.spec.rate {
            self.encode(samples);
        } else {
            let resampled = self.resample(samples);
            self.encode(&resampled);
        }
    }

    fn go_on_at(&mut self, rate: u32) {
        if rate != self.rate {
            self.flush();
            self.rate = rate;
        }
    }

    /// Takes codes of one channel, as they are where the file is in the same law.
    fn take_codes(&mut self, law: Codec, codes: &[u8]) {
        if self.spec.channels == 1 && self.encoder.is_in(law) {
            self.go_on_at(law.sample_rate());
            self.samples += codes.len() as u64;
            return self.fresh.extend_from_slice(codes);
        }
        let mut samples = Vec::new();
        Decoder::new(law).decode(codes, &mut samples);
        self.push(&Chunk::Data { rate: law.sample_rate(), channels: 1, samples });
    }

    /// Silence may be long: it goes through in pieces of a second.
    fn silence(&mut self, rate: u32, samples: u64) {
        let second = vec![0; rate as usize * usize::from(self.spec.channels)];
        let mut left = samples.saturating_mul(u64::from(self.spec.channels));
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(second.len());
            self.take(rate, &second[..part]);
            left -= part as u64;
        }
    }

    fn encode(&mut self, samples: &[i16]) {
        self.samples += (samples.len() / usize::from(self.spec.channels)) as u64;
        self.encoder.encode(samples, &mut self.fresh);
    }

    fn resample(&mut self, samples: &[i16]) -> Vec<i16> {
        let channels = usize::from(self.spec.channels);
        if self.resamplers.is_empty() {
            let resampler = Resampler::new(self.rate, self.spec.rate);
            self.resamplers = std::iter::repeat_n(resampler, channels).flatten().collect();
        }
        let mut outs = Vec::with_capacity(channels);
        for (channel, resampler) in self.resamplers.iter_mut().enumerate() {
            let own: Vec<i16> = samples.iter().skip(channel).step_by(channels).copied().collect();
            let mut out = Vec::new();
            resampler.push(&own, &mut out);
            outs.push(out);
        }
        interleave(&outs)
    }

    /// Takes out what the resamplers keep: the rate changes, or it is the end.
    fn flush(&mut self) {
        let finish = |resampler: Resampler| {
            let mut out = Vec::new();
            resampler.finish(&mut out);
            out
        };
        let outs: Vec<_> = self.resamplers.drain(..).map(finish).collect();
        self.encode(&interleave(&outs));
    }
}

/// Samples of so many channels in turn as another number of them: each has the mean of all.
fn rearrange(samples: &[i16], from: u16, to: u16) -> Vec<i16> {
    let mean = |moment: &[i16]| {
        let sum: i32 = moment.iter().map(|&sample| i32::from(sample)).sum();
        i16::try_from(sum / i32::from(from.max(1))).unwrap_or_default()
    };
    let moments = samples.chunks_exact(usize::from(from.max(1)));
    moments.flat_map(|moment| std::iter::repeat_n(mean(moment), usize::from(to))).collect()
}

/// Samples of the channels in turn.
fn interleave(channels: &[Vec<i16>]) -> Vec<i16> {
    let Some(first) = channels.first() else { return Vec::new() };
    (0..first.len())
        .flat_map(|n| channels.iter().filter_map(move |channel| channel.get(n)).copied())
        .collect()
}
