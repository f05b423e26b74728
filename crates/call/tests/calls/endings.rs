//! How calls end: causes, clocks, the end of the node, and media that is stuck.

use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::event::EventKind;
use offhook_call::id::CallId;
use offhook_call::{Config, Output, Port};
use offhook_media::event as media;
use offhook_media::event::{LegId, LegStats};
use offhook_sip::event::{EndCause, Refuser, SessionId};

use crate::rig::*;

const CALL: CallId = CallId(1);

/// How an answered call that ends by `cause` is told.
fn released_after_drop(cause: u16) -> String {
    let mut rig = Rig::new();
    rig.answered();
    let lines = rig.request(Command::Drop { call: CALL, cause });
    assert_eq!(lines[0], format!("sip bye Some({cause})"));
    rig.media(leg_removed(CALL)).remove(0)
}

#[test]
fn a_drop_is_a_normal_hangup_unless_it_says_otherwise() {
    assert_eq!(released_after_drop(603), "1: released answered, 200 System");
    assert_eq!(released_after_drop(486), "1: released answered, 486 System");
}

#[test]
fn a_far_end_that_no_longer_knows_the_call_is_408() {
    let mut rig = Rig::new();
    rig.answered();
    rig.sip(ended(inbound(CALL), EndCause::Lost));
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: released answered, 408 System");
}

#[test]
fn an_end_that_nobody_asked_for_is_a_defect() {
    let mut rig = Rig::new();
    rig.answered();
    rig.sip(ended(inbound(CALL), EndCause::Local));
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: released answered, 500 System");
}

#[test]
fn media_that_goes_by_itself_takes_the_call_with_it() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    assert_eq!(
        rig.media(leg_removed(CALL)),
        [
            "sip bye Some(500)",
            "1: Play→Idle",
            "1: Idle→Released",
            "1: play internal 0ns",
            "1: released answered, 500 System",
            "free 20000"
        ]
    );
    assert!(rig.is_clean());
}

#[test]
fn the_longest_talk_ends_what_it_is_doing_first() {
    let mut rig = Rig::new();
    rig.answered();
    rig.secs(599);
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    rig.ms(999);
    assert_eq!(rig.ms(1), ["sip bye Some(603)", "media remove 1", "1: Play→Idle", "1: Idle→Released"]);
    rig.media(play_ended(CALL, 1, 980));
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["1: play max_answer_seconds 980ms", "1: released answered, 603 System", "free 20000"]
    );
}

#[test]
fn the_longest_talk_runs_from_the_answer_not_from_the_call() {
    let mut rig = Rig::new();
    rig.invite(Some(OFFER));
    rig.secs(50);
    rig.request(answer(CALL));
    rig.secs(10);
    rig.sip(acked(CALL));
    assert!(rig.ms(599_999).is_empty());
    assert_eq!(rig.ms(1)[0], "sip bye Some(603)");
}

fn idle_for(idle_timeout: Duration) -> Rig {
    let mut rig = Rig::with(Config { idle_timeout, ..config() });
    rig.answered();
    rig
}

