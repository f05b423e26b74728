//! A recording on its way to its file: one frame for each frame of our clock, whatever the network brought, so that the
//! file is as long as it lasted. It leaves as linear samples at the leg's rate; encoding is the writer's business
//! ([`file::Writer`](crate::file::Writer)), on another thread.
//!
//! ```text
//!   frame of 20 ms ─▶ held back for 60–160 ms ─▶ trimmed, where that is wanted ─▶ chunks to the writer
//!                     └ where the beginnings of keys are silenced, if they shall not be heard, and the end cut off
//! ```
//! A finish key is known as one that ends the recording when it is released. From its beginning on all is held back.

mod trim;

use std::time::Duration;

use crate::codec::{Codec, SAMPLE_RATE, TICKS};
use crate::dtmf::generate::ToneGenerator;
use crate::dtmf::mute::Mute;
use crate::event::{ActionId, Chunk, Key, KeySet, RecordEnd, RecordingId};
use crate::record::trim::Trim;
use crate::shared::Shared;
use crate::strip::{Strip, take};
use crate::{FRAME, FRAME_SAMPLES, SPAN_FRAMES};

/// Frames that are held back at most, 100 ms: then all but what is held back at least goes to the writer. Of MP3 it cannot give all to
/// the file, 2,260 samples (94 ms) less: together they stay under the 200 ms that a crash may cost.
const HAND_OUT: usize = 5;
/// The same of a recording that may have its frames in spans, 160 ms: what is recorded in one is handed out as one piece when
/// it is over.
const HAND_OUT_OF_SPANS: usize = HELD_BACK + SPAN_FRAMES as usize;
/// As long after a key it may still be the one that ends the recording: the rest of the span that it was found in, and a frame
/// in which the application's server hears of it.
const KEY_WAIT: Duration = FRAME.saturating_mul(SPAN_FRAMES + 1);
/// Frames that are held back at least, 60 ms, of a leg's recording: where a key began that is known since a packet or a few
/// blocks of a tone can still be silenced, or be its end.
pub(crate) const HELD_BACK: usize = 3;
/// The longest press that is held back, so that memory is bounded: of a finish key that is held for longer, the rest is in
/// the file. Nobody waits longer for what a key does.
const LONGEST_PRESS: Duration = Duration::from_secs(5);
/// As long before the frame in which a tone is known as a key it may have begun: two frames (`dtmf/mute.rs`).
const TONE_ONSET: Duration = Mute::DELAY;

/// What is asked of a recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// How many parties are in its frames: 1, or 2 in turn, the first one left.
    pub(crate) channels: u16,
    /// Whether a beep comes first.
    pub(crate) beep: bool,
    /// The longest recording; what is trimmed off counts, a pause does not.
    pub(crate) max: Duration,
    /// Whether the quiet at its ends is left out.
    pub(crate) trim_silence: bool,
    /// Frames that are held back at least.
    pub(crate) held_back: usize,
    /// What keys are to it.
    pub(crate) keys: Keys,
    /// Whether its frames may come several at a time, as its encoder keeps nothing back.
    pub(crate) in_spans: bool,
}

/// What the keys that are pressed are to a recording.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keys {
    /// Whether they are silenced.
    pub(crate) mute: bool,
    /// Those that may end it.
    pub(crate) finish: KeySet,
}

impl Wish {
    /// Of a talk of several parties, which ends where it is told to.
    pub(crate) fn of_talk(channels: u16, max: Duration) -> Self {
        Self {
            channels,
            beep: false,
            max,
            trim_silence: false,
            keys: Keys::default(),
            held_back: 0,
            in_spans: false,
        }
    }
}

/// One recording.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) action: ActionId,
    id: RecordingId,
    /// What the far end hears first.
    beep: Option<ToneGenerator>,
    is_paused: bool,
    trim: Option<Trim>,
    keys: Keys,
    held_back: usize,
    in_spans: bool,
    /// The finish key that is pressed or has just been.
    press: Option<Press>,
    /// Ticks at most.
    max: u64,
    /// Ticks so far, what is held back and what was trimmed off included.
    recorded: u64,
    /// Ticks that were handed out.
    handed_out: u64,
    /// What is held back, of all channels in turn, and its rate.
    held: Strip,
    rate: u32,
    channels: u16,
}

