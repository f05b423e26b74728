//! Tables that cn2an and num2words made: see `fixtures/words/README.md`, also for where our style is another one.

use super::*;

macro_rules! table {
    ($name:literal) => {
        include_str!(concat!("../../../../../fixtures/words/", $name, ".txt"))
    };
}

/// Compares each line, after `style` has made of ours what the other program would say.
#[track_caller]
fn check(table: &str, least: usize, manner: Manner, language: Language, style: fn(String) -> String) {
    let mut lines = 0;
    for line in table.lines() {
        let (value, expected) = line.split_once('\t').expect("a value and its text");
        assert_eq!(style(said(manner, value, language)), expected, "{value}");
        lines += 1;
    }
    assert!(lines >= least, "{lines} lines");
}

/// Written Chinese has 二 for every 2; which is which is in `rules`.
fn written(text: String) -> String {
    text.replace('两', "二")
}

fn as_it_is(text: String) -> String {
    text
}

#[test]
fn chinese_numbers_are_those_of_cn2an() {
    check(table!("zh-numbers"), 11_000, Manner::Quantity, Language::Zh, written);
}

#[test]
fn english_numbers_are_those_of_num2words() {
    check(table!("en-numbers"), 11_000, Manner::Quantity, Language::En, as_it_is);
}

#[test]
fn yuan_jiao_and_fen_are_those_of_cn2an() {
    check(table!("zh-yuan"), 1900, Manner::Yuan, Language::Zh, written);
}

#[test]
fn dollars_and_cents_are_those_of_num2words() {
    check(table!("en-money"), 1900, Manner::Money, Language::En, as_it_is);
}

#[test]
fn chinese_dates_are_those_of_cn2an() {
    check(table!("zh-dates"), 1300, Manner::DateTime, Language::Zh, as_it_is);
}

#[test]
fn english_dates_are_those_of_num2words() {
    check(table!("en-dates"), 1300, Manner::DateTime, Language::En, as_it_is);
}

#[test]
fn years_are_those_of_num2words() {
    for line in table!("en-years").lines() {
        let (year, expected) = line.split_once('\t').expect("a year and its text");
        let sentence = said(Manner::DateTime, &format!("{year}-05"), Language::En);
        assert_eq!(sentence.strip_prefix("May "), Some(expected), "{year}");
    }
}
