//! Prompts and recordings in all their formats, and two calls that hear each other; judged by level and correlation,
//! with sox as the maker of the files that are played and the reader of those that were recorded.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_client::wire::{ConnectStart, EventKind, Item, RecordStart, What};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

fn sox(from: &Path, arguments: &str, to: &Path) {
    let mut command = Command::new("sox");
    command.arg("-D").arg(from).args(arguments.split_whitespace()).arg(to);
    let output = command.output().expect("sox");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// `call-api.md` §4, play_start: WAV of any sample rate, 8 or 16 bit, mono or stereo, PCM, a-law or mu-law.
#[tokio::test]
async fn prompts_of_all_kinds_are_heard_as_they_are() {
    let server = Server::start("prompt-kinds").await;
    let mut app = App::connect(&server).await;
    let original = server.prompt("thank-you.wav");
    let reference = Signal::read(&original);
    for (name, arguments, least) in [
        ("pcm16-8000.wav", "-r 8000 -b 16 -e signed-integer", 0.999),
        ("alaw-8000.wav", "-r 8000 -b 8 -e a-law", 0.99),
        ("pcm8-8000.wav", "-r 8000 -b 8 -e unsigned-integer", 0.97),
        ("pcm8-11025.wav", "-r 11025 -b 8 -e unsigned-integer", 0.96),
        ("pcm16-16000.wav", "-r 16000 -b 16 -e signed-integer", 0.98),
        ("stereo-44100.wav", "-r 44100 -c 2 -b 16 -e signed-integer", 0.98),
        ("pcm16-48000.wav", "-r 48000 -b 16 -e signed-integer", 0.98),
    ] {
        sox(&original, arguments, &server.prompt(name));
        let caller = Caller::answered(&server, &mut app).await;
        app.client
            .play_start(&caller.res_id, name, "")
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let played = app.played(&caller.res_id).await;
        assert_eq!(played.error, None, "{name}");
        assert!(played.played_ms.abs_diff(reference.milliseconds()) <= 40, "{name}: {} ms", played.played_ms);
        caller.hang_up().await;
        app.released(&caller.res_id).await;
        let mut heard = caller.rtp.signal();
        // Filters move and stretch by some samples; the reference must fit into what was heard.
        heard.0.splice(0..0, vec![0.0; 400]);
        heard.0.extend(vec![0.0; 400]);
        let found = heard.find(&reference);
        assert!(found.correlation > least, "{name}: {found:?}");
        assert!(found.gain_db.abs() < 0.5, "{name}: {found:?}");
    }
    app.check_order();
}

/// `gain=` in the options of an item, in dB: each item has its own, and one without has none.
#[tokio::test]
async fn gains_of_items_are_heard() {
    let server = Server::start("gain").await;
    let mut app = App::connect(&server).await;
    let reference = Signal::read(&server.prompt("goodbye.wav"));
    let caller = Caller::answered(&server, &mut app).await;
    let gains = [0_i8, -12, 3, -40];
    let item = |&gain: &i8| Item {
        what: What::Text("goodbye.wav".into()),
        kind: 0,
        options: if gain == 0 { String::new() } else { format!("lang=en;gain={gain}") },
    };
    let content: Vec<Item> = gains.iter().map(item).collect();
    app.client.play_start(&caller.res_id, content, "").await.expect("a play");
    assert_eq!(app.played(&caller.res_id).await.error, None);
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    let heard = caller.rtp.signal();
    // One after the other without a gap, at the levels that were asked for. 40 dB below, mu-law has few steps left.
    for (index, gain) in gains.into_iter().enumerate() {
        let from = index * reference.0.len();
        let rest = heard.0.len() - from;
        let part = Signal(heard.0[from..from + rest.min(reference.0.len())].to_vec());
        let told = part.level_db() - reference.level_db();
        let off = if gain == -40 { 1.0 } else { 0.3 };
        assert!((told - f32::from(gain)).abs() < off, "{told} dB instead of {gain}");
        if gain != -40 {
            let found = part.find(&Signal(reference.0[..part.0.len()].to_vec()));
            assert!(found.correlation > 0.99, "{gain} dB: {found:?}");
        }
    }
    app.check_order();
}

/// `call-api.md` §4, record_start: formats 1 PCM 8 bit, 2 a-law, 3 mu-law, 7 PCM 16 bit.
#[tokio::test]
async fn recordings_of_all_formats_hold_what_was_said() {
    let server = Server::start("record-formats").await;
    let mut app = App::connect(&server).await;
    let said = Signal::read(&server.prompt("you-entered.wav"));
    let mut spoken = said.clone();
    // A pause before the key that ends it, as a person makes.
    spoken.0.extend(vec![0.0; 2000]);
    for (format, encoding, least) in [
        (1, "Unsigned Integer PCM", 0.97),
        (2, "A-law", 0.99),
        (3, "u-law", 0.999),
        (7, "Signed Integer PCM", 0.999),
    ] {
        let mut caller = Caller::answered(&server, &mut app).await;
        let file = format!("deep/in/format-{format}.wav");
        let start = RecordStart {
            res_id: caller.res_id.clone(),
            max_seconds: 20,
            record_file: file.clone(),
            record_format: format,
            finish_keys: "#".into(),
            ..Default::default()
        };
        let begun = app.client.record_start(&start).await.expect("a recording");
        assert_eq!(begun.record_file, file);
        let (media, start) = (caller.media, Instant::now());
        caller.rtp.speak(&spoken, media).await;
        let pressed = u64::try_from(start.elapsed().as_millis()).expect("some seconds");
        caller.rtp.press("#", media).await;
        let recorded = app.recorded(&caller.res_id).await;
        assert_eq!((recorded.finish_key.as_deref(), recorded.error.as_ref()), (Some("#"), None));
        assert_eq!(recorded.record_file, file);
        // Neither the key nor the silence in its place is in it. A frame, and what two processes and the reply take.
        println!("format {format}: {} ms of {pressed}", recorded.duration_ms);
        assert!(recorded.duration_ms.abs_diff(pressed) <= 40, "pressed after {pressed} ms: {recorded:?}");
        caller.hang_up().await;
        app.released(&caller.res_id).await;

        let path = server.recording(&file);
        assert_eq!(std::fs::metadata(&path).expect("the recording").len(), recorded.bytes);
        let info = Command::new("soxi").arg(&path).output().expect("soxi");
        let info = String::from_utf8_lossy(&info.stdout).into_owned();
        assert!(info.contains(encoding) && info.contains(": 8000"), "{info}");
        let heard = Signal::read(&path);
        assert!(
            heard.milliseconds().abs_diff(recorded.duration_ms) <= 20,
            "{} and {recorded:?}",
            heard.milliseconds()
        );
        let found = heard.find(&said);
        assert!(found.correlation > least && found.gain_db.abs() < 0.5, "format {format}: {found:?}");
    }
    app.check_order();
}

/// `mute_digits`: a key that is pressed in the middle of what is said is silence in the file, from the first moment of its tone,
/// and what is said before and after it is there; without it the tone is there as well.
#[tokio::test]
async fn a_recording_has_no_tone_of_a_key_where_digits_are_muted() {
    let server = Server::start("mute-digits").await;
    let mut app = App::connect(&server).await;
    let words = Signal::read(&server.prompt("thank-you.wav"));
    let quiet = vec![0.0; 1600];
    let said = Signal([&words.0[..], &quiet, &Signal::keys("5").0, &quiet, &words.0, &quiet].concat());
    for mute_digits in [true, false] {
        // Without telephone-events, so that tones are searched for.
        let mut caller = Caller::answered_offering("0", &server, &mut app).await;
        let file = format!("muted-{mute_digits}.wav");
        let start = RecordStart {
            res_id: caller.res_id.clone(),
            max_seconds: 20,
            record_file: file.clone(),
            record_format: 7,
            mute_digits,
            ..Default::default()
        };
        app.client.record_start(&start).await.expect("a recording");
        let media = caller.media;
        caller.rtp.speak(&said, media).await;
        caller.hang_up().await;
        app.recorded(&caller.res_id).await;
        app.released(&caller.res_id).await;
        let heard = Signal::read(&server.recording(&file));
        let before = heard.find(&words);
        let from = before.lag + words.0.len();
        let after = Signal(heard.0[from + 2 * quiet.len()..].to_vec()).find(&words);
        assert!(before.correlation > 0.99 && after.correlation > 0.99, "{before:?}, {after:?}");
        let between = Signal(heard.0[from..from + 2 * quiet.len() + 1600].to_vec());
        for hertz in [770.0, 1336.0] {
            let level = between.tone_db(hertz);
            println!("muted: {mute_digits}, {hertz} Hz: {level} dB");
            assert!(if mute_digits { level < -60.0 } else { level > -15.0 }, "{mute_digits}: {level} dB");
        }
    }
    app.check_order();
}

/// A file that turns out to be damaged in the middle is heard as far as it goes, and the event says so.
#[tokio::test]
async fn a_damaged_prompt_is_heard_as_far_as_it_goes_and_told() {
    let server = Server::start("damaged").await;
    let mut app = App::connect(&server).await;
    let original = server.prompt("welcome.wav");
    let flac = server.prompt("damaged.flac");
    sox(&original, "-b 16", &flac);
    let whole = std::fs::read(&flac).expect("what sox made");
    std::fs::write(&flac, &whole[..whole.len() * 2 / 3]).expect("two thirds of it");
    let caller = Caller::answered(&server, &mut app).await;
    app.client.play_start(&caller.res_id, "damaged.flac", "").await.expect("a play");
    let played = app.played(&caller.res_id).await;
    let error = played.error.clone().expect("what is wrong");
    assert_eq!((error.code.as_str(), played.file.as_deref()), ("file_unreadable", Some("damaged.flac")));
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
    let reference = Signal::read(&original);
    let heard = caller.rtp.signal();
    println!("{} ms of {}, {} heard", played.played_ms, reference.milliseconds(), heard.milliseconds());
    assert!((1000..reference.milliseconds() - 400).contains(&played.played_ms), "{played:?}");
    let found = heard.find(&Signal(reference.0[..8000].to_vec()));
    assert!(found.correlation > 0.99, "{found:?}");
}

/// A recording lasts as long as the clock says, whether or not anything comes in; and it ends complete at a hang-up.
#[tokio::test]
async fn silence_is_recorded_as_silence_and_a_hang_up_keeps_it() {
    let server = Server::start("record-silence").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    let start = RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 20,
        record_file: "quiet.wav".into(),
        record_format: 7,
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let begun = std::time::Instant::now();
    let tone = Signal::sine(800.0, 0.3, 300);
    let media = caller.media;
    caller.rtp.speak(&tone, media).await;
    // A second in which nothing is sent: the deadline is what is tested.
    tokio::time::sleep_until((begun + Duration::from_millis(1500)).into()).await;
    caller.hang_up().await;
    let recorded = app.recorded(&caller.res_id).await;
    assert_eq!(recorded.error.expect("a hang-up").code, "hangup");
    app.released(&caller.res_id).await;
    let heard = Signal::read(&server.recording("quiet.wav"));
    let clock = begun.elapsed().as_millis();
    assert!(
        (1400..=clock + 40).contains(&u128::from(heard.milliseconds())),
        "{} ms of {clock}",
        heard.milliseconds()
    );
    let found = heard.find(&tone);
    assert!(found.correlation > 0.99, "{found:?}");
    let rest = Signal(heard.0[found.lag + tone.0.len() + 800..].to_vec());
    assert!(rest.level_db() < -60.0, "{} dB in the silence", rest.level_db());
    app.check_order();
}

#[tokio::test]
async fn a_beep_is_heard_before_a_recording() {
    let server = Server::start("beep").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let start = RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 1,
        beep: true,
        record_file: "beep.wav".into(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    assert_eq!(app.recorded(&caller.res_id).await.error.expect("a limit").code, "max_seconds");
    let beep = caller.rtp.signal();
    assert!(
        beep.milliseconds() >= 100 && beep.level_db() > -30.0,
        "{} ms, {} dB",
        beep.milliseconds(),
        beep.level_db()
    );
    caller.hang_up().await;
    app.released(&caller.res_id).await;
}

/// `call-api.md` §4, connect_start: mode 1, both hear each other; a hang-up of one side leaves the other Idle.
#[tokio::test]
async fn two_callers_hear_each_other() {
    let server = Server::start("connect").await;
    let mut app = App::connect(&server).await;
    let mut first = Caller::answered(&server, &mut app).await;
    let mut second = Caller::answered(&server, &mut app).await;
    app.client.connect_start(&first.res_id, &second.res_id, 60).await.expect("a connection");
    let from_first = Signal::read(&server.prompt("welcome.wav"));
    let from_second = Signal::read(&server.prompt("ask-digits.wav"));
    let (first_media, second_media) = (first.media, second.media);
    tokio::join!(first.rtp.speak(&from_first, first_media), second.rtp.speak(&from_second, second_media));
    for (listener, said) in [(&second, &from_first), (&first, &from_second)] {
        listener.rtp.hear(said.0.len() / 160, PATIENCE).await;
    }
    for (listener, said) in [(&second, &from_first), (&first, &from_second)] {
        let mut heard = listener.rtp.signal();
        heard.0.extend(vec![0.0; said.0.len()]);
        let found = heard.find(said);
        assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.3, "{found:?}");
    }
    second.hang_up().await;
    let pick = |kind: &EventKind| match kind {
        EventKind::ConnectCompleted(event) => Some(event.clone()),
        _ => None,
    };
    let connected = app.event("on_connect_completed", PATIENCE, pick).await;
    assert_eq!(
        (&connected.res_id, connected.error.expect("a hang-up").code.as_str()),
        (&first.res_id, "hangup")
    );
    assert_eq!(connected.hangup_res_id.as_deref(), Some(second.res_id.as_str()));
    app.released(&second.res_id).await;
    // The one that is left is Idle: it can be played to.
    app.client.play_start(&first.res_id, "goodbye.wav", "").await.expect("a play");
    assert_eq!(app.played(&first.res_id).await.error, None);
    first.hang_up().await;
    app.released(&first.res_id).await;
    app.check_order();
}

/// Modes 2 and 3 of `connect_start`: only the second party hears, only the first hears.
#[tokio::test]
async fn one_way_connections_are_one_way() {
    let server = Server::start("one-way").await;
    let mut app = App::connect(&server).await;
    for (mode, second_hears) in [(2, true), (3, false)] {
        let mut first = Caller::answered(&server, &mut app).await;
        let mut second = Caller::answered(&server, &mut app).await;
        let start = ConnectStart {
            res_id: first.res_id.clone(),
            call_res_id: second.res_id.clone(),
            max_seconds: 1,
            connect_mode: mode,
            ..Default::default()
        };
        app.client.call(&start).await.expect("a connection");
        let (low, high) = (Signal::sine(500.0, 0.3, 700), Signal::sine(900.0, 0.3, 700));
        let (first_media, second_media) = (first.media, second.media);
        tokio::join!(first.rtp.speak(&low, first_media), second.rtp.speak(&high, second_media));
        let pick = |kind: &EventKind| match kind {
            EventKind::ConnectCompleted(event) => Some(event.clone()),
            _ => None,
        };
        let connected = app.event("on_connect_completed", PATIENCE, pick).await;
        assert_eq!(connected.error.expect("a limit").code, "max_seconds");
        let (hears, deaf, said) =
            if second_hears { (&second, &first, &low) } else { (&first, &second, &high) };
        let mut heard = hears.rtp.signal();
        heard.0.extend(vec![0.0; said.0.len()]);
        assert!(heard.find(said).correlation > 0.95, "mode {mode}");
        let leaked = deaf.rtp.signal();
        assert!(leaked.0.is_empty() || leaked.level_db() < -60.0, "mode {mode}: {} dB", leaked.level_db());
        for caller in [&first, &second] {
            caller.hang_up().await;
            app.released(&caller.res_id).await;
        }
    }
    app.check_order();
}
