//! The operations that GSM 06.10 is written in (§5.1): words of 16 bits, saturated.

/// Saturated sum.
pub(super) fn add(a: i16, b: i16) -> i16 {
    a.saturating_add(b)
}

/// The product of two fractions, cut.
pub(super) fn mult(a: i16, b: i16) -> i16 {
    word((i32::from(a) * i32::from(b)) >> 15)
}

/// The product of two fractions, rounded.
pub(super) fn mult_r(a: i16, b: i16) -> i16 {
    word((i32::from(a) * i32::from(b) + 0x4000) >> 15)
}

/// Saturated to a word.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
pub(super) fn word(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// The upper word.
pub(super) fn upper(value: i32) -> i16 {
    (value >> 16) as i16
}

/// The largest magnitude among `words`, saturated.
pub(super) fn largest(words: &[i16]) -> i16 {
    words.iter().map(|word| word.saturating_abs()).max().unwrap_or_default()
}

/// How far a positive value can be shifted up without reaching the sign.
pub(super) fn norm(value: i32) -> u32 {
    value.leading_zeros() - 1
}

/// Code from a value that is known to be small and positive.
pub(super) fn code(value: i16) -> u8 {
    let [low, _] = value.to_le_bytes();
    low
}
