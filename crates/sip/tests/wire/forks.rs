//! One INVITE of ours, answered from more than one place (RFC 3261 §12.1.2, §13.2.2.4).

use std::time::Duration;

use offhook_sip::event::{Command, EndCause, Event};

use crate::stage::{OUTBOUND, Sent, Stage, address, invite, kinds};

fn contact(host: &str) -> String {
    format!("Contact: <sip:100@{host}>\r\n")
}

fn placed(stage: &mut Stage) -> Sent {
    stage.command(Command::Invite(Box::new(invite("sip:100@192.0.2.7"))));
    stage.events();
    stage.one()
}

#[test]
fn s13_the_first_2xx_wins_and_the_other_is_hung_up() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&invite.response("180 Ringing", "bob", &contact("192.0.2.31")));
    stage.receive(&invite.response("183 Session Progress", "carol", &contact("192.0.2.32")));
    assert_eq!(stage.events().len(), 2);
    let ok = |tag: &str, host: &str| invite.response("200 OK", tag, &contact(host));
    stage.receive(&ok("carol", "192.0.2.32"));
    let ack = stage.one();
    assert_eq!((ack.kind(), ack.to_tag(), ack.to), ("ACK".to_owned(), "carol", address("192.0.2.32:5060")));
    let also_rang = vec!["sip:100@192.0.2.31".to_owned()];
    assert_eq!(stage.event(), Event::Answered { session: OUTBOUND, body: None, also_rang });

    // Bob's, which rang, and Dave's, which nobody has heard of.
    for (tag, host) in [("bob", "192.0.2.31"), ("dave", "192.0.2.33")] {
        stage.receive(&ok(tag, host));
        let sent = stage.sent();
        assert_eq!(kinds(&sent), ["ACK", "BYE"]);
        let peer = address(&format!("{host}:5060"));
        assert!(sent.iter().all(|message| message.to_tag() == tag && message.to == peer));
        assert_eq!((sent[0].header("CSeq"), sent[1].header("CSeq")), ("1 ACK", "2 BYE"));
        stage.receive(&ok(tag, host));
        assert_eq!(stage.one().text, sent[0].text, "the repeated 2xx gets its ACK, and no second BYE");
        stage.receive(&sent[1].response("200 OK", "", ""));
    }
    assert_eq!(stage.events(), []);
    stage.receive(&ok("carol", "192.0.2.32"));
    assert_eq!(stage.one().text, ack.text);

    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    assert_eq!(bye.to_tag(), "carol");
    stage.receive(&bye.response("200 OK", "", ""));
    assert_eq!(stage.event(), Event::Ended { session: OUTBOUND, cause: EndCause::Local });
    stage.assert_nothing_left();
}

#[test]
fn s13_a_second_2xx_after_the_end_is_hung_up_too() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&invite.response("200 OK", "bob", &contact("192.0.2.31")));
    stage.sent();
    stage.command(Command::Bye { session: OUTBOUND, reason: None });
    let bye = stage.one();
    stage.receive(&bye.response("200 OK", "", ""));
    stage.events();
    stage.receive(&invite.response("200 OK", "carol", &contact("192.0.2.32")));
    assert_eq!(kinds(&stage.sent()), ["ACK", "BYE"]);
    stage.pass(Duration::from_secs(32));
    stage.assert_nothing_left();
}

#[test]
fn s13_a_forking_flood_is_bounded() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    for fork in 0..100 {
        stage.receive(&invite.response("180 Ringing", &format!("t{fork}"), &contact("192.0.2.31")));
    }
    stage.events();
    let mut acks = 0;
    for fork in 0..100 {
        stage.receive(&invite.response("200 OK", &format!("t{fork}"), &contact("192.0.2.31")));
        acks += kinds(&stage.sent()).iter().filter(|kind| *kind == "ACK").count();
    }
    assert_eq!(acks, 16);
    let also_rang = vec!["sip:100@192.0.2.31".to_owned(); 15];
    assert_eq!(stage.event(), Event::Answered { session: OUTBOUND, body: None, also_rang });
}

/// Whose telephone rings says 180 (RFC 3261 §21.1.2), and no other provisional response.
#[test]
fn who_rang_too_is_told_with_the_answer() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    let responses = [
        ("180 Ringing", "bob", "192.0.2.31"),
        ("183 Session Progress", "bob", "192.0.2.31"),
        ("183 Session Progress", "carol", "192.0.2.32"),
        ("183 Session Progress", "dave", "192.0.2.33"),
        ("180 Ringing", "dave", "192.0.2.33"),
        ("181 Call Is Being Forwarded", "erin", "192.0.2.34"),
        ("180 Ringing", "frank", "192.0.2.35"),
    ];
    for (status, tag, host) in responses {
        stage.receive(&invite.response(status, tag, &contact(host)));
    }
    stage.events();
    stage.receive(&invite.response("200 OK", "frank", &contact("192.0.2.35")));
    let also_rang = ["sip:100@192.0.2.31", "sip:100@192.0.2.33"].map(str::to_owned).to_vec();
    assert_eq!(stage.event(), Event::Answered { session: OUTBOUND, body: None, also_rang });
}

#[test]
fn s13_a_100_with_a_tag_fixes_nothing() {
    let mut stage = Stage::new();
    let invite = placed(&mut stage);
    stage.receive(&invite.response("100 Trying", "proxy", ""));
    stage.receive(&invite.response("200 OK", "bob", &contact("192.0.2.31")));
    assert_eq!(stage.one().to_tag(), "bob");
}
