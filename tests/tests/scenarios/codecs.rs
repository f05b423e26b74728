//! Codecs with baresip, whose coders are of other makes: spandsp's G.722, libgsm, libopus. What it hears is compared with
//! what was played, what it says with what was recorded, and what two of them with different codecs hear of each other with
//! what each says.
//!
//! A codec changes what goes through it, so that each is held to what FFmpeg's coder of the same codec makes of the same
//! speech. Pieces of a second are compared, each where it fits best: the clocks of the two ends are not the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use offhook_client::wire::{ConnectStart, EventKind, ReceiveDtmfStart, RecordStart};
use offhook_tests::app::App;
use offhook_tests::baresip::Baresip;
use offhook_tests::dir::TestDir;
use offhook_tests::judge;
use offhook_tests::server::{Server, Setup, fixtures};
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::{Match, RATE, Signal};

/// A codec as both sides and FFmpeg know it.
struct Codec {
    /// Its name in our configuration.
    name: &'static str,
    /// baresip's name of it, and the module that has it.
    theirs: &'static str,
    module: &'static str,
    /// How FFmpeg is asked for it, and how the names of its files end.
    encode: &'static [&'static str],
    end: &'static str,
    /// How much like what was said it must be at the other end.
    least: f32,
}

const PCMU: Codec = Codec {
    name: "PCMU",
    theirs: "PCMU/8000/1",
    module: "g711",
    encode: &["-c:a", "pcm_mulaw"],
    end: "wav",
    least: 0.98,
};

const G722: Codec = Codec {
    name: "G722",
    theirs: "G722/16000/1",
    module: "g722",
    encode: &["-ar", "16000", "-c:a", "g722"],
    end: "g722",
    least: 0.98,
};

const OPUS: Codec = Codec {
    name: "opus",
    theirs: "opus/48000/2",
    module: "opus",
    encode: &["-c:a", "libopus", "-ar", "48000", "-b:a", "32k", "-application", "voip"],
    end: "opus",
    least: 0.95,
};

const GSM: Codec = Codec {
    name: "GSM",
    theirs: "GSM/8000/1",
    module: "gsm",
    encode: &["-c:a", "libgsm"],
    end: "gsm",
    least: 0.9,
};

const L16: Codec = Codec {
    name: "L16",
    theirs: "L16/16000/1",
    module: "l16",
    encode: &["-ar", "16000", "-c:a", "pcm_s16be"],
    end: "au",
    least: 0.98,
};

/// How much less like what was said it may be than what FFmpeg makes of it: delays that adapt on the way, and another
/// resampling.
const UNLIKE: f32 = 0.01;

/// How much louder or softer, in dB.
const LOUDER_DB: f32 = 0.5;

/// A second: pieces that are compared.
const PIECE: usize = RATE as usize;

/// What is played and said: five seconds of speech.
const SPEECH: [&str; 2] = ["welcome.wav", "ask-digits.wav"];

/// Before baresip speaks it is quiet for so long, in samples: until its call is answered and recorded, or connected.
const QUIET: usize = 20_000;

/// Seconds from the answer in which all that it says is heard.
const TALK: u32 = 8;

fn speech() -> Signal {
    let files = SPEECH.map(|name| Signal::read(&fixtures().join("prompts").join(name)).0);
    Signal(files.concat())
}

/// The speech as the microphone of a baresip of this codec, at its rate, with quiet behind it: at its end baresip hangs up.
fn microphone(dir: &TestDir, codec: &Codec) -> PathBuf {
    let narrow = dir.join(&format!("narrow-voice-of-{}.wav", codec.name));
    Signal([vec![0.0; QUIET], speech().0, vec![0.0; 240_000]].concat()).write(&narrow);
    let path = dir.join(&format!("voice-of-{}.wav", codec.name));
    let rate = codec.theirs.split('/').nth(1).expect("a rate");
    let sox = Command::new("sox").arg("-D").arg(&narrow).args(["-r", rate]).arg(&path).output();
    assert!(sox.is_ok_and(|output| output.status.success()));
    path
}

/// It is as much like what was said as FFmpeg makes it by these codecs, one after the other.
fn assert_like(what: &str, heard: &Path, codecs: &[&Codec]) {
    let said = speech();
    let least = codecs.iter().map(|codec| codec.least).fold(1.0, f32::min);
    let mut other = said.clone();
    for codec in codecs {
        let path = heard.with_extension(format!("by-{}.wav", codec.name));
        other = judge::through_another_encoder(&other, codec.encode, codec.end, &path);
    }
    let [ours, others] = [Signal::read(heard), other].map(|heard| heard.likeness(&said, PIECE));
    let correlations = |found: &[Match]| found.iter().map(|found| found.correlation).collect::<Vec<_>>();
    println!("{what}: {:.4?}; FFmpeg {:.4?}", correlations(&ours), correlations(&others));
    let [middle, of_others] = [ours[ours.len() / 2], others[others.len() / 2]];
    assert!(middle.correlation >= least, "{what}: {ours:?}");
    assert!(middle.correlation >= of_others.correlation - UNLIKE, "{what}: {ours:?}, and FFmpeg {others:?}");
    assert!(
        (middle.gain_db - of_others.gain_db).abs() < LOUDER_DB,
        "{what}: {ours:?}, and FFmpeg {others:?}"
    );
}

