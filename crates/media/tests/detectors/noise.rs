//! Greetings and beeps with noise behind them, from the first moment of the call on, and noise by itself: who is said to have
//! answered, and which beeps are heard. The tables are printed:
//!
//! ```sh
//! cargo test --package offhook-media --test detectors noise -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use offhook_media::detect::amd::Answerer;
use offhook_media::detect::{Detected, Detectors, Kind};

use crate::amd::{MACHINES, PERSONS};
use crate::speech::{VOICES, scaled, speak};

/// What noises are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Noise {
    White,
    /// Falling by about 3 dB an octave.
    Pink,
    /// Falling by 6 dB an octave, and an engine of 90 and 180 Hz.
    Car,
    /// An engine by itself.
    Engine,
    /// 50, 150 and 250 Hz.
    Hum,
}

impl Noise {
    /// So many samples of it, their mean square 1.
    fn make(self, count: usize, random: &mut fastrand::Rng) -> Vec<f64> {
        let mut white = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let sines =
            |n: usize, hz: &[f64]| hz.iter().map(|hz| (TAU * hz * n as f64 / 8000.0).sin()).sum::<f64>();
        let engine = |n: usize| sines(n, &[90.0, 180.0]);
        let mut sums = [0.0; 3];
        let mut sum = 0.0;
        let mut next = |n: usize| match self {
            Self::White => white(),
            Self::Pink => {
                let white = white();
                for (sum, (leak, share)) in
                    sums.iter_mut().zip([(0.997_65, 0.099), (0.963, 0.2965), (0.57, 1.0527)])
                {
                    *sum = *sum * leak + white * share;
                }
                sums.iter().sum::<f64>() + white * 0.1848
            }
            Self::Car => {
                sum = 0.995 * sum + white();
                // The sum has a variance of 100.
                sum + 4.0 * engine(n)
            }
            Self::Engine => engine(n),
            Self::Hum => sines(n, &[50.0, 150.0, 250.0]),
        };
        let made: Vec<f64> = (0..count).map(&mut next).collect();
        let root = (made.iter().map(|value| value * value).sum::<f64>() / count as f64).sqrt();
        made.iter().map(|value| value / root).collect()
    }
}

/// What is said, without its pauses: the root of the mean square.
fn strength(speech: &[i16]) -> f64 {
    let loud =
        speech.iter().filter(|sample| sample.unsigned_abs() > 50).map(|&sample| f64::from(sample).powi(2));
    (loud.clone().sum::<f64>() / loud.count() as f64).sqrt()
}

