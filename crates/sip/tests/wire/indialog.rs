//! Requests inside a dialog: ours, one after the other, and what an answer to one, or none, means for the call.

use std::time::Duration;

use offhook_sip::event::{
    Body, Command, CommandError, Credentials, EndCause, Event, Flow, InDialog, RequestId, SessionId,
    Transport,
};

use crate::inbound::{CALL, talking};
use crate::outbound::{CONTACT, TO, answered, from_callee, placed};
use crate::stage::{OURS, OUTBOUND, PEER, Sent, Stage, address, invite, kinds, request, times, udp};

/// The repetitions of a request other than INVITE that nobody answers, T1 = 500 ms, T2 = 4 s (RFC 3261 §17.1.2.2).
const TIMER_E: [u128; 10] = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];

fn digits(bytes: &str) -> Body {
    Body { content_type: "application/dtmf-relay".to_owned(), bytes: bytes.as_bytes().to_vec() }
}

fn info(session: SessionId, number: u64) -> Command {
    let body = digits(&format!("Signal={number}"));
    Command::Request { session, request: RequestId(number), method: InDialog::Info, body }
}

fn replied(session: SessionId, number: u64, status: u16) -> Event {
    Event::Replied { session, request: RequestId(number), status }
}

fn ended(session: SessionId, cause: EndCause) -> Event {
    Event::Ended { session, cause }
}

#[track_caller]
fn answer(stage: &mut Stage, request: &Sent, status: &str) {
    stage.receive(&request.response(status, "", ""));
}

#[test]
fn requests_follow_each_other() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(info(CALL, 1));
    let first = stage.one();
    assert!(first.text.starts_with("INFO sip:alice@192.0.2.7 SIP/2.0\r\n"));
    assert_eq!((first.header("CSeq"), first.to), ("1 INFO", address(PEER)));
    assert_eq!(first.header("From"), format!("<sip:100@198.51.100.1>;tag={tag}"));
    assert_eq!(first.all("Contact"), [""; 0], "RFC 6086 §4.1.1 and RFC 3428 §4: no target is refreshed");
    assert!(
        first.text.ends_with("Content-Type: application/dtmf-relay\r\nContent-Length: 8\r\n\r\nSignal=1")
    );
    stage.command(info(CALL, 2));
    let text = Body { content_type: "text/plain".to_owned(), bytes: b"hello".to_vec() };
    let message =
        Command::Request { session: CALL, request: RequestId(3), method: InDialog::Message, body: text };
    stage.command(message);
    assert_eq!(stage.sent().len(), 0, "each waits for the one before");

    answer(&mut stage, &first, "200 OK");
    let second = stage.one();
    assert_eq!((second.header("CSeq"), stage.event()), ("2 INFO", replied(CALL, 1, 200)));
    answer(&mut stage, &first, "200 OK");
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0), "a repeated answer");
    answer(&mut stage, &second, "486 Busy Here");
    let third = stage.one();
    assert_eq!((third.header("CSeq"), stage.event()), ("3 MESSAGE", replied(CALL, 2, 486)));
    assert!(third.text.ends_with("\r\n\r\nhello"));
    answer(&mut stage, &third, "202 Accepted");
    assert_eq!(stage.event(), replied(CALL, 3, 202));

    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    assert_eq!(bye.header("CSeq"), "4 BYE");
    answer(&mut stage, &bye, "200 OK");
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn what_waits_is_bounded_and_is_told_of_the_end() {
    let mut stage = Stage::new();
    talking(&mut stage);
    for number in 1..=17 {
        stage.command(info(CALL, number));
    }
    let full = stage.endpoint.command(stage.now, info(CALL, 18));
    assert_eq!((full, kinds(&stage.sent())), (Err(CommandError::Full), vec!["INFO".to_owned()]));
    // The BYE waits for nobody, and nobody who waited is forgotten.
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    assert_eq!(bye.header("CSeq"), "2 BYE");
    assert_eq!(stage.events(), (1..=17).map(|number| replied(CALL, number, 487)).collect::<Vec<_>>());
    let late = stage.endpoint.command(stage.now, info(CALL, 19));
    assert_eq!(late, Err(CommandError::WrongState));
    answer(&mut stage, &bye, "200 OK");
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    // The INFO on its way goes on alone until nobody has answered it.
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn the_peer_hangs_up_on_a_request() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(info(CALL, 1));
    let info = stage.one();
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.one().status(), 200);
    let expected = [replied(CALL, 1, 487), ended(CALL, EndCause::Bye { reason: None })];
    assert_eq!(stage.events(), expected);
    answer(&mut stage, &info, "200 OK");
    assert_eq!(stage.events(), []);
    stage.assert_nothing_left();
}

