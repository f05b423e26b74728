//! What is refused, and as what.

use super::*;

#[track_caller]
fn check(manner: Manner, fault: Fault, values: &[&str]) {
    for value in values {
        for language in Language::ALL {
            assert_eq!(words(manner, value, language), Err(fault), "{value:?}");
        }
    }
    assert!(!fault.to_string().is_empty());
}

#[test]
fn what_is_no_number_is_refused() {
    check(Manner::Digits, Fault::Digits, &["", "-", "1.5", "12a", "+1", "1 2", "１２", "--1"]);
    for manner in [Manner::Quantity, Manner::Money, Manner::Yuan] {
        check(
            manner,
            Fault::Number,
            &[
                "", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1,000", "0x10", "NaN", "inf", "一", "1.2.3",
                "1.-2",
            ],
        );
        check(manner, Fault::Whole, &["10000000000000000", "-12345678901234567", "12345678901234567.5"]);
        check(manner, Fault::Fraction, &["0.123456789012345678901"]);
        check(manner, Fault::Long, &[&"0".repeat(65)]);
    }
    check(Manner::Digits, Fault::Long, &[&"1".repeat(65)]);
    check(Manner::Money, Fault::Cents, &["1.001", "0.30000000000000004", "-0.005"]);
    check(Manner::Yuan, Fault::Cents, &["1.001"]);
    assert!(words(Manner::Money, "1.2300", Language::En).is_ok());
    assert!(words(Manner::Quantity, "9999999999999999.12345678901234567890", Language::En).is_ok());
}

#[test]
fn dates_that_no_calendar_has_are_refused() {
    let forms = [
        "",
        "2026",
        "2026-1-30",
        "26-11-30",
        "2026-11-30 ",
        "2026-11-30 15",
        "2026-11-30 15:4",
        "2026/11/30",
        "20261130",
        "2026-11 15:04",
        "2026-11-30T15:04:05",
        "2026-11-30T15:04Z",
        "2026-11-30T15:04:05.Z",
        "2026-11-30T15:04:05+0800",
        "2026-11-30T15:04:05Z ",
        "2026-11-30 15:04:05x",
        "2026-11-30x15:04:05Z",
        "15:4",
        "15:04:5",
        "15:04:05:06",
        "1:30",
        "15:04Z",
        "15:04:05Z",
        "-026-11-30",
        "２026-11-30",
        "2026-11-30\n15:04",
    ];
    check(Manner::DateTime, Fault::DateTime, &forms);
    check(Manner::DateTime, Fault::Year, &["0999-01-01", "0000-02-30"]);
    check(Manner::DateTime, Fault::Month, &["2026-00-01", "2026-13", "2026-99-01"]);
    check(Manner::DateTime, Fault::Day { days: 30 }, &["2026-04-31", "2026-11-00", "2026-09-99"]);
    check(Manner::DateTime, Fault::Day { days: 31 }, &["2026-01-32", "2026-12-00"]);
    // Every fourth year, not every hundredth, but every four hundredth.
    check(Manner::DateTime, Fault::Day { days: 28 }, &["2026-02-29", "1900-02-29", "2100-02-29 10:00"]);
    check(Manner::DateTime, Fault::Day { days: 29 }, &["2024-02-30", "2000-02-30"]);
    check(
        Manner::DateTime,
        Fault::Time,
        &["24:00", "23:60", "23:59:60", "2026-11-30 25:00", "2026-11-30T12:00:60Z", "99:99"],
    );
    check(Manner::DateTime, Fault::Time, &["1990-12-31T23:59:60-08:00", "1990-12-31T23:59:61Z"]);
    check(Manner::DateTime, Fault::Offset, &["2026-11-30T15:04:05+24:00", "2026-11-30T15:04:05-08:60"]);
}

#[test]
fn what_is_no_duration_is_refused() {
    let forms =
        ["", ":", "1:", ":1", "1:2:3:4", "100:00", "00:100", "-1", "1.5", "a", "1:a", "+1:00", " 1", "1 :2"];
    check(Manner::Duration, Fault::Duration, &forms);
    check(Manner::Duration, Fault::Whole, &["10000000000000000"]);
}
