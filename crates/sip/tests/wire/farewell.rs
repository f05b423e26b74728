//! Calls of an earlier run of the process, which this one ends: what it knows of them is what the other one could say.

use std::time::Duration;

use offhook_sip::event::{self, Command, EndCause, Event, Reason, Received, Remains, SessionId, Transport};

use crate::inbound::{CALL, ringing, talking};
use crate::outbound::{TO, answered, placed};
use crate::stage::{OUTBOUND, PEER, Sent, Stage, address, invite, kinds, request, times, udp};

fn farewell(remains: Remains) -> Command {
    let reason = Reason { cause: 500, text: "restart".to_owned() };
    Command::Farewell(Box::new((remains, Some(reason))))
}

fn dialog(stage: &Stage, session: SessionId) -> Remains {
    let remains = stage.endpoint.remains(session).unwrap();
    assert!(matches!(remains, Remains::Dialog(_)), "{remains:?}");
    remains
}

fn received(stage: &Stage) -> Received {
    match stage.endpoint.remains(CALL) {
        Some(Remains::Received(received)) => received,
        other => panic!("{other:?}"),
    }
}

/// The number of a request.
fn number(cseq: &str) -> u32 {
    cseq.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_next_run_hangs_up_a_call_that_came_in() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let dialog = dialog(&stage, CALL);

    let mut next = Stage::new();
    next.command(farewell(dialog));
    let bye = next.one();
    // RFC 3261 §12.2.1.1: the remote target, the tags as the peer knows them, and a number above all that we have sent.
    assert!(bye.text.starts_with("BYE sip:alice@192.0.2.7 SIP/2.0\r\n"), "{}", bye.text);
    assert_eq!(bye.header("From"), format!("<sip:100@198.51.100.1>;tag={tag}"));
    assert_eq!(bye.header("To"), "\"Alice\" <sip:alice@example.com>;tag=alice");
    assert_eq!(bye.header("Call-ID"), "call-1@192.0.2.7");
    assert_eq!(bye.header("Reason"), "SIP;cause=500;text=\"restart\"");
    assert_eq!(bye.to, address("192.0.2.7:5060"));
    assert!(number(bye.header("CSeq")) > 1_000 && number(bye.header("CSeq")) < 1 << 31);
    assert!(!next.endpoint.is_quiet(), "its answer is waited for");
    next.receive(&bye.response("200 OK", "", ""));
    assert_eq!(next.events(), [], "nobody is told");
    next.assert_nothing_left();
}

#[test]
fn the_next_run_hangs_up_a_call_that_we_made_by_its_route_set() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    // The route set is the Record-Route of the response, reversed; its first proxy is a name and a loose router.
    let routes = "Record-Route: <sip:192.0.2.21;lr>, <sip:edge.example.com;lr>\r\nContact: <sip:bob@192.0.2.30:5080>\r\n";
    stage.receive(&invite.response("200 OK", "bob", routes));
    let dialog = dialog(&stage, OUTBOUND);

    let mut next = Stage::new();
    next.command(farewell(dialog));
    let Event::Resolve { query, .. } = next.event() else { panic!("no question") };
    next.command(Command::Resolved { query, targets: vec![udp("192.0.2.40:5070")] });
    let bye = next.one();
    assert!(bye.text.starts_with("BYE sip:bob@192.0.2.30:5080 SIP/2.0\r\n"), "{}", bye.text);
    assert_eq!(bye.all("Route"), ["<sip:edge.example.com;lr>", "<sip:192.0.2.21;lr>"]);
    assert_eq!(bye.to, address("192.0.2.40:5070"));
    assert_eq!((bye.header("From"), bye.to_tag()), (invite.header("From"), "bob"));
    next.receive(&bye.response("481 Call/Transaction Does Not Exist", "", ""));
    next.assert_nothing_left();
}

#[test]
fn a_peer_that_is_gone_is_left_after_timer_f() {
    let mut stage = Stage::new();
    answered(&mut stage);
    let dialog = dialog(&stage, OUTBOUND);

    let mut next = Stage::new();
    next.command(farewell(dialog));
    let mut sent = vec![(0, next.one())];
    sent.extend(next.pass(Duration::from_secs(40)));
    // RFC 3261 §17.1.2.2: T1, doubled up to T2, for 64·T1.
    let expected = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times(&sent, "BYE"), expected);
    next.assert_nothing_left();
}

#[test]
fn who_is_hung_up_or_refused_leaves_nothing_to_end() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.endpoint.remains(CALL), None);
    let mut stage = Stage::new();
    ringing(&mut stage);
    stage.command(Command::Reject { session: CALL, status: 486, headers: Vec::new() });
    assert_eq!(stage.endpoint.remains(CALL), None);
}