#[test]
fn idle_too_long() {
    let mut rig = idle_for(Duration::from_secs(100));
    assert!(rig.ms(99_999).is_empty());
    assert_eq!(rig.ms(1), ["sip bye Some(480)", "media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: released answered, 480 System");
}

#[test]
fn every_request_restarts_the_idle_clock() {
    let requests = [
        Command::Nop { call: CALL },
        Command::Get { call: CALL },
        Command::Exists { call: CALL },
        // Also one that is refused.
        Command::PlayStop { call: CALL },
    ];
    for request in requests {
        let mut rig = idle_for(Duration::from_secs(100));
        rig.secs(99);
        rig.request(request);
        assert!(rig.ms(99_999).is_empty());
        assert_eq!(rig.ms(1)[0], "sip bye Some(480)");
    }
}

#[test]
fn an_action_is_not_idle_and_its_end_restarts_the_clock() {
    let mut rig = idle_for(Duration::from_secs(100));
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    assert!(rig.secs(300).is_empty());
    rig.media(play_ended(CALL, 1, 300_000));
    assert!(rig.ms(99_999).is_empty());
    assert_eq!(rig.ms(1)[0], "sip bye Some(480)");
}

#[test]
fn idle_for_ever() {
    let mut rig = idle_for(Duration::ZERO);
    assert!(rig.ms(599_999).is_empty());
}

#[test]
fn a_call_that_is_over_exists_until_it_is_told_and_is_not_found_otherwise() {
    let mut rig = Rig::new();
    rig.answered();
    rig.sip(bye(inbound(CALL)));
    let refused = ["refuse NotFound { call: CallId(1) }"];
    assert_eq!(rig.request(Command::Exists { call: CALL }), ["reply Exists(true)"]);
    assert_eq!(rig.request(Command::Drop { call: CALL, cause: 603 }), refused);
    assert_eq!(rig.request(Command::Nop { call: CALL }), refused);
    assert_eq!(rig.request(Command::Get { call: CALL }), refused);
    assert_eq!(rig.request(play(CALL, &["a.wav"], "")), refused);
    assert_eq!(rig.request(answer(CALL)), refused);
    assert_eq!(rig.request(Command::List { state: None, after: None, limit: 10 }), ["reply []"]);
    // What its leg still says means nothing any more.
    assert!(rig.media(digit(CALL, '1')).is_empty());
    rig.media(leg_removed(CALL));
    assert_eq!(rig.request(Command::Exists { call: CALL }), ["reply Exists(false)"]);
    assert_eq!(rig.request(Command::Drop { call: CALL, cause: 603 }), refused);
}

#[test]
fn a_media_thread_that_is_stuck_keeps_neither_the_event_nor_the_ports() {
    let mut rig = Rig::new();
    rig.answered();
    rig.sip(bye(inbound(CALL)));
    assert!(rig.ms(1999).is_empty());
    assert_eq!(rig.ms(1), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.media(leg_removed(CALL)).is_empty());
    assert!(rig.is_clean());
}

#[test]
fn a_drop_and_a_bye_that_cross_end_it_once() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(Command::Drop { call: CALL, cause: 603 });
    assert!(rig.sip(bye(inbound(CALL))).is_empty());
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 System", "free 20000"]);
    assert!(rig.sip(ended(inbound(CALL), EndCause::Local)).is_empty());
}

#[test]
fn the_end_of_the_node_ends_every_call() {
    let mut rig = Rig::new();
    rig.answered();
    rig.invite(Some(OFFER));
    rig.answered();
    rig.answered();
    rig.request(Command::Construct(Box::new(construct())));
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    rig.calls.drain();
    rig.calls.hang_up_all(rig.now());
    let lines = rig.lines();
    let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(starts("sip bye Some(503)"), 3);
    assert_eq!(starts("sip 503 Retry-After: 10"), 1);
    assert_eq!(starts("sip cancel Some(503)"), 1);
    assert!(lines.contains(&"5: dial dropped".to_owned()));
    for call in [1, 3, 4] {
        let leg = media::Event::LegRemoved { leg: LegId(call), stats: LegStats::default() };
        let lines = rig.media(leg);
        assert!(lines.contains(&format!("{call}: released answered, 503 System")), "{lines:?}");
    }
    assert!(rig.is_clean());
}

#[test]
fn serials_go_on_from_where_they_were() {
    let mut calls = offhook_call::Calls::new(config(), 700);
    calls.set_applications(1);
    calls.lease(Port(20000));
    let mut rig = Rig::new();
    rig.calls = calls;
    let lines = rig.request(Command::Construct(Box::new(construct())));
    assert_eq!(lines[1], "reply call 700 Some(\"mark\")");
    let refused = EndCause::Refused {
        status: 486,
        phrase: String::new(),
        by: Refuser::Peer,
        retry_after: None,
        reason: None,
        contacts: Vec::new(),
    };
    rig.sip(ended(SessionId::Outbound(700), refused));
    rig.calls.lease(Port(20000));
    let lines = rig.request(Command::Construct(Box::new(construct())));
    assert_eq!(lines[1], "reply call 701 Some(\"mark\")");
}

/// RFC 3326: what the far end says of its hang-up is told as it came; what we end has no reason but our cause.
#[test]
fn the_reason_of_the_far_end_is_told() {
    let told = |end: EndCause| {
        let mut rig = Rig::new();
        rig.invite(Some(OFFER));
        rig.calls.sip(rig.now(), ended(inbound(CALL), end));
        let released = rig.outputs().into_iter().find_map(|output| match output {
            Output::Event(event) => match event.kind {
                EventKind::Released(released) => Some(released.reason),
                _ => None,
            },
            _ => None,
        });
        released.expect("the call is over")
    };
    let reason = || Some("Q.850;cause=31".to_owned());
    assert_eq!(told(EndCause::Bye { reason: reason() }), reason());
    assert_eq!(told(EndCause::Cancelled { reason: reason() }), reason());
    assert_eq!(told(EndCause::Cancelled { reason: None }), None);
}
