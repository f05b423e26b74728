//! Keys in all the ways they travel: telephone-events (RFC 4733), tones in the voice (ITU-T Q.23), SIP INFO; from one
//! party of a connection to the other; and each key press once.

use offhook_client::wire::{EventKind, ReceiveDtmfStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::Server;
use offhook_tests::wait::{self, PATIENCE};
use offhook_tests::wav::Signal;

async fn collect(app: &App, call: &str, max_keys: u32) {
    let collect = ReceiveDtmfStart { res_id: call.to_owned(), max_keys, ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
}

/// Waits until `rtp` was sent these keys as telephone-events; the last of them has ended.
async fn was_sent(rtp: &RtpPeer, keys: &str) {
    let sent = async || (rtp.keys() == keys).then_some(());
    wait::until(&format!("the keys {keys}"), PATIENCE, sent).await;
}

/// Waits until `rtp` has heard `tone`.
async fn hears(rtp: &RtpPeer, tone: &Signal) {
    let heard = async || {
        let signal = rtp.signal();
        (signal.0.len() >= tone.0.len() && signal.find(tone).correlation > 0.9).then_some(())
    };
    wait::until("a tone", PATIENCE, heard).await;
}

#[tokio::test]
async fn tones_are_heard_where_the_caller_has_no_telephone_events() {
    let server = Server::start("inband-in").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered_offering("0", &server, &mut app).await;
    collect(&app, &caller.res_id, 20).await;
    let media = caller.media;
    caller.rtp.speak(&Signal::keys("0123456789*#"), media).await;
    let collected = app.keys(&caller.res_id).await;
    assert_eq!((collected.keys.as_str(), collected.finish_key.as_deref()), ("0123456789*", Some("#")));
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn tones_are_sent_where_the_callee_has_no_telephone_events() {
    let server = Server::start("inband-out").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered_offering("0", &server, &mut app).await;
    app.client.send_dtmf_start(&caller.res_id, "159#").await.expect("digits on their way");
    let pick = |kind: &EventKind| match kind {
        EventKind::SendDtmfCompleted(event) => Some(event.clone()),
        _ => None,
    };
    assert_eq!(app.event("on_send_dtmf_completed", PATIENCE, pick).await.error, None);
    let heard = caller.rtp.signal();
    // Two tones each, of which each is half the power, and nothing of the other tones: the key is what fits best.
    for (key, [low, high]) in
        [('1', [697.0, 1209.0]), ('5', [770.0, 1336.0]), ('9', [852.0, 1477.0]), ('#', [941.0, 1477.0])]
    {
        let tones: Vec<f32> = Signal::sine(low, 0.25, 40)
            .0
            .iter()
            .zip(&Signal::sine(high, 0.25, 40).0)
            .map(|(a, b)| a + b)
            .collect();
        let found = heard.find(&Signal(tones));
        assert!(found.correlation > 0.9, "{key}: {found:?}");
    }
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

/// `call-api.md` §4: one key press seen in two ways counts once; and one key pressed twice counts twice.
#[tokio::test]
async fn a_key_in_two_ways_counts_once() {
    let server = Server::start("two-ways").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    collect(&app, &caller.res_id, 20).await;
    let media = caller.media;
    for (cseq, key) in (2..).zip("44".chars()) {
        let info = format!("Signal={key}\r\nDuration=160\r\n");
        let said = caller.ask("INFO", cseq, "Content-Type: application/dtmf-relay\r\n", &info);
        assert_eq!(said.await.status(), Some(200));
        caller.rtp.press(&key.to_string(), media).await;
    }
    caller.rtp.press("7#", media).await;
    assert_eq!(app.keys(&caller.res_id).await.keys, "447");
    caller.hang_up().await;
    app.released(&caller.res_id).await;
    app.check_order();
}

#[tokio::test]
async fn keys_pass_through_a_connection() {
    let server = Server::start("keys-through").await;
    let mut app = App::connect(&server).await;
    let mut first = Caller::answered(&server, &mut app).await;
    let mut second = Caller::answered(&server, &mut app).await;
    let mut toneless = Caller::answered_offering("0", &server, &mut app).await;
    app.client.connect_start(&first.res_id, &second.res_id, 60).await.expect("a connection");
    let media = first.media;
    first.rtp.press("42*", media).await;
    was_sent(&second.rtp, "42*").await;
    app.client.connect_stop(&first.res_id).await.expect("a stop");

    // Where only one side has telephone-events, its keys become tones, and the tones of the other telephone-events.
    let stopped = |kind: &EventKind| matches!(kind, EventKind::ConnectCompleted(_)).then_some(());
    app.event("on_connect_completed", PATIENCE, stopped).await;
    app.client.connect_start(&toneless.res_id, &second.res_id, 60).await.expect("a connection");
    let (media, tone) = (toneless.media, Signal::keys("0"));
    toneless.rtp.speak(&tone, media).await;
    was_sent(&second.rtp, "42*0").await;
    let media = second.media;
    second.rtp.press("0", media).await;
    // Of our own making, and with another phase: a part of it that is short beside the beat of the two tones.
    hears(&toneless.rtp, &Signal(tone.0[..320].to_vec())).await;
    for caller in [&first, &second, &toneless] {
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
    app.check_order();
}
