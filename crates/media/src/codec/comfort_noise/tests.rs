//! Against the formulas of RFC 3389, and against what FFmpeg's encoder makes of the same noise; `fixtures/codec` says how
//! its files were made.

use super::{Generator, MAX_ORDER, Sid};

const NOISE: &[u8] = include_bytes!("../../../../../fixtures/codec/noise-8k.s16");
const DESCRIBED: &[u8] = include_bytes!("../../../../../fixtures/codec/noise.cn");

/// FFmpeg's describes 80 ms by a level and ten coefficients.
const SAMPLES: usize = 640;
const OCTETS: usize = 11;

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

fn payload(sid: &Sid) -> Vec<u8> {
    let mut out = Vec::new();
    sid.write(&mut out);
    out
}

/// Two seconds of it, after the first half.
fn noise(payload: &[u8]) -> Vec<i16> {
    let mut generator = Generator::new(7);
    generator.update(&Sid::parse(payload).unwrap());
    let mut out = vec![0; 20_000];
    out.chunks_mut(160).for_each(|frame| generator.fill(frame));
    out.split_off(4000)
}

fn dbov(samples: &[i16]) -> f64 {
    let power = samples.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum::<f64>();
    10.0 * (power / samples.len() as f64).log10()
}

/// The correlation of each sample with the one before.
fn correlation(samples: &[i16]) -> f64 {
    let product = |(a, b): (&i16, &i16)| f64::from(*a) * f64::from(*b);
    let power: f64 = samples.iter().zip(samples).map(product).sum();
    samples.iter().zip(&samples[1..]).map(product).sum::<f64>() / power
}

#[test]
fn a_payload_is_read_and_written() {
    assert_eq!(Sid::parse(&[]), None);
    assert_eq!(Sid::parse(&[60]).unwrap().level(), 60);
    for bytes in [&[60][..], &[0, 127], &[127, 0, 254, 127, 1, 2, 3, 4, 5, 6, 7]] {
        assert_eq!(payload(&Sid::parse(bytes).unwrap()), bytes);
    }
    // What is beyond the last coefficient that we look at is left out.
    let long: Vec<u8> = (0..40).collect();
    assert_eq!(payload(&Sid::parse(&long).unwrap()), long[..=MAX_ORDER]);
}

#[test]
fn the_level_is_what_the_payload_says() {
    for level in [30, 35, 50, 65, 78] {
        let coefficients: [&[u8]; 4] = [&[], &[20], &[200, 127, 90], &[9, 248, 8, 239, 48]];
        for coefficients in coefficients {
            let out = noise(&[&[level], coefficients].concat());
            let difference = dbov(&out) + f64::from(level);
            // Half a unit of 16 bits is −96 dB; below that there is nothing to tell.
            assert!(difference.abs() < 1.0, "−{level} dBov, {coefficients:?}: off by {difference:.2} dB");
        }
    }
    assert!(noise(&[127]).iter().all(|&sample| sample == 0));
}

/// RFC 3389 has levels up to 0, a square wave at full scale. Speech is at −26 dBov (ITU-T P.56), and a pause is below it.
#[test]
fn no_level_is_louder_than_speech() {
    for payload in [&[0][..], &[0x80], &[10], &[29, 20], &[0, 200, 127, 90], &[0, 9, 248, 8, 239, 48]] {
        let level = dbov(&noise(payload));
        assert!((-31.0..-29.0).contains(&level), "{payload:?}: {level:.2} dBov");
    }
}

#[test]
fn the_first_coefficient_is_the_correlation_of_neighbours() {
    // With one coefficient k the filter is y(n) = x(n) − k · y(n − 1), whose neighbours correlate by −k.
    for index in [20, 64, 127, 190, 234] {
        let k = 258.0 * (f64::from(index) - 127.0) / 32_768.0;
        let found = correlation(&noise(&[30, index]));
        assert!((found + k).abs() < 0.03, "{index}: {found:.3} for {:.3}", -k);
    }
}

#[test]
fn it_describes_noise_as_ffmpeg_does() {
    let noise = samples(NOISE);
    for (n, (samples, expected)) in noise.chunks(SAMPLES).zip(DESCRIBED.chunks(OCTETS)).enumerate() {
        let found = payload(&Sid::of(samples));
        assert_eq!(found.len(), OCTETS);
        for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            // The level is the same; the window over the samples is not, and moves the coefficients by some hundredths.
            let allowed = if place == 0 { 1 } else { 16 };
            assert!(found.abs_diff(expected) <= allowed, "{n}, {place}: {found} for {expected}");
        }
    }
}

#[test]
fn noise_made_of_a_description_is_described_alike() {
    for sid in DESCRIBED.chunks(OCTETS) {
        let again = payload(&Sid::of(&noise(sid)));
        for (place, (&found, &expected)) in again.iter().zip(sid).enumerate() {
            let allowed = if place == 0 { 1 } else { 12 };
            assert!(found.abs_diff(expected) <= allowed, "{place}: {again:?} for {sid:?}");
        }
    }
}

#[test]
fn silence_and_extremes_are_described() {
    assert_eq!(payload(&Sid::of(&[])), [127; 11]);
    assert_eq!(payload(&Sid::of(&[0; 160])), [127; 11]);
    let square: Vec<i16> = (0..640).map(|n| if n / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    assert_eq!(Sid::of(&square).level(), 0);
    assert_eq!(Sid::of(&square[..1]).level(), 0);
}

#[test]
fn any_payload_makes_noise_that_comes_to_rest() {
    let mut random = fastrand::Rng::with_seed(3389);
    let mut generator = Generator::new(0);
    let mut frame = [0; 160];
    for _ in 0..3000 {
        let payload: Vec<u8> = (0..random.usize(1..16)).map(|_| random.u8(..)).collect();
        generator.update(&Sid::parse(&payload).unwrap());
        (0..random.usize(..8)).for_each(|_| generator.fill(&mut frame));
    }
    for payload in [[0; 13], [255; 13], [0, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255]] {
        generator.update(&Sid::parse(&payload).unwrap());
        (0..100).for_each(|_| generator.fill(&mut frame));
    }
    generator.update(&Sid::parse(&[127]).unwrap());
    (0..100).for_each(|_| generator.fill(&mut frame));
    assert_eq!(frame, [0; 160]);
}
