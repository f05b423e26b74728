//! Sums of many voices in 16 bits: unchanged as long as they fit, softer where they do not, never wrapped.
//!
//! ```text
//!   gain  1 ───┐                     ╭────     falls within 1 ms where a frame would be above the knee, by as much as
//!              └─────────────────────╯         brings it there; comes back by 1.5 dB a frame
//!
//!   out   ┤            ╭────  full scale       what is above the knee even so, in that first millisecond, is bent and
//!         ┤          ╭╯                        not cut
//!    knee ┤        ╱
//!         └───────┴───────── in
//! ```
//! Below the knee the output is the input, bit by bit. Nothing here looks at one sample after the other where it can look at
//! eight: each talker of a room has a sum of its own to limit.

/// Where the limiter begins: 1 dB below full scale.
const KNEE: i32 = 29_205;
const KNEE_LEVEL: f32 = 29_205.0;
/// What is left above the knee.
const ROOM: f32 = 32_767.0 - KNEE_LEVEL;
/// The part of a frame in which the gain falls: 1 ms of 20.
const ATTACK: usize = 20;
/// Samples that are looked at together.
const BLOCK: usize = 8;
/// How the gain comes back, from frame to frame: 75 dB a second. After somebody was 20 dB too loud others are at their level within
/// 0.3 s, and in a pause between syllables it hardly rises.
const RELEASE: f32 = 1.189;

/// The gain of one stream of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limiter {
    gain: f32,
}

