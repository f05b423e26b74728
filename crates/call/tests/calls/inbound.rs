//! Calls that come in: `on_incoming`, answer, reject, redirect, and callers that give up.

use std::time::Duration;

use offhook_call::command::{Command, Request};
use offhook_call::event::EventKind;
use offhook_call::id::{CallId, RequestId};
use offhook_call::state::State;
use offhook_call::{Output, ToneDetection};
use offhook_media::event::Codec;
use offhook_sip::event::{self as sip, EndCause, SessionId};

use crate::rig::*;

const CALL: CallId = CallId(1);

#[test]
fn a_call_comes_in_is_answered_and_hangs_up() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.invite(Some(OFFER)),
        ["sip 180", "1: incoming sip:alice@192.0.2.7 sip:4000@198.51.100.1 PCMA,PCMU", "1: →Initiated"]
    );
    assert_eq!(rig.request(answer(CALL)), ["sip 200", "1: Initiated→Answer"]);
    assert_eq!(
        rig.sip(acked(CALL)),
        ["open 1 on 20000 PCMA", "reply Done", "1: Answer→Idle", "1: answer ok"]
    );
    assert_eq!(rig.sip(bye(inbound(CALL))), ["media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn without_an_application_the_caller_is_turned_away_at_once() {
    let mut rig = Rig::new();
    rig.calls.set_applications(0);
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: no_application"]);
    assert!(rig.is_clean());
}

#[test]
fn an_offer_that_cannot_be_used_is_refused_without_a_resource() {
    let mut rig = Rig::new();
    // The codes of RFC 3261 §20.43.
    for (offer, refusal) in [
        (G729.to_owned(), "sip 488 Warning: 305 offhook \"Incompatible media format: "),
        (OFFER.replace("audio", "video"), "sip 488 Warning: 304 offhook \"Media type not available: "),
        (
            OFFER.replace("IP4 192.0.2.7", "IP6 2001:db8::7"),
            "sip 488 Warning: 301 offhook \"Incompatible network address formats: ",
        ),
        (
            OFFER.replace("192.0.2.7", "224.2.1.1"),
            "sip 488 Warning: 301 offhook \"Incompatible network address formats: ",
        ),
    ] {
        let lines = rig.invite(Some(&offer));
        assert!(lines.len() == 2 && lines[0].starts_with(refusal) && lines[0].ends_with('"'), "{lines:?}");
    }
    assert!(rig.is_clean());
}

/// The same status as in a re-INVITE, for which RFC 3261 §14.2 asks for it: the request is well formed, and it is its
/// description that is not acceptable here (§21.4.26).
#[test]
fn p5_an_invitation_with_a_bad_offer_is_refused_as_a_change_is() {
    let mut rig = Rig::new();
    for offer in [
        "hello".to_owned(),
        OFFER.replace("m=audio 4000", "m=audio 70000"),
        format!("{OFFER}a=\0\r\n"),
        format!("{OFFER}{}", "m=audio 4000 RTP/AVP 8\r\n".repeat(1000)),
    ] {
        let lines = rig.invite(Some(&offer));
        let refused = "sip 488 Warning: 399 offhook \"Bad session description: ";
        assert!(lines.len() == 2 && lines[0].starts_with(refused) && lines[0].ends_with('"'), "{lines:?}");
    }
    assert!(rig.is_clean());
}

#[test]
fn nobody_acts_on_it_and_the_caller_gets_480() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    assert!(rig.ms(59_999).is_empty());
    assert_eq!(rig.ms(1), ["sip 480", "1: Initiated→Released", "1: released 480 System", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn the_caller_gives_up_before_anybody_acts() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    let lines = rig.sip(ended(inbound(CALL), EndCause::Cancelled { reason: None }));
    assert_eq!(lines, ["1: Initiated→Released", "1: released 487 User", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn the_caller_gives_up_before_its_ack() {
    for cause in [EndCause::Cancelled { reason: None }, EndCause::Bye { reason: None }] {
        let mut rig = Rig::new();
        rig.invite(Some(OFFER));
        rig.request(answer(CALL));
        assert_eq!(
            rig.sip(ended(inbound(CALL), cause)),
            [
                "refuse AnswerFailed { sip_status: 487 }",
                "1: Answer→Released",
                "1: answer cancelled",
                "1: released 487 User",
                "free 20000"
            ]
        );
        assert!(rig.is_clean());
    }
}

#[test]
fn the_ack_never_comes() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(answer(CALL));
    assert_eq!(
        rig.sip(ended(inbound(CALL), EndCause::NoAck)),
        [
            "refuse AnswerFailed { sip_status: 408 }",
            "1: Answer→Released",
            "1: answer no_ack",
            "1: released 408 System",
            "free 20000"
        ]
    );
}

/// RFC 3262 §3: the caller is told 504, and the application the same.
#[test]
fn the_prack_never_comes() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    assert_eq!(
        rig.sip(ended(inbound(CALL), EndCause::NoPrack)),
        ["1: Initiated→Released", "1: released 504 System", "free 20000"]
    );
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(answer(CALL));
    assert_eq!(
        rig.sip(ended(inbound(CALL), EndCause::NoPrack)),
        [
            "refuse AnswerFailed { sip_status: 504 }",
            "1: Answer→Released",
            "1: answer no_prack",
            "1: released 504 System",
            "free 20000"
        ]
    );
}

#[test]
fn the_application_drops_it_while_the_ack_is_awaited() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.request(answer(CALL));
    assert_eq!(
        rig.request(Command::Drop { call: CALL, cause: 603 }),
        [
            "sip bye Some(603)",
            "refuse AnswerFailed { sip_status: 603 }",
            "reply Done",
            "1: Answer→Released",
            "1: answer dropped",
            "1: released 603 System",
            "free 20000"
        ]
    );
    assert!(rig.is_clean());
}

#[test]
fn an_answer_with_a_codec_the_caller_has_not_changes_nothing() {
    let mut rig = Rig::new();
    rig.invite(Some(ALAW));
    let wrong = Command::Answer {
        call: CALL,
        max_answer: Duration::from_secs(600),
        user_data: Some("wrong".to_owned()),
        codec: Some(Codec::Pcmu),
    };
    assert_eq!(rig.request(wrong), ["refuse NotNegotiated { message: \"the caller offers PCMA\" }"]);
    let snapshot = rig.get(CALL);
    assert_eq!((snapshot.state, snapshot.user_data), (State::Initiated, None));
    assert_eq!(rig.request(answer(CALL)), ["sip 200", "1: Initiated→Answer"]);
    assert_eq!(rig.sip(acked(CALL))[0], "open 1 on 20000 PCMA tones");
}

#[test]
fn p6_an_offer_of_the_very_port_that_the_call_takes_is_refused() {
    let mut rig = Rig::new();
    let ours = OFFER.replace("192.0.2.7", "192.0.2.1").replace("4000", "20000");
    let lines = rig.invite(Some(&ours));
    assert!(lines.len() == 2 && lines[0].starts_with("sip 488 Warning: 301"), "{lines:?}");
    assert_eq!(lines[1], "turned away: not_acceptable");
    assert_eq!((rig.calls.spare_ports(), rig.is_clean()), (10, true));
}

#[test]
fn the_codec_of_answer_overrules_the_order_of_the_offer() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    let max_answer = Duration::from_secs(600);
    rig.request(Command::Answer { call: CALL, max_answer, user_data: None, codec: Some(Codec::Pcmu) });
    assert_eq!(rig.sip(acked(CALL))[0], "open 1 on 20000 PCMU");
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_its_ack_answers_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.invite(None)[1], "1: incoming sip:alice@192.0.2.7 sip:4000@198.51.100.1 ");
    rig.request(answer(CALL));
    let ack = sip::Event::Acked { session: inbound(CALL), body: Some(sdp(ALAW)) };
    assert_eq!(rig.sip(ack), ["open 1 on 20000 PCMA tones", "reply Done", "1: Answer→Idle", "1: answer ok"]);
}

