//! Chinese, as Mandarin is spoken on the mainland.
//!
//! - 零 stands once for any zeros between two digits, across groups too; zeros at the end of a group of four are not said
//!   (一百万零一, 十万五千), as schools teach it.
//! - 两 or 二, by the Xiandai Hanyu Cidian: tens, hundreds and ones take 二; thousands, 万 and 亿 take 两 where the number
//!   begins with it and 二 within (两万二千二百二十二), and a 2 alone before what is counted is 两 (两元, 两点, 两分钟), which
//!   holds neither for a part of a number nor within an amount (十二元, 两元二角二分). Digits, fractions, months and days
//!   take 二.
//! - 10 to 19 begin with 十 where they begin the number, and with 一十 within (一百一十, 一万零一十).
//! - 万亿 for ten to the 12th, as 兆 is something else to everybody. 负 for minus, 点 for the point, zeros behind it as written.
//! - Money is a number with a fraction and 元 (十二点五元); yuan, jiao and fen are 十二元五角, 十元零五分.
//! - Time is of 24 hours, as stations and airports tell it, since 上午 and 下午 leave noon and midnight open: 十五点零五分,
//!   十五点整, 零点零分零五秒. Seconds of 0 are not said.
//! - A year is digit by digit: 二零二六年十一月三十日.
//! - A duration is 两小时五分钟 without what is zero, with 零 for minutes that are passed over: 一小时零五秒. None is 零秒.

use super::number::{Amount, Number};
use super::time::{Date, Moment, Span, Time};
use super::{DIGITS, MINUS, POINT, Table, Words, fraction};

/// The 2 that counts.
const LIANG: &str = "liang";
const TEN: &str = "10";
const HUNDRED: &str = "100";
const THOUSAND: &str = "1000";
const WAN: &str = "10000";
const YI: &str = "100000000";
const YUAN: &str = "yuan";
const JIAO: &str = "jiao";
const FEN: &str = "fen";
const YEAR: &str = "year";
const MONTH: &str = "month";
const DAY: &str = "day";
/// 点, of the clock.
const CLOCK: &str = "clock";
const SHARP: &str = "sharp";
/// 分, of the clock.
const MINUTE: &str = "minute";
const SECOND: &str = "second";
const HOURS: &str = "hours";
const MINUTES: &str = "minutes";

/// The language.
pub(super) const TABLE: Table = Table {
    names: &[
        &DIGITS,
        &[MINUS, POINT, LIANG, TEN, HUNDRED, THOUSAND, WAN, YI, YUAN, JIAO, FEN],
        &[YEAR, MONTH, DAY, CLOCK, SHARP, MINUTE, SECOND, HOURS, MINUTES],
    ],
    quantity,
    money,
    yuan,
    moment,
    span,
};

const ZERO: &str = DIGITS[0];

fn quantity(number: &Number, out: &mut Words) {
    out.extend(number.negative.then_some(MINUS));
    whole(number.whole, out);
    fraction(&number.fraction, out);
}

/// With a decimal fraction, which ends with its last digit that is not zero.
fn money(amount: &Amount, out: &mut Words) {
    out.extend(amount.negative.then_some(MINUS));
    match [amount.tenths, amount.hundredths] {
        [0, 0] => return counted(amount.whole, YUAN, out),
        [tenths, 0] => {
            whole(amount.whole, out);
            fraction(&[tenths], out);
        }
        both => {
            whole(amount.whole, out);
            fraction(&both, out);
        }
    }
    out.push(YUAN);
}

fn yuan(amount: &Amount, out: &mut Words) {
    out.extend(amount.negative.then_some(MINUS));
    let parts = [(u64::from(amount.tenths), JIAO), (u64::from(amount.hundredths), FEN)];
    let is_less_than_one = amount.whole == 0 && (amount.tenths, amount.hundredths) != (0, 0);
    if !is_less_than_one {
        counted(amount.whole, YUAN, out);
    }
    let mut begun = !is_less_than_one;
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
        if begun {
            // Ten yuan and five fen: the jiao that there are none of are told.
            out.extend((unit == FEN && amount.tenths == 0).then_some(ZERO));
            whole(count, out);
            out.push(unit);
        } else {
            counted(count, unit, out);
        }
        begun = true;
    }
}

