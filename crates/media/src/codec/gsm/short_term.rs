//! The short-term filter: eight reflection coefficients, found by Schur's recursion, sent as log area ratios.

use super::arithmetic::{add, code, largest, mult, mult_r, norm, upper};
use super::{FRAME_SAMPLES, RATIOS};

/// One value for each of the eight.
type Ratios = [i16; RATIOS];

/// How a log area ratio is quantized (Table 5.1): slope and offset, the range, and the slope's inverse.
struct Quantizer {
    a: i16,
    b: i16,
    min: i16,
    max: i16,
    inverse: i16,
}

const QUANTIZERS: [Quantizer; RATIOS] = [
    Quantizer { a: 20_480, b: 0, min: -32, max: 31, inverse: 13_107 },
    Quantizer { a: 20_480, b: 0, min: -32, max: 31, inverse: 13_107 },
    Quantizer { a: 20_480, b: 2048, min: -16, max: 15, inverse: 13_107 },
    Quantizer { a: 20_480, b: -2560, min: -16, max: 15, inverse: 13_107 },
    Quantizer { a: 13_964, b: 94, min: -8, max: 7, inverse: 19_223 },
    Quantizer { a: 15_360, b: -1792, min: -8, max: 7, inverse: 17_476 },
    Quantizer { a: 8534, b: -341, min: -4, max: 3, inverse: 31_454 },
    Quantizer { a: 9036, b: -1144, min: -4, max: 3, inverse: 29_708 },
];

/// The filter of the encoder.
#[derive(Clone, Debug, Default)]
pub(super) struct Analysis {
    previous: Ratios,
    delays: Ratios,
}

impl Analysis {
    /// Finds the ratios of a frame, writes their codes, and turns its samples into the residual.
    pub(super) fn run(&mut self, signal: &mut [i16; FRAME_SAMPLES], codes: &mut [u8]) {
        let reflections = reflections(&autocorrelation(signal));
        for ((code, reflection), quantizer) in codes.iter_mut().zip(reflections).zip(&QUANTIZERS) {
            *code = quantize(log_area_ratio(reflection), quantizer);
        }
        let ratios = dequantize(codes);
        for (reflections, samples) in interpolated(&self.previous, &ratios, signal) {
            samples.iter_mut().for_each(|sample| *sample = self.filter(&reflections, *sample));
        }
        self.previous = ratios;
    }

    /// §5.2.10.
    fn filter(&mut self, reflections: &Ratios, sample: i16) -> i16 {
        let (mut forward, mut backward) = (sample, sample);
        for (delay, &reflection) in self.delays.iter_mut().zip(reflections) {
            let delayed = std::mem::replace(delay, backward);
            backward = add(delayed, mult_r(reflection, forward));
            forward = add(forward, mult_r(reflection, delayed));
        }
        forward
    }
}

/// The filter of the decoder.
#[derive(Clone, Debug, Default)]
pub(super) struct Synthesis {
    previous: Ratios,
    delays: [i16; RATIOS + 1],
}

impl Synthesis {
    /// Turns the residual of a frame into samples.
    pub(super) fn run(&mut self, signal: &mut [i16; FRAME_SAMPLES], codes: &[u8]) {
        let ratios = dequantize(codes);
        for (reflections, samples) in interpolated(&self.previous, &ratios, signal) {
            samples.iter_mut().for_each(|sample| *sample = self.filter(&reflections, *sample));
        }
        self.previous = ratios;
    }

    /// §5.3.4.
    fn filter(&mut self, reflections: &Ratios, residual: i16) -> i16 {
        let mut sample = residual;
        for (index, &reflection) in reflections.iter().enumerate().rev() {
            sample = sample.saturating_sub(mult_r(reflection, self.delays[index]));
            self.delays[index + 1] = add(self.delays[index], mult_r(reflection, sample));
        }
        self.delays[0] = sample;
        sample
    }
}

/// §5.2.4. A loud frame is scaled down to leave room for the sums, and up again, which costs it its lowest bits.
fn autocorrelation(signal: &mut [i16; FRAME_SAMPLES]) -> [i32; RATIOS + 1] {
    let largest = largest(signal);
    let room = norm(i32::from(largest.max(1)) << 16);
    let scale = if largest == 0 { 0 } else { 4u32.saturating_sub(room) };
    if scale > 0 {
        let factor = 0x4000 >> (scale - 1);
        signal.iter_mut().for_each(|sample| *sample = mult_r(*sample, factor));
    }
    let correlation = std::array::from_fn(|lag| {
        let pairs = signal[lag..].iter().zip(signal.iter());
        pairs.map(|(&now, &then)| i32::from(now) * i32::from(then)).sum::<i32>() << 1
    });
    if scale > 0 {
        signal.iter_mut().for_each(|sample| *sample <<= scale);
    }
    correlation
}

