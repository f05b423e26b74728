//! A peer changes the session: re-INVITE (RFC 3261 §14.2) and UPDATE (RFC 3311), on calls of either direction.

use std::time::Duration;

use offhook_sip::event::{Command, CommandError, EndCause, Event, Header, SessionId, Transport};

use crate::stage::{OUTBOUND, PEER, Sent, Stage, address, invite, kinds, request, sdp, times, with_sdp};

const CALL: SessionId = SessionId::Inbound(1);
/// T1 doubling to T2, for 64·T1.
const E: [u128; 10] = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];

/// An inbound call with the offer `theirs` and the answer `ours` is talking; our tag is given back.
pub(crate) fn talking(stage: &mut Stage) -> String {
    let tag = answered(stage);
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    tag
}

/// The same, but the peer has not acknowledged our 200.
fn answered(stage: &mut Stage) -> String {
    stage.receive(&with_sdp(&request("1 INVITE", "invite", "", ""), "theirs"));
    stage.events();
    stage.command(Command::Answer { session: CALL, body: sdp("ours") });
    stage.one().to_tag().to_owned()
}

/// An outbound call is talking; the INVITE is given back.
pub(crate) fn outbound(stage: &mut Stage) -> Sent {
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let sent = stage.one();
    stage.receive(&with_sdp(&sent.response("200 OK", "bob", "Contact: <sip:100@192.0.2.7>\r\n"), "theirs"));
    assert_eq!(stage.one().kind(), "ACK");
    stage.events();
    sent
}

/// A request of the callee of an outbound call.
pub(crate) fn from_callee(sent: &Sent, cseq: &str, branch: &str, more: &str) -> String {
    let method = cseq.split(' ').nth(1).unwrap();
    format!(
        "{method} sip:offhook@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch}\r\n\
         From: {};tag=bob\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq}\r\nContact: <sip:100@192.0.2.7>\r\n{more}\
         Content-Length: 0\r\n\r\n",
        sent.header("To"),
        sent.header("From"),
        sent.header("Call-ID"),
    )
}

fn accept(session: SessionId, body: &str) -> Command {
    Command::Accept { session, body: sdp(body) }
}

fn offer(session: SessionId, body: Option<&str>) -> Event {
    Event::Offer { session, body: body.map(sdp) }
}

