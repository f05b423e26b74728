//! Files that SoX made, files that are damaged, and files that lie.

use std::f64::consts::TAU;
use std::io::{self, Read};

use super::*;
use crate::codec::{Codec, Decoder};
use crate::event::ActionId;
use crate::outgoing::Outgoing;
use crate::play::Playback;

macro_rules! wav {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../../fixtures/wav/", $name)).as_slice())
    };
}

macro_rules! audio {
    ($name:literal, $least_db:literal) => {
        ($name, include_bytes!(concat!("../../../../../fixtures/audio/", $name)).as_slice(), $least_db)
    };
}

/// With the least distance of the tone from all else.
const AUDIO: [(&str, &[u8], f64); 17] = [
    audio!("44k1-stereo.mp3", 40.0),
    audio!("16k-mono.mp3", 40.0),
    audio!("8k-mono.mp3", 30.0),
    audio!("22k05-mono.flac", 70.0),
    audio!("48k-stereo.flac", 70.0),
    audio!("44k1-stereo.ogg", 25.0),
    audio!("8k-mono-ms.wav", 22.0),
    audio!("44k1-stereo-ms.wav", 30.0),
    audio!("16k-stereo-ima.wav", 22.0),
    audio!("8k-mono.gsm", 14.0),
    audio!("16k-mono.g722", 30.0),
    audio!("8k-mono.sln", 70.0),
    audio!("8k-mono-f64.wav", 70.0),
    audio!("16k-mono-rf64.wav", 70.0),
    audio!("48k-mono.opus", 20.0),
    audio!("48k-stereo.opus", 20.0),
    audio!("8k-mono.oga", 70.0),
];

const READABLE: [(&str, &[u8]); 15] = [
    wav!("8k-mono-u8.wav"),
    wav!("8k-mono-s16.wav"),
    wav!("8k-mono-alaw.wav"),
    wav!("8k-mono-mulaw.wav"),
    wav!("8k-mono-ima.wav"),
    wav!("8k-mono-gsm.wav"),
    wav!("8k-mono.alaw"),
    wav!("8k-mono.ulaw"),
    wav!("11k025-mono-u8.wav"),
    wav!("16k-stereo-s16.wav"),
    wav!("22k05-mono-s16.wav"),
    wav!("24k-mono-s32.wav"),
    wav!("44k1-stereo-s16.wav"),
    wav!("48k-mono-s24.wav"),
    wav!("96k-mono-f32.wav"),
];

