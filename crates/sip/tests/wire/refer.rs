//! Transfers (RFC 3515): those that we ask for, and those that the peer asks for.

use std::time::Duration;

use offhook_sip::event::{Command, CommandError, EndCause, Event, SessionId};

use crate::inbound::{CALL, ringing, talking};
use crate::outbound::{CONTACT, answered, from_callee};
use crate::stage::{OUTBOUND, Sent, Stage, kinds, request, times};

const SIPFRAG: &str = "Content-Type: message/sipfrag;version=2.0\r\n";

fn refer(session: SessionId) -> Command {
    Command::Refer { session, to: "sip:carol@example.org?Subject=hello".to_owned() }
}

fn transfer(session: SessionId, status: u16, phrase: &str) -> Event {
    Event::Transfer { session, status, phrase: phrase.to_owned() }
}

fn ended(session: SessionId, cause: EndCause) -> Event {
    Event::Ended { session, cause }
}

fn with_body(request: &str, headers: &str, body: &str) -> String {
    let length = format!("{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    request.replace("Content-Length: 0\r\n\r\n", &length)
}

/// A NOTIFY of the peer of our call in.
fn notify(number: u32, tag: &str, event: &str, state: &str, frag: &str) -> String {
    let headers = format!("Event: {event}\r\nSubscription-State: {state}\r\n");
    let notify = request(&format!("{number} NOTIFY"), &format!("notify{number}"), tag, &headers);
    if frag.is_empty() { notify } else { with_body(&notify, SIPFRAG, frag) }
}

/// The answer to a message of the peer.
#[track_caller]
fn check(stage: &mut Stage, message: &str, status: u16) -> Sent {
    stage.receive(message);
    let response = stage.one();
    assert_eq!(response.status(), status, "{}", response.text);
    response
}

/// A call in that has asked its peer for a transfer, which was accepted.
fn transferring(stage: &mut Stage) -> String {
    let tag = talking(stage);
    stage.command(refer(CALL));
    let refer = stage.one();
    stage.receive(&refer.response("202 Accepted", "", CONTACT));
    assert_eq!(stage.events(), []);
    tag
}

#[test]
fn a_transfer_is_asked_for_and_followed_to_its_end() {
    let mut stage = Stage::new();
    let invite = answered(&mut stage);
    stage.command(refer(OUTBOUND));
    let sent = stage.one();
    assert!(sent.text.starts_with("REFER sip:100@192.0.2.7 SIP/2.0\r\n"));
    assert_eq!(sent.header("Refer-To"), "<sip:carol@example.org?Subject=hello>");
    assert_eq!(sent.header("Referred-By"), "<sip:offhook@example.com>");
    assert_eq!((sent.header("CSeq"), sent.header("Contact").is_empty()), ("2 REFER", false));
    assert_eq!(stage.endpoint.command(stage.now, refer(OUTBOUND)), Err(CommandError::WrongState));
    stage.receive(&sent.response("202 Accepted", "", CONTACT));
    assert_eq!(stage.events(), []);

    let notify = |number: u32, state: &str, frag: &str| {
        let notify = from_callee(&invite, &format!("{number} NOTIFY"), &format!("n{number}"), "bob");
        let headers = format!("Event: refer;id=2\r\nSubscription-State: {state}\r\n{SIPFRAG}");
        with_body(&notify, &headers, frag)
    };
    check(&mut stage, &notify(1, "active;expires=60", "SIP/2.0 100 Trying\r\n"), 200);
    assert_eq!(stage.event(), transfer(OUTBOUND, 100, "Trying"));
    check(&mut stage, &notify(2, "active;expires=60", "SIP/2.0 180 Ringing"), 200);
    assert_eq!(stage.event(), transfer(OUTBOUND, 180, "Ringing"));
    let last = notify(3, "terminated;reason=noresource", "SIP/2.0 200 OK\r\nTo: <sip:carol@example.org>\r\n");
    check(&mut stage, &last, 200);
    assert_eq!(stage.event(), transfer(OUTBOUND, 200, "OK"));
    check(&mut stage, &last, 200);
    assert_eq!(stage.events(), [], "a retransmission");
    check(&mut stage, &notify(4, "terminated", "SIP/2.0 200 OK\r\n"), 481);

    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(OUTBOUND, EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn a_notify_of_nothing_that_we_asked_for_is_refused() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let trying = "SIP/2.0 100 Trying\r\n";
    check(&mut stage, &notify(2, &tag, "refer", "active", trying), 481);
    stage.command(refer(CALL));
    let refer = stage.one();
    stage.receive(&refer.response("202 Accepted", "", CONTACT));

    let wrong = check(&mut stage, &notify(3, &tag, "presence", "active", trying), 489);
    assert_eq!(wrong.header("Allow-Events"), "refer");
    let missing = notify(4, &tag, "refer", "active", trying).replace("Event: refer\r\n", "");
    check(&mut stage, &missing, 489);
    check(&mut stage, &notify(5, &tag, "refer;id=77", "active", trying), 481);
    check(&mut stage, &notify(6, &tag, "refer;id=x", "active", trying), 481);
    let missing = notify(7, &tag, "refer", "active", trying).replace("Subscription-State: active\r\n", "");
    check(&mut stage, &missing, 400);
    let text =
        notify(8, &tag, "refer", "active", trying).replace("message/sipfrag;version=2.0", "text/plain");
    assert_eq!(check(&mut stage, &text, 415).header("Accept"), "message/sipfrag");
    for (number, frag) in
        (9..).zip(["SIP/2.0 99 Low\r\n", "SIP/2.0\r\n", "INVITE sip:a@b SIP/2.0\r\n", "\r\n"])
    {
        check(&mut stage, &notify(number, &tag, "refer", "active", frag), 400);
    }
    assert_eq!(stage.events(), [], "none of them says anything");
    // Nothing but how the subscription stands.
    check(&mut stage, &notify(20, &tag, "refer;id=1", "pending", ""), 200);
    assert_eq!(stage.events(), []);
    check(&mut stage, &notify(21, &tag, "refer", "terminated;reason=giveup", ""), 200);
    assert_eq!(stage.event(), transfer(CALL, 408, "Request Timeout"));
}

#[test]
fn a_transfer_that_is_refused() {
    for (status, code, phrase) in [
        ("603 No Way", 603, "No Way"),
        ("405 Method Not Allowed", 405, "Method Not Allowed"),
        ("302 Elsewhere", 302, "Elsewhere"),
    ] {
        let mut stage = Stage::new();
        let tag = talking(&mut stage);
        stage.command(refer(CALL));
        let sent = stage.one();
        stage.receive(&sent.response(status, "", ""));
        assert_eq!(stage.event(), transfer(CALL, code, phrase));
        check(&mut stage, &notify(2, &tag, "refer", "active", "SIP/2.0 200 OK\r\n"), 481);
        stage.command(refer(CALL));
        assert_eq!(stage.one().header("CSeq"), "2 REFER", "it may be asked for again");
    }
}

#[test]
fn a_transfer_without_a_subscription() {
    // RFC 4488 §4: the 2xx is all that is ever heard.
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.command(refer(CALL));
    let sent = stage.one();
    stage.receive(&sent.response("200 OK", "", &format!("{CONTACT}Refer-Sub: false\r\n")));
    assert_eq!(stage.event(), transfer(CALL, 200, "OK"));
}

#[test]
fn a_notify_may_overtake_the_answer() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(refer(CALL));
    let sent = stage.one();
    check(&mut stage, &notify(2, &tag, "refer", "active", "SIP/2.0 100 Trying\r\n"), 200);
    assert_eq!(stage.event(), transfer(CALL, 100, "Trying"));
    check(&mut stage, &notify(3, &tag, "refer", "terminated", "SIP/2.0 486 Busy Here\r\n"), 200);
    assert_eq!(stage.event(), transfer(CALL, 486, "Busy Here"));
    let again = stage.endpoint.command(stage.now, refer(CALL));
    assert_eq!(again, Err(CommandError::WrongState), "the answer is still to come");
    stage.receive(&sent.response("202 Accepted", "", CONTACT));
    assert_eq!(stage.events(), [], "the last word was told");
    stage.command(refer(CALL));
}

#[test]
fn a_peer_that_tells_nothing_of_the_transfer() {
    let mut stage = Stage::new();
    transferring(&mut stage);
    stage.pass(Duration::from_millis(31_999));
    assert_eq!(stage.events(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.event(), transfer(CALL, 408, "Request Timeout"), "RFC 6665 §4.1.2.4, Timer N");

    let mut stage = Stage::new();
    let tag = transferring(&mut stage);
    check(&mut stage, &notify(2, &tag, "refer", "active", "SIP/2.0 180 Ringing\r\n"), 200);
    stage.events();
    stage.pass(Duration::from_millis(189_999));
    assert_eq!(stage.events(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.event(), transfer(CALL, 408, "Request Timeout"));
    check(&mut stage, &notify(3, &tag, "refer", "terminated", "SIP/2.0 200 OK\r\n"), 481);
    assert_eq!(stage.events(), []);
}

#[test]
fn a_refer_that_nobody_answers_loses_the_call() {
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.command(refer(CALL));
    let sent = stage.pass(Duration::from_secs(32));
    assert_eq!(times(&sent, "BYE"), [32_000]);
    let expected = [transfer(CALL, 408, "Request Timeout"), ended(CALL, EndCause::Lost)];
    assert_eq!(stage.events(), expected);
}

#[test]
fn the_call_ends_before_the_last_word() {
    // Whichever side hangs up: 487 tells that nobody knows.
    let last_word = || transfer(CALL, 487, "Request Terminated");
    let mut stage = Stage::new();
    let tag = transferring(&mut stage);
    check(&mut stage, &request("2 BYE", "bye", &tag, ""), 200);
    assert_eq!(stage.events(), [last_word(), ended(CALL, EndCause::Bye { reason: None })]);
    check(&mut stage, &notify(3, &tag, "refer", "terminated", "SIP/2.0 200 OK\r\n"), 481);
    stage.assert_nothing_left();

    let mut stage = Stage::new();
    let tag = transferring(&mut stage);
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    assert_eq!(stage.event(), last_word());
    check(&mut stage, &notify(2, &tag, "refer", "terminated", "SIP/2.0 200 OK\r\n"), 481);
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn what_cannot_be_asked_for() {
    let mut stage = Stage::new();
    ringing(&mut stage);
    assert_eq!(stage.endpoint.command(stage.now, refer(CALL)), Err(CommandError::WrongState));
    let mut stage = Stage::new();
    talking(&mut stage);
    for to in ["carol", "sip:carol@example.org>\r\nX: y", "http://example.org", "sip:"] {
        let command = Command::Refer { session: CALL, to: to.to_owned() };
        assert_eq!(stage.endpoint.command(stage.now, command), Err(CommandError::BadUri(to.to_owned())));
    }
    assert_eq!(stage.sent().len(), 0);
    stage.command(Command::Refer { session: CALL, to: "tel:+15551234".to_owned() });
    assert_eq!(stage.one().header("Refer-To"), "<tel:+15551234>");
}

/// A REFER of the peer.
fn referral(number: u32, tag: &str, to: &str, more: &str) -> String {
    let headers = format!("Refer-To: {to}\r\n{more}");
    request(&format!("{number} REFER"), &format!("refer{number}"), tag, &headers)
}

/// A call in whose peer asks for a transfer; gives our tag.
fn referred(stage: &mut Stage, more: &str) -> String {
    let tag = talking(stage);
    stage.receive(&referral(2, &tag, "<sip:carol@example.org>", more));
    let to = "sip:carol@example.org".to_owned();
    assert_eq!(stage.event(), Event::Referred { session: CALL, to, referred_by: None });
    assert_eq!(stage.sent().len(), 0);
    tag
}

fn answer_refer(status: u16) -> Command {
    Command::AnswerRefer { session: CALL, status }
}

fn refer_status(status: u16) -> Command {
    Command::ReferStatus { session: CALL, status }
}

#[track_caller]
fn check_notify(notify: &Sent, state: &str, frag: &str) {
    assert_eq!(notify.kind(), "NOTIFY");
    assert_eq!(notify.header("Subscription-State"), state);
    assert_eq!(notify.header("Content-Type"), "message/sipfrag;version=2.0");
    assert_eq!(notify.all("Contact").len(), 1);
    assert!(notify.text.ends_with(&format!("\r\n\r\n{frag}\r\n")), "{}", notify.text);
}

#[test]
fn a_transfer_that_the_application_takes() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let by = "b: \"Alice\" <sip:alice@example.com>;ref=1\r\n";
    let refer = referral(2, &tag, "\"Carol\" <sip:carol@example.org?Replaces=1%3Bto-tag%3D2>;x=y", by)
        .replace("Refer-To", "r");
    stage.receive(&refer);
    let to = "sip:carol@example.org?Replaces=1%3Bto-tag%3D2".to_owned();
    let referred_by = Some("sip:alice@example.com".to_owned());
    assert_eq!(stage.event(), Event::Referred { session: CALL, to, referred_by });
    stage.receive(&refer);
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0), "it is being thought about");

    stage.now += Duration::from_secs(1);
    stage.command(answer_refer(202));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["202", "NOTIFY"]);
    assert_eq!((sent[0].header("CSeq"), sent[0].all("Contact").len()), ("2 REFER", 1));
    check_notify(&sent[1], "active;expires=300", "SIP/2.0 100 Trying");
    assert_eq!((sent[1].header("Event"), sent[1].header("CSeq")), ("refer", "1 NOTIFY"));
    stage.receive(&refer);
    assert_eq!(stage.one().status(), 202, "a retransmission");

    stage.command(refer_status(180));
    assert_eq!(stage.sent().len(), 0, "the first NOTIFY is not answered yet");
    stage.receive(&sent[1].response("200 OK", "", ""));
    let ringing = stage.one();
    check_notify(&ringing, "active;expires=300", "SIP/2.0 180 Ringing");
    stage.receive(&ringing.response("200 OK", "", ""));
    stage.now += Duration::from_secs(10);
    stage.command(refer_status(200));
    let last = stage.one();
    check_notify(&last, "terminated;reason=noresource", "SIP/2.0 200 OK");
    stage.receive(&last.response("200 OK", "", ""));
    assert_eq!(stage.endpoint.command(stage.now, refer_status(200)), Err(CommandError::Unknown));

    // A second one has NOTIFYs that say which they are of (RFC 3515 §2.4.6).
    stage.receive(&referral(3, &tag, "<tel:+15551234>", ""));
    assert_eq!(stage.events().len(), 1);
    stage.command(answer_refer(202));
    let sent = stage.sent();
    assert_eq!(sent[1].header("Event"), "refer;id=3");
    stage.receive(&sent[1].response("200 OK", "", ""));
    check(&mut stage, &request("4 BYE", "bye", &tag, ""), 200);
    assert_eq!(stage.event(), ended(CALL, EndCause::Bye { reason: None }));
    stage.assert_nothing_left();
}

