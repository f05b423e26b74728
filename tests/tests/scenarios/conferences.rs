//! Conferences of real telephones: everybody hears the others and not itself, and who is kicked hears nobody.

use std::time::Duration;

use offhook_client::wire::{self, EventKind};
use offhook_tests::app::App;
use offhook_tests::baresip::Baresip;
use offhook_tests::caller::Caller;
use offhook_tests::dir::TestDir;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::{RATE, Signal};

/// What each telephone says: none is a harmonic of another, nor a part of a key.
const TONES: [f32; 3] = [430.0, 1010.0, 1870.0];
/// How loud, of full scale.
const LEVEL: f32 = 0.2;

/// A telephone in a call of its own.
struct Phone {
    baresip: Baresip,
    res_id: String,
}

/// Three telephones whose calls are Idle, each with its own tone.
async fn phones(server: &Server, app: &mut App, dir: &TestDir) -> Vec<Phone> {
    let mut phones = Vec::new();
    for tone in TONES {
        let voice = dir.folder("voices").join(format!("{tone}.wav"));
        Signal::sine(tone, LEVEL, 30_000).write(&voice);
        let mut baresip = Baresip::start(&voice, dir).await;
        let uri = format!("sip:room@{}", server.sip());
        let (res_id, ()) = tokio::join!(app.answer(), baresip.call(&uri));
        phones.push(Phone { baresip, res_id });
    }
    phones
}

/// The level of a tone in dB of full scale (Goertzel's algorithm).
fn level_of(tone: f32, samples: &[f32]) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "seconds of 8 kHz")]
    let (rate, count) = (RATE as f32, samples.len() as f32);
    let coefficient = 2.0 * (std::f32::consts::TAU * tone / rate).cos();
    let (mut last, mut before) = (0.0_f64, 0.0_f64);
    for sample in samples {
        (last, before) = (f64::from(*sample) + f64::from(coefficient) * last - before, last);
    }
    let power = last * last + before * before - f64::from(coefficient) * last * before;
    #[allow(clippy::cast_possible_truncation, reason = "a level")]
    let amplitude = (power.sqrt() * 2.0 / f64::from(count)) as f32;
    20.0 * amplitude.log10()
}

/// Where the tone is as loud as it was said, and where it is not there at all: in the middle of tenths of a second, since a
/// telephone whose clock is kept waiting lets its phase jump.
fn is_heard(tone: f32, samples: &[f32]) -> bool {
    let mut levels: Vec<f32> =
        samples.chunks_exact(RATE as usize / 10).map(|tenth| level_of(tone, tenth)).collect();
    levels.sort_by(f32::total_cmp);
    let level = levels[levels.len() / 2] - 20.0 * LEVEL.log10();
    assert!(!(-40.0..=-3.0).contains(&level), "{tone} Hz at {level} dB is neither there nor away");
    level > -3.0
}

async fn enter(app: &App, call: &str, conference: &str) {
    let (res_id, conf_res_id) = (call.to_owned(), conference.to_owned());
    let enter = wire::ConfEnter { res_id, conf_res_id, max_seconds: 60, ..Default::default() };
    app.client.call(&enter).await.expect("a member");
}

async fn left(app: &mut App, call: &str) -> Option<(String, Option<u16>)> {
    let pick = |kind: &EventKind| match kind {
        EventKind::ConfCompleted(event) if event.res_id == call => Some(event.error.clone()),
        _ => None,
    };
    let error = app.event("on_conf_completed", PATIENCE, pick).await;
    error.map(|error| (error.code, error.sip_status))
}

async fn recorded(app: &mut App, conference: &str) -> wire::OnConferenceRecordCompleted {
    let pick = |kind: &EventKind| match kind {
        EventKind::ConferenceRecordCompleted(event) if event.res_id == conference => Some(event.clone()),
        _ => None,
    };
    app.event("on_record_completed of the conference", PATIENCE, pick).await
}

async fn released(app: &mut App, conference: &str) {
    let pick = |kind: &EventKind| match kind {
        EventKind::ConferenceReleased(event) if event.res_id == conference => Some(()),
        _ => None,
    };
    app.event("on_released of the conference", PATIENCE, pick).await;
}

