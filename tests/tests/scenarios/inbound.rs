//! SIPp and a hand-made agent call in: the answer, the refusals, and what goes wrong on the way (RFC 3261 §13.3, §9, §15).

use std::time::Duration;

use offhook_client::wire::DroppedBy;
use offhook_tests::agent::{Agent, Dialog};
use offhook_tests::app::App;
use offhook_tests::ports;
use offhook_tests::rtp::{PCMU, RtpPeer};
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::{RunningSipp, Sipp};
use offhook_tests::wait::{self, PATIENCE};
use offhook_tests::wav::Signal;

/// A caller that hangs up after `talk_ms`.
fn caller(rtp: &RtpPeer, talk_ms: u32, server: &Server) -> RunningSipp {
    Sipp::new("uac-bye").set("rtp_port", rtp.port()).set("talk_ms", talk_ms).call(server.sip(), server.dir())
}

/// A caller that the server refuses with `status`, in an answer whose `header` fits `value`.
fn refused(status: u16, header: &str, value: &str, server: &Server) -> RunningSipp {
    let sipp =
        Sipp::new("uac-refused").set("rtp_port", ports::one()).set("status", status).set("header", header);
    sipp.set("value", value).call(server.sip(), server.dir())
}

#[tokio::test]
async fn a_caller_hears_the_prompt_and_hangs_up_in_it() {
    let server = Server::start("hears").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let mut sipp = caller(&rtp, 3000, &server);

    let incoming = app.incoming().await;
    assert!(incoming.from_uri.contains("caller@127.0.0.1"), "{incoming:?}");
    assert!(incoming.to_uri.contains("service@127.0.0.1"), "{incoming:?}");
    assert_eq!(incoming.codecs, ["PCMU", "PCMA"]);
    let call = incoming.res_id;
    app.client.answer(&call, 60).await.expect("an answered call");
    app.client.play_start(&call, "welcome.wav|welcome.wav", "").await.expect("a play");
    sipp.succeed(1, PATIENCE).await;

    let played = app.played(&call).await;
    assert_eq!(played.error.expect("a hang-up").code, "hangup");
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (200, DroppedBy::User));
    app.check_order();
    let at = |name: &str| app.history().iter().find(|event| event.type_name() == name).expect(name).time_ms;
    let apart = at("sys.call.on_released") - at("sys.call.on_play_completed");
    assert!((0..=5).contains(&apart), "{apart} ms");

    let packets = rtp.packets();
    assert!(packets.iter().all(|packet| packet.payload_type == PCMU && packet.payload.len() == 160));
    let prompt = Signal::read(&server.prompt("welcome.wav"));
    let found = rtp.signal().find(&prompt);
    // The prompt is in the call's codec already: what is heard is what is in the file, to the bit, from the first packet.
    assert!(found.correlation > 0.999 && found.gain_db.abs() < 0.05, "{found:?}");
    assert!(found.lag < 8 * 60, "the prompt begins {} samples late", found.lag);
}

#[tokio::test]
async fn the_server_hangs_up_and_says_why() {
    let server = Server::start("server-bye").await;
    let mut app = App::connect(&server).await;
    let scenario = Sipp::new("uac-server-bye").set("rtp_port", ports::one()).set("header", "Reason");
    let mut sipp = scenario.set("value", "SIP *; *cause=603").call(server.sip(), server.dir());
    let call = app.answer().await;
    app.hang_up(&call).await;
    sipp.succeed(1, PATIENCE).await;
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (200, DroppedBy::System));
    assert!(released.answer_time.is_some());
    app.check_order();
}

#[tokio::test]
async fn a_caller_gives_up_before_the_answer() {
    let server = Server::start("cancel").await;
    let mut app = App::connect(&server).await;
    let scenario = Sipp::new("uac-cancel").set("rtp_port", ports::one()).set("ring_ms", 300);
    let mut sipp = scenario.call(server.sip(), server.dir());
    let call = app.incoming().await.res_id;
    sipp.succeed(1, PATIENCE).await;
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (487, DroppedBy::User));
    assert!(!app.client.exists(&call).await.expect("an answer to exists"));
    app.check_order();
}

