//! GSM 06.10 full rate (ETSI EN 300 961): 20 ms of speech at 8 kHz in 260 bits, 13 kbit/s.
//!
//! ```text
//! 160 samples ─ offset, pre-emphasis ─ short-term analysis ─ long-term analysis ─ grid of every third sample
//!                                       8 log area ratios      4 × lag, gain        4 × position, maximum, 13 pulses
//! ```
//!
//! A frame is its 76 codes one after another. Two layouts of them are in use:
//!
//! ```text
//! RTP    1101│ codes, each from its highest bit, octets from their highest     33 octets  (RFC 3551 §4.5.8.1)
//! WAV    codes of two frames, each from its lowest bit, octets from their lowest  65 octets  (format tag 0x31)
//! ```
//!
//! The arithmetic is that of the Recommendation's §5 (16 bits, saturated) to the bit, and the comments name its sections.

mod arithmetic;
mod long_term;
mod pulses;
mod short_term;
#[cfg(test)]
mod tests;

use arithmetic::{add, mult_r};

/// Samples of a frame.
pub const FRAME_SAMPLES: usize = 160;

/// Octets of a frame in RTP.
pub const FRAME_OCTETS: usize = 33;

/// Samples of a block in a WAV file.
pub const BLOCK_SAMPLES: usize = 2 * FRAME_SAMPLES;

/// Octets of a block in a WAV file.
pub const BLOCK_OCTETS: usize = 65;

/// Samples of a subframe, of which a frame has four.
const SUBFRAME: usize = 40;

/// What a frame begins with in RTP.
const SIGNATURE: u8 = 0xd;

/// The codes of a frame, in the order in which they are sent (Table 1.1): eight log area ratios, then of each subframe
/// lag, gain, grid position, block maximum and 13 pulses.
type Codes = [u8; 76];

/// The log area ratios among the codes.
const RATIOS: usize = 8;

/// The codes of a subframe.
const SUBFRAME_CODES: usize = 17;

/// How many bits each code has.
const WIDTHS: Codes = {
    let mut widths = [3; 76];
    let ratios = [6, 6, 5, 5, 4, 4, 3, 3];
    let mut index = 0;
    while index < RATIOS {
        widths[index] = ratios[index];
        index += 1;
    }
    while index < widths.len() {
        let [lag, gain, position, maximum] = [7, 2, 2, 6];
        widths[index] = lag;
        widths[index + 1] = gain;
        widths[index + 2] = position;
        widths[index + 3] = maximum;
        index += SUBFRAME_CODES;
    }
    widths
};

/// The weight of the last sample in pre-emphasis and de-emphasis (§5.2.3, §5.3.5).
const EMPHASIS: i16 = 28_180;

/// Encodes samples at 8 kHz.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// The input of offset compensation one sample ago (z1), and its output (L_z2).
    offset_input: i16,
    offset_output: i32,
    /// The input of pre-emphasis one sample ago (mp).
    emphasis: i16,
    short_term: short_term::Analysis,
    long_term: long_term::History,
    /// Samples that wait for the rest of their frame, and how many they are.
    pending: [i16; FRAME_SAMPLES],
    filled: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder in the home state.
    pub fn new() -> Self {
        Self {
            offset_input: 0,
            offset_output: 0,
            emphasis: 0,
            short_term: short_term::Analysis::default(),
            long_term: long_term::History::default(),
            pending: [0; FRAME_SAMPLES],
            filled: 0,
        }
    }

    /// Appends [`FRAME_OCTETS`] octets to `out`, as RTP carries them, for every [`FRAME_SAMPLES`] of `samples`. A rest
    /// waits for the next call.
    pub fn encode(&mut self, mut samples: &[i16], out: &mut Vec<u8>) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(FRAME_SAMPLES - self.filled));
            self.pending[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            if self.filled == FRAME_SAMPLES {
                self.filled = 0;
                let samples = self.pending;
                let codes = self.frame(&samples);
                pack(&codes, out);
            }
        }
    }

    /// A block of a WAV file.
    pub fn encode_block(&mut self, samples: &[i16; BLOCK_SAMPLES]) -> [u8; BLOCK_OCTETS] {
        let mut block = [0; BLOCK_OCTETS];
        let mut at = 0;
        for frame in samples.as_chunks().0 {
            for (code, width) in self.frame(frame).into_iter().zip(WIDTHS) {
                let shifted = (u16::from(code) << (at % 8)).to_le_bytes();
                block[at / 8] |= shifted[0];
                if let Some(next) = block.get_mut(at / 8 + 1) {
                    *next |= shifted[1];
                }
                at += usize::from(width);
            }
        }
        block
    }

    fn frame(&mut self, samples: &[i16; FRAME_SAMPLES]) -> Codes {
        let mut signal = samples.map(|sample| self.preprocess(sample));
        let mut codes = [0; 76];
        let (ratios, subframes) = codes.split_at_mut(RATIOS);
        self.short_term.run(&mut signal, ratios);
        for (residual, codes) in signal.as_chunks().0.iter().zip(subframes.chunks_exact_mut(SUBFRAME_CODES)) {
            let (lag, gain) = self.long_term.find(residual);
            let estimate = self.long_term.estimate(lag, gain);
            [codes[0], codes[1]] = [lag, gain];
            let rest = std::array::from_fn(|k| residual[k].saturating_sub(estimate[k]));
            let decoded = pulses::encode(&rest, &mut codes[2..]);
            self.long_term.append(&decoded, &estimate);
        }
        codes
    }

    /// Scaling, offset compensation and pre-emphasis (§5.2.1 to §5.2.3).
    fn preprocess(&mut self, sample: i16) -> i16 {
        const OFFSET_WEIGHT: i16 = 32_735;
        let scaled = (sample >> 3) << 2;
        let difference = i32::from(scaled.saturating_sub(self.offset_input));
        self.offset_input = scaled;
        // 31 bits by 16, in two halves.
        let (high, low) = (self.offset_output >> 15, self.offset_output & 0x7fff);
        let low = (low * i32::from(OFFSET_WEIGHT) + 0x4000) >> 15;
        self.offset_output = (high * i32::from(OFFSET_WEIGHT)).saturating_add((difference << 15) + low);
        let emphasis = mult_r(self.emphasis, -EMPHASIS);
        self.emphasis = arithmetic::word(self.offset_output.saturating_add(0x4000) >> 15);
        add(self.emphasis, emphasis)
    }
}