/// RFC 3261 §17.2.1: a final response is repeated, first after T1, then after twice as long up to T2, until its ACK or for 64·T1;
/// and §18.2.2: to where the request came from, as `received` says.
#[test]
fn the_next_run_refuses_a_call_that_was_not_answered() {
    let mut stage = Stage::new();
    let more = "Record-Route: <sip:p1;lr>\r\nX-Account: 7\r\n";
    let invite = request("1 INVITE", "invite", "", more).replace(
        "Max-Forwards",
        "Via: SIP/2.0/TCP far.example.com:5070;branch=z9hG4bKfar;keep=\"a, b\"\r\nMax-Forwards",
    );
    stage.receive_from("192.0.2.8:5068", &invite);
    stage.command(Command::Progress { session: CALL, status: 180, body: None });
    stage.drain_events();
    let ringing = stage.one();
    let remains = Remains::Received(received(&stage));

    let mut next = Stage::new();
    next.command(farewell(remains));
    let refusal = next.one();
    assert_eq!((refusal.status(), refusal.to), (500, address("192.0.2.8:5060")));
    for name in ["From", "To", "Call-ID", "CSeq"] {
        assert_eq!(refusal.header(name), ringing.header(name), "{name}");
    }
    assert_eq!(refusal.all("Via"), ringing.all("Via"));
    assert_eq!(refusal.header("Reason"), "SIP;cause=500;text=\"restart\"");
    assert_eq!(refusal.header("Content-Length"), "0");
    let again = next.pass(Duration::from_millis(3_500));
    assert_eq!(times(&again, "500"), [500, 1_500, 3_500]);
    assert!(again.iter().all(|(_, sent)| sent.text == refusal.text), "it is the same");
    // Its ACK ends that, and is nobody's but the transaction's.
    next.receive_from("192.0.2.8:5068", &request("1 ACK", "invite", refusal.to_tag(), ""));
    assert_eq!((next.pass(Duration::from_secs(40)).len(), next.events()), (0, vec![]));
    next.assert_nothing_left();
}

#[test]
fn nobody_acknowledges_that_refusal() {
    let mut stage = Stage::new();
    ringing(&mut stage);
    let mut next = Stage::new();
    next.command(farewell(Remains::Received(received(&stage))));
    let mut sent = vec![(0, next.one())];
    sent.extend(next.pass(Duration::from_secs(40)));
    let expected = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times(&sent, "500"), expected);
    next.assert_nothing_left();
}

/// §17.2.1: the INVITE again is answered by the same; §9.2: its CANCEL by 200 with the same tag, to no effect.
#[test]
fn who_repeats_or_cancels_what_was_refused_so_is_answered() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    let mut next = Stage::new();
    next.command(farewell(Remains::Received(received(&stage))));
    let refusal = next.one();
    next.receive(&request("1 INVITE", "invite", "", ""));
    assert_eq!(next.one().text, refusal.text);
    next.receive(&request("1 CANCEL", "invite", "", ""));
    let cancelled = next.one();
    assert_eq!((cancelled.status(), cancelled.header("CSeq"), cancelled.to_tag()), (200, "1 CANCEL", &*tag));
    next.receive(&request("1 ACK", "invite", &tag, ""));
    assert_eq!((next.pass(Duration::from_secs(40)).len(), next.events()), (0, vec![]));
    next.assert_nothing_left();
}

/// What came again before it was refused is a call like any other.
#[test]
fn an_invite_that_has_come_again_is_one_of_the_next_run() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    let remains = Remains::Received(received(&stage));
    let mut next = Stage::new();
    ringing(&mut next);
    let reason = Reason { cause: 500, text: String::new() };
    let farewell = Command::Farewell(Box::new((remains, Some(reason))));
    assert!(next.endpoint.command(next.now, farewell).is_err());
    assert_eq!(next.sent_statuses(), [0; 0]);
    next.command(Command::Answer { session: CALL, body: crate::stage::sdp("v=0\r\n") });
    assert_eq!(next.one().status(), 200);
}

