//! Noise or voice: what is loud, and no tone, on a line.
//!
//! ```text
//!   level     ____/‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾   even from step to step, and no period in it: noise, from its beginning on
//!             ____/‾‾\_/‾‾‾\__/‾‾   swelling and fading: a voice, which has a pitch before it has swelled
//!             ____/‾‾‾‾‾‾‾‾‾‾‾‾‾‾   a period, but even for longer than any syllable: the hum of the line
//! ```
//! How loud a step is, is told by what of each sample the one before does not tell: coloured noise is as even as white noise
//! then, whose strength is low and wanders by 10 dB from step to step. A period is looked for in what is sharpened, sample by
//! sample the difference to the one before.
//!
//! That is how a talk is found. Within one, soft sounds and those without a period are not cut out of it: there a step is compared
//! with what the line by itself was when it was last heard so.

use super::sound::{STEP, level};

/// Steps in which a noise is told from a voice by being as loud in all of them: 240 ms, in which a syllable swells and fades.
const STEPS: usize = 12;
/// How much their levels differ at most, in dB: those of noise do by two to three.
const EVEN: f32 = 4.0;
/// Even steps that are the line by itself although they have a period, after the first [`STEPS`]: a hum goes on, and a note of
/// music or a long vowel has changed by then.
const HUM: u32 = 12;
/// How much louder than the most of the line by itself is what is said over it, in dB.
const ABOVE: f32 = 2.0;
/// The periods of voices in samples at 8 kHz: 400 to 60 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=133;
/// How much of a sound comes again after a period of it, to have one: of noise a fourth may come again by chance, of a voice
/// more than half.
const PERIODIC: f32 = 0.45;
/// Samples that are looked at for a period: a step and as much before it as the longest one.
const WINDOW: usize = 2 * STEP - *PERIODS.end();

/// What a loud step is, as far as noise goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It swells and fades, or has a period: a voice.
    Voice,
    /// Nothing says yet that it is a voice.
    Unclear,
    /// It is as loud as all before it, for longer than any syllable: the line by itself.
    Line,
}

/// How loud a step is, in dB.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// In dBm0.
    whole: f32,
    /// What of each sample the one before it does not tell.
    unforeseen: f32,
}

impl Level {
    fn of(step: &[i16; STEP]) -> Self {
        let (mut before, mut after, mut product) = (0.0, 0.0, 0.0);
        for pair in step.windows(2) {
            let (one, other) = (f32::from(pair[0]), f32::from(pair[1]));
            before += one * one;
            after += other * other;
            product += one * other;
        }
        let rest = after - product * product / f32::max(before, 1.0);
        Self { whole: level(step), unforeseen: 10.0 * rest.max(1.0).log10() }
    }

    fn max(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), unforeseen: self.unforeseen.max(other.unforeseen) }
    }
}

/// Tells noise from voices.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    /// The step before.
    before: [i16; STEP],
    /// How loud the last steps were, the newest first.
    levels: [Level; STEPS],
    /// How many steps have been loud, one after the other.
    loud: usize,
    /// How many steps ago the last [`STEPS`] became even; 0 if they are not.
    even: u32,
    /// The most that a step of the line by itself had, when it was last heard so.
    line: Option<Level>,
}

impl Default for Noise {
    fn default() -> Self {
        // What was never heard is not even with anything.
        let never = Level { whole: f32::INFINITY, unforeseen: f32::INFINITY };
        Self { before: [0; STEP], levels: [never; STEPS], loud: 0, even: 0, line: None }
    }
}

impl Noise {
    /// Takes the next step, which is soft or a tone: what comes next has nothing to do with what was loud before.
    pub(super) fn pass(&mut self, step: &[i16; STEP]) {
        self.take(step);
        self.loud = 0;
    }

    /// Takes the next step, which is loud and no tone.
    pub(super) fn judge(&mut self, step: &[i16; STEP]) -> Judged {
        let sharp = self.take(step);
        self.loud = (self.loud + 1).min(STEPS + 1);
        // The first may be loud in a part of it only, however large.
        let whole = self.loud - 1;
        if self.even > 0 {
            Judged::Line
        } else if whole == 0 || (self.is_even(whole) && !has_period(&sharp)) {
            Judged::Unclear
        } else {
            Judged::Voice
        }
    }

    /// The most that a step of the line by itself had, in dBm0, as far as is known.
    pub(super) fn line(&self) -> Option<f32> {
        self.line.map(|line| line.whole)
    }

    /// Whether the step that was taken last is more than the line by itself.
    pub(super) fn is_above_line(&self) -> bool {
        let last = self.levels[0];
        self.line
            .is_some_and(|line| last.whole > line.whole + ABOVE || last.unforeseen > line.unforeseen + ABOVE)
    }

    /// Returns the step before and this one, sharpened.
    fn take(&mut self, step: &[i16; STEP]) -> [f32; 2 * STEP] {
        let before = std::mem::replace(&mut self.before, *step);
        let sharp = sharpened(&before, step);
        self.levels.rotate_right(1);
        self.levels[0] = Level::of(step);
        self.even = if self.is_even(STEPS) { self.even.saturating_add(1) } else { 0 };
        if self.even > HUM || (self.even > 0 && !has_period(&sharp)) {
            self.line = self.levels.into_iter().reduce(Level::max);
        }
        sharp
    }

    /// Whether the last steps are as loud as each other.
    fn is_even(&self, steps: usize) -> bool {
        let levels = self.levels[..steps].iter().map(|level| level.unforeseen);
        let bounds = |(least, most): (f32, f32), level: f32| (least.min(level), most.max(level));
        let (least, most) = levels.fold((f32::INFINITY, f32::NEG_INFINITY), bounds);
        most - least <= EVEN
    }
}

/// Two steps, each sample less the one before it.
fn sharpened(before: &[i16; STEP], step: &[i16; STEP]) -> [f32; 2 * STEP] {
    let mut last = f32::from(before[0]);
    let samples = before.iter().chain(step).map(|&sample| f32::from(sample));
    let mut sharp = samples.map(|sample| sample - std::mem::replace(&mut last, sample));
    std::array::from_fn(|_| sharp.next().unwrap_or_default())
}

/// Whether the end of a sound is much like what was a period before.
fn has_period(sharp: &[f32; 2 * STEP]) -> bool {
    let end = &sharp[2 * STEP - WINDOW..];
    let product = |other: &[f32]| -> f32 { end.iter().zip(other).map(|(one, other)| one * other).sum() };
    let energy = product(end);
    PERIODS.into_iter().any(|period| {
        let start = 2 * STEP - WINDOW - period;
        product(&sharp[start..start + WINDOW]) > PERIODIC * energy
    })
}
