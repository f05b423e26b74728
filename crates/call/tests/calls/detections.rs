//! `detect_start`: what is heard in a call beside whatever it does, and its one end.

use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_media::event::{self as media, Answerer, Detected, Kind, LegId, Reason, TalkEvent};

use crate::rig::{Rig, bye, detect, inbound, leg_removed, loaded, play, play_ended};

fn heard(call: CallId, detected: Detected) -> media::Event {
    media::Event::Detected { leg: LegId(call.0), detected }
}

const TALK: Detected = Detected::Voice(TalkEvent::Started);
const PERSON: Detected = Detected::Answerer(Answerer::Human, Reason::ShortGreeting);

#[test]
fn what_is_heard_is_told_whatever_the_call_does() {
    let mut rig = Rig::new();
    let call = rig.answered();
    let begun = rig.request(detect(call, &[Kind::Amd, Kind::Voice]));
    assert_eq!(begun, ["media detect voice,amd on 1", "reply Done"]);
    assert_eq!(rig.media(heard(call, TALK)), ["1: detected Voice(Started)"]);
    rig.request(play(call, &["a.wav"], ""));
    rig.disk(loaded(1));
    assert_eq!(rig.media(heard(call, PERSON)), ["1: detected Answerer(Human, ShortGreeting)"]);
    rig.media(play_ended(call, 1, 500));
    assert_eq!(
        rig.request(Command::DetectStop { call }),
        ["media detect  on 1", "1: detect ok", "reply Done"]
    );
    // It was on its way.
    assert_eq!(rig.media(heard(call, TALK)), [""; 0]);
    rig.request(detect(call, &[Kind::Fax]));
    assert_eq!(rig.media(heard(call, TALK)), [""; 0], "of the one before");
}

#[test]
fn one_at_a_time_and_none_is_not_stopped() {
    let mut rig = Rig::new();
    let call = rig.answered();
    assert_eq!(rig.request(Command::DetectStop { call }), ["refuse 1: Idle []"]);
    rig.request(detect(call, &[Kind::Tones]));
    assert_eq!(rig.request(detect(call, &[Kind::Voice])), ["refuse 1: Idle []"]);
}

#[test]
fn it_ends_when_its_time_is_over() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(detect(call, &[Kind::Beep]));
    assert_eq!(rig.ms(29_999), [""; 0]);
    assert_eq!(rig.ms(1), ["media detect  on 1", "1: detect max_seconds"]);
    assert_eq!(rig.secs(60), [""; 0]);
}

#[test]
fn it_ends_with_the_call() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(detect(call, &[Kind::Beep]));
    assert_eq!(rig.sip(bye(inbound(call))), ["media remove 1", "1: detect hangup", "1: Idle→Released"]);
    rig.media(leg_removed(call));
    assert!(rig.is_clean());
}
