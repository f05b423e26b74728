//! Numbers read back from their words, by the meaning of each and not by how they were put together.

use proptest::prelude::*;

use super::*;

/// What a word is worth: a figure, or what it multiplies.
fn chinese(words: &[&str]) -> u64 {
    let (mut sum, mut section, mut figure) = (0, 0, 0);
    for &word in words {
        match word {
            "10" | "100" | "1000" => {
                section += std::mem::take(&mut figure).max(1) * word.parse::<u64>().expect("a power of ten");
            }
            "10000" => {
                sum += (std::mem::take(&mut section) + std::mem::take(&mut figure)) * 10_000;
            }
            // All that is before it: 万亿 too.
            "100000000" => {
                sum = (sum + std::mem::take(&mut section) + std::mem::take(&mut figure)) * 100_000_000;
            }
            "liang" => figure = 2,
            digit => figure = digit.parse().expect("a figure"),
        }
    }
    sum + section + figure
}

fn english(words: &[&str]) -> u64 {
    let groups = ["thousand", "million", "billion", "trillion", "quadrillion"];
    let (mut sum, mut section) = (0, 0);
    for &word in words {
        if word == "hundred" {
            section *= 100;
        } else if let Some(index) = groups.iter().position(|group| *group == word) {
            sum += std::mem::take(&mut section) * (1..=index).fold(1000, |place, _| place * 1000);
        } else {
            section += word.parse::<u64>().expect("a figure");
        }
    }
    sum + section
}

/// The number that the words say, as it is written.
fn read(words: &[&str], language: Language) -> String {
    let (sign, words) = words.strip_prefix(&["minus"]).map_or(("", words), |rest| ("-", rest));
    let (whole, fraction) = match words.iter().position(|word| *word == "point") {
        Some(at) => (&words[..at], format!(".{}", words[at + 1..].concat())),
        None => (words, String::new()),
    };
    let whole = if language == Language::Zh { chinese(whole) } else { english(whole) };
    format!("{sign}{whole}{fraction}")
}

/// Numbers of any length up to 16 digits, and many of few figures that are not zero.
fn whole_numbers() -> impl Strategy<Value = u64> {
    let any_length = (0_u32..16, any::<u64>()).prop_map(|(digits, value)| value % 10_u64.pow(digits + 1));
    let sparse = proptest::collection::vec((0_u32..16, 1_u64..10), 1..4).prop_map(|figures| {
        figures.into_iter().fold(0, |sum: u64, (place, figure)| {
            let place = 10_u64.pow(place);
            sum - sum / place % 10 * place + figure * place
        })
    });
    prop_oneof![any_length, sparse]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_number_is_read_back_from_its_words(whole in whole_numbers(), sign: bool, fraction in "(\\.[0-9]{1,20})?") {
        let minus = if sign && (whole > 0 || fraction.contains(|char| matches!(char, '1'..='9'))) { "-" } else { "" };
        let value = format!("{minus}{whole}{fraction}");
        for language in Language::ALL {
            let words = words(Manner::Quantity, &value, language).unwrap();
            prop_assert_eq!(&read(&words, language), &value);
        }
    }

    /// Whatever comes in, either it is said, in words that there are, or it is refused.
    #[test]
    fn no_value_breaks_anything(value in prop_oneof!["\\PC{0,70}", "[-0-9:.TZ +]{0,30}", "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?"]) {
        use Manner::*;
        for manner in [Digits, Quantity, Money, DateTime, Duration, Yuan] {
            for language in Language::ALL {
                if let Ok(words) = words(manner, &value, language) {
                    prop_assert!(!words.is_empty() && words.len() <= WORDS_MAX);
                    let names: Vec<_> = language.names().collect();
                    prop_assert!(words.iter().all(|word| names.contains(word)));
                }
            }
        }
    }
}
