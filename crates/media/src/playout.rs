//! Playout: what is heard in each frame of 20 ms, made of packets that come when they will.
//!
//! ```text
//!   packets ─▶ jitter buffer ─▶ decoder ─▶ samples of the next packets ─▶ one frame of them each 20 ms
//!   of 10–60 ms                    concealment where they lack ┘    └ longer or shorter by a period where the delay is off
//! ```
//! The frame is asked for by our clock, always. So whatever the network does, a second has 50 frames, and what is
//! recorded of them is as long as it lasted. Frames are linear, at the rate of the leg: whatever codec a packet is in.
//!
//! The delay adapts. It is held near one packet and three times the jitter (RFC 3550 A.8), more for a while after a
//! packet came late. A late packet makes it grow at once, by periods of the voice that are heard twice (`stretch.rs`). It
//! shrinks slowly, and so does what gathers where the peer's clock is faster than ours. Delays are counted in ticks of
//! 1/48,000 s, which all rates divide.

use crate::codec::comfort_noise::{Generator, Sid};
use crate::codec::conceal::Concealer;
use crate::codec::resample::{Resampler, resample_all};
use crate::codec::{Codec, Decoder, FRAME_TICKS, TICKS};
use crate::jitter::{Inserted, JitterBuffer, Taken};
use crate::stretch;
use crate::strip::{Heard, Strip};

/// Ticks in a millisecond.
const MS: usize = 48;
/// The shortest and longest delay that is aimed at: 20 and 200 ms. Beyond, a talk becomes a duplex of turns.
const TARGET: std::ops::RangeInclusive<usize> = 20 * MS..=200 * MS;
/// Delay beside packet and jitter: at first, and at least.
const FIRST_MARGIN: usize = 20 * MS;
const LEAST_MARGIN: usize = 10 * MS;
/// The delay that is aimed at before anything has come, in ticks.
pub(crate) const FIRST_TARGET: usize = FRAME_TICKS + FIRST_MARGIN;
/// How much of the margin is given back in each window without a late packet.
const MARGIN_DECAY: usize = 2 * MS;
/// The window in which the most delay is looked for, that of the packets that the network delays least: 2 s.
const WINDOW_FRAMES: u32 = 100;
/// How far it may lie over or under the target before it is changed.
const SURPLUS: usize = 30 * MS;
const DEFICIT: usize = 8 * MS;
/// A change of less than this is none: half the longest period that it is made of.
const LEAST_CHANGE: isize = 6 * MS.cast_signed();
/// Between two periods that are left out, so that nobody hears haste: 100 ms.
const REST_FRAMES: u32 = 5;
/// As long as this a pause is waited for, to leave out silence and not what is said: 1 s, in which most talkers take breath.
const PATIENCE_FRAMES: u32 = 50;
/// A frame whose peak is below this is silence for the ear (-48 dBm0).
const SILENT_PEAK: u16 = 128;
/// What is more than the longest target and this, beside a packet, is no drift but a burst after a short standstill, and is given up at
/// once: as much more is tolerated in each window.
const EXCESS: usize = SURPLUS;
/// More than this is a burst after a long one, of which only what is aimed at is kept: twice the longest target.
const OVERFULL: usize = 400 * MS;
/// Noise need not be secret, nor differ from leg to leg.
const NOISE_SEED: u32 = 1;
/// Frames without a packet after which the stream has paused, and fills again before it is heard.
const DRY_FRAMES: u32 = 3;

/// The stream that one leg hears.
#[derive(Debug)]
pub(crate) struct Playout {
    rate: u32,
    buffer: JitterBuffer,
    /// What the silence of a talker who sends nothing sounds like, since he said so.
    noise: Option<Box<Generator>>,
    /// Of the codec of the last packet that was taken, with the way from its rate to ours.
    decoder: Option<(Decoder, Option<Resampler>)>,
    /// The law in which the present frame may be left as it came.
    law: Option<Codec>,
    /// Of packets that have been taken, in order.
    ready: Strip,
    state: State,
    frame: Strip,
    concealer: Box<Concealer>,
    /// Ticks of the last packet.
    packet: usize,
    /// In ticks, from the receiver's books.
    jitter: usize,
    margin: usize,
    window: Window,
    /// By how much the delay is to grow, or to shrink if negative, in ticks.
    change: isize,
    /// Frames until a period may be left out.
    rest: u32,
    /// Frames that a pause has been waited for, while the delay is too long.
    waited: u32,
    /// Ticks that were made up since there was no packet any more: of one that is lost, or only late.
    ahead: usize,
    /// Ticks that were made up for lost and late packets.
    concealed: u64,
    scratch: Vec<i16>,
}

