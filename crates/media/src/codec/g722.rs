//! G.722 at 64 kbit/s (ITU-T G.722): 16 kHz speech as two bands of 8 kHz, each by its own adaptive differential coder.
//!
//! ```text
//!            ┌─ low band  ─▶ 6 bits ─┐      ┌─▶ low band  ─┐
//! samples ─ QMF                      octet                QMF ─ samples
//!            └─ high band ─▶ 2 bits ─┘      └─▶ high band ─┘
//!
//!    7   6   5   4   3   2   1   0
//! ┌───────┬───────────────────────┐     one octet is two samples; RTP counts octets,
//! │ high  │          low          │     so its clock is 8 kHz (RFC 3551 §4.5.2)
//! └───────┴───────────────────────┘
//! ```
//!
//! Both ends predict each band's next sample by two poles and six zeros, which they adapt to what was sent, and send
//! only how far the prediction was off, in steps of an adaptive size. The predictor and the step size of the low band
//! follow the upper four of its six bits alone, because a network may steal the lower two; we send and expect all.
//!
//! The arithmetic is that of the Recommendation's §5 and §6 to the bit; the names of its variables are in the comments.

#[cfg(test)]
mod tests;

/// The quadrature mirror filter's even coefficients (Table 11/G.722, h0, h2 … h22); the odd ones are the same backwards.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The decision levels of the low band's quantizer (Q6 of Table 14/G.722), in parts of the step size.
const LOW_DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// What each of the 64 low band codes stands for, in parts of the step size (QQ6 and IL6 of Table 14/G.722).
/// The first four are never sent; they mean the smallest step down.
const LOW_LEVELS: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];

/// The same for the upper four bits alone, which the adaptation goes by (QQ4).
const LOW_LEVELS_16: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// How much each of those four-bit codes lengthens or shortens the step (WL by RL42).
const LOW_STEP_CHANGES: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// The decision level of the high band (Q2).
const HIGH_DECISION: i32 = 564;

/// What each of the four high band codes stands for (QQ2).
const HIGH_LEVELS: [i32; 4] = [-7408, -1616, 7408, 1616];

/// How much each high band code lengthens or shortens the step (WH by IH2).
const HIGH_STEP_CHANGES: [i32; 4] = [798, -214, 798, -214];

/// The mantissas of 2^(n/32), scaled by 2048 (ILB of Table 17/G.722).
const EXPONENTIALS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// The largest logarithms of the step sizes of both bands (NBL, NBH), in 1/2048 of an octave.
const LOW_STEP_LIMIT: i32 = 18_432;
const HIGH_STEP_LIMIT: i32 = 22_528;

/// The octave of the logarithm in which a step is its mantissa alone, of both bands.
const LOW_OCTAVE: i32 = 8;
const HIGH_OCTAVE: i32 = 10;

/// The range of a band's samples: 15 bits.
const BAND_MIN: i32 = -16_384;
const BAND_MAX: i32 = 16_383;

/// How many octets a decoder goes by: it forgets a 256th of its coefficients with each (UPPOL1, UPZERO), and so all but a
/// 500th in 200 ms.
pub const MEMORY: usize = 1600;

/// Encodes samples at 16 kHz.
#[derive(Clone, Debug)]
pub struct Encoder {
    low: Band,
    high: Band,
    filter: Qmf,
    /// The first sample of a pair whose second has not come yet.
    odd: Option<i16>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder in the reset state of the Recommendation.
    pub fn new() -> Self {
        Self { low: Band::new(LOW_OCTAVE), high: Band::new(HIGH_OCTAVE), filter: Qmf::default(), odd: None }
    }

    /// Appends one octet for every two of `samples` to `out`. A last odd sample waits for the next call.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let mut samples = samples.iter().copied();
        while let Some(first) = self.odd.take().or_else(|| samples.next()) {
            let Some(second) = samples.next() else {
                self.odd = Some(first);
                return;
            };
            out.push(self.pair(first, second));
        }
    }

    /// Goes on from what the other end's decoder has heard, which another encoder has made.
    pub fn follow(&mut self, heard: &[u8]) {
        for octet in heard {
            self.low.adapt_low(octet & 0x3f);
            self.high.adapt_high(octet >> 6);
        }
    }

    fn pair(&mut self, first: i16, second: i16) -> u8 {
        let (odd, even) = self.filter.next(i32::from(first), i32::from(second));
        let low = quantize_low(saturate(((odd + even) >> 14) - self.low.prediction), self.low.step);
        let high = quantize_high(saturate(((odd - even) >> 14) - self.high.prediction), self.high.step);
        self.low.adapt_low(low);
        self.high.adapt_high(high);
        high << 6 | low
    }
}

