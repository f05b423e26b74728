//! G.711 a-law (ITU-T G.711 §2, Table 1/G.711), bit-exact with `alaw_compress` and `alaw_expand` of ITU-T G.191.
//!
//! ```text
//!  7   6 5 4   3 2 1 0        the even bits (0x55) are inverted on the line
//! ┌───┬───────┬─────────┐
//! │ + │segment│ interval│
//! └───┴───────┴─────────┘
//! ```
//!
//! Of a 16-bit sample the upper 12 bits count: sign and eleven of magnitude. Negative samples are taken by ones'
//! complement, so that −1 lies as deep in the first negative interval as 0 in the first positive one.

/// Decoded values of all codes, 13 bits, left-justified in 16.
pub(super) const DECODED: [i16; 256] = decode_table();

/// The line's silence: the first positive interval.
pub(super) const SILENCE: u8 = 0xd5;

/// One sample to its code.
///
/// Computed and not looked up, since a table of the 4,096 inputs would push other data out of the cache; and so that eight
/// samples are computed at once. A float has what a code has: the place of the leading one above its mantissa, the first four
/// bits of which are the interval.
pub(super) const fn encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x00 } else { 0x80 };
    let magnitude = if sample < 0 { !sample } else { sample } >> 4;
    // From 16 on the leading one is bit 4 to 10, and that is segment 1 to 7. The first two segments have the same step, so the
    // first is just the magnitude.
    let floating = ((magnitude as f32).to_bits() >> 19).wrapping_sub((127 + 3) << 4);
    let [low, ..] = if magnitude < 16 { magnitude.cast_unsigned() as u32 } else { floating }.to_le_bytes();
    (sign | low) ^ 0x55
}

const fn decode_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut index: usize = 0;
    while index < table.len() {
        let line = (index.to_le_bytes()[0] ^ 0x55) as i16;
        let segment = (line >> 4) & 0x07;
        // The middle of the interval, in units of 1/4096 of the range times eight.
        let middle = ((line & 0x0f) << 4) + 0x08;
        let magnitude = if segment == 0 { middle } else { (middle + 0x100) << (segment - 1) };
        table[index] = if line & 0x80 == 0 { -magnitude } else { magnitude };
        index += 1;
    }
    table
}
