//! Frames against the standard's formulas, and sound against another implementation's decoder, symphonia's. FFmpeg, SoX and
//! miniaudio read the same: FFmpeg and miniaudio at the exact length.

use std::io::Cursor;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::default::formats::MpaReader;

use super::{BITRATE, Encoder, FRAME_SAMPLES, RATES};

/// The speech and the rest of `fixtures/codec`.
fn input() -> Vec<i16> {
    let bytes: &[u8] = include_bytes!("../../../../../fixtures/codec/input-8k.s16");
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

fn encode(samples: &[i16], rate: u32, channels: u16, block: usize) -> Vec<u8> {
    let (mut encoder, mut file) = (Encoder::new(rate, channels).unwrap(), Vec::new());
    samples.chunks(block).for_each(|samples| encoder.encode(samples, &mut file));
    let tag = encoder.finish(&mut file);
    file[..tag.len()].copy_from_slice(&tag);
    file
}

/// All samples; the decoder leaves out those that the delay adds before.
fn decode(file: &[u8]) -> (Vec<f32>, usize) {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(file.to_vec())), Default::default());
    let mut reader = MpaReader::try_new(stream, FormatOptions::default()).unwrap();
    let parameters = reader.tracks()[0].codec_params.as_ref().unwrap().audio().unwrap().clone();
    let codecs = symphonia::default::get_codecs();
    let mut decoder = codecs.make_audio_decoder(&parameters, &AudioDecoderOptions::default()).unwrap();
    let (mut all, mut channels) = (Vec::new(), 0);
    while let Ok(Some(packet)) = reader.next_packet() {
        let audio = decoder.decode(&packet).unwrap();
        channels = audio.spec().channels().count();
        let mut samples = vec![0.0; audio.samples_interleaved()];
        audio.copy_to_slice_interleaved(&mut samples);
        all.extend(samples);
    }
    (all, channels)
}

/// The signal to noise ratio in dB, at the best delay.
fn ratio(expected: &[i16], found: &[f32]) -> f64 {
    let error = |delay: usize| -> f64 {
        let pairs = expected.iter().zip(&found[delay..]);
        pairs.map(|(&a, &b)| (f64::from(a) / 32_768.0 - f64::from(b)).powi(2)).sum()
    };
    let least = (0..=found.len() - expected.len()).map(error).fold(f64::INFINITY, f64::min);
    let power: f64 = expected.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum();
    10.0 * (power / least).log10()
}

#[test]
fn speech_comes_through() {
    // The first half of the input; what follows is meant to be hard.
    let speech = &input()[..2400];
    let (found, channels) = decode(&encode(speech, 8000, 1, 160));
    assert_eq!(channels, 1);
    let ratio = ratio(speech, &found);
    assert!(ratio > 25.0, "{ratio:.1} dB");
}

#[test]
fn two_channels_come_through() {
    let mono = input();
    let (left, right) = (&mono[..2000], &mono[400..2400]);
    let interleaved: Vec<i16> = left.iter().zip(right).flat_map(|(&left, &right)| [left, right]).collect();
    let (found, channels) = decode(&encode(&interleaved, 8000, 2, 320));
    assert_eq!(channels, 2);
    for (n, expected) in [left, right].into_iter().enumerate() {
        let found: Vec<f32> = found.iter().skip(n).step_by(2).copied().collect();
        let ratio = ratio(expected, &found);
        assert!(ratio > 22.0, "channel {n}: {ratio:.1} dB");
    }
}

#[test]
fn frames_are_as_long_as_the_standard_says_and_come_in_time() {
    let input = input().repeat(5);
    for (index, rate) in RATES.into_iter().enumerate() {
        let (mut encoder, mut file) = (Encoder::new(rate, 1).unwrap(), Vec::new());
        let mut pushed = 0;
        for samples in input.chunks(160) {
            encoder.encode(samples, &mut file);
            pushed += samples.len();
            // A slot is an octet; a frame has 72 · bit rate / rate of them, and one more where that is not whole.
            let octets = FRAME_SAMPLES / 8 * BITRATE as usize / rate as usize;
            let audio = (file.len() / octets).saturating_sub(1) * FRAME_SAMPLES;
            assert!(audio + 2 * FRAME_SAMPLES >= pushed, "{rate} Hz: {audio} of {pushed}");
        }
        let tag = encoder.finish(&mut file);
        assert_eq!(tag.len(), frame_octets(&file, index));
        assert_eq!(&tag[13..17], b"Info");
        // One frame after the other to the end.
        let mut at = 0;
        while at < file.len() {
            at += frame_octets(&file[at..], index);
        }
        assert_eq!(at, file.len());
    }
}

/// The length of the frame that begins here (ISO/IEC 13818-3 §2.4.2.3): MPEG-2 has the three higher rates, 2.5 the others.
fn frame_octets(file: &[u8], rate: usize) -> usize {
    const KBITS: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let index = [2, 0, 1, 2, 0, 1][rate];
    let version = if rate < 3 { 0xe3 } else { 0xf3 };
    assert_eq!([file[0], file[1]], [0xff, version]);
    assert_eq!(file[2] >> 2 & 3, index);
    let bits = KBITS[usize::from(file[2] >> 4)] * 1000;
    (72 * bits / RATES[rate] + u32::from(file[2] >> 1 & 1)) as usize
}

#[test]
fn a_stream_that_is_not_ended_is_heard_as_far_as_it_goes() {
    let input = input();
    let (mut encoder, mut file) = (Encoder::new(8000, 1).unwrap(), Vec::new());
    encoder.encode(&input, &mut file);
    let tag = encoder.tag();
    file[..tag.len()].copy_from_slice(&tag);
    // All frames behind the tag are in it, big-endian after the name and four octets of flags.
    let frames = u32::try_from((file.len() - tag.len()) / (FRAME_SAMPLES / 8 * 32 / 8)).unwrap();
    assert_eq!((&tag[13..17], &tag[21..25]), (&b"Info"[..], &frames.to_be_bytes()[..]));
    let (found, _) = decode(&file);
    // The decoder is behind by 529 samples, the encoder by 528. Two frames are kept back.
    let delay = 529 + 528;
    let behind = input.len() - found.len();
    assert!(behind <= 2 * FRAME_SAMPLES + delay, "{behind}");
    let ratio = ratio(&input[..2000], &found);
    assert!(ratio > 25.0, "{ratio:.1} dB, {behind} behind");
}

#[test]
fn blocks_do_not_matter() {
    let input = input();
    let expected = encode(&input, 8000, 1, input.len());
    for block in [1, 160, 577] {
        assert!(encode(&input, 8000, 1, block) == expected, "in blocks of {block}");
    }
}

#[test]
fn what_mp3_has_not_is_refused() {
    for (rate, channels) in [(0, 1), (8001, 1), (32_000, 1), (48_000, 2), (8000, 0), (8000, 3)] {
        assert!(Encoder::new(rate, channels).is_none());
    }
    let mut out = Vec::new();
    assert!(Encoder::new(8000, 1).unwrap().finish(&mut out).is_empty());
    assert!(out.is_empty());
}
