//! The figures of ITU-T Q.24, measured with signals made here from sines and seeded noise.

use std::f64::consts::TAU;
use std::time::Duration;

use super::ToneDetector;
use crate::codec::{Codec, Decoder, Encoder};
use crate::dtmf::{Key, KeyEvent};

const CHARS: &str = "123A456B789C*0#D";
const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Peak amplitude of a sine at a level in dBm0; 0 dBm0 is 22,826 (3.14 dB under full scale, ITU-T G.711).
fn amplitude(dbm0: f64) -> f64 {
    22_826.0 * 10f64.powf(dbm0 / 20.0)
}

/// How one key is made.
#[derive(Clone, Copy)]
struct Shape {
    milliseconds: f64,
    row_dbm0: f64,
    column_dbm0: f64,
    row_off: f64,
    column_off: f64,
}

const NOMINAL: Shape =
    Shape { milliseconds: 40.0, row_dbm0: -10.0, column_dbm0: -10.0, row_off: 0.0, column_off: 0.0 };

/// A signal being composed.
struct Signal {
    samples: Vec<f64>,
    random: fastrand::Rng,
}

impl Signal {
    fn new(seed: u64) -> Self {
        Self { samples: Vec::new(), random: fastrand::Rng::with_seed(seed) }
    }

    fn silence(&mut self, milliseconds: f64) {
        self.samples.resize(self.samples.len() + length(milliseconds), 0.0);
    }

    /// Switched on and off abruptly, with random phases.
    fn key(&mut self, char: char, shape: Shape) {
        let place = CHARS.find(char).unwrap();
        let row = ROWS[place / 4] * (1.0 + shape.row_off / 100.0);
        let column = COLUMNS[place % 4] * (1.0 + shape.column_off / 100.0);
        self.tones(
            &[(row, amplitude(shape.row_dbm0)), (column, amplitude(shape.column_dbm0))],
            shape.milliseconds,
        );
    }

    fn tones(&mut self, tones: &[(f64, f64)], milliseconds: f64) {
        let phases: Vec<f64> = tones.iter().map(|_| self.random.f64() * TAU).collect();
        for n in 0..length(milliseconds) {
            let sine = |((frequency, amplitude), phase): (&(f64, f64), &f64)| {
                amplitude * (TAU * frequency * n as f64 / 8000.0 + phase).sin()
            };
            self.samples.push(tones.iter().zip(&phases).map(sine).sum());
        }
    }

