//! Prompt files to linear samples of one channel, a little at a time.
//!
//! ```text
//! bytes ─ first octets: which container ─┬─ WAV        our own   ─┬─ channels averaged ─ resampled ─ gain ─▶ samples
//!         (a name for raw ones only)     ├─ MP3, FLAC, Vorbis    ─┤
//!                                        │             symphonia  │
//!                                        ├─ Opus       libopus   ─┤
//!                                        └─ raw        our codecs ─┘
//! ```
//! A file is input from outside. What its header claims is never believed further than its bytes go: audio is taken as it
//! is read, so that memory follows what was asked for, and its length has a limit. So have what may precede the audio, and
//! what may lie between two packets of it: neither a sparse file nor one that goes in circles keeps a reader busy. A file
//! that has less than it claims was cut short: what is there is given, and then the error.

#[cfg(feature = "opus")]
mod opus;
mod packets;
mod raw;
#[cfg(test)]
pub(super) mod tests;
mod wav;

use std::io::{self, Cursor, Read};
use std::time::Duration;

use crate::codec::resample::{MAX_RATE, MIN_RATE, Resampler};
use crate::gain::Gain;
use crate::mixer::Limiter;

/// The longest prompt. It bounds what the bytes of one file can come to.
pub const MAX_DURATION: Duration = Duration::from_secs(2 * 60 * 60);

/// The most channels: 7.1, more than any prompt has.
const MAX_CHANNELS: u16 = 8;

/// The most bytes read of a file, those of two hours of stereo at 384 kHz and 64 bits twice over. With it even a source
/// without end has one.
const MAX_BYTES: u64 = 1 << 36;

/// How far into a file its audio may begin, and from one packet of it to the next. Notes and pictures may precede it.
const MAX_GAP: u64 = 16 << 20;

/// The first octets of a file, which say what it is: those up to the first packet of an Ogg page, and eight of that.
const HEAD: u64 = 36;

/// The gain that a prompt may be played with, in dB.
pub const GAIN_DB: std::ops::RangeInclusive<i8> = -40..=20;

/// Why a file is no prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptError {
    /// Its container or coding is not ours, or its rate or number of channels beyond what we take; says which.
    Unsupported(String),
    /// It has no bytes.
    Empty,
    /// It is damaged; says where.
    Malformed(String),
    /// It lasts more than [`MAX_DURATION`].
    TooLong,
    /// Reading failed; says how.
    Unreadable(String),
}

/// A file whose header has been read: what gives its audio.
trait Audio {
    /// Samples per second.
    fn rate(&self) -> u32;

    /// Appends some samples, their channels averaged, to `out`. Returns whether there may be more.
    fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError>;
}

/// A prompt file being decoded.
pub struct PromptReader<'s> {
    audio: Box<dyn Audio + Send + 's>,
    resampler: Option<Resampler>,
    amplifier: Option<Amplifier>,
    /// Samples that it may still have, as they are in the file.
    left: u64,
    mono: Vec<i16>,
}

impl std::fmt::Debug for PromptReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptReader").field("rate", &self.audio.rate()).field("left", &self.left).finish()
    }
}

impl<'s> PromptReader<'s> {
    /// Reads the header of a file, to decode it to samples at `rate`, louder by `gain_db` (of [`GAIN_DB`]). Files without
    /// a header are known by the ending of `name`, which is `.alaw`, `.al`, `.ulaw`, `.ul`, `.gsm`, `.g722` or `.sln`; all
    /// else by its content.
    ///
    /// WAV is read with linear PCM of 8, 16, 24 or 32 bits, float of 32 or 64, a-law, mu-law, IMA and Microsoft's ADPCM, and
    /// GSM 06.10, as RIFF or RF64; MPEG audio; FLAC, also in Ogg; Ogg Vorbis and Ogg Opus.
    pub fn open(
        source: impl Read + Send + Sync + 's,
        name: &str,
        rate: u32,
        gain_db: i8,
    ) -> Result<Self, PromptError> {
        let audio = open(source.take(MAX_BYTES), name)?;
        let from = audio.rate();
        if !(MIN_RATE..=MAX_RATE).contains(&from) {
            return Err(PromptError::Unsupported(format!("{from} samples per second")));
        }
        let resampler = if from == rate { None } else { Resampler::new(from, rate) };
        let gain_db = gain_db.clamp(*GAIN_DB.start(), *GAIN_DB.end());
        let amplifier = (gain_db != 0).then(|| Amplifier::new(gain_db, rate));
        let left = MAX_DURATION.as_secs() * u64::from(from);
        Ok(Self { audio, resampler, amplifier, left, mono: Vec::new() })
    }

