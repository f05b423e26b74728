//! Prompt files: by their content, and raw ones by their names.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use offhook_media::file::PromptReader;
use offhook_media::file::reader::MAX_DURATION;

fuzz_target!(|data: &[u8]| {
    // At the end, so that a file begins as files do.
    let Some((&choice, bytes)) = data.split_last() else { return };
    let name = ["a.wav", "a.alaw", "a.ulaw", "a.gsm", "a.g722", "a"][usize::from(choice) % 6];
    let rate = [8000, 16_000, 48_000][usize::from(choice / 6) % 3];
    let Ok(mut reader) = PromptReader::open(bytes, name, rate, 0) else { return };
    let mut samples = Vec::new();
    while reader.read(&mut samples).unwrap_or(false) {}
    // However few bytes claim to be however much sound.
    let longest = (MAX_DURATION + Duration::from_secs(1)).as_secs() * u64::from(rate);
    assert!(samples.len() as u64 <= longest, "{}", samples.len());
});
