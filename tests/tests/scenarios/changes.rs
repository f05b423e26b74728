//! A hand-made agent changes its call while it lasts: hold and resume, another codec, another port, an offer of ours, and
//! offers that nobody can take (RFC 3261 §14, RFC 3264 §8).

use std::time::Duration;

use offhook_client::wire::{EventKind, RecordStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// A prompt of some seconds, heard as often as a test needs.
const PROMPT: &str = "welcome.wav|welcome.wav|welcome.wav|welcome.wav";

/// Offers `sdp` in a re-INVITE and gives the description of its answer.
async fn change(caller: &Caller, cseq: u32, sdp: &str) -> String {
    let response = caller.ask("INVITE", cseq, "Content-Type: application/sdp\r\n", sdp).await;
    assert_eq!(response.status(), Some(200), "{}", response.text);
    response.text
}

/// Whether the application was told of hold.
async fn held(app: &mut App) -> bool {
    let pick = |kind: &EventKind| match kind {
        EventKind::Hold(hold) => Some(hold.held),
        _ => None,
    };
    app.event("on_hold", PATIENCE, pick).await
}

/// The packets that come in half a second, after those on their way have come.
async fn packets_in_half_a_second(rtp: &RtpPeer) -> usize {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = rtp.count();
    tokio::time::sleep(Duration::from_millis(500)).await;
    rtp.count() - before
}

#[tokio::test]
async fn a_prompt_stops_on_hold_and_comes_back() {
    let server = Server::start("hold-play").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    app.client.play_start(&caller.res_id, PROMPT, "").await.expect("a play");
    caller.rtp.hear(20, PATIENCE).await;
    for (cseq, hold) in [(10, "a=sendonly\r\n"), (20, "a=inactive\r\n"), (30, "0.0.0.0")] {
        let sdp = caller.sdp("0 8 101");
        let sdp = if hold == "0.0.0.0" {
            sdp.replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0")
        } else {
            format!("{sdp}{hold}")
        };
        let answer = change(&caller, cseq, &sdp).await;
        let ours = if hold.contains("inactive") { "a=inactive" } else { "a=recvonly" };
        assert!(answer.contains(ours), "{answer}");
        assert!(held(&mut app).await);
        assert_eq!(packets_in_half_a_second(&caller.rtp).await, 0, "{hold}");
        change(&caller, cseq + 1, &caller.sdp("0 8 101")).await;
        assert!(!held(&mut app).await);
        caller.rtp.hear_more(20, PATIENCE).await;
    }
    app.client.play_stop(&caller.res_id).await.expect("a stop");
    assert_eq!(app.played(&caller.res_id).await.error, None);
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn d4_a_recording_has_silence_for_hold() {
    let server = Server::start("hold-record").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    let start = RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 20,
        record_file: "held.wav".into(),
        record_format: 7,
        finish_keys: String::new(),
        ..Default::default()
    };
    app.client.record_start(&start).await.expect("a recording");
    let began = tokio::time::Instant::now();
    let (media, tone) = (caller.media, Signal::sine(440.0, 0.3, 1000));
    caller.rtp.speak(&tone, media).await;
    change(&caller, 2, &format!("{}a=inactive\r\n", caller.sdp("0 8 101"))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    change(&caller, 3, &caller.sdp("0 8 101")).await;
    caller.rtp.speak(&tone, media).await;
    app.client.record_stop(&caller.res_id).await.expect("a stop");
    let lasted = began.elapsed();
    let recorded = app.recorded(&caller.res_id).await;
    let apart = u128::from(recorded.duration_ms).abs_diff(lasted.as_millis());
    assert!(apart < 200, "{} of {lasted:?}", recorded.duration_ms);
    let heard = Signal::read(&server.recording("held.wav"));
    let loud = |from: usize| heard.0[from..from + 800].iter().any(|sample| sample.abs() > 0.1);
    assert!(loud(4_000) && !loud(13_000), "talk, then hold");
    assert!(loud(heard.0.len() - 4_000), "and talk again");
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn a_connection_outlives_hold_and_another_codec_and_port() {
    let server = Server::start("hold-connect").await;
    let mut app = App::connect(&server).await;
    let first = Caller::answered(&server, &mut app).await;
    let mut second = Caller::answered_offering("0", &server, &mut app).await;
    app.client.connect_start(&first.res_id, &second.res_id, 60).await.expect("a connection");
    let (to_second, tone) = (second.media, Signal::sine(440.0, 0.3, 500));
    second.rtp.speak(&tone, to_second).await;
    first.rtp.hear(20, PATIENCE).await;
    change(&first, 2, &format!("{}a=sendonly\r\n", first.sdp("0 8 101"))).await;
    assert!(held(&mut app).await);
    let before = first.rtp.count();
    second.rtp.speak(&tone, to_second).await;
    assert_eq!(first.rtp.count(), before, "on hold");

    // Back in a-law only, at another port.
    let elsewhere = RtpPeer::listen(ports::one()).await;
    let port = |sdp: String| sdp.replace(&first.rtp.port().to_string(), &elsewhere.port().to_string());
    let answer = change(&first, 3, &port(first.sdp("8 101"))).await;
    assert!(answer.contains(" RTP/AVP 8 101\r\n"), "{answer}");
    assert!(!held(&mut app).await);
    second.rtp.speak(&tone, to_second).await;
    elsewhere.hear(20, PATIENCE).await;
    assert!(elsewhere.packets().iter().all(|packet| packet.payload_type == 8));
    assert_eq!(first.rtp.count(), before, "the port of before");
    first.hang_up().await;
    second.hang_up().await;
    app.released(&first.res_id).await;
    app.released(&second.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn p5_offers_that_nobody_can_take_leave_the_call() {
    let server = Server::start("bad-offers").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    app.client.play_start(&caller.res_id, PROMPT, "").await.expect("a play");
    caller.rtp.hear(10, PATIENCE).await;
    let good = caller.sdp("0 8 101");
    let bad = [
        "hello".to_owned(),
        caller.sdp("18"),
        good.replace("m=audio", "m=video"),
        good.replace(&format!("m=audio {}", caller.rtp.port()), "m=audio 0"),
        good.replace("c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.1"),
        format!("{good}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(20)),
    ];
    for (cseq, sdp) in (2..).zip(&bad) {
        let response = caller.ask("INVITE", cseq, "Content-Type: application/sdp\r\n", sdp).await;
        assert_eq!(response.status(), Some(488), "{sdp}");
    }
    caller.rtp.hear_more(20, PATIENCE).await;
    caller.assert_unbroken();
    change(&caller, 50, &good).await;
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}
