//! The rules of each language, by cases written out by hand.

use super::*;

#[track_caller]
fn check(manner: Manner, language: Language, cases: &[(&str, &str)]) {
    for &(value, expected) in cases {
        assert_eq!(said(manner, value, language), expected, "{value}");
    }
}

#[test]
fn digits_are_said_one_by_one() {
    check(
        Manner::Digits,
        Language::Zh,
        &[("007", "零零七"), ("13800001234", "一三八零零零零一二三四"), ("-12", "负一二")],
    );
    check(
        Manner::Digits,
        Language::En,
        &[("0", "zero"), ("2010", "two zero one zero"), ("-5", "minus five")],
    );
}

/// The rules of schools: zeros that end a group of four are not said, others once.
#[test]
fn chinese_zeros() {
    check(
        Manner::Quantity,
        Language::Zh,
        &[
            ("0", "零"),
            ("105", "一百零五"),
            ("1005", "一千零五"),
            ("1050", "一千零五十"),
            ("10010", "一万零一十"),
            ("10100", "一万零一百"),
            ("11000", "一万一千"),
            ("100100", "十万零一百"),
            ("105000", "十万五千"),
            ("1000001", "一百万零一"),
            ("10203040", "一千零二十万三千零四十"),
            ("100000000", "一亿"),
            ("100010000", "一亿零一万"),
            ("300005000", "三亿零五千"),
            ("1010000000", "十亿一千万"),
            ("100000000001", "一千亿零一"),
            ("1000000000000", "一万亿"),
            ("1000100000000", "一万零一亿"),
            ("1000000000001", "一万亿零一"),
            ("9000000000000000", "九千万亿"),
        ],
    );
}

/// Xiandai Hanyu Cidian, at 两: its examples are 二百二十二, 三万二千 and 两亿二千万.
#[test]
fn chinese_twos() {
    check(
        Manner::Quantity,
        Language::Zh,
        &[
            ("2", "二"),
            ("12", "十二"),
            ("20", "二十"),
            ("200", "二百"),
            ("222", "二百二十二"),
            ("2000", "两千"),
            ("2222", "两千二百二十二"),
            ("20000", "两万"),
            ("22222", "两万二千二百二十二"),
            ("32000", "三万二千"),
            ("120000", "十二万"),
            ("2000000", "二百万"),
            ("20000000", "两千万"),
            ("220000000", "两亿二千万"),
            ("200020000", "两亿零二万"),
            ("2000000000000", "两万亿"),
            ("-2000", "负两千"),
            ("2.2", "二点二"),
        ],
    );
    check(
        Manner::Money,
        Language::Zh,
        &[("2", "两元"), ("2.00", "两元"), ("-2", "负两元"), ("12", "十二元"), ("2.5", "二点五元")],
    );
    check(
        Manner::Yuan,
        Language::Zh,
        &[("2.22", "两元二角二分"), ("0.2", "两角"), ("0.02", "两分"), ("200", "二百元"), ("2000", "两千元")],
    );
    check(
        Manner::DateTime,
        Language::Zh,
        &[
            ("2022-02-22", "二零二二年二月二十二日"),
            ("02:02:02", "两点零二分零二秒"),
            ("22:22", "二十二点二十二分"),
        ],
    );
    check(
        Manner::Duration,
        Language::Zh,
        &[("02:02:02", "两小时两分钟两秒"), ("12:22", "十二小时二十二分钟")],
    );
}

#[test]
fn chinese_tens() {
    check(
        Manner::Quantity,
        Language::Zh,
        &[
            ("10", "十"),
            ("19", "十九"),
            ("110", "一百一十"),
            ("1010", "一千零一十"),
            ("100000", "十万"),
            ("150010", "十五万零一十"),
            ("1000000000", "十亿"),
            ("100100000", "一亿零一十万"),
            ("10.10", "十点一零"),
            ("-15", "负十五"),
        ],
    );
}

#[test]
fn chinese_money() {
    check(
        Manner::Money,
        Language::Zh,
        &[
            ("0", "零元"),
            ("12.5", "十二点五元"),
            ("12.50", "十二点五元"),
            ("0.05", "零点零五元"),
            ("-1.01", "负一点零一元"),
        ],
    );
    check(
        Manner::Yuan,
        Language::Zh,
        &[
            ("0", "零元"),
            ("0.00", "零元"),
            ("0.05", "五分"),
            ("0.55", "五角五分"),
            ("10.05", "十元零五分"),
            ("10.50", "十元五角"),
            ("-1.01", "负一元零一分"),
            ("12.34", "十二元三角四分"),
            ("100000001.10", "一亿零一元一角"),
        ],
    );
}

