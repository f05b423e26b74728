//! From one sampling rate to another: a polyphase filter, a windowed sinc of 48 taps at the lower of the two rates.
//!
//! ```text
//! input      ·     ·     ·     ·     ·     ·        the output sample at ▲ is the sum of the 48 input samples around it
//! output        ▲       ▲       ▲       ▲           (more of them by the ratio, going down), each weighed by the sinc at
//! phase         2       0       1       2           its distance; there are as many sets of weights as distances: phases
//! ```
//!
//! Measured by the tests, of the lower rate's band (8 kHz: 4 kHz):
//!
//! - `the_pass_band_is_flat_to_85_percent`: ±0.05 dB from 0 to 0.85 of it (3,400 Hz), in amplitude and place.
//! - `what_would_alias_is_suppressed`: what lies above 1.075 of it (4,300 Hz) comes out 80 dB down. Between, from 0.85 to
//!   1.075, the filter falls; what it lets pass of 4,000 to 4,300 Hz comes out at 3,700 to 4,000 Hz, above the speech band.
//! - `images_are_suppressed`: the same going up.
//!
//! A stream goes on beyond its first and its last sample, as far as the filter sees, turned about that sample by half a turn: in
//! silence it would dip at its ends. So parts of one sound that are resampled each by itself, as the files of a list are, join as if
//! they were one (`parts_join_as_the_whole`).
//!
//! The same holds between all rates from 4,000 to 192,000 Hz (`any_two_rates`). The delay is 24 samples of the lower rate,
//! 3 ms at 8 kHz: the first block gives that much less, and every block of 20 ms after it gives 20 ms.

use std::f64::consts::PI;

/// Taps at the lower rate, half of them to either side.
const TAPS: u32 = 48;

/// The most sets of weights. All common rates need at most 640 (11,025 to 16,000 or 48,000 Hz). A ratio that would need more is
/// taken as the nearest that does not; none is off by more than 130 parts in a million, as a cheap crystal may be.
const MAX_PHASES: u32 = 640;

/// The highest rate taken, in Hz: any real file's. It bounds the weights to 640 · 2,304 (5.9 MB) for the oddest rate.
pub const MAX_RATE: u32 = 384_000;

/// The lowest rate taken, in Hz.
pub const MIN_RATE: u32 = 1_000;

/// The window's shape (Kaiser's β), for a stop band of 85 dB.
const BETA: f64 = 8.41;

/// Where the filter has fallen by half, as a part of the lower rate: midway between 0.85 and 1.075 of its band.
const CUTOFF: f64 = 0.481;

/// Changes the sampling rate of a stream of samples. Output is as long as input, in time, and in step with it.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// Steps of time per input sample.
    phases: usize,
    /// Steps of time per output sample.
    step: usize,
    /// Taps of each phase.
    taps: usize,
    /// The weights, phase after phase.
    weights: Vec<f32>,
    /// Input that is still needed.
    input: Vec<f32>,
    /// Time of the next output sample in steps, counted from where its first tap lies on the first sample of `input`.
    time: usize,
    /// Output samples that are still to come, of the input so far.
    due: Due,
}

/// Input counted against output.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    input: u64,
    output: u64,
}

impl Resampler {
    /// From the rate `from` to the rate `to`, both in Hz. `None` if either is not within [`MIN_RATE`] and [`MAX_RATE`].
    pub fn new(from: u32, to: u32) -> Option<Self> {
        let rates = MIN_RATE..=MAX_RATE;
        if !rates.contains(&from) || !rates.contains(&to) {
            return None;
        }
        let (phases, step) = nearest_ratio(from, to);
        let (taps, weights) = if phases == step { (2, vec![1.0, 0.0]) } else { weights(phases, step) };
        // The first output sample lies on the first input sample, which half of the taps precede.
        let input = vec![0.0; taps / 2 - 1];
        Some(Self { phases, step, taps, weights, input, time: 0, due: Due::default() })
    }

