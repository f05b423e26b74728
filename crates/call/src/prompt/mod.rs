//! Values in words: digits, quantities, money, dates, times and durations, as the names of the recordings that are played
//! one after the other.
//!
//! ```text
//!   "12.50" ─▶ number ─┐
//!   "2026-11-30" ─▶ time ─┴─▶ zh, en: what is said in which order ─▶ ["12", "dollars", "and", "50", …]
//! ```
//! Pure functions: the same value in the same language is always the same words. A name is that of a file of the prompt pack
//! of its language, without folder and ending; `fixtures/prompts/zh/words.tsv` and `…/en/words.tsv` have all of them, with
//! what each says. The style of a language is described at the top of its file.

mod en;
mod number;
#[cfg(test)]
mod tests;
mod time;
mod zh;

use std::fmt;

use number::{Amount, Number};
use time::{Moment, Span};

/// The most bytes of a value in any form: twice what the longest number has, and more digits than any account.
pub const VALUE_MAX: usize = 64;

/// The most words that a value comes to: as many as the digits of the longest one, which is above what the longest number
/// takes (16 digits in English are 28 words, a point and 20 digits behind it).
pub const WORDS_MAX: usize = VALUE_MAX;

/// A language that values are said in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// Chinese: Mandarin as spoken on the mainland.
    #[default]
    Zh,
    /// English as spoken in America.
    En,
}

impl Language {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Zh, Self::En];

    /// Its code, which is also the folder of its prompt pack.
    pub fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// The language of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The name of every word that any value can come to, each once.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.table().names.iter().copied().flatten().copied()
    }

    fn table(self) -> &'static Table {
        match self {
            Self::Zh => &zh::TABLE,
            Self::En => &en::TABLE,
        }
    }
}

/// How a value is said: the types 1 to 6 of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manner {
    /// A whole number digit by digit, with the zeros that it begins with.
    Digits,
    /// A number as a quantity.
    Quantity,
    /// An amount in the currency of the language: yuan with a decimal fraction, or dollars and cents.
    Money,
    /// A date, a time of day, or both.
    DateTime,
    /// A duration.
    Duration,
    /// An amount in yuan, jiao and fen.
    Yuan,
}

/// Why a value cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is longer than [`VALUE_MAX`].
    Long,
    /// It is not digits with at most a minus before them.
    Digits,
    /// It is no decimal number.
    Number,
    /// It has more digits before the point than numbers have names for.
    Whole,
    /// It has more digits behind the point than anybody listens to.
    Fraction,
    /// It is an amount with parts of a cent or a fen.
    Cents,
    /// It is in none of the forms of dates and times.
    DateTime,
    /// There is no such year here.
    Year,
    /// There is no such month.
    Month,
    /// Its month has fewer days.
    Day {
        /// How many it has, in its year.
        days: u8,
    },
    /// There is no such time of day.
    Time,
    /// There is no such difference from UTC.
    Offset,
    /// It is in none of the forms of durations.
    Duration,
}

impl fmt::Display for Fault {
    /// What the value should have been.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "a value of at most {VALUE_MAX} bytes"),
            Self::Digits => f.write_str("a whole number, such as 0123"),
            Self::Number => f.write_str("a number, such as -12.5"),
            Self::Whole => write!(f, "a number with at most {} digits before the point", number::WHOLE_MAX),
            Self::Fraction => {
                write!(f, "a number with at most {} digits behind the point", number::FRACTION_MAX)
            }
            Self::Cents => f.write_str("an amount with at most two digits behind the point"),
            Self::DateTime => f.write_str(
                "YYYY-mm-dd HH:MM:SS, YYYY-mm-dd HH:MM, YYYY-mm-dd, YYYY-mm, HH:MM:SS, HH:MM or RFC 3339",
            ),
            Self::Year => f.write_str("a year of 1000 to 9999"),
            Self::Month => f.write_str("a month of 01 to 12"),
            Self::Day { days } => write!(f, "a day of 01 to {days}, which is how many its month has"),
            Self::Time => f.write_str("a time of 00:00:00 to 23:59:59"),
            Self::Offset => f.write_str("Z, or an offset of at most 23:59"),
            Self::Duration => f.write_str("HH:MM:SS or HH:MM, each of 0 to 99, or whole seconds"),
        }
    }
}

/// The words of a value, in the order in which they are said; at least one.
pub fn words(manner: Manner, value: &str, language: Language) -> Result<Vec<&'static str>, Fault> {
    if value.len() > VALUE_MAX {
        return Err(Fault::Long);
    }
    let table = language.table();
    let mut out = Words::new();
    match manner {
        Manner::Digits => digits(value, &mut out)?,
        Manner::Quantity => (table.quantity)(&Number::parse(value)?, &mut out),
        Manner::Money => (table.money)(&Number::parse(value)?.amount()?, &mut out),
        Manner::Yuan => (table.yuan)(&Number::parse(value)?.amount()?, &mut out),
        Manner::DateTime => (table.moment)(&Moment::parse(value)?, &mut out),
        Manner::Duration => (table.span)(&Span::parse(value)?, &mut out),
    }
    Ok(out)
}

/// Names of words, in the order in which they are said.
type Words = Vec<&'static str>;

/// What a language has to know.
struct Table {
    /// Every word it may say.
    names: &'static [&'static [&'static str]],
    quantity: fn(&Number, &mut Words),
    money: fn(&Amount, &mut Words),
    yuan: fn(&Amount, &mut Words),
    moment: fn(&Moment, &mut Words),
    span: fn(&Span, &mut Words),
}

/// The words of the ten digits and those that go with them, the same names in every language.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const MINUS: &str = "minus";
const POINT: &str = "point";

fn digits(value: &str, out: &mut Words) -> Result<(), Fault> {
    let (negative, digits) = number::sign(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Digits);
    }
    out.extend(negative.then_some(MINUS));
    out.extend(digits.bytes().map(|byte| DIGITS[usize::from(byte - b'0')]));
    Ok(())
}

/// The digits behind a point, each by itself.
fn fraction(digits: &[u8], out: &mut Words) {
    if !digits.is_empty() {
        out.push(POINT);
        out.extend(digits.iter().map(|&digit| DIGITS[usize::from(digit)]));
    }
}