/// Decodes to samples at 16 kHz.
#[derive(Clone, Debug)]
pub struct Decoder {
    low: Band,
    high: Band,
    filter: Qmf,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder in the reset state of the Recommendation.
    pub fn new() -> Self {
        Self { low: Band::new(LOW_OCTAVE), high: Band::new(HIGH_OCTAVE), filter: Qmf::default() }
    }

    /// Appends two samples for every octet of `payload` to `out`. Every octet is valid.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.reserve(payload.len() * 2);
        for &octet in payload {
            let (low_sample, high_sample) = (self.low.low_sample(octet), self.high.high_sample(octet));
            self.low.adapt_low(octet & 0x3f);
            self.high.adapt_high(octet >> 6);
            let (odd, even) = self.filter.next(low_sample + high_sample, low_sample - high_sample);
            out.extend([sample(odd >> 11), sample(even >> 11)]);
        }
    }
}

/// Makes a payload for a decoder that has heard another one before, of a payload that was made for one that has heard nothing.
/// The bands are coded anew as they are: nothing is filtered, nothing is later.
#[derive(Clone, Debug)]
pub struct Recoder {
    stored: [Band; 2],
    heard: [Band; 2],
}

impl Recoder {
    /// For a decoder that has heard this.
    pub fn after(heard: &[u8]) -> Self {
        let mut encoder = Encoder::new();
        encoder.follow(heard);
        let stored = [Band::new(LOW_OCTAVE), Band::new(HIGH_OCTAVE)];
        Self { stored, heard: [encoder.low, encoder.high] }
    }

    /// The next octet.
    pub fn recode(&mut self, octet: u8) -> u8 {
        let ([stored_low, stored_high], [low, high]) = (&mut self.stored, &mut self.heard);
        let low_code = quantize_low(saturate(stored_low.low_sample(octet) - low.prediction), low.step);
        let high_code = quantize_high(saturate(stored_high.high_sample(octet) - high.prediction), high.step);
        stored_low.adapt_low(octet & 0x3f);
        stored_high.adapt_high(octet >> 6);
        low.adapt_low(low_code);
        high.adapt_high(high_code);
        high_code << 6 | low_code
    }
}

/// One band's predictor and step size, which both ends keep alike (§6.2.1.2 to §6.2.1.4 of the Recommendation).
#[derive(Clone, Debug)]
struct Band {
    /// What the next sample is predicted to be (SL, SH).
    prediction: i32,
    /// The part of it that the zeros give (SZL, SZH).
    zeros: i32,
    /// Whether the last two partly reconstructed samples were negative, the latest first (PLT, PH).
    negative: [bool; 2],
    /// The coefficients of the poles (AL, AH).
    pole: [i32; 2],
    /// The coefficients of the zeros (BL, BH).
    zero: [i32; 6],
    /// Twice the last reconstructed sample (RLT, RH).
    reconstructed: i32,
    /// Twice the last six offsets, the latest first (DLT, DH).
    offsets: [i32; 6],
    /// The logarithm of the step size (NBL, NBH).
    log_step: i32,
    /// The step size (DETL, DETH), as a quarter of what the Recommendation writes.
    step: i32,
}

impl Band {
    /// The reset state of the band whose `octave` this is.
    fn new(octave: i32) -> Self {
        Self {
            prediction: 0,
            zeros: 0,
            negative: [false; 2],
            pole: [0; 2],
            zero: [0; 6],
            reconstructed: 0,
            offsets: [0; 6],
            log_step: 0,
            step: step_of(0, octave),
        }
    }

    /// The sample of the low band that an octet means.
    fn low_sample(&self, octet: u8) -> i32 {
        let offset = (self.step * LOW_LEVELS[usize::from(octet & 0x3f)]) >> 13;
        (self.prediction + offset).clamp(BAND_MIN, BAND_MAX)
    }

    /// The sample of the high band that an octet means.
    fn high_sample(&self, octet: u8) -> i32 {
        let offset = (self.step * HIGH_LEVELS[usize::from(octet >> 6)]) >> 13;
        (self.prediction + offset).clamp(BAND_MIN, BAND_MAX)
    }

    /// Goes on by the low band's code.
    fn adapt_low(&mut self, code: u8) {
        let code = usize::from(code >> 2);
        self.predict((self.step * LOW_LEVELS_16[code]) >> 13);
        self.rescale(LOW_STEP_CHANGES[code], LOW_STEP_LIMIT, LOW_OCTAVE);
    }

    /// Goes on by the high band's code.
    fn adapt_high(&mut self, code: u8) {
        let code = usize::from(code);
        self.predict((self.step * HIGH_LEVELS[code]) >> 13);
        self.rescale(HIGH_STEP_CHANGES[code], HIGH_STEP_LIMIT, HIGH_OCTAVE);
    }