#[test]
fn a_transfer_that_the_application_declines() {
    let mut stage = Stage::new();
    let tag = referred(&mut stage, "");
    for status in [100, 200, 299, 700] {
        let command = answer_refer(status);
        assert_eq!(stage.endpoint.command(stage.now, command), Err(CommandError::BadStatus));
    }
    assert_eq!(stage.endpoint.command(stage.now, refer_status(180)), Err(CommandError::WrongState));
    // One at a time.
    let busy = check(&mut stage, &referral(3, &tag, "<sip:dave@example.org>", ""), 500);
    assert_eq!(busy.header("Retry-After"), "5");
    stage.command(answer_refer(403));
    assert_eq!(stage.one().status(), 403);
    assert_eq!(stage.endpoint.command(stage.now, answer_refer(202)), Err(CommandError::Unknown));
    assert_eq!(stage.endpoint.command(stage.now, refer_status(200)), Err(CommandError::Unknown));
    stage.receive(&referral(4, &tag, "<sip:dave@example.org>", ""));
    assert_eq!(stage.events().len(), 1, "it may ask again");
}

#[test]
fn a_transfer_that_nobody_answers_is_declined() {
    let mut stage = Stage::new();
    referred(&mut stage, "");
    let sent = stage.pass(Duration::from_secs(25));
    assert_eq!((times(&sent, "603"), sent.len()), (vec![20_000], 1));
    assert_eq!(stage.endpoint.command(stage.now, answer_refer(202)), Err(CommandError::Unknown));
    assert_eq!(stage.events(), []);
}

