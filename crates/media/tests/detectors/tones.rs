//! What tones are taken for: a labelled set of those that a call may bring, over lines of several qualities, and what each
//! detector says to each. A tone is nobody who speaks, and a beep is a beep and nothing else. The table is printed:
//!
//! ```sh
//! cargo test --package offhook-media --test detectors tones -- --nocapture
//! ```

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use offhook_media::detect::amd::{Answerer, Reason};
use offhook_media::detect::beep::Beep;
use offhook_media::detect::fax::FaxTone;
use offhook_media::detect::progress::NetworkTone;
use offhook_media::detect::vad::TalkEvent;
use offhook_media::detect::{Detected, Detectors, Kind, Kinds};
use offhook_media::progress::{Country, Progress, ProgressTone};

use crate::amd::noisy;
use crate::speech::{VOICES, scaled, speak};

/// Lines: how loud the tone is, and how loud the noise, in dBm0.
const LINES: [(f64, f64); 4] = [(-12.0, -65.0), (-12.0, -45.0), (-25.0, -65.0), (-25.0, -50.0)];

/// Milliseconds of samples.
fn samples_in(ms: usize) -> usize {
    ms * 8
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; samples_in(ms)]
}

/// Sines together, each of −12 dBm0; the phase of all turns over each so many milliseconds, if at all.
#[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
fn sines(frequencies: &[f64], ms: usize, turns_ms: Option<usize>) -> Vec<i16> {
    let peak = 22_826.0 * 10f64.powf(-12.0 / 20.0);
    let sample = |n: usize| {
        let sign = if turns_ms.is_some_and(|turns| n / samples_in(turns) % 2 == 1) { -1.0 } else { 1.0 };
        let sum: f64 = frequencies.iter().map(|hz| (TAU * hz * n as f64 / 8000.0).sin()).sum();
        (sign * peak * sum).round() as i16
    };
    (0..samples_in(ms)).map(sample).collect()
}

fn progress(country: Country, progress: Progress) -> Vec<i16> {
    let mut samples = silence(12_000);
    ProgressTone::new(country, progress, 8000).fill(&mut samples);
    samples
}

/// A tone by what it is, and its samples.
type Labelled = (String, Vec<i16>);

/// What no person and no machine of theirs says: tones of networks, of fax machines and of modems.
fn tones() -> Vec<Labelled> {
    let mut set = Vec::new();
    for country in Country::all() {
        for tone in [Progress::Dial, Progress::RingBack, Progress::Busy, Progress::Congestion] {
            set.push((format!("{tone:?}"), progress(country, tone)));
        }
    }
    // ITU-T E.180 §7, and as North America has it.
    for three in [[950.0, 1400.0, 1800.0], [913.8, 1370.6, 1776.7], [985.2, 1428.5, 1776.7]] {
        set.push(("special information".into(), three.map(|hz| sines(&[hz], 330, None)).concat()));
    }
    // T.30 §4.3.3.1.2: 0.5 s and 3 s, each ± 15 %, 1100 ± 38 Hz.
    for (hz, on, off) in [(1062.0, 425, 2550), (1100.0, 500, 3000), (1138.0, 575, 3450)] {
        set.push(("CNG".into(), [sines(&[hz], on, None), silence(off)].concat().repeat(3)));
    }
    // T.30 §4.3.3.1.1: 2100 ± 15 Hz for 2.6 to 4 s; V.25: turning over each 450 ± 25 ms; V.8: modulated by 15 Hz.
    for hz in [2085.0, 2100.0, 2115.0] {
        for ms in [2600, 3300, 4000] {
            set.push(("CED".into(), sines(&[hz], ms, None)));
            set.push(("CED, turning".into(), sines(&[hz], ms, Some(450))));
            set.push(("CED, turning".into(), sines(&[hz], ms, Some(425))));
        }
    }
    set
}

/// Everything that is told, by kind.
fn told(samples: &[i16], (level, noise): (f64, f64), random: &mut fastrand::Rng) -> Vec<Detected> {
    let call = [silence(random.usize(200..900)), scaled(samples, level + 12.0), silence(4000)].concat();
    let all: Kinds = Kind::ALL.into_iter().collect();
    Detectors::new(all, None).push(&noisy(&call, noise, random))
}

/// A word for it.
fn word(detected: &Detected) -> String {
    match detected {
        Detected::Voice(_) => "voice".into(),
        Detected::Answerer(who, why) => format!("{who:?} ({why:?})"),
        Detected::Beep(_) => "beep".into(),
        Detected::Tone(NetworkTone::Progress(tone)) => format!("{tone:?}"),
        Detected::Tone(NetworkTone::SpecialInformation) => "special information".into(),
        Detected::Fax(FaxTone::Cng) => "CNG".into(),
        Detected::Fax(FaxTone::Ced { reversals: false }) => "CED".into(),
        Detected::Fax(FaxTone::Ced { reversals: true }) => "CED, turning".into(),
    }
}