/// A WAV file of one `fmt ` and one `data` chunk, with the sizes that are given.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, riff_len: u32, data_len: u32, data: &[u8]) -> Vec<u8> {
    let block = channels.wrapping_mul(bits / 8);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&riff_len.to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0");
    bytes.extend_from_slice(&tag.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&rate.wrapping_mul(u32::from(block)).to_le_bytes());
    bytes.extend_from_slice(&block.to_le_bytes());
    bytes.extend_from_slice(&bits.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data_len.to_le_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// A well-formed 16-bit file.
fn pcm16(channels: u16, rate: u32, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let len = u32::try_from(data.len()).unwrap();
    wav(1, channels, rate, 16, len + 36, len, &data)
}

/// Every fixture is the sine that its README tells: 1 kHz at half of full scale, from phase 0. What else is in it is its
/// coding's noise, to which the sine's eight phases are no average, and what the filters of a coding move it by.
#[track_caller]
fn check(name: &str, bytes: &[u8], ms: usize, least_db: f64) {
    let samples = decode(bytes, name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    // FFmpeg's Vorbis lacks 3 ms of what it was given, by its own account; LAME takes 0.44 dB off.
    let lacking = if name.ends_with("ogg") { 24 } else { 1 };
    assert!(samples.len().abs_diff(ms * 8) <= lacking, "{name}: {} samples", samples.len());
    // Away from the ends, where filters hear the sine begin and end; the phase of this sine is 45 degrees a sample.
    let inner = &samples[200..samples.len() - 200];
    let (mut in_phase, mut across) = (0.0, 0.0);
    for (n, &sample) in inner.iter().enumerate() {
        let phase = TAU * (n + 200) as f64 / 8.0;
        in_phase += f64::from(sample) * phase.sin() * 2.0 / inner.len() as f64;
        across += f64::from(sample) * phase.cos() * 2.0 / inner.len() as f64;
    }
    let amplitude = in_phase.hypot(across);
    let level_db = 20.0 * (amplitude / 16_384.0).log10();
    let power: f64 = inner.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / inner.len() as f64;
    let noise = (power - amplitude * amplitude / 2.0).max(1e-9);
    let ratio_db = 10.0 * (power / noise).log10();
    assert!(
        level_db.abs() < if name.ends_with("mp3") { 0.5 } else { 0.3 },
        "{name}: {level_db:.2} dB of the level"
    );
    assert!(ratio_db > least_db, "{name}: {ratio_db:.1} dB");
}

#[test]
fn every_encoding_and_rate_gives_the_same_sine() {
    for (name, bytes) in READABLE {
        let least_db = match name {
            _ if name.contains("u8") || name.contains("law") => 33.0,
            _ if name.contains("gsm") => 14.0,
            _ if name.contains("ima") => 22.0,
            _ => 70.0,
        };
        check(name, bytes, if name.starts_with("96k") { 100 } else { 200 }, least_db);
    }
}

#[test]
fn every_other_format_gives_the_same_sine() {
    for (name, bytes, least_db) in AUDIO {
        check(name, bytes, 500, least_db);
    }
}

#[test]
fn sixteen_bits_at_8_khz_are_taken_as_they_are() {
    let samples: Vec<i16> = vec![0, 1, -1, 12_345, i16::MAX, i16::MIN];
    assert_eq!(decode(pcm16(1, 8000, &samples).as_slice(), "a.wav").unwrap(), samples);
}

#[test]
fn g711_in_wav_decodes_as_on_the_line() {
    for (name, codec) in [("8k-mono-alaw.wav", Codec::Pcma), ("8k-mono-mulaw.wav", Codec::Pcmu)] {
        let (_, bytes) = READABLE.into_iter().find(|fixture| fixture.0 == name).unwrap();
        let mut expected = Vec::new();
        Decoder::new(codec).decode(&bytes[58..], &mut expected);
        assert_eq!(decode(bytes, name).unwrap(), expected);
    }
}

#[test]
fn stereo_is_averaged() {
    let both = [1000, 3000, -2000, 2000, i16::MAX, i16::MAX, i16::MIN, i16::MIN];
    assert_eq!(decode(pcm16(2, 8000, &both).as_slice(), "").unwrap(), [2000, 0, i16::MAX, i16::MIN]);
}

/// What is heard of a file, and why it ends before it should, if it does.
pub(in crate::file) fn heard(bytes: &[u8], name: &str) -> (Vec<i16>, Option<PromptError>) {
    let mut reader =
        PromptReader::open(bytes, name, 8000, 0).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let mut samples = Vec::new();
    loop {
        match reader.read(&mut samples) {
            Ok(true) => {}
            Ok(false) => return (samples, None),
            Err(error) => return (samples, Some(error)),
        }
    }
}

/// A tone that was cut into files which have to be resampled is heard as if it had not been, as a list and repeated: it neither dips
/// nor bends at the joints, and lasts as long. What is expected is the sine itself, in mu-law, whose steps are at most 1/16 of a
/// value.
#[test]
fn a_tone_that_was_cut_into_files_has_no_seam() {
    const AMPLITUDE: f64 = 10_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    let tone = |frequency: f64, rate: u32, samples: std::ops::Range<u32>| -> Vec<i16> {
        let angle = |n: u32| TAU * frequency * f64::from(n) / f64::from(rate) + 0.7;
        samples.map(|n| (AMPLITUDE * angle(n).sin()).round() as i16).collect()
    };
    for (rate, frequency) in [(44_100, 440.0), (44_100, 1000.0), (22_050, 310.0), (16_000, 1000.0)] {
        // Where the tone is anywhere but at nought, and samples of both rates lie on each other.
        let (cut, end) = (rate * 34 / 100, rate);
        let prompts: Vec<_> = [0..cut, cut..end]
            .map(|part| {
                let file = pcm16(1, rate, &tone(frequency, rate, part));
                let samples = decode(file.as_slice(), "tone.wav").unwrap();
                crate::file::Prompt::encode(&samples, Codec::Pcmu)
            })
            .into();
        let mut playback = Playback::new(ActionId(1), prompts, 1);
        let (mut out, mut payload) = (Outgoing::new(Codec::Pcmu), Vec::new());
        while playback.frame(&mut out) {
            out.packets(|packet, _| payload.extend_from_slice(packet));
        }
        out.packets(|packet, _| payload.extend_from_slice(packet));
        assert_eq!(payload.len(), 2 * 8000, "{frequency} Hz of {rate}");
        assert_eq!(playback.played(), std::time::Duration::from_secs(2));
        let mut heard = Vec::new();
        Decoder::new(Codec::Pcmu).decode(&payload, &mut heard);
        // The tone has whole periods in a second: the next turn goes on where this one ends. But for the very ends.
        let expected = tone(frequency, 8000, 0..8000).repeat(2);
        for (at, (&heard, &expected)) in heard.iter().zip(&expected).enumerate().skip(3).take(2 * 8000 - 6) {
            let (heard, expected) = (f64::from(heard), f64::from(expected));
            let most = expected.abs() / 32.0 + AMPLITUDE / 80.0;
            assert!(
                (heard - expected).abs() < most,
                "{frequency} Hz of {rate}, {at}: {heard}, not {expected}"
            );
        }
    }
}

/// The lengths of those that write into a pipe and cannot go back: FFmpeg's, and in RF64; GStreamer's; SoX's and espeak-ng's;
/// arecord's, of either kind; and what others may leave.
#[test]
fn a_length_that_was_not_known_is_no_claim() {
    let data = [1u8, 0, 2, 0, 3, 0];
    for data_len in [u32::MAX, 0, 0x7fff_f000, 0x7fff_ff00, 0x8000_0000, u32::MAX - 1] {
        for riff_len in [0, 7, data_len] {
            let file = wav(1, 1, 8000, 16, riff_len, data_len, &data);
            assert_eq!(heard(&file, ""), (vec![1, 2, 3], None), "{riff_len:#x} {data_len:#x}");
        }
    }
    // Half a sample at the end is left out.
    let file = wav(1, 1, 8000, 16, u32::MAX, u32::MAX, &data[..5]);
    assert_eq!(heard(&file, ""), (vec![1, 2], None));
}

#[test]
fn a_wav_file_with_less_than_it_claims_is_heard_and_then_told() {
    let data = [1u8, 0, 2, 0, 3, 0];
    let told = Some(PromptError::Malformed("ends before its audio does".into()));
    for data_len in [7, 8, 5000, 0x7fff_efff] {
        let file = wav(1, 1, 8000, 16, 42, data_len, &data);
        assert_eq!(heard(&file, ""), (vec![1, 2, 3], told.clone()), "{data_len}");
    }
    assert_eq!(heard(&wav(1, 1, 8000, 16, 42, 6, &[]), ""), (vec![], told));
}

/// A file with its end missing, behind the heads that some have. Files without a length, raw ones, end where they end.
#[test]
fn a_file_that_was_cut_short_is_heard_as_far_as_it_goes_and_then_told() {
    let all = READABLE.into_iter().chain(AUDIO.map(|(name, bytes, _)| (name, bytes)));
    for (name, bytes) in all {
        let (whole, error) = heard(bytes, name);
        assert_eq!(error, None, "{name}");
        let (samples, error) = heard(&bytes[..bytes.len() - bytes.len().min(2400) / 4], name);
        // Half a second of Opus is one page.
        let least = if name.ends_with("opus") { 0 } else { 400 };
        assert!((least..whole.len()).contains(&samples.len()), "{name}: {}", samples.len());
        let has_length = !["alaw", "ulaw", "gsm", "g722", "sln"].iter().any(|ending| name.ends_with(ending));
        let told = PromptError::Malformed("ends before its audio does".into());
        assert_eq!(error, has_length.then_some(told), "{name}");
    }
}

/// Some writers count the frame of the header as well; and an MP3 file without a count is its frames in a row.
#[test]
fn an_mp3_file_without_a_count_or_with_one_too_many_is_whole() {
    let (name, bytes, _) = AUDIO[0];
    let at = bytes.windows(4).position(|window| window == b"Info").unwrap();
    let mut one_more = bytes.to_vec();
    // Behind the name and the flags, of which the lowest says that the count is there.
    assert_eq!(one_more[at + 7] & 1, 1);
    one_more[at + 11] += 1;
    assert_eq!(heard(&one_more, name).1, None);
    one_more[at + 11] += 2;
    assert!(heard(&one_more, name).1.is_some());
    let mut no_count = bytes.to_vec();
    no_count[at..at + 4].fill(0);
    assert_eq!(heard(&no_count[..bytes.len() / 2], name).1, None);
}

#[test]
fn chunks_before_and_after_are_passed_over() {
    let mut file = pcm16(1, 8000, &[5, 6, 7]);
    file.extend_from_slice(b"LIST\x04\0\0\0INFO");
    let mut with_notes = file[..12].to_vec();
    with_notes.extend_from_slice(b"bext\x05\0\0\0notes\0");
    with_notes.extend_from_slice(&file[12..]);
    assert_eq!(decode(file.as_slice(), "").unwrap(), [5, 6, 7]);
    assert_eq!(decode(with_notes.as_slice(), "").unwrap(), [5, 6, 7]);
}

/// Nobody needs the titles in a list, nor falls over an element in it that claims 4 GB.
#[test]
fn a_list_is_passed_over_unread() {
    let mut file = pcm16(1, 8000, &[5, 6, 7]);
    let list = b"LIST\x10\0\0\0INFOINAM\xff\xff\xff\xffname";
    file.splice(36..36, list.iter().copied());
    assert_eq!(decode(file.as_slice(), "").unwrap(), [5, 6, 7]);
}

#[test]
fn each_kind_of_bad_file_has_its_error() {
    let unsupported = |bytes: &[u8]| matches!(decode(bytes, "a.wav"), Err(PromptError::Unsupported(_)));
    let malformed = |bytes: &[u8]| matches!(decode(bytes, "a.wav"), Err(PromptError::Malformed(_)));
    assert_eq!(decode(b"".as_slice(), "a.wav"), Err(PromptError::Empty));
    assert!(unsupported(b"any text that is not audio"));
    // A page of Ogg with the head of Speex in it.
    let ogg = [b"OggS\0\x02".as_slice(), &[0; 20], b"\x01\x08Speex   ", &[0; 80]].concat();
    assert!(unsupported(&ogg));
    assert!(malformed(b"ID3\x04 an MP3 file that is not"));
    assert!(unsupported(&pcm16(1, 0, &[1])));
    assert!(unsupported(&pcm16(1, 768_000, &[1])));
    assert!(unsupported(&pcm16(0, 8000, &[1])));
    assert!(unsupported(&pcm16(9, 8000, &[1])));
    assert!(unsupported(&pcm16(u16::MAX, 8000, &[1])));
    assert!(unsupported(&wav(0x1234, 1, 8000, 16, 38, 2, &[0, 0])));
    assert!(malformed(&wav(1, 1, 8000, 0, 38, 2, &[0, 0])));
    assert!(malformed(&wav(1, 1, 8000, 12, 38, 2, &[0, 0])));
    let good = pcm16(1, 8000, &[1, 2, 3]);
    for len in 12..44 {
        assert!(malformed(&good[..len]), "cut at {len}");
    }
    let no_data = [&good[..36], b"cue \x02\0\0\0ab"].concat();
    assert!(malformed(&no_data));
}

#[test]
fn a_failing_disk_is_told_as_such() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }
    let told = PromptError::Unreadable("disk on fire".into());
    assert_eq!(decode(Failing, "a.wav").unwrap_err(), told);
    assert_eq!(decode(Failing, "a.ulaw").unwrap_err(), told);
    // Beyond what is read ahead for the header.
    let half = wav(1, 1, 8000, 8, u32::MAX, 3_000_000, &vec![0x80; 2_000_000]);
    assert_eq!(decode(half.chain(Failing), "a.wav").unwrap_err(), told);
}