#[test]
fn an_ack_that_should_answer_our_offer_and_does_not_ends_the_call() {
    let (codecs, none) = ("accepts none of the codecs", "describes no audio that can be used");
    for (body, why) in [(None, none), (Some(sdp(G729)), codecs), (Some(sdp("hello")), none)] {
        let mut rig = Rig::new();
        rig.invite(None);
        rig.request(answer(CALL));
        assert_eq!(
            rig.sip(sip::Event::Acked { session: inbound(CALL), body }),
            [
                "sip bye Some(488)",
                "refuse AnswerFailed { sip_status: 488 }",
                "1: Answer→Released",
                &format!("1: answer not_negotiated ({why})"),
                "1: released 488 System",
                "free 20000"
            ]
        );
        assert!(rig.is_clean());
    }
}

#[test]
fn reject_and_drop_are_the_final_response() {
    let commands = [Command::Reject { call: CALL, cause: 486 }, Command::Drop { call: CALL, cause: 486 }];
    for command in commands {
        let mut rig = Rig::new();
        rig.invite(Some(OFFER));
        assert_eq!(
            rig.request(command),
            ["sip 486", "reply Done", "1: Initiated→Released", "1: released 486 System", "free 20000"]
        );
        assert!(rig.is_clean());
    }
}

#[test]
fn redirect_keeps_the_called_user() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    assert_eq!(
        rig.request(Command::Redirect { call: CALL, target: "[2001:db8::1]:5080".to_owned() }),
        [
            "sip 302 Contact: <sip:4000;phone-context=x@[2001:db8::1]:5080>",
            "reply Done",
            "1: Initiated→Released",
            "1: released 302 System",
            "free 20000"
        ]
    );
}

