//! Noise or voice: what is loud, and no tone, on a line.
//!
//! ```text
//!   level     ____/‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾   even from step to step, and no period in it: noise, from its beginning on
//!             ____/‾‾\_/‾‾‾\__/‾‾   swelling and fading: a voice, which has a pitch before it has swelled
//!             ____/‾‾‾‾‾‾‾‾‾‾‾‾‾‾   a period, but even for longer than any syllable: the hum of the line
//! ```
//! Both are judged of what is sharpened, sample by sample the difference to the one before: coloured noise is as even as white
//! noise then, whose strength is low and wanders by 10 dB from step to step.

use super::sound::STEP;

/// Steps in which a noise is told from a voice by being as loud in all of them: 240 ms, in which a syllable swells and fades.
pub(super) const STEPS: usize = 12;
/// How much their levels differ at most, in dB: those of noise do by three.
const EVEN: f32 = 4.5;
/// The periods of voices in samples at 8 kHz: 400 to 60 Hz.
const PERIODS: std::ops::RangeInclusive<usize> = 20..=133;
/// How much of a sound comes again after a period of it, to have one: of noise a fourth may come again by chance, of a voice
/// more than half.
const PERIODIC: f32 = 0.45;
/// Samples that are looked at for a period: a step and as much before it as the longest one.
const WINDOW: usize = 2 * STEP - *PERIODS.end();

/// Tells noise from voices, of a line's loud steps.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    /// The step before.
    before: [i16; STEP],
    /// The levels of the last loud steps, the newest first, and how many there have been one after the other.
    levels: [f32; STEPS],
    count: usize,
    /// Whether the step before was loud.
    was_loud: bool,
}

impl Default for Noise {
    fn default() -> Self {
        Self { before: [0; STEP], levels: [0.0; STEPS], count: 0, was_loud: false }
    }
}

impl Noise {
    /// What comes next has nothing to do with what was loud before: it was soft, or is a tone.
    pub(super) fn pass(&mut self, step: &[i16; STEP]) {
        (self.before, self.count, self.was_loud) = (*step, 0, false);
    }

    /// Takes the next step that is loud and no tone. Returns whether it is noise, as far as is known.
    pub(super) fn hears(&mut self, step: &[i16; STEP]) -> bool {
        let before = std::mem::replace(&mut self.before, *step);
        if !std::mem::replace(&mut self.was_loud, true) {
            // It is loud in a part of it only, however large: nothing can be known yet.
            return true;
        }
        let sharp = sharpened(&before, step);
        let energy: f32 = sharp[STEP..].iter().map(|sample| sample * sample).sum();
        self.levels.rotate_right(1);
        self.levels[0] = 10.0 * energy.max(1.0).log10();
        self.count = (self.count + 1).min(STEPS);
        self.is_even() && (self.count == STEPS || !has_period(&sharp))
    }

    /// Whether it is known by its evenness alone: there may have been a period in it, as in the hum of a line.
    pub(super) fn is_known_by_evenness(&self) -> bool {
        self.count == STEPS
    }

    fn is_even(&self) -> bool {
        let bounds = |(least, most): (f32, f32), level: &f32| (least.min(*level), most.max(*level));
        let (least, most) = self.levels[..self.count].iter().fold((f32::MAX, f32::MIN), bounds);
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
