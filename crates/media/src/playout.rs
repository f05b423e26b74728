//! Playout: what is heard in each frame of 20 ms, made of packets that come when they will.
//!
//! ```text
//!   packets ─▶ jitter buffer ─▶ samples of the next packets ─▶ 160 samples a frame
//!   of 10–60 ms                                              └▶ a faded repetition, then silence, where they lack
//! ```
//! The frame is asked for by our clock, always. So whatever the network does, a second has 50 frames, and what is
//! recorded of them is as long as it lasted. Samples stay in the leg's codec: nobody may want to hear them decoded.
//!
//! The delay adapts. It is held near one packet and three times the jitter (RFC 3550 A.8), more for a while after a
//! packet came late. Where the two clocks differ, the buffer slowly fills or empties; a frame is then left out or
//! played twice, in silence if silence comes soon.

use crate::FRAME_SAMPLES;
use crate::codec::Codec;
use crate::jitter::{Inserted, JitterBuffer, Taken};

/// One frame of one byte a sample.
pub(crate) type Frame = [u8; FRAME_SAMPLES];

/// The shortest and longest delay that is aimed at, in samples: 20 and 200 ms. Beyond, a talk becomes a duplex of turns.
const TARGET: std::ops::RangeInclusive<usize> = 160..=1600;
/// Delay beside packet and jitter, in samples: at first, at least, and how much more after a packet that came late.
const FIRST_MARGIN: usize = 160;
const LEAST_MARGIN: usize = 80;
const LATE_MARGIN: usize = 160;
/// How much of the margin is given back in each window without a late packet: 2 ms.
const MARGIN_DECAY: usize = 16;
/// The window in which the least delay is looked for: 2 s, in which a burst of jitter passes.
const WINDOW_FRAMES: u32 = 100;
/// How far the least delay may lie over or under the target before a frame is left out or doubled: 30 and 15 ms.
const SURPLUS: usize = 240;
const DEFICIT: usize = 120;
/// More than this is no drift but a burst after a standstill, and is given up at once: twice the longest target.
const OVERFULL: usize = 3200;
/// Frames without a packet after which the stream has paused, and fills again before it is heard.
const DRY_FRAMES: u32 = 3;
/// A frame whose peak is below this is silence for the ear (-48 dBm0).
const SILENT_PEAK: u16 = 128;

