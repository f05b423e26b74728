//! Signals for the tests of detectors, made from sines and seeded noise.

use std::f64::consts::TAU;

use super::sound::STEP;

/// A signal being composed, at 8 kHz.
pub(crate) struct Signal {
    samples: Vec<f64>,
    random: fastrand::Rng,
}

impl Signal {
    pub(crate) fn new(seed: u64) -> Self {
        Self { samples: Vec::new(), random: fastrand::Rng::with_seed(seed) }
    }

    pub(crate) fn silence(&mut self, milliseconds: f64) {
        self.samples.resize(self.samples.len() + length(milliseconds), 0.0);
    }

    /// Sines as (Hz, dBm0), together.
    pub(crate) fn tone(&mut self, tones: &[(f64, f64)], milliseconds: f64) {
        let phases: Vec<f64> = tones.iter().map(|_| self.random.f64() * TAU).collect();
        for n in 0..length(milliseconds) {
            let sine = |(&(frequency, dbm0), phase): (&(f64, f64), &f64)| {
                amplitude(dbm0) * (TAU * frequency * n as f64 / 8000.0 + phase).sin()
            };
            self.samples.push(tones.iter().zip(&phases).map(sine).sum());
        }
    }

    /// What is made elsewhere.
    pub(crate) fn samples_of(&mut self, samples: &[i16]) {
        self.samples.extend(samples.iter().map(|&sample| f64::from(sample)));
    }

    /// A voice: harmonics of a pitch that glides, shaped by a formant, rising and falling like a syllable.
    pub(crate) fn syllable(&mut self, dbm0: f64, milliseconds: f64) {
        let (pitch, glide) = (100.0 + 120.0 * self.random.f64(), 1.0 + 0.3 * (self.random.f64() - 0.5));
        let formant = 350.0 + 450.0 * self.random.f64();
        let count = length(milliseconds);
        let mut phase = 0.0;
        let mut made = Vec::with_capacity(count);
        for n in 0..count {
            let part = n as f64 / count as f64;
            let frequency = pitch * (1.0 + (glide - 1.0) * part);
            phase += TAU * frequency / 8000.0;
            let gain = |f: f64| 1.0 / (1.0 + ((f - formant) / 150.0).powi(2)) + 0.2 / (1.0 + f / 500.0);
            let harmonics = (1..16).map(f64::from).filter(|k| k * frequency < 3400.0);
            let value: f64 = harmonics.map(|k| gain(k * frequency) * (k * phase).sin()).sum();
            made.push(value * (part * TAU / 2.0).sin().sqrt());
        }
        let mean = made.iter().map(|value| value * value).sum::<f64>() / count.max(1) as f64;
        let scale = amplitude(dbm0) / (2.0 * mean).sqrt();
        self.samples.extend(made.iter().map(|value| value * scale));
    }

    /// White noise over everything so far, its power as that of a sine.
    pub(crate) fn noise(&mut self, dbm0: f64) {
        self.noise_from(0.0, dbm0, |white| white);
    }

    /// Noise over everything from some time on, made from white noise of variance 1.
    pub(crate) fn noise_from(&mut self, milliseconds: f64, dbm0: f64, mut colour: impl FnMut(f64) -> f64) {
        let random = &mut self.random;
        let mut next = || colour((0..12).map(|_| random.f64()).sum::<f64>() - 6.0);
        let made: Vec<f64> = (length(milliseconds)..self.samples.len()).map(|_| next()).collect();
        let mean = made.iter().map(|value| value * value).sum::<f64>() / made.len().max(1) as f64;
        let scale = amplitude(dbm0) / (2.0 * mean).sqrt();
        for (sample, value) in self.samples.iter_mut().skip(length(milliseconds)).zip(made) {
            *sample += value * scale;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
    pub(crate) fn samples(&self) -> Vec<i16> {
        self.samples.iter().map(|sample| sample.round() as i16).collect()
    }
}

/// Peak amplitude of a sine at a level in dBm0 (ITU-T G.711: 0 dBm0 is 3.14 dB under full scale).
fn amplitude(dbm0: f64) -> f64 {
    22_826.0 * 10f64.powf(dbm0 / 20.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths in tests are small and positive"
)]
fn length(milliseconds: f64) -> usize {
    (milliseconds * 8.0).round() as usize
}

/// Whole steps of 20 ms.
pub(crate) fn steps(samples: &[i16]) -> impl Iterator<Item = [i16; STEP]> {
    samples.as_chunks::<STEP>().0.iter().copied()
}
