//! What 20 ms of audio sound like: how loud, and which tones are most of it. Fax, beeps and call-progress tones are all
//! judged by this.
//!
//! ```text
//!   samples   ├── 96 ──┼───── 160 new ─────┤   a window of 256 (32 ms), a step of 160 (20 ms)
//!                 ╲  Hann  ╱
//!   spectrum    bins of 31.25 Hz; a tone is a lobe of four of them, its middle told to a few hertz
//! ```
//! Two tones less than 125 Hz apart are one lobe here, or two that cannot be told apart. Networks have such (ring-back: 440
//! and 480 Hz), which is why all that lies where networks have their tones is told as one, by its middle.

use std::f32::consts::TAU;

use crate::complex::Complex;

/// Samples of a step.
pub const STEP: usize = 160;
/// Samples of a window, and the points of its transform.
const WINDOW: usize = 256;
/// Points of the complex transform that a real one of twice as many goes by.
const HALF: usize = WINDOW / 2;
/// Hertz from bin to bin.
const BIN: f32 = 8000.0 / WINDOW as f32;
/// Bins to either side of a tone's middle that hold its power: half the main lobe of a Hann window.
const LOBE: usize = 2;
/// Without the lowest bins: what is below 90 Hz is hum, and no telephone carries it.
const LOWEST: usize = 3;
/// The bins of networks' tones, 313 to 656 Hz.
const NETWORK: std::ops::Range<usize> = 10..22;
/// The mean square of a sine of 0 dBm0, whose peak is 22,826 (3.14 dB under full scale, ITU-T G.711).
const ZERO_DBM0: f32 = 22_826.0 * 22_826.0 / 2.0;
/// What is softer than this has no tones that count: −45 dBm0. Of a quiet line no spectrum is made.
const LEAST_LEVEL: f32 = -45.0;

/// A tone within a sound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tone {
    /// Its frequency in Hz.
    pub frequency: f32,
    /// Its part of the sound's power, 0–1.
    pub share: f32,
}

/// What one step of 20 ms sounds like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// Its power in dBm0.
    pub level: f32,
    /// The strongest tone; all zero in what is too soft.
    pub first: Tone,
    /// The next strongest.
    pub second: Tone,
    /// All of 325 to 645 Hz, where networks have their tones: its middle, and its share.
    pub network: Tone,
}

impl Sound {
    /// Whether there is one tone and hardly anything else.
    pub fn is_tone(&self) -> bool {
        self.first.share >= 0.85
    }
}

/// The power of samples in dBm0.
pub fn level(samples: &[i16]) -> f32 {
    let energy: i64 = samples.iter().map(|&sample| i64::from(sample) * i64::from(sample)).sum();
    let mean = energy as f32 / samples.len().max(1) as f32;
    10.0 * (mean / ZERO_DBM0).max(1e-10).log10()
}

/// Listens to samples at 8 kHz and says what each step sounds like.
#[derive(Clone, Debug)]
pub struct Ear {
    /// The last samples, the newest last.
    window: [i16; WINDOW],
    transform: Transform,
}

impl Default for Ear {
    fn default() -> Self {
        Self::new()
    }
}

impl Ear {
    /// An ear that has heard silence.
    pub fn new() -> Self {
        Self { window: [0; WINDOW], transform: Transform::new() }
    }

    /// What the next step sounds like, together with the end of the one before.
    pub fn hear(&mut self, step: &[i16; STEP]) -> Sound {
        self.take(step);
        self.sound()
    }

    /// Takes the next step.
    pub fn take(&mut self, step: &[i16; STEP]) {
        self.window.copy_within(STEP.., 0);
        self.window[WINDOW - STEP..].copy_from_slice(step);
    }

    /// What the step taken last sounds like.
    pub fn sound(&self) -> Sound {
        let level = level(&self.window[WINDOW - STEP..]);
        if level < LEAST_LEVEL {
            let none = Tone::default();
            return Sound { level, first: none, second: none, network: none };
        }
        let powers = self.transform.powers(&self.window);
        let (first, second) = tones(&powers);
        Sound { level, first, second, network: network(&powers) }
    }
}

/// What lies where networks have their tones.
fn network(powers: &[f32; HALF]) -> Tone {
    // A lobe reaches a bin beyond the outermost tones, 350 and 620 Hz.
    let band = &powers[NETWORK];
    let power: f32 = band.iter().sum();
    let moment: f32 = NETWORK.zip(band).map(|(bin, power)| bin as f32 * power).sum();
    let all: f32 = powers[LOWEST..].iter().sum();
    Tone { frequency: moment / power.max(1.0) * BIN, share: power / all.max(1.0) }
}

/// The two strongest tones of a spectrum.
fn tones(powers: &[f32; HALF]) -> (Tone, Tone) {
    let all: f32 = powers[LOWEST..].iter().sum();
    let strongest = |but: Option<usize>| {
        let others = (LOWEST..HALF - LOBE).filter(|&bin| but.is_none_or(|but| bin.abs_diff(but) > 2 * LOBE));
        others.max_by(|&a, &b| powers[a].total_cmp(&powers[b])).unwrap_or(LOWEST)
    };
    let tone = |bin: usize| {
        let lobe = &powers[bin - LOBE..=bin + LOBE];
        // A Hann window's lobe tells its middle by the ratio of the two bins that the middle lies between.
        let (lower, peak, upper) =
            (lobe[LOBE - 1].sqrt(), lobe[LOBE].sqrt().max(1e-6), lobe[LOBE + 1].sqrt());
        let offset = |beside: f32| (2.0 * beside - peak) / (beside + peak);
        let offset = if upper > lower { offset(upper) } else { -offset(lower) };
        let share = lobe.iter().sum::<f32>() / all.max(1.0);
        Tone { frequency: (bin as f32 + offset) * BIN, share: share.min(1.0) }
    };
    let first = strongest(None);
    (tone(first), tone(strongest(Some(first))))
}