/// What a tone may be told as, beside its own name.
fn is_right(label: &str, told: &str) -> bool {
    let is_same = match label {
        // Without a country busy and congestion cannot be told apart, and some dial tones are cadences of busy.
        "Busy" | "Congestion" | "Dial" => ["Busy", "Congestion", "Dial"].contains(&told),
        label => label == told,
    };
    is_same || told == "Unsure (Tone)"
}

#[test]
fn tones_are_nobody_who_speaks() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut table: BTreeMap<String, (usize, BTreeMap<String, usize>)> = BTreeMap::new();
    let (mut wrong, mut missed) = (Vec::new(), Vec::new());
    for (label, samples) in tones() {
        for line in LINES {
            let told = told(&samples, line, &mut random);
            let row = table.entry(label.clone()).or_default();
            row.0 += 1;
            for word in told.iter().map(word) {
                if !is_right(&label, &word) {
                    wrong.push(format!("{label} over {line:?}: {word}"));
                }
                *row.1.entry(word).or_default() += 1;
            }
            if !told.iter().any(|told| matches!(told, Detected::Answerer(Answerer::Unsure, Reason::Tone))) {
                missed.push(format!("{label} over {line:?}: {told:?}"));
            }
        }
    }
    for (label, (count, told)) in &table {
        println!("{count:>4} of {label:<20} told as {told:?}");
    }
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), wrong);
    assert!(missed.is_empty(), "{} missed: {:#?}", missed.len(), missed);
}

/// A greeting, and a beep of a voice mailbox after it: of five frequencies and four lengths, that of CNG among them.
#[test]
fn tones_of_mailboxes_are_beeps_and_no_talk() {
    let mut random = fastrand::Rng::with_seed(8);
    let greeting = scaled(&speak(VOICES[1], "Please leave a message after the tone."), -4.0);
    let mut figures: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for hz in [440.0, 800.0, 1000.0, 1100.0, 2000.0] {
        for ms in [100, 250, 500, 1000] {
            // Below 700 Hz networks have their tones: one of a second is ring-back.
            let is_beep = hz > 700.0 || ms < 700;
            for (level, noise) in LINES {
                let beep = scaled(&sines(&[hz], ms, None), level + 12.0);
                let call = [greeting.clone(), silence(1300), beep, silence(1500)].concat();
                let kinds = [Kind::Beep, Kind::Voice].into_iter().collect();
                let told = Detectors::new(kinds, None).push(&noisy(&call, noise, &mut random));
                let beeps: Vec<Beep> = told
                    .iter()
                    .filter_map(|told| if let Detected::Beep(beep) = told { Some(*beep) } else { None })
                    .collect();
                // Whoever spoke before the beep has stopped by then, and nobody speaks after it.
                let begin = call.len() - samples_in(1300 + ms + 1500) + samples_in(800);
                let heard = noisy(&call, noise, &mut random);
                let mut talk = Detectors::new([Kind::Voice].into_iter().collect(), None);
                talk.push(&heard[..begin]);
                let after = talk.push(&heard[begin..]);
                let right = match beeps[..] {
                    [beep] => is_beep && (f64::from(beep.frequency) - hz).abs() < 15.0,
                    [] => !is_beep,
                    _ => false,
                };
                let key = if is_beep { "beep" } else { "low and long" };
                *figures
                    .entry(format!("{key} told as {} beeps, {} talks", beeps.len(), after.len()))
                    .or_default() += 1;
                if !right || !after.is_empty() {
                    wrong.push(format!("{hz} Hz, {ms} ms, {level} over {noise}: {beeps:?} {after:?}"));
                }
            }
        }
    }
    println!("{figures:#?}");
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), wrong);
}

/// What is said is talk in every voice, from its beginning on: nobody is taken for a tone.
#[test]
fn what_is_said_is_talk() {
    for voice in VOICES {
        let speech = scaled(&speak(voice, "Hello, this is Anna speaking, how are you today?"), -4.0);
        let is_loud = |step: &[i16]| step.iter().any(|&sample| sample.unsigned_abs() > 1000);
        let begin = speech.chunks(160).position(is_loud).expect("somebody speaks");
        let end = speech.chunks(160).rposition(is_loud).expect("somebody speaks");
        let call = [speech, silence(1000)].concat();
        let mut detectors = Detectors::new([Kind::Voice].into_iter().collect(), None);
        let mut started = None;
        let mut talk = std::time::Duration::ZERO;
        for (at, step) in call.chunks(160).enumerate() {
            for told in detectors.push(step) {
                match told {
                    Detected::Voice(TalkEvent::Started) => started = started.or(Some(at)),
                    Detected::Voice(TalkEvent::Stopped { duration }) => talk += duration,
                    other => panic!("{other:?}"),
                }
            }
        }
        let late = started.map(|at| at.saturating_sub(begin));
        assert!(late.is_some_and(|steps| steps <= 8), "{}: {late:?} steps late", voice.name);
        let share = talk.as_millis() as f64 / 20.0 / (end + 1 - begin) as f64;
        assert!((0.85..1.15).contains(&share), "{}: {share:.2} of what was said", voice.name);
    }
}