#[test]
fn e2_without_a_spare_port_a_caller_is_turned_away_before_it_rings() {
    let mut rig = Rig::new();
    for (call, port) in (1..=10).zip((20_000..).step_by(2)) {
        // Ringing takes the ports, not only an answer.
        assert_eq!(rig.invite(Some(OFFER))[0], "sip 180");
        assert_eq!(rig.get(CallId(call)).local_port, Some(offhook_call::Port(port)));
    }
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: ports"]);
    assert_eq!(rig.invite(None), ["sip 503 Retry-After: 10", "turned away: ports"]);
    let refused = rig.request(Command::Construct(Box::new(construct())));
    assert_eq!(refused, ["refuse LimitReached { limit: \"ports\", value: 10 }"]);
    // Every way out of ringing gives them back.
    let ends = [
        rig.request(Command::Reject { call: CallId(1), cause: 486 }),
        rig.request(Command::Drop { call: CallId(2), cause: 603 }),
        rig.request(Command::Redirect { call: CallId(3), target: "192.0.2.9".to_owned() }),
        rig.sip(ended(SessionId::Inbound(4), EndCause::Cancelled { reason: None })),
    ];
    for (call, lines) in ends.iter().enumerate() {
        let freed = format!("free {}", 20_000 + 2 * call);
        assert_eq!(lines.iter().filter(|line| **line == freed).count(), 1, "{lines:?}");
    }
    let unattended = rig.secs(60);
    assert_eq!(unattended.iter().filter(|line| line.starts_with("free ")).count(), 6, "{unattended:?}");
    assert!(rig.is_clean());
}

#[test]
fn e2_an_offer_that_is_refused_leaves_its_port_to_the_next() {
    let mut rig = Rig::new();
    for _ in 0..50 {
        rig.invite(Some(G729));
    }
    assert_eq!(rig.calls.spare_ports(), 10);
    rig.invite(Some(OFFER));
    assert_eq!(rig.get(CALL).local_port, Some(offhook_call::Port(20_000)));
}