#[tokio::test]
async fn a_call_is_rejected() {
    let server = Server::start("reject").await;
    let mut app = App::connect(&server).await;
    let mut sipp = refused(486, "CSeq", "1 INVITE", &server);
    let call = app.incoming().await.res_id;
    app.client.reject(&call, 486).await.expect("a rejection");
    sipp.succeed(1, PATIENCE).await;
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (486, DroppedBy::System));
    app.check_order();
}

#[tokio::test]
async fn a_call_is_redirected_to_the_same_user_elsewhere() {
    let server = Server::start("redirect").await;
    let mut app = App::connect(&server).await;
    let mut sipp = refused(302, "Contact", "sip:service@192[.]0[.]2[.]7:5070", &server);
    let call = app.incoming().await.res_id;
    app.client.redirect(&call, "192.0.2.7:5070").await.expect("a redirection");
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 302);
    app.check_order();
}

#[tokio::test]
async fn without_an_application_the_caller_is_told_to_come_back() {
    let server = Server::start("nobody").await;
    refused(503, "Retry-After", "[0-9]+", &server).succeed(1, PATIENCE).await;
}

#[tokio::test]
async fn a_caller_that_nobody_attends_to_is_told_so() {
    let setup = Setup { sections: "[limits]\nincoming_timeout_seconds = 1".into(), ..Setup::default() };
    let server = Server::start_with("unattended", &setup).await;
    let mut app = App::connect(&server).await;
    let mut sipp = refused(480, "CSeq", "1 INVITE", &server);
    let call = app.incoming().await.res_id;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 480);
}

/// RFC 3261 §13.3.1.4: the 2xx is repeated at T1, 2·T1, … up to T2, for 64·T1; then the session is ended with a BYE.
#[tokio::test]
async fn a_lost_ack_ends_the_call_after_the_repeated_answer() {
    let (t1, t2) = (Duration::from_millis(50), Duration::from_millis(200));
    let setup = Setup { sip: "t1_ms = 50\nt2_ms = 200".into(), ..Setup::default() };
    let server = Server::start_with("lost-ack", &setup).await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "service", ports::one());
    agent.send(dialog.invite()).await;
    let call = app.incoming().await.res_id;
    let answering = tokio::spawn({
        let (client, call) = (app.client.clone(), call.clone());
        async move { client.answer(&call, 60).await }
    });

    let first = agent.response(200, "INVITE").await;
    let mut last = first.at;
    for interval in [t1, t1 * 2, t2, t2] {
        let repeated = agent.response(200, "INVITE").await;
        assert_eq!(repeated.text, first.text);
        let waited = repeated.at - last;
        assert!(
            waited + Duration::from_millis(15) >= interval && waited < interval * 2,
            "{waited:?} for {interval:?}"
        );
        last = repeated.at;
    }
    let bye = agent.request("BYE", t1 * 64 + PATIENCE).await;
    let waited = bye.at - first.at;
    assert!(waited >= t1 * 63 && waited < t1 * 64 + Duration::from_secs(1), "BYE after {waited:?}");
    agent.answer(&bye, "200 OK").await;

    let refused = answering.await.expect("a finished request").expect_err("no ACK, no answer");
    assert_eq!(refused.reason(), Some("answer_failed"));
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (408, DroppedBy::System));
    app.check_order();
}

/// RFC 3261 §17.2.1: a repeated INVITE gets the last response again, and is no second call.
#[tokio::test]
async fn repeated_requests_are_answered_again_and_count_once() {
    let server = Server::start("repeated").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "service", ports::one());
    agent.send(dialog.invite()).await;
    let call = app.incoming().await.res_id;
    let ringing = agent.response(180, "INVITE").await;
    agent.send(dialog.invite()).await;
    assert_eq!(agent.response(180, "INVITE").await.text, ringing.text);

    let client = app.client.clone();
    let answering = tokio::spawn(async move { client.answer(&call, 60).await.map(|()| call) });
    let ok = agent.response(200, "INVITE").await;
    agent.send(dialog.invite()).await;
    assert_eq!(agent.response(200, "INVITE").await.text, ok.text);
    // Two ACKs, and two BYEs: both BYEs are answered, with the same words.
    agent.send(dialog.ack(&ok)).await;
    agent.send(dialog.ack(&ok)).await;
    let call = answering.await.expect("a finished request").expect("an answered call");
    agent.send(dialog.bye(&ok)).await;
    let gone = agent.response(200, "BYE").await;
    agent.send(dialog.bye(&ok)).await;
    assert_eq!(agent.response(200, "BYE").await.text, gone.text);
    assert_eq!(app.released(&call).await.cause, 200);

    // A second call would have been told of before this one.
    let other = Dialog::new(&agent, "other", ports::one());
    agent.send(other.invite()).await;
    assert!(app.incoming().await.to_uri.contains("other@"));
    app.check_order();
}

