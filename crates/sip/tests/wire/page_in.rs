//! MESSAGE that comes in (RFC 3428).

use std::time::Duration;

use offhook_sip::event::{Body, Doors, Event, IncomingMessage};

use crate::inbound::{CALL, ringing, talking};
use crate::stage::{Sent, Stage, request};

fn message(number: u32, tag: &str, headers: &str, text: &str) -> String {
    let headers = format!("{headers}Content-Length: {}\r\n\r\n{text}", text.len());
    let message = request(&format!("{number} MESSAGE"), &format!("message{number}"), tag, "");
    message.replace("Contact: <sip:alice@192.0.2.7>\r\n", "").replace("Content-Length: 0\r\n\r\n", &headers)
}

#[track_caller]
fn check(stage: &mut Stage, message: &str, status: u16) -> Sent {
    stage.receive(message);
    let response = stage.one();
    assert_eq!(response.status(), status, "{}", response.text);
    response
}

#[test]
fn a_message_is_told_once() {
    let mut stage = Stage::new();
    let text = message(1, "", "Content-Type: text/plain;charset=UTF-8\r\n", "Watson, come here. ü");
    let told = IncomingMessage {
        session: None,
        gateway: Some("peer".into()),
        from: "sip:alice@example.com".to_owned(),
        to: "sip:100@198.51.100.1".to_owned(),
        body: Body {
            content_type: "text/plain;charset=UTF-8".to_owned(),
            bytes: "Watson, come here. ü".as_bytes().to_vec(),
        },
    };
    let ok = check(&mut stage, &text, 200);
    assert_eq!((ok.all("Contact").len(), ok.to_tag().is_empty()), (0, false), "RFC 3428 §7");
    assert_eq!(stage.event(), Event::Message(Box::new(told.clone())));
    check(&mut stage, &text, 200);
    assert_eq!(stage.events(), [], "a retransmission");
    check(&mut stage, &text.replace("bKmessage1", "bKother-path"), 482);
    assert_eq!(stage.events(), []);

    let tag = talking(&mut stage);
    check(&mut stage, &message(2, &tag, "c: text/plain;charset=UTF-8\r\n", "Watson, come here. ü"), 200);
    let told = IncomingMessage { session: Some(CALL), gateway: None, ..told };
    assert_eq!(stage.event(), Event::Message(Box::new(told)));
}

/// As an INVITE is: whoever ends has nobody any more who would hear of it. What is said in a call goes on.
#[test]
fn who_takes_nothing_any_more_takes_no_message() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    let plain = "Content-Type: text/plain\r\n";
    let retry_after = Duration::from_secs(17);
    stage.endpoint.set_doors(Doors::NoCalls { retry_after });
    check(&mut stage, &message(1, "", plain, "x"), 200);
    stage.endpoint.set_doors(Doors::Shut { retry_after });
    let refused = check(&mut stage, &message(2, "", plain, "x"), 503);
    assert_eq!((refused.header("Retry-After"), stage.events().len()), ("17", 1));
    check(&mut stage, &message(3, &tag, plain, "x"), 200);
    assert_eq!(stage.events().len(), 1);
}

#[test]
fn a_message_in_an_early_dialog() {
    let mut stage = Stage::new();
    let tag = ringing(&mut stage);
    check(&mut stage, &message(2, &tag, "Content-Type: text/plain\r\n", "soon"), 200);
    assert!(matches!(stage.event(), Event::Message(message) if message.session == Some(CALL)));
}

#[test]
fn what_is_no_message() {
    let mut stage = Stage::new();
    let tag = talking(&mut stage);
    for tag in ["", &*tag] {
        let n = if tag.is_empty() { 10 } else { 20 };
        let plain = "Content-Type: text/plain\r\n";
        check(&mut stage, &message(n, tag, "", "x"), 400);
        let sdp = check(&mut stage, &message(n + 1, tag, "Content-Type: application/sdp\r\n", "x"), 415);
        assert_eq!(sdp.header("Accept"), "text/*, message/*, multipart/*");
        let gzip = format!("{plain}Content-Encoding: gzip\r\n");
        let gzip = check(&mut stage, &message(n + 2, tag, &gzip, "x"), 415);
        assert_eq!(gzip.header("Accept-Encoding"), "identity");
        check(&mut stage, &message(n + 3, tag, plain, &"x".repeat(16 * 1024 + 1)), 413);
        check(&mut stage, &message(n + 4, tag, "", ""), 200);
        assert_eq!(stage.events(), []);
        check(&mut stage, &message(n + 5, tag, plain, &"x".repeat(16 * 1024)), 200);
        check(&mut stage, &message(n + 6, tag, "Content-Type: Message/CPIM\r\n", "x"), 200);
        assert_eq!(stage.events().len(), 2);
    }
    stage.receive_from("203.0.113.9:5060", &message(1, "", "Content-Type: text/plain\r\n", "buy"));
    assert_eq!((stage.sent().len(), stage.events().len()), (0, 0));
}