/// Where a finish key lies in a recording, in ticks of it.
#[derive(Clone, Copy, Debug)]
struct Press {
    begin: u64,
    /// When it will not end the recording any more; not known before its own end.
    until: Option<u64>,
}

impl Recording {
    pub(crate) fn new(action: ActionId, id: RecordingId, wish: Wish) -> Self {
        Self {
            action,
            id,
            beep: wish.beep.then(|| ToneGenerator::beep(SAMPLE_RATE)),
            is_paused: false,
            trim: wish.trim_silence.then(Trim::default),
            keys: wish.keys,
            held_back: wish.held_back,
            in_spans: wish.in_spans,
            press: None,
            max: ticks_in(wish.max),
            recorded: 0,
            handed_out: 0,
            held: Strip::default(),
            // Of no frame yet: nothing lasts nothing.
            rate: SAMPLE_RATE,
            channels: wish.channels.max(1),
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

    /// Stops recording for a while, or goes on. What is heard meanwhile is not in the file, and takes no time in it.
    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Whether keys are silenced.
    pub(crate) fn mutes_keys(&self) -> bool {
        self.keys.mute
    }

    /// How many parties are in its frames.
    pub(crate) fn channels(&self) -> u16 {
        self.channels
    }

    /// Whether it takes what was heard as it came ([`Recording::write_codes`]) and in spans, since nothing has to be looked
    /// into.
    pub(crate) fn takes_codes(&self) -> bool {
        self.in_spans && self.trim.is_none() && !self.keys.mute && !self.is_beeping()
    }

    /// A key began so long ago. Where it ends the recording, nothing of it and of what follows is to be in it.
    pub(crate) fn key_began(&mut self, key: Key, ago: Duration) {
        if self.press.is_none() && self.keys.finish.contains(key) {
            let ago = if self.is_paused { 0 } else { ticks_in(ago) };
            self.press = Some(Press { begin: self.recorded.saturating_sub(ago), until: None });
        }
    }

    /// A key is over: it ends the recording soon or not at all.
    pub(crate) fn key_ended(&mut self) {
        let until = self.recorded + ticks_in(KEY_WAIT);
        if let Some(press) = &mut self.press {
            press.until.get_or_insert(until);
        }
    }

    /// Whether the longest duration is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.recorded == self.max
    }

    /// Records what was heard in one frame, of all channels in turn. `is_key`: a key was on.
    pub(crate) fn write(&mut self, rate: u32, frame: &[i16], is_key: bool, shared: &mut Shared) {
        if self.is_paused {
            return;
        }
        let channels = usize::from(self.channels);
        let moments = self.make_room(rate, frame.len() / channels, shared);
        let silenced = self.held_in(TONE_ONSET) + frame.len();
        let held = self.held.linear();
        held.extend_from_slice(&frame[..moments * channels]);
        if is_key && self.keys.mute {
            let begin = held.len().saturating_sub(silenced);
            held[begin..].fill(0);
        }
        self.hand_out_if_enough(shared);
    }

    /// The same of what was heard in the codes of a law, by a recording that takes them.
    pub(crate) fn write_codes(&mut self, law: Codec, codes: &[u8], shared: &mut Shared) {
        if self.is_paused {
            return;
        }
        let samples = self.make_room(law.sample_rate(), codes.len(), shared);
        self.held.codes(law).extend_from_slice(&codes[..samples]);
        self.hand_out_if_enough(shared);
    }

    /// The frames that were due have been recorded.
    pub(crate) fn end_span(&mut self, shared: &mut Shared) {
        self.hand_out_from(HAND_OUT, shared);
    }

    /// Counts so many samples of each channel that are to be held. Returns for how many of them there is time.
    fn make_room(&mut self, rate: u32, samples: usize, shared: &mut Shared) -> usize {
        if rate != self.rate {
            // Another codec came to hold: what was heard in the former is complete.
            self.hand_out(0, shared);
            self.rate = rate;
        }
        let room = usize::try_from((self.max - self.recorded) / sample_ticks(rate)).unwrap_or(usize::MAX);
        self.recorded += samples as u64 * sample_ticks(rate);
        // A part of a sample is none.
        self.recorded = if samples >= room { self.max } else { self.recorded };
        samples.min(room)
    }

    fn hand_out_if_enough(&mut self, shared: &mut Shared) {
        let recorded = self.recorded;
        self.press = self.press.filter(|press| press.until.is_none_or(|until| recorded <= until));
        self.hand_out_from(if self.takes_codes() { HAND_OUT_OF_SPANS } else { HAND_OUT }, shared);
    }

    /// Hands out all but what is held back, where so many frames are held at least.
    fn hand_out_from(&mut self, frames: usize, shared: &mut Shared) {
        let (frame, longest) = (self.held_in(FRAME), self.held_in(LONGEST_PRESS));
        let at_least = self.held_back * frame;
        let keep = self.since_press().map_or(at_least, |since| since.clamp(at_least, longest));
        if self.held.len() >= keep + frames * frame - at_least {
            self.hand_out(keep, shared);
        }
    }

    /// Samples of all channels since the beginning of a finish key.
    fn since_press(&self) -> Option<usize> {
        let ticks = self.recorded - self.press?.begin;
        let samples = usize::try_from(ticks / sample_ticks(self.rate)).unwrap_or(usize::MAX);
        Some(samples.saturating_mul(usize::from(self.channels)))
    }

    /// Records silence for frames that were skipped: as one piece, for they may be many.
    pub(crate) fn skip(&mut self, frames: u64, shared: &mut Shared) {
        if self.is_paused {
            return;
        }
        self.hand_out(0, shared);
        let sample = sample_ticks(self.rate);
        let samples = (frames * samples_in(FRAME, self.rate) as u64).min((self.max - self.recorded) / sample);
        self.recorded += samples * sample;
        self.pass_on(Chunk::Silence { rate: self.rate, samples }, shared);
    }

    /// Hands out the rest, and the end mark. `trim`: a key ends it that was pressed so long. Returns how long the recording is.
    pub(crate) fn finish(mut self, end: RecordEnd, trim: Duration, shared: &mut Shared) -> Duration {
        let by_key = end == RecordEnd::Stopped && !trim.is_zero();
        let trimmed = if by_key { self.since_press().unwrap_or_else(|| self.held_in(trim)) } else { 0 };
        self.hand_out(trimmed, shared);
        shared.record(self.id, Chunk::End);
        let nanos = u128::from(self.handed_out) * 1_000_000_000 / u128::from(TICKS);
        Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
    }

    /// Hands out all that is held: no more comes for some frames.
    pub(crate) fn hand_out_all(&mut self, shared: &mut Shared) {
        self.hand_out(0, shared);
    }

    /// Hands out what is held but for so many samples at its end.
    fn hand_out(&mut self, keep: usize, shared: &mut Shared) {
        let out = self.held.len().saturating_sub(keep);
        if out == 0 {
            return;
        }
        // The memory goes to another thread with it.
        let chunk = match self.held.law() {
            Some(law) => Chunk::Codes { law, codes: take(self.held.codes(law), out, <[u8]>::to_vec) },
            None => {
                let samples = take(self.held.linear(), out, <[i16]>::to_vec);
                Chunk::Data { rate: self.rate, channels: self.channels, samples }
            }
        };
        self.pass_on(chunk, shared);
    }

    /// What is held of so short a time, all channels together.
    fn held_in(&self, time: Duration) -> usize {
        samples_in(time, self.rate) * usize::from(self.channels)
    }

    fn pass_on(&mut self, chunk: Chunk, shared: &mut Shared) {
        match &mut self.trim {
            None => {
                self.handed_out += ticks_of(&chunk);
                shared.record(self.id, chunk);
            }
            Some(trim) => {
                for chunk in trim.push(chunk) {
                    self.handed_out += ticks_of(&chunk);
                    shared.record(self.id, chunk);
                }
            }
        }
    }
}

/// Ticks in so long a time, rounded down.
fn ticks_in(time: Duration) -> u64 {
    let ticks = time.as_nanos().saturating_mul(u128::from(TICKS)) / 1_000_000_000;
    ticks.try_into().unwrap_or(u64::MAX)
}

fn sample_ticks(rate: u32) -> u64 {
    u64::from(TICKS / rate.max(1)).max(1)
}

/// How long a chunk lasts.
fn ticks_of(chunk: &Chunk) -> u64 {
    chunk.length().map_or(0, |(rate, samples)| samples.saturating_mul(sample_ticks(rate)))
}

/// Samples in a short stretch of time.
fn samples_in(time: Duration, rate: u32) -> usize {
    usize::try_from(time.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(usize::MAX)
}
