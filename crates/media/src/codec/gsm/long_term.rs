//! The long-term predictor: where in the last 15 ms the residual was most like it is now, and how much of that to take.

use std::ops::RangeInclusive;

use super::SUBFRAME;
use super::arithmetic::{add, largest, mult, mult_r, norm, upper};

/// The lags there are, in samples.
pub(super) const LAGS: RangeInclusive<u8> = 40..=120;

/// Samples that the longest lag reaches back.
const REACH: usize = 120;

/// The decision levels and the values of the gain (Table 5.3).
const GAIN_DECISIONS: [i16; 3] = [6554, 16_384, 26_214];
const GAINS: [i16; 4] = [3277, 11_469, 21_299, 32_767];

/// The residual of the last 15 ms as the decoder knows it (dp, drp), the oldest first.
#[derive(Clone, Debug)]
pub(super) struct History {
    residual: [i16; REACH],
}

impl Default for History {
    fn default() -> Self {
        Self { residual: [0; REACH] }
    }
}

impl History {
    /// The lag at which `residual` is most like the past, and the code of its gain (§5.2.11).
    pub(super) fn find(&self, residual: &[i16; SUBFRAME]) -> (u8, u8) {
        let largest = largest(residual);
        let room = norm(i32::from(largest.max(1)) << 16);
        let scale = if largest == 0 { 6 } else { 6u32.saturating_sub(room) };
        let scaled = residual.map(|sample| sample >> scale);
        let (mut lag, mut best) = (*LAGS.start(), 0);
        for candidate in LAGS {
            let correlation = self.correlation(&scaled, candidate);
            if correlation > best {
                (lag, best) = (candidate, correlation);
            }
        }
        (lag, gain(self.power(lag), (best << 1) >> (6 - scale)))
    }

    /// What the gain of code `gain` makes of the past at `lag` (§5.2.12, §5.3.2).
    pub(super) fn estimate(&self, lag: u8, gain: u8) -> [i16; SUBFRAME] {
        self.at(lag).map(|sample| mult_r(GAINS[usize::from(gain)], sample))
    }

    /// Goes on by a subframe: what was decoded of its pulses upon what was estimated. Gives their sum.
    pub(super) fn append(&mut self, pulses: &[i16; SUBFRAME], estimate: &[i16; SUBFRAME]) -> [i16; SUBFRAME] {
        let sum = std::array::from_fn(|k| add(pulses[k], estimate[k]));
        self.residual.copy_within(SUBFRAME.., 0);
        self.residual[REACH - SUBFRAME..].copy_from_slice(&sum);
        sum
    }

    fn at(&self, lag: u8) -> [i16; SUBFRAME] {
        let start = REACH - usize::from(lag);
        std::array::from_fn(|k| self.residual[start + k])
    }

    fn correlation(&self, scaled: &[i16; SUBFRAME], lag: u8) -> i32 {
        self.at(lag).iter().zip(scaled).map(|(&then, &now)| i32::from(then) * i32::from(now)).sum()
    }

    fn power(&self, lag: u8) -> i32 {
        self.at(lag).map(|sample| i32::from(sample >> 3).pow(2)).iter().sum::<i32>() << 1
    }
}

/// The code of the quotient of correlation and power.
fn gain(power: i32, correlation: i32) -> u8 {
    if correlation <= 0 {
        return 0;
    }
    if correlation >= power {
        return 3;
    }
    let room = norm(power);
    let (correlation, power) = (upper(correlation << room), upper(power << room));
    let levels = GAIN_DECISIONS.iter().take_while(|&&level| correlation > mult(power, level)).count();
    levels.to_le_bytes()[0]
}