fn moment(moment: &Moment, out: &mut Words) {
    if let Some(Date { year, month, day }) = moment.date {
        out.extend([1000, 100, 10, 1].map(|place| DIGITS[usize::from(year / place % 10)]));
        out.push(YEAR);
        whole(month.into(), out);
        out.push(MONTH);
        if let Some(day) = day {
            whole(day.into(), out);
            out.push(DAY);
        }
    }
    if let Some(Time { hour, minute, second }) = moment.time {
        counted(hour.into(), CLOCK, out);
        match (minute, second) {
            (0, 0) => out.push(SHARP),
            (minute, 0) => of_sixty(minute, MINUTE, out),
            (minute, second) => {
                of_sixty(minute, MINUTE, out);
                of_sixty(second, SECOND, out);
            }
        }
    }
}

/// Minutes or seconds on a clock: two figures, of which the first may be 零, except for 0 itself.
fn of_sixty(value: u8, unit: &'static str, out: &mut Words) {
    out.extend((1..10).contains(&value).then_some(ZERO));
    whole(value.into(), out);
    out.push(unit);
}

fn span(span: &Span, out: &mut Words) {
    let Span { hours, minutes, seconds } = *span;
    if hours > 0 {
        counted(hours, HOURS, out);
    }
    if minutes > 0 {
        counted(minutes.into(), MINUTES, out);
    }
    if seconds > 0 || (hours, minutes) == (0, 0) {
        out.extend((hours > 0 && minutes == 0).then_some(ZERO));
        counted(seconds.into(), SECOND, out);
    }
}

/// A number of something.
fn counted(count: u64, unit: &'static str, out: &mut Words) {
    if count == 2 {
        out.push(LIANG);
    } else {
        whole(count, out);
    }
    out.push(unit);
}

/// A whole number below ten to the 16th: so many 亿, which are a number below ten to the 8th, and the rest.
fn whole(value: u64, out: &mut Words) {
    const ONE_YI: u64 = 100_000_000;
    let (high, low) = (value / ONE_YI, value % ONE_YI);
    if value == 0 {
        return out.push(ZERO);
    }
    let begin = out.len();
    if high > 0 {
        below_yi(high, begin, true, out);
        out.push(YI);
    }
    if low > 0 {
        out.extend((high > 0 && low < ONE_YI / 10).then_some(ZERO));
        below_yi(low, begin, false, out);
    }
}

/// A number of 1 to ten to the 8th less one: so many 万, and the rest. `begin` is where the whole number begins; `unit` says
/// whether a name of a group follows.
fn below_yi(value: u64, begin: usize, unit: bool, out: &mut Words) {
    const ONE_WAN: u64 = 10_000;
    let (high, low) = (value / ONE_WAN, value % ONE_WAN);
    if high > 0 {
        group(high, begin, true, out);
        out.push(WAN);
    }
    if low > 0 {
        out.extend((high > 0 && low < ONE_WAN / 10).then_some(ZERO));
        group(low, begin, unit, out);
    }
}

/// A group of four digits, 1 to 9999.
fn group(value: u64, begin: usize, unit: bool, out: &mut Words) {
    let is_first = out.len() == begin;
    if is_first && unit && value == 2 {
        return out.push(LIANG);
    }
    let mut zeros = false;
    for (place, name) in [(1000, Some(THOUSAND)), (100, Some(HUNDRED)), (10, Some(TEN)), (1, None)] {
        let digit = digit_of(value, place);
        if digit == 0 {
            zeros = value > place;
            continue;
        }
        out.extend((std::mem::take(&mut zeros)).then_some(ZERO));
        match (place, digit) {
            (1000, 2) if is_first => out.push(LIANG),
            (10, 1) if is_first && value < 20 => {}
            _ => out.push(DIGITS[digit]),
        }
        out.extend(name);
    }
}

/// The digit at a place, which is a power of ten.
fn digit_of(value: u64, place: u64) -> usize {
    usize::from(u8::try_from(value / place % 10).unwrap_or_default())
}
