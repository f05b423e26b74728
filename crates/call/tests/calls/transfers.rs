//! Transfers: asked of the far end, and asked for by it.

use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_media::event::{ActionId, LegId};
use offhook_sip::event as sip;

use crate::rig::{Rig, bye, inbound, leg_removed, loaded, play, play_ended};

fn transfer(call: CallId) -> Command {
    Command::Transfer { call, to_uri: "sip:300@192.0.2.30".to_owned() }
}

fn progress(call: CallId, status: u16) -> sip::Event {
    sip::Event::Transfer { session: inbound(call), status, phrase: String::new() }
}

fn referred(call: CallId) -> sip::Event {
    sip::Event::Referred {
        session: inbound(call),
        to: "sip:400@192.0.2.40".to_owned(),
        referred_by: Some("sip:alice@192.0.2.7".to_owned()),
    }
}

#[test]
fn a_transfer_is_asked_for_and_its_end_is_told_once() {
    let mut rig = Rig::new();
    let call = rig.answered();
    assert_eq!(rig.request(transfer(call)), ["sip refer sip:300@192.0.2.30", "reply Done"]);
    assert_eq!(rig.sip(progress(call, 100)), [""; 0]);
    assert_eq!(rig.sip(progress(call, 180)), [""; 0]);
    assert_eq!(rig.sip(progress(call, 200)), ["1: transfer ok Some(200)"]);
    assert_eq!(rig.sip(progress(call, 200)), [""; 0], "it has ended");
    assert_eq!(rig.sip(bye(inbound(call))), ["media remove 1", "1: Idle→Released"]);
    assert_eq!(rig.media(leg_removed(call)), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn a_refusal_and_silence_are_told_as_they_are() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(transfer(call));
    assert_eq!(rig.sip(progress(call, 603)), ["1: transfer refused Some(603)"]);
    rig.request(transfer(call));
    assert_eq!(rig.sip(progress(call, 408)), ["1: transfer timeout Some(408)"]);
}

#[test]
fn one_transfer_at_a_time_and_actions_beside_it() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(transfer(call));
    assert_eq!(rig.request(transfer(call)), ["refuse 1: Idle []"]);
    assert_eq!(rig.request(play(call, &["a.wav"], "")), ["disk 1 load a.wav PCMA", "1: Idle→Play"]);
    rig.disk(loaded(1));
    assert_eq!(rig.request(transfer(call)), ["refuse 1: Play []"]);
    assert_eq!(rig.sip(progress(call, 200)), ["1: transfer ok Some(200)"]);
    assert_eq!(rig.request(transfer(call)), ["refuse 1: Play [Idle]"]);
    assert_eq!(rig.media(play_ended(call, 1, 1000)), ["1: Play→Idle", "1: play ok 1s"]);
    assert_eq!(rig.request(transfer(call)), ["sip refer sip:300@192.0.2.30", "reply Done"]);
}

/// The completion comes exactly once and before `on_released`, whoever hangs up.
#[test]
fn a_hang_up_ends_a_transfer_that_is_not_decided() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(transfer(call));
    assert_eq!(
        rig.sip(bye(inbound(call))),
        ["media remove 1", "1: transfer hangup None", "1: Idle→Released"]
    );
    assert_eq!(rig.sip(progress(call, 200)), [""; 0]);
    assert_eq!(rig.media(leg_removed(call)), ["1: released answered, 200 User", "free 20000"]);

    let call = rig.answered();
    rig.request(transfer(call));
    assert_eq!(
        rig.request(Command::Drop { call, cause: 603 }),
        ["sip bye Some(603)", "media remove 2", "reply Done", "2: transfer hangup None", "2: Idle→Released"]
    );
}

#[test]
fn the_far_end_asks_and_the_application_accepts() {
    let mut rig = Rig::new();
    let call = rig.answered();
    assert_eq!(
        rig.sip(referred(call)),
        ["1: transfer requested to sip:400@192.0.2.40 by sip:alice@192.0.2.7"]
    );
    let notify = |sip_status| Command::TransferNotify { call, sip_status };
    assert_eq!(rig.request(notify(180)), ["refuse 1: Idle []"], "not accepted yet");
    assert_eq!(rig.request(Command::TransferAccept { call }), ["sip answer refer 202", "reply Done"]);
    assert_eq!(rig.request(Command::TransferAccept { call }), ["refuse 1: Idle []"]);
    assert_eq!(rig.request(notify(180)), ["sip refer status 180", "reply Done"]);
    assert_eq!(rig.secs(60), [""; 0], "an accepted transfer has no clock here");
    assert_eq!(rig.request(notify(200)), ["sip refer status 200", "reply Done"]);
    assert_eq!(rig.request(notify(200)), ["refuse 1: Idle []"], "the last word was said");
    assert_eq!(rig.sip(bye(inbound(call))), ["media remove 1", "1: Idle→Released"], "nothing is owed");
}

#[test]
fn the_far_end_asks_and_the_application_declines_or_sleeps() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.sip(referred(call));
    let decline = Command::TransferDecline { call, cause: 486 };
    assert_eq!(rig.request(decline), ["sip answer refer 486", "reply Done"]);
    rig.sip(referred(call));
    assert_eq!(rig.wait(Duration::from_millis(14_999)), [""; 0]);
    assert_eq!(rig.ms(1), ["sip answer refer 603"]);
    assert_eq!(rig.request(Command::TransferAccept { call }), ["refuse 1: Idle []"]);
}

#[test]
fn the_far_end_asks_while_it_hears_a_prompt_and_twice() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.request(play(call, &["a.wav"], ""));
    rig.disk(loaded(1));
    rig.sip(referred(call));
    assert_eq!(rig.sip(referred(call)), ["sip answer refer 491"]);
    assert_eq!(rig.request(Command::TransferAccept { call }), ["sip answer refer 202", "reply Done"]);
    let ended = offhook_media::event::Event::PlayEnded {
        leg: LegId(1),
        action: ActionId(1),
        played: Duration::from_secs(1),
    };
    assert_eq!(rig.media(ended), ["1: Play→Idle", "1: play ok 1s"]);
}

#[test]
fn without_an_application_a_transfer_is_declined_at_once() {
    let mut rig = Rig::new();
    let call = rig.answered();
    rig.calls.set_applications(0);
    assert_eq!(rig.sip(referred(call)), ["sip answer refer 603"]);
}