/// What a frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Nothing has come, or not for a while.
    None,
    /// Of one that has come and is not heard yet.
    Filling,
    /// Of one that is heard.
    Heard,
}

/// Whether something is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Silent,
    /// Packets wait until there are enough for the target.
    Filling { frames: usize },
    /// Heard; `dry` frames have passed without a packet.
    Playing { dry: u32 },
}

/// The most delay of the present window and of the one before, in ticks, and whether a packet was late in it.
#[derive(Clone, Copy, Debug)]
struct Window {
    frames: u32,
    most: usize,
    before: usize,
    late: bool,
}

const NEW_WINDOW: Window = Window { frames: 0, most: 0, before: 0, late: false };

impl Playout {
    /// Nothing has come yet; frames are at `rate`.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate,
            buffer: JitterBuffer::default(),
            noise: None,
            decoder: None,
            law: None,
            ready: Strip::default(),
            state: State::Silent,
            frame: Strip::default(),
            concealer: Box::new(Concealer::new(rate)),
            packet: FRAME_TICKS,
            jitter: 0,
            margin: FIRST_MARGIN,
            window: NEW_WINDOW,
            change: 0,
            rest: 0,
            waited: 0,
            ahead: 0,
            concealed: 0,
            scratch: Vec::new(),
        }
    }

    /// Reads something of what a frame and a packet need, to bring it into the caches.
    pub(crate) fn fetch(&self) -> bool {
        let Self { buffer, ready, frame, concealer, window, concealed, noise, .. } = self;
        let is_empty = ready.len() == 0 && frame.len() == 0;
        let is_zero = (*concealed == 0) ^ (window.most == 0) ^ (buffer.ticks() == 0);
        buffer.fetch() ^ is_empty ^ is_zero ^ noise.is_some() ^ concealer.is_fading()
    }

    /// Another stream begins; what was queued is gone.
    pub(crate) fn restart(&mut self) {
        self.buffer.restart();
        (self.decoder, self.noise) = (None, None);
        self.ready.clear();
        self.state = State::Silent;
        self.window = NEW_WINDOW;
        self.change = 0;
    }

    /// The stream goes on at another rate.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        if rate == self.rate {
            return;
        }
        let ready = self.ready.linear();
        *ready = resample_all(ready, self.rate, rate).unwrap_or_default();
        self.rate = rate;
        self.decoder = None;
        *self.concealer = Concealer::new(rate);
    }

    /// Queues a packet of the stream; an empty one keeps the place of a packet that is no audio. `jitter` is in seconds.
    pub(crate) fn insert(&mut self, place: u64, codec: Codec, payload: &[u8], jitter: f64) -> Inserted {
        let ticks = codec.samples_in(payload).unwrap_or_default() * codec.sample_ticks();
        let inserted =
            self.buffer.insert(place, Some(codec), payload, u32::try_from(ticks).unwrap_or(u32::MAX));
        match inserted {
            Inserted::Late { places } => {
                let by = usize::try_from(places).unwrap_or(usize::MAX).saturating_mul(self.packet);
                let missing = self.came_late(self.delay().saturating_add(by)).saturating_sub(self.delay());
                self.change = self.change.max(missing.min(by).cast_signed());
            }
            Inserted::Queued if ticks > 0 => {
                self.packet = ticks;
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
                let jitter = (jitter * f64::from(TICKS)) as usize;
                self.jitter = jitter;
            }
            Inserted::Queued | Inserted::Duplicate => {}
        }
        inserted
    }

    /// Queues a description of the silence that follows (RFC 3389).
    pub(crate) fn insert_noise(&mut self, place: u64, payload: &[u8]) -> Inserted {
        self.buffer.insert(place, None, payload, 0)
    }

    /// Keeps the place of something that we do not know, in what is heard or about to be: it is no loss. A pause goes on.
    pub(crate) fn insert_unknown(&mut self, place: u64) -> Inserted {
        if self.state == State::Silent && self.buffer.is_empty() {
            return Inserted::Queued;
        }
        self.buffer.insert(place, None, &[], 0)
    }

    /// No noise fills the silence any more.
    pub(crate) fn end_noise(&mut self) {
        self.noise = None;
    }

    /// The delay that is aimed at, in ticks.
    fn target(&self) -> usize {
        (self.packet + 3 * self.jitter.min(*TARGET.end()) + self.margin).clamp(*TARGET.start(), *TARGET.end())
    }

    /// How much is heard before what comes now, in ticks; negative if that should have come before. None while nothing is
    /// heard.
    pub(crate) fn until_next(&self) -> Option<i64> {
        let until = || i64::try_from(self.delay()).ok()?.checked_sub_unsigned(self.ahead as u64);
        self.is_heard().then(until)?
    }

    /// How much is heard before what is said now and the network delays least. None while nothing is heard.
    pub(crate) fn until_said(&self) -> Option<u64> {
        let until = self.until_next()?.max(0).unsigned_abs();
        Some(until.max(self.window.most.max(self.window.before) as u64))
    }

    /// The delay there is, in ticks: until the newest packet is heard, whether all before it have come or not.
    fn delay(&self) -> usize {
        self.ready.len() * self.sample_ticks() + self.buffer.ticks() + self.buffer.missing() * self.packet
    }

    fn sample_ticks(&self) -> usize {
        (TICKS / self.rate) as usize
    }

    /// How much was made up for packets that were lost or late since this was asked last, in ticks.
    pub(crate) fn take_concealed(&mut self) -> u64 {
        std::mem::take(&mut self.concealed)
    }

    /// The next frame, in place of what is there: one is asked for every 20 ms of our clock.
    pub(crate) fn frame_into(&mut self, frame: &mut Vec<i16>) {
        if self.ready.len() == 0 {
            // What is decoded now becomes the frame, and nothing of it is kept: so it is made where the frame is to be.
            frame.clear();
            std::mem::swap(self.ready.linear(), frame);
        }
        self.fill(None);
        std::mem::swap(self.frame.linear(), frame);
    }

    /// The next frame, left as it came where that is in this law and nothing had to be changed in it, and what it is of.
    pub(crate) fn frame_in(&mut self, law: Codec) -> (Heard<'_>, Stream) {
        self.fill(Some(law).filter(|law| law.sample_rate() == self.rate));
        let stream = self.stream();
        (self.frame.heard(), stream)
    }

    fn fill(&mut self, law: Option<Codec>) {
        self.law = law;
        self.frame.clear();
        let wanted = frame_samples(self.rate);
        if self.is_playing() {
            self.give_up_what_is_old();
            let took = self.take(wanted);
            self.note(took);
            self.adjust();
            let heard = self.ready.len().min(wanted);
            if heard == self.ready.len() {
                std::mem::swap(&mut self.ready, &mut self.frame);
            } else {
                self.ready.pour(heard, &mut self.frame);
            }
            if heard < wanted {
                self.make_up(heard, wanted);
            }
            self.watch();
        } else {
            let frame = self.frame.linear();
            frame.resize(wanted, 0);
            if let Some(noise) = &mut self.noise {
                noise.fill(frame);
            }
        }
    }

    /// Fills what lacks in the frame: with the noise that was described, or as if a packet were lost.
    fn make_up(&mut self, heard: usize, wanted: usize) {
        let ticks = self.sample_ticks();
        let frame = self.frame.linear();
        frame.resize(wanted, 0);
        match &mut self.noise {
            Some(noise) => noise.fill(&mut frame[heard..]),
            None => {
                self.ahead += (wanted - heard) * ticks;
                self.concealer.lost(&mut frame[heard..]);
            }
        }
    }

    /// Whether the last frame was of a stream that goes on.
    pub(crate) fn is_heard(&self) -> bool {
        self.stream() == Stream::Heard
    }

    /// Whether there is anything in the last frame: of a stream, or the noise that was described and lasts until there is one
    /// (RFC 3389 §4).
    pub(crate) fn has_sound(&self) -> bool {
        self.is_heard() || self.noise.is_some()
    }

    /// What the last frame was of.
    pub(crate) fn stream(&self) -> Stream {
        match self.state {
            State::Silent => Stream::None,
            State::Filling { .. } => Stream::Filling,
            State::Playing { .. } => Stream::Heard,
        }
    }

    /// Whether it is time to hear something.
    fn is_playing(&mut self) -> bool {
        let frames = match self.state {
            State::Playing { .. } => return true,
            State::Silent if self.buffer.is_empty() => return false,
            State::Silent => 0,
            State::Filling { frames } => frames,
        };
        let waited = frames * FRAME_TICKS;
        let enough = self.buffer.ticks() >= self.target() || waited >= self.target();
        if enough {
            // What was lost meanwhile has been a pause, and is not filled once more.
            self.buffer.skip_missing();
            self.ahead = 0;
            self.concealer.restart();
        }
        self.state = if enough { State::Playing { dry: 0 } } else { State::Filling { frames: frames + 1 } };
        enough
    }

    /// After a standstill of the network or of ourselves: the talk goes on with what is new.
    fn give_up_what_is_old(&mut self) {
        let kept = match self.buffer.ticks() {
            ticks if ticks > OVERFULL => self.target(),
            ticks if ticks > *TARGET.end() + EXCESS + self.packet => *TARGET.end(),
            _ => return,
        };
        self.ready.clear();
        while self.buffer.ticks() > kept {
            self.buffer.take();
        }
        self.window = NEW_WINDOW;
    }

    /// Takes packets until so many samples are ready or none is left. Returns whether there was any. Ends, since every turn
    /// takes a place of the buffer.
    fn take(&mut self, samples: usize) -> bool {
        let (mut took, mut late) = (false, 0);
        while self.ready.len() < samples {
            match self.buffer.take() {
                Taken::Packet(codec, payload) => {
                    // What was made up until the packet of an event came was that event's time, and no audio is late.
                    let made_up = std::mem::take(&mut self.ahead);
                    late += if payload.is_empty() { 0 } else { made_up };
                    if let (None, Some(sid)) = (codec, Sid::parse(payload)) {
                        self.noise.get_or_insert_with(|| Box::new(Generator::new(NOISE_SEED))).update(&sid);
                    }
                    if let (Some(codec), false) = (codec, payload.is_empty()) {
                        self.noise = None;
                        if self.law == Some(codec) && !self.concealer.is_fading() {
                            self.ready.codes(codec).extend_from_slice(payload);
                            self.concealer.arrived_in(codec, payload);
                        } else {
                            let ready = self.ready.linear();
                            let start = ready.len();
                            let decoder = decoder(&mut self.decoder, codec, self.rate);
                            decode(decoder, payload, &mut self.scratch, ready);
                            if codec.is_law()
                                && codec.sample_rate() == self.rate
                                && !self.concealer.is_fading()
                            {
                                // Samples that nobody looks at unless there is a loss.
                                self.concealer.arrived_in(codec, payload);
                            } else {
                                self.concealer.arrived(&mut ready[start..]);
                            }
                        }
                    }
                }
                // A later one is there: the time of this one is filled, so that the later one comes at its own.
                Taken::Lost => {
                    let left = self.packet.saturating_sub(self.ahead);
                    self.ahead = self.ahead.saturating_sub(self.packet);
                    self.concealed += self.packet as u64;
                    let (start, left_samples) = (self.ready.len(), left / self.sample_ticks());
                    // What was made up ahead has been heard, but a decoder has to know of the loss all the same.
                    let recovered = self.recover();
                    let ready = self.ready.linear();
                    if left < self.packet || !recovered {
                        ready.resize(start + left_samples, 0);
                        self.concealer.lost(&mut ready[start..]);
                    } else {
                        self.concealer.arrived(&mut ready[start..]);
                    }
                }
                Taken::Empty => break,
            }
            took = true;
        }
        if late > 0 {
            // It was no loss and no pause; the delay has grown by that already.
            self.concealed += late as u64;
            self.came_late(self.delay());
        }
        took
    }

    /// Lets the codec tell what the packet before the next one was, if it can, and appends that to what is ready.
    fn recover(&mut self) -> bool {
        let Some((decoder, resampler)) = &mut self.decoder else { return false };
        let codec = decoder.codec();
        let next = self.buffer.peek().filter(|(of, payload)| *of == Some(codec) && !payload.is_empty());
        let samples = self.packet / codec.sample_ticks();
        self.scratch.clear();
        if !decoder.decode_lost(next.map(|(_, payload)| payload), samples, &mut self.scratch) {
            return false;
        }
        match resampler {
            None => self.ready.linear().extend_from_slice(&self.scratch),
            Some(resampler) => resampler.push(&self.scratch, self.ready.linear()),
        }
        true
    }

    /// Takes note of a frame for which packets came or did not.
    fn note(&mut self, took: bool) {
        let State::Playing { dry } = self.state else { return };
        self.state = if took || self.ready.len() >= frame_samples(self.rate) {
            State::Playing { dry: 0 }
        } else if dry + 1 < DRY_FRAMES {
            State::Playing { dry: dry + 1 }
        } else {
            State::Silent
        };
    }

    /// A packet came later than it should have been heard: with so much delay it would have been in time. Returns the delay that is
    /// aimed at now.
    fn came_late(&mut self, needed: usize) -> usize {
        self.window.late = true;
        let more = needed.saturating_sub(self.target());
        self.margin = self.margin.saturating_add(more).min(*TARGET.end());
        self.target()
    }

    /// Lets a period be heard twice or leaves one out, where the delay is to change.
    fn adjust(&mut self) {
        self.rest = self.rest.saturating_sub(1);
        let ticks = self.sample_ticks();
        if self.change >= LEAST_CHANGE {
            let more = stretch::lengthen(self.ready.linear(), self.rate) * ticks;
            self.change = self.change.saturating_sub_unsigned(more).max(0);
        } else if self.change <= -LEAST_CHANGE && self.rest == 0 {
            let needed = frame_samples(self.rate) + stretch::enough(self.rate) / 2;
            self.take(needed);
            let is_silent = self.ready.linear().iter().all(|sample| sample.unsigned_abs() < SILENT_PEAK);
            self.waited += 1;
            if self.ready.len() >= needed && (is_silent || self.waited > PATIENCE_FRAMES) {
                (self.rest, self.waited) = (REST_FRAMES, if is_silent { 0 } else { self.waited });
                let less = stretch::shorten(self.ready.linear(), self.rate) * ticks;
                self.change = self.change.saturating_add_unsigned(less).min(0);
                // What there was before is not to be left out once more.
                (self.window.frames, self.window.most, self.window.before) = (0, 0, 0);
            }
        }
    }

    /// Watches the most delay that is left after a frame. At the target, it is the target less that frame: what the network
    /// delays others more by is in the target.
    fn watch(&mut self) {
        self.window.most = self.window.most.max(self.delay());
        self.window.frames += 1;
        if self.window.frames < WINDOW_FRAMES {
            return;
        }
        if !self.window.late {
            self.margin = self.margin.saturating_sub(MARGIN_DECAY).max(LEAST_MARGIN);
        }
        let aim = self.target() - FRAME_TICKS;
        let off = aim.cast_signed() - self.window.most.cast_signed();
        // A stream begins with whole packets, so that there may be one more of long ones.
        let tolerated = -SURPLUS.max(self.packet).cast_signed()..=DEFICIT.cast_signed();
        self.change = if tolerated.contains(&off) { 0 } else { off };
        if self.change >= 0 {
            self.waited = 0;
        }
        self.window = Window { before: self.window.most, ..NEW_WINDOW };
    }
}

/// Samples in a frame at a rate.
fn frame_samples(rate: u32) -> usize {
    FRAME_TICKS * rate as usize / TICKS as usize
}

/// The decoder of a codec, with the way to `rate`.
fn decoder(
    decoder: &mut Option<(Decoder, Option<Resampler>)>,
    codec: Codec,
    rate: u32,
) -> &mut (Decoder, Option<Resampler>) {
    let kept = decoder.take().filter(|(decoder, _)| decoder.codec() == codec);
    decoder.insert(kept.unwrap_or_else(|| {
        let from = codec.sample_rate();
        let resampler = if from == rate { None } else { Resampler::new(from, rate) };
        (Decoder::new(codec), resampler)
    }))
}

fn decode(
    (decoder, resampler): &mut (Decoder, Option<Resampler>),
    payload: &[u8],
    scratch: &mut Vec<i16>,
    out: &mut Vec<i16>,
) {
    match resampler {
        None => decoder.decode(payload, out),
        Some(resampler) => {
            scratch.clear();
            decoder.decode(payload, scratch);
            resampler.push(scratch, out);
        }
    }
}

#[cfg(test)]
mod tests;
