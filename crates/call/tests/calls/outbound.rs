//! Calls that are placed: `construct`, `on_ringing`, `on_dial_completed`.

use offhook_call::Output;
use offhook_call::command::{Command, Construct};
use offhook_call::id::CallId;
use offhook_media::event::Codec;
use offhook_sip::event::{self as sip, EndCause, Refuser, SessionId};

use crate::rig::*;

const CALL: CallId = CallId(1);
const SESSION: SessionId = SessionId::Outbound(1);

fn dialling() -> Rig {
    let mut rig = Rig::new();
    assert_eq!(
        rig.request(Command::Construct(Box::new(construct()))),
        [
            "sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1",
            "reply call 1 Some(\"mark\")",
            "1: →Initiated"
        ]
    );
    assert!(rig.sip(sip::Event::Sent { session: SESSION, call_id: "abc".to_owned(), route: 0 }).is_empty());
    rig
}

fn provisional(status: u16, body: Option<&str>) -> sip::Event {
    sip::Event::Provisional { session: SESSION, status, body: body.map(sdp) }
}

fn answered(body: Option<&str>) -> sip::Event {
    sip::Event::Answered { session: SESSION, body: body.map(sdp), also_rang: Vec::new() }
}

fn refused(status: u16) -> sip::Event {
    ended(
        SESSION,
        EndCause::Refused {
            status,
            phrase: String::new(),
            by: Refuser::Peer,
            retry_after: None,
            reason: None,
            contacts: Vec::new(),
        },
    )
}

fn unreached(status: u16) -> sip::Event {
    ended(
        SESSION,
        EndCause::Refused {
            status,
            phrase: String::new(),
            by: Refuser::Us,
            retry_after: None,
            reason: None,
            contacts: Vec::new(),
        },
    )
}

#[test]
fn who_rang_too_is_told_when_another_has_answered() {
    let mut rig = dialling();
    rig.sip(provisional(180, None));
    let also_rang = vec!["sip:201@192.0.2.31".to_owned(), "sip:202@192.0.2.32".to_owned()];
    let lines = rig.sip(sip::Event::Answered { session: SESSION, body: Some(sdp(OFFER)), also_rang });
    let told = "1: dial ok answered not by sip:201@192.0.2.31 not by sip:202@192.0.2.32";
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
}

/// What a program reacts to in another way has another code.
#[test]
fn why_a_call_could_not_be_placed() {
    let cause = |status, by, contacts: &[&str]| {
        let (phrase, contacts) = (String::new(), contacts.iter().map(|&uri| uri.to_owned()).collect());
        ended(SESSION, EndCause::Refused { status, phrase, by, retry_after: None, reason: None, contacts })
    };
    for (status, by, contacts, told) in [
        (401, Refuser::Peer, [].as_slice(), "unauthorized 401"),
        (407, Refuser::Peer, &[], "unauthorized 407"),
        (403, Refuser::Peer, &[], "rejected 403"),
        (503, Refuser::Names, &[], "unresolved"),
        (503, Refuser::Us, &[], "rejected 503"),
        (302, Refuser::Peer, &["sip:a@h", "sip:b@h"], "rejected 302 to sip:a@h to sip:b@h"),
    ] {
        let mut rig = dialling();
        assert_eq!(rig.sip(cause(status, by, contacts))[1], format!("1: dial {told}"));
        assert!(rig.is_clean());
    }
}

