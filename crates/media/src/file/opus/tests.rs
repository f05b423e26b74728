//! Against a file of opusenc's and what FFmpeg makes of it by libopus; `fixtures/codec` says how they were made.

use super::{Reader, Writer};
use crate::codec::opus::Settings;

const FILE: &[u8] = include_bytes!("../../../../../fixtures/codec/opus.opus");
const DECODED: &[u8] = include_bytes!("../../../../../fixtures/codec/opus.s16");

/// 150 ms, in samples a millisecond.
const MS: usize = 150;

fn read(file: &[u8], rate: u32) -> Vec<i16> {
    let mut reader = Reader::new(file, rate).unwrap();
    let mut out = Vec::new();
    while reader.read(&mut out).unwrap() {}
    out
}

fn write(samples: &[i16], rate: u32, channels: u8, block: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::new(rate, channels, Settings::default(), 1, &mut file).unwrap();
    samples.chunks(block).for_each(|samples| writer.push(samples, &mut file).unwrap());
    writer.finish(&mut file).unwrap();
    file
}

/// A sine of 440 Hz.
fn sine(rate: u32, samples: usize) -> Vec<i16> {
    let turn = std::f64::consts::TAU * 440.0 / f64::from(rate);
    #[expect(clippy::cast_possible_truncation, reason = "below full scale")]
    let sample = |n: usize| ((turn * n as f64).sin() * 8000.0) as i16;
    (0..samples).map(sample).collect()
}

#[test]
fn a_file_is_read_as_ffmpeg_reads_it() {
    let expected: Vec<i16> = DECODED.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect();
    assert!(read(FILE, 48_000) == expected);
    assert_eq!(expected.len(), MS * 48);
    for rate in [8000, 12_000, 16_000, 24_000] {
        assert_eq!(read(FILE, rate).len(), MS * rate as usize / 1000, "{rate} Hz");
    }
}

#[test]
fn the_gain_of_a_file_is_applied() {
    // 6.02 dB up, in 1/256 dB; the sum of the first page is that of a page with it.
    let mut file = Vec::new();
    let head = crate::file::ogg::Head { channels: 1, pre_skip: 312, rate: 16_000, gain: 1541 };
    crate::file::ogg::Writer::new(&head, 7645, &mut file);
    let (first, ours) = (|file: &[u8]| 27 + 1 + usize::from(file[27]), file);
    let file = [&ours[..first(&ours)], &FILE[first(FILE)..]].concat();
    for (louder, sample) in read(&file, 48_000).into_iter().zip(read(FILE, 48_000)) {
        assert!((i32::from(louder) - 2 * i32::from(sample)).abs() <= 1 + i32::from(sample.abs()) / 1000);
    }
}

#[test]
fn what_is_written_is_read_at_its_length_and_in_its_place() {
    for (rate, channels) in [(8000, 1), (16_000, 1), (48_000, 1), (48_000, 2), (8000, 2)] {
        for samples in [0, 1, 160, 4321, 16_000] {
            let mono = sine(rate, samples);
            let interleaved: Vec<i16> =
                mono.iter().flat_map(|&sample| std::iter::repeat_n(sample, channels.into())).collect();
            let file = write(&interleaved, rate, channels, 333 * usize::from(channels));
            let out = read(&file, rate);
            assert_eq!(out.len(), samples, "{rate} Hz, {channels} channels");
            if samples < 4000 {
                continue;
            }
            let product = |a: &[i16], b: &[i16]| -> f64 {
                a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let (a, b) = (&mono[samples / 2..], &out[samples / 2..]);
            let likeness = product(a, b) / (product(a, a) * product(b, b)).sqrt();
            // The encoder's high-pass filter turns 440 Hz by some 20 degrees, of which the cosine is 0.94. The delay
            // left in would give 0.6.
            assert!(likeness > 0.9, "{rate} Hz, {channels} channels: {likeness:.3}");
        }
    }
}

#[test]
fn blocks_do_not_matter() {
    let samples = sine(16_000, 10_000);
    let expected = write(&samples, 16_000, 1, samples.len());
    for block in [1, 320, 7000] {
        assert!(write(&samples, 16_000, 1, block) == expected, "in blocks of {block}");
    }
}

#[test]
fn a_file_is_whole_at_every_moment() {
    let samples = sine(8000, 8000);
    let mut file = Vec::new();
    let mut writer = Writer::new(8000, 1, Settings::default(), 1, &mut file).unwrap();
    for (n, frame) in samples.chunks(160).enumerate() {
        writer.push(frame, &mut file).unwrap();
        // The encoder is 6.5 ms, or 52 samples, behind.
        let (whole, so_far) = ([file.clone(), writer.tail()].concat(), (n + 1) * 160 - 52);
        assert_eq!(read(&whole, 8000).len(), so_far);
        assert!(read(&file, 8000).len() + 1600 > so_far);
    }
}

#[test]
fn any_change_to_a_file_is_survived() {
    let mut random = fastrand::Rng::with_seed(6716);
    for _ in 0..500 {
        let mut file = FILE.to_vec();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..file.len());
            file[at] = random.u8(..);
        }
        if let Ok(mut reader) = Reader::new(file.as_slice(), 8000) {
            let mut out = Vec::new();
            while reader.read(&mut out).unwrap() {}
        }
    }
}
