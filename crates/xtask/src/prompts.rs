//! The prompt packs, `fixtures/prompts/zh` and `fixtures/prompts/en`: a recording of every word that a value can come to.
//!
//! ```text
//!   words.tsv: NAME, what it says ─▶ espeak-ng ─▶ sox: band of a telephone, silence cut, level ─▶ NAME.wav, mu-law, 8 kHz
//! ```
//! A synthetic voice, for tests and for whoever has no better one yet: recordings of a person by the same names take its
//! place. The same versions of both programs make the same files again, so a change is one of a word or of a voice.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::root;

/// A pack, and the voice of espeak-ng that speaks it. The other Mandarin voice spells in English what its dictionary lacks.
const PACKS: [(&str, &str); 2] = [("zh", "cmn-latn-pinyin"), ("en", "en-us")];

/// Words per minute: single words are slower than sentences by themselves.
const SPEED: &str = "165";

/// What sox does. Headroom for the filters, the band of a telephone, a level to cut by, both ends cut where they fall below
/// 0.2 % and faded over 5 ms, so that words join without a gap and without a click, and the peak at -3 dB. Cut at 1 %, a six
/// loses its last sound.
const EFFECTS: &str = "gain -6 rate 8000 highpass 100 lowpass 3400 norm -3 silence 1 0.005 0.2% reverse \
    silence 1 0.005 0.2% fade t 0.005 reverse fade t 0.005 norm -3";

/// Makes both packs.
pub(crate) fn run() -> Result<(), String> {
    for (pack, voice) in PACKS {
        let folder = root().join("fixtures/prompts").join(pack);
        let table = folder.join("words.tsv");
        let table =
            std::fs::read_to_string(&table).map_err(|error| format!("{}: {error}", table.display()))?;
        let words = words(&table)?;
        for (name, text) in &words {
            speak(voice, text, &folder.join(format!("{name}.wav")))?;
        }
        println!("{pack}: {} words", words.len());
    }
    Ok(())
}

/// The lines of a table: a name, which becomes that of a file, a tab and a text.
fn words(table: &str) -> Result<Vec<(&str, &str)>, String> {
    let is_plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    table
        .lines()
        .map(|line| match line.split_once('\t') {
            Some((name, text)) if is_plain(name) && !text.is_empty() => Ok((name, text)),
            _ => Err(format!("{line:?} is no name, tab and text")),
        })
        .collect()
}

fn speak(voice: &str, text: &str, file: &Path) -> Result<(), String> {
    let mut espeak = Command::new("espeak-ng");
    espeak.args(["-v", voice, "-s", SPEED, "--stdout", "--", text]).stdout(Stdio::piped());
    let mut espeak = espeak.spawn().map_err(|error| format!("espeak-ng: {error}"))?;
    let speech = espeak.stdout.take().ok_or("espeak-ng has no output")?;
    let mut sox = Command::new("sox");
    sox.args("-D -t wav - -r 8000 -c 1 -e mu-law -b 8".split_whitespace()).arg(file);
    sox.args(EFFECTS.split_whitespace()).stdin(speech);
    crate::run(sox)?;
    let status = espeak.wait().map_err(|error| format!("espeak-ng: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("espeak-ng of {text:?}: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_plain_names_and_texts() {
        assert_eq!(words("1st\tfirst\n2\ttwo\n"), Ok(vec![("1st", "first"), ("2", "two")]));
        for bad in ["1", "\ttwo", "2\t", "../x\tx", "a b\tx"] {
            assert!(words(bad).is_err(), "{bad:?}");
        }
    }
}