/// `call` with noise under it from its first sample on.
#[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
fn over(call: &[i16], noise: Noise, root: f64, random: &mut fastrand::Rng) -> Vec<i16> {
    let made = noise.make(call.len(), random);
    call.iter().zip(made).map(|(&said, noise)| (f64::from(said) + noise * root).round() as i16).collect()
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

fn answerer(call: &[i16]) -> Answerer {
    match Detectors::new([Kind::Amd].into_iter().collect(), None).push(call)[..] {
        [Detected::Answerer(who, _)] => who,
        ref told => panic!("{told:?}"),
    }
}

/// How often each was told of what is said in noises of several strengths, in dB below the voice.
fn told(
    texts: &[&str],
    below: &[f64],
    before: usize,
    random: &mut fastrand::Rng,
) -> BTreeMap<String, [usize; 3]> {
    let mut table: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for (text, voice) in texts.iter().zip(VOICES) {
        let speech = scaled(&speak(voice, text), -4.0);
        let strength = strength(&speech);
        let call = [silence(before), speech, silence(7000)].concat();
        for noise in [Noise::White, Noise::Pink, Noise::Car] {
            for &below in below {
                let root = strength / 10f64.powf(below / 20.0);
                let place = match answerer(&over(&call, noise, root, random)) {
                    Answerer::Human => 0,
                    Answerer::Machine => 1,
                    Answerer::Unsure => 2,
                };
                table.entry(format!("{noise:?}, {below} dB below")).or_default()[place] += 1;
            }
        }
    }
    for (line, [human, machine, unsure]) in &table {
        println!("{line:<22} human {human:>2} machine {machine:>2} unsure {unsure:>2}");
    }
    table
}

fn sum(table: &BTreeMap<String, [usize; 3]>) -> [usize; 3] {
    table.values().fold([0; 3], |sum, row| std::array::from_fn(|n| sum[n] + row[n]))
}

/// 144 calls.
#[test]
fn machines_in_noise_are_no_persons() {
    let table = told(&MACHINES, &[25.0, 20.0, 15.0, 10.0], 600, &mut fastrand::Rng::with_seed(1));
    let [human, machine, unsure] = sum(&table);
    println!("of {}: {human} human, {machine} machine, {unsure} unsure", human + machine + unsure);
    assert!(human <= 1 && machine >= 137, "{table:#?}");
}

/// 108 calls.
#[test]
fn persons_in_noise_are_persons() {
    let table = told(&PERSONS, &[20.0, 12.0, 6.0], 800, &mut fastrand::Rng::with_seed(2));
    let [human, machine, unsure] = sum(&table);
    println!("of {}: {human} human, {machine} machine, {unsure} unsure", human + machine + unsure);
    // Beside what noise covers, at 6 dB.
    assert!(human >= 103 && machine == 0, "{table:#?}");
}

/// At whatever level, and whenever it begins.
#[test]
fn noise_is_nobody() {
    let mut random = fastrand::Rng::with_seed(3);
    for noise in [Noise::White, Noise::Pink, Noise::Car, Noise::Engine, Noise::Hum] {
        for root in [30.0, 100.0, 300.0, 1000.0, 3000.0] {
            for begins in [0, 290, 1005] {
                let call = [silence(begins), over(&silence(7000), noise, root, &mut random)].concat();
                assert_eq!(answerer(&call), Answerer::Unsure, "{noise:?}, {root}, from {begins} ms on");
            }
        }
    }
}

/// All down to 6 dB over white noise. Pink noise has tones by chance, above all where the low ones of a beep are: the table shows it.
#[test]
fn beeps_are_heard_in_noise() {
    let mut random = fastrand::Rng::with_seed(4);
    let speech = scaled(&speak(VOICES[0], "Please leave a message."), -4.0);
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for hz in [440.0, 850.0, 1000.0, 1400.0, 2000.0] {
        for ms in [200, 500] {
            #[expect(clippy::cast_possible_truncation, reason = "4,000 at most")]
            let sample = |n: i32| (4000.0 * (TAU * hz * f64::from(n) / 8000.0).sin()).round() as i16;
            let beep: Vec<i16> = (0..ms * 8).map(sample).collect();
            let call = [silence(300), speech.clone(), silence(1300), beep, silence(1500)].concat();
            for noise in [Noise::White, Noise::Pink] {
                for below in [20.0, 15.0, 12.0, 10.0, 8.0, 6.0] {
                    let root = 4000.0 / 2f64.sqrt() / 10f64.powf(below / 20.0);
                    let heard = over(&call, noise, root, &mut random);
                    let told = Detectors::new([Kind::Beep].into_iter().collect(), None).push(&heard);
                    let row = missed.entry(format!("{noise:?}, {below:>2} dB below")).or_default();
                    if !matches!(told[..], [Detected::Beep(beep)] if (f64::from(beep.frequency) - hz).abs() < 10.0)
                    {
                        row.push(format!("{hz} Hz, {ms} ms: {told:?}"));
                    }
                }
            }
        }
    }
    for (line, missed) in &missed {
        println!("{line}: {} of 10 beeps", 10 - missed.len());
    }
    let white = missed.iter().filter(|(line, _)| line.starts_with("White"));
    assert!(white.clone().count() == 6 && white.clone().all(|(_, missed)| missed.is_empty()), "{missed:#?}");
    assert!(missed["Pink, 20 dB below"].is_empty(), "{missed:#?}");
}