#[test]
fn a_transfer_whose_peer_wants_to_hear_nothing() {
    let mut stage = Stage::new();
    let tag = referred(&mut stage, "Refer-Sub: false\r\nRequire: norefersub\r\n");
    stage.command(answer_refer(202));
    assert_eq!(stage.one().header("Refer-Sub"), "false");
    stage.command(refer_status(180));
    check(&mut stage, &referral(3, &tag, "<sip:dave@example.org>", ""), 500);
    stage.command(refer_status(200));
    assert_eq!(stage.sent().len(), 0);
    stage.receive(&referral(4, &tag, "<sip:dave@example.org>", ""));
    assert_eq!(stage.events().len(), 1);
}

#[test]
fn a_peer_that_refuses_a_notify_hears_no_more() {
    for status in ["481 Subscription Does Not Exist", "489 Bad Event", "408 Request Timeout"] {
        let mut stage = Stage::new();
        let tag = referred(&mut stage, "");
        stage.command(answer_refer(202));
        let first = stage.sent().pop().unwrap();
        stage.command(refer_status(180));
        stage.receive(&first.response(status, "", ""));
        stage.command(refer_status(183));
        stage.command(refer_status(200));
        assert_eq!(stage.sent().len(), 0);
        // RFC 6665 §4.2.2: of the call it says nothing.
        assert_eq!(stage.events(), []);
        check(&mut stage, &request("3 BYE", "bye", &tag, ""), 200);
    }
    // Nor does silence.
    let mut stage = Stage::new();
    referred(&mut stage, "");
    stage.command(answer_refer(202));
    stage.sent();
    let sent = stage.pass(Duration::from_secs(40));
    assert_eq!((times(&sent, "NOTIFY").len(), times(&sent, "BYE").len(), stage.events()), (10, 0, vec![]));
}

