//! Values in words, against what two other programs make of them (`fixtures/words`), against rules written out by hand, and
//! against a reader that makes numbers of words again.

mod faults;
mod reader;
mod rules;
mod tables;

use super::*;

/// What the words of a language say, by their names: the texts that the packs are spoken from.
fn texts(language: Language) -> impl Iterator<Item = (&'static str, &'static str)> {
    let table = match language {
        Language::Zh => include_str!("../../../../../fixtures/prompts/zh/words.tsv"),
        Language::En => include_str!("../../../../../fixtures/prompts/en/words.tsv"),
    };
    table.lines().map(|line| line.split_once('\t').expect("a name and its text"))
}

/// A value as a sentence, Chinese without spaces.
fn said(manner: Manner, value: &str, language: Language) -> String {
    let words = words(manner, value, language).unwrap_or_else(|fault| panic!("{value:?}: {fault}"));
    let text = |name| texts(language).find(|(known, _)| *known == name).expect("a word of the pack").1;
    let texts: Vec<_> = words.into_iter().map(text).collect();
    texts.join(if language == Language::Zh { "" } else { " " })
}

/// The packs have a recording of every word, and nothing else, and their tables say what each is.
#[test]
fn every_word_is_in_the_pack_of_its_language_and_nothing_else() {
    let packs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/prompts");
    for language in Language::ALL {
        let mut names: Vec<_> = language.names().collect();
        let told: Vec<_> = texts(language).map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| told.contains(name)) && told.len() == names.len(), "{language:?}");
        let files = std::fs::read_dir(packs.join(language.code())).expect("a pack");
        let mut recorded: Vec<_> = files
            .map(|file| file.expect("a file").file_name().into_string().expect("a plain name"))
            .filter_map(|file| file.strip_suffix(".wav").map(str::to_owned))
            .collect();
        names.sort_unstable();
        recorded.sort_unstable();
        assert_eq!(recorded, names, "{language:?}");
    }
}