#[test]
fn a_caller_may_have_a_name() {
    let mut rig = Rig::new();
    let call = Construct { from_name: Some("Order \"desk\"".to_owned()), ..construct() };
    let lines = rig.request(Command::Construct(Box::new(call)));
    assert_eq!(lines[0], r#"sip invite sip:100@192.0.2.9:5060 from "Order \"desk\"" sip:1000@192.0.2.1"#);
    let incoming = sip::Incoming { from_display: "Alice".to_owned(), ..incoming(7, Some(OFFER)) };
    let lines = rig.sip(sip::Event::Incoming(Box::new(incoming)));
    assert_eq!(lines[1], r#"2: incoming "Alice" sip:alice@192.0.2.7 sip:4000@198.51.100.1 PCMA,PCMU"#);
}

#[test]
fn it_rings_and_is_answered_and_dropped() {
    let mut rig = dialling();
    assert_eq!(rig.sip(provisional(180, None)), ["1: ringing"]);
    assert_eq!(
        rig.sip(answered(Some(ALAW))),
        ["open 1 on 20000 PCMA tones", "1: Initiated→Idle", "1: dial ok answered"]
    );
    assert_eq!(rig.get(CALL).sip_call_id.as_deref(), Some("abc"));
    assert_eq!(
        rig.request(Command::Drop { call: CALL, cause: 603 }),
        ["sip bye Some(603)", "media remove 1", "reply Done", "1: Idle→Released"]
    );
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 System", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn ringing_is_told_once() {
    let mut rig = dialling();
    assert!(rig.sip(provisional(181, None)).is_empty());
    assert_eq!(rig.sip(provisional(183, None)), ["1: ringing"]);
    assert!(rig.sip(provisional(180, None)).is_empty());
}

#[test]
fn it_rings_too_long() {
    let mut rig = dialling();
    rig.secs(20);
    rig.sip(provisional(180, None));
    assert!(rig.ms(49_999).is_empty());
    // A second 180 does not start the clock anew.
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.ms(1),
        [
            "sip cancel Some(487)",
            "1: Initiated→Released",
            "1: dial ring_timeout 487",
            "1: released 487 System",
            "free 20000"
        ]
    );
    assert!(rig.is_clean());
}

#[test]
fn a_far_end_that_neither_rings_nor_decides_is_given_up() {
    let mut rig = dialling();
    rig.secs(60);
    rig.sip(provisional(182, None));
    assert!(rig.ms(119_999).is_empty());
    assert_eq!(
        rig.ms(1),
        [
            "sip cancel Some(408)",
            "1: Initiated→Released",
            "1: dial rejected 408",
            "1: released 408 System",
            "free 20000"
        ]
    );
}

#[test]
fn it_is_refused() {
    let mut rig = dialling();
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.sip(refused(486)),
        ["1: Initiated→Released", "1: dial rejected 486", "1: released 486 User", "free 20000"]
    );
    assert!(rig.is_clean());
}

#[test]
fn a_far_end_that_was_not_reached_has_dropped_nothing() {
    for status in [408, 503] {
        // Nobody answered, or the connection was refused after the INVITE was on its way; or it never was.
        let mut rig = dialling();
        assert_eq!(rig.sip(unreached(status))[2], format!("1: released {status} System"));
        let mut rig = Rig::new();
        rig.request(Command::Construct(Box::new(construct())));
        assert_eq!(rig.sip(unreached(status))[2], format!("1: released {status} System"));
        // Its own word, though it had said nothing before.
        let mut rig = dialling();
        assert_eq!(rig.sip(refused(status))[2], format!("1: released {status} User"));
    }
}

#[test]
fn it_is_dropped_while_it_rings() {
    let mut rig = dialling();
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.request(Command::Drop { call: CALL, cause: 480 }),
        [
            "sip cancel Some(480)",
            "reply Done",
            "1: Initiated→Released",
            "1: dial dropped",
            "1: released 480 System",
            "free 20000"
        ]
    );
    // The 200 that crosses the CANCEL is the business of SIP.
    assert!(rig.sip(answered(Some(OFFER))).is_empty());
    assert!(rig.sip(ended(SESSION, EndCause::Local)).is_empty());
    assert!(rig.is_clean());
}

#[test]
fn an_answer_that_cannot_be_used_is_hung_up() {
    let (codecs, none) = ("accepts none of the codecs", "describes no audio that can be used");
    for (body, why) in [(Some(G729), codecs), (Some("hello"), none), (None, none)] {
        let mut rig = dialling();
        assert_eq!(
            rig.sip(answered(body)),
            [
                "sip bye Some(488)",
                "1: Initiated→Released",
                &format!("1: dial not_negotiated ({why}) 488"),
                "1: released 488 System",
                "free 20000"
            ]
        );
        assert!(rig.is_clean());
    }
}

#[test]
fn a_description_only_in_the_183_is_kept_for_the_200() {
    let mut rig = dialling();
    assert_eq!(rig.sip(provisional(183, Some(ALAW))), ["1: ringing"]);
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.sip(answered(None)),
        ["open 1 on 20000 PCMA tones", "1: Initiated→Idle", "1: dial ok answered"]
    );
}

