//! Decimal numbers as they are written, exactly: an amount of money never passes through binary fractions here.

use super::Fault;

/// The most digits before the point. Ten to the 16th is where whole numbers in JSON lose their last digit, and where the
/// names of numbers leave everyday language.
pub(super) const WHOLE_MAX: usize = 16;
/// The most digits behind the point: what the shortest form of a binary fraction above 0.001 has.
pub(super) const FRACTION_MAX: usize = 20;

/// A number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Whether it is below zero; zero is not.
    pub(super) negative: bool,
    /// What is before the point, of [`WHOLE_MAX`] digits.
    pub(super) whole: u64,
    /// The digits behind the point as they are written, each 0 to 9.
    pub(super) fraction: Vec<u8>,
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// Whether it is below zero.
    pub(super) negative: bool,
    /// Whole units.
    pub(super) whole: u64,
    /// Tenths and hundredths of one, 0 to 9.
    pub(super) tenths: u8,
    /// See `tenths`.
    pub(super) hundredths: u8,
}

impl Number {
    /// `[-]digits[.digits]`.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let (minus, text) = sign(text);
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(Fault::Number),
            Some(parts) => parts,
            None => (text, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(Fault::Number);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > WHOLE_MAX {
            return Err(Fault::Whole);
        }
        if fraction.len() > FRACTION_MAX {
            return Err(Fault::Fraction);
        }
        let whole = whole.bytes().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        let fraction: Vec<u8> = fraction.bytes().map(|byte| byte - b'0').collect();
        let is_zero = whole == 0 && fraction.iter().all(|&digit| digit == 0);
        Ok(Self { negative: minus && !is_zero, whole, fraction })
    }

    /// The number as money. Nothing is rounded: who sends parts of a cent has to say which way.
    pub(super) fn amount(&self) -> Result<Amount, Fault> {
        let digit = |index| self.fraction.get(index).copied().unwrap_or(0);
        if self.fraction.iter().skip(2).any(|&digit| digit != 0) {
            return Err(Fault::Cents);
        }
        let (negative, whole) = (self.negative, self.whole);
        Ok(Amount { negative, whole, tenths: digit(0), hundredths: digit(1) })
    }
}

/// Whether there is a minus, and what is behind it.
pub(super) fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    }
}
