//! English, as spoken in America.
//!
//! - No "and" inside numbers (one hundred five), names of thousands up to quadrillions. "Minus" and "point", zeros behind the
//!   point as written; 0 is "zero".
//! - Money is dollars and cents (twelve dollars and five cents, one cent); yuan, jiao and fen have no plural.
//! - A date is November thirtieth twenty twenty-six. Years are said by hundreds (nineteen oh five, twenty-one hundred), and as
//!   numbers in the first ten years of a thousand (two thousand nine).
//! - Time is of twelve hours with a.m. and p.m.: three oh five p.m., three o'clock p.m.; midnight is twelve a.m., noon twelve
//!   p.m. Seconds of 0 are not said, others behind: three oh five p.m. and one second. "At" joins date and time.
//! - A duration is one hour, two minutes and five seconds, without what is zero.

use super::number::{Amount, Number};
use super::time::{Date, Moment, Span, Time};
use super::{DIGITS, MINUS, POINT, Table, Words, fraction};

const TEENS: [&str; 10] = ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"];
/// Twenty to ninety.
const TENS: [&str; 8] = ["20", "30", "40", "50", "60", "70", "80", "90"];
const HUNDRED: &str = "hundred";
/// Of the groups of three digits, from behind; the first has no name.
const GROUPS: [&str; 5] = ["thousand", "million", "billion", "trillion", "quadrillion"];
/// First to nineteenth.
const ORDINALS: [&str; 19] = [
    "1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "10th", "11th", "12th", "13th", "14th",
    "15th", "16th", "17th", "18th", "19th",
];
/// Twentieth and thirtieth.
const ORDINAL_TENS: [&str; 2] = ["20th", "30th"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const AND: &str = "and";
const AT: &str = "at";
const OH: &str = "oh";
const OCLOCK: &str = "oclock";
const AM: &str = "am";
const PM: &str = "pm";

/// A unit, for one and for any other number.
type Unit = [&'static str; 2];
const DOLLARS: Unit = ["dollar", "dollars"];
const CENTS: Unit = ["cent", "cents"];
const HOURS: Unit = ["hour", "hours"];
const MINUTES: Unit = ["minute", "minutes"];
const SECONDS: Unit = ["second", "seconds"];
const YUAN: &str = "yuan";
const JIAO: &str = "jiao";
const FEN: &str = "fen";

/// The language.
pub(super) const TABLE: Table = Table {
    names: &[
        &DIGITS,
        &TEENS,
        &TENS,
        &[HUNDRED, MINUS, POINT, AND, AT, OH, OCLOCK, AM, PM, YUAN, JIAO, FEN],
        &GROUPS,
        &ORDINALS,
        &ORDINAL_TENS,
        &MONTHS,
        &DOLLARS,
        &CENTS,
        &HOURS,
        &MINUTES,
        &SECONDS,
    ],
    quantity,
    money,
    yuan,
    moment,
    span,
};

fn quantity(number: &Number, out: &mut Words) {
    out.extend(number.negative.then_some(MINUS));
    whole(number.whole, out);
    fraction(&number.fraction, out);
}

fn money(amount: &Amount, out: &mut Words) {
    out.extend(amount.negative.then_some(MINUS));
    let cents = u64::from(amount.tenths * 10 + amount.hundredths);
    joined(&[(amount.whole, DOLLARS), (cents, CENTS)], DOLLARS, out);
}

fn yuan(amount: &Amount, out: &mut Words) {
    out.extend(amount.negative.then_some(MINUS));
    let parts = [(amount.whole, YUAN), (amount.tenths.into(), JIAO), (amount.hundredths.into(), FEN)];
    let all_zero = parts.iter().all(|(count, _)| *count == 0);
    for (count, unit) in parts.into_iter().filter(|&(count, unit)| count > 0 || all_zero && unit == YUAN) {
        whole(count, out);
        out.push(unit);
    }
}

fn moment(moment: &Moment, out: &mut Words) {
    if let Some(Date { year, month, day }) = moment.date {
        out.push(MONTHS[usize::from(month.clamp(1, 12) - 1)]);
        out.extend(day.into_iter().flat_map(ordinal));
        self::year(year, out);
    }
    out.extend((moment.date.is_some() && moment.time.is_some()).then_some(AT));
    if let Some(time) = moment.time {
        clock(time, out);
    }
}

/// A day of a month.
fn ordinal(day: u8) -> impl Iterator<Item = &'static str> {
    let (tens, ones) = (usize::from(day / 10), usize::from(day % 10));
    let words = match (tens, ones) {
        (0 | 1, _) => [None, Some(ORDINALS[usize::from(day.max(1)) - 1])],
        (_, 0) => [None, Some(ORDINAL_TENS[tens.min(3) - 2])],
        _ => [Some(TENS[tens - 2]), Some(ORDINALS[ones - 1])],
    };
    words.into_iter().flatten()
}

fn year(year: u16, out: &mut Words) {
    let (century, rest) = (u64::from(year / 100), u64::from(year % 100));
    match rest {
        0..10 if century % 10 == 0 => whole(year.into(), out),
        0 => {
            whole(century, out);
            out.push(HUNDRED);
        }
        _ => {
            whole(century, out);
            two_figures(rest, out);
        }
    }
}

fn clock(time: Time, out: &mut Words) {
    let Time { hour, minute, second } = time;
    let (half, hour) = (if hour < 12 { AM } else { PM }, hour % 12);
    whole(if hour == 0 { 12 } else { hour.into() }, out);
    match minute {
        0 => out.push(OCLOCK),
        minute => two_figures(minute.into(), out),
    }
    out.push(half);
    if second > 0 {
        out.push(AND);
        counted(second.into(), SECONDS, out);
    }
}

/// Of a year or a clock: 1 to 99, with "oh" before a single figure.
fn two_figures(value: u64, out: &mut Words) {
    out.extend((value < 10).then_some(OH));
    whole(value, out);
}

fn span(span: &Span, out: &mut Words) {
    let parts = [(span.hours, HOURS), (span.minutes.into(), MINUTES), (span.seconds.into(), SECONDS)];
    joined(&parts, SECONDS, out);
}

/// What there is of several units, with "and" before the last; where there is nothing, none of `zero`.
fn joined(parts: &[(u64, Unit)], zero: Unit, out: &mut Words) {
    let parts: Vec<_> = parts.iter().filter(|(count, _)| *count > 0).collect();
    for (index, &&(count, unit)) in parts.iter().enumerate() {
        out.extend((index > 0 && index + 1 == parts.len()).then_some(AND));
        counted(count, unit, out);
    }
    if parts.is_empty() {
        counted(0, zero, out);
    }
}

/// A number of something.
fn counted(count: u64, [one, many]: Unit, out: &mut Words) {
    whole(count, out);
    out.push(if count == 1 { one } else { many });
}

/// A whole number below ten to the 18th.
fn whole(value: u64, out: &mut Words) {
    if value < 1000 {
        return below_thousand(value, out);
    }
    let mut place = 1000_u64.pow(5);
    for name in GROUPS.into_iter().rev() {
        let group = value / place % 1000;
        if group > 0 {
            below_thousand(group, out);
            out.push(name);
        }
        place /= 1000;
    }
    match value % 1000 {
        0 => {}
        rest => below_thousand(rest, out),
    }
}

fn below_thousand(value: u64, out: &mut Words) {
    let digit = |value: u64| usize::from(u8::try_from(value % 10).unwrap_or_default());
    if value >= 100 {
        out.extend([DIGITS[digit(value / 100)], HUNDRED]);
    }
    match value % 100 {
        0 if value > 0 => {}
        rest @ 0..10 => out.push(DIGITS[digit(rest)]),
        rest @ 10..20 => out.push(TEENS[digit(rest)]),
        rest => {
            out.push(TENS[digit(rest / 10) - 2]);
            out.extend((rest % 10 > 0).then(|| DIGITS[digit(rest)]));
        }
    }
}
