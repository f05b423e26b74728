//! `detect_start` through the real server: what a caller by hand says is heard beside a running play, and each detection
//! has its one end.

use offhook_client::wire::{DetectKind, DetectResult, DetectStart, EventKind, OnDetectCompleted, OnDetected};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// The busy tone of Britain: 400 Hz, 375 ms on and off (ITU-T E.180 Supplement 2).
fn busy(times: usize) -> Signal {
    let on = Signal::sine(400.0, 0.2, 375);
    let off = vec![0.0; on.0.len()];
    Signal([on.0, off].concat().repeat(times))
}

async fn detected(app: &mut App) -> OnDetected {
    let pick = |kind: &EventKind| match kind {
        EventKind::Detected(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_detected", PATIENCE, pick).await
}

async fn completed(app: &mut App) -> OnDetectCompleted {
    let pick = |kind: &EventKind| match kind {
        EventKind::DetectCompleted(event) => Some(event.clone()),
        _ => None,
    };
    app.event("on_detect_completed", PATIENCE, pick).await
}

#[tokio::test]
async fn a_busy_tone_is_heard_beside_a_play() {
    let server = Server::start("detect").await;
    let mut app = App::connect(&server).await;
    let mut caller = Caller::answered(&server, &mut app).await;
    let (res_id, media) = (caller.res_id.clone(), caller.media);
    let start = |kinds: &[DetectKind]| DetectStart {
        res_id: res_id.clone(),
        kinds: kinds.to_vec(),
        country: Some("gb".to_owned()),
        ..Default::default()
    };
    app.client.detect_start(&start(&[DetectKind::Tones])).await.expect("nobody listens yet");
    let refused = app.client.detect_start(&start(&[DetectKind::Voice])).await.expect_err("somebody listens");
    assert_eq!(refused.reason(), Some("invalid_state"));
    app.client.play_start(&res_id, "welcome.wav", "").await.expect("a play");
    caller.rtp.speak(&busy(5), media).await;
    let heard = detected(&mut app).await;
    assert_eq!((heard.kind, heard.result), (DetectKind::Tones, DetectResult::Busy));
    app.client.detect_stop(&res_id).await.expect("somebody listens");
    assert_eq!(completed(&mut app).await.error, None);

    app.client.detect_start(&start(&[DetectKind::Amd, DetectKind::Fax])).await.expect("nobody listens");
    caller.hang_up().await;
    let error = completed(&mut app).await.error.expect("it did not end by itself");
    assert_eq!(error.code, "hangup");
    app.released(&res_id).await;
    app.check_order();
}