#[test]
fn a_request_is_sent_again_with_credentials() {
    let mut stage = Stage::new();
    let mut call = invite(TO);
    call.routes[0].credentials =
        Some(Credentials { username: "bob".to_owned(), password: "zanzibar".to_owned() });
    let invite = placed(&mut stage, call);
    stage.receive(&invite.response("200 OK", "bob", CONTACT));
    stage.drain();
    stage.command(info(OUTBOUND, 1));
    let first = stage.one();
    assert_eq!((first.header("CSeq"), first.all("Authorization").len()), ("2 INFO", 0));
    let challenge = |nonce: &str, stale: &str| {
        format!("WWW-Authenticate: Digest realm=\"biloxi.com\", nonce=\"{nonce}\", qop=\"auth\"{stale}\r\n")
    };
    stage.receive(&first.response("401 Unauthorized", "", &challenge("one", "")));
    let second = stage.one();
    assert_eq!(second.header("CSeq"), "3 INFO");
    assert_ne!(second.branch(), first.branch());
    assert!(second.header("Authorization").contains("uri=\"sip:100@192.0.2.7\""));
    assert!(second.header("Authorization").contains("nonce=\"one\""));
    assert!(second.text.ends_with("\r\n\r\nSignal=1"));
    stage.receive(&second.response("401 Unauthorized", "", &challenge("two", ", stale=true")));
    let third = stage.one();
    assert_eq!(third.header("CSeq"), "4 INFO");
    assert!(third.header("Authorization").contains("nonce=\"two\""));
    assert_eq!(stage.events(), []);
    // The same password is not tried a second time.
    stage.receive(&third.response("401 Unauthorized", "", &challenge("three", "")));
    assert_eq!((stage.sent().len(), stage.event()), (0, replied(OUTBOUND, 1, 401)));
    // The next request begins with what is known, and has its own tries.
    stage.command(info(OUTBOUND, 2));
    let next = stage.one();
    assert!(next.header("Authorization").contains("nonce=\"two\""));
    stage.receive(&next.response("401 Unauthorized", "", &challenge("four", "")));
    let again = stage.one();
    assert!(again.header("Authorization").contains("nonce=\"four\""));
    answer(&mut stage, &again, "200 OK");
    assert_eq!(stage.event(), replied(OUTBOUND, 2, 200));
}

#[test]
fn a_call_that_the_peer_does_not_know_is_over() {
    for status in ["481 Call/Transaction Does Not Exist", "408 Request Timeout"] {
        let code = status[..3].parse().unwrap();
        let mut stage = Stage::new();
        talking(&mut stage);
        stage.command(info(CALL, 1));
        let info_1 = stage.one();
        stage.command(info(CALL, 2));
        answer(&mut stage, &info_1, status);
        // RFC 3261 §12.2.1.2: the dialog is terminated, by a BYE.
        let bye = stage.one();
        assert_eq!(bye.header("CSeq"), "2 BYE");
        let expected = [replied(CALL, 1, code), replied(CALL, 2, 487), ended(CALL, EndCause::Lost)];
        assert_eq!(stage.events(), expected);
        answer(&mut stage, &bye, "481 Gone");
        stage.assert_nothing_left();

        let mut stage = Stage::new();
        answered(&mut stage);
        stage.command(info(OUTBOUND, 1));
        let info = stage.one();
        answer(&mut stage, &info, status);
        let bye = stage.one();
        assert_eq!(bye.header("CSeq"), "3 BYE");
        assert_eq!(stage.events(), [replied(OUTBOUND, 1, code), ended(OUTBOUND, EndCause::Lost)]);
        answer(&mut stage, &bye, "200 OK");
        stage.assert_nothing_left();
    }
}