    /// Appends the next samples to `out`, some tenths of a second at most. Returns whether there may be more; where it
    /// fails, what is there has been appended.
    pub fn read(&mut self, out: &mut Vec<i16>) -> Result<bool, PromptError> {
        self.mono.clear();
        let more = self.audio.read(&mut self.mono);
        self.left = self.left.checked_sub(self.mono.len() as u64).ok_or(PromptError::TooLong)?;
        let start = out.len();
        match &mut self.resampler {
            None => out.extend_from_slice(&self.mono),
            Some(resampler) => resampler.push(&self.mono, out),
        }
        if !matches!(more, Ok(true))
            && let Some(resampler) = self.resampler.take()
        {
            resampler.finish(out);
        }
        if let Some(amplifier) = &mut self.amplifier {
            amplifier.amplify(&mut out[start..]);
        }
        more
    }
}

/// Makes a prompt louder or softer: softer than was asked for where it would not fit.
struct Amplifier {
    gain: Gain,
    limiter: Limiter,
    /// Samples of a frame of 20 ms.
    frame: usize,
    sums: Vec<i32>,
    limited: Vec<i16>,
}

impl Amplifier {
    fn new(gain_db: i8, rate: u32) -> Self {
        let (gain, limiter) = (Gain::from_decibels(gain_db), Limiter::new());
        Self { gain, limiter, frame: (rate as usize / 50).max(1), sums: Vec::new(), limited: Vec::new() }
    }

    fn amplify(&mut self, samples: &mut [i16]) {
        for frame in samples.chunks_mut(self.frame) {
            self.sums.clear();
            self.sums.extend(frame.iter().map(|&sample| self.gain.of(sample)));
            self.limiter.limit(&self.sums, &mut self.limited);
            frame.copy_from_slice(&self.limited);
        }
    }
}

/// All of a file at 8 kHz.
pub fn decode(source: impl Read + Send + Sync, name: &str) -> Result<Vec<i16>, PromptError> {
    let mut reader = PromptReader::open(source, name, crate::codec::SAMPLE_RATE, 0)?;
    let mut samples = Vec::new();
    while reader.read(&mut samples)? {}
    Ok(samples)
}

fn open<'s>(
    mut source: impl Read + Send + Sync + 's,
    name: &str,
) -> Result<Box<dyn Audio + Send + 's>, PromptError> {
    if let Some(audio) = raw::open(name) {
        return Ok(Box::new(audio(Box::new(source))));
    }
    let mut head = Vec::new();
    source.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if head.is_empty() {
        return Err(PromptError::Empty);
    }
    let is_mpeg = |head: &[u8]| head.starts_with(b"ID3") || packets::is_mpeg_frame(head);
    let magic = head.first_chunk::<4>().copied().unwrap_or_default();
    let whole = Cursor::new(head.clone()).chain(source);
    match &magic {
        b"RIFF" | b"RF64" | b"BW64" if head.get(8..12) == Some(b"WAVE") => {
            Ok(Box::new(wav::Wav::open(whole)?))
        }
        b"fLaC" => Ok(Box::new(packets::Packets::flac(whole)?)),
        #[cfg(feature = "opus")]
        b"OggS" if head.get(28..) == Some(b"OpusHead") => Ok(Box::new(opus::Opus::open(whole)?)),
        b"OggS" => Ok(Box::new(packets::Packets::ogg(whole)?)),
        _ if is_mpeg(&head) => Ok(Box::new(packets::Packets::mpeg(whole)?)),
        _ => Err(PromptError::Unsupported("neither WAV nor MP3, FLAC or Ogg".into())),
    }
}

/// The nearest sample.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float beyond the range becomes its end, and none becomes 0"
)]
fn to_i16(value: f32) -> i16 {
    value.round() as i16
}

fn unreadable(error: io::Error) -> PromptError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => PromptError::Malformed("ends within its header".into()),
        _ => PromptError::Unreadable(error.to_string()),
    }
}

fn malformed(what: &str) -> PromptError {
    PromptError::Malformed(what.into())
}

/// There is less audio than the file itself says.
fn cut_short() -> PromptError {
    malformed("ends before its audio does")
}

/// Reads over so many bytes.
fn skip(source: &mut impl Read, bytes: u64) -> Result<(), PromptError> {
    let skipped = io::copy(&mut source.take(bytes), &mut io::sink()).map_err(unreadable)?;
    if skipped == bytes { Ok(()) } else { Err(malformed("ends within its header")) }
}