#[tokio::test]
async fn digits_are_collected_from_telephone_events() {
    let server = Server::start("digits").await;
    let mut app = App::connect(&server).await;
    let mut rtp = RtpPeer::listen(ports::one()).await;
    let mut sipp = caller(&rtp, 4000, &server);
    let call = app.answer().await;
    let collect = offhook_client::wire::ReceiveDtmfStart {
        res_id: call.clone(),
        play_content: Some("ask-digits.wav".into()),
        ..Default::default()
    };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    rtp.hear_more(10, PATIENCE).await;
    let server_rtp = rtp.far_end().await;
    rtp.press("1*0D7#", server_rtp).await;
    let collected = app.keys(&call).await;
    // The default of `valid_keys` is every key; D is one of them or is not, which `call-api.md` leaves to the document.
    assert_eq!(collected.keys.replace('D', ""), "1*07", "{collected:?}");
    assert_eq!((collected.finish_key.as_deref(), collected.error), (Some("#"), None));

    // Keys that nobody waits for are kept, and given to the next collection.
    rtp.press("42#", server_rtp).await;
    let collect = offhook_client::wire::ReceiveDtmfStart { res_id: call.clone(), ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    assert_eq!(app.keys(&call).await.keys, "42");
    sipp.succeed(1, PATIENCE).await;
    app.released(&call).await;
    app.check_order();
}

#[tokio::test]
async fn a_key_ends_a_play_and_is_not_seen_by_the_next() {
    let server = Server::start("finish-key").await;
    let mut app = App::connect(&server).await;
    let mut rtp = RtpPeer::listen(ports::one()).await;
    let mut sipp = caller(&rtp, 2500, &server);
    let call = app.answer().await;
    app.client.play_start(&call, "welcome.wav", "5").await.expect("a play");
    rtp.hear_more(10, PATIENCE).await;
    let server_rtp = rtp.far_end().await;
    rtp.press("5", server_rtp).await;
    let played = app.played(&call).await;
    assert_eq!((played.finish_key.as_deref(), played.error), (Some("5"), None));
    assert!((100..1500).contains(&played.played_ms), "{} ms", played.played_ms);
    let collect =
        offhook_client::wire::ReceiveDtmfStart { res_id: call.clone(), max_keys: 1, ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    rtp.press("6", server_rtp).await;
    assert_eq!(app.keys(&call).await.keys, "6");
    sipp.succeed(1, PATIENCE).await;
    app.released(&call).await;
    app.check_order();
}

/// RFC 3261 §8.2.1 and §11: OPTIONS is answered with what we allow, an unknown method with 501, a known one that is
/// not for us with 405, and a BYE of no call with 481.
#[tokio::test]
async fn requests_outside_calls_get_the_answers_of_the_rfc() {
    let server = Server::start("outside").await;
    let _app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let ask = async |method: &str, to: Option<&str>| {
        let dialog = Dialog::new(&agent, "service", ports::one());
        agent.send(dialog.request(method, 1, "ask", to)).await;
        agent.final_response(method).await
    };
    let options = ask("OPTIONS", None).await;
    assert_eq!(options.status(), Some(200));
    let allow = options.header("Allow").expect("an Allow header");
    for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"] {
        assert!(allow.contains(method), "{allow}");
    }
    assert_eq!(ask("FROBNICATE", None).await.status(), Some(501));
    let publish = ask("PUBLISH", None).await.status();
    assert!(matches!(publish, Some(405 | 501)), "{publish:?}");
    assert_eq!(ask("BYE", Some("<sip:service@127.0.0.1>;tag=nobody")).await.status(), Some(481));
    let dialog = Dialog::new(&agent, "service", ports::one());
    agent.send(dialog.request("CANCEL", 1, "none", None)).await;
    assert_eq!(agent.final_response("CANCEL").await.status(), Some(481));
}

#[tokio::test]
async fn an_offer_without_a_common_codec_gets_488() {
    let server = Server::start("no-codec").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "service", ports::one());
    // G.723 and G.729 only.
    agent.send(dialog.invite_with(&dialog.offer("4 18"))).await;
    let refusal = tokio::select! {
        refusal = agent.final_response("INVITE") => refusal,
        incoming = app.incoming() => {
            let refused = app.client.answer(&incoming.res_id, 60).await.expect_err("no codec, no answer");
            assert!(matches!(refused.reason(), Some("answer_failed" | "not_negotiated")), "{refused}");
            assert_eq!(app.released(&incoming.res_id).await.cause, 488);
            agent.final_response("INVITE").await
        }
    };
    assert_eq!(refusal.status(), Some(488));
    agent.send(dialog.ack_refusal(&refusal)).await;
    app.check_order();
}