#[test]
fn a_subscription_ends_by_itself() {
    let mut stage = Stage::new();
    referred(&mut stage, "");
    stage.command(answer_refer(202));
    let first = stage.sent().pop().unwrap();
    stage.receive(&first.response("200 OK", "", ""));
    let sent = stage.pass(Duration::from_secs(301));
    let [(at, last), ..] = &*sent else { panic!() };
    assert_eq!(*at, 300_000);
    check_notify(last, "terminated;reason=timeout", "SIP/2.0 100 Trying");
    assert_eq!(stage.endpoint.command(stage.now, refer_status(200)), Err(CommandError::Unknown));
}

#[test]
fn a_refer_whose_call_ends_is_answered() {
    // RFC 3261 §15.1.2: 487 for what is pending.
    let mut stage = Stage::new();
    let tag = referred(&mut stage, "");
    stage.receive(&request("3 BYE", "bye", &tag, ""));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["200", "487"]);
    assert_eq!(sent[1].header("CSeq"), "2 REFER");
    assert_eq!(stage.event(), ended(CALL, EndCause::Bye { reason: None }));
    stage.assert_nothing_left();

    let mut stage = Stage::new();
    referred(&mut stage, "");
    stage.command(Command::Bye { session: CALL, reason: None });
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["487", "BYE"]);
    stage.receive(&sent[1].response("200 OK", "", ""));
    stage.events();
    stage.assert_nothing_left();
}

