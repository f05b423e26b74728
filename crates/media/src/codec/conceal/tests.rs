//! The properties that G.711 Appendix I asks for, and how much nearer to the speech that was lost the result is than what
//! simpler ways give.

use std::f64::consts::PI;

use super::Concealer;
use crate::codec::pcmu;

const RATES: [u32; 3] = [8000, 16_000, 48_000];

/// A voice of 125 Hz: twenty harmonics, each weaker than the one below, which start together at every period.
fn voice(rate: u32, milliseconds: u32) -> Vec<i16> {
    let sample = |n: u32| {
        let time = f64::from(n) / f64::from(rate);
        let harmonics = (1..=20).map(f64::from).map(|h| (2.0 * PI * 125.0 * h * time + h).sin() / h);
        #[expect(clippy::cast_possible_truncation, reason = "below full scale")]
        let sample = (harmonics.sum::<f64>() * 6000.0) as i16;
        sample
    };
    (0..rate / 1000 * milliseconds).map(sample).collect()
}

/// The prompts, which are mu-law behind a header of 58 octets, one after another.
fn speech() -> Vec<i16> {
    let prompts: [&[u8]; 4] = [
        include_bytes!("../../../../../fixtures/prompts/welcome.wav"),
        include_bytes!("../../../../../fixtures/prompts/ask-digits.wav"),
        include_bytes!("../../../../../fixtures/prompts/connecting.wav"),
        include_bytes!("../../../../../fixtures/prompts/record-after-beep.wav"),
    ];
    prompts.iter().flat_map(|file| &file[58..]).map(|&code| pcmu::DECODED[usize::from(code)]).collect()
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64
}

fn difference(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_sub(*b)).collect()
}

fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// `signal` in frames of `frame` samples, of which those of `lost` are concealed.
fn concealed(signal: &[i16], rate: u32, frame: usize, lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let mut concealer = Concealer::new(rate);
    let mut out = signal.to_vec();
    for (n, frame) in out.chunks_mut(frame).enumerate() {
        if lost(n) { concealer.lost(frame) } else { concealer.arrived(frame) }
    }
    out
}

fn ms(rate: u32, milliseconds: u32) -> usize {
    (rate / 1000 * milliseconds) as usize
}

#[test]
fn a_steady_voice_goes_on() {
    for rate in RATES {
        let signal = voice(rate, 200);
        let out = concealed(&signal, rate, ms(rate, 10), |n| n == 10);
        let lost = ms(rate, 100)..ms(rate, 110);
        let error = power(&difference(&signal[lost.clone()], &out[lost.clone()])) / power(&signal[lost]);
        assert!(decibels(error) < -40.0, "{rate} Hz: {:.1} dB", decibels(error));
    }
}

#[test]
fn the_pitch_is_kept_while_it_fades() {
    for rate in RATES {
        let signal = voice(rate, 200);
        let out = concealed(&signal, rate, ms(rate, 10), |n| (10..15).contains(&n));
        // The voice's period is 8 ms. Under the fade every sample still lies where its like lay a period ago.
        let (now, then) = (
            &out[ms(rate, 130)..ms(rate, 146)],
            &out[ms(rate, 130) - ms(rate, 8)..ms(rate, 146) - ms(rate, 8)],
        );
        let product: f64 = now.iter().zip(then).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        let likeness = product / now.len() as f64 / (power(now) * power(then)).sqrt();
        assert!(likeness > 0.97, "{rate} Hz: {likeness:.3}");
    }
}

#[test]
fn it_fades_from_10_ms_on_and_is_silent_at_60() {
    for rate in RATES {
        let signal = voice(rate, 400);
        let out = concealed(&signal, rate, ms(rate, 10), |n| (10..25).contains(&n));
        let level = |at: u32| (power(&out[ms(rate, at)..ms(rate, at + 8)]) / power(&signal)).sqrt();
        assert!((0.9..1.1).contains(&level(101)), "{rate} Hz: {:.2}", level(101));
        // 20 % less every 10 ms: in the middle of each 8 ms, 1 − (t + 4 − 10) / 50.
        for at in [112, 120, 130, 140, 150] {
            let expected = 1.0 - f64::from(at + 4 - 110) / 50.0;
            assert!((level(at) - expected).abs() < 0.1, "{rate} Hz, {at} ms: {:.2}", level(at));
        }
        assert!(out[ms(rate, 160)..ms(rate, 250)].iter().all(|&sample| sample == 0), "{rate} Hz");
    }
}

#[test]
fn what_arrives_again_is_faded_to_and_then_left_alone() {
    for rate in RATES {
        let signal = voice(rate, 400);
        // A quarter of the 8 ms period, and 4 ms for every 10 ms lost after the first, but never more than 10 ms.
        for (frames, fade) in [(1, 2), (2, 6), (3, 10), (4, 10), (20, 10)] {
            let out = concealed(&signal, rate, ms(rate, 10), |n| (10..10 + frames as usize).contains(&n));
            let again = ms(rate, 100 + 10 * frames);
            let left_alone = again + ms(rate, fade);
            assert!(out[left_alone..] == signal[left_alone..], "{rate} Hz, {frames} frames");
            if frames == 20 {
                // Out of silence: the fade is one of the level.
                assert!(
                    power(&out[again..again + ms(rate, 3)])
                        < power(&signal[again..again + ms(rate, 3)]) / 4.0
                );
            }
        }
    }
}