/// A Fourier transform of real samples under a Hann window: half as many complex ones go through it, and their spectrum
/// is taken apart.
#[derive(Clone, Debug)]
struct Transform {
    hann: [f32; WINDOW],
    /// e^(−j·2π·k/WINDOW).
    turns: [Complex; HALF],
    /// Where each input goes: its number with the bits in reverse.
    places: [usize; HALF],
}

impl Transform {
    fn new() -> Self {
        let hann = |n: usize| 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / WINDOW as f32).cos();
        Self {
            hann: std::array::from_fn(hann),
            turns: std::array::from_fn(|k| Complex::of_angle(-TAU * k as f32 / WINDOW as f32)),
            places: std::array::from_fn(|n| n.reverse_bits() >> (usize::BITS - HALF.ilog2())),
        }
    }

    /// The power in each bin from 0 to half the sampling rate.
    fn powers(&self, samples: &[i16; WINDOW]) -> [f32; HALF] {
        let mut points = [Complex::default(); HALF];
        let sample = |n: usize| f32::from(samples[n]) * self.hann[n];
        for (n, &place) in self.places.iter().enumerate() {
            points[place] = Complex { re: sample(2 * n), im: sample(2 * n + 1) };
        }
        let mut size = 1;
        while size < HALF {
            let stride = HALF / size;
            for block in points.chunks_exact_mut(2 * size) {
                let (low, high) = block.split_at_mut(size);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let turned = self.turns[k * stride] * *b;
                    (*a, *b) = (*a + turned, *a + turned.scaled(-1.0));
                }
            }
            size *= 2;
        }
        // The even samples' spectrum is the part that is symmetric, the odd ones' the part that is not.
        std::array::from_fn(|k| {
            let (here, there) = (points[k], points[(HALF - k) % HALF].conjugate());
            let even = (here + there).scaled(0.5);
            let odd = (here + there.scaled(-1.0)) * Complex { re: 0.0, im: -0.5 };
            (even + self.turns[k] * odd).power()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::{Signal, steps};

    fn heard(signal: &Signal) -> Vec<Sound> {
        let mut ear = Ear::new();
        steps(&signal.samples()).map(|step| ear.hear(&step)).collect()
    }

    #[test]
    fn the_spectrum_is_that_of_the_definition() {
        let mut random = fastrand::Rng::with_seed(1);
        let samples: [i16; WINDOW] = std::array::from_fn(|_| random.i16(..));
        let transform = Transform::new();
        let powers = transform.powers(&samples);
        for (bin, &power) in powers.iter().enumerate() {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, &sample) in samples.iter().enumerate() {
                let hann = 0.5 - 0.5 * (std::f64::consts::TAU * (n as f64 + 0.5) / 256.0).cos();
                let angle = std::f64::consts::TAU * (bin * n) as f64 / 256.0;
                re += f64::from(sample) * hann * angle.cos();
                im -= f64::from(sample) * hann * angle.sin();
            }
            let expected = re * re + im * im;
            assert!((f64::from(power) - expected).abs() < 1e-3 * expected + 1e6, "{bin}: {power} {expected}");
        }
    }

    #[test]
    fn a_tone_is_told_to_a_few_hertz_at_its_level() {
        for frequency in [425.0, 950.0, 1100.0, 1400.0, 1837.0, 2100.0, 2480.0] {
            let mut signal = Signal::new(3);
            signal.tone(&[(frequency, -10.0)], 200.0);
            for sound in &heard(&signal)[2..] {
                assert!((f64::from(sound.first.frequency) - frequency).abs() < 3.0, "{sound:?}");
                assert!((sound.level + 10.0).abs() < 0.3 && sound.first.share > 0.99, "{sound:?}");
            }
        }
    }

    #[test]
    fn two_tones_are_two_where_they_are_far_enough_apart() {
        let mut signal = Signal::new(3);
        signal.tone(&[(480.0, -13.0), (620.0, -13.0)], 200.0);
        for sound in &heard(&signal)[2..] {
            let mut both = [sound.first.frequency, sound.second.frequency];
            both.sort_by(f32::total_cmp);
            assert!((both[0] - 480.0).abs() < 8.0 && (both[1] - 620.0).abs() < 8.0, "{sound:?}");
            assert!(sound.first.share + sound.second.share > 0.98 && !sound.is_tone(), "{sound:?}");
        }
    }

    #[test]
    fn noise_has_no_tone_and_silence_nothing() {
        let mut signal = Signal::new(5);
        signal.silence(1000.0);
        assert!(heard(&signal).iter().all(|sound| sound.first == Tone::default() && sound.level < -60.0));
        signal.noise(-20.0);
        assert!(heard(&signal).iter().all(|sound| sound.first.share < 0.4));
    }
}
