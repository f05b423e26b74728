//! Fax and modems: the tone of a calling fax machine (CNG) and the answer tone of a called one (CED, ITU-T T.30 §4), which is
//! that of modems too (ITU-T V.25 §6, V.8 §8.2).
//!
//! ```text
//!   CNG   ‾‾‾‾______________________‾‾‾‾___    1100 ± 38 Hz, 0.5 s on and 3 s off, each ± 15 %     told after one
//!   CED   ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾    2100 ± 15 Hz for 2.6–4 s                           told after 1.1 s
//!              ╳        ╳        ╳             its phase turns over each 450 ± 25 ms: echo cancellers off (V.25)
//! ```

use std::f32::consts::{PI, TAU};

use super::sound::{STEP, Sound};
use crate::complex::Complex;

/// CNG in Hz, with its tolerance and two hertz for the measurement.
const CNG: std::ops::RangeInclusive<f32> = 1060.0..=1140.0;
/// Steps of a CNG: 425 to 575 ms, and one step at either edge.
const CNG_STEPS: std::ops::RangeInclusive<u32> = 20..=30;
/// CED in Hz, with its tolerance and some more while its phase turns.
const CED: std::ops::RangeInclusive<f32> = 2080.0..=2120.0;
/// The middle of CED in Hz: 42 periods in a step, so that a tone of just this frequency has the same phase in each.
const ANSWER: f32 = 2100.0;
/// Steps of a CED after which it is told: two reversals have been by then, if there are any.
const CED_STEPS: u32 = 55;
/// The softest of both in dBm0 (T.30: −43, at the end of a line that a gateway has amplified).
const SOFTEST: f32 = -43.0;
/// Steps in a row that may be no clean tone: those in which the phase turns over, or a packet is missing.
const MISSES: u32 = 3;
/// How far a phase is from where it was going, in radians, to have turned over: half a turn, give or take noise.
const TURNED: f32 = 2.2;

/// What a fax machine or modem sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaxTone {
    /// The far end is a fax machine that calls.
    Cng,
    /// The far end is a fax machine or modem that has answered.
    Ced {
        /// Whether the phase turns over: a modem that wants echo cancellers off.
        reversals: bool,
    },
}

/// Hears both tones.
#[derive(Clone, Debug, Default)]
pub struct FaxDetector {
    calling: u32,
    answer: Answer,
}

/// An answer tone that is being heard.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    steps: u32,
    misses: u32,
    reversals: u32,
    /// Steps since the last reversal.
    since: u32,
    /// The phase of the last two steps, the older first, and how it goes on from step to step.
    phases: [f32; 2],
    drift: f32,
}

impl FaxDetector {
    /// Nothing has been heard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next 20 ms at 8 kHz and what they sound like.
    pub fn push(&mut self, step: &[i16; STEP], sound: &Sound) -> Option<FaxTone> {
        let is = |frequencies: &std::ops::RangeInclusive<f32>| {
            sound.is_tone() && sound.level >= SOFTEST && frequencies.contains(&sound.first.frequency)
        };
        if is(&CNG) {
            self.calling = self.calling.saturating_add(1);
        } else if CNG_STEPS.contains(&std::mem::take(&mut self.calling)) {
            return Some(FaxTone::Cng);
        }
        self.answer.push(step, is(&CED), sound.level >= SOFTEST)
    }
}

impl Answer {
    fn push(&mut self, step: &[i16; STEP], is_tone: bool, is_loud: bool) -> Option<FaxTone> {
        if self.steps == 0 && !is_tone {
            return None;
        }
        self.misses = if is_tone { 0 } else { self.misses + 1 };
        if self.misses > MISSES || !is_loud {
            *self = Self::default();
            return None;
        }
        self.steps = self.steps.saturating_add(1);
        self.follow(phase(step));
        (self.steps == CED_STEPS).then_some(FaxTone::Ced { reversals: self.reversals > 0 })
    }

    /// Follows the phase: a reversal shows two steps later as half a turn more than the drift, whichever part of a step
    /// it falls into.
    fn follow(&mut self, phase: f32) {
        let [before, last] = self.phases;
        self.since += 1;
        let turned = wrapped(phase - before - 2.0 * self.drift).abs() > TURNED;
        let drift = wrapped(phase - last);
        if self.steps <= 4 {
            // Whatever the first steps looked like, of which one is half silent.
            self.drift = drift;
        } else if self.steps > 6 && self.since > 6 && turned {
            self.reversals += 1;
            self.since = 0;
        } else if !turned {
            self.drift += wrapped(drift - self.drift) / 8.0;
        }
        self.phases = [last, phase];
    }
}