#[test]
fn there_is_no_click() {
    let signal = speech();
    let steepest =
        |samples: &[i16]| samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap_or_default();
    let mut worst: f64 = 0.0;
    for first in 5..signal.len() / 160 - 20 {
        let out = concealed(&signal, 8000, 160, |n| (first..first + 2).contains(&n));
        let around = (first - 1) * 160..(first + 4) * 160;
        // Of what was there to be repeated or faded to, and a step of it split in two.
        let here = steepest(&signal[(first - 3) * 160..(first + 4) * 160]).max(50);
        worst = worst.max(f64::from(steepest(&out[around])) / f64::from(here));
    }
    println!("steepest step, of the steepest of the speech around: {worst:.2}");
    assert!(worst < 1.3, "{worst}");
}

#[test]
fn any_length_of_frame_gives_the_same() {
    let mut random = fastrand::Rng::with_seed(711);
    for rate in RATES {
        let signal = voice(rate, 300);
        let expected = concealed(&signal, rate, ms(rate, 60), |n| n % 3 == 1);
        let (mut concealer, mut out) = (Concealer::new(rate), signal);
        for (n, mut rest) in out.chunks_mut(ms(rate, 60)).enumerate() {
            while !rest.is_empty() {
                let (now, later) = rest.split_at_mut(random.usize(0..=rest.len()));
                // Nothing that arrives is no end of a loss.
                concealer.arrived(&mut []);
                if n % 3 == 1 {
                    concealer.lost(now)
                } else {
                    concealer.arrived(now)
                }
                rest = later;
            }
        }
        assert!(out == expected, "{rate} Hz");
    }
}

#[test]
fn silence_stays_silence() {
    let mut concealer = Concealer::new(8000);
    let mut frame = [0; 160];
    for n in 0..10 {
        if n % 2 == 0 {
            concealer.lost(&mut frame)
        } else {
            concealer.arrived(&mut frame)
        }
        assert_eq!(frame, [0; 160]);
    }
}

#[test]
fn any_samples_at_any_rate() {
    let mut random = fastrand::Rng::with_seed(711);
    for rate in [0, 999, 1000, 4001, 8000, 11_025, 44_100, 192_000] {
        let mut concealer = Concealer::new(rate);
        for _ in 0..40 {
            let longest = random.usize(1..4000);
            let mut frame: Vec<i16> = (0..random.usize(..longest))
                .map(|_| if random.bool() { i16::MAX } else { i16::MIN })
                .collect();
            if random.bool() { concealer.lost(&mut frame) } else { concealer.arrived(&mut frame) }
        }
    }
}

/// How far the spectra of two frames are apart, in dB: the root of the mean of the squared differences in bands of 125 Hz.
fn spectral_distance(a: &[i16], b: &[i16]) -> f64 {
    let level = |samples: &[i16], band: u32| {
        let angle = 2.0 * PI * 125.0 * f64::from(band) / 8000.0;
        let count = samples.len() as f64;
        let (mut re, mut im) = (0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (2.0 * PI * n as f64 / count).cos();
            re += f64::from(sample) * window * (angle * n as f64).cos();
            im += f64::from(sample) * window * (angle * n as f64).sin();
        }
        // A floor at about the noise of G.711.
        decibels(re * re + im * im + 1e6)
    };
    let squares: f64 = (2..28).map(|band| (level(a, band) - level(b, band)).powi(2)).sum();
    (squares / 26.0).sqrt()
}

/// The mean distance of lost frames, and the signal to noise ratio over all, where every frame is lost by `loss`.
fn measure(signal: &[i16], out: &[i16], lost: &[bool]) -> (f64, f64) {
    let frames = signal.chunks_exact(160).zip(out.chunks_exact(160)).zip(lost);
    let spoken = frames.filter(|((signal, _), lost)| **lost && power(signal) > 1e4);
    let distances: Vec<f64> = spoken.map(|((signal, out), _)| spectral_distance(signal, out)).collect();
    let ratio = power(signal) / power(&difference(signal, out));
    (distances.iter().sum::<f64>() / distances.len() as f64, decibels(ratio))
}

#[test]
fn lost_speech_is_nearer_than_repetition_or_silence_would_be() {
    let signal = speech();
    for percent in [5, 10] {
        let mut random = fastrand::Rng::with_seed(percent);
        let lost: Vec<bool> =
            (0..signal.len() / 160 + 1).map(|n| n > 5 && random.u64(..100) < percent).collect();
        let ours = concealed(&signal, 8000, 160, |n| lost[n]);
        let (mut silence, mut repetition) = (signal.clone(), signal.clone());
        for n in (0..signal.len() / 160).filter(|&n| lost[n]) {
            silence[n * 160..][..160].fill(0);
            repetition.copy_within((n - 1) * 160..n * 160, n * 160);
        }
        let [ours, repetition, silence] =
            [&ours, &repetition, &silence].map(|out| measure(&signal, out, &lost));
        println!(
            "{percent} % lost: spectral distance {:.1} dB, repetition {:.1}, silence {:.1}; \
             signal to noise {:.1} dB, repetition {:.1}, silence {:.1}",
            ours.0, repetition.0, silence.0, ours.1, repetition.1, silence.1
        );
        // A repeated frame has as near a spectrum, but does not fit in time, as the ratio shows. Silence cannot be
        // wrong in time; its ratio is that of the speech that is left.
        assert!(ours.0 < repetition.0 + 0.5 && ours.0 < silence.0 - 5.0);
        assert!(ours.1 > repetition.1 + 1.5);
    }
}
