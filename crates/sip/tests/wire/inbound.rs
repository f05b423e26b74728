//! Calls that a peer makes, one message at a time.

use std::time::Duration;

use offhook_sip::event::{Body, Command, CommandError, EndCause, Event, Header, Lookup, Reason, SessionId};

use crate::stage::{Stage, kinds, request, sdp, udp};

pub(crate) const CALL: SessionId = SessionId::Inbound(1);

/// An INVITE has come in; the tag in our responses is given back.
pub(crate) fn ringing(stage: &mut Stage) -> String {
    stage.receive(&request("1 INVITE", "invite", "", ""));
    assert!(matches!(stage.event(), Event::Incoming(incoming) if incoming.session == CALL));
    stage.command(Command::Progress { session: CALL, status: 180, body: None });
    stage.one().to_tag().to_owned()
}

/// A call that has been answered and acknowledged.
pub(crate) fn talking(stage: &mut Stage) -> String {
    let tag = ringing(stage);
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    assert_eq!(stage.one().status(), 200);
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    tag
}

fn ended(cause: EndCause) -> Event {
    Event::Ended { session: CALL, cause }
}

#[test]
fn a_call_from_invite_to_bye() {
    let mut stage = Stage::new();
    let invite =
        request("1 INVITE", "invite", "", "X-Account: 7\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\n");
    stage.receive(
        &invite.replace("Content-Length: 0\r\n\r\n", "Content-Type: application/sdp\r\n\r\nv=0\r\n"),
    );
    assert_eq!(stage.pass(Duration::from_millis(199)).len(), 0);
    let (at, trying) = stage.pass(Duration::from_millis(1)).remove(0);
    assert_eq!(at, 1, "200 ms after the INVITE");
    assert_eq!((trying.status(), trying.to_tag()), (100, ""));
    assert_eq!(trying.header("Via"), "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKinvite");
    assert_eq!(trying.to.to_string(), "192.0.2.7:5060");
    let Event::Incoming(incoming) = stage.event() else { panic!() };
    assert_eq!((&*incoming.from, &*incoming.from_display), ("sip:alice@example.com", "Alice"));
    assert_eq!((&*incoming.to, &*incoming.request_uri), ("sip:100@198.51.100.1", "sip:100@198.51.100.1"));
    assert_eq!(incoming.call_id, "call-1@192.0.2.7");
    assert_eq!(incoming.body, Some(sdp("v=0\r\n")));
    assert_eq!(incoming.headers, [Header { name: "X-Account".to_owned(), value: "7".to_owned() }]);

    stage.command(Command::Progress { session: CALL, status: 183, body: Some(sdp("early")) });
    let progress = stage.one();
    assert_eq!((progress.status(), progress.header("Contact")), (183, "<sip:198.51.100.1:5060>"));
    assert_eq!(progress.header("Record-Route"), "<sip:p2;lr>, <sip:p1;lr>");
    stage.command(Command::Answer { session: CALL, body: sdp("answer") });
    let ok = stage.one();
    assert_eq!((ok.status(), ok.to_tag()), (200, progress.to_tag()));
    assert_eq!(ok.header("Record-Route"), "<sip:p2;lr>, <sip:p1;lr>");
    assert!(ok.text.ends_with("\r\n\r\nanswer"));
    assert!(!stage.endpoint.is_quiet());

    stage.receive(&request("1 ACK", "ack", ok.to_tag(), ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    stage.receive(&request(
        "2 BYE",
        "bye",
        ok.to_tag(),
        "Reason: Q.850;cause=16, SIP;cause=200;text=\"bye\"\r\n",
    ));
    assert_eq!(stage.one().status(), 200);
    let reason = Some("Q.850;cause=16, SIP;cause=200;text=\"bye\"".to_owned());
    assert_eq!(stage.event(), ended(EndCause::Bye { reason }));
    stage.assert_nothing_left();
}

#[test]
fn the_late_answer_is_in_the_ack() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    stage.command(Command::Answer { session: CALL, body: sdp("offer") });
    stage.sent();
    let ack = request("1 ACK", "ack", &tag, "");
    stage.receive(&ack.replace("Content-Length: 0\r\n\r\n", "c: application/sdp\r\nl: 6\r\n\r\nanswer"));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: Some(sdp("answer")) });
}

#[test]
fn a_refusal_is_acknowledged_by_the_transaction() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    let contact = Header { name: "Contact".to_owned(), value: "<sip:200@192.0.2.9>".to_owned() };
    stage.command(Command::Reject { session: CALL, status: 302, headers: vec![contact] });
    let moved = stage.one();
    assert_eq!(
        (moved.status(), moved.to_tag(), moved.header("Contact")),
        (302, &*tag, "<sip:200@192.0.2.9>")
    );
    assert_eq!(stage.event(), ended(EndCause::Local));
    assert!(!stage.endpoint.is_quiet(), "the ACK is due");
    stage.receive(&request("1 ACK", "invite", &tag, ""));
    stage.assert_nothing_left();
    assert_eq!(stage.endpoint.counters().stray_acks, 0);
}

