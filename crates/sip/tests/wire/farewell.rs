//! Calls of an earlier run of the process, which this one ends: what it knows of them is what the other one could say.

use std::time::Duration;

use offhook_sip::event::{Command, DialogState, Event, Reason};

use crate::inbound::{CALL, talking};
use crate::outbound::{TO, answered, placed};
use crate::stage::{OUTBOUND, Stage, address, invite, request, times, udp};

fn farewell(dialog: DialogState) -> Command {
    let reason = Reason { cause: 500, text: "restart".to_owned() };
    Command::Farewell(Box::new((dialog, Some(reason))))
}

/// The number of a request.
fn number(cseq: &str) -> u32 {
    cseq.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_next_run_hangs_up_a_call_that_came_in() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let dialog = stage.endpoint.dialog(CALL).unwrap();

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
    let dialog = stage.endpoint.dialog(OUTBOUND).unwrap();

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
    let dialog = stage.endpoint.dialog(OUTBOUND).unwrap();

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
fn who_is_not_answered_or_is_hung_up_has_no_dialog_to_end() {
    let mut stage = Stage::new();
    placed(&mut stage, invite(TO));
    assert_eq!(stage.endpoint.dialog(OUTBOUND), None);
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    stage.receive(&request("2 BYE", "bye", &tag, ""));
    assert_eq!(stage.endpoint.dialog(CALL), None);
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