#[test]
fn a_peer_that_answers_nothing_is_lost() {
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.command(info(CALL, 1));
    assert_eq!(stage.one().kind(), "INFO");
    let sent = stage.pass(Duration::from_millis(31_999));
    assert_eq!((times(&sent, "INFO"), stage.events()), (TIMER_E.to_vec(), vec![]));
    let sent = stage.pass(Duration::from_millis(1));
    assert_eq!(times(&sent, "BYE"), [1]);
    assert_eq!(stage.events(), [replied(CALL, 1, 408), ended(CALL, EndCause::Lost)]);
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn a_request_that_cannot_be_sent_leaves_the_call() {
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.command(info(CALL, 1));
    stage.drain();
    let flow = Flow { transport: Transport::Udp, local: address(OURS), remote: address(PEER), name: None };
    stage.endpoint.transport_failed(stage.now, flow);
    assert_eq!(stage.events(), [replied(CALL, 1, 503)]);
    stage.command(info(CALL, 2));
    assert_eq!(stage.one().header("CSeq"), "2 INFO");
}

#[test]
fn a_request_waits_for_the_address_of_the_next_hop() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.receive(&invite.response("200 OK", "bob", "Contact: <sip:bob@pbx.example.com>\r\n"));
    let Some(Event::Resolve { query, .. }) =
        stage.events().into_iter().find(|event| matches!(event, Event::Resolve { .. }))
    else {
        panic!()
    };
    stage.command(info(OUTBOUND, 1));
    assert_eq!(stage.sent().len(), 0, "the ACK waits too");
    stage.command(Command::Resolved { query, targets: vec![udp("192.0.2.99:5060")] });
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "INFO"]);
    assert!(sent.iter().all(|message| message.to == address("192.0.2.99:5060")));
}

/// What a peer may send inside a dialog, other than BYE.
const METHODS: [&str; 7] = ["INFO", "MESSAGE", "NOTIFY", "OPTIONS", "REFER", "INVITE", "UPDATE"];

/// A request of the peer of our call in, with what every method wants.
fn any(method: &str, cseq: u32, branch: &str, tag: &str) -> String {
    let headers = "Refer-To: <sip:900@192.0.2.66>\r\nEvent: refer\r\nSubscription-State: active\r\n\
                   Content-Type: text/plain\r\n";
    request(&format!("{cseq} {method}"), branch, tag, headers)
        .replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello")
}

/// The statuses of what was sent, without the 100 that nobody counts.
fn statuses(stage: &mut Stage) -> Vec<u16> {
    stage.sent().iter().map(Sent::status).collect()
}

#[test]
fn s1_requests_with_a_wrong_tag_are_of_no_dialog() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let transactions = stage.endpoint.counters().transactions;
    for (number, method) in (2..).zip(METHODS.into_iter().chain(["BYE"])) {
        for (case, (from, to)) in
            [("alice", "guess"), ("mallory", &*tag), ("", &*tag)].into_iter().enumerate()
        {
            let from = if from.is_empty() { String::new() } else { format!(";tag={from}") };
            let forged =
                any(method, number, &format!("forged{number}-{case}"), to).replace(";tag=alice", &from);
            stage.receive(&forged);
            assert_eq!(statuses(&mut stage), [481], "{forged}");
        }
    }
    assert_eq!(stage.events(), []);
    // Nothing is kept of them (reliability G17), and the numbers that they claimed are not taken.
    assert_eq!(stage.endpoint.counters().transactions, transactions);
    stage.receive(&request("2 OPTIONS", "real", &tag, ""));
    assert_eq!(statuses(&mut stage), [200]);
}