#[test]
fn a_file_without_end_ends_at_the_limit() {
    let header = wav(1, 1, 8000, 8, u32::MAX, u32::MAX, &[]);
    assert_eq!(decode(header.chain(io::repeat(0x80)), "").unwrap_err(), PromptError::TooLong);
    assert_eq!(decode(io::repeat(0xff), "a.ulaw").unwrap_err(), PromptError::TooLong);
}

/// A source that gives one byte for ever, and counts how many were asked for.
struct Endless {
    head: Vec<u8>,
    read: u64,
}

impl Read for &mut Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read += buffer.len() as u64;
        let head = self.head.len().min(buffer.len());
        buffer.fill(0);
        buffer[..head].copy_from_slice(&self.head[..head]);
        self.head.drain(..head);
        Ok(buffer.len())
    }
}

/// `/dev/zero` behind the beginning of every container: a clear error after a few megabytes, whatever is claimed.
#[test]
fn a_file_of_zeros_without_end_is_given_up() {
    let chunk = |name: &[u8; 4], size: u32| [name.as_slice(), &size.to_le_bytes()].concat();
    let mut heads: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"ID3\x04\0\0\0\0\0\0".to_vec(),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(),
        b"fLaC".to_vec(),
        b"fLaC\x04\xff\xff\xff".to_vec(),
        b"OggS".to_vec(),
        // Chunks of no name and no length, one after the other.
        b"RIFF\0\0\0\0WAVE".to_vec(),
        [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"LIST", 4_000_000_000)].concat(),
        [b"RIFF\0\0\0\0WAVE".to_vec(), chunk(b"fmt ", u32::MAX)].concat(),
        [b"RF64\xff\xff\xff\xffWAVE".to_vec(), chunk(b"ds64", u32::MAX)].concat(),
    ];
    for (name, bytes, _) in AUDIO {
        if ["mp3", "ogg", "flac", "opus"].iter().any(|ending| name.ends_with(ending)) {
            heads.extend([bytes[..200].to_vec(), bytes[..bytes.len() - 100].to_vec()]);
        }
    }
    for (n, head) in heads.into_iter().enumerate() {
        let mut source = Endless { head, read: 0 };
        // A file that is whole but for its last page may end there as well.
        match decode(&mut source, "a") {
            Err(PromptError::Unsupported(_) | PromptError::Malformed(_)) => {}
            other => assert!(n > 10, "{n}: {:?}", other.map(|samples| samples.len())),
        }
        assert!(source.read < 3 * MAX_GAP, "{n}: {} bytes", source.read);
    }
}

