//! SIPp with what a telephone seldom does: reliable provisional responses, session timers, hold, late offers, redirections,
//! transfers and messages (RFC 3262, RFC 4028, RFC 3264, RFC 3515, RFC 3428).

use offhook_client::wire::{CallState, EventKind, NodeSendMessage, Transfer, TransferAccept, TransferNotify};
use offhook_tests::app::App;
use offhook_tests::dir::TestDir;
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

use super::events::{held, transfer_completed, transfer_requested};

/// Longer than its scenario needs.
const PROMPT: &str = "welcome.wav|welcome.wav|welcome.wav|welcome.wav|welcome.wav|welcome.wav";

#[tokio::test]
async fn a_caller_acknowledges_what_rings() {
    let server = Server::start("sipp-100rel-in").await;
    let mut app = App::connect(&server).await;
    let caller = Sipp::new("uac-100rel").set("rtp_port", ports::one()).set("talk_ms", 100);
    let mut sipp = caller.call(server.sip(), server.dir());
    let call = app.answer().await;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}

/// Early media: the caller hears a file over and over before the answer, and what it plays after that.
#[tokio::test]
async fn a_caller_hears_something_before_the_answer() {
    let server = Server::start("sipp-early").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let caller = Sipp::new("uac-early").set("rtp_port", rtp.port()).set("talk_ms", 1500);
    let mut sipp = caller.call(server.sip(), server.dir());
    let call = app.incoming().await.res_id;
    let error = app.client.ring(&call, Some("none.wav")).await.expect_err("no such file");
    assert_eq!(error.reason(), Some("file_not_found"));
    app.client.ring(&call, Some("welcome.wav")).await.expect("early media");
    let info = app.client.get(&call).await.expect("a call");
    assert_eq!((info.state, info.answer_time), (CallState::Initiated, None));
    // The whole prompt of 2.3 s, and its beginning again.
    rtp.hear(130, PATIENCE).await;
    app.client.answer(&call, 60).await.expect("an answer");
    let before = rtp.count();
    app.client.play_start(&call, PROMPT, "").await.expect("a play");
    rtp.hear(before + 20, PATIENCE).await;
    sipp.succeed(1, PATIENCE).await;
    let messages = sipp.messages();
    let ours = messages.lines().filter(|line| line.starts_with("o=") && !line.starts_with("o=sipp"));
    let ours: Vec<&str> = ours.collect();
    assert!(ours.len() == 2 && ours[0] == ours[1], "{ours:?}");
    let prompt = Signal::read(&server.prompt("welcome.wav"));
    let found = rtp.signal().find(&prompt);
    assert!(found.correlation > 0.99 && found.lag < 8 * 60, "{found:?}");
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}

#[tokio::test]
async fn what_rings_is_acknowledged() {
    let server = Server::start("sipp-100rel-out").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-100rel").set("rtp_port", ports::one()).listen(server.dir()).await;
    let call = app.dial(sipp.address(), 20).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_caller_refreshes_its_session() {
    let server = Server::start("sipp-timer").await;
    let mut app = App::connect(&server).await;
    let caller = Sipp::new("uac-session-timer").set("rtp_port", ports::one());
    let mut sipp = caller.call(server.sip(), server.dir());
    let call = app.answer().await;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
    // What says nothing new is answered by what was said before (RFC 3264 §8): the same origin and version, too.
    let messages = sipp.messages();
    let ours: Vec<&str> =
        messages.lines().filter(|line| line.starts_with("o=") && !line.starts_with("o=sipp")).collect();
    assert!(ours.len() == 2 && ours[0] == ours[1], "{ours:?}");
}

/// Hold in the middle of a prompt: it goes on for who does not hear it, and comes back.
#[tokio::test]
async fn a_caller_holds_the_call_in_a_prompt() {
    let server = Server::start("sipp-hold").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let caller = Sipp::new("uac-hold").set("rtp_port", rtp.port()).set("talk_ms", 600).set("hold_ms", 1000);
    let mut sipp = caller.set("hold", "sendonly").set("answer", "recvonly").call(server.sip(), server.dir());
    let call = app.answer().await;
    app.client.play_start(&call, PROMPT, "").await.expect("a play");
    rtp.hear(10, PATIENCE).await;
    assert!(held(&mut app, &call).await);
    let before = rtp.count();
    assert!(!held(&mut app, &call).await);
    // What was on its way when the hold came is heard yet; a second of the prompt would be 50 packets.
    assert!(rtp.count() - before < 10, "{} packets on hold", rtp.count() - before);
    rtp.hear_more(10, PATIENCE).await;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.played(&call).await.error.expect("a hang-up").code, "hangup");
    app.released(&call).await;
    app.check_order();
}