#[test]
fn a_cancel_ends_the_ringing() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\"";
    stage.receive(&request("1 CANCEL", "invite", "", &format!("Reason: {elsewhere}\r\n")));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["200", "487"]);
    assert_eq!((sent[0].to_tag(), sent[0].header("CSeq")), (&*tag, "1 CANCEL"));
    assert_eq!((sent[1].to_tag(), sent[1].header("CSeq")), (&*tag, "1 INVITE"));
    assert_eq!(stage.event(), ended(EndCause::Cancelled { reason: Some(elsewhere.to_owned()) }));
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(stage.one().status(), 200, "a retransmission");
    stage.receive(&request("1 ACK", "invite", &tag, ""));
    stage.assert_nothing_left();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.events(), []);
}

#[test]
fn s2_a_forged_cancel_is_refused() {
    let mut stage = Stage::new();
    ringing(&mut stage);
    // Another branch, and the right branch from another address.
    stage.receive(&request("1 CANCEL", "other", "", ""));
    assert_eq!(stage.one().status(), 481);
    stage.receive_from("192.0.2.8:5060", &request("1 CANCEL", "invite", "", ""));
    assert_eq!(stage.one().status(), 481);
    stage.receive_from(
        "203.0.113.1:5060",
        &request("1 CANCEL", "invite", "", "").replace("bKinvite", "bKthird"),
    );
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
}

#[test]
fn a_bye_while_it_rings_ends_the_invite_too() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(kinds(&stage.sent()), ["200", "487"]);
    assert_eq!(stage.event(), ended(EndCause::Bye { reason: None }));
}

#[test]
fn a_bye_before_the_ack() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    stage.sent();
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.event(), ended(EndCause::Bye { reason: None }));
    // The ACK that was overtaken finds nothing, and nothing answers it.
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    assert_eq!(stage.endpoint.counters().stray_acks, 1);
    stage.assert_nothing_left();
}

#[test]
fn our_bye_waits_for_the_ack() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    stage.sent();
    let reason = Some(Reason { cause: 603, text: "busy \"now\"\r\nX: y".to_owned() });
    stage.command(Command::Bye { session: CALL, reason });
    assert_eq!(stage.sent().len(), 0);
    let again = stage.endpoint.command(stage.now, Command::Bye { session: CALL, reason: None });
    assert_eq!(again, Err(CommandError::WrongState));

    stage.receive(&request("1 ACK", "ack", &tag, ""));
    let bye = stage.one();
    assert_eq!((&*bye.kind(), bye.header("CSeq")), ("BYE", "1 BYE"));
    assert_eq!(bye.header("Reason"), "SIP;cause=603;text=\"busy nowX: y\"");
    assert!(bye.text.starts_with("BYE sip:alice@192.0.2.7 SIP/2.0\r\n"));
    assert_eq!(bye.header("From"), format!("<sip:100@198.51.100.1>;tag={tag}"));
    assert_eq!(bye.header("To"), "\"Alice\" <sip:alice@example.com>;tag=alice");
    assert_eq!(stage.events(), []);
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn crossing_byes() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.events(), []);
    stage.receive(&bye.response("481 Gone", "", ""));
    assert_eq!(stage.event(), ended(EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn commands_in_the_wrong_state_change_nothing() {
    let mut stage = Stage::new();
    let check = |stage: &mut Stage, command, error| {
        assert_eq!(stage.endpoint.command(stage.now, command), Err(error));
        assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
    };
    let reject = |status| Command::Reject { session: CALL, status, headers: Vec::new() };
    check(&mut stage, reject(486), CommandError::Unknown);
    ringing(&mut stage);
    check(&mut stage, reject(200), CommandError::BadStatus);
    check(&mut stage, reject(700), CommandError::BadStatus);
    check(&mut stage, Command::Progress { session: CALL, status: 100, body: None }, CommandError::BadStatus);
    check(&mut stage, Command::Bye { session: CALL, reason: None }, CommandError::WrongState);
    check(&mut stage, Command::Cancel { session: CALL, reason: None }, CommandError::WrongState);
    let bad = Body { content_type: "a\r\nb".to_owned(), bytes: Vec::new() };
    check(
        &mut stage,
        Command::Answer { session: CALL, body: bad },
        CommandError::BadHeader("Content-Type".to_owned()),
    );
    stage.command(Command::Answer { session: CALL, body: sdp("") });
    stage.sent();
    check(&mut stage, reject(486), CommandError::WrongState);
    check(&mut stage, Command::Answer { session: CALL, body: sdp("") }, CommandError::WrongState);
}

#[test]
fn info_is_told_and_answered() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let info = request("2 INFO", "info", &tag, "");
    let info = info.replace(
        "Content-Length: 0\r\n\r\n",
        "Content-Type: application/dtmf-relay\r\nContent-Length: 8\r\n\r\nSignal=5",
    );
    stage.receive(&info);
    assert_eq!(stage.one().status(), 200);
    let body = Body { content_type: "application/dtmf-relay".to_owned(), bytes: b"Signal=5".to_vec() };
    assert_eq!(stage.event(), Event::Info { session: CALL, body });
    stage.receive(&info);
    assert_eq!(stage.one().status(), 200);
    assert_eq!(stage.events(), [], "a retransmission is no second digit");
    stage.receive(&request("3 INFO", "info2", &tag, ""));
    assert_eq!((stage.one().status(), stage.events().len()), (200, 0));
}

#[test]
fn requests_inside_the_dialog_are_looked_at_in_order() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    // What it requires is looked at first (RFC 3261 §8.2.2.3).
    stage.receive(&request("4 INVITE", "require", &tag, "Require: x, 100rel, timer, y\r\n"));
    let refused = stage.one();
    assert_eq!((refused.status(), refused.header("Unsupported")), (420, "x, y"));
    stage.receive(&request("4 ACK", "require", &tag, ""));
    stage.receive(&request("2 INFO", "old", &tag, ""));
    assert_eq!(stage.one().status(), 500, "a lower CSeq, §12.2.2");
    stage.receive(&request("6 OPTIONS", "opt", &tag, ""));
    let options = stage.one();
    assert_eq!((options.status(), options.header("Accept")), (200, "application/sdp"));
    stage.receive(&request("7 BYE", "bye", &tag, ""));
    assert_eq!(stage.sent().last().unwrap().status(), 200);
    assert_eq!(stage.event(), ended(EndCause::Bye { reason: None }));
}

