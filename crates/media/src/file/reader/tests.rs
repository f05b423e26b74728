//! Files that SoX made, files that are damaged, and files that lie.

use std::f64::consts::TAU;
use std::io::{self, Read};

use super::*;

macro_rules! wav {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../../fixtures/wav/", $name)).as_slice())
    };
}

const READABLE: [(&str, &[u8]); 13] = [
    wav!("8k-mono-u8.wav"),
    wav!("8k-mono-s16.wav"),
    wav!("8k-mono-alaw.wav"),
    wav!("8k-mono-mulaw.wav"),
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
/// coding's noise, to which the sine's eight phases are no average: at least 33 dB with 8 bits and G.711, 70 with more.
#[test]
fn every_encoding_and_rate_gives_the_same_sine() {
    for (name, bytes) in READABLE {
        let samples = decode(bytes, name).unwrap();
        assert_eq!(samples.len(), if name.starts_with("96k") { 800 } else { 1600 }, "{name}");
        // Away from the ends, where the resampler hears the sine begin and end.
        let (mut noise, mut power) = (0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate().skip(50).take(samples.len() - 100) {
            let expected = 16_384.0 * (TAU * 1000.0 * n as f64 / 8000.0).sin();
            noise += (f64::from(sample) - expected).powi(2);
            power += expected * expected;
        }
        let ratio = 10.0 * f64::log10(power / noise);
        let coarse = name.contains("u8") || name.contains("law");
        assert!(ratio > if coarse { 33.0 } else { 70.0 }, "{name}: {ratio:.1} dB");
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

#[test]
fn what_we_write_we_read() {
    use crate::file::{RecordFormat, WavHeader};
    let samples: Vec<i16> = (0..801).map(|n| n * 40 - 16_000).collect();
    for format in [RecordFormat::Pcm8, RecordFormat::Alaw, RecordFormat::Mulaw, RecordFormat::Pcm16] {
        let mut data = Vec::new();
        format.encode(&samples, &mut data);
        let header = WavHeader::new(format);
        let len = data.len() as u64;
        let file = [header.header_bytes(len), data.clone(), header.padding(len).to_vec()].concat();
        let read = decode(file.as_slice(), "a.wav").unwrap();
        assert_eq!(read.len(), samples.len(), "{format:?}");
        assert!(read.iter().zip(&samples).all(|(a, b)| a.abs_diff(*b) <= 512), "{format:?}");
        // A crash right after the first header: the audio is not lost.
        let empty = [header.header_bytes(0), data].concat();
        assert_eq!(decode(empty.as_slice(), "a.wav").unwrap(), []);
    }
}

#[test]
fn a_claimed_length_is_not_believed() {
    let data = [1u8, 0, 2, 0, 3, 0];
    for (riff_len, data_len) in
        [(0, 6), (42, 4_000_000_000), (u32::MAX, u32::MAX), (0, u32::MAX - 1), (7, 5000)]
    {
        let file = wav(1, 1, 8000, 16, riff_len, data_len, &data);
        assert_eq!(decode(file.as_slice(), "").unwrap(), [1, 2, 3], "{riff_len} {data_len}");
    }
    // Half a sample at the end is left out.
    let file = wav(1, 1, 8000, 16, u32::MAX, u32::MAX, &data[..5]);
    assert_eq!(decode(file.as_slice(), "").unwrap(), [1, 2]);
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
    assert!(unsupported(b""));
    assert!(unsupported(b"ID3\x04 an MP3 file, for instance"));
    assert!(unsupported(wav!("8k-mono-gsm.wav").1));
    assert!(unsupported(wav!("8k-mono-ima.wav").1));
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

#[test]
fn mutated_files_neither_panic_nor_grow() {
    let mut random = fastrand::Rng::with_seed(2);
    for round in 0..4000 {
        let (name, bytes) = READABLE[random.usize(..READABLE.len())];
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
            // One byte is at most one sample, which at the lowest rate becomes eight.
            assert!(samples.len() <= bytes.len() * 8 + 8, "round {round}, {name}");
        }
    }
}
