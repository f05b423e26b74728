//! Far ends from which nothing comes any more (reliability.md S17), in virtual time. The time-out is 60 s; the media
//! tells of a silence of half of it.

use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_call::{Config, Output};
use offhook_media::event::{Event, LegId};
use offhook_sip::event as sip;

use crate::rig::*;

const CALL: CallId = CallId(1);

fn silent() -> Event {
    Event::Silent { leg: LegId(CALL.0) }
}

fn heard() -> Event {
    Event::Heard { leg: LegId(CALL.0) }
}

#[test]
fn s17_a_silent_far_end_is_told_and_then_hung_up_with_408() {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(rig.media(silent()), ["1: silent for 30s"]);
    assert!(rig.ms(29_999).is_empty());
    assert_eq!(rig.ms(1), ["sip bye Some(408)", "media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 408 System", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn s17_an_action_of_a_lost_call_ends_before_the_call() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(1));
    rig.media(silent());
    assert_eq!(rig.secs(30), ["sip bye Some(408)", "media remove 1", "1: Play→Idle", "1: Idle→Released"]);
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["1: play hangup 0ns", "1: released answered, 408 System", "free 20000"]
    );
}

#[test]
fn s17_a_far_end_that_comes_back_in_time_is_kept() {
    let mut rig = Rig::new();
    rig.answered();
    for _ in 0..3 {
        rig.media(silent());
        assert!(rig.ms(29_999).is_empty());
        assert!(rig.media(heard()).is_empty());
        assert!(rig.secs(100).is_empty());
    }
}

#[test]
fn s17_hold_suspends_the_time_out() {
    let mut rig = Rig::new();
    rig.answered();
    rig.media(silent());
    rig.secs(20);
    let held =
        sip::Event::Offer { session: inbound(CALL), body: Some(sdp(&format!("{OFFER}a=sendonly\r\n"))) };
    rig.sip(held);
    // The leg says so when it takes the change.
    rig.media(heard());
    assert!(rig.secs(500).is_empty());
}

#[test]
fn s17_the_time_out_can_be_switched_off() {
    let mut rig = Rig::with(Config { silence_timeout: None, ..config() });
    rig.invite(Some(OFFER));
    rig.request(answer(CALL));
    rig.calls.sip(rig.now(), acked(CALL));
    let outputs = rig.outputs();
    let Some(Output::OpenLeg { config, .. }) = outputs.first() else { panic!("{outputs:?}") };
    assert_eq!((config.silent_after, config.unheard_limit), (None, Some(Duration::from_secs(300))));
}

#[test]
fn s17_the_application_may_drop_a_silent_call_before() {
    let mut rig = Rig::new();
    rig.answered();
    rig.media(silent());
    rig.request(Command::Drop { call: CALL, cause: 603 });
    assert!(rig.secs(1).is_empty());
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: released answered, 200 System");
    assert!(rig.secs(60).is_empty());
}
