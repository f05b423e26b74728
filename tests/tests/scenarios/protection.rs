//! Protected media (SRTP, keys by TLS) with baresip: what it hears is compared with what was played, what it says with what
//! was recorded, each way round, by every profile.

use offhook_client::wire::{Construct, RecordStart};
use offhook_tests::app::{self, App};
use offhook_tests::baresip::Baresip;
use offhook_tests::dir::TestDir;
use offhook_tests::server::{Server, Setup, fixtures};
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

use crate::transports::{everywhere, secure};

/// A server whose peers are protected so, and who knows `phone` as a gateway of that name.
async fn server(name: &str, srtp: &str, phone: Option<&Baresip>) -> Server {
    let mut setup = Setup { gateway: format!("srtp = \"{srtp}\""), ..everywhere() };
    if let Some(phone) = phone {
        setup.sections += &format!(
            "\n[[sip.gateway]]\nname = \"phone\"\naddress = \"{};transport=tls\"\nnetworks = []\nsrtp = \"{srtp}\"\n",
            secure(phone)
        );
    }
    Server::start_with(name, &setup).await
}

/// What baresip says: the prompt after three seconds of quiet, in which the delay of what we hear settles, and twenty
/// seconds of it behind.
fn voice(dir: &TestDir) -> (Signal, std::path::PathBuf) {
    let said = Signal::read(&fixtures().join("prompts/record-after-beep.wav"));
    let mut padded = vec![0.0; 24_000];
    padded.extend(&said.0);
    padded.extend(vec![0.0; 160_000]);
    let path = dir.join("voice.wav");
    Signal(padded).write(&path);
    (said, path)
}

/// The phone hears the prompt, and is recorded; what it heard and what it said is right. Then it hangs up.
async fn talk(server: &Server, app: &mut App, call: &str, phone: &mut Baresip, said: &Signal) {
    let start = RecordStart {
        res_id: call.into(),
        max_seconds: 6,
        record_file: "phone.wav".into(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    app.recorded(call).await;
    // The second sentence pushes the end of the first out of baresip's jitter buffer.
    app.client.play_start(call, "welcome.wav|thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(call).await.error, None);
    let info = app.client.get(call).await.expect("what is known of it");
    // It opens its way with an APP packet of RTCP, once before its keys are in force and once after: neither is a report.
    let refused = info.media.packets_refused + info.media.packets_not_authentic;
    assert!(refused <= 2 && info.media.packets_lost == 0, "{info:?}");
    phone.hang_up().await;
    assert_eq!(app.released(call).await.cause, 200);
    app.check_order();
    let found = Signal::read(&server.recording("phone.wav")).find(said);
    assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "recorded: {found:?}");
    phone.said("terminated").await;
    let heard = Signal::read(&phone.heard().expect("a recording"));
    let found = heard.find(&Signal::read(&server.prompt("welcome.wav")));
    assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "heard: {found:?}");
    let log = phone.log();
    assert!(log.contains("SRTP is Enabled") && !log.contains("failed to decrypt"), "{log}");
}

#[tokio::test]
async fn baresip_calls_with_protected_media() {
    for (name, srtp, protection) in [
        ("srtp-in", "required", "srtp-mand"),
        ("srtp-in-feedback", "required", "srtp-mandf"),
        ("srtp-in-optional", "optional", "srtp"),
    ] {
        let server = server(name, srtp, None).await;
        let mut app = App::connect(&server).await;
        let (said, microphone) = voice(server.dir());
        let mut phone = Baresip::start_protected(&microphone, server.dir(), "sip", protection).await;
        let uri = format!("sip:service@{};transport=tls", server.sip_by("tls", [127, 0, 0, 1]));
        let ((), call) = tokio::join!(phone.call(&uri), app.answer());
        let info = app.client.get(&call).await.expect("what is known of it");
        assert!(info.srtp.is_some(), "{name}: {info:?}");
        talk(&server, &mut app, &call, &mut phone, &said).await;
    }
}

#[tokio::test]
async fn baresip_is_called_with_protected_media() {
    for (name, srtp, protection) in
        [("srtp-out", "required", "srtp-mand"), ("srtp-out-optional", "optional", "srtp")]
    {
        let dir = TestDir::new(&format!("{name}-phone"));
        let (said, microphone) = voice(&dir);
        let mut phone = Baresip::start_protected(&microphone, &dir, "sip", protection).await;
        let server = server(name, srtp, Some(&phone)).await;
        let mut app = App::connect(&server).await;
        let callee = Construct { to_uri: "sip:phone@phone".into(), ..app::to(phone.address()) };
        let call = app.dial_with(callee).await;
        assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
        let info = app.client.get(&call).await.expect("what is known of it");
        assert!(info.srtp.is_some(), "{name}: {info:?}");
        talk(&server, &mut app, &call, &mut phone, &said).await;
    }
}

/// Who does not protect what has to be protected is not talked to; where it is optional both talk in the clear.
#[tokio::test]
async fn a_telephone_without_keys_is_refused_or_talked_to_in_the_clear() {
    for (srtp, expected) in [("required", false), ("optional", true)] {
        let name = format!("srtp-none-{srtp}");
        let server = server(&name, srtp, None).await;
        let mut app = App::connect(&server).await;
        let (_, microphone) = voice(server.dir());
        let mut phone = Baresip::start_secure(&microphone, server.dir(), "sip").await;
        let uri = format!("sip:service@{};transport=tls", server.sip_by("tls", [127, 0, 0, 1]));
        if expected {
            let ((), call) = tokio::join!(phone.call(&uri), app.answer());
            let info = app.client.get(&call).await.expect("what is known of it");
            assert_eq!(info.srtp, None);
            app.hang_up(&call).await;
            app.released(&call).await;
        } else {
            phone.command(&format!("dial {uri}")).await;
            phone.said("488 Not Acceptable Here").await;
        }
    }
}