#[test]
fn a_refer_that_says_not_whom_to_call() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let carol = "<sip:carol@example.org>";
    for (number, to, status) in [
        (2, "<sip:carol@example.org>, <sip:dave@example.org>", 400),
        (3, "<sip:carol@example.org", 400),
        (4, "<sip:>", 400),
        (5, "<http://example.org/>", 416),
        (6, "<mailto:carol@example.org>", 416),
        (7, "<sip:carol@example.org;method=BYE>", 403),
        (8, "", 400),
    ] {
        check(&mut stage, &referral(number, &tag, to, ""), status);
    }
    check(&mut stage, &referral(9, &tag, carol, "r: <sip:dave@example.org>\r\n"), 400);
    check(&mut stage, &request("10 REFER", "none", &tag, ""), 400);
    assert_eq!(stage.events(), []);

    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    let early = check(&mut stage, &referral(2, &tag, carol, ""), 500);
    assert_eq!(early.header("Retry-After"), "5");
}

#[test]
fn s8_a_refer_outside_of_a_dialog_calls_nobody() {
    let mut stage = Stage::new();
    check(&mut stage, &referral(1, "", "<sip:900123456@192.0.2.66>", ""), 403);
    check(&mut stage, &referral(2, "guess", "<sip:900123456@192.0.2.66>", ""), 481);
    assert_eq!(stage.events(), []);
    stage.receive_from("203.0.113.9:5060", &referral(3, "", "<sip:900123456@192.0.2.66>", ""));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
}

#[test]
fn s9_replaces_replaces_nothing() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let replaces = format!("Replaces: call-1@192.0.2.7;to-tag={tag};from-tag=alice\r\n");
    let invite = |branch: &str, more: &str| {
        request("1 INVITE", branch, "", &format!("{replaces}{more}")).replace("call-1@", "mallory@")
    };
    // RFC 3891 §4: whoever insists hears that we do not do it.
    let refused = check(&mut stage, &invite("insists", "Require: replaces\r\n"), 420);
    assert_eq!(refused.header("Unsupported"), "replaces");
    assert_eq!(stage.events(), []);
    // RFC 3261 §8.2.2: a header of an extension that we do not know is ignored; this is a new call, and the old one is
    // not touched.
    stage.receive(&invite("new", ""));
    let [Event::Incoming(incoming)] = &*stage.events() else { panic!() };
    assert_eq!((incoming.session, &*incoming.headers), (SessionId::Inbound(2), &[][..]));
    stage.command(Command::Request {
        session: CALL,
        request: offhook_sip::event::RequestId(1),
        method: offhook_sip::event::InDialog::Info,
        body: crate::stage::sdp("still here"),
    });
    assert_eq!(stage.sent().last().unwrap().kind(), "INFO");
}