    /// White noise over everything, its power in the whole band given in dBm0 as a sine's would be.
    fn noise(&mut self, dbm0: f64) {
        let deviation = amplitude(dbm0) / 2f64.sqrt();
        for sample in &mut self.samples {
            let sum: f64 = (0..12).map(|_| self.random.f64()).sum();
            *sample += (sum - 6.0) * deviation;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
    fn linear(&self) -> Vec<i16> {
        self.samples.iter().map(|sample| sample.round() as i16).collect()
    }

    /// Everything heard, in packets of 20 ms, and what comes with 100 ms of silence after it.
    fn heard(&self) -> Vec<KeyEvent> {
        let mut samples = self.linear();
        samples.resize(samples.len() + 800, 0);
        let mut detector = ToneDetector::new();
        samples.chunks(160).flat_map(|packet| detector.push(packet)).collect()
    }

    /// The keys heard.
    fn keys(&self) -> String {
        keys(&self.heard())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths in tests are small and positive"
)]
fn length(milliseconds: f64) -> usize {
    (milliseconds * 8.0).round() as usize
}

/// The keys of starts, each of which must be followed by its end.
fn keys(told: &[KeyEvent]) -> String {
    told.chunks(2)
        .map(|pair| match pair {
            [KeyEvent::Start(start), KeyEvent::End { key, .. }] if start == key => key.as_char(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// All keys five times, each of one shape, with gaps that shift them against the blocks.
fn all_keys(shape: Shape, gap: f64, noise: Option<f64>, seed: u64) -> (String, String) {
    let mut signal = Signal::new(seed);
    let sent = CHARS.repeat(5);
    signal.silence(gap);
    for (n, char) in sent.chars().enumerate() {
        signal.key(char, shape);
        signal.silence(gap + (n % 34) as f64 / 8.0);
    }
    if let Some(noise) = noise {
        signal.noise(noise);
    }
    (sent, signal.keys())
}

fn check_all_heard(shape: Shape) {
    for seed in 0..4 {
        let (sent, heard) = all_keys(shape, 40.0, None, seed);
        assert_eq!(heard, sent, "seed {seed}");
    }
}

fn check_none_heard(shape: Shape) {
    for seed in 0..4 {
        assert_eq!(all_keys(shape, 40.0, None, seed).1, "", "seed {seed}");
    }
}

#[test]
fn every_key_of_40_ms_on_and_off_is_heard_once() {
    check_all_heard(NOMINAL);
}

#[test]
fn the_gap_between_two_presses_of_one_key_is_heard_down_to_30_ms() {
    let mut signal = Signal::new(1);
    for n in 0..68 {
        signal.key('5', NOMINAL);
        signal.silence(30.0 + n as f64 / 8.0);
    }
    assert_eq!(signal.keys(), "5".repeat(68));
}

#[test]
fn nothing_shorter_than_23_ms_is_a_key() {
    check_none_heard(Shape { milliseconds: 23.0, ..NOMINAL });
    check_none_heard(Shape { milliseconds: 10.0, ..NOMINAL });
    check_all_heard(Shape { milliseconds: 31.0, ..NOMINAL });
}

#[test]
fn frequencies_off_by_a_little_pass_and_by_more_do_not() {
    for (row_off, column_off) in [(1.5, 1.5), (-1.5, -1.5), (1.5, -1.5), (-1.5, 1.5), (1.5, 0.0), (0.0, -1.5)]
    {
        check_all_heard(Shape { row_off, column_off, ..NOMINAL });
    }
    for (row_off, column_off) in [(3.5, 0.0), (-3.5, 0.0), (0.0, 3.5), (0.0, -3.5), (3.5, 3.5), (-3.5, -3.5)]
    {
        check_none_heard(Shape { milliseconds: 100.0, row_off, column_off, ..NOMINAL });
    }
}

#[test]
fn twist_is_accepted_within_limits_and_refused_beyond() {
    check_all_heard(Shape { row_dbm0: -10.0, column_dbm0: -18.0, ..NOMINAL });
    check_all_heard(Shape { row_dbm0: -14.0, column_dbm0: -10.0, ..NOMINAL });
    check_none_heard(Shape { row_dbm0: -10.0, column_dbm0: -20.0, ..NOMINAL });
    check_none_heard(Shape { row_dbm0: -16.0, column_dbm0: -10.0, ..NOMINAL });
}

#[test]
fn keys_are_heard_through_noise_12_db_below() {
    // Two tones of −10 dBm0 make −7 dBm0. 1,040 keys.
    for seed in 0..13 {
        let (sent, heard) = all_keys(NOMINAL, 40.0, Some(-19.0), seed);
        assert_eq!(heard, sent, "seed {seed}");
    }
}

/// One line of the table: what is sent, what is asked, and of 1,040 presses how many are heard, and how many keys that
/// nobody pressed.
fn row(what: &str, least: usize, most: usize, shape: Shape, noise: Option<f64>) {
    let (mut sent, mut heard, mut wrong) = (0, 0, 0);
    for seed in 100..113 {
        let (keys, told) = all_keys(shape, 40.0, noise, seed);
        sent += keys.len();
        let mut rest = keys.chars();
        for key in told.chars() {
            if rest.any(|sent| sent == key) { heard += 1 } else { wrong += 1 }
        }
    }
    println!("| {what:<42} | {least:>4} – {most:<4} | {heard:>4} of {sent} | {wrong} |");
    assert!((least..=most).contains(&heard) && wrong == 0, "{what}: {heard} of {sent}, {wrong} wrong");
}

/// The figures to reach, as a table: `cargo test -p offhook-media the_table_of_keys -- --nocapture`.
#[test]
fn the_table_of_keys() {
    println!("| keys                                       | asked       | heard        | wrong |");
    row("40 ms on, 40 ms off", 1040, 1040, NOMINAL, None);
    row("23 ms on", 0, 0, Shape { milliseconds: 23.0, ..NOMINAL }, None);
    row("22 ms on", 0, 0, Shape { milliseconds: 22.0, ..NOMINAL }, None);
    for off in [1.5, -1.5] {
        let shape = Shape { row_off: off, column_off: off, ..NOMINAL };
        row(&format!("both tones off by {off:+} %"), 1040, 1040, shape, None);
        let shape = Shape { row_off: off, column_off: -off, ..NOMINAL };
        row(&format!("row off by {off:+} %, column by {:+} %", -off), 1040, 1040, shape, None);
    }
    for off in [3.5, -3.5] {
        for milliseconds in [40.0, 400.0] {
            let of = |row_off, column_off| Shape { milliseconds, row_off, column_off, ..NOMINAL };
            row(&format!("row off by {off:+} %, {milliseconds} ms"), 0, 0, of(off, 0.0), None);
            row(&format!("column off by {off:+} %, {milliseconds} ms"), 0, 0, of(0.0, off), None);
        }
    }
    let twisted = |row_dbm0, column_dbm0| Shape { row_dbm0, column_dbm0, ..NOMINAL };
    row("row 8 dB over column", 1040, 1040, twisted(-10.0, -18.0), None);
    row("column 4 dB over row", 1040, 1040, twisted(-14.0, -10.0), None);
    row("white noise 12 dB below", 1040, 1040, NOMINAL, Some(-19.0));
}

#[test]
fn keys_are_heard_at_all_levels_of_either_law() {
    for level in [-3.0, -6.0, -10.0, -20.0, -30.0, -36.0] {
        for codec in [Codec::Pcma, Codec::Pcmu] {
            let mut signal = Signal::new(3);
            for char in CHARS.chars() {
                signal.silence(40.0);
                signal.key(char, Shape { row_dbm0: level, column_dbm0: level, ..NOMINAL });
            }
            signal.silence(60.0);
            let (mut payload, mut line) = (Vec::new(), Vec::new());
            Encoder::new(codec).encode(&signal.linear(), &mut payload);
            Decoder::new(codec).decode(&payload, &mut line);
            let heard = ToneDetector::new().push(&line);
            assert_eq!(keys(&heard), CHARS, "{level} dBm0 {codec:?}");
        }
    }
    // RFC 4733 and Q.24 leave what is below −55 dBm0 to noise.
    check_none_heard(Shape { row_dbm0: -50.0, column_dbm0: -50.0, ..NOMINAL });
}

#[test]
fn a_dropout_of_10_ms_does_not_make_two_keys() {
    for at in 0..60 {
        let mut signal = Signal::new(at);
        signal.key('6', Shape { milliseconds: 100.0, ..NOMINAL });
        let from = length(10.0 + at as f64);
        signal.samples[from..from + 80].fill(0.0);
        assert_eq!(signal.keys(), "6", "dropout at {} ms", 10 + at);
    }
}

#[test]
fn an_end_tells_how_long_the_key_was_pressed() {
    for milliseconds in [40, 70, 100, 250, 1000] {
        let mut signal = Signal::new(milliseconds);
        signal.silence(13.0);
        signal.key('0', Shape { milliseconds: milliseconds as f64, ..NOMINAL });
        let Some(&KeyEvent::End { duration, .. }) = signal.heard().last() else { panic!("not heard") };
        assert!(
            duration.abs_diff(Duration::from_millis(milliseconds)) <= Duration::from_millis(5),
            "{duration:?}"
        );
    }
}

#[test]
fn a_key_follows_another_without_a_gap() {
    let mut signal = Signal::new(1);
    signal.key('1', NOMINAL);
    signal.key('D', NOMINAL);
    assert_eq!(signal.keys(), "1D");
}

#[test]
fn it_is_the_same_however_the_samples_are_cut() {
    let mut signal = Signal::new(1);
    for char in CHARS.chars() {
        signal.key(char, NOMINAL);
        signal.silence(45.0);
    }
    let samples = signal.linear();
    let mut detector = ToneDetector::new();
    let mut random = fastrand::Rng::with_seed(9);
    let (mut told, mut rest) = (Vec::new(), samples.as_slice());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.usize(..400).min(rest.len()));
        told.extend(detector.push(now));
        rest = later;
    }
    assert_eq!(told, ToneDetector::new().push(&samples));
    assert_eq!(keys(&told), CHARS);
}

#[test]
fn a_key_is_known_in_time_and_no_longer_than_it_lasts() {
    let mut signal = Signal::new(1);
    signal.silence(100.0);
    signal.key('3', Shape { milliseconds: 100.0, ..NOMINAL });
    signal.silence(100.0);
    let mut detector = ToneDetector::new();
    let known: Vec<bool> = signal
        .linear()
        .chunks(8)
        .map(|millisecond| {
            detector.push(millisecond);
            detector.is_key()
        })
        .collect();
    let latest = usize::try_from(crate::dtmf::tone::LATEST.as_millis()).unwrap();
    assert!(known[..100 + 23].iter().all(|key| !key), "nothing shorter than 23 ms is a key");
    assert!(known[100 + latest..200].iter().all(|&key| key));
    assert!(known[215..].iter().all(|key| !key));
}

/// Voiced sound: a pitch that glides, its harmonics shaped by three moving formants, with some breath; syllables and pauses.
fn speech(seconds: usize, seed: u64) -> Signal {
    let mut signal = Signal::new(seed);
    while signal.samples.len() < seconds * 8000 {
        let r = &mut signal.random;
        let (pitch, glide) = (80.0 + 240.0 * r.f64(), 1.0 + 0.4 * (r.f64() - 0.5));
        let mut formants = || [250.0 + 700.0 * r.f64(), 900.0 + 1500.0 * r.f64(), 2300.0 + 900.0 * r.f64()];
        let (from, to) = (formants(), formants());
        let width = 25.0 + 50.0 * r.f64();
        let (count, level) = (length(60.0 + 300.0 * r.f64()), amplitude(-25.0 + 20.0 * r.f64()));
        let mut phase = 0.0;
        for n in 0..count {
            let part = n as f64 / count as f64;
            let frequency = pitch * (1.0 + (glide - 1.0) * part);
            phase += TAU * frequency / 8000.0;
            let formant = |n: usize| from[n] + (to[n] - from[n]) * part;
            // A resonance of one pole pair, by its half bandwidth.
            let resonance = |f: f64, n: usize| 1.0 / (1.0 + ((f - formant(n)) / width).powi(2)).sqrt();
            let mut value = 0.3 * (signal.random.f64() - 0.5);
            let mut harmonic = 1.0;
            while harmonic * frequency < 3400.0 {
                let f = harmonic * frequency;
                let gain = resonance(f, 0) + 0.6 * resonance(f, 1) + 0.3 * resonance(f, 2);
                value += gain * (harmonic * phase).sin();
                harmonic += 1.0;
            }
            signal.samples.push(value * level * (part * TAU / 2.0).sin());
        }
        let pause = 20.0 + 150.0 * signal.random.f64();
        signal.silence(pause);
    }
    signal.noise(-55.0);
    signal
}

#[test]
fn speech_like_sounds_are_no_keys() {
    for seed in 0..6 {
        assert_eq!(speech(60, seed).keys(), "", "seed {seed}");
    }
}

#[test]
fn call_progress_and_single_tones_are_no_keys() {
    let mut signal = Signal::new(1);
    for tones in
        [&[350.0, 440.0][..], &[440.0, 480.0], &[480.0, 620.0], &[425.0], &[1400.0], &[2100.0], &[1100.0]]
    {
        let tones: Vec<(f64, f64)> = tones.iter().map(|&frequency| (frequency, amplitude(-10.0))).collect();
        signal.tones(&tones, 500.0);
        signal.silence(100.0);
    }
    for frequency in ROWS.into_iter().chain(COLUMNS) {
        signal.tones(&[(frequency, amplitude(-10.0))], 200.0);
        signal.silence(100.0);
    }
    assert_eq!(signal.keys(), "");
}

#[test]
fn a_key_with_a_third_tone_is_no_key() {
    let mut signal = Signal::new(1);
    for third in [440.0, 1050.0, 1950.0, 2600.0] {
        signal.tones(&[(697.0, 5000.0), (1209.0, 5000.0), (third, 5000.0)], 200.0);
        signal.silence(100.0);
    }
    assert_eq!(signal.keys(), "");
}

#[test]
fn noise_is_no_key() {
    for (seed, level) in [-40.0, -20.0, -6.0].into_iter().enumerate() {
        let mut signal = Signal::new(seed as u64);
        signal.silence(30_000.0);
        signal.noise(level);
        assert_eq!(signal.keys(), "");
    }
}

#[test]
fn our_own_keys_are_heard_and_our_beep_is_none() {
    let mut samples = Vec::new();
    let mut packet = [0; 160];
    for char in CHARS.chars() {
        let mut generator = crate::dtmf::generate::ToneGenerator::new(
            Key::from_char(char).unwrap(),
            Duration::from_millis(60),
            8000,
        );
        while generator.fill(&mut packet) > 0 {
            samples.extend_from_slice(&packet);
        }
        samples.resize(samples.len() + 400, 0);
    }
    let mut beep = crate::dtmf::generate::ToneGenerator::beep(8000);
    while beep.fill(&mut packet) > 0 {
        samples.extend_from_slice(&packet);
    }
    samples.resize(samples.len() + 800, 0);
    assert_eq!(keys(&ToneDetector::new().push(&samples)), CHARS);
}

/// An independent generator: the fixture is SoX's.
#[test]
fn the_keys_of_sox_are_heard() {
    let wav = include_bytes!("../../../../../fixtures/dtmf/keys.wav");
    let mut samples = Vec::new();
    Decoder::new(Codec::Pcmu).decode(&wav[58..], &mut samples);
    assert_eq!(keys(&ToneDetector::new().push(&samples)), CHARS);
}
