//! baresip, a telephone of another make, as caller and as callee: what it hears is compared with what was played, what
//! it says with what was recorded, and its keys are its own RFC 4733.

use offhook_client::wire::{ReceiveDtmfStart, RecordStart};
use offhook_tests::app::App;
use offhook_tests::baresip::Baresip;
use offhook_tests::dir::TestDir;
use offhook_tests::server::{Server, fixtures};
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// A voice for baresip's microphone: the prompt `name`, as the 16-bit file that `aufile` wants, after half a second of quiet
/// and before twenty seconds of it: at the end of the file baresip hangs up.
pub(crate) fn voice(server: &Server, name: &str) -> (Signal, std::path::PathBuf) {
    let said = Signal::read(&server.prompt(name));
    let mut padded = vec![0.0; 4000];
    padded.extend(&said.0);
    padded.extend(vec![0.0; 160_000]);
    let path = server.dir().join("voice.wav");
    Signal(padded).write(&path);
    (said, path)
}

#[tokio::test]
async fn a_telephone_hears_the_prompt_and_presses_keys() {
    let server = Server::start("phone-in").await;
    let mut app = App::connect(&server).await;
    let (_, microphone) = voice(&server, "thank-you.wav");
    let mut phone = Baresip::start(&microphone, server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());

    // The second sentence pushes the end of the first out of baresip's jitter buffer.
    app.client.play_start(&call, "welcome.wav|thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    let collect = ReceiveDtmfStart { res_id: call.clone(), max_keys: 5, ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    for key in "4711#".chars() {
        phone.press(key).await;
        // baresip sends a key for as long as its own clock says, one after the other.
        phone.said(&format!("send DTMF digit: '{key}'")).await;
    }
    let collected = app.keys(&call).await;
    assert_eq!((collected.keys.as_str(), collected.finish_key.as_deref()), ("4711", Some("#")));
    phone.hang_up().await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();

    phone.said("terminated").await;
    let heard = Signal::read(&phone.heard().expect("a recording"));
    let prompt = Signal::read(&server.prompt("welcome.wav"));
    let found = heard.find(&prompt);
    assert!(found.correlation > 0.98, "{found:?}");
    assert!(found.gain_db.abs() < 0.5, "{found:?}");
}

#[tokio::test]
async fn a_telephone_is_called_and_recorded() {
    let server = Server::start("phone-out").await;
    let mut app = App::connect(&server).await;
    let (said, microphone) = voice(&server, "record-after-beep.wav");
    let phone = Baresip::start(&microphone, server.dir()).await;
    let callee = offhook_client::wire::Construct {
        to_uri: format!("sip:phone@{}", phone.address()).into(),
        ..offhook_tests::app::to(phone.address())
    };
    let call = app.dial_with(callee).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    let start = RecordStart {
        res_id: call.clone(),
        max_seconds: 3,
        record_file: "phone.wav".into(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let recorded = app.recorded(&call).await;
    assert_eq!(recorded.error.expect("a limit").code, "max_seconds");
    assert!(recorded.duration_ms.abs_diff(3000) <= 20, "{recorded:?}", recorded = recorded.duration_ms);
    app.hang_up(&call).await;
    app.released(&call).await;
    phone.said("terminated").await;
    let found = Signal::read(&server.recording("phone.wav")).find(&said);
    assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "{found:?}");
    app.check_order();
}

/// The instruments themselves: without the server between them, two telephones hear each other as the tests above expect it.
#[tokio::test]
async fn two_telephones_hear_each_other() {
    let dir = TestDir::new("phones");
    let said = Signal::read(&fixtures().join("prompts/welcome.wav"));
    let mut padded = vec![0.0; 4000];
    padded.extend(&said.0);
    padded.extend(vec![0.0; 80_000]);
    let microphone = dir.join("voice.wav");
    Signal(padded).write(&microphone);
    let callee = Baresip::start(&microphone, &dir).await;
    let mut caller = Baresip::start(&microphone, &dir).await;
    caller.call(&format!("sip:phone@{}", callee.address())).await;
    // Its own clock: the file is over by then.
    callee.said("[0:00:04]").await;
    caller.hang_up().await;
    for phone in [&caller, &callee] {
        phone.said("terminated").await;
        let found = Signal::read(&phone.heard().expect("a recording")).find(&said);
        assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "{found:?}");
    }
}