    /// The next step size (LOGSCL, SCALEL; LOGSCH, SCALEH).
    fn rescale(&mut self, change: i32, limit: i32, octave: i32) {
        self.log_step = (((self.log_step * 127) >> 7) + change).clamp(0, limit);
        self.step = step_of(self.log_step, octave);
    }

    /// The next prediction, the last having been off by `offset`.
    fn predict(&mut self, offset: i32) {
        self.adapt_poles(self.zeros + offset < 0);
        self.adapt_zeros(offset);
        let reconstructed = saturate((self.prediction + offset) * 2);
        let poles = ((self.pole[0] * reconstructed) >> 15) + ((self.pole[1] * self.reconstructed) >> 15);
        self.reconstructed = reconstructed;
        self.prediction = saturate(self.zeros + poles);
    }

    /// UPPOL1 and UPPOL2: `negative` is the sign of the sample reconstructed by the zeros alone.
    fn adapt_poles(&mut self, negative: bool) {
        let like_last = negative == self.negative[0];
        let like_last_but_one = negative == self.negative[1];
        self.negative = [negative, self.negative[0]];
        let first = saturate(self.pole[0] * 4);
        let by_first = if like_last { saturate(-first) } else { first } >> 7;
        let second = if like_last_but_one { 128 } else { -128 };
        self.pole[1] = (by_first + second + ((self.pole[1] * 127) >> 7)).clamp(-12_288, 12_288);
        let limit = 15_360 - self.pole[1];
        let change = if like_last { 192 } else { -192 };
        self.pole[0] = (change + ((self.pole[0] * 255) >> 8)).clamp(-limit, limit);
    }

    /// UPZERO, DELAYL and FILTEZ.
    fn adapt_zeros(&mut self, offset: i32) {
        let change = if offset == 0 { 0 } else { 128 };
        for (zero, &previous) in self.zero.iter_mut().zip(&self.offsets) {
            let change = if (previous < 0) == (offset < 0) { change } else { -change };
            *zero = ((*zero * 255) >> 8) + change;
        }
        self.offsets.copy_within(..5, 1);
        self.offsets[0] = saturate(offset * 2);
        self.zeros =
            self.zero.iter().zip(&self.offsets).map(|(zero, offset)| (zero * offset) >> 15).sum::<i32>();
    }
}

/// The quadrature mirror filter: between pairs of samples and the sum and difference of the bands (§5.2.1, §5.2.2).
#[derive(Clone, Debug, Default)]
struct Qmf {
    /// The last twelve first samples of a pair, the latest last, and the last twelve second ones.
    first: [i32; 12],
    second: [i32; 12],
}

impl Qmf {
    /// Takes a pair, and gives the sums over the second samples and over the first ones.
    fn next(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.first.copy_within(1.., 0);
        self.second.copy_within(1.., 0);
        self.first[11] = first;
        self.second[11] = second;
        let even = self.first.iter().zip(&QMF).map(|(sample, weight)| sample * weight).sum();
        let odd = self.second.iter().zip(QMF.iter().rev()).map(|(sample, weight)| sample * weight).sum();
        (odd, even)
    }
}

/// The low band's code of `offset` (QUANTL).
fn quantize_low(offset: i32, step: i32) -> u8 {
    let magnitude = (magnitude(offset) + 1) << 10;
    // As many levels as are below it. ILN and ILP: codes fall from the smallest offset to the largest.
    let level = LOW_DECISIONS.partition_point(|&decision| decision * step < magnitude);
    let [level, ..] = level.to_le_bytes();
    match (offset < 0, level) {
        (true, 0 | 1) => 63 - level,
        (true, _) => 33 - level,
        (false, _) => 61 - level,
    }
}

/// The high band's code of `offset` (QUANTH).
fn quantize_high(offset: i32, step: i32) -> u8 {
    let near = magnitude(offset) < (HIGH_DECISION * step) >> 10;
    u8::from(offset >= 0) << 1 | u8::from(near)
}

/// By ones' complement: 0 and −1 are equally small.
fn magnitude(offset: i32) -> i32 {
    if offset < 0 { !offset } else { offset }
}

/// The step of a logarithm, whose unit is 1/2048 of an octave.
fn step_of(log_step: i32, octave: i32) -> i32 {
    let mantissa = EXPONENTIALS[(log_step >> 6 & 31).cast_unsigned() as usize];
    let shift = (log_step >> 11) - octave;
    if shift < 0 { mantissa >> -shift } else { mantissa << shift }
}

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "saturated just before")]
fn sample(value: i32) -> i16 {
    saturate(value) as i16
}