impl Limiter {
    pub(crate) fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Makes one frame of 16 bits of a frame of sums. What was in `out` is replaced.
    #[expect(clippy::cast_possible_truncation, reason = "below the knee, which was looked at before")]
    pub(crate) fn limit(&mut self, sums: &[i32], out: &mut Vec<i16>) {
        out.clear();
        let peak = peak(sums);
        let fits = peak <= KNEE.unsigned_abs();
        if fits && self.gain >= 1.0 {
            out.extend(sums.iter().map(|&sum| sum as i16));
        } else {
            self.bend(peak, sums, out);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a level needs no more digits")]
    fn bend(&mut self, peak: u32, sums: &[i32], out: &mut Vec<i16>) {
        let fitting = (KNEE_LEVEL / (peak as f32).max(1.0)).min(1.0);
        let (from, to) = (self.gain, fitting.min(self.gain * RELEASE));
        if to < from {
            let (falling, steady) = sums.split_at(sums.len().div_ceil(ATTACK).min(sums.len()));
            let step = (to - from) / falling.len().max(1) as f32;
            let mut gain = from;
            out.extend(falling.iter().map(|&sum| {
                gain += step;
                knee(sum as f32 * gain)
            }));
            out.extend(steady.iter().map(|&sum| nearest(sum as f32 * to)));
        } else {
            rise(from, (to - from) / sums.len().max(1) as f32, sums, out);
        }
        self.gain = to;
    }
}

/// The largest magnitude.
fn peak(sums: &[i32]) -> u32 {
    let (least, most) = sums.iter().fold((0, 0), |(least, most), &sum| (sum.min(least), sum.max(most)));
    most.unsigned_abs().max(least.unsigned_abs())
}

/// A gain that comes back, which is nowhere so high that a sum would be above the knee.
#[expect(clippy::cast_precision_loss, reason = "a level needs no more digits")]
fn rise(mut gain: f32, step: f32, sums: &[i32], out: &mut Vec<i16>) {
    let ahead: [f32; BLOCK] = std::array::from_fn(|n| step * (n + 1) as f32);
    let (blocks, rest) = sums.as_chunks::<BLOCK>();
    for block in blocks {
        out.extend(std::array::from_fn::<i16, BLOCK, _>(|n| nearest(block[n] as f32 * (gain + ahead[n]))));
        gain += ahead[BLOCK - 1];
    }
    out.extend(rest.iter().zip(ahead).map(|(&sum, ahead)| nearest(sum as f32 * (gain + ahead))));
}

/// The nearest of 16 bits to a level that is not above the knee.
#[expect(clippy::cast_possible_truncation, reason = "within the range, as the caller knows")]
fn nearest(level: f32) -> i16 {
    (level + 0.5f32.copysign(level)) as i32 as i16
}

/// Straight up to the knee, then ever flatter towards full scale, without an edge between.
#[expect(clippy::cast_possible_truncation, reason = "within full scale by the curve; `as` would saturate")]
fn knee(level: f32) -> i16 {
    let above = (level.abs() - KNEE_LEVEL) / ROOM;
    let bent = if above > 0.0 { KNEE_LEVEL + ROOM * above / (1.0 + above) } else { level.abs() };
    (bent.copysign(level) + 0.5f32.copysign(level)) as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn limit(limiter: &mut Limiter, sums: &[i32]) -> Vec<i16> {
        let mut out = Vec::new();
        limiter.limit(sums, &mut out);
        out
    }

    /// A frame of 8 kHz of a sine of 400 Hz, which has 8 periods in it.
    fn sine(amplitude: f64) -> Vec<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "within the range")]
        let sample = |n: i32| (amplitude * (2.0 * PI * 400.0 * f64::from(n) / 8000.0).sin()).round() as i32;
        (0..160).map(sample).collect()
    }

    /// What is not the sine of 400 Hz, relative to it, in dB.
    fn distortion(frame: &[i16]) -> f64 {
        let at = |n: usize| (2.0 * PI * 400.0 * n as f64 / 8000.0).sin();
        let samples = || frame.iter().enumerate().map(|(n, &sample)| (at(n), f64::from(sample)));
        let gain = samples().map(|(sine, sample)| sine * sample).sum::<f64>() / (frame.len() as f64 / 2.0);
        let rest: f64 = samples().map(|(sine, sample)| (sample - gain * sine).powi(2)).sum();
        10.0 * (rest / (gain * gain * frame.len() as f64 / 2.0)).log10()
    }

    #[test]
    fn what_fits_is_unchanged() {
        let sums: Vec<i32> = (-KNEE..=KNEE).collect();
        let out = limit(&mut Limiter::new(), &sums);
        assert!(out.iter().zip(&sums).all(|(&out, &sum)| i32::from(out) == sum));
    }

    #[test]
    fn the_knee_has_no_edge_and_no_end() {
        let mut before = 0;
        for level in 0..400_000 {
            #[allow(clippy::cast_precision_loss, reason = "exact up to 2^24")]
            let (above, below) = (knee(level as f32), knee(-(level as f32)));
            assert_eq!(above, -below);
            assert!((0..=1).contains(&(i32::from(above) - before)), "at {level}");
            before = i32::from(above);
        }
        assert_eq!(before, 32_733);
        assert_eq!((knee(f32::MAX), knee(f32::MIN)), (32_767, -32_767));
    }

    /// Sixteen voices at full scale, and the loudest sums that gains allow.
    #[test]
    fn nothing_wraps() {
        for amplitude in [29_206.0, 40_000.0, 524_288.0, 2e9] {
            let mut limiter = Limiter::new();
            for frame in 0..10 {
                let sums = sine(amplitude);
                let out = limit(&mut limiter, &sums);
                assert!(out.iter().zip(&sums).all(|(out, sum)| i32::from(*out).signum() == sum.signum()));
                assert!(frame == 0 || out.iter().all(|out| i32::from(out.unsigned_abs()) <= KNEE + 1));
            }
        }
        assert_eq!(limit(&mut Limiter::new(), &[i32::MIN; 160]).last(), Some(&-29_205));
    }

    #[test]
    fn after_the_attack_there_is_less_level_and_no_distortion() {
        let mut limiter = Limiter::new();
        let first = limit(&mut limiter, &sine(60_000.0));
        assert!(distortion(&first) > -60.0);
        let second = limit(&mut limiter, &sine(60_000.0));
        // Rounding to 16 bits leaves -100 dB.
        assert!(distortion(&second) < -90.0, "{:.1} dB", distortion(&second));
        assert_eq!(second.iter().max(), Some(&29_205));
    }

    /// Speech after somebody was 20 dB too loud for a second, and the same with breaks of 60 ms in it, as between syllables: it is back
    /// within 0.3 s, and not before it, so that what is loud for long does not pump.
    #[test]
    fn what_follows_a_shout_is_heard_at_its_level() {
        let level = |frame: &[i16]| frame.iter().map(|sample| f64::from(*sample).abs()).fold(0.0, f64::max);
        let mut limiter = Limiter::new();
        for _ in 0..50 {
            let out = limit(&mut limiter, &sine(290_000.0));
            assert!(level(&out) < 32_767.0);
        }
        let levels: Vec<f64> = (0..15).map(|_| level(&limit(&mut limiter, &sine(3000.0)))).collect();
        assert!(levels.windows(2).all(|pair| pair[0] < pair[1] + 1.0), "{levels:?}");
        assert!(levels[3] < 1000.0, "not at once: {levels:?}");
        assert!(levels[14] > 2990.0, "{levels:?}");

        // In the breaks there is noise of the line, which rises by less than 5 dB.
        let noise = |limiter: &mut Limiter| level(&limit(limiter, &sine(300.0)));
        for _ in 0..10 {
            for _ in 0..6 {
                limit(&mut limiter, &sine(290_000.0));
            }
            let breaks = [0; 3].map(|_| noise(&mut limiter));
            assert!(breaks[2] < breaks[0] * 1.78, "{breaks:?}");
        }
    }

    #[test]
    fn the_gain_comes_back_and_then_nothing_is_changed() {
        let mut limiter = Limiter::new();
        limit(&mut limiter, &sine(60_000.0));
        // 6.25 dB at 1.5 dB a frame.
        let frames = (0..100).find(|_| {
            let sums = sine(1000.0);
            limit(&mut limiter, &sums).iter().zip(&sums).all(|(&out, &sum)| i32::from(out) == sum)
        });
        assert!(frames.is_some_and(|frames| (4..=5).contains(&frames)), "{frames:?}");
        assert_eq!(limiter, Limiter::new());
    }
}