#[test]
fn chinese_dates_and_times() {
    check(
        Manner::DateTime,
        Language::Zh,
        &[
            ("2026-11-30", "二零二六年十一月三十日"),
            ("2026-11", "二零二六年十一月"),
            ("2000-10-10", "二零零零年十月十日"),
            ("2026-11-30 15:05", "二零二六年十一月三十日十五点零五分"),
            ("2026-11-30 15:05:10", "二零二六年十一月三十日十五点零五分十秒"),
            ("2026-11-30T15:04:05.999+08:00", "二零二六年十一月三十日十五点零四分零五秒"),
            ("00:00", "零点整"),
            ("00:00:05", "零点零分零五秒"),
            ("02:00:00", "两点整"),
            ("12:10", "十二点十分"),
            ("20:30:00", "二十点三十分"),
            ("15:00:20", "十五点零分二十秒"),
        ],
    );
    check(
        Manner::Duration,
        Language::Zh,
        &[
            ("0", "零秒"),
            ("00:00", "零秒"),
            ("2", "两秒"),
            ("65", "一分钟五秒"),
            ("3605", "一小时零五秒"),
            ("3660", "一小时一分钟"),
            ("01:00:00", "一小时"),
            ("1:5", "一小时五分钟"),
            ("99:99:99", "九十九小时九十九分钟九十九秒"),
            ("7322", "两小时两分钟两秒"),
            ("36000000", "一万小时"),
        ],
    );
}

#[test]
fn english_numbers() {
    check(
        Manner::Quantity,
        Language::En,
        &[
            ("0", "zero"),
            ("-0.0", "zero point zero"),
            ("13", "thirteen"),
            ("40", "forty"),
            ("99", "ninety nine"),
            ("100", "one hundred"),
            ("105", "one hundred five"),
            ("1000", "one thousand"),
            ("1016", "one thousand sixteen"),
            ("-12.05", "minus twelve point zero five"),
            ("007", "seven"),
            ("1000001", "one million one"),
            ("2000000000", "two billion"),
            (
                "9007199254740992",
                "nine quadrillion seven trillion one hundred ninety nine billion two hundred fifty four million \
                 seven hundred forty thousand nine hundred ninety two",
            ),
        ],
    );
}

#[test]
fn english_money_is_singular_for_one() {
    check(
        Manner::Money,
        Language::En,
        &[
            ("0", "zero dollars"),
            ("1", "one dollar"),
            ("1.01", "one dollar and one cent"),
            ("0.01", "one cent"),
            ("0.5", "fifty cents"),
            ("-12.50", "minus twelve dollars and fifty cents"),
            ("101", "one hundred one dollars"),
        ],
    );
    check(
        Manner::Yuan,
        Language::En,
        &[
            ("0", "zero yuan"),
            ("12.34", "twelve yuan three jiao four fen"),
            ("0.05", "five fen"),
            ("-1.10", "minus one yuan one jiao"),
        ],
    );
}

#[test]
fn english_dates_and_times() {
    check(
        Manner::DateTime,
        Language::En,
        &[
            ("2026-11-30", "November thirtieth twenty twenty six"),
            ("2024-02-29", "February twenty ninth twenty twenty four"),
            ("2000-02-29", "February twenty ninth two thousand"),
            ("2009-01-01", "January first two thousand nine"),
            ("1905-12-20", "December twentieth nineteen oh five"),
            ("1900-03-31", "March thirty first nineteen hundred"),
            ("2026-11", "November twenty twenty six"),
            ("00:00", "twelve o'clock a.m."),
            ("00:05", "twelve oh five a.m."),
            ("11:59", "eleven fifty nine a.m."),
            ("12:00:00", "twelve o'clock p.m."),
            ("15:00", "three o'clock p.m."),
            ("15:05:00", "three oh five p.m."),
            ("15:10:01", "three ten p.m. and one second"),
            ("23:59:59", "eleven fifty nine p.m. and fifty nine seconds"),
            ("2026-11-30 08:30", "November thirtieth twenty twenty six at eight thirty a.m."),
            ("2026-11-30t15:00:00z", "November thirtieth twenty twenty six at three o'clock p.m."),
            ("2026-11-30 15:00:00-03:30", "November thirtieth twenty twenty six at three o'clock p.m."),
        ],
    );
    check(
        Manner::Duration,
        Language::En,
        &[
            ("0", "zero seconds"),
            ("1", "one second"),
            ("61", "one minute and one second"),
            ("3725", "one hour two minutes and five seconds"),
            ("02:00", "two hours"),
            ("00:90:00", "ninety minutes"),
            ("1:00:01", "one hour and one second"),
        ],
    );
}

/// RFC 3339 §5.7 and §5.8: leap seconds come after 23:59:59 UTC, which is 15:59:59 in California.
#[test]
fn a_leap_second_is_a_second() {
    check(
        Manner::DateTime,
        Language::En,
        &[
            (
                "1990-12-31T23:59:60Z",
                "December thirty first nineteen ninety at eleven fifty nine p.m. and sixty seconds",
            ),
            (
                "1990-12-31T15:59:60-08:00",
                "December thirty first nineteen ninety at three fifty nine p.m. and sixty seconds",
            ),
        ],
    );
}
