//! The server calls out, to SIPp as the callee (RFC 3261 §13.2, §9.1, §22).

use std::net::SocketAddr;
use std::time::Duration;

use offhook_client::wire::{Construct, DroppedBy, EventKind};
use offhook_tests::app::{self, App};
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;

async fn rings(app: &mut App, call: &str) {
    let pick = |kind: &EventKind| match kind {
        EventKind::Ringing(event) if event.res_id == call => Some(()),
        _ => None,
    };
    app.event("on_ringing", PATIENCE, pick).await;
}

#[tokio::test]
async fn a_callee_rings_answers_hears_digits_and_is_hung_up_on() {
    let server = Server::start("out-answer").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let callee = Sipp::new("uas-answer").set("rtp_port", rtp.port()).set("ring_ms", 300);
    let mut sipp = callee.listen(server.dir()).await;
    let call = app.dial(sipp.address(), 20).await;
    rings(&mut app, &call).await;
    let dialled = app.dialled(&call, PATIENCE).await;
    assert_eq!(dialled.error, None);
    assert!(dialled.answer_time.is_some());

    app.client.send_dtmf_start(&call, "19#").await.expect("digits on their way");
    let pick = |kind: &EventKind| match kind {
        EventKind::SendDtmfCompleted(event) => Some(event.clone()),
        _ => None,
    };
    assert_eq!(app.event("on_send_dtmf_completed", PATIENCE, pick).await.error, None);
    assert_eq!(rtp.keys(), "19#");

    app.hang_up(&call).await;
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (200, DroppedBy::System));
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_callee_hangs_up_in_a_prompt() {
    let server = Server::start("out-bye").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let mut sipp =
        Sipp::new("uas-bye").set("rtp_port", rtp.port()).set("talk_ms", 800).listen(server.dir()).await;
    let call = app.dial(sipp.address(), 20).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.client.play_start(&call, "welcome.wav", "").await.expect("a play");
    rtp.hear_more(20, PATIENCE).await;
    assert_eq!(app.played(&call).await.error.expect("a hang-up").code, "hangup");
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (200, DroppedBy::User));
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_busy_callee_is_a_failed_dial() {
    let server = Server::start("out-busy").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-refuse").set("status", 486).listen(server.dir()).await;
    let call = app.dial(sipp.address(), 20).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("a refusal");
    assert_eq!((error.code.as_str(), error.sip_status), ("rejected", Some(486)));
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (486, DroppedBy::User));
    assert_eq!(released.answer_time, None);
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_callee_that_does_not_answer_is_cancelled() {
    let server = Server::start("out-no-answer").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-no-answer").listen(server.dir()).await;
    let call = app.dial(sipp.address(), 1).await;
    rings(&mut app, &call).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("no answer");
    assert_eq!(error.code, "ring_timeout");
    app.released(&call).await;
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_drop_before_the_answer_cancels() {
    let server = Server::start("out-drop").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-no-answer").listen(server.dir()).await;
    let call = app.dial(sipp.address(), 30).await;
    rings(&mut app, &call).await;
    app.hang_up(&call).await;
    assert!(app.dialled(&call, PATIENCE).await.error.is_some());
    assert_eq!(app.released(&call).await.dropped_by, DroppedBy::System);
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

/// 401 of the callee itself: SIPp computes the digest too, and lets in only who knows the password.
#[tokio::test]
async fn a_challenge_is_met_with_the_credentials_of_the_call() {
    let server = Server::start("out-401").await;
    let mut app = App::connect(&server).await;
    let callee = Sipp::new("uas-challenge")
        .set("rtp_port", ports::one())
        .set("user", "joe")
        .set("password", "open sesame");
    let mut sipp = callee.listen(server.dir()).await;
    let call = app.dial_with(with_credentials(sipp.address(), "open sesame")).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    app.released(&call).await;
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

/// 407 of a proxy.
#[tokio::test]
async fn a_proxy_is_met_with_proxy_credentials() {
    let server = Server::start("out-407").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-challenge-proxy")
        .set("rtp_port", ports::one())
        .set("user", "joe")
        .listen(server.dir())
        .await;
    let call = app.dial_with(with_credentials(sipp.address(), "open sesame")).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    app.released(&call).await;
    sipp.succeed(1, PATIENCE).await;
}

#[tokio::test]
async fn a_wrong_password_ends_the_dial_and_is_not_tried_for_ever() {
    let server = Server::start("out-wrong").await;
    let mut app = App::connect(&server).await;
    let callee = Sipp::new("uas-challenge")
        .set("rtp_port", ports::one())
        .set("user", "joe")
        .set("password", "open sesame");
    let mut sipp = callee.listen(server.dir()).await;
    let call = app.dial_with(with_credentials(sipp.address(), "open barley")).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("a refusal");
    assert_eq!((error.code.as_str(), error.sip_status), ("rejected", Some(403)));
    app.released(&call).await;
    assert_eq!(sipp.report(PATIENCE).await.failed, 1);
}

fn with_credentials(callee: SocketAddr, password: &str) -> Construct {
    Construct {
        sip_auth_username: Some("joe".into()),
        sip_auth_password: Some(password.into()),
        ..app::to(callee)
    }
}

/// RFC 3261 §17.1.1.2, timer B: without any response the transaction ends after 64·T1.
#[tokio::test]
async fn nobody_there_is_a_time_out() {
    let setup = Setup { sip: "t1_ms = 20\nt2_ms = 80".into(), ..Setup::default() };
    let server = Server::start_with("out-nobody", &setup).await;
    let mut app = App::connect(&server).await;
    // A socket that takes everything and says nothing.
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let call = app.dial(silent.local_addr().expect("an address"), 20).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("no response");
    assert_eq!(error.sip_status, Some(408));
    assert_eq!(app.released_within(&call, Duration::from_secs(5)).await.cause, 408);
    app.check_order();
}
