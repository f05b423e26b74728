//! The timers of RFC 3261 §17 and §13.3.1.4, to the millisecond.

use std::time::Duration;

use offhook_sip::event::{Command, EndCause, Event, SessionId, Transport};

use crate::stage::{OUTBOUND, PEER, Stage, invite, request, sdp, times};

const CALL: SessionId = SessionId::Inbound(1);
/// T1 doubling without a cap: Timer A of 64·T1.
const A: [u128; 6] = [500, 1500, 3500, 7500, 15500, 31500];
/// T1 doubling to T2, for 64·T1: Timers E and G, and the 2xx.
const E: [u128; 10] = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];

#[test]
fn an_invite_that_nobody_answers() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let first = stage.one();
    let sent = stage.pass(Duration::from_secs(100));
    assert_eq!(times(&sent, "INVITE"), A);
    assert!(sent.iter().all(|(_, message)| message.text == first.text));
    assert_eq!(stage.endpoint.counters().retransmissions, 6);
}

#[test]
fn a_provisional_response_stops_the_invite() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let first = stage.one();
    stage.pass(Duration::from_millis(600));
    stage.receive(&first.response("100 Trying", "", ""));
    assert_eq!(stage.pass(Duration::from_secs(179)).len(), 0);
}

#[test]
fn s10_an_answer_that_nobody_acknowledges() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut stage = Stage::new();
        stage.receive_by(transport, PEER, &request("1 INVITE", "invite", "", ""));
        stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
        let ok = stage.sent().pop().unwrap();
        stage.events();
        let sent = stage.pass(Duration::from_millis(31_999));
        assert_eq!(times(&sent, "200"), E, "{transport}: the core repeats it on every transport");
        assert!(sent.iter().all(|(_, message)| message.text == ok.text));
        assert_eq!(stage.events(), []);
        let sent = stage.pass(Duration::from_millis(1));
        assert_eq!(times(&sent, "BYE"), [1]);
        assert_eq!(stage.event(), Event::Ended { session: CALL, cause: EndCause::NoAck });
        let sent = stage.pass(Duration::from_secs(100));
        let bye_again = times(&sent, "BYE");
        assert_eq!(bye_again, E.to_vec(), "the Contact says UDP");
        stage.assert_nothing_left();
    }
}

#[test]
fn s10_a_lost_ack() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.command(Command::Answer { session: CALL, body: sdp("v=0\r\n") });
    let tag = stage.sent().pop().unwrap().to_tag().to_owned();
    stage.events();
    // The INVITE comes again, as our 200 was late: the 2xx is the core's, on its own clock.
    stage.receive(&request("1 INVITE", "invite", "", ""));
    let sent = stage.pass(Duration::from_secs(2));
    assert_eq!(times(&sent, "200"), [500, 1500]);
    // The ACK of another INVITE is none.
    stage.receive(&request("2 ACK", "ack2", &tag, ""));
    assert_eq!(stage.events(), []);
    stage.receive(&request("1 ACK", "ack", &tag, ""));
    assert_eq!(stage.event(), Event::Acked { session: CALL, body: None });
    assert_eq!(stage.pass(Duration::from_secs(100)).len(), 0);
}

#[test]
fn a_refusal_that_nobody_acknowledges() {
    let mut stage = Stage::new();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    stage.command(Command::Reject { session: CALL, status: 486, headers: Vec::new() });
    let busy = stage.sent().pop().unwrap();
    stage.receive(&request("1 INVITE", "invite", "", ""));
    assert_eq!(stage.one().text, busy.text, "for the repeated INVITE, beside Timer G");
    let sent = stage.pass(Duration::from_secs(100));
    assert_eq!(times(&sent, "486"), E);
    stage.events();
    stage.assert_nothing_left();
}

#[test]
fn a_bye_that_nobody_answers() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let ok = stage.one().response("200 OK", "bob", "Contact: <sip:100@192.0.2.7>\r\n");
    stage.receive(&ok);
    stage.sent();
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    stage.sent();
    stage.events();
    let sent = stage.pass(Duration::from_millis(31_999));
    assert_eq!(times(&sent, "BYE"), E);
    assert_eq!(stage.events(), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.event(), Event::Ended { session: OUTBOUND, cause: EndCause::Local });
    stage.assert_nothing_left();
}

#[test]
fn a_provisional_response_slows_a_bye() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    let ok = stage.one().response("200 OK", "bob", "Contact: <sip:100@192.0.2.7>\r\n");
    stage.receive(&ok);
    stage.sent();
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    stage.receive(&bye.response("100 Trying", "", ""));
    // RFC 3261 §17.1.2.2: the timer that runs fires at its time, from then on it is T2.
    let sent = stage.pass(Duration::from_secs(14));
    assert_eq!(times(&sent, "BYE"), [500, 4500, 8500, 12500]);
}

#[test]
fn the_last_provisional_response_is_repeated_and_refreshed() {
    let mut stage = Stage::new();
    let invite = request("1 INVITE", "invite", "", "");
    stage.receive(&invite);
    stage.receive(&invite);
    assert_eq!(stage.sent().len(), 0, "nothing was sent that could be repeated");
    let sent = stage.pass(Duration::from_millis(200));
    assert_eq!(times(&sent, "100"), [200]);
    let trying = &sent[0].1;
    stage.receive(&invite);
    assert_eq!(stage.one().text, trying.text);
    stage.command(Command::Progress { session: CALL, status: 180, body: None });
    let ringing = stage.one();
    stage.receive(&invite);
    assert_eq!(stage.one().text, ringing.text);
    assert_eq!(stage.events().len(), 1, "one call");
    let sent = stage.pass(Duration::from_secs(200));
    assert_eq!(times(&sent, "100").len(), 0);
    // RFC 3261 §13.3.1.1: at every minute.
    assert_eq!(times(&sent, "180"), [60_000, 120_000, 180_000]);
}

#[test]
fn a_process_that_stood_still_sends_no_burst() {
    let mut stage = Stage::new();
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    stage.one();
    stage.now += Duration::from_secs(20);
    stage.endpoint.handle_timeout(stage.now);
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn tcp_repeats_neither_requests_nor_refusals() {
    let mut stage = Stage::new();
    stage.receive_by(Transport::Tcp, PEER, &request("1 INVITE", "invite", "", ""));
    stage.command(Command::Reject { session: CALL, status: 486, headers: Vec::new() });
    stage.sent();
    stage.events();
    assert_eq!(stage.pass(Duration::from_secs(10)).len(), 0);
    stage.receive_by(Transport::Tcp, PEER, &request("1 ACK", "invite", "x", ""));
    assert_eq!(stage.endpoint.counters().transactions, 0);
    stage.assert_nothing_left();
}