/// A server for all these codecs, and a baresip of each that knows no other.
async fn server_and_phones(name: &str, codecs: &[&Codec]) -> (Server, Vec<Baresip>) {
    let mut names: Vec<&str> = codecs.iter().map(|codec| codec.name).collect();
    names.sort_unstable();
    names.dedup();
    let setup = Setup { gateway: format!("codecs = {names:?}"), ..Setup::default() };
    let server = Server::start_with(name, &setup).await;
    let mut phones = Vec::new();
    for codec in codecs {
        let voice = microphone(server.dir(), codec);
        phones.push(Baresip::start_speaking(codec.theirs, codec.module, &voice, server.dir()).await);
    }
    (server, phones)
}

/// It calls, and the application answers.
async fn call(phone: &mut Baresip, server: &Server, app: &mut App) -> String {
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());
    call
}

/// It hangs up. Gives what it has heard.
async fn hung_up(app: &mut App, phone: &mut Baresip, call: &str) -> PathBuf {
    let info = app.client.get(call).await.expect("what is known of it");
    // It opens its way with an APP packet of RTCP, which is no report.
    assert!(info.media.packets_refused <= 1 && info.media.packets_lost == 0, "{info:?}");
    phone.hang_up().await;
    assert_eq!(app.released(call).await.cause, 200);
    phone.said("terminated").await;
    phone.heard().expect("a recording")
}

/// baresip names telephone-events of 8 kHz whatever its codec, and their timestamps count by the audio.
#[tokio::test]
async fn baresip_presses_keys_beside_opus() {
    const CODECS: [&Codec; 2] = [&OPUS, &L16];
    let (server, mut phones) = server_and_phones("codecs-keys", &CODECS).await;
    let mut app = App::connect(&server).await;
    for phone in &mut phones {
        let call = call(phone, &server, &mut app).await;
        let collect = ReceiveDtmfStart { res_id: call.clone(), max_keys: 5, ..Default::default() };
        app.client.receive_dtmf_start(&collect).await.expect("a collection");
        for key in "4711#".chars() {
            phone.press(key).await;
            phone.said(&format!("send DTMF digit: '{key}'")).await;
        }
        let collected = app.keys(&call).await;
        assert_eq!((collected.keys.as_str(), collected.finish_key.as_deref()), ("4711", Some("#")));
        app.client.send_dtmf_start(&call, "39").await.expect("keys");
        for key in "39".chars() {
            phone.said(&format!("received event: '{key}'")).await;
        }
        phone.hang_up().await;
        assert_eq!(app.released(&call).await.cause, 200);
    }
    app.check_order();
}

#[tokio::test]
async fn baresip_speaks_and_hears_every_codec() {
    const CODECS: [&Codec; 4] = [&G722, &OPUS, &GSM, &L16];
    let (server, mut phones) = server_and_phones("codecs", &CODECS).await;
    let mut app = App::connect(&server).await;
    let mut calls = Vec::new();
    for (phone, codec) in phones.iter_mut().zip(CODECS) {
        let call = call(phone, &server, &mut app).await;
        let start = RecordStart {
            res_id: call.clone(),
            max_seconds: TALK,
            record_file: format!("{}.wav", codec.name),
            record_format: 7,
            ..Default::default()
        };
        app.client.record_start(&start).await.expect("a recording");
        calls.push(call);
    }
    // One more sentence pushes the end of the others out of baresip's jitter buffer.
    let files = [&SPEECH[..], &["goodbye.wav"]].concat().join("|");
    for call in &calls {
        let recorded = app.recorded(call).await;
        assert_eq!(recorded.error.map(|error| error.code).as_deref(), Some("max_seconds"));
        app.client.play_start(call, files.as_str(), "").await.expect("a play");
    }
    let mut heard = Vec::new();
    for (call, phone) in calls.iter().zip(&mut phones) {
        assert_eq!(app.played(call).await.error, None);
        heard.push(hung_up(&mut app, phone, call).await);
    }
    app.check_order();
    for (codec, heard) in CODECS.into_iter().zip(&heard) {
        assert_like(
            &format!("{} said", codec.name),
            &server.recording(&format!("{}.wav", codec.name)),
            &[codec],
        );
        assert_like(&format!("{} heard", codec.name), heard, &[codec]);
    }
}

/// A telephone of PCMU and one of another codec hear each other.
#[tokio::test]
async fn telephones_of_different_codecs_hear_each_other() {
    const CODECS: [&Codec; 6] = [&PCMU, &G722, &PCMU, &OPUS, &PCMU, &GSM];
    let (server, mut phones) = server_and_phones("codec-to-codec", &CODECS).await;
    let mut app = App::connect(&server).await;
    let mut calls = Vec::new();
    for pair in phones.chunks_exact_mut(2) {
        for phone in pair {
            calls.push(call(phone, &server, &mut app).await);
        }
        let connect = ConnectStart {
            res_id: calls[calls.len() - 2].clone(),
            max_seconds: TALK,
            call_res_id: calls[calls.len() - 1].clone(),
            ..Default::default()
        };
        app.client.call(&connect).await.expect("a connection");
    }
    let mut heard = Vec::new();
    for (place, (call, phone)) in calls.iter().zip(&mut phones).enumerate() {
        if place.is_multiple_of(2) {
            let pick = |kind: &EventKind| match kind {
                EventKind::ConnectCompleted(event) if event.res_id == *call => Some(()),
                _ => None,
            };
            app.event("on_connect_completed", PATIENCE, pick).await;
        }
        heard.push(hung_up(&mut app, phone, call).await);
    }
    app.check_order();
    for (pair, heard) in CODECS.chunks_exact(2).zip(heard.chunks_exact(2)) {
        for (from, to, heard) in [(pair[0], pair[1], &heard[1]), (pair[1], pair[0], &heard[0])] {
            assert_like(&format!("{} to {}", from.name, to.name), heard, &[from, to]);
        }
    }
}