/// `call-api.md` §5: every member hears all others but never itself; a kick ends the stay of one with its cause, and the call
/// goes on; when one is left the conference is over, its `on_released` last. The recording has them all.
#[tokio::test]
async fn three_telephones_hear_each_other_and_nobody_itself() {
    let server = Server::start("conference").await;
    let dir = TestDir::new("conference-phones");
    let mut app = App::connect(&server).await;
    let mut phones = phones(&server, &mut app, &dir).await;
    let (record_file, record_format) = (Some("conferences/all.wav".to_owned()), 7);
    let construct =
        wire::ConfConstruct { max_seconds: 120, record_file, record_format, ..Default::default() };
    let conference = app.client.call(&construct).await.expect("a conference").res_id;
    for phone in &phones {
        enter(&app, &phone.res_id, &conference).await;
    }
    let parts = app.client.call(&wire::GetParts { res_id: conference.clone() }).await.expect("its members");
    let calls: Vec<&str> = parts.iter().map(|part| part.res_id.as_str()).collect();
    assert_eq!(calls, phones.iter().map(|phone| phone.res_id.as_str()).collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_secs(3)).await;

    let kicked = phones[2].res_id.clone();
    let (res_id, call_res_id) = (conference.clone(), kicked.clone());
    app.client.call(&wire::Kick { res_id, call_res_id, cause: 486 }).await.expect("a kick");
    assert_eq!(left(&mut app, &kicked).await, Some(("kicked".to_owned(), Some(486))));
    app.client.nop(&kicked).await.expect("its call goes on");
    tokio::time::sleep(Duration::from_secs(3)).await;

    let (res_id, conf_res_id) = (phones[0].res_id.clone(), conference.clone());
    app.client.call(&wire::ConfExit { res_id, conf_res_id }).await.expect("an exit");
    let first = phones[0].res_id.clone();
    assert_eq!(left(&mut app, &first).await, None);
    let second = phones[1].res_id.clone();
    assert_eq!(left(&mut app, &second).await, Some(("conf_released".to_owned(), None)));
    let recorded = recorded(&mut app, &conference).await;
    assert_eq!(recorded.error.map(|error| error.code).as_deref(), Some("conf_released"));
    released(&mut app, &conference).await;
    // It began when all were in, or a moment before.
    let mix = Signal::read(&server.recording(&recorded.record_file));
    assert!(mix.milliseconds().abs_diff(recorded.duration_ms) < 20, "{} ms", mix.milliseconds());
    let second = RATE as usize;
    let (early, late) =
        (&mix.0[2 * second..3 * second], &mix.0[mix.0.len() - 2 * second..mix.0.len() - second]);
    for (phone, tone) in TONES.into_iter().enumerate() {
        assert!(is_heard(tone, early), "{tone} Hz in the recording");
        assert_eq!(is_heard(tone, late), phone < 2, "{tone} Hz in the recording after the kick");
    }

    for phone in &mut phones {
        phone.baresip.hang_up().await;
        app.released(&phone.res_id).await;
        phone.baresip.said("terminated").await;
    }
    let talked = app.history().iter().filter(|event| matches!(event.kind, EventKind::Talking(_))).count();
    assert!(talked >= 3, "on_talking came {talked} times");
    for (own, phone) in phones.iter().enumerate() {
        let heard = Signal::read(&phone.baresip.heard().expect("something was heard")).0;
        // The first second after all had come in, and the second after the kick, by what is heard: nothing comes before.
        let early = &heard[second..2 * second];
        for (other, tone) in TONES.into_iter().enumerate() {
            assert_eq!(is_heard(tone, early), other != own, "{tone} Hz at telephone {own}");
        }
        if own < 2 {
            let late = &heard[heard.len() - 2 * second..heard.len() - second];
            for (other, tone) in TONES.into_iter().enumerate() {
                assert_eq!(is_heard(tone, late), other == 1 - own, "{tone} Hz at {own} after the kick");
            }
        }
    }
    app.check_order();
}

/// `call-api.md` §5: a background under the talk at the configured level, and prompts to all over it, looped until they are
/// stopped; what one says is heard by the other all the while.
#[tokio::test]
async fn all_hear_the_background_and_what_is_played_to_them() {
    let server = Server::start("conference-sound").await;
    let mut app = App::connect(&server).await;
    let mut first = Caller::answered(&server, &mut app).await;
    let second = Caller::answered(&server, &mut app).await;
    let bg_file = Some("thank-you.wav".to_owned());
    let construct = wire::ConfConstruct { max_seconds: 120, bg_file, ..Default::default() };
    let conference = app.client.call(&construct).await.expect("a conference").res_id;
    enter(&app, &first.res_id, &conference).await;
    enter(&app, &second.res_id, &conference).await;
    let background = Signal::read(&server.prompt("thank-you.wav"));
    tokio::time::sleep(Duration::from_millis(500 + 2 * background.milliseconds())).await;
    for caller in [&first, &second] {
        let found = caller.rtp.signal().find(&background);
        assert!(found.correlation > 0.98 && (found.gain_db + 20.0).abs() < 0.5, "{found:?}");
    }
    let prompt = Signal::read(&server.prompt("welcome.wav"));
    let (res_id, content) = (conference.clone(), wire::Content::Files("welcome.wav".to_owned()));
    let play = wire::ConfPlayStart { res_id, content, is_loop: true };
    app.client.call(&play).await.expect("a play");
    let again = app.client.call(&play).await.expect_err("one at a time");
    assert_eq!(again.reason(), Some("limit_reached"));
    tokio::time::sleep(Duration::from_millis(500 + 2 * prompt.milliseconds())).await;
    app.client.call(&wire::ConfPlayStop { res_id: conference.clone() }).await.expect("a stop");
    let pick = |kind: &EventKind| match kind {
        EventKind::ConferencePlayCompleted(event) => Some(event.clone()),
        _ => None,
    };
    let played = app.event("on_play_completed of the conference", PATIENCE, pick).await;
    assert!(played.error.is_none() && played.played_ms >= 2 * prompt.milliseconds(), "{played:?}");
    let said = Signal::read(&server.prompt("you-entered.wav"));
    let media = first.media;
    first.rtp.speak(&said, media).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for caller in [&first, &second] {
        let found = caller.rtp.signal().find(&prompt);
        assert!(found.correlation > 0.97 && found.gain_db.abs() < 0.5, "{found:?}");
    }
    let found = second.rtp.signal().find(&said);
    assert!(found.correlation > 0.97 && found.gain_db.abs() < 0.5, "{found:?}");
    let echo = first.rtp.signal().find(&said);
    assert!(echo.correlation < 0.5, "it hears itself: {echo:?}");
    app.client.call(&wire::ConfRelease { res_id: conference.clone() }).await.expect("a release");
    released(&mut app, &conference).await;
    first.hang_up().await;
    second.hang_up().await;
    app.released(&first.res_id).await;
    app.released(&second.res_id).await;
    app.check_order();
}
