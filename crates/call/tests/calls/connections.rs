//! Connect: two calls, one action.

use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_media::event::ConnectMode;

use crate::rig::*;

const FIRST: CallId = CallId(1);
const SECOND: CallId = CallId(2);

fn connect(call: CallId, other: CallId) -> Command {
    Command::ConnectStart {
        call,
        other,
        max: Duration::from_secs(300),
        mode: ConnectMode::Both,
        mute_digits: false,
    }
}

fn connected() -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    assert_eq!(
        rig.request(connect(FIRST, SECOND)),
        ["media connect 1 2 Both", "reply Done", "1: Idle→Connect", "2: Idle→Connect"]
    );
    rig
}

#[test]
fn keys_are_kept_from_the_other_where_that_is_asked_for() {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    let max = Duration::from_secs(300);
    let command = Command::ConnectStart {
        call: FIRST,
        other: SECOND,
        max,
        mode: ConnectMode::FirstHears,
        mute_digits: true,
    };
    assert_eq!(rig.request(command)[0], "media connect 1 2 FirstHears without keys");
}

#[test]
fn it_is_stopped_and_both_are_idle_before_it_is_told() {
    let mut rig = connected();
    assert_eq!(rig.get(FIRST).connected_to, Some(SECOND));
    assert_eq!(rig.get(SECOND).connected_to, Some(FIRST));
    let lines = rig.request(Command::ConnectStop { call: FIRST });
    assert_eq!(
        lines,
        ["media disconnect 1 2", "reply Done", "1: Connect→Idle", "2: Connect→Idle", "1: connect ok"]
    );
}

#[test]
fn its_time_is_over() {
    let mut rig = connected();
    assert!(rig.ms(299_999).is_empty());
    assert_eq!(
        rig.ms(1),
        ["media disconnect 1 2", "1: Connect→Idle", "2: Connect→Idle", "1: connect max_seconds"]
    );
}

#[test]
fn the_second_is_bound() {
    let mut rig = connected();
    assert_eq!(rig.request(Command::ConnectStop { call: SECOND }), ["refuse 2: Connect []"]);
    assert_eq!(rig.request(play(SECOND, &["a.wav"], "")), ["refuse 2: Connect [Idle]"]);
    assert_eq!(rig.request(Command::Nop { call: SECOND }), ["reply Done"]);
    assert_eq!(rig.request(Command::Exists { call: SECOND }), ["reply Exists(true)"]);
    assert_eq!(rig.get(SECOND).state, State::Connect);
}

#[test]
fn the_second_hangs_up_and_the_first_is_idle_before_it_is_told() {
    let mut rig = connected();
    assert_eq!(
        rig.sip(bye(inbound(SECOND))),
        [
            "media remove 2",
            "2: Connect→Idle",
            "2: Idle→Released",
            "1: Connect→Idle",
            "1: connect hangup by 2"
        ]
    );
    assert_eq!(rig.media(leg_removed(SECOND)), ["2: released answered, 200 User", "free 20002"]);
    assert_eq!(rig.request(Command::Nop { call: FIRST }), ["reply Done"]);
}

#[test]
fn the_first_hangs_up_and_its_completion_comes_before_its_release() {
    let mut rig = connected();
    assert_eq!(
        rig.sip(bye(inbound(FIRST))),
        ["media remove 1", "1: Connect→Idle", "1: Idle→Released", "2: Connect→Idle"]
    );
    assert_eq!(rig.get(SECOND).state, State::Idle);
    assert_eq!(
        rig.media(leg_removed(FIRST)),
        ["1: connect hangup by 1", "1: released answered, 200 User", "free 20000"]
    );
}

#[test]
fn both_hang_up_in_the_same_millisecond() {
    for (one, other) in [(FIRST, SECOND), (SECOND, FIRST)] {
        let mut rig = connected();
        let mut lines = rig.sip(bye(inbound(one)));
        lines.extend(rig.sip(bye(inbound(other))));
        lines.extend(rig.media(leg_removed(other)));
        lines.extend(rig.media(leg_removed(one)));
        let told = format!("1: connect hangup by {}", one.0);
        assert_eq!(lines.iter().filter(|line| line.contains(": connect ")).collect::<Vec<_>>(), [&told]);
        assert_eq!(lines.iter().filter(|line| line.contains("released")).count(), 2);
        assert!(rig.is_clean());
    }
}

#[test]
fn drop_of_either() {
    let mut rig = connected();
    let lines = rig.request(Command::Drop { call: SECOND, cause: 603 });
    assert_eq!(lines[0], "sip bye Some(603)");
    assert_eq!(lines.last().map(String::as_str), Some("1: connect hangup by 2"));
    let mut rig = connected();
    rig.request(Command::Drop { call: FIRST, cause: 603 });
    assert_eq!(rig.media(leg_removed(FIRST))[0], "1: connect hangup by 1");
}

#[test]
fn the_longest_talk_of_either_is_over() {
    let mut rig = Rig::new();
    for (call, max) in [(FIRST, 10), (SECOND, 600)] {
        rig.invite(Some(OFFER));
        let max_answer = Duration::from_secs(max);
        rig.request(Command::Answer { call, max_answer, user_data: None, codec: None });
        rig.sip(acked(call));
    }
    rig.request(connect(FIRST, SECOND));
    rig.secs(10);
    let lines = rig.media(leg_removed(FIRST));
    assert_eq!(lines[..2], ["1: connect max_answer_seconds by 1", "1: released answered, 603 System"]);
    assert_eq!(rig.get(SECOND).state, State::Idle);
}

#[test]
fn who_cannot_be_connected() {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    rig.invite(Some(OFFER));
    assert_eq!(
        rig.request(connect(FIRST, FIRST)),
        ["refuse InvalidParam { param: \"call_res_id\", expected: \"another call\" }"]
    );
    assert_eq!(rig.request(connect(FIRST, CallId(3))), ["refuse 3: Initiated [Idle]"]);
    assert_eq!(rig.request(connect(CallId(3), FIRST)), ["refuse 3: Initiated [Idle]"]);
    assert_eq!(rig.request(connect(FIRST, CallId(9))), ["refuse NotFound { call: CallId(9) }"]);
    rig.request(play(SECOND, &["a.wav"], ""));
    assert_eq!(rig.request(connect(FIRST, SECOND)), ["refuse 2: Play [Idle]"]);
    assert_eq!(rig.get(FIRST).state, State::Idle);
    // Over, and its `on_released` still to come.
    rig.sip(bye(inbound(SECOND)));
    assert_eq!(rig.request(connect(FIRST, SECOND)), ["refuse NotFound { call: CallId(2) }"]);
    assert_eq!(rig.request(connect(SECOND, FIRST)), ["refuse NotFound { call: CallId(2) }"]);
    assert_eq!(rig.get(FIRST).state, State::Idle);
}
