//! What the detectors heard, in the API's words.

use std::time::Duration;

use offhook_client::wire::{DetectCause, DetectKind, DetectResult};
use offhook_media::detect::amd::{Answerer, Reason};
use offhook_media::detect::beep::Beep;
use offhook_media::detect::fax::FaxTone;
use offhook_media::detect::progress::NetworkTone;
use offhook_media::detect::vad::TalkEvent;
use offhook_media::event::Detected;
use offhook_media::progress::Progress;

/// The fields of `on_detected` that what was heard decides.
pub(super) struct Heard {
    pub(super) kind: DetectKind,
    pub(super) result: DetectResult,
    pub(super) cause: Option<DetectCause>,
    pub(super) frequency_hz: Option<u32>,
    pub(super) duration: Option<Duration>,
    pub(super) reversals: Option<bool>,
}

/// What was heard.
pub(super) fn heard(detected: &Detected) -> Heard {
    let plain = |kind, result| Heard {
        kind,
        result,
        cause: None,
        frequency_hz: None,
        duration: None,
        reversals: None,
    };
    match *detected {
        Detected::Voice(TalkEvent::Started) => plain(DetectKind::Voice, DetectResult::Started),
        Detected::Voice(TalkEvent::Stopped { duration }) => {
            Heard { duration: Some(duration), ..plain(DetectKind::Voice, DetectResult::Stopped) }
        }
        Detected::Answerer(who, why) => {
            Heard { cause: Some(cause(why)), ..plain(DetectKind::Amd, answerer(who)) }
        }
        Detected::Beep(Beep { frequency, duration }) => Heard {
            frequency_hz: Some(hertz(frequency)),
            duration: Some(duration),
            ..plain(DetectKind::Beep, DetectResult::Beep)
        },
        Detected::Tone(tone) => plain(DetectKind::Tones, network(tone)),
        Detected::Fax(FaxTone::Cng) => plain(DetectKind::Fax, DetectResult::Cng),
        Detected::Fax(FaxTone::Ced { reversals }) => {
            Heard { reversals: Some(reversals), ..plain(DetectKind::Fax, DetectResult::Ced) }
        }
    }
}

fn answerer(who: Answerer) -> DetectResult {
    match who {
        Answerer::Human => DetectResult::Human,
        Answerer::Machine => DetectResult::Machine,
        Answerer::Unsure => DetectResult::Unsure,
    }
}

fn cause(why: Reason) -> DetectCause {
    match why {
        Reason::ShortGreeting => DetectCause::ShortGreeting,
        Reason::LongGreeting => DetectCause::LongGreeting,
        Reason::ManyWords => DetectCause::ManyWords,
        Reason::InitialSilence => DetectCause::InitialSilence,
        Reason::Tone => DetectCause::Tone,
        Reason::TooLong => DetectCause::TooLong,
    }
}

fn network(tone: NetworkTone) -> DetectResult {
    match tone {
        NetworkTone::Progress(Progress::Busy) => DetectResult::Busy,
        NetworkTone::Progress(Progress::Congestion) => DetectResult::Congestion,
        NetworkTone::Progress(Progress::RingBack) => DetectResult::Ringback,
        NetworkTone::Progress(Progress::Dial) => DetectResult::Dial,
        NetworkTone::SpecialInformation => DetectResult::Sit,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a frequency of the audio, a few thousand hertz"
)]
fn hertz(frequency: f32) -> u32 {
    frequency.round() as u32
}