#[test]
fn a_reinvite_is_offered_and_accepted() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let moved = request("2 INVITE", "re", &tag, "").replace("<sip:alice@192.0.2.7>", "<sip:alice@192.0.2.8>");
    stage.receive(&with_sdp(&moved, "hold"));
    assert_eq!((stage.sent().len(), stage.event()), (0, offer(CALL, Some("hold"))));
    stage.command(accept(CALL, "held"));
    let ok = stage.one();
    assert_eq!((ok.status(), ok.header("CSeq"), ok.body()), (200, "2 INVITE", "held"));
    assert_eq!(ok.header("Contact"), "<sip:198.51.100.1:5060>");
    assert!(ok.header("Allow").contains("UPDATE"));
    assert_eq!(stage.endpoint.command(stage.now, accept(CALL, "x")), Err(CommandError::WrongState));
    stage.receive(&request("2 ACK", "ack2", &tag, ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    assert_eq!(stage.pass(Duration::from_secs(100)).len(), 0);
    // The target is where the new Contact says.
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    assert!(bye.text.starts_with("BYE sip:alice@192.0.2.8 SIP/2.0\r\n"));
    assert_eq!(bye.to, address("192.0.2.8:5060"));
}

#[test]
fn the_callee_may_change_the_session_too() {
    let mut stage = Stage::new();
    let sent = outbound(&mut stage);
    stage.receive(&with_sdp(&from_callee(&sent, "1 INVITE", "re", ""), "hold"));
    assert_eq!(stage.event(), offer(OUTBOUND, Some("hold")));
    stage.command(accept(OUTBOUND, "held"));
    assert_eq!(stage.one().body(), "held");
    stage.receive(&from_callee(&sent, "1 ACK", "ack", ""));
    assert_eq!(stage.event(), Event::Acked { session: OUTBOUND, body: None });
    stage.receive(&with_sdp(&from_callee(&sent, "2 UPDATE", "up", ""), "resume"));
    assert_eq!(stage.event(), offer(OUTBOUND, Some("resume")));
    stage.command(Command::Refuse { session: OUTBOUND, status: 488, headers: Vec::new() });
    assert_eq!(stage.one().status(), 488);
    assert_eq!(stage.events(), []);
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let moved = request("2 INVITE", "re", &tag, "").replace("<sip:alice@192.0.2.7>", "<sip:alice@192.0.2.8>");
    stage.receive(&with_sdp(&moved, "video"));
    stage.events();
    let bad = Command::Refuse { session: CALL, status: 302, headers: Vec::new() };
    assert_eq!(stage.endpoint.command(stage.now, bad), Err(CommandError::BadStatus));
    let header = |value: &str| vec![Header { name: "Warning".to_owned(), value: value.to_owned() }];
    let evil = Command::Refuse { session: CALL, status: 488, headers: header("305 x \"\"\r\nVia: x") };
    assert_eq!(stage.endpoint.command(stage.now, evil), Err(CommandError::BadHeader("Warning".to_owned())));
    let headers = header("304 offhook \"no audio\"");
    stage.command(Command::Refuse { session: CALL, status: 488, headers });
    let refused = stage.one();
    assert_eq!((refused.status(), refused.header("Warning")), (488, "304 offhook \"no audio\""));
    stage.receive(&request("2 ACK", "re", &tag, ""));
    let again = Command::Refuse { session: CALL, status: 488, headers: Vec::new() };
    assert_eq!(stage.endpoint.command(stage.now, again), Err(CommandError::WrongState));
    stage.command(Command::Bye { session: CALL, reason: None });
    assert!(stage.one().text.starts_with("BYE sip:alice@192.0.2.7 SIP/2.0\r\n"));
}

#[test]
fn a_bad_change_is_refused_and_the_session_stays() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let plain = |cseq: &str, branch: &str| request(cseq, branch, &tag, "");
    for (number, (message, status)) in [
        (with_sdp(&plain("2 INVITE", "b2"), "v").replace("application/sdp", "text/plain"), 415),
        (with_sdp(&plain("3 UPDATE", "b3"), "v").replace("application/sdp", "text/plain"), 415),
        (with_sdp(&request("4 INVITE", "b4", &tag, "Content-Encoding: gzip\r\n"), "v"), 415),
        (with_sdp(&plain("5 INVITE", "b5"), "v").replace("<sip:alice@192.0.2.7>", "<<>>"), 400),
        (request("6 UPDATE", "b6", &tag, "Session-Expires: 10\r\nSupported: timer\r\n"), 422),
        (request("7 UPDATE", "b7", &tag, "Require: x\r\n"), 420),
        (with_sdp(&plain("8 INVITE", "b8"), &"v".repeat(16 * 1024 + 1)), 488),
    ]
    .into_iter()
    .enumerate()
    {
        stage.receive(&message);
        assert_eq!(stage.one().status(), status, "{number}");
        assert_eq!(stage.events(), []);
    }
    stage.receive(&plain("9 BYE", "bye"));
    assert_eq!(stage.one().status(), 200);
}

#[test]
fn an_offerless_reinvite_gets_our_offer() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&request("2 INVITE", "re", &tag, ""));
    assert_eq!(stage.event(), offer(CALL, None));
    stage.command(accept(CALL, "our offer"));
    assert_eq!(stage.one().body(), "our offer");
    // Our offer is not answered: nobody may offer anything (RFC 3261 §14.2, RFC 3311 §5.2).
    stage.receive(&with_sdp(&request("3 INVITE", "re3", &tag, ""), "x"));
    assert_eq!(stage.one().status(), 491);
    stage.receive(&with_sdp(&request("4 UPDATE", "up4", &tag, ""), "x"));
    assert_eq!(stage.one().status(), 491);
    stage.receive(&request("5 UPDATE", "up5", &tag, ""));
    assert_eq!(stage.one().status(), 200, "without an offer it is in nobody's way");
    stage.receive(&with_sdp(&request("2 ACK", "ack2", &tag, ""), "late answer"));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: Some(sdp("late answer")) });
    // From now on that is what the peer has said last: saying it again is a refresh.
    stage.receive(&with_sdp(&request("6 UPDATE", "up6", &tag, ""), "late answer"));
    let ok = stage.one();
    assert_eq!((ok.status(), ok.body()), (200, "our offer"));
    assert_eq!(stage.events(), []);
}

#[test]
fn a_reinvite_gets_100_after_200_ms_and_504_from_an_application_that_sleeps() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let reinvite = with_sdp(&request("2 INVITE", "re", &tag, ""), "hold");
    stage.receive(&reinvite);
    stage.events();
    let sent = stage.pass(Duration::from_secs(10));
    assert_eq!((times(&sent, "100"), times(&sent, "504")), (vec![200], vec![10_000]));
    stage.receive(&request("2 ACK", "re", &tag, ""));
    assert_eq!(stage.endpoint.command(stage.now, accept(CALL, "x")), Err(CommandError::WrongState));
    stage.receive(&with_sdp(&request("3 UPDATE", "up", &tag, ""), "hold"));
    stage.events();
    let sent = stage.pass(Duration::from_secs(10));
    assert_eq!(times(&sent, "504"), [10_000]);
}

