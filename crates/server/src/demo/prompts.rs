//! The prompts of the demo, carried in the binary: English, made by `fixtures/prompts/make.sh`.

use std::io;
use std::path::Path;

macro_rules! prompts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../../fixtures/prompts/", $name)))),*]
    };
}

const PROMPTS: &[(&str, &[u8])] = prompts![
    "welcome.wav",
    "ask-digits.wav",
    "you-entered.wav",
    "record-after-beep.wav",
    "connecting.wav",
    "thank-you.wav",
    "goodbye.wav",
    "digits/0.wav",
    "digits/1.wav",
    "digits/2.wav",
    "digits/3.wav",
    "digits/4.wav",
    "digits/5.wav",
    "digits/6.wav",
    "digits/7.wav",
    "digits/8.wav",
    "digits/9.wav",
    "digits/star.wav",
    "digits/pound.wav",
];

/// Writes the prompts into a directory.
pub(super) fn unpack(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory.join("digits"))?;
    PROMPTS.iter().try_for_each(|(name, bytes)| std::fs::write(directory.join(name), bytes))
}
