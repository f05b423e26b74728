//! The end of the server (`operations.md`): SIGTERM refuses new calls, drains, and ends what is left with a BYE.

use std::time::Duration;

use offhook_client::wire::DroppedBy;
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;

#[tokio::test]
async fn d5_sigterm_ends_calls_with_bye() {
    let setup = Setup { sections: "[limits]\ndrain_seconds = 3".into(), ..Setup::default() };
    let mut server = Server::start_with("sigterm", &setup).await;
    let mut app = App::connect(&server).await;
    let scenario =
        Sipp::new("uac-server-bye").set("rtp_port", ports::one()).set("header", "CSeq").set("value", "BYE");
    let mut sipp = scenario.call(server.sip(), server.dir());
    let call = app.answer().await;
    server.terminate();
    // New calls are refused while it drains.
    let refused = Sipp::new("uac-refused")
        .set("rtp_port", ports::one())
        .set("status", 503)
        .set("header", "Retry-After");
    refused.set("value", "[0-9]+").call(server.sip(), server.dir()).succeed(1, PATIENCE).await;
    let error = app.client.construct(&offhook_tests::app::to(server.sip())).await.expect_err("draining");
    assert_eq!(error.reason(), Some("shutting_down"));

    let released = app.released(&call).await;
    assert_eq!(released.dropped_by, DroppedBy::System);
    sipp.succeed(1, PATIENCE).await;
    let status = server.end(PATIENCE).await;
    assert!(status.success(), "{status}\n{}", server.log());
    app.check_order();
}

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let mut server = Server::start("sigterm-idle").await;
    server.terminate();
    let status = server.end(Duration::from_secs(3)).await;
    assert!(status.success(), "{status}\n{}", server.log());
}

/// What one server has no other touches: neither its numbers and events, nor the files that it records.
#[tokio::test]
async fn a_server_that_finds_its_directories_taken_changes_nothing_in_them() {
    let server = Server::start("taken").await;
    let data = server.dir().path().join("data");
    let serial = std::fs::read_to_string(data.join("serial")).expect("its number");
    for (own, key) in
        [("OFFHOOK_MEDIA__RECORDINGS_DIR", "event log"), ("OFFHOOK_NODE__DATA_DIR", "media.recordings_dir")]
    {
        let other = std::process::Command::new(offhook_tests::server::binary())
            .arg("--config")
            .arg(server.dir().path().join("offhook.toml"))
            .env("OFFHOOK_SIP__LISTEN", "udp:127.0.0.1:0")
            .env("OFFHOOK_RPC__LISTEN", "127.0.0.1:0")
            .env(own, server.dir().path().join("own"))
            .output()
            .expect("another server");
        let said = String::from_utf8_lossy(&other.stderr);
        assert_eq!(other.status.code(), Some(69), "{said}");
        assert!(said.contains(key) && said.contains("in use by another server"), "{said}");
        assert_eq!(std::fs::read_to_string(data.join("serial")).expect("its number"), serial);
    }
    assert!(server.is_healthy().await);
}

#[tokio::test]
async fn a_recording_is_whole_after_sigterm() {
    let setup = Setup { sections: "[limits]\ndrain_seconds = 1".into(), ..Setup::default() };
    let mut server = Server::start_with("sigterm-record", &setup).await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    let start = offhook_client::wire::RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 60,
        record_file: "cut.wav".into(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let tone = offhook_tests::wav::Signal::sine(600.0, 0.3, 600);
    let media = caller.media;
    caller.rtp.speak(&tone, media).await;
    server.terminate();
    caller.is_hung_up_on(PATIENCE).await;
    assert!(server.end(PATIENCE).await.success(), "{}", server.log());
    let heard = offhook_tests::wav::Signal::read(&server.recording("cut.wav"));
    assert!(heard.find(&tone).correlation > 0.99);
}
