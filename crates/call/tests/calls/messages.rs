//! Messages, inside calls and outside of them, both ways.

use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_sip::event::{self as sip, IncomingMessage, PageId, SessionId};

use crate::rig::{Rig, bye, gateway, inbound, leg_removed, page, text};

fn incoming(session: Option<SessionId>, gateway: Option<&str>) -> sip::Event {
    sip::Event::Message(Box::new(IncomingMessage {
        session,
        gateway: gateway.map(Into::into),
        from: "sip:alice@192.0.2.7".to_owned(),
        to: "sip:4000@198.51.100.1".to_owned(),
        body: text("hello"),
    }))
}

fn send(call: CallId, what: &str) -> Command {
    Command::SendMessage { call, body: text(what) }
}

fn replied(call: CallId, request: u64, status: u16) -> sip::Event {
    sip::Event::Replied { session: inbound(call), request: sip::RequestId(request), status }
}

const TOLD: &str = "message from sip:alice@192.0.2.7 to sip:4000@198.51.100.1: hello";

#[test]
fn a_message_inside_a_call_is_the_calls() {
    let mut rig = Rig::new();
    let call = rig.answered();
    assert_eq!(rig.sip(incoming(Some(inbound(call)), None)), [format!("1: {TOLD}")]);
}

/// It has been answered 200, so it must be told to somebody.
#[test]
fn a_message_of_no_call_is_the_nodes() {
    let mut rig = Rig::new();
    assert_eq!(rig.sip(incoming(None, Some("carrier"))), [format!("node: carrier {TOLD}")]);
    assert_eq!(rig.sip(incoming(Some(SessionId::Inbound(77)), None)), [format!("node: nobody {TOLD}")]);
}

#[test]
fn messages_out_are_completed_each_by_its_own_answer() {
    let mut rig = Rig::new();
    let call = rig.answered();
    assert_eq!(rig.request(send(call, "one")), ["sip Message 1 one", "reply Message(MessageId(1))"]);
    assert_eq!(rig.request(send(call, "two")), ["sip Message 2 two", "reply Message(MessageId(2))"]);
    assert_eq!(rig.sip(replied(call, 2, 415)), ["1: message 2 refused Some(415)"]);
    assert_eq!(rig.sip(replied(call, 1, 200)), ["1: message 1 ok Some(200)"]);
    assert_eq!(rig.sip(replied(call, 1, 200)), [""; 0]);
    rig.request(send(call, "three"));
    assert_eq!(rig.sip(replied(call, 3, 408)), ["1: message 3 timeout Some(408)"]);
}

#[test]
fn a_hang_up_completes_what_is_not_answered() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(send(call, "one"));
    rig.request(send(call, "two"));
    assert_eq!(
        rig.sip(bye(inbound(call))),
        ["media remove 1", "1: message 1 hangup None", "1: message 2 hangup None", "1: Idle→Released"]
    );
    assert_eq!(rig.sip(replied(call, 1, 200)), [""; 0]);
    rig.media(leg_removed(call));
    assert!(rig.is_clean());
}

#[test]
fn messages_that_wait_are_bounded() {
    let mut rig = Rig::new();
    let call = rig.answered();
    for _ in 0..16 {
        rig.request(send(call, "x"));
    }
    assert_eq!(rig.request(send(call, "x")), [r#"refuse LimitReached { limit: "messages", value: 16 }"#]);
    rig.sip(replied(call, 1, 200));
    assert_eq!(rig.request(send(call, "x")).len(), 2);
}

#[test]
fn a_page_goes_the_next_way_where_nobody_answers() {
    let mut rig = Rig::new();
    rig.calls.set_gateways(vec![gateway("carrier", &[9, 10])]);
    let sent = rig.request(page("sip:100@carrier"));
    assert_eq!(
        sent,
        ["sip page 1 to sip:100@192.0.2.9 from sip:1000@192.0.2.1", "reply Message(MessageId(1))"]
    );
    let paged = |status| sip::Event::Paged { page: PageId(1), status };
    assert_eq!(rig.sip(paged(503)), ["sip page 1 to sip:100@192.0.2.10 from sip:1000@192.0.2.1"]);
    assert_eq!(rig.sip(paged(200)), ["node: message 1 ok 200"]);
    assert_eq!(rig.sip(paged(200)), [""; 0]);
    rig.request(page("sip:100@198.51.100.9"));
    let paged = |status| sip::Event::Paged { page: PageId(2), status };
    assert_eq!(rig.sip(paged(408)), ["node: message 2 timeout 408"], "there is no other way");
}

#[test]
fn pages_that_wait_are_bounded() {
    let mut rig = Rig::new();
    for _ in 0..1000 {
        rig.request(page("sip:100@198.51.100.9"));
    }
    let refused = r#"refuse LimitReached { limit: "messages", value: 1000 }"#;
    assert_eq!(rig.request(page("sip:100@198.51.100.9")), [refused]);
}
