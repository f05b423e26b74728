//! Time made shorter or longer by a period of the voice, so that a delay can change in the middle of a word: overlap and
//! add where the waveform is most like itself.
//!
//! ```text
//!   shorten   ╭a╮╭b╮╭c╮╭d╮  ─▶  ╭a↘b╮╭c╮╭d╮        the first period fades into the second
//!   lengthen  ╭a╮╭b╮╭c╮     ─▶  ╭a╮╭b↘a╮╭b╮╭c╮     the second fades back into the first, and comes again
//! ```
//! Nothing is scaled: the pitch stays what it is.

/// Periods that are looked for, as parts of a second: 2.5 to 12.5 ms, 80 to 400 Hz.
const SHORTEST: u32 = 400;
const LONGEST: u32 = 80;
/// The rate at which likeness is looked at; more does not place a period any better.
const SEARCH_RATE: u32 = 8000;

/// Samples that are enough for any period.
pub(crate) fn enough(rate: u32) -> usize {
    2 * (rate / LONGEST) as usize
}

/// Takes a period off the beginning of `samples`. Returns its length, 0 if there is too little.
pub(crate) fn shorten(samples: &mut Vec<i16>, rate: u32) -> usize {
    let Some(period) = period(samples, rate) else { return 0 };
    for n in 0..period {
        samples[n] = fade(samples[n], samples[period + n], n, period);
    }
    samples.drain(period..2 * period);
    period
}

/// Puts a period more at the beginning of `samples`. Returns its length, 0 if there is too little.
pub(crate) fn lengthen(samples: &mut Vec<i16>, rate: u32) -> usize {
    let Some(period) = period(samples, rate) else { return 0 };
    let length = samples.len();
    samples.resize(length + period, 0);
    samples.copy_within(period..length, 2 * period);
    for n in 0..period {
        samples[period + n] = fade(samples[2 * period + n], samples[n], n, period);
    }
    period
}

/// From one to another, at the nth of so many samples.
fn fade(from: i16, to: i16, n: usize, of: usize) -> i16 {
    let part = (2 * n + 1) as f32 / (2 * of) as f32;
    #[expect(clippy::cast_possible_truncation, reason = "between two samples")]
    let faded = (f32::from(from) * (1.0 - part) + f32::from(to) * part).round() as i16;
    faded
}

/// The period after which the beginning of `samples` is most like itself.
fn period(samples: &[i16], rate: u32) -> Option<usize> {
    let stride = (rate / SEARCH_RATE).max(1) as usize;
    let shortest = (rate / SHORTEST) as usize;
    let longest = ((rate / LONGEST) as usize).min(samples.len() / 2);
    let likeness = |period: &usize| likeness(&samples[..longest], &samples[*period..][..longest], stride);
    // Of equals the longest, which changes the most at once.
    (shortest..=longest).step_by(stride).max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// How alike two stretches are, from -1 to 1; silence is like everything.
fn likeness(one: &[i16], other: &[i16], stride: usize) -> f32 {
    let (mut product, mut energy) = (0.0f32, [1.0f32; 2]);
    for (&one, &other) in one.iter().zip(other).step_by(stride) {
        let (one, other) = (f32::from(one), f32::from(other));
        product += one * other;
        energy[0] += one * one;
        energy[1] += other * other;
    }
    if energy[0] + energy[1] < 4.0 { 1.0 } else { product / (energy[0] * energy[1]).sqrt() }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(frequency: f64, rate: u32, samples: usize) -> Vec<i16> {
        let sample = |n: usize| (10_000.0 * (TAU * frequency * n as f64 / f64::from(rate)).sin()).round();
        #[expect(clippy::cast_possible_truncation, reason = "within the range")]
        (0..samples).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn a_voice_goes_on_without_a_step() {
        for rate in [8000, 16_000, 48_000] {
            for frequency in [100.0, 130.0, 220.0, 380.0] {
                let before = sine(frequency, rate, 3 * enough(rate));
                let steepest =
                    |samples: &[i16]| samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
                for change in [shorten, lengthen] {
                    let mut after = before.clone();
                    let period = change(&mut after, rate);
                    assert_eq!(after.len().abs_diff(before.len()), period);
                    // A whole number of the sine's periods, to a sample of the search.
                    let periods = period as f64 * frequency / f64::from(rate);
                    let off = (periods - periods.round()).abs() * f64::from(SEARCH_RATE) / frequency;
                    assert!(periods > 0.9 && off <= 1.0, "{frequency} Hz at {rate}: {periods} periods");
                    assert!(
                        steepest(&after) <= steepest(&before) + steepest(&before) / 5 + 1,
                        "{frequency} Hz at {rate}: {} after {}",
                        steepest(&after),
                        steepest(&before)
                    );
                }
            }
        }
    }

    #[test]
    fn silence_changes_by_the_most_there_is() {
        let mut samples = vec![0; 400];
        assert_eq!((shorten(&mut samples, 8000), samples.len()), (100, 300));
        assert_eq!((lengthen(&mut samples, 8000), samples.len()), (100, 400));
    }

    #[test]
    fn too_little_stays_as_it_is() {
        for length in [0, 1, 39] {
            let mut samples = vec![5; length];
            assert_eq!((shorten(&mut samples, 8000), lengthen(&mut samples, 8000)), (0, 0));
            assert_eq!(samples, vec![5; length]);
        }
    }
}