#[test]
fn a_delayed_offer_has_the_codec_of_answer_only() {
    let mut rig = Rig::new();
    rig.invite(None);
    let max_answer = Duration::from_secs(600);
    let command = Command::Answer { call: CALL, max_answer, user_data: None, codec: Some(Codec::Pcmu) };
    rig.calls.request(rig.now(), Request { id: RequestId(1_000), command });
    let outputs = rig.outputs();
    let [Output::Sip(sip::Command::Answer { body, .. }), ..] = &outputs[..] else { panic!("{outputs:?}") };
    let text = String::from_utf8_lossy(&body.bytes);
    assert!(text.contains("m=audio 20000 RTP/AVP 0 101\r\n"), "{text}");
    let ack = sip::Event::Acked { session: inbound(CALL), body: Some(sdp(OFFER)) };
    assert_eq!(rig.sip(ack)[0], "open 1 on 20000 PCMU");
}

#[test]
fn more_calls_than_allowed_are_turned_away() {
    let mut rig = Rig::with(offhook_call::Config { max_calls: 1, ..config() });
    rig.invite(Some(OFFER));
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: calls"]);
}

#[test]
fn more_calls_in_a_second_than_allowed_are_turned_away() {
    let mut rig = Rig::with(offhook_call::Config { max_calls_per_second: 2, ..config() });
    assert_eq!(rig.invite(Some(OFFER))[0], "sip 180");
    assert_eq!(rig.invite(Some(OFFER))[0], "sip 180");
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: calls_per_second"]);
    rig.ms(500);
    assert_eq!(rig.invite(Some(OFFER))[0], "sip 180");
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: calls_per_second"]);
}

#[test]
fn a_draining_node_turns_callers_away() {
    let mut rig = Rig::new();
    let retry_after = Duration::from_secs(10);
    assert_eq!(rig.calls.doors(), sip::Doors::Open);
    rig.calls.set_applications(0);
    assert_eq!(rig.calls.doors(), sip::Doors::NoCalls { retry_after });
    rig.calls.drain();
    assert_eq!(rig.invite(Some(OFFER)), ["sip 503 Retry-After: 10", "turned away: shutting_down"]);
    assert_eq!(rig.calls.doors(), sip::Doors::Shut { retry_after });
}

#[test]
fn tones_are_searched_for_as_configured() {
    let cases = [
        (ToneDetection::Auto, OFFER, false),
        (ToneDetection::Auto, ALAW, true),
        (ToneDetection::Always, OFFER, true),
        (ToneDetection::Never, ALAW, false),
    ];
    for (tones, offer, expected) in cases {
        let mut rig = Rig::with(offhook_call::Config { tones, ..config() });
        rig.invite(Some(offer));
        rig.request(answer(CALL));
        let opened = rig.sip(acked(CALL))[0].ends_with(" tones");
        assert_eq!(opened, expected, "{tones:?}");
    }
}

#[test]
fn events_bear_the_mark_and_the_moments() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.ms(1000);
    rig.request(answer(CALL));
    rig.ms(250);
    rig.calls.sip(rig.now(), acked(CALL));
    let completed = rig.outputs().into_iter().find_map(|output| match output {
        Output::Event(event) if matches!(event.kind, EventKind::AnswerCompleted { .. }) => Some(event),
        _ => None,
    });
    let event = completed.expect("on_answer_completed");
    assert_eq!(event.user_data.as_deref(), Some("mark"));
    assert_eq!(event.time.0, EPOCH + 1250);
    let EventKind::AnswerCompleted { span, .. } = event.kind else { unreachable!() };
    assert_eq!((span.begin.0, span.end.0), (EPOCH + 1000, EPOCH + 1250));

    rig.ms(4750);
    rig.calls.sip(rig.now(), bye(inbound(CALL)));
    rig.ms(3);
    rig.calls.media(rig.now(), leg_removed(CALL));
    let released = rig.outputs().into_iter().find_map(|output| match output {
        Output::Event(offhook_call::event::Event { kind: EventKind::Released(released), .. }) => {
            Some(released)
        }
        _ => None,
    });
    let released = released.expect("on_released");
    assert_eq!(released.begin.0, EPOCH);
    assert_eq!(released.answer_time.map(|time| time.0), Some(EPOCH + 1250));
    assert_eq!(released.end.0, EPOCH + 6000);
    assert_eq!(released.sip_call_id, "call-id-1");
    assert_eq!(released.stats.packets_sent, 7);
}