#[test]
fn s10_the_2xx_of_a_reinvite_is_repeated_until_its_ack() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::new();
        let tag = talking(&mut stage);
        let reinvite = with_sdp(&request("2 INVITE", "re", &tag, ""), "hold");
        stage.receive_by(transport, PEER, &reinvite);
        stage.events();
        stage.command(accept(CALL, "held"));
        let ok = stage.one();
        let sent = stage.pass(Duration::from_millis(2_000));
        assert_eq!(times(&sent, "200"), [500, 1500], "{transport}");
        // The ACK of the first INVITE is not that of this one.
        stage.receive(&request("1 ACK", "ack", &tag, ""));
        assert_eq!(stage.events(), []);
        let sent = stage.pass(Duration::from_millis(2_000));
        assert_eq!(times(&sent, "200"), [1500]);
        assert!(sent.iter().all(|(_, message)| message.text == ok.text));
        stage.receive(&request("2 ACK", "ack2", &tag, ""));
        assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
        assert_eq!(stage.pass(Duration::from_secs(100)).len(), 0);
    }
}

#[test]
fn s10_a_lost_ack_of_a_reinvite_ends_the_call() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&with_sdp(&request("2 INVITE", "re", &tag, ""), "hold"));
    stage.events();
    stage.command(accept(CALL, "held"));
    stage.one();
    let sent = stage.pass(Duration::from_millis(31_999));
    assert_eq!(times(&sent, "200"), E);
    let sent = stage.pass(Duration::from_millis(1));
    assert_eq!(times(&sent, "BYE"), [1]);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::NoAck });
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn s12_a_change_before_the_first_one_is_through() {
    let mut stage = Stage::new();
    let tag = answered(&mut stage);
    // Before the ACK (RFC 3261 §14.2, and S12).
    stage.receive(&with_sdp(&request("2 INVITE", "early", &tag, ""), "hold"));
    let refused = stage.one();
    assert_eq!(refused.status(), 500);
    assert!((0..=10).contains(&refused.header("Retry-After").parse::<u8>().unwrap()));
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    stage.events();
    // While another one waits for its answer.
    stage.receive(&with_sdp(&request("3 INVITE", "re", &tag, ""), "hold"));
    assert_eq!(stage.event(), offer(CALL, Some("hold")));
    for (cseq, status) in [("4 INVITE", 500), ("5 UPDATE", 500)] {
        stage.receive(&with_sdp(&request(cseq, cseq.get(..1).unwrap(), &tag, ""), "x"));
        let refused = stage.one();
        assert_eq!(refused.status(), status);
        assert!((0..=10).contains(&refused.header("Retry-After").parse::<u8>().unwrap()));
    }
    stage.receive(&request("6 UPDATE", "6", &tag, ""));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.events(), []);
    stage.command(accept(CALL, "held"));
    assert_eq!(stage.one().header("CSeq"), "3 INVITE");
    // While its 2xx is not acknowledged. An UPDATE may come then: every offer is answered.
    stage.receive(&with_sdp(&request("7 INVITE", "7", &tag, ""), "x"));
    assert_eq!(stage.one().status(), 500);
    stage.receive(&with_sdp(&request("8 UPDATE", "8", &tag, ""), "x"));
    assert_eq!(stage.event(), offer(CALL, Some("x")));
    stage.receive(&request("9 UPDATE", "9", &tag, ""));
    assert_eq!(stage.one().status(), 500, "one UPDATE at a time (RFC 3311 §5.2)");
}

#[test]
fn s12_a_change_while_our_first_offer_is_not_answered() {
    // The INVITE had no offer: ours is in the 200, and its answer is in the ACK that has not come.
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.events();
    stage.command(Command::Answer { session: CALL, body: sdp("our offer") });
    let tag = stage.one().to_tag().to_owned();
    for cseq in ["2 INVITE", "3 UPDATE"] {
        stage.receive(&with_sdp(&request(cseq, cseq.get(..1).unwrap(), &tag, ""), "x"));
        assert_eq!(stage.one().status(), 491);
    }
    // Our INVITE is not answered.
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let sent = stage.one();
    stage.receive(&sent.response("180 Ringing", "bob", "Contact: <sip:100@192.0.2.7>\r\n"));
    stage.events();
    stage.receive(&with_sdp(&from_callee(&sent, "1 INVITE", "1", ""), "x"));
    assert_eq!(stage.one().status(), 491);
    stage.receive(&with_sdp(&from_callee(&sent, "2 UPDATE", "2", ""), "x"));
    assert_eq!(stage.one().status(), 491);
    stage.receive(&from_callee(&sent, "3 UPDATE", "3", ""));
    assert_eq!(stage.one().status(), 200, "it may say where it is");
    // The peer's INVITE is not answered.
    let mut stage = Stage::new();
    stage.receive(&with_sdp(&request("1 INVITE", "invite", "", ""), "theirs"));
    stage.command(Command::Progress { session: CALL, status: 180, body: None });
    let tag = stage.one().to_tag().to_owned();
    for cseq in ["2 INVITE", "3 UPDATE"] {
        stage.receive(&with_sdp(&request(cseq, cseq.get(..1).unwrap(), &tag, ""), "x"));
        let refused = stage.one();
        assert_eq!((refused.status(), refused.all("Retry-After").len()), (500, 1));
    }
}

