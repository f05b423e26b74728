//! A recording on its way to its file: one frame for each frame of our clock, whatever the network brought, so that the
//! file is as long as it lasted.
//!
//! ```text
//!   frame of 20 ms ─▶ held back for 80–200 ms ─▶ chunks to the file
//!                     └ where a key's first 40 ms are silenced, and the end trimmed
//! ```

use std::time::Duration;

use crate::codec::SAMPLE_RATE;
use crate::codec::resample::Resampler;
use crate::dtmf::generate::ToneGenerator;
use crate::event::{ActionId, Chunk, RecordEnd, RecordingId};
use crate::file::RecordFormat;
use crate::shared::Shared;
use crate::{FRAME_SAMPLES, duration_to_samples, samples_to_duration};

/// What is held back reaches this, 200 ms, and all but [`HELD_BACK`] goes to the file: a crash costs no more.
const HAND_OUT: usize = 1600;
/// What is held back at least, 80 ms: the end of a recording that can be trimmed or silenced.
const HELD_BACK: usize = 640;
/// A tone is known as a key after 30 ms and is heard in frames of 20 ms: its beginning has been written as sound.
const TONE_ONSET: usize = 400;

/// One recording.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) action: ActionId,
    id: RecordingId,
    format: RecordFormat,
    /// What the far end hears first.
    beep: Option<ToneGenerator>,
    /// Samples at most.
    max: u64,
    /// Samples so far, what is held back included.
    recorded: u64,
    /// Encoded, not handed out yet.
    held: Vec<u8>,
    /// From the leg's rate, where it is not the file's.
    resampler: Option<(u32, Box<Resampler>)>,
    /// Samples at the file's rate.
    samples: Vec<i16>,
}

impl Recording {
    pub(crate) fn new(
        action: ActionId,
        id: RecordingId,
        format: RecordFormat,
        beep: bool,
        max: Duration,
    ) -> Self {
        Self {
            action,
            id,
            format,
            beep: beep.then(|| ToneGenerator::beep(SAMPLE_RATE)),
            max: duration_to_samples(max),
            recorded: 0,
            held: Vec::new(),
            resampler: None,
            samples: Vec::new(),
        }
    }

    /// The next frame of the beep; none when it is over. Nothing is recorded before.
    pub(crate) fn beep(&mut self) -> Option<[i16; FRAME_SAMPLES]> {
        let beep = self.beep.as_mut()?;
        let mut samples = [0; FRAME_SAMPLES];
        beep.fill(&mut samples);
        if beep.remaining() == 0 {
            self.beep = None;
        }
        Some(samples)
    }

    pub(crate) fn is_beeping(&self) -> bool {
        self.beep.is_some()
    }

    /// Whether the longest duration is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.recorded == self.max
    }

    /// Writes what was heard in one frame, at `rate`.
    pub(crate) fn write(&mut self, frame: &[i16], rate: u32, shared: &mut Shared) {
        self.samples.clear();
        if rate == SAMPLE_RATE {
            self.samples.extend_from_slice(frame);
        } else {
            let kept = self.resampler.take().filter(|(from, _)| *from == rate);
            self.resampler = kept.or_else(|| Some((rate, Box::new(Resampler::new(rate, SAMPLE_RATE)?))));
            if let Some((_, resampler)) = &mut self.resampler {
                resampler.push(frame, &mut self.samples);
            }
            // The first frame lacks what the filter holds back; one frame is recorded for each that was heard.
            let lacking = FRAME_SAMPLES.saturating_sub(self.samples.len());
            self.samples.splice(..0, std::iter::repeat_n(0, lacking));
        }
        self.samples.truncate(self.room(self.samples.len()));
        self.recorded += self.samples.len() as u64;
        self.format.encode(&self.samples, &mut self.held);
        self.hand_out(shared);
    }

    /// Writes frames of silence: for a key that shall not be heard, and for frames that were skipped.
    pub(crate) fn write_silence(&mut self, frames: u64, shared: &mut Shared) {
        for _ in 0..frames {
            let samples = self.room(FRAME_SAMPLES);
            if samples == 0 {
                return;
            }
            self.recorded += samples as u64;
            self.format.silence(samples, &mut self.held);
            self.hand_out(shared);
        }
    }

    /// A tone that has just been known as a key is silenced from its beginning.
    pub(crate) fn silence_onset(&mut self) {
        let samples = (self.held.len() / self.sample_bytes()).min(TONE_ONSET);
        self.cut(samples);
        self.format.silence(samples, &mut self.held);
    }

    /// Hands out the rest but for `trim` at its end, and the end mark. Returns how long the recording is.
    pub(crate) fn finish(mut self, end: RecordEnd, trim: Duration, shared: &mut Shared) -> Duration {
        if end == RecordEnd::Stopped {
            let trim = usize::try_from(duration_to_samples(trim)).unwrap_or(usize::MAX);
            let trim = trim.min(self.held.len() / self.sample_bytes());
            self.cut(trim);
            self.recorded -= trim as u64;
        }
        if !self.held.is_empty() {
            shared.record(self.id, Chunk::Data(std::mem::take(&mut self.held)));
        }
        shared.record(self.id, Chunk::End);
        samples_to_duration(self.recorded)
    }

    fn room(&self, samples: usize) -> usize {
        usize::try_from(self.max - self.recorded).map_or(samples, |room| room.min(samples))
    }

    fn cut(&mut self, samples: usize) {
        self.held.truncate(self.held.len() - samples * self.sample_bytes());
    }

    fn hand_out(&mut self, shared: &mut Shared) {
        if self.held.len() >= HAND_OUT * self.sample_bytes() {
            let rest = self.held.split_off(self.held.len() - HELD_BACK * self.sample_bytes());
            shared.record(self.id, Chunk::Data(std::mem::replace(&mut self.held, rest)));
        }
    }

    fn sample_bytes(&self) -> usize {
        usize::try_from(self.format.bytes_for(1)).unwrap_or(1)
    }
}
