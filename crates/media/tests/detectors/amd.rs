//! Who answered: greetings of persons and of machines, spoken by several voices over lines of several qualities, and what
//! the detector makes of them. The table is printed:
//!
//! ```sh
//! cargo test --package offhook-media --test detectors amd -- --nocapture
//! ```

use std::collections::BTreeMap;

use offhook_media::detect::amd::{Answerer, Reason};
use offhook_media::detect::{Detected, Detectors, Kind};

use crate::speech::{VOICES, Voice, scaled, speak};

/// What persons say who answer a telephone.
pub(crate) const PERSONS: [&str; 12] = [
    "Hello?",
    "Hello.",
    "Yes?",
    "Hi, this is Anna.",
    "Smith speaking.",
    "Good morning.",
    "Hello, who is there?",
    "Allô?",
    "Müller.",
    "Pronto?",
    "Diga.",
    "Hello, Johnson residence.",
];

/// What their machines say.
pub(crate) const MACHINES: [&str; 12] = [
    "You have reached the voice mailbox of 555 0123. Please leave a message after the tone.",
    "Hi, this is Anna. I cannot take your call at the moment. Please leave a message after the beep.",
    "The person you are calling is not available. Please try again later, or leave a message.",
    "Welcome to Smith and Sons. All our agents are busy. Please hold the line.",
    "Thank you for calling. Our office hours are from nine to five. Please call again.",
    "Guten Tag, hier ist der Anschluss von Familie Müller. Wir sind gerade nicht zu Hause. Bitte sprechen Sie nach dem Ton.",
    "Bonjour, vous êtes bien chez Pierre. Je ne suis pas là. Laissez-moi un message après le bip.",
    "Hola, en este momento no podemos atenderle. Deje su mensaje después de la señal.",
    "The number you have dialled is not in service. Please check the number and dial again.",
    "Your call has been forwarded to an automatic voice message system.",
    "This is the answering machine of Doctor Brown. In an emergency please dial one one two.",
    "Hello, you know what to do, so please do it after the beep and I will call you back.",
];

/// Persons who say much, and machines that say little: no rhythm tells these apart, and their rows only show it.
const FIRMS: [&str; 4] = [
    "Good afternoon, Smith and Sons, Anna speaking, how can I help you?",
    "Praxis Doktor Weber, guten Tag, Sie sprechen mit Frau Klein, was kann ich für Sie tun?",
    "Customer service, my name is Peter, may I have your customer number please?",
    "City library, good morning, you are speaking with Maria.",
];
const TERSE: [&str; 4] = ["Leave a message.", "Mailbox.", "Please record your message.", "No one is home."];

/// A line: its noise in dBm0, and how much softer the voice is.
const LINES: [(f64, f64); 3] = [(-65.0, 0.0), (-50.0, -8.0), (-42.0, 0.0)];

/// White noise added to samples, its level as that of a sine.
#[expect(clippy::cast_possible_truncation, reason = "a float clips to the range")]
pub(crate) fn noisy(samples: &[i16], dbm0: f64, random: &mut fastrand::Rng) -> Vec<i16> {
    let deviation = 22_826.0 * 10f64.powf(dbm0 / 20.0) / 2f64.sqrt();
    let mut noise = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    samples.iter().map(|&sample| (f64::from(sample) + noise() * deviation).round() as i16).collect()
}

/// Who is said to have answered: silence before the greeting, the greeting, and silence after it.
fn answered(greeting: &[i16], line: (f64, f64), random: &mut fastrand::Rng) -> (Answerer, Reason) {
    let (noise, softer) = line;
    let mut call = vec![0; 8 * random.usize(100..1200)];
    // espeak-ng speaks at −16 dBm0, telephones bring −20.
    call.extend(scaled(greeting, -4.0 + softer));
    call.extend([0; 8000 * 7]);
    let mut detectors = Detectors::new([Kind::Amd].into_iter().collect(), None);
    match detectors.push(&noisy(&call, noise, random))[..] {
        [Detected::Answerer(who, why)] => (who, why),
        ref told => panic!("{told:?}"),
    }
}

/// Counts of what was told, by what it was.
fn confusion(voices: &[Voice], random: &mut fastrand::Rng) -> BTreeMap<(&'static str, String), usize> {
    let mut table = BTreeMap::new();
    let groups = [
        ("human", &PERSONS[..]),
        ("machine", &MACHINES),
        ("human of a firm", &FIRMS),
        ("terse machine", &TERSE),
    ];
    for (who, texts) in groups {
        for text in texts {
            for &voice in voices {
                let greeting = speak(voice, text);
                for line in LINES {
                    let (told, why) = answered(&greeting, line, random);
                    *table.entry((who, format!("{told:?} ({why:?})"))).or_default() += 1;
                }
            }
        }
    }
    table
}

fn judge(voices: &[Voice]) {
    let table = confusion(voices, &mut fastrand::Rng::with_seed(1));
    for ((who, told), count) in &table {
        println!("{who:<15} told as {told:<28} {count:>4}");
    }
    let share = |who: &str, told: &str| {
        let of_who = table.iter().filter(|((is, _), _)| *is == who);
        let (mut right, mut all) = (0, 0);
        for ((_, answer), count) in of_who {
            all += count;
            right += if answer.starts_with(told) { *count } else { 0 };
        }
        right as f64 / all as f64
    };
    let (human, machine) = (share("human", "Human"), share("machine", "Machine"));
    println!("persons {:.1} %, machines {:.1} % right", human * 100.0, machine * 100.0);
    assert!(human >= 0.95 && machine >= 0.95);
    // A person taken for a machine is hung up on: the worse mistake.
    assert!(share("human", "Machine") <= 0.03);
}

#[test]
fn persons_and_machines_are_told_apart() {
    judge(&VOICES[..4]);
}

#[test]
#[ignore = "a minute of CPU time: cargo test --package offhook-media --test detectors in_every_voice -- --ignored --nocapture"]
fn persons_and_machines_are_told_apart_in_every_voice() {
    judge(&VOICES);
}