#[test]
fn a_wrong_tag_is_no_dialog() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    for (from, to) in [("alice", "guess"), ("mallory", &*tag)] {
        let bye =
            request("2 BYE", &format!("{from}{to}"), to, "").replace("tag=alice", &format!("tag={from}"));
        stage.receive(&bye);
        assert_eq!(stage.one().status(), 481);
    }
    assert_eq!(stage.events(), []);
}

#[test]
fn a_bye_to_a_name_waits_for_its_address() {
    let mut stage = Stage::new();
    let invite = request("1 INVITE", "invite", "", "")
        .replace("Contact: <sip:alice@192.0.2.7>", "Contact: <sip:alice@pbx.example.com:5090>");
    stage.receive(&invite);
    stage.events();
    stage.command(Command::Answer { session: CALL, body: sdp("") });
    let ok = stage.sent().pop().unwrap();
    stage.receive(&request("1 ACK", "ack", ok.to_tag(), ""));
    stage.events();
    stage.command(Command::Bye { session: CALL, reason: None });
    assert_eq!(stage.sent().len(), 0);
    let Event::Resolve { query, lookup: Lookup { host, port, .. } } = stage.event() else { panic!() };
    assert_eq!((&*host, port), ("pbx.example.com", Some(5090)));
    stage.command(Command::Resolved { query, targets: vec![udp("192.0.2.99:5090")] });
    let bye = stage.one();
    assert_eq!(bye.to.to_string(), "192.0.2.99:5090");
    assert!(bye.text.starts_with("BYE sip:alice@pbx.example.com:5090 SIP/2.0\r\n"));
    stage.receive_from("192.0.2.99:5090", &bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), ended(EndCause::Local));
    let again = Command::Resolved { query, targets: Vec::new() };
    assert_eq!(stage.endpoint.command(stage.now, again), Err(CommandError::Unknown));
    stage.assert_nothing_left();
}

#[test]
fn s18_a_name_that_nobody_resolves_falls_back_to_the_source() {
    let mut stage = Stage::new();
    let invite =
        request("1 INVITE", "invite", "", "").replace("<sip:alice@192.0.2.7>", "<sip:alice@pbx.example.com>");
    stage.receive(&invite);
    stage.events();
    stage.command(Command::Answer { session: CALL, body: sdp("") });
    let ok = stage.sent().pop().unwrap();
    stage.receive(&request("1 ACK", "ack", ok.to_tag(), ""));
    stage.command(Command::Bye { session: CALL, reason: None });
    let sent = stage.pass(Duration::from_secs(9));
    assert_eq!((sent[0].0, sent[0].1.to.to_string()), (5000, "192.0.2.7:5060".to_owned()));
}
