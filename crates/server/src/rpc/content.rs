//! What to play (`call-api.md` §4, `play_start`), as the files it comes to: names are looked at, and values put into words.
//!
//! ```text
//!   [["you-owe.wav"], ["12.50", 3, "lang=en"]] ─▶ you-owe.wav · en/12.wav · en/dollars.wav · en/and.wav · …
//! ```

use offhook_call::command::Content;
use offhook_call::prompt::{self, Language, Manner};
use offhook_call::{PromptSource, Sound, Speech};
use offhook_client::wire::limits::{FILES_MAX, ITEMS_MAX, KIND_MIN, OPTIONS_MAX, SPEECH_MAX, WORDS_MAX};
use offhook_client::wire::{self, ErrorData, What};
use offhook_media::file::GAIN_DB;

use super::check::{file, invalid};

/// What to play, as the files it consists of. Values whose items name no language are said in `language`.
pub(crate) fn content(
    param: &str,
    content: &wire::Content,
    language: Language,
) -> Result<Content, ErrorData> {
    let (sources, words) = match content {
        wire::Content::Files(joined) => (joined_files(param, joined, How::default())?, 0),
        wire::Content::Items(items) => items_files(param, items, language)?,
    };
    if sources.len() - words > FILES_MAX || words > WORDS_MAX {
        return Err(invalid(param, format!("at most {FILES_MAX} files and {WORDS_MAX} words")));
    }
    Ok(Content { sources })
}

/// How what an item comes to is wanted.
#[derive(Clone, Copy, Debug, Default)]
struct How {
    gain_db: i8,
    item: Option<usize>,
}

impl How {
    fn wanted(self, sound: Sound) -> PromptSource {
        PromptSource { sound, gain_db: self.gain_db, item: self.item }
    }
}

/// The files of a list, and how many of them are words of values.
fn items_files(
    param: &str,
    items: &[wire::Item],
    language: Language,
) -> Result<(Vec<PromptSource>, usize), ErrorData> {
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(invalid(param, format!("1 to {ITEMS_MAX} items [what, type, options]")));
    }
    let (mut files, mut words) = (Vec::new(), 0);
    for (index, item) in items.iter().enumerate() {
        if (KIND_MIN..0).contains(&item.kind) {
            continue;
        }
        let element = |position: usize| format!("{param}[{index}][{position}]");
        let manner = match item.kind {
            0 | 7 => None,
            1 => Some(Manner::Digits),
            2 => Some(Manner::Quantity),
            3 => Some(Manner::Money),
            4 => Some(Manner::DateTime),
            5 => Some(Manner::Duration),
            6 => Some(Manner::Yuan),
            SPEECH => None,
            _ => return Err(invalid(element(1), "0 to 7, 10, or below 0 to skip it")),
        };
        let mut options = Options::parse(&element(2), &item.options)?;
        let how = How { gain_db: options.gain_db, item: Some(index) };
        match (manner, &item.what) {
            (Some(manner), value) => {
                let language = options.language.unwrap_or(language);
                let said = said(&element(0), manner, value, language, how)?;
                words += said.len();
                files.extend(said);
            }
            (None, What::Text(text)) if item.kind == SPEECH => {
                let language = options.language.unwrap_or(language);
                let voice = options.voice.take();
                files.push(how.wanted(Sound::Speech(speech(&element(0), text, language, voice)?)));
            }
            (None, _) if item.kind == SPEECH => return Err(invalid(element(0), "a text")),
            (None, What::Text(joined)) if item.kind == 7 => {
                files.extend(joined_files(&element(0), joined, how)?);
            }
            (None, What::Text(name)) => files.push(named(&element(0), name, how)?),
            (None, _) => return Err(invalid(element(0), "a file name")),
        }
    }
    Ok((files, words))
}

fn joined_files(param: &str, joined: &str, how: How) -> Result<Vec<PromptSource>, ErrorData> {
    joined.split('|').map(|name| named(param, name, how)).collect()
}

/// A file.
fn named(param: &str, name: &str, how: How) -> Result<PromptSource, ErrorData> {
    match file(param, name) {
        Ok(name) => Ok(how.wanted(Sound::File(name))),
        Err(ErrorData::FileForbidden { param, file, detail, .. }) => {
            Err(ErrorData::FileForbidden { param, file, detail, item: how.item })
        }
        Err(error) => Err(error),
    }
}

/// The files of the words of a value. A number of JSON is what its shortest decimal form says.
fn said(
    param: &str,
    manner: Manner,
    value: &What,
    language: Language,
    how: How,
) -> Result<Vec<PromptSource>, ErrorData> {
    let value = match value {
        What::Text(text) => text.clone(),
        What::Integer(number) => number.to_string(),
        What::Decimal(number) => number.to_string(),
    };
    let words = prompt::words(manner, &value, language).map_err(|fault| invalid(param, fault.to_string()))?;
    let file = |word| Sound::File(format!("{}/{word}.wav", language.code()));
    Ok(words.into_iter().map(|word| how.wanted(file(word))).collect())
}

/// The document's type of a text that is spoken.
const SPEECH: i64 = 10;

/// A text to be spoken.
fn speech(param: &str, text: &str, language: Language, voice: Option<String>) -> Result<Speech, ErrorData> {
    let is_sayable = !text.trim().is_empty() && text.len() <= SPEECH_MAX && !text.contains('\0');
    if !is_sayable {
        return Err(invalid(
            param,
            format!("a text of 1 to {SPEECH_MAX} bytes that is not blank and has no NUL"),
        ));
    }
    Ok(Speech { text: text.to_owned(), language, voice })
}

/// The options of an item, `key=value;key=value`. A file takes a language and a voice, and has no use for them; words have none for a voice.
#[derive(Clone, Debug, Default)]
struct Options {
    gain_db: i8,
    language: Option<Language>,
    voice: Option<String>,
}

impl Options {
    fn parse(param: &str, options: &str) -> Result<Self, ErrorData> {
        if options.len() > OPTIONS_MAX || options.chars().any(char::is_control) {
            let expected = format!("at most {OPTIONS_MAX} bytes without control characters");
            return Err(invalid(param, expected));
        }
        let mut parsed = Self::default();
        for option in options.split(';').filter(|option| !option.trim().is_empty()) {
            match option.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("gain", value)) => {
                    let number = value.parse().ok().filter(|number| GAIN_DB.contains(number));
                    let expected = || format!("gain={} to {} (dB)", GAIN_DB.start(), GAIN_DB.end());
                    parsed.gain_db = number.ok_or_else(|| invalid(param, expected()))?;
                }
                Some(("lang", code)) => {
                    let language = Language::from_code(code);
                    parsed.language = Some(language.ok_or_else(|| invalid(param, "lang=zh or lang=en"))?);
                }
                // It may come to the command line of a program, or to a file system behind one.
                Some(("voice", name)) => {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+.".contains(&byte);
                    let is_plain =
                        name.len() <= 64 && name.starts_with(|char: char| char.is_ascii_alphanumeric());
                    if !is_plain || !name.bytes().all(plain) {
                        return Err(invalid(param, "voice=, a name of letters, digits and _-+. of up to 64"));
                    }
                    parsed.voice = Some(name.to_owned());
                }
                _ => return Err(invalid(param, "gain=, lang= and voice=, with ; between them")),
            }
        }
        Ok(parsed)
    }
}