/// Schur's recursion (§5.2.5).
fn reflections(correlation: &[i32; RATIOS + 1]) -> Ratios {
    let mut reflections = [0; RATIOS];
    if correlation[0] == 0 {
        return reflections;
    }
    let room = norm(correlation[0]);
    let mut p = correlation.map(|value| upper(value << room));
    let mut k = p;
    for (n, place) in reflections.iter_mut().enumerate() {
        let magnitude = p[1].saturating_abs();
        if p[0] < magnitude {
            break;
        }
        let quotient = divide(magnitude, p[0]);
        let reflection = if p[1] > 0 { -quotient } else { quotient };
        *place = reflection;
        p[0] = add(p[0], mult_r(p[1], reflection));
        for m in 1..RATIOS - n {
            let next = p[m + 1];
            p[m] = add(next, mult_r(k[m], reflection));
            k[m] = add(k[m], mult_r(next, reflection));
        }
    }
    reflections
}

/// The fraction of two positive words of which the second is not smaller, in 15 bits.
fn divide(numerator: i16, denominator: i16) -> i16 {
    if numerator == 0 {
        return 0;
    }
    let (mut rest, denominator) = (i32::from(numerator), i32::from(denominator));
    let mut quotient = 0;
    for _ in 0..15 {
        quotient <<= 1;
        rest <<= 1;
        if rest >= denominator {
            rest -= denominator;
            quotient += 1;
        }
    }
    quotient
}

/// §5.2.6: three straight lines instead of a logarithm.
fn log_area_ratio(reflection: i16) -> i16 {
    let magnitude = match reflection.saturating_abs() {
        small @ ..22_118 => small >> 1,
        middle @ 22_118..31_130 => middle - 11_059,
        large => (large - 26_112) << 2,
    };
    if reflection < 0 { -magnitude } else { magnitude }
}

/// Back again (§5.2.9.2).
fn reflection(log_area_ratio: i16) -> i16 {
    let magnitude = match log_area_ratio.saturating_abs() {
        small @ ..11_059 => small << 1,
        middle @ 11_059..20_070 => middle + 11_059,
        large => add(large >> 2, 26_112),
    };
    if log_area_ratio < 0 { -magnitude } else { magnitude }
}

/// §5.2.7.
fn quantize(ratio: i16, quantizer: &Quantizer) -> u8 {
    let scaled = add(add(mult(quantizer.a, ratio), quantizer.b), 256) >> 9;
    code(scaled.clamp(quantizer.min, quantizer.max) - quantizer.min)
}

/// §5.2.8.
fn dequantize(codes: &[u8]) -> Ratios {
    std::array::from_fn(|index| {
        let Quantizer { b, min, inverse, .. } = QUANTIZERS[index];
        let level = (i16::from(codes[index]) + min) << 10;
        let half = mult_r(inverse, level.saturating_sub(b << 1));
        add(half, half)
    })
}

/// The four pieces of a frame with the reflection coefficients of each, which pass from the last frame's ratios to its
/// own (§5.2.9.1, Table 3.2).
fn interpolated<'s>(
    last: &Ratios,
    own: &Ratios,
    signal: &'s mut [i16; FRAME_SAMPLES],
) -> [(Ratios, &'s mut [i16]); 4] {
    let mixed = |mix: fn(i16, i16) -> i16| -> Ratios {
        std::array::from_fn(|index| reflection(mix(last[index], own[index])))
    };
    let (first, rest) = signal.split_at_mut(13);
    let (second, rest) = rest.split_at_mut(14);
    let (third, fourth) = rest.split_at_mut(13);
    [
        (mixed(|last, own| add(add(last >> 2, own >> 2), last >> 1)), first),
        (mixed(|last, own| add(last >> 1, own >> 1)), second),
        (mixed(|last, own| add(add(last >> 2, own >> 2), own >> 1)), third),
        (mixed(|_, own| own), fourth),
    ]
}