#[test]
fn s1_requests_whose_number_does_not_rise_do_nothing() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&request("1000 OPTIONS", "real", &tag, ""));
    assert_eq!(statuses(&mut stage), [200]);
    for (case, method) in METHODS.into_iter().chain(["BYE"]).enumerate() {
        for cseq in [0, 1, 999, 1000] {
            stage.receive(&any(method, cseq, &format!("replayed{case}-{cseq}"), &tag));
            assert_eq!(statuses(&mut stage), [500], "{method} {cseq}");
        }
    }
    assert_eq!(stage.events(), []);
    stage.receive(&request("1001 BYE", "bye", &tag, ""));
    assert_eq!(statuses(&mut stage), [200]);
}

#[test]
fn s11_a_bye_that_nobody_answers_ends_the_call() {
    let mut stage = Stage::new();
    talking(&mut stage);
    stage.command(Command::Bye { session: CALL, reason: None });
    assert_eq!(stage.one().kind(), "BYE");
    let sent = stage.pass(Duration::from_millis(31_999));
    assert_eq!((times(&sent, "BYE"), stage.events()), (TIMER_E.to_vec(), vec![]));
    assert_eq!(stage.pass(Duration::from_millis(1)).len(), 0);
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    let counters = stage.endpoint.counters();
    // All that is left is what absorbs late copies of the INVITE.
    assert_eq!((counters.sessions, counters.transactions), (0, 0));
    stage.assert_nothing_left();

    let mut stage = Stage::new();
    answered(&mut stage);
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    stage.drain();
    stage.pass(Duration::from_millis(31_999));
    assert_eq!(stage.events(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.event(), ended(OUTBOUND, EndCause::Local));
    stage.assert_nothing_left();
}

#[test]
fn s11_a_bye_that_is_refused_ends_the_call() {
    for status in ["481 Call Does Not Exist", "408 Request Timeout", "500 Oops", "403 No", "401 Who"] {
        let mut stage = Stage::new();
        talking(&mut stage);
        stage.command(Command::Bye { session: CALL, reason: None });
        let bye = stage.one();
        answer(&mut stage, &bye, status);
        assert_eq!((stage.sent().len(), stage.event()), (0, ended(CALL, EndCause::Local)), "{status}");
        stage.assert_nothing_left();
    }
}

#[test]
fn s11_a_lost_bye_is_sent_again() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(Command::Bye { session: CALL, reason: None });
    let lost = stage.one();
    let sent = stage.pass(Duration::from_millis(500));
    assert_eq!(sent[0].1.text, lost.text);
    answer(&mut stage, &sent[0].1, "200 OK");
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));

    // And where our answer to the peer's is lost, it is sent again, and nothing ends twice.
    let mut stage = Stage::new();
    let tag_2 = talking(&mut stage);
    assert_eq!(tag.len(), tag_2.len());
    for _ in 0..3 {
        stage.receive(&request("2 BYE", "bye", &tag_2, ""));
        assert_eq!(statuses(&mut stage), [200]);
    }
    assert_eq!(stage.event(), ended(CALL, EndCause::Bye { reason: None }));
    stage.assert_nothing_left();
}

#[test]
fn s15_a_200_that_crosses_our_cancel_is_hung_up() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage, invite(TO));
    stage.receive(&invite.response("180 Ringing", "bob", CONTACT));
    stage.events();
    stage.command(Command::Cancel { session: OUTBOUND, reason: None });
    assert_eq!(stage.one().kind(), "CANCEL");
    stage.receive(&invite.response("200 OK", "bob", CONTACT));
    let sent = stage.sent();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    assert_eq!(stage.events(), [], "it is no call any more");
    answer(&mut stage, &sent[1], "200 OK");
    assert_eq!(stage.event(), ended(OUTBOUND, EndCause::Local));
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn s15_a_cancel_that_crosses_our_200_changes_nothing() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&request("1 CANCEL", "invite", "", ""));
    assert_eq!(statuses(&mut stage), [200]);
    assert_eq!(stage.events(), []);
    stage.receive(&request("2 OPTIONS", "still", &tag, ""));
    assert_eq!(statuses(&mut stage), [200]);
}

