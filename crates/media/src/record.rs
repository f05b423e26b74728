//! A recording on its way to its file: one frame for each frame of our clock, whatever the network brought, so that the
//! file is as long as it lasted. It leaves as linear samples at the leg's rate, or in the codes of a law; encoding is the
//! writer's business ([`file::Writer`](crate::file::Writer)), on another thread.
//!
//! ```text
//!   frame of 20 ms ─▶ what was said before is left out (`moments.rs`) ─▶ held back for 20–100 ms ─▶ trimmed, where that
//!                                                                        is wanted ─▶ chunks to the writer
//!                           where the beginnings of keys are silenced, if they shall not be heard, and the end cut off
//! ```
//! A finish key is known as one that ends the recording when it is released. From its beginning on all is held back.

mod moments;
mod trim;

use std::time::Duration;

use crate::codec::{FRAME_TICKS, SAMPLE_RATE, TICKS};
use crate::dtmf::generate::ToneGenerator;
use crate::dtmf::keyed::Keyed;
use crate::event::{ActionId, Chunk, Key, KeySet, RecordEnd, RecordingId};
use crate::playout::Stream;
pub(crate) use crate::record::moments::Lead;
use crate::record::moments::Moments;
use crate::record::trim::Trim;
use crate::shared::Shared;
use crate::strip::{Heard, Strip, take};
use crate::{FRAME, FRAME_SAMPLES};

/// Frames that are held at most, 100 ms: what has been recorded by then goes to the writer, but for what is held back.
const HAND_OUT: usize = 5;
/// Frames that are held back, 40 ms, of a recording for which tones are looked into: where a key began that is known since a
/// few blocks can still be silenced, or be its end (`dtmf/mute.rs`).
const HELD_BACK: usize = 2;
/// The same of what is recorded as it came: where a telephone-event began is known before it is heard, but for the tone that
/// some gateways leave in the audio beside it.
const HELD_BACK_AS_IT_CAME: usize = 1;
/// As long after a key it may still be the one that ends the recording: much longer than the application's server takes to say
/// so on a busy day. Until then it is not in the file.
const KEY_WAIT: Duration = Duration::from_secs(1);
/// The longest press that is held back, so that memory is bounded: of a finish key that is held for longer, the rest is in
/// the file, as silence. Nobody waits longer for what a key does.
const LONGEST_PRESS: Duration = Duration::from_secs(5);

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
    /// What keys are to it.
    pub(crate) keys: Keys,
    /// Whether its frames may come several at a time: its encoder keeps nothing back, or the jitter buffer does not.
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
        Self { channels, beep: false, max, trim_silence: false, keys: Keys::default(), in_spans: true }
    }
}

/// One recording.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) action: ActionId,
    id: RecordingId,
    /// What the far end hears first.
    beep: Option<ToneGenerator>,
    moments: Moments,
    trim: Option<Trim>,
    keys: Keys,
    in_spans: bool,
    /// The finish key that is pressed or has just been.
    press: Option<Press>,
    /// Whether that key ends it.
    ends_at_press: bool,
    /// Why it ends, once it is told to.
    why: RecordEnd,
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

