//! Playout: what is heard in each frame of 20 ms, made of packets that come when they will.
//!
//! ```text
//!   packets ─▶ jitter buffer ─▶ decoder ─▶ samples of the next packets ─▶ one frame of them each 20 ms
//!   of 10–60 ms                                                      └▶ a faded repetition, then silence, where they lack
//! ```
//! The frame is asked for by our clock, always. So whatever the network does, a second has 50 frames, and what is
//! recorded of them is as long as it lasted. Frames are linear, at the rate of the leg: whatever codec a packet is in.
//!
//! The delay adapts. It is held near one packet and three times the jitter (RFC 3550 A.8), more for a while after a
//! packet came late. Where the two clocks differ, the buffer slowly fills or empties; a frame is then left out or
//! played twice, in silence if silence comes soon. Delays are counted in ticks of 1/48,000 s, which all rates divide.

use crate::codec::resample::{Resampler, resample_all};
use crate::codec::{Codec, Decoder, FRAME_TICKS, TICKS};
use crate::jitter::{Inserted, JitterBuffer, Taken};

/// Ticks in a millisecond.
const MS: usize = 48;
/// The shortest and longest delay that is aimed at: 20 and 200 ms. Beyond, a talk becomes a duplex of turns.
const TARGET: std::ops::RangeInclusive<usize> = 20 * MS..=200 * MS;
/// Delay beside packet and jitter: at first, at least, and how much more after a packet that came late.
const FIRST_MARGIN: usize = 20 * MS;
const LEAST_MARGIN: usize = 10 * MS;
const LATE_MARGIN: usize = 20 * MS;
/// How much of the margin is given back in each window without a late packet.
const MARGIN_DECAY: usize = 2 * MS;
/// The window in which the least delay is looked for: 2 s, in which a burst of jitter passes.
const WINDOW_FRAMES: u32 = 100;
/// How far the least delay may lie over or under the target before a frame is left out or doubled.
const SURPLUS: usize = 30 * MS;
const DEFICIT: usize = 15 * MS;
/// More than this is no drift but a burst after a standstill, and is given up at once: twice the longest target.
const OVERFULL: usize = 400 * MS;
/// Frames without a packet after which the stream has paused, and fills again before it is heard.
const DRY_FRAMES: u32 = 3;
/// A frame whose peak is below this is silence for the ear (-48 dBm0).
const SILENT_PEAK: u16 = 128;

/// The stream that one leg hears.
#[derive(Debug)]
pub(crate) struct Playout {
    rate: u32,
    buffer: JitterBuffer,
    /// Of the codec of the last packet that was taken, with the way from its rate to ours.
    decoder: Option<(Decoder, Option<Resampler>)>,
    /// Samples of packets that have been taken, in order.
    ready: Vec<i16>,
    state: State,
    frame: Vec<i16>,
    /// What a lost frame is made of.
    last: Vec<i16>,
    /// Frames made up since the last that was heard.
    made_up: u32,
    /// Ticks of the last packet.
    packet: usize,
    /// In ticks, from the receiver's books.
    jitter: usize,
    margin: usize,
    window: Window,
    adjustment: Adjustment,
    scratch: Vec<i16>,
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

/// The least delay of the present window, in ticks, and whether a packet was late in it.
#[derive(Clone, Copy, Debug)]
struct Window {
    frames: u32,
    least: usize,
    late: bool,
}

const NEW_WINDOW: Window = Window { frames: 0, least: usize::MAX, late: false };

/// What is to be done about the delay, at the next silent frame or after a window of waiting for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adjustment {
    None,
    LeaveOut { waited: u32 },
    Double { waited: u32 },
}

impl Playout {
    /// Nothing has come yet; frames are at `rate`.
    pub(crate) fn new(rate: u32) -> Self {
        Self {
            rate,
            buffer: JitterBuffer::default(),
            decoder: None,
            ready: Vec::new(),
            state: State::Silent,
            frame: vec![0; frame_samples(rate)],
            last: vec![0; frame_samples(rate)],
            made_up: DRY_FRAMES,
            packet: FRAME_TICKS,
            jitter: 0,
            margin: FIRST_MARGIN,
            window: NEW_WINDOW,
            adjustment: Adjustment::None,
            scratch: Vec::new(),
        }
    }

    /// Another stream begins; what was queued is gone.
    pub(crate) fn restart(&mut self) {
        self.buffer.restart();
        self.decoder = None;
        self.ready.clear();
        self.state = State::Silent;
        self.last.fill(0);
        self.window = NEW_WINDOW;
        self.adjustment = Adjustment::None;
    }

    /// The stream goes on at another rate.
    pub(crate) fn set_rate(&mut self, rate: u32) {
        if rate == self.rate {
            return;
        }
        self.ready = resample_all(&self.ready, self.rate, rate).unwrap_or_default();
        self.rate = rate;
        self.decoder = None;
        (self.frame, self.last) = (vec![0; frame_samples(rate)], vec![0; frame_samples(rate)]);
    }