/// The phase of the answer tone in a step.
fn phase(step: &[i16; STEP]) -> f32 {
    let turn = Complex::of_angle(-TAU * ANSWER / 8000.0);
    let mut at = Complex { re: 1.0, im: 0.0 };
    let mut sum = Complex::default();
    for &sample in step {
        sum = sum + at.scaled(f32::from(sample));
        at = at * turn;
    }
    sum.angle()
}

/// An angle within half a turn of zero.
fn wrapped(angle: f32) -> f32 {
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::sound::Ear;
    use crate::detect::testing::{Signal, steps};

    fn told(signal: &Signal) -> Vec<(u64, FaxTone)> {
        let (mut ear, mut fax) = (Ear::new(), FaxDetector::new());
        let steps: Vec<_> = steps(&signal.samples()).collect();
        (20..)
            .step_by(20)
            .zip(steps)
            .filter_map(|(at, step)| Some((at, fax.push(&step, &ear.hear(&step))?)))
            .collect()
    }

    fn tones(signal: &Signal) -> Vec<FaxTone> {
        told(signal).into_iter().map(|(_, tone)| tone).collect()
    }

    /// A tone whose phase turns over each 450 ms.
    fn answer_tone(signal: &mut Signal, frequency: f64, dbm0: f64, period: f64, milliseconds: f64) {
        let amplitude = 22_826.0 * 10f64.powf(dbm0 / 20.0);
        let period = period * 8.0;
        let count = (0..).take_while(|&n| f64::from(n) < milliseconds * 8.0);
        #[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
        let samples: Vec<i16> = count
            .map(|n| {
                let sign = if (f64::from(n) / period).floor().rem_euclid(2.0) == 0.0 { 1.0 } else { -1.0 };
                let angle = std::f64::consts::TAU * frequency * f64::from(n) / 8000.0;
                (sign * amplitude * angle.sin()).round() as i16
            })
            .collect();
        signal.samples_of(&samples);
    }

    #[test]
    fn a_calling_fax_is_told_after_its_first_tone() {
        for frequency in [1062.0, 1100.0, 1138.0] {
            for milliseconds in [425.0, 500.0, 575.0] {
                for noise in [-70.0, -35.0] {
                    let mut signal = Signal::new(1);
                    signal.silence(711.0);
                    signal.tone(&[(frequency, -20.0)], milliseconds);
                    signal.silence(3000.0);
                    signal.noise(noise);
                    let told = told(&signal);
                    let [(at, FaxTone::Cng)] = told[..] else {
                        panic!("{frequency} {milliseconds}: {told:?}")
                    };
                    assert!((at as f64) < 711.0 + milliseconds + 60.0, "{at}");
                }
            }
        }
    }

    #[test]
    fn an_answer_tone_is_told_with_its_reversals() {
        for frequency in [2085.0, 2100.0, 2115.0] {
            for noise in [-70.0, -35.0] {
                let mut plain = Signal::new(2);
                plain.silence(333.0);
                plain.tone(&[(frequency, -15.0)], 3000.0);
                plain.noise(noise);
                assert_eq!(tones(&plain), [FaxTone::Ced { reversals: false }], "{frequency}");
                for period in [425.0, 450.0, 475.0] {
                    for offset in [0.0, 5.0, 11.0, 17.0] {
                        let mut turning = Signal::new(2);
                        turning.silence(300.0 + offset);
                        answer_tone(&mut turning, frequency, -15.0, period, 3000.0);
                        turning.noise(noise);
                        assert_eq!(
                            tones(&turning),
                            [FaxTone::Ced { reversals: true }],
                            "{frequency} {period}"
                        );
                    }
                }
            }
        }
    }

    /// V.8 §8.2: ANSam is modulated by 15 Hz, to 0.2 of its amplitude.
    #[test]
    fn an_answer_tone_of_v8_is_one() {
        let mut signal = Signal::new(3);
        signal.tone(&[(2100.0, -15.0), (2085.0, -35.0), (2115.0, -35.0)], 3000.0);
        assert_eq!(tones(&signal), [FaxTone::Ced { reversals: false }]);
    }

    #[test]
    fn other_tones_are_neither() {
        let mut signal = Signal::new(4);
        for frequency in [1000.0, 1050.0, 1150.0, 1400.0, 2060.0, 2140.0, 2280.0] {
            signal.tone(&[(frequency, -15.0)], 500.0);
            signal.silence(500.0);
            signal.tone(&[(frequency, -15.0)], 2000.0);
            signal.silence(500.0);
        }
        // As long as no fax machine sends it.
        signal.tone(&[(1100.0, -15.0)], 300.0);
        signal.silence(500.0);
        signal.tone(&[(1100.0, -15.0)], 1000.0);
        signal.silence(500.0);
        signal.tone(&[(2100.0, -15.0)], 900.0);
        signal.silence(500.0);
        assert_eq!(told(&signal), []);
    }
}