/// §18.2.2: the connection has ended with the process, and there is no other way back to who opened it.
#[test]
fn by_a_stream_there_is_nobody_to_be_told() {
    let mut stage = Stage::new();
    let by_tcp = request("1 INVITE", "invite", "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    stage.receive_by(Transport::Tcp, PEER, &by_tcp);
    assert!(matches!(stage.event(), Event::Incoming(_)));
    assert_eq!(stage.endpoint.remains(CALL), None);
}

/// A call that rings at the far end, and what its INVITE was.
fn dialling(stage: &mut Stage) -> (Sent, event::Sent) {
    let invite = placed(stage, invite(TO));
    assert_eq!(stage.endpoint.remains(OUTBOUND), None, "nothing is heard of it: it may not be cancelled");
    stage.receive(&invite.response("180 Ringing", "bob", "Contact: <sip:bob@192.0.2.30>\r\n"));
    let Some(Remains::Sent(sent)) = stage.endpoint.remains(OUTBOUND) else { panic!("it rings") };
    (invite, sent)
}

/// The next run, which has cancelled a call that rang.
fn cancelling() -> (Stage, Sent) {
    let (invite, sent) = dialling(&mut Stage::new());
    let mut next = Stage::new();
    next.command(farewell(Remains::Sent(sent)));
    let cancel = next.one();
    // RFC 3261 §9.1: Request-URI, Call-ID, To, the number of CSeq, From with its tag and the top Via are those of the INVITE.
    assert_eq!(
        cancel.text.lines().next(),
        invite.text.replace("INVITE sip", "CANCEL sip").lines().next(),
        "{}",
        cancel.text
    );
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(cancel.header(name), invite.header(name), "{name}");
    }
    assert_eq!((cancel.to, cancel.header("CSeq")), (invite.to, "1 CANCEL"));
    assert_eq!(cancel.header("Reason"), "SIP;cause=500;text=\"restart\"");
    next.receive(&cancel.response("200 OK", "bob", ""));
    (next, invite)
}

#[test]
fn the_next_run_cancels_a_call_that_rang() {
    let (mut next, invite) = cancelling();
    next.receive(&invite.response("487 Request Terminated", "bob", ""));
    let ack = next.one();
    assert_eq!((ack.kind().as_str(), ack.to_tag(), ack.branch()), ("ACK", "bob", invite.branch()));
    // Its end is told; whoever knows nothing of it hears no more.
    assert_eq!(next.events(), [Event::Ended { session: OUTBOUND, cause: EndCause::Local }]);
    next.receive(&invite.response("487 Request Terminated", "bob", ""));
    assert_eq!(next.one().text, ack.text);
    assert_eq!(next.pass(Duration::from_secs(40)).len(), 0);
    next.assert_nothing_left();
}

/// §9.1: the answer may cross the CANCEL; the call is acknowledged and hung up then (§15).
#[test]
fn a_call_that_is_answered_as_it_is_cancelled_is_hung_up() {
    let (mut next, invite) = cancelling();
    let ok = invite.response("200 OK", "bob", "Contact: <sip:bob@192.0.2.30>\r\n");
    next.receive(&ok);
    let sent = next.sent();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    assert!(sent.iter().all(|sent| sent.to == address("192.0.2.30:5060") && sent.to_tag() == "bob"));
    assert_eq!((sent[0].header("CSeq"), sent[0].header("From")), ("1 ACK", invite.header("From")));
    next.receive(&ok);
    assert_eq!(next.one().text, sent[0].text, "its ACK was lost");
    next.receive(&sent[1].response("200 OK", "", ""));
    assert_eq!(next.events(), [Event::Ended { session: OUTBOUND, cause: EndCause::Local }]);
    next.pass(Duration::from_secs(40));
    next.assert_nothing_left();
}

/// §9.1: after 64·T1 without a final response nobody waits for one any more.
#[test]
fn who_is_cancelled_and_says_nothing_is_left() {
    let (mut next, _) = cancelling();
    assert_eq!(next.pass(Duration::from_secs(33)).len(), 0);
    assert_eq!(next.events(), [Event::Ended { session: OUTBOUND, cause: EndCause::Local }]);
    next.assert_nothing_left();
}

/// A file can say anything: it is no message, or none that can be answered.
#[test]
fn what_makes_no_sense_is_left() {
    let mut stage = Stage::new();
    ringing(&mut stage);
    let good = received(&stage);
    for length in 0..good.invite.len() - 4 {
        let Some(invite) = good.invite.get(..length).map(str::to_owned) else { continue };
        let mut next = Stage::new();
        let farewell = farewell(Remains::Received(Received { invite, ..good.clone() }));
        let taken = next.endpoint.command(next.now, farewell);
        assert_eq!(taken.is_ok(), !next.sent().is_empty(), "the first {length} bytes");
    }
    let (_, good) = dialling(&mut Stage::new());
    for length in 0..good.invite.len() - 4 {
        let invite = good.invite[..length].to_owned();
        let mut next = Stage::new();
        let farewell = farewell(Remains::Sent(event::Sent { invite, ..good.clone() }));
        let taken = next.endpoint.command(next.now, farewell);
        assert_eq!(taken.is_ok(), !next.sent().is_empty(), "the first {length} bytes");
    }
}

#[test]
fn a_bye_of_the_peer_for_a_call_of_the_earlier_run_is_told_481() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let mut next = Stage::new();
    next.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(next.one().status(), 481);
    next.receive(&request("3 INFO", "info", &tag, ""));
    assert_eq!(next.one().status(), 481);
    next.assert_nothing_left();
}
