//! Regular pulse excitation: of what the predictors leave, every third sample, from the best of four positions, each in
//! three bits under a common maximum.

use super::SUBFRAME;
use super::arithmetic::{add, code, largest, mult, mult_r, word};

/// Pulses of a subframe.
const PULSES: usize = 13;

/// The weighting filter's impulse response (Table 5.4).
const WEIGHTS: [i32; 11] = [-134, -374, 0, 2054, 5741, 8192, 5741, 2054, 0, -374, -134];

/// The mantissas of the block maximum and their inverses (Tables 5.6 and 5.5).
const MANTISSAS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];
const INVERSE_MANTISSAS: [i16; 8] = [29_128, 26_215, 23_832, 21_846, 20_165, 18_725, 17_476, 16_384];

/// Writes the codes of a subframe (position, block maximum, pulses), and gives what they decode to.
pub(super) fn encode(residual: &[i16; SUBFRAME], codes: &mut [u8]) -> [i16; SUBFRAME] {
    let weighted = weigh(residual);
    let (position, pulses) = select(&weighted);
    codes[0] = position;
    codes[1] = block_maximum(largest(&pulses));
    let (exponent, mantissa) = exponent_and_mantissa(codes[1]);
    // The shift is the one that brings the block's maximum just below the sign.
    for (place, pulse) in codes[2..].iter_mut().zip(pulses) {
        let normal = pulse << (6 - exponent);
        *place = code((mult(normal, INVERSE_MANTISSAS[mantissa]) >> 12) + 4);
    }
    decode(codes)
}

/// The subframe of such codes (§5.2.16, §5.2.17).
pub(super) fn decode(codes: &[u8]) -> [i16; SUBFRAME] {
    let (exponent, mantissa) = exponent_and_mantissa(codes[1]);
    let shift = 6 - exponent;
    let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
    let mut residual = [0; SUBFRAME];
    let places = residual.iter_mut().skip(usize::from(codes[0])).step_by(3);
    for (place, &code) in places.zip(&codes[2..]) {
        let level = (i16::from(code) * 2 - 7) << 12;
        *place = add(mult_r(MANTISSAS[mantissa], level), half) >> shift;
    }
    residual
}

/// §5.2.13: the residual through the weighting filter, with nothing before and behind it.
fn weigh(residual: &[i16; SUBFRAME]) -> [i16; SUBFRAME] {
    const BESIDE: usize = WEIGHTS.len() / 2;
    let mut padded = [0i32; SUBFRAME + 2 * BESIDE];
    padded[BESIDE..][..SUBFRAME].copy_from_slice(&residual.map(i32::from));
    std::array::from_fn(|k| {
        let window = padded[k..].iter().zip(WEIGHTS);
        word((window.map(|(sample, weight)| sample * weight).sum::<i32>() + 0x1000) >> 13)
    })
}

/// §5.2.14: the position, of four, that has the most energy; of equals the first.
fn select(weighted: &[i16; SUBFRAME]) -> (u8, [i16; PULSES]) {
    let at =
        |position: u8| -> [i16; PULSES] { std::array::from_fn(|k| weighted[usize::from(position) + 3 * k]) };
    let energy = |position: u8| at(position).map(|pulse| i32::from(pulse >> 2).pow(2)).iter().sum::<i32>();
    let best = (1..4).fold(0, |best, next| if energy(next) > energy(best) { next } else { best });
    (best, at(best))
}

/// The code of a block's maximum: three bits of exponent, three of mantissa (§5.2.15).
fn block_maximum(maximum: i16) -> u8 {
    // Bits beyond the ninth; six at the most.
    let exponent = (16 - (maximum >> 9).leading_zeros()).min(6);
    let [exponent_code, ..] = (exponent << 3).to_le_bytes();
    code(maximum >> (exponent + 5)) + exponent_code
}

/// Back again; the mantissa loses its leading one, the exponent is −4 to 6.
fn exponent_and_mantissa(block_maximum: u8) -> (i16, usize) {
    let exponent = if block_maximum > 15 { i16::from(block_maximum >> 3) - 1 } else { 0 };
    let mantissa = i16::from(block_maximum) - (exponent << 3);
    if mantissa == 0 {
        return (-4, 7);
    }
    // Below eight it has no leading one yet; ones fill it up.
    let (mut exponent, mut mantissa) = (exponent, mantissa);
    while mantissa < 8 {
        mantissa = mantissa << 1 | 1;
        exponent -= 1;
    }
    (exponent, usize::from((mantissa - 8).cast_unsigned()))
}