/// RF64 with sizes beyond what is there, beyond what any disk has, or of nothing.
#[test]
fn a_long_file_is_read_by_its_real_length() {
    let (_, bytes, _) = AUDIO[13];
    let at = bytes.windows(4).position(|window| window == b"ds64").unwrap() + 8;
    let decoded = decode(bytes, "a").unwrap().len();
    // FFmpeg leaves 0 where it writes into a pipe.
    for (size, expected, is_short) in
        [(u64::MAX, decoded, false), (1 << 40, decoded, true), (3200, 800, false), (0, decoded, false)]
    {
        let mut file = bytes.to_vec();
        // Of the RIFF, of the data (EBU Tech 3306 §3).
        file[at..at + 8].copy_from_slice(&size.to_le_bytes());
        file[at + 8..at + 16].copy_from_slice(&size.to_le_bytes());
        let (samples, error) = heard(&file, "a");
        assert_eq!((samples.len().abs_diff(expected) < 8, error.is_some()), (true, is_short), "{size}");
    }
}

#[test]
fn gain_is_applied_and_what_would_not_fit_is_limited() {
    let with = |samples: &[i16], gain_db| {
        let file = pcm16(1, 8000, samples);
        let mut reader = PromptReader::open(file.as_slice(), "a.wav", 8000, gain_db).unwrap();
        let mut out = Vec::new();
        while reader.read(&mut out).unwrap() {}
        out
    };
    let samples = [100, -100, 2_000, -2_000, 0];
    assert_eq!(with(&samples, 0), samples);
    assert_eq!(with(&samples, 20), [1000, -1000, 20_000, -20_000, 0]);
    assert_eq!(with(&samples, -20), [10, -10, 200, -200, 0]);
    assert_eq!(with(&samples, -40), [1, -1, 20, -20, 0]);
    // 400 Hz at half of full scale for 0.5 s: from the second frame on it is what it was, and 1 dB below full scale.
    #[expect(clippy::cast_possible_truncation, reason = "within the range")]
    let loud: Vec<i16> = (0..4000)
        .map(|n| (16_000.0 * (std::f64::consts::TAU * f64::from(n) / 20.0).sin()).round() as i16)
        .collect();
    let limited = with(&loud, 20);
    let factor = 32_767.0 / 16_000.0 * 10f64.powf(-1.0 / 20.0);
    for (&before, &after) in loud.iter().zip(&limited).skip(160) {
        assert!((f64::from(before) * factor - f64::from(after)).abs() < 10.0, "{before} became {after}");
    }
}