    /// Takes the next samples and appends what they complete to `out`.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.due.input += samples.len() as u64;
        self.input.extend(samples.iter().map(|&sample| f32::from(sample)));
        self.lead_in();
        self.run(out);
    }

    /// Ends the stream: appends the rest to `out`.
    pub fn finish(mut self, out: &mut Vec<i16>) {
        let end = self.input.len();
        if let Some(&last) = self.input.last() {
            for n in 1..=self.taps / 2 {
                let inside = end.checked_sub(n + 1).map_or(last, |at| self.input[at]);
                self.input.push(2.0 * last - inside);
            }
        }
        self.run(out);
    }

    /// Fills in what precedes the first sample, until something has come of it.
    fn lead_in(&mut self) {
        if self.due.output > 0 {
            return;
        }
        let (lead, stream) = self.input.split_at_mut(self.taps / 2 - 1);
        let Some(&first) = stream.first() else { return };
        for (n, before) in lead.iter_mut().rev().enumerate() {
            let inside = stream.get(n + 1).copied().unwrap_or(first);
            *before = 2.0 * first - inside;
        }
    }

    fn run(&mut self, out: &mut Vec<i16>) {
        // Output sample n lies at n · step; only those before the end of the input are part of it.
        let end = self.due.input * self.phases as u64;
        while let Some(window) =
            self.input.get(self.time / self.phases..).and_then(|input| input.get(..self.taps))
        {
            if self.due.output * self.step as u64 >= end {
                break;
            }
            let phase = self.time % self.phases;
            let weights = &self.weights[phase * self.taps..][..self.taps];
            out.push(round(dot(window, weights)));
            self.time += self.step;
            self.due.output += 1;
        }
        let done = (self.time / self.phases).min(self.input.len());
        self.input.drain(..done);
        self.time -= done * self.phases;
    }
}

/// All of `samples` at once.
pub fn resample_all(samples: &[i16], from: u32, to: u32) -> Option<Vec<i16>> {
    let mut resampler = Resampler::new(from, to)?;
    let mut out = Vec::new();
    resampler.push(samples, &mut out);
    resampler.finish(&mut out);
    Some(out)
}

/// The ratio `to` / `from` as phases / step, in lowest terms as far as [`MAX_PHASES`] allows.
fn nearest_ratio(from: u32, to: u32) -> (usize, usize) {
    let ratio = f64::from(from) / f64::from(to);
    let step = |phases: u32| (f64::from(phases) * ratio).round();
    let error = |phases: u32| (step(phases) / f64::from(phases) - ratio).abs();
    // The first of equals is in lowest terms.
    let best =
        (1..=MAX_PHASES).filter(|&phases| step(phases) >= 1.0).min_by(|&a, &b| error(a).total_cmp(&error(b)));
    let phases = best.unwrap_or(1);
    (phases as usize, whole(step(phases)))
}

/// Taps per phase, and the weights of all phases.
fn weights(phases: usize, step: usize) -> (usize, Vec<f32>) {
    // Input samples per sample of the lower rate.
    let spread = (step as f64 / phases as f64).max(1.0);
    let half = whole((f64::from(TAPS / 2) * spread).ceil());
    let taps = 2 * half;
    let mut all = Vec::with_capacity(phases * taps);
    for phase in 0..phases {
        let fraction = phase as f64 / phases as f64;
        let distance = |tap: usize| (tap as f64 - (half - 1) as f64 - fraction) / spread;
        let phase: Vec<f64> = (0..taps).map(|tap| sinc(distance(tap)) * kaiser(distance(tap))).collect();
        // A level stays exactly what it is.
        let sum: f64 = phase.iter().sum();
        all.extend(phase.iter().map(|weight| single(weight / sum)));
    }
    (taps, all)
}

