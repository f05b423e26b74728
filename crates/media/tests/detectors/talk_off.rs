//! Talk-off: speech that is taken for a key, or for a tone. None is.

use offhook_media::detect::{Detected, Detectors, Kind};
use offhook_media::dtmf::KeyEvent;
use offhook_media::dtmf::keyed::Keyed;
use offhook_media::dtmf::mute::Mute;
use offhook_media::dtmf::tone::ToneDetector;

use crate::speech::{VOICES, Voice, speak};

/// What callers say, in the languages of [`VOICES`], and some of what a menu says; each voice says it all.
const TEXT: &str = "Hello, this is Anna speaking. I would like to talk to somebody about my bill, please. \
    Bonjour, je voudrais parler à quelqu'un du service clients. Guten Tag, ich hätte gern eine Auskunft. \
    Buenos días, quisiera hablar con un agente. Pronto, chi parla? Goedemorgen, u spreekt met Jan. \
    Dzień dobry, w czym mogę pomóc? Olá, gostaria de falar com um atendente. Mi mi mi, la la la, no no no, oh, hm, yeah. \
    My number is 0 1 2 3 4 5 6 7 8 9, and the other one is 555 123 4567, extension 89.";

/// Seconds that were heard, and the keys and tones that were heard in them.
fn listen(voice: Voice, text: &str) -> (usize, String, Vec<Detected>) {
    let samples = speak(voice, text);
    let kinds = [Kind::Beep, Kind::Tones, Kind::Fax].into_iter().collect();
    let tones = Detectors::new(kinds, None).push(&samples);
    let mut detector = ToneDetector::new();
    let events = samples.chunks(160).flat_map(|frame| detector.push(frame));
    let keys = events.filter_map(|event| match event {
        KeyEvent::Start(key) => Some(key.as_char()),
        KeyEvent::End { .. } => None,
    });
    let keys = keys.collect();
    (samples.len() / 8000, keys, tones)
}

#[test]
fn nobody_dials_by_speaking() {
    let mut seconds = 0;
    for voice in VOICES {
        let (heard, keys, tones) = listen(voice, TEXT);
        assert_eq!((keys.as_str(), tones.as_slice()), ("", &[][..]), "{}", voice.name);
        seconds += heard;
    }
    println!("no key in {} minutes of speech", seconds / 60);
    assert!(seconds > 600, "{seconds} s");
}

/// The documents of this tree, read by every voice, high and low: 27 hours.
#[test]
#[ignore = "five minutes of CPU time: cargo test --package offhook-media --test detectors hours -- --ignored --nocapture"]
fn nobody_dials_by_speaking_for_hours() {
    let texts = [
        include_str!("../../../../README.md"),
        include_str!("../../../../CONTRIBUTING.md"),
        include_str!("../../../../CHANGELOG.md"),
        include_str!("../../../sip/README.md"),
        TEXT,
    ];
    let text = texts.join("\n");
    let (mut seconds, mut keys, mut tones) = (0, String::new(), Vec::new());
    for voice in VOICES {
        for pitch in [voice.pitch, (voice.pitch + 35) % 100] {
            let (heard, wrong, detected) = listen(Voice { pitch, ..voice }, &text);
            println!("{:<9} {pitch:>2} {:>4} min: {wrong:?} {detected:?}", voice.name, heard / 60);
            seconds += heard;
            keys += &wrong;
            tones.extend(detected);
        }
    }
    println!("{} keys and {} tones in {} minutes of speech", keys.len(), tones.len(), seconds / 60);
    assert_eq!((keys.as_str(), tones.as_slice()), ("", &[][..]));
}

/// Where keys are kept from the other party, speech passes as it was: every frame that differs would be one that was taken
/// for a part of a key.
#[test]
fn nothing_that_is_said_is_muted() {
    let (mut frames, mut muted) = (0, 0);
    for voice in VOICES {
        let samples = speak(voice, TEXT);
        let (mut detector, mut mute) = (ToneDetector::new(), Mute::default());
        let out: Vec<Vec<i16>> = samples
            .chunks_exact(160)
            .map(|samples| {
                detector.push(samples);
                let mut frame = samples.to_vec();
                mute.push(&mut frame, true, detector.is_key().then(Keyed::by_tone).as_ref());
                frame
            })
            .collect();
        let differ = samples.chunks_exact(160).zip(&out[2..]).filter(|(said, heard)| said != heard);
        muted += differ.count();
        frames += out.len();
    }
    println!("{muted} of {frames} frames of speech muted");
    assert!(muted == 0 && frames > 30_000, "{muted} of {frames}");
}