    /// Queues a packet of the stream; an empty one keeps the place of a packet that is no audio. `jitter` is in seconds.
    pub(crate) fn insert(&mut self, place: u64, codec: Codec, payload: &[u8], jitter: f64) -> Inserted {
        let ticks = codec.samples_in(payload).unwrap_or_default() * codec.sample_ticks();
        let inserted = self.buffer.insert(place, codec, payload, ticks);
        match inserted {
            Inserted::Late => self.came_late(),
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

    /// The delay that is aimed at, in ticks.
    fn target(&self) -> usize {
        (self.packet + 3 * self.jitter.min(*TARGET.end()) + self.margin).clamp(*TARGET.start(), *TARGET.end())
    }

    /// The delay that is aimed at, in frames, rounded up.
    pub(crate) fn target_frames(&self) -> usize {
        self.target().div_ceil(FRAME_TICKS)
    }

    /// The delay there is, in ticks.
    fn delay(&self) -> usize {
        self.ready.len() * self.sample_ticks() + self.buffer.ticks()
    }

    fn sample_ticks(&self) -> usize {
        (TICKS / self.rate) as usize
    }

    /// The next frame: one is asked for every 20 ms of our clock.
    pub(crate) fn frame(&mut self) -> &[i16] {
        self.frame.fill(0);
        if !self.is_playing() {
            return &self.frame;
        }
        self.give_up_what_is_old();
        self.adjust();
        self.fill();
        let heard = self.ready.len().min(self.frame.len());
        self.frame[..heard].copy_from_slice(&self.ready[..heard]);
        self.ready.drain(..heard);
        if heard == self.frame.len() {
            self.last.copy_from_slice(&self.frame);
            self.made_up = 0;
        } else {
            let mut frame = std::mem::take(&mut self.frame);
            self.make_up(&mut frame[heard..]);
            self.frame = frame;
        }
        self.watch();
        &self.frame
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
        self.state = if enough { State::Playing { dry: 0 } } else { State::Filling { frames: frames + 1 } };
        enough
    }

    /// After a standstill of the network or of ourselves: the talk goes on with what is new.
    fn give_up_what_is_old(&mut self) {
        if self.buffer.ticks() <= OVERFULL {
            return;
        }
        self.ready.clear();
        while self.buffer.ticks() > self.target() {
            self.buffer.take();
        }
        self.window = NEW_WINDOW;
    }

    /// Takes packets until a frame is ready or none is left. Ends, since every turn takes a place of the buffer.
    fn fill(&mut self) {
        let mut took = false;
        while self.ready.len() < self.frame.len() {
            match self.buffer.take() {
                Taken::Packet(codec, payload) => {
                    took = true;
                    if !payload.is_empty() {
                        let decoder = decoder(&mut self.decoder, codec, self.rate);
                        decode(decoder, payload, &mut self.scratch, &mut self.ready);
                    }
                }
                Taken::Lost => {
                    took = true;
                    self.lost(self.packet / self.sample_ticks());
                }
                Taken::Empty => break,
            }
        }
        self.state = match self.state {
            State::Playing { dry } if !took && self.ready.len() < self.frame.len() => match dry + 1 {
                DRY_FRAMES => State::Silent,
                dry => State::Playing { dry },
            },
            State::Playing { dry } if dry > 0 => {
                // It was no pause but a packet that took its time.
                self.came_late();
                State::Playing { dry: 0 }
            }
            state => state,
        };
    }

    /// A packet is missing and a later one is there: its time is filled, so that the later one comes at its own.
    fn lost(&mut self, samples: usize) {
        let mut left = samples;
        while left > 0 {
            let part = left.min(self.frame.len());
            let start = self.ready.len();
            self.ready.resize(start + part, 0);
            let mut ready = std::mem::take(&mut self.ready);
            self.make_up(&mut ready[start..]);
            self.ready = ready;
            left -= part;
        }
    }

    /// The last frame again at half its level, then at a quarter, then silence.
    fn make_up(&mut self, out: &mut [i16]) {
        self.made_up += 1;
        out.fill(0);
        if self.made_up <= 2 {
            for (made, sample) in out.iter_mut().zip(&self.last) {
                *made = sample >> self.made_up;
            }
        }
    }

    fn came_late(&mut self) {
        self.window.late = true;
        self.margin = (self.margin + LATE_MARGIN).min(*TARGET.end());
    }

    /// Leaves out or doubles a frame where the delay has drifted.
    fn adjust(&mut self) {
        let (Adjustment::LeaveOut { waited } | Adjustment::Double { waited }) = self.adjustment else {
            return;
        };
        self.fill();
        let frame = self.frame.len();
        let Some(next) = self.ready.get(..frame) else { return };
        let silent = next.iter().all(|sample| sample.unsigned_abs() < SILENT_PEAK);
        if !silent && waited < WINDOW_FRAMES {
            match &mut self.adjustment {
                Adjustment::LeaveOut { waited } | Adjustment::Double { waited } => *waited += 1,
                Adjustment::None => {}
            }
            return;
        }
        match self.adjustment {
            Adjustment::Double { .. } => self.ready.extend_from_within(..frame),
            Adjustment::LeaveOut { .. } | Adjustment::None => drop(self.ready.drain(..frame)),
        }
        self.adjustment = Adjustment::None;
        self.window = NEW_WINDOW;
    }

    /// Watches the least delay that is left after a frame. At the target, it is the target less that frame.
    fn watch(&mut self) {
        if self.adjustment != Adjustment::None {
            return;
        }
        self.window.least = self.window.least.min(self.delay());
        self.window.frames += 1;
        if self.window.frames < WINDOW_FRAMES {
            return;
        }
        if !self.window.late {
            self.margin = self.margin.saturating_sub(MARGIN_DECAY).max(LEAST_MARGIN);
        }
        let aim = self.target() - FRAME_TICKS;
        if self.window.least > aim + SURPLUS {
            self.adjustment = Adjustment::LeaveOut { waited: 0 };
        } else if self.window.least + DEFICIT < aim {
            self.adjustment = Adjustment::Double { waited: 0 };
        }
        self.window = NEW_WINDOW;
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