#[tokio::test]
async fn a_caller_hears_our_offer_first() {
    let server = Server::start("sipp-delayed").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let caller = Sipp::new("uac-delayed-offer").set("rtp_port", rtp.port()).set("talk_ms", 1500);
    let mut sipp = caller.call(server.sip(), server.dir());
    let call = app.answer().await;
    app.client.play_start(&call, PROMPT, "").await.expect("a play");
    rtp.hear(20, PATIENCE).await;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}

/// A gateway at the callee that has moved, by which the application calls `bob`.
async fn moved(name: &str, contact: &str, keys: &str) -> (TestDir, offhook_tests::sipp::RunningSipp, Server) {
    let dir = TestDir::new(name);
    let moved = Sipp::new("uas-redirect").set("contact", contact).listen(&dir).await;
    let address = moved.address();
    let gateway =
        format!("[[sip.gateway]]\nname = \"carrier\"\naddress = \"{address}\"\nnetworks = []\n{keys}");
    let server = Server::start_with(name, &Setup { gateway, ..Setup::default() }).await;
    (dir, moved, server)
}

#[tokio::test]
async fn a_redirection_is_followed_where_the_gateway_allows_it() {
    let callee = Sipp::new("uas-answer").set("rtp_port", ports::one()).set("ring_ms", 0);
    let contact = format!("sip:carol@127.0.0.1:{}", callee.port());
    let (dir, mut moved, server) = moved("sipp-followed", &contact, "follow_redirects = true").await;
    let mut callee = callee.listen(&dir).await;
    let mut app = App::connect(&server).await;
    let call = app.dial_with(by_carrier()).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    moved.succeed(1, PATIENCE).await;
    callee.succeed(1, PATIENCE).await;
    assert!(callee.messages().contains("INVITE sip:carol@127.0.0.1"), "{}", callee.messages());
    app.check_order();
}

#[tokio::test]
async fn a_redirection_is_not_followed_unless_the_gateway_allows_it() {
    let (_dir, mut moved, server) = moved("sipp-not-followed", "sip:carol@127.0.0.1:9", "").await;
    let mut app = App::connect(&server).await;
    let call = app.dial_with(by_carrier()).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("a refusal");
    assert_eq!((error.code.as_str(), error.sip_status), ("rejected", Some(302)));
    app.released(&call).await;
    moved.succeed(1, PATIENCE).await;
    app.check_order();
}

fn by_carrier() -> offhook_client::wire::Construct {
    let anywhere = "127.0.0.1:9".parse().expect("an address");
    offhook_client::wire::Construct { to_uri: "bob@carrier".into(), ..offhook_tests::app::to(anywhere) }
}

#[tokio::test]
async fn a_caller_asks_to_be_transferred() {
    let server = Server::start("sipp-refer-in").await;
    let mut app = App::connect(&server).await;
    let caller = Sipp::new("uac-refer").set("rtp_port", ports::one()).set("talk_ms", 100);
    let mut sipp = caller.set("target", "sip:carol@192.0.2.7").call(server.sip(), server.dir());
    let call = app.answer().await;
    let wish = transfer_requested(&mut app).await;
    assert_eq!((&*wish.res_id, &*wish.to_uri), (&*call, "sip:carol@192.0.2.7"));
    assert!(wish.referred_by.as_deref().is_some_and(|by| by.starts_with("sip:caller@")), "{wish:?}");
    app.client.call(&TransferAccept { res_id: call.clone() }).await.expect("a transfer taken");
    app.client.call(&TransferNotify { res_id: call.clone(), sip_status: 200 }).await.expect("its end told");
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
}

#[tokio::test]
async fn a_callee_is_asked_to_transfer() {
    let server = Server::start("sipp-refer-out").await;
    let mut app = App::connect(&server).await;
    let target = "sip:carol@192.0.2.7";
    let mut sipp =
        Sipp::new("uas-refer").set("rtp_port", ports::one()).set("target", target).listen(server.dir()).await;
    let call = app.dial(sipp.address(), 20).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    let transfer = Transfer { res_id: call.clone(), to_uri: target.into() };
    app.client.call(&transfer).await.expect("a transfer on its way");
    let done = transfer_completed(&mut app).await;
    assert_eq!((done.error, done.sip_status), (None, Some(200)));
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_message_is_sent() {
    let server = Server::start("sipp-message").await;
    let mut app = App::connect(&server).await;
    let mut sipp = Sipp::new("uas-message").set("text", "Ring back at noon").listen(server.dir()).await;
    let message = NodeSendMessage {
        from_uri: "sip:offhook@127.0.0.1".into(),
        to_uri: format!("sip:bob@{}", sipp.address()),
        content: "Ring back at noon".into(),
        ..Default::default()
    };
    let sent = app.client.call(&message).await.expect("a message on its way");
    let pick = |kind: &EventKind| match kind {
        EventKind::NodeMessageCompleted(event) => Some(event.clone()),
        _ => None,
    };
    let done = app.event("sys.node.on_message_completed", PATIENCE, pick).await;
    assert_eq!((done.message_id, done.sip_status, done.error), (sent.message_id, 200, None));
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}