/// Decodes to samples at 8 kHz.
#[derive(Clone, Debug)]
pub struct Decoder {
    short_term: short_term::Synthesis,
    long_term: long_term::History,
    /// The last lag that was one (nrp); a code that is none stands for it.
    lag: u8,
    /// The output of de-emphasis one sample ago (msr).
    emphasis: i16,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder in the home state.
    pub fn new() -> Self {
        Self {
            short_term: short_term::Synthesis::default(),
            long_term: long_term::History::default(),
            lag: *long_term::LAGS.start(),
            emphasis: 0,
        }
    }

    /// Appends [`FRAME_SAMPLES`] samples to `out` for every [`FRAME_OCTETS`] of `payload`, as RTP carries them. All codes
    /// are valid, the signature is not looked at, and a rest that is no whole frame is passed over.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for octets in payload.as_chunks().0 {
            self.frame(&unpack(octets), out);
        }
    }

    /// Appends the [`BLOCK_SAMPLES`] samples of a block of a WAV file to `out`.
    pub fn decode_block(&mut self, block: &[u8; BLOCK_OCTETS], out: &mut Vec<i16>) {
        let mut at = 0;
        for _ in 0..BLOCK_SAMPLES / FRAME_SAMPLES {
            let codes = WIDTHS.map(|width| {
                let next = block.get(at / 8 + 1).copied().unwrap_or_default();
                let [code, _] = (u16::from_le_bytes([block[at / 8], next]) >> (at % 8)).to_le_bytes();
                at += usize::from(width);
                code & ((1 << width) - 1)
            });
            self.frame(&codes, out);
        }
    }

    fn frame(&mut self, codes: &Codes, out: &mut Vec<i16>) {
        let (ratios, subframes) = codes.split_at(RATIOS);
        let mut signal = [0; FRAME_SAMPLES];
        let residuals = signal.as_chunks_mut().0;
        for (residual, codes) in residuals.iter_mut().zip(subframes.chunks_exact(SUBFRAME_CODES)) {
            if long_term::LAGS.contains(&codes[0]) {
                self.lag = codes[0];
            }
            let estimate = self.long_term.estimate(self.lag, codes[1]);
            *residual = self.long_term.append(&pulses::decode(&codes[2..]), &estimate);
        }
        self.short_term.run(&mut signal, ratios);
        // De-emphasis, scaling up, and three bits that never were (§5.3.5 to §5.3.7).
        out.extend(signal.map(|sample| {
            self.emphasis = add(sample, mult_r(self.emphasis, EMPHASIS));
            add(self.emphasis, self.emphasis) & !0x7
        }));
    }
}

/// A frame as RTP carries it.
fn pack(codes: &Codes, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (u16::from(SIGNATURE), 4);
    for (&code, width) in codes.iter().zip(WIDTHS) {
        bits = bits << width | u16::from(code);
        count += width;
        if count >= 8 {
            count -= 8;
            let [octet, _] = (bits >> count).to_le_bytes();
            out.push(octet);
        }
    }
}

fn unpack(octets: &[u8; FRAME_OCTETS]) -> Codes {
    let mut at = 4;
    WIDTHS.map(|width| {
        let next = octets.get(at / 8 + 1).copied().unwrap_or_default();
        let [_, code] = (u16::from_be_bytes([octets[at / 8], next]) << (at % 8)).to_le_bytes();
        at += usize::from(width);
        code >> (8 - width)
    })
}
