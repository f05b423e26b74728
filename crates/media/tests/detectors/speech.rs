//! Voices: what espeak-ng makes of a text, as it would come by telephone.

use std::io::Write;
use std::process::{Command, Stdio};

use offhook_media::codec::resample::resample_all;

/// A speaker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    /// Language and variant, as espeak-ng names them.
    pub(crate) name: &'static str,
    /// Words per minute.
    pub(crate) speed: u32,
    /// 0–99.
    pub(crate) pitch: u32,
}

/// Speakers of fifteen languages: high and low, slow and fast, men, women and children.
pub(crate) const VOICES: [Voice; 16] = [
    voice("en-us", 160, 50),
    voice("en-gb+f2", 180, 60),
    voice("de+m3", 150, 40),
    voice("de+f4", 170, 70),
    voice("fr+f1", 175, 55),
    voice("es+m1", 185, 45),
    voice("it+f3", 180, 75),
    voice("nl+m7", 160, 30),
    voice("ru+f5", 165, 50),
    voice("pl+m4", 170, 35),
    voice("sv+f2", 160, 80),
    voice("tr+m2", 175, 50),
    voice("pt-br+f3", 180, 65),
    voice("ja+f1", 170, 85),
    voice("hi+m5", 165, 50),
    voice("cmn+f4", 160, 60),
];

const fn voice(name: &'static str, speed: u32, pitch: u32) -> Voice {
    Voice { name, speed, pitch }
}

/// A text as samples at 8 kHz, with the voice's own pauses.
///
/// # Panics
/// Where there is no espeak-ng, which `cargo xtask test` installs.
pub(crate) fn speak(voice: Voice, text: &str) -> Vec<i16> {
    let Voice { name, speed, pitch } = voice;
    let mut espeak = Command::new("espeak-ng")
        .args(["-v", name, "-s", &speed.to_string(), "-p", &pitch.to_string(), "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("espeak-ng speaks in these tests; `apt-get install espeak-ng` brings it");
    let mut input = espeak.stdin.take().expect("it was asked for");
    input.write_all(text.as_bytes()).expect("espeak-ng takes its text before it speaks");
    drop(input);
    let output = espeak.wait_with_output().expect("espeak-ng ends");
    assert!(output.status.success(), "espeak-ng has the voice {name}");
    let (rate, samples) = samples_of(&output.stdout);
    resample_all(&samples, rate, 8000).expect("a rate that can be resampled")
}

/// The rate and the samples of a WAV file on a pipe: 16 bit, mono, its length not known when its header was written.
fn samples_of(wav: &[u8]) -> (u32, Vec<i16>) {
    let data = wav.windows(4).position(|four| four == b"data").expect("a WAV file has data") + 8;
    let rate = u32::from_le_bytes(wav[24..28].try_into().expect("four bytes"));
    let samples = wav[data..].as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair));
    (rate, samples.collect())
}

/// Louder or softer by so many decibels, clipped as the line clips.
#[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
pub(crate) fn scaled(samples: &[i16], decibels: f64) -> Vec<i16> {
    let factor = 10f64.powf(decibels / 20.0);
    samples.iter().map(|&sample| (f64::from(sample) * factor).round() as i16).collect()
}
