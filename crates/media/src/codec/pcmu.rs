//! G.711 mu-law (ITU-T G.711 §3, Table 2/G.711), bit-exact with `ulaw_compress` and `ulaw_expand` of ITU-T G.191.
//!
//! ```text
//!  7   6 5 4   3 2 1 0        all seven magnitude bits are inverted on the line
//! ┌───┬───────┬─────────┐
//! │ + │segment│ interval│
//! └───┴───────┴─────────┘
//! ```
//!
//! Of a 16-bit sample the upper 14 bits count. A bias of 33 makes every segment begin at a power of two; negative
//! samples are taken by ones' complement.

/// Decoded values of all codes, 14 bits, left-justified in 16.
pub(super) const DECODED: [i16; 256] = decode_table();

/// The line's silence: positive zero.
pub(super) const SILENCE: u8 = 0xff;

const BIAS: i16 = 33;
/// Magnitudes beyond the last decision value are clipped to it.
const CLIP: i16 = 0x1fff;

/// One sample to its code; computed for the same reason as in `pcma`, and by the same means.
pub(super) const fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x00 } else { 0x80 };
    let biased = (if sample < 0 { !sample } else { sample } >> 2) + BIAS;
    let magnitude = if biased > CLIP { CLIP } else { biased };
    // 33 ≤ magnitude < 8192: its leading one is bit 5 to 12, and that is segment 0 to 7.
    let [low, ..] = (((magnitude as f32).to_bits() >> 19) - ((127 + 5) << 4)).to_le_bytes();
    sign | (low ^ 0x7f)
}

const fn decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut index: usize = 0;
    while index < table.len() {
        let line = !index.to_le_bytes()[0] as i16;
        let segment = (line >> 4) & 0x07;
        // The middle of the biased interval, then the bias off, then left-justified.
        let magnitude = (((((line & 0x0f) << 1) + BIAS) << segment) - BIAS) << 2;
        table[index] = if line & 0x80 != 0 { -magnitude } else { magnitude };
        index += 1;
    }
    table
}