/// The stream that one leg hears.
#[derive(Debug)]
pub(crate) struct Playout {
    codec: Codec,
    buffer: JitterBuffer,
    /// Samples of packets that have been taken, in order.
    ready: Vec<u8>,
    state: State,
    /// What a lost frame is made of.
    last: Frame,
    /// Frames made up since the last that was heard.
    made_up: u32,
    /// Samples in the last packet.
    packet: usize,
    /// In samples, from the receiver's books.
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

/// The least delay of the present window, in samples, and whether a packet was late in it.
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
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            buffer: JitterBuffer::default(),
            ready: Vec::new(),
            state: State::Silent,
            last: [codec.silence(); FRAME_SAMPLES],
            made_up: DRY_FRAMES,
            packet: FRAME_SAMPLES,
            jitter: 0,
            margin: FIRST_MARGIN,
            window: NEW_WINDOW,
            adjustment: Adjustment::None,
            scratch: Vec::new(),
        }
    }

    /// Another stream begins, maybe in another codec; what was queued is gone.
    pub(crate) fn restart(&mut self, codec: Codec) {
        self.codec = codec;
        self.buffer.restart();
        self.ready.clear();
        self.state = State::Silent;
        self.last = [codec.silence(); FRAME_SAMPLES];
        self.window = NEW_WINDOW;
        self.adjustment = Adjustment::None;
    }

    /// The stream goes on in another codec.
    pub(crate) fn recode(&mut self, codec: Codec) {
        let from = std::mem::replace(&mut self.codec, codec);
        let recode = |bytes: &mut Vec<u8>| {
            let before = std::mem::take(bytes);
            codec.transcode(from, &before, bytes);
        };
        self.buffer.recode(recode);
        recode(&mut self.ready);
        let mut last = self.last.to_vec();
        recode(&mut last);
        self.last.copy_from_slice(&last);
    }

    /// Queues a packet of the stream; an empty one keeps the place of a packet that is no audio. `jitter` is in samples.
    pub(crate) fn insert(&mut self, place: u64, payload: &[u8], jitter: f64) -> Inserted {
        let inserted = self.buffer.insert(place, payload);
        match inserted {
            Inserted::Late => self.came_late(),
            Inserted::Queued if !payload.is_empty() => {
                self.packet = payload.len();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
                let jitter = jitter as usize;
                self.jitter = jitter;
            }
            Inserted::Queued | Inserted::Duplicate => {}
        }
        inserted
    }

    /// The delay that is aimed at, in samples.
    pub(crate) fn target(&self) -> usize {
        (self.packet + 3 * self.jitter.min(*TARGET.end()) + self.margin).clamp(*TARGET.start(), *TARGET.end())
    }

    /// The next frame: one is asked for every 20 ms of our clock.
    pub(crate) fn frame(&mut self) -> Frame {
        let mut frame = [self.codec.silence(); FRAME_SAMPLES];
        if !self.is_playing() {
            return frame;
        }
        self.give_up_what_is_old();
        self.adjust();
        self.fill();
        let heard = self.ready.len().min(FRAME_SAMPLES);
        frame[..heard].copy_from_slice(&self.ready[..heard]);
        self.ready.drain(..heard);
        if heard == FRAME_SAMPLES {
            (self.last, self.made_up) = (frame, 0);
        } else {
            self.make_up(&mut frame[heard..]);
        }
        self.watch();
        frame
    }

    /// Whether it is time to hear something.
    fn is_playing(&mut self) -> bool {
        let frames = match self.state {
            State::Playing { .. } => return true,
            State::Silent if self.buffer.is_empty() => return false,
            State::Silent => 0,
            State::Filling { frames } => frames,
        };
        let waited = frames * FRAME_SAMPLES;
        let enough = self.buffer.samples() >= self.target() || waited >= self.target();
        self.state = if enough { State::Playing { dry: 0 } } else { State::Filling { frames: frames + 1 } };
        enough
    }

    /// After a standstill of the network or of ourselves: the talk goes on with what is new.
    fn give_up_what_is_old(&mut self) {
        if self.buffer.samples() <= OVERFULL {
            return;
        }
        self.ready.clear();
        while self.buffer.samples() > self.target() {
            self.buffer.take();
        }
        self.window = NEW_WINDOW;
    }

    /// Takes packets until a frame is ready or none is left. Ends, since every turn takes a place of the buffer.
    fn fill(&mut self) {
        let mut took = false;
        while self.ready.len() < FRAME_SAMPLES {
            match self.buffer.take() {
                Taken::Packet(payload) => {
                    took = true;
                    self.ready.extend_from_slice(payload);
                }
                Taken::Lost => {
                    took = true;
                    let length = self.packet;
                    self.lost(length);
                }
                Taken::Empty => break,
            }
        }
        self.state = match self.state {
            State::Playing { dry } if !took && self.ready.len() < FRAME_SAMPLES => match dry + 1 {
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
    fn lost(&mut self, length: usize) {
        let mut left = length;
        while left > 0 {
            let mut frame = [self.codec.silence(); FRAME_SAMPLES];
            let part = left.min(FRAME_SAMPLES);
            self.make_up(&mut frame[..part]);
            self.ready.extend_from_slice(&frame[..part]);
            left -= part;
        }
    }

    /// The last frame again at half its level, then at a quarter, then silence.
    fn make_up(&mut self, out: &mut [u8]) {
        self.made_up += 1;
        if self.made_up > 2 {
            out.fill(self.codec.silence());
            return;
        }
        self.scratch.clear();
        self.codec.decode(&self.last[..out.len()], &mut self.scratch);
        for sample in &mut self.scratch {
            *sample >>= self.made_up;
        }
        let mut encoded = std::mem::take(&mut self.ready);
        let before = encoded.len();
        self.codec.encode(&self.scratch, &mut encoded);
        out.copy_from_slice(&encoded[before..]);
        encoded.truncate(before);
        self.ready = encoded;
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
        let Some(next) = self.ready.get(..FRAME_SAMPLES) else { return };
        self.scratch.clear();
        self.codec.decode(next, &mut self.scratch);
        let silent = self.scratch.iter().all(|sample| sample.unsigned_abs() < SILENT_PEAK);
        if !silent && waited < WINDOW_FRAMES {
            match &mut self.adjustment {
                Adjustment::LeaveOut { waited } | Adjustment::Double { waited } => *waited += 1,
                Adjustment::None => {}
            }
            return;
        }
        match self.adjustment {
            Adjustment::Double { .. } => self.ready.extend_from_within(..FRAME_SAMPLES),
            Adjustment::LeaveOut { .. } | Adjustment::None => drop(self.ready.drain(..FRAME_SAMPLES)),
        }
        self.adjustment = Adjustment::None;
        self.window = NEW_WINDOW;
    }

    /// Watches the least delay that is left after a frame. At the target, it is the target less that frame.
    fn watch(&mut self) {
        if self.adjustment != Adjustment::None {
            return;
        }
        self.window.least = self.window.least.min(self.ready.len() + self.buffer.samples());
        self.window.frames += 1;
        if self.window.frames < WINDOW_FRAMES {
            return;
        }
        if !self.window.late {
            self.margin = self.margin.saturating_sub(MARGIN_DECAY).max(LEAST_MARGIN);
        }
        let aim = self.target() - FRAME_SAMPLES;
        if self.window.least > aim + SURPLUS {
            self.adjustment = Adjustment::LeaveOut { waited: 0 };
        } else if self.window.least + DEFICIT < aim {
            self.adjustment = Adjustment::Double { waited: 0 };
        }
        self.window = NEW_WINDOW;
    }
}

#[cfg(test)]
mod tests;