/// The first samples of a minute of MP3 are there when little of it has been read, and none of the rest.
#[test]
fn a_long_prompt_gives_its_beginning_at_once() {
    let (_, bytes, _) = AUDIO[0];
    // The frames of half a second, a hundred and twenty times over: an MP3 file is its frames in a row.
    let long = bytes.repeat(120);
    let mut source = Endless { head: long, read: 0 };
    let mut reader = PromptReader::open(&mut source, "a", 8000, 0).unwrap();
    let mut out = Vec::new();
    while out.len() < 1600 {
        assert!(reader.read(&mut out).unwrap());
    }
    drop(reader);
    assert!(source.read <= 256 * 1024, "{} bytes for the first 200 ms", source.read);
}

#[test]
fn mutated_files_neither_panic_nor_grow() {
    let mut random = fastrand::Rng::with_seed(2);
    for round in 0..4000 {
        let all: Vec<_> = READABLE.into_iter().chain(AUDIO.map(|(name, bytes, _)| (name, bytes))).collect();
        let (name, bytes) = *random.choice(&all).unwrap();
        let mut bytes = bytes[..bytes.len().min(3000)].to_vec();
        for _ in 0..random.usize(1..6) {
            // Mostly in the header.
            let at = if random.bool() { random.usize(..80) } else { random.usize(..bytes.len()) };
            match random.u8(..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
            bytes.resize(bytes.len().max(90), 0);
        }
        if let Ok(samples) = decode(bytes.as_slice(), name) {
            // One byte is at most one sample, or two, which at the lowest rate become eight each; a packet of a few bytes may
            // be a frame of 65,536 samples of FLAC, or 4,096 of Vorbis.
            let packets = if name.ends_with("flac") { 65_536 * 8 } else { 0 };
            assert!(
                samples.len() <= bytes.len() * 300 + 8 + packets,
                "round {round}, {name}: {}",
                samples.len()
            );
        }
    }
}
