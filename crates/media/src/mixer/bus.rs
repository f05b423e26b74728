//! All that is said at one sample rate, and the way of it to the other rates.
//!
//! ```text
//!   members, inputs at 8 kHz  ─▶ sum ─┬──────────────────────▶ + ─▶ total of 8 kHz  ─▶ its hearers, each less itself
//!                                     └─ crossing 8 ▸ 48 ──╮   ▲
//!                                     ╭─ crossing 48 ▸ 8 ──┼───╯
//!   members, inputs at 48 kHz ─▶ sum ─┴────────────────────┴─▶ + ─▶ total of 48 kHz ─▶ its hearers, each less itself
//! ```
//! The sums cross, not the voices: there are never more than six resamplers in a room, none where all have one rate, and a
//! member's own voice is only in the sum of its own rate, from which it is taken bit by bit.

use super::limiter::Limiter;
use crate::codec::resample::Resampler;

/// The sample rates of the codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// 8 kHz.
    Narrow,
    /// 16 kHz.
    Wide,
    /// 48 kHz.
    Full,
}

impl Rate {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Wide, Self::Full];

    /// The lowest rate that carries all of `hz`.
    pub fn for_hz(hz: u32) -> Self {
        match hz {
            ..=8000 => Self::Narrow,
            8001..=16_000 => Self::Wide,
            16_001.. => Self::Full,
        }
    }

    /// In samples per second.
    pub fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8000,
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// Samples in 20 ms.
    pub fn frame(self) -> usize {
        match self {
            Self::Narrow => 160,
            Self::Wide => 320,
            Self::Full => 960,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// What is said and heard at one rate, in one frame.
#[derive(Debug)]
pub(super) struct Bus {
    /// What is said in this frame so far.
    sum: Vec<i32>,
    /// How many say it.
    parts: usize,
    /// What is heard in this frame, by who says nothing.
    total: Vec<i32>,
    /// Whether that is anything: of a rate that nobody has, and of a pause, nothing is touched.
    is_still: bool,
    /// The total in 16 bits, once somebody has asked for it.
    common: Vec<i16>,
    is_made: bool,
}

impl Bus {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            sum: vec![0; rate.frame()],
            parts: 0,
            total: vec![0; rate.frame()],
            is_still: true,
            common: Vec::with_capacity(rate.frame()),
            is_made: false,
        }
    }

    /// Adds what somebody says in this frame.
    pub(super) fn add(&mut self, samples: impl Iterator<Item = i32>) {
        self.parts += 1;
        add(&mut self.sum, samples);
    }

    /// Ends the frame as far as it is said: it is heard now, and the next one may be said.
    pub(super) fn turn(&mut self) {
        let was_still = std::mem::replace(&mut self.is_still, self.parts == 0);
        self.is_made = false;
        if was_still && self.is_still {
            return;
        }
        std::mem::swap(&mut self.sum, &mut self.total);
        self.sum.fill(0);
        self.parts = 0;
    }

    /// Adds what crosses from other rates to what is heard.
    fn cross(&mut self, samples: impl Iterator<Item = i32>) {
        self.is_still = false;
        add(&mut self.total, samples);
    }

    /// Whether nobody has said anything in this frame.
    pub(super) fn is_silent(&self) -> bool {
        self.parts == 0
    }

    pub(super) fn total(&self) -> &[i32] {
        &self.total
    }

    /// What those hear who say nothing, made by their limiter when the first asks for it.
    pub(super) fn common(&mut self, limiter: &mut Limiter) -> &[i16] {
        if !std::mem::replace(&mut self.is_made, true) {
            limiter.limit(&self.total, &mut self.common);
        }
        &self.common
    }
}

/// Sums are below 2^28: of [`super::MAX_TALKERS`] and as many inputs, each below 2^19.
fn add(sum: &mut [i32], samples: impl Iterator<Item = i32>) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum += sample;
    }
}

/// What is said at one rate, on its way to another.
#[derive(Debug)]
pub(super) struct Crossing {
    limiter: Limiter,
    resampler: Resampler,
    frame: usize,
    /// The sum in 16 bits.
    limited: Vec<i16>,
    /// At the other rate; what the filter holds back at first is silence before it.
    ready: Vec<i16>,
    /// Frames since somebody said something.
    quiet: u32,
}

/// After so many frames of silence there is nothing left in the filter, whose window is 6 ms.
const QUIET: u32 = 2;

impl Crossing {
    /// `None` where the rates cannot be changed into each other, which all of [`Rate`] can.
    pub(super) fn new(from: Rate, to: Rate) -> Option<Self> {
        let resampler = Resampler::new(from.hz(), to.hz())?;
        let (limited, ready) = (Vec::with_capacity(from.frame()), Vec::with_capacity(2 * to.frame()));
        Some(Self { limiter: Limiter::new(), resampler, frame: to.frame(), limited, ready, quiet: QUIET })
    }

    /// Takes what is said at the one rate.
    pub(super) fn take(&mut self, bus: &Bus) {
        self.quiet = if bus.is_silent() { self.quiet.saturating_add(1) } else { 0 };
        if self.quiet > QUIET {
            self.ready.clear();
            return;
        }
        self.limiter.limit(&bus.sum, &mut self.limited);
        self.resampler.push(&self.limited, &mut self.ready);
        let held_back = self.frame.saturating_sub(self.ready.len());
        self.ready.splice(..0, std::iter::repeat_n(0, held_back));
    }

    /// Adds it to what is heard at the other.
    pub(super) fn give(&mut self, bus: &mut Bus) {
        if !self.ready.is_empty() {
            bus.cross(self.ready.drain(..self.frame).map(i32::from));
        }
    }
}