#[test]
fn s15_after_our_bye_nothing_revives_the_call() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&with_sdp(&request("2 INVITE", "re", &tag, ""), "hold"));
    stage.events();
    stage.command(Command::Bye { session: CALL, reason: None });
    // What waits is answered (§15.1.2).
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["487", "BYE"]);
    assert_eq!(sent[0].header("CSeq"), "2 INVITE");
    assert_eq!(stage.endpoint.command(stage.now, accept(CALL, "x")), Err(CommandError::WrongState));
    for cseq in ["3 INVITE", "4 UPDATE"] {
        stage.receive(&with_sdp(&request(cseq, cseq.get(..1).unwrap(), &tag, ""), "x"));
        assert_eq!(stage.one().status(), 481);
    }
    stage.receive(&sent[1].response("200 OK", "", ""));
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Local });
    stage.receive(&with_sdp(&request("5 INVITE", "5", &tag, ""), "x"));
    assert_eq!(stage.one().status(), 481);
    assert_eq!(stage.events(), []);
}

#[test]
fn the_peers_bye_ends_a_change_that_waits() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&with_sdp(&request("2 UPDATE", "up", &tag, ""), "hold"));
    stage.events();
    stage.receive(&request("3 BYE", "bye", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"]);
    assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::Bye { reason: None } });
    stage.assert_nothing_left();
}

#[test]
fn a_cancelled_reinvite_leaves_the_session() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&with_sdp(&request("2 INVITE", "re", &tag, ""), "hold"));
    stage.events();
    stage.receive(&request("2 CANCEL", "re", &tag, ""));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["200", "487"]);
    assert_eq!((sent[0].header("CSeq"), sent[1].header("CSeq")), ("2 CANCEL", "2 INVITE"));
    stage.receive(&request("2 ACK", "re", &tag, ""));
    assert_eq!(stage.endpoint.command(stage.now, accept(CALL, "x")), Err(CommandError::WrongState));
    assert_eq!(stage.events(), []);
    // The next one is as good as any.
    stage.receive(&with_sdp(&request("3 INVITE", "re3", &tag, ""), "hold"));
    assert_eq!(stage.event(), offer(CALL, Some("hold")));
    stage.command(accept(CALL, "held"));
    assert_eq!(stage.one().status(), 200);
    // Too late: the INVITE has its answer.
    stage.receive(&request("3 CANCEL", "re3", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200"]);
    stage.receive(&request("3 ACK", "ack3", &tag, ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
}

#[test]
fn only_invite_and_update_move_the_target() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let elsewhere = |message: String| message.replace("<sip:alice@192.0.2.7>", "<sip:alice@192.0.2.9>");
    stage.receive(&elsewhere(request("2 INFO", "info", &tag, "")));
    stage.receive(&elsewhere(request("3 OPTIONS", "options", &tag, "")));
    assert_eq!(kinds(&stage.sent()), ["200", "200"]);
    let info = |request| Command::Request {
        session: CALL,
        request: offhook_sip::event::RequestId(request),
        method: offhook_sip::event::InDialog::Info,
        body: sdp("x"),
    };
    stage.command(info(1));
    let sent = stage.one();
    assert_eq!(sent.to, address("192.0.2.7:5060"));
    stage.receive(&sent.response("200 OK", "", "Contact: <sip:alice@192.0.2.9>\r\n"));
    stage.command(info(2));
    let sent = stage.one();
    assert_eq!(sent.to, address("192.0.2.7:5060"), "nor does the 2xx of another request");
    stage.receive(&sent.response("200 OK", "", ""));
    stage.receive(&elsewhere(request("4 UPDATE", "update", &tag, "")));
    assert_eq!(stage.one().status(), 200);
    stage.command(info(3));
    assert_eq!(stage.one().to, address("192.0.2.9:5060"));
}