#[test]
fn the_offer_names_the_codecs_that_were_asked_for() {
    let offered = |codecs: Vec<Codec>| {
        let mut rig = Rig::new();
        let construct = offhook_call::command::Construct { codecs, ..construct() };
        rig.calls.request(
            rig.now(),
            offhook_call::command::Request {
                id: offhook_call::id::RequestId(1),
                command: Command::Construct(Box::new(construct)),
            },
        );
        match rig.outputs().into_iter().next() {
            Some(Output::Sip(sip::Command::Invite(invite))) => {
                let text = String::from_utf8(invite.body.bytes).expect("SDP is text");
                text.lines().find(|line| line.starts_with("m=")).expect("one stream").to_owned()
            }
            other => panic!("no INVITE: {other:?}"),
        }
    };
    assert_eq!(offered(vec![]), "m=audio 20000 RTP/AVP 8 0 101");
    assert_eq!(offered(vec![Codec::Pcmu]), "m=audio 20000 RTP/AVP 0 101");
}

#[test]
fn limits_refuse_and_cost_nothing() {
    let mut rig = Rig::with(offhook_call::Config { max_calls: 2, max_calls_per_second: 2, ..config() });
    let dial = || Command::Construct(Box::new(construct()));
    rig.request(dial());
    rig.request(dial());
    assert_eq!(rig.request(dial()), ["refuse LimitReached { limit: \"calls\", value: 2 }"]);
    rig.sip(refused(486));
    assert_eq!(rig.request(dial()), ["refuse LimitReached { limit: \"calls_per_second\", value: 2 }"]);
    rig.ms(500);
    assert_eq!(rig.request(dial())[1], "reply call 3 Some(\"mark\")");

    let mut rig = Rig::new();
    for _ in 0..10 {
        rig.request(dial());
    }
    assert_eq!(rig.request(dial()), ["refuse LimitReached { limit: \"ports\", value: 10 }"]);
    rig.calls.drain();
    assert_eq!(rig.request(dial()), ["refuse ShuttingDown"]);
}

#[test]
fn a_request_that_finds_no_port_takes_no_share_of_the_rate() {
    let mut rig = Rig::with(offhook_call::Config { max_calls_per_second: 11, ..config() });
    let dial = || Command::Construct(Box::new(construct()));
    for _ in 0..10 {
        rig.request(dial());
    }
    assert_eq!(rig.request(dial()), ["refuse LimitReached { limit: \"ports\", value: 10 }"]);
    rig.calls.lease(offhook_call::Port(30000));
    assert_eq!(rig.request(dial())[1], "reply call 11 Some(\"mark\")");
}

fn update(body: &str) -> sip::Event {
    sip::Event::Offer { session: SESSION, body: Some(sdp(body)) }
}

#[test]
fn a_200_that_differs_from_the_183_counts() {
    let mut rig = dialling();
    rig.sip(provisional(183, Some(ALAW)));
    let answer = OFFER.replace("8 0 101", "0 101").replace("4000", "5000");
    assert_eq!(rig.sip(answered(Some(&answer)))[0], "open 1 on 20000 PCMU");
    assert_eq!(rig.get(CALL).remote_media, "192.0.2.7:5000".parse().ok());
}

#[test]
fn an_update_before_the_answer_has_to_wait_for_an_answer_to_our_offer() {
    let mut rig = dialling();
    assert_eq!(rig.sip(update(OFFER)), ["sip refuse 491"]);
    rig.sip(provisional(183, Some(ALAW)));
    assert_eq!(rig.sip(update(G729)), ["sip refuse 488"]);
    let changed = ALAW.replace("4000", "5000").replace("RTP/AVP 8", "RTP/AVP 0");
    assert_eq!(rig.sip(update(&changed)), ["sip accept"]);
    // A 200 without a description, or with that of the 183 again, is no news.
    assert_eq!(rig.sip(answered(Some(ALAW)))[0], "open 1 on 20000 PCMU tones");
    assert_eq!(rig.get(CALL).remote_media, "192.0.2.7:5000".parse().ok());
}

#[test]
fn an_update_before_the_answer_gives_way_to_the_answer_of_another_branch() {
    for (body, port) in [(None, 5000), (Some(ALAW.replace("4000", "6000")), 6000)] {
        let mut rig = dialling();
        rig.sip(provisional(183, Some(ALAW)));
        rig.sip(update(&ALAW.replace("4000", "5000")));
        rig.sip(answered(body.as_deref()));
        assert_eq!(rig.get(CALL).remote_media.map(|at| at.port()), Some(port));
    }
}