/// When a key began, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    /// What is heard before it; negative where its beginning has been heard. None where nothing is heard.
    pub(crate) until: Option<i64>,
    /// By the clock, where that is known.
    pub(crate) ago: Option<u64>,
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
            moments: Moments::new(),
            trim: wish.trim_silence.then(Trim::default),
            keys: wish.keys,
            in_spans: wish.in_spans,
            press: None,
            ends_at_press: false,
            why: RecordEnd::Stopped,
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

    /// It begins, where no beep comes first, or that is over.
    pub(crate) fn begin(&mut self, lead: Lead) {
        self.moments.begin(lead);
    }

    /// Stops recording for a while, or goes on, with what is heard after so many ticks. What is said meanwhile is not in the file,
    /// and takes no time in it.
    pub(crate) fn pause(&mut self, is_paused: bool, until: Option<u64>) {
        self.moments.pause(is_paused, until);
    }

    /// Nothing that is said from now on is to be in it; where a key ends it, nothing from its beginning on, if it was seen to begin:
    /// that of an INFO was not. What was said before may still be in the jitter buffer: see [`Recording::over`].
    pub(crate) fn end(&mut self, why: RecordEnd, by_key: bool) {
        self.why = why;
        self.ends_at_press |= by_key && self.press.is_some() && !self.moments.is_ending();
        self.moments.end();
    }

    /// Whether it has been told to end, and waits for what is still to be heard.
    pub(crate) fn is_ending(&self) -> bool {
        self.moments.is_ending()
    }

    /// Why it is over, once it is.
    pub(crate) fn over(&self) -> Option<RecordEnd> {
        let is_reached = match self.press.filter(|_| self.ends_at_press) {
            Some(press) => self.moments.is_paused() || self.recorded >= press.begin,
            None => self.moments.since_end().is_some(),
        };
        if is_reached { Some(self.why) } else { self.is_full().then_some(RecordEnd::MaxDuration) }
    }

    /// Whether keys are silenced.
    pub(crate) fn mutes_keys(&self) -> bool {
        self.keys.mute
    }

    /// How many parties are in its frames.
    pub(crate) fn channels(&self) -> u16 {
        self.channels
    }

    /// Whether it takes what was heard as it came, in codes, and in spans, since nothing has to be looked into.
    pub(crate) fn takes_codes(&self) -> bool {
        self.in_spans && self.trim.is_none() && !self.keys.mute && !self.is_beeping()
    }

    /// A key begins. Where it ends the recording, nothing of it and of what follows is to be in it.
    pub(crate) fn key_began(&mut self, key: Key, began: Began) {
        if self.press.is_none() && self.keys.finish.contains(key) {
            let begin =
                if self.moments.is_paused() || self.is_beeping() { self.recorded } else { self.place(began) };
            self.press = Some(Press { begin: begin.min(self.max), until: None });
        }
    }

    /// Where in the recording a key began: by what is heard, which is exact; but the file is to be as long as the clock says,
    /// within a frame, however the jitter buffer's delay has changed.
    fn place(&self, Began { until, ago }: Began) -> u64 {
        let by_ear = until.map(|until| {
            self.recorded.saturating_add_signed(until.saturating_sub_unsigned(self.moments.lead()))
        });
        let by_clock = ago.map(|ago| (self.recorded + self.moments.delay()).saturating_sub(ago));
        let frame = FRAME_TICKS as u64;
        match (by_ear, by_clock) {
            (Some(ear), Some(clock)) => ear.clamp(clock.saturating_sub(frame), clock + frame),
            (ear, clock) => ear.or(clock).unwrap_or(self.recorded),
        }
    }

    /// A key is pressed while it begins.
    pub(crate) fn key_lasts(&mut self, key: Key) {
        if self.keys.finish.contains(key) {
            self.press = Some(Press { begin: 0, until: None });
        }
    }

    /// A key is over: it ends the recording soon or not at all.
    pub(crate) fn key_ended(&mut self) {
        let recorded = self.recorded;
        if let Some(press) = &mut self.press {
            press.until.get_or_insert(recorded.max(press.begin) + ticks_in(KEY_WAIT));
        }
    }

    /// Whether the longest duration is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.recorded == self.max
    }

    /// Records what was heard in one frame, of all channels in turn: samples at a rate, or codes where it takes them. What of it
    /// belongs to keys is silenced, where that is wanted.
    pub(crate) fn write(
        &mut self,
        rate: u32,
        heard: Heard<'_>,
        stream: Stream,
        keyed: Option<&Keyed>,
        shared: &mut Shared,
    ) {
        let channels = usize::from(self.channels);
        let moments = heard.len() / channels;
        let Some(left_out) = self.moments.frame(moments as u64 * sample_ticks(rate), stream) else {
            return;
        };
        let left_out = usize::try_from(left_out / sample_ticks(rate)).unwrap_or(usize::MAX).min(moments);
        let taken = left_out..left_out + self.make_room(rate, moments - left_out, shared);
        match heard {
            Heard::Codes(law, codes) => self.held.codes(law).extend_from_slice(&codes[taken]),
            Heard::Linear(samples) => {
                let held = self.held.linear();
                let begin = held.len();
                held.extend_from_slice(samples);
                if let Some(keyed) = keyed.filter(|_| self.keys.mute) {
                    let (earlier, frame) = held.split_at_mut(begin);
                    keyed.silence_before(earlier, rate);
                    keyed.silence(frame);
                }
                held.truncate(begin + taken.end * channels);
                held.drain(begin..begin + taken.start * channels);
            }
        }
        self.hand_out_if_enough(shared);
    }

    /// The frames of a span have been recorded, in which it takes codes: they are handed out as one piece.
    pub(crate) fn end_span(&mut self, shared: &mut Shared) {
        self.hand_out_from(1, shared);
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
        self.press = self
            .press
            .filter(|press| self.ends_at_press || press.until.is_none_or(|until| recorded <= until));
        // Of MP3 the writer cannot give all to the file, 2,260 samples (94 ms) less: it has each frame as soon as may be, so that
        // together with the delay of what is heard they stay under the 200 ms that a crash may cost.
        self.hand_out_from(if self.in_spans { HAND_OUT } else { 1 }, shared);
    }

    /// Hands out all but what is held back, where so many frames are held, at least one of which may go.
    fn hand_out_from(&mut self, frames: usize, shared: &mut Shared) {
        let (frame, longest) = (self.held_in(FRAME), self.held_in(LONGEST_PRESS));
        let held_back = match self.keys.mute || !self.keys.finish.is_empty() {
            true if self.takes_codes() => HELD_BACK_AS_IT_CAME,
            true => HELD_BACK,
            false => 0,
        };
        let at_least = held_back * frame;
        let keep = self.since_press().map_or(at_least, |since| since.clamp(at_least, longest));
        if self.held.len() >= keep + frames.saturating_sub(held_back).max(1) * frame {
            self.hand_out(keep, shared);
        }
    }

    /// Samples of all channels since the beginning of a finish key.
    fn since_press(&self) -> Option<usize> {
        Some(self.in_all_channels(self.recorded.saturating_sub(self.press?.begin)))
    }

    /// Samples of all channels in so many ticks.
    fn in_all_channels(&self, ticks: u64) -> usize {
        let samples = usize::try_from(ticks / sample_ticks(self.rate)).unwrap_or(usize::MAX);
        samples.saturating_mul(usize::from(self.channels))
    }

    /// Records silence for frames that were skipped: as one piece, for they may be many.
    pub(crate) fn skip(&mut self, frames: u64, shared: &mut Shared) {
        let ticks = frames * FRAME_TICKS as u64;
        let Some(left_out) = self.moments.frame(ticks, Stream::None) else { return };
        self.hand_out(0, shared);
        let sample = sample_ticks(self.rate);
        let samples = ((ticks - left_out) / sample).min((self.max - self.recorded) / sample);
        self.recorded += samples * sample;
        self.pass_on(Chunk::Silence { rate: self.rate, samples }, shared);
    }

    /// Hands out the rest, less what came after its end, and the end mark. Returns how long the recording is.
    pub(crate) fn finish(mut self, shared: &mut Shared) -> Duration {
        let cut = match self.press.filter(|_| self.ends_at_press) {
            Some(_) => self.since_press().unwrap_or_default(),
            None => self.in_all_channels(self.moments.since_end().unwrap_or_default()),
        };
        self.hand_out(cut, shared);
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
        if let Some(since) = self.since_press()
            && since > keep
        {
            let begin = self.held.len().saturating_sub(since).min(out);
            self.held.linear()[begin..out].fill(0);
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