/// The ideal low pass, at a distance in samples of the lower rate.
fn sinc(distance: f64) -> f64 {
    let x = 2.0 * PI * CUTOFF * distance;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

/// The window that makes it finite, likewise, but for a factor.
fn kaiser(distance: f64) -> f64 {
    let part = distance / f64::from(TAPS / 2);
    let inside = (1.0 - part * part).max(0.0);
    bessel(BETA * inside.sqrt())
}

/// The modified Bessel function of the first kind and order 0, by its series, until a term changes nothing any more: the 30th
/// with β = 8.4.
fn bessel(x: f64) -> f64 {
    let half_squared = x * x / 4.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * f64::EPSILON {
        term *= half_squared / (n * n);
        sum += term;
        n += 1.0;
    }
    sum
}

/// In eight sums side by side, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[expect(clippy::cast_possible_truncation, reason = "rounded and clamped to the range just before")]
fn round(value: f32) -> i16 {
    value.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
fn single(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, whole and positive")]
fn whole(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that prompts come in.
    const RATES: [u32; 9] = [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
    const AMPLITUDE: f64 = 30_000.0;

    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    fn sine(frequency: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let sample =
            |n: usize| (AMPLITUDE * (2.0 * PI * frequency * n as f64 / f64::from(rate)).sin()).round() as i16;
        (0..whole(seconds * f64::from(rate))).map(sample).collect()
    }

    /// Power relative to that of the sine, in dB.
    fn decibels(values: &[f64]) -> f64 {
        let power = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        10.0 * (power / (AMPLITUDE * AMPLITUDE / 2.0)).log10()
    }

    /// Away from the edges, where the sine begins and ends abruptly.
    fn interior(samples: &[i16]) -> Vec<f64> {
        samples[samples.len() / 4..samples.len() * 3 / 4].iter().map(|&sample| f64::from(sample)).collect()
    }

    /// The gain at a frequency and what else there is, both in dB, by projection on the sine in its right place.
    fn gain_and_rest(out: &[i16], frequency: f64, rate: u32) -> (f64, f64) {
        let values = interior(out);
        let first = out.len() / 4;
        let at = |n: usize| (2.0 * PI * frequency * (first + n) as f64 / f64::from(rate)).sin();
        let project: f64 = values.iter().enumerate().map(|(n, value)| value * at(n)).sum();
        let norm: f64 = (0..values.len()).map(|n| at(n) * at(n)).sum();
        let gain = project / norm;
        let rest: Vec<f64> = values.iter().enumerate().map(|(n, value)| value - gain * at(n)).collect();
        (20.0 * (gain / AMPLITUDE).log10(), decibels(&rest))
    }

    #[test]
    fn the_pass_band_is_flat_to_85_percent() {
        for from in RATES {
            for frequency in [50.0, 300.0, 1004.0, 2000.0, 3000.0, 3200.0, 3400.0] {
                let out = resample_all(&sine(frequency, from, 0.5), from, 8000).unwrap();
                let (gain, rest) = gain_and_rest(&out, frequency, 8000);
                assert!(gain.abs() < 0.05, "{frequency} Hz from {from}: {gain:.3} dB");
                // A shift in time by a hundredth of a sample would leave 40 dB here.
                assert!(rest < -80.0, "{frequency} Hz from {from}: rest {rest:.1} dB");
            }
        }
    }

    #[test]
    fn what_would_alias_is_suppressed() {
        for from in RATES {
            let mut frequency = 4300.0;
            while frequency < f64::from(from) * 0.49 {
                let out = resample_all(&sine(frequency, from, 0.25), from, 8000).unwrap();
                let level = decibels(&interior(&out));
                assert!(level < -80.0, "{frequency} Hz from {from}: {level:.1} dB");
                frequency += 311.0;
            }
        }
    }

    #[test]
    fn images_are_suppressed() {
        for to in [16_000, 48_000] {
            for frequency in [300.0, 1004.0, 3400.0] {
                let out = resample_all(&sine(frequency, 8000, 0.5), 8000, to).unwrap();
                let (gain, rest) = gain_and_rest(&out, frequency, to);
                assert!(gain.abs() < 0.05, "{frequency} Hz to {to}: {gain:.3} dB");
                assert!(rest < -80.0, "{frequency} Hz to {to}: rest {rest:.1} dB");
            }
        }
    }

    /// The rates that files of prompts have, and those of legs.
    const FILES: [u32; 9] = [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
    const LEGS: [u32; 3] = [8000, 16_000, 48_000];

    /// From every file to every leg, and what else there is.
    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        let used = FILES.into_iter().flat_map(|file| LEGS.map(|leg| (file, leg)));
        used.filter(|(from, to)| from != to).chain(PAIRS)
    }

    /// Rates of legs, of files, and the ends of the range.
    const PAIRS: [(u32, u32); 18] = [
        (8000, 16_000),
        (16_000, 8000),
        (8000, 48_000),
        (48_000, 8000),
        (16_000, 48_000),
        (48_000, 16_000),
        (44_100, 16_000),
        (44_100, 48_000),
        (48_000, 44_100),
        (22_050, 48_000),
        (11_025, 16_000),
        (4000, 8000),
        (8000, 4000),
        (4000, 192_000),
        (192_000, 4000),
        (192_000, 48_000),
        (48_000, 192_000),
        (4000, 11_025),
    ];

    /// The level of `out` at a frequency, against the sine's, in dB (Goertzel's question, asked under a window that keeps the
    /// neighbours out).
    fn level_at(out: &[i16], frequency: f64, rate: u32) -> f64 {
        let turn = 2.0 * PI * frequency / f64::from(rate);
        let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
        for (n, &sample) in out.iter().enumerate() {
            let phase = 2.0 * PI * n as f64 / out.len() as f64;
            // Blackman and Harris: 92 dB at five lines of distance.
            let window = 0.35875 - 0.48829 * phase.cos() + 0.14128 * (2.0 * phase).cos()
                - 0.01168 * (3.0 * phase).cos();
            re += f64::from(sample) * window * (turn * n as f64).cos();
            im += f64::from(sample) * window * (turn * n as f64).sin();
            sum += window;
        }
        20.0 * (2.0 * re.hypot(im) / sum / AMPLITUDE).log10()
    }

    #[test]
    fn any_two_rates() {
        for (from, to) in pairs() {
            let band = f64::from(from.min(to)) / 2.0;
            for part in [0.05, 0.25, 0.5, 0.7, 0.8, 0.85] {
                let frequency = part * band;
                // At least 400 periods of the lowest, and not more than a test should take.
                let out = resample_all(&sine(frequency, from, 4000.0 / band), from, to).unwrap();
                let (gain, rest) = gain_and_rest(&out, frequency, to);
                assert!(gain.abs() < 0.1, "{frequency} Hz, {from} to {to}: {gain:.3} dB");
                assert!(rest < -80.0, "{frequency} Hz, {from} to {to}: rest {rest:.1} dB");
            }
        }
    }

    #[test]
    fn an_image_is_80_db_down() {
        // Each multiple of the old rate has two, as far as the new rate can show them.
        for (from, to) in pairs().filter(|(from, to)| from < to) {
            for part in [0.3, 0.85] {
                let frequency = part * f64::from(from) / 2.0;
                let out = resample_all(&sine(frequency, from, 2000.0 / f64::from(from)), from, to).unwrap();
                let inside = &out[out.len() / 4..out.len() * 3 / 4];
                assert!(level_at(inside, frequency, to).abs() < 0.1);
                for multiple in 1..=to / from / 2 {
                    for image in
                        [f64::from(multiple * from) - frequency, f64::from(multiple * from) + frequency]
                    {
                        let level = level_at(inside, image, to);
                        assert!(
                            level < -80.0 || image > f64::from(to) / 2.0,
                            "{frequency} Hz, {from} to {to}: {level:.1} dB at {image}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn after_the_first_every_frame_is_whole() {
        for (from, to) in [
            (8000, 16_000),
            (16_000, 8000),
            (8000, 48_000),
            (48_000, 8000),
            (16_000, 48_000),
            (48_000, 16_000),
        ] {
            let frames = [from, to].map(|rate| rate as usize / 50);
            let mut resampler = Resampler::new(from, to).unwrap();
            for n in 0..100 {
                let mut out = Vec::new();
                resampler.push(&vec![0; frames[0]], &mut out);
                // The delay is 24 samples of the lower rate.
                let held_back = if n == 0 { 24 * to.div_ceil(from.min(to)) as usize } else { 0 };
                assert!(
                    out.len().abs_diff(frames[1] - held_back) <= 1 - n.min(1),
                    "{from} to {to}: {}",
                    out.len()
                );
            }
        }
    }

    #[test]
    fn a_level_is_kept_exactly() {
        for from in RATES {
            let out = resample_all(&vec![12_345; from as usize / 4], from, 8000).unwrap();
            assert_eq!(out.len(), 2000);
            assert!(out.iter().all(|&sample| sample == 12_345), "from {from}, its ends too");
        }
    }

    /// Wherever it was cut: what differs from the whole at the joint is 20 dB below the tone, and 40 dB going down, where silence beyond
    /// the ends left half of it.
    #[test]
    fn parts_join_as_the_whole() {
        for (from, to) in pairs() {
            let tone = sine(f64::from(from.min(to)) * 0.05, from, 0.5);
            let whole = resample_all(&tone, from, to).unwrap();
            for thirtieths in [7, 8, 9] {
                // There a sample of the one rate lies on one of the other.
                let (phases, step) = nearest_ratio(from, to);
                let (before, after) = tone.split_at(tone.len() * thirtieths / 30 / step * step);
                let mut joined = resample_all(before, from, to).unwrap();
                assert_eq!(joined.len(), before.len() / step * phases);
                joined.extend(resample_all(after, from, to).unwrap());
                assert_eq!(joined.len(), whole.len(), "{from} to {to}");
                let joint = before.len() / step * phases;
                let around = joint - 100..joint + 100;
                let off = around.map(|at| i32::from(joined[at]).abs_diff(whole[at].into())).max().unwrap();
                let most = if from > to { 300 } else { 3000 };
                assert!(off < most, "{from} to {to}, cut at {}: {off}", before.len());
            }
        }
    }

    /// Of a few samples, fewer than the filter has taps.
    #[test]
    fn what_is_short_is_as_loud() {
        for from in RATES {
            for samples in [1, 2, 7, 30, 60] {
                let out = resample_all(&vec![-20_000; samples], from, 8000).unwrap();
                assert!(out.iter().all(|&sample| sample == -20_000), "{samples} from {from}: {out:?}");
            }
        }
    }

    #[test]
    fn the_same_rate_changes_nothing() {
        let samples = sine(3900.0, 8000, 0.1);
        assert_eq!(resample_all(&samples, 8000, 8000).unwrap(), samples);
        assert_eq!(resample_all(&[], 8000, 8000).unwrap(), []);
    }

    #[test]
    fn output_is_as_long_as_input() {
        for from in RATES {
            for samples in [0, 1, 2, 5, 441, 10_000] {
                let out = resample_all(&vec![0; samples], from, 8000).unwrap();
                // Every output sample that lies before the end of the input.
                assert_eq!(out.len(), (samples * 8000).div_ceil(from as usize), "{samples} from {from}");
            }
        }
    }

    #[test]
    fn blocks_give_what_the_whole_gives() {
        let mut random = fastrand::Rng::with_seed(1);
        for from in RATES {
            let samples: Vec<i16> = (0..20_000).map(|_| random.i16(..)).collect();
            let mut resampler = Resampler::new(from, 8000).unwrap();
            let (mut out, mut rest) = (Vec::new(), samples.as_slice());
            while !rest.is_empty() {
                let (now, later) = rest.split_at(random.usize(..700).min(rest.len()));
                resampler.push(now, &mut out);
                rest = later;
            }
            resampler.finish(&mut out);
            assert_eq!(out, resample_all(&samples, from, 8000).unwrap(), "from {from}");
        }
    }

    #[test]
    fn an_odd_rate_is_taken_as_the_nearest_ratio() {
        for from in [8001, 22_051, 44_099, 48_015, 191_999] {
            let (phases, step) = nearest_ratio(from, 8000);
            let error = (step as f64 / phases as f64) / (f64::from(from) / 8000.0) - 1.0;
            assert!(error.abs() < 130e-6, "{from}: {error:e}");
        }
        assert_eq!(nearest_ratio(44_100, 8000), (80, 441));
        assert_eq!(nearest_ratio(11_025, 8000), (320, 441));
        assert_eq!(nearest_ratio(48_000, 8000), (1, 6));
        assert_eq!(nearest_ratio(8000, 48_000), (6, 1));
    }

    #[test]
    fn rates_beyond_the_limits_are_refused() {
        for from in [0, 999, 384_001, u32::MAX] {
            assert!(Resampler::new(from, 8000).is_none());
            assert!(Resampler::new(8000, from).is_none());
        }
        assert!(Resampler::new(MIN_RATE, MAX_RATE).is_some());
    }
}