#[test]
fn s15_what_crosses_our_bye_does_not_revive_the_call() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.command(Command::Bye { session: CALL, reason: None });
    let bye = stage.one();
    for (number, method) in (2..).zip(METHODS) {
        stage.receive(&any(method, number, &format!("crosses{number}"), &tag));
        assert_eq!(statuses(&mut stage), [481], "{method}");
    }
    assert_eq!(stage.events(), []);
    stage.receive(&request("20 BYE", "bye", &tag, ""));
    assert_eq!(statuses(&mut stage), [200], "the two BYEs crossed");
    answer(&mut stage, &bye, "200 OK");
    assert_eq!(stage.event(), ended(CALL, EndCause::Local));
    let transactions = stage.endpoint.counters().transactions;
    for (number, method) in (30..).zip(METHODS.into_iter().chain(["BYE"])) {
        stage.receive(&any(method, number, &format!("late{number}"), &tag));
        assert_eq!(statuses(&mut stage), [481], "{method}");
    }
    assert_eq!((stage.events(), stage.endpoint.counters().transactions), (vec![], transactions));
}

#[test]
fn s15_what_follows_the_bye_of_the_peer_does_not_revive_the_call() {
    let mut stage = Stage::new();
    let invite = answered(&mut stage);
    stage.receive(&from_callee(&invite, "1 BYE", "bye", "bob"));
    assert_eq!(statuses(&mut stage), [200]);
    assert_eq!(stage.event(), ended(OUTBOUND, EndCause::Bye { reason: None }));
    for (number, method) in (2..).zip(METHODS) {
        stage.receive(&from_callee(&invite, &format!("{number} {method}"), &format!("late{number}"), "bob"));
        assert_eq!(statuses(&mut stage), [481], "{method}");
    }
    let command = stage.endpoint.command(stage.now, info(OUTBOUND, 1));
    assert_eq!((command, stage.events()), (Err(CommandError::Unknown), vec![]));
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

/// RFC 3261 §8.2.3: what is not understood is refused with what would be, unless its sender says that it may be ignored
/// (§20.11). An INFO without a body asks only whether the call is there (RFC 6086 §4.2.2).
#[test]
fn an_info_that_says_what_nobody_understands() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let mut number = 1;
    let mut status = |headers: &str| {
        number += 1;
        let info = request(&format!("{number} INFO"), &format!("info{number}"), &tag, headers);
        stage.receive(&info.replace("Content-Length: 0\r\n\r\n", "Content-Length: 1\r\n\r\n5"));
        let response = stage.one();
        let accept = response.all("Accept").first().map(|&accept| accept.to_owned());
        (response.status(), accept, stage.events().len())
    };
    let understood = Some("application/dtmf-relay, application/dtmf".to_owned());
    assert_eq!(status("Content-Type: application/media_control+xml\r\n"), (415, understood.clone(), 0));
    assert_eq!(status("c: text/plain;charset=utf-8\r\n"), (415, understood.clone(), 0));
    assert_eq!(status("Content-Type: multipart/mixed;boundary=x\r\n"), (415, understood.clone(), 0));
    assert_eq!(status(""), (415, understood, 0), "it has to say what it is, §20.15");
    let optional = "Content-Disposition: render;handling=optional\r\n";
    assert_eq!(status(&format!("c: text/plain\r\n{optional}")), (200, None, 0));
    assert_eq!(status("Content-Type: Application/DTMF-relay; x=y\r\n"), (200, None, 1));
    assert_eq!(status("Content-Type: application/dtmf\r\n"), (200, None, 1));
    stage.receive(&request("20 INFO", "empty", &tag, "Content-Type: text/plain\r\n"));
    assert_eq!((stage.one().status(), stage.events().len()), (200, 0));
}

#[test]
fn an_info_of_a_package_that_we_never_asked_for() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let package = request("2 INFO", "info", &tag, "Info-Package: g.3gpp.ussd\r\n");
    stage.receive(&package.replace("Content-Length: 0\r\n\r\n", "c: text/plain\r\nl: 1\r\n\r\n1"));
    let refused = stage.one();
    assert_eq!((refused.status(), refused.header("Recv-Info")), (469, ""));
    assert_eq!(stage.events(), []);
}