/// RFC 3261 §13.3.1.3 and §13.2.1: an INVITE without an offer is answered with ours; the ACK carries the answer.
#[tokio::test]
async fn an_invite_without_an_offer_gets_ours() {
    let server = Server::start("late-offer").await;
    let mut app = App::connect(&server).await;
    let agent = Agent::new(server.sip()).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let dialog = Dialog::new(&agent, "service", rtp.port());
    agent.send(dialog.request("INVITE", 1, "invite", None)).await;
    let call = app.incoming().await.res_id;
    let client = app.client.clone();
    let answering = tokio::spawn(async move { client.answer(&call, 60).await.map(|()| call) });
    let ok = agent.response(200, "INVITE").await;
    assert!(ok.text.contains("m=audio "), "no offer in\n{}", ok.text);
    let answer = dialog.offer("8 101");
    let to = ok.header("To");
    agent
        .send(dialog.request_with(
            "ACK",
            1,
            "ack",
            to.as_deref(),
            "Content-Type: application/sdp\r\n",
            &answer,
        ))
        .await;
    let call = answering.await.expect("a finished request").expect("an answered call");
    app.client.play_start(&call, "thank-you.wav", "").await.expect("a play");
    rtp.hear_more(20, PATIENCE).await;
    assert!(rtp.packets().iter().all(|packet| packet.payload_type == 8), "the answer was PCMA");
    assert_eq!(app.played(&call).await.error, None);
    agent.send(dialog.bye(&ok)).await;
    app.released(&call).await;
}

#[tokio::test]
async fn a_call_ends_at_its_longest_duration() {
    let server = Server::start("max-answer").await;
    let mut app = App::connect(&server).await;
    let scenario = Sipp::new("uac-server-bye").set("rtp_port", ports::one()).set("header", "Reason");
    let mut sipp = scenario.set("value", "SIP").call(server.sip(), server.dir());
    let call = app.incoming().await.res_id;
    app.client.answer(&call, 1).await.expect("an answered call");
    app.client.play_start(&call, "welcome.wav|welcome.wav", "").await.expect("a play");
    let played = app.played(&call).await;
    assert_eq!(played.error.expect("cut short").code, "max_answer_seconds");
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (603, DroppedBy::System));
    sipp.succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_call_refused_at_the_limit_does_not_disturb_the_one_that_is_there() {
    let setup = Setup { sections: "[limits]\ncalls = 1".into(), ..Setup::default() };
    let server = Server::start_with("limit", &setup).await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let mut first = caller(&rtp, 4000, &server);
    let call = app.answer().await;
    refused(503, "Retry-After", "[0-9]+", &server).succeed(1, PATIENCE).await;
    app.client.play_start(&call, "thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    first.succeed(1, PATIENCE).await;
    app.released(&call).await;
    // The place is free again.
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", 100);
    let mut next = scenario.call(server.sip(), server.dir());
    let call = wait::within("the next call", PATIENCE, app.answer()).await;
    next.succeed(1, PATIENCE).await;
    app.released(&call).await;
    app.check_order();
}
