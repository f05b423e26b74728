//! What the detectors cost, in CPU time per 20 ms of speech: a table that is printed, and one bound.
//!
//! ```sh
//! cargo test --release --package offhook-media --test detectors cost -- --ignored --nocapture
//! ```

use std::time::{Duration, Instant};

use offhook_media::detect::{Detectors, Kind, Kinds};
use offhook_media::dtmf::tone::ToneDetector;

use crate::speech::{VOICES, speak};

/// The least time of many rounds over the same speech, per 20 ms.
#[allow(
    clippy::disallowed_methods,
    reason = "this measures time, and nothing depends on it but what is printed"
)]
fn per_frame(samples: &[i16], mut round: impl FnMut(&[i16])) -> Duration {
    let frames = u32::try_from(samples.len() / 160).expect("a few seconds");
    let rounds = (0..20).map(|_| {
        let begin = Instant::now();
        samples.chunks_exact(160).for_each(&mut round);
        begin.elapsed()
    });
    rounds.min().expect("there are rounds") / frames
}

#[test]
#[ignore = "a measurement on a quiet machine: cargo test --release --package offhook-media --test detectors cost -- --ignored --nocapture"]
fn what_20_ms_cost() {
    let speech = speak(VOICES[0], "The quick brown fox jumps over the lazy dog, and says so at some length.");
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<i16> = speech.iter().map(|_| random.i16(-6000..6000)).collect();
    let cost = |push: &mut dyn FnMut(&[i16])| [&speech, &noise].map(|samples| per_frame(samples, &mut *push));
    println!("{:<6} {:>9} {:>9}", "", "speech", "noise");
    let mut tone = ToneDetector::new();
    let keys = cost(&mut |frame| drop(tone.push(frame)));
    println!("{:<6} {:>9?} {:>9?}", "keys", keys[0], keys[1]);
    let kinds = Kind::ALL.map(|kind| (kind.name(), [kind].into_iter().collect::<Kinds>()));
    let all = ("all", Kind::ALL.into_iter().collect::<Kinds>());
    for (name, kinds) in kinds.into_iter().chain([all]) {
        let mut detectors = Detectors::new(kinds, None);
        let [speech, noise] = cost(&mut |frame| drop(detectors.push(frame)));
        println!("{name:<6} {speech:>9?} {noise:>9?}");
    }
    assert!(keys.iter().all(|&keys| keys < Duration::from_nanos(1600)), "{keys:?}");
}
