//! Conferences (`call-api.md` §5) and the part of a call in one: every sentence a test.

use std::time::Duration;

use offhook_call::command::{Command, ConfEnter};
use offhook_call::conference::{Command as Ask, Construct as Open, EventKind, Over, Part};
use offhook_call::id::{CallId, ConferenceId, RequestId};
use offhook_call::state::State;
use offhook_call::{Output, Reply};
use offhook_media::event::{self as media, LegId, RoomEvent, RoomId, VoiceMode};

use crate::rig::*;

pub(crate) const ROOM: ConferenceId = ConferenceId(1);

/// A conference, and so many calls in it: the calls are 2, 3, … and their sessions 1, 2, ….
pub(crate) fn with_members(threshold: i32, members: u64) -> Rig {
    let mut rig = Rig::new();
    assert_eq!(
        rig.request(open_conference(threshold)),
        ["media room 1 open, tells talking true", "reply conference 1"]
    );
    for number in 1..=members {
        let call = another(&mut rig, number);
        assert_eq!(
            rig.request(enter(call, ROOM)),
            [
                "reply Done".to_owned(),
                format!("media room 1 join {} HearAndSpeak 0.0", call.0),
                format!("{}: Idle→Conf", call.0),
                format!("1: {} entered, {number}", call.0),
            ]
        );
    }
    rig
}

/// One more call, answered; the conference has taken the first serial.
pub(crate) fn another(rig: &mut Rig, session: u64) -> CallId {
    let call = CallId(session + 1);
    rig.invite(Some(OFFER));
    rig.request(answer(call));
    rig.sip(acked(CallId(session)));
    assert_eq!(rig.get(call).state, State::Idle);
    call
}

pub(crate) fn ask(command: Ask) -> Command {
    of_conference(ROOM, command)
}

pub(crate) fn exit(call: CallId) -> Command {
    Command::ConfExit { call, conference: ROOM }
}

pub(crate) fn told(event: RoomEvent) -> media::Event {
    media::Event::Room { room: RoomId(ROOM.0), event }
}

pub(crate) fn parts(rig: &mut Rig) -> Vec<Part> {
    let id = RequestId(9_999);
    rig.calls.request(rig.now(), offhook_call::command::Request { id, command: ask(Ask::GetParts) });
    match rig.outputs().pop() {
        Some(Output::Reply { result: Ok(Reply::Parts(parts)), .. }) => parts,
        other => panic!("no parts: {other:?}"),
    }
}

#[test]
fn a_conference_takes_its_name_out_of_the_row_of_the_calls() {
    let mut rig = with_members(1, 0);
    rig.invite(Some(OFFER));
    assert_eq!(rig.get(CallId(2)).state, State::Initiated);
    assert_eq!(rig.request(open_conference(1))[1], "reply conference 3");
    let node = offhook_call::id::NodeId([1, 2, 3]);
    assert_eq!(node.conf_res_id(ROOM), "1.2.3-sys.conf-1");
    assert_eq!(node.parse_conf_res_id("1.2.3-sys.conf-1"), Some(ROOM));
    for other in ["1.2.3-sys.call-1", "1.2.4-sys.conf-1", "1.2.3-sys.conf-01", "1.2.3-sys.conf-"] {
        assert_eq!(node.parse_conf_res_id(other), None, "{other}");
    }
}

#[test]
fn it_is_there_until_it_is_released() {
    let mut rig = with_members(1, 0);
    assert_eq!(rig.request(ask(Ask::Exists)), ["reply Exists(true)"]);
    assert_eq!(rig.request(ask(Ask::Nop)), ["reply Done"]);
    assert_eq!(rig.request(ask(Ask::Release)), ["reply Done", "media room 1 close"]);
    // Its last event is still to come.
    assert_eq!(rig.request(ask(Ask::Exists)), ["reply Exists(true)"]);
    let gone = ["refuse NoConference { conference: ConferenceId(1) }"];
    for command in [Ask::Nop, Ask::Release, Ask::Get, Ask::GetParts, Ask::SetThreshold { value: 1 }] {
        assert_eq!(rig.request(ask(command)), gone);
    }
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
    assert_eq!(rig.request(ask(Ask::Exists)), ["reply Exists(false)"]);
    assert_eq!(rig.request(ask(Ask::Nop)), gone);
    assert!(rig.is_clean());
}

#[test]
fn conferences_are_listed_by_pages() {
    let mut rig = with_members(1, 0);
    rig.request(open_conference(1));
    rig.request(open_conference(1));
    let page = |after: Option<u64>, limit| Command::ConferenceList { after: after.map(ConferenceId), limit };
    assert_eq!(rig.request(page(None, 10)), ["reply [1, 2, 3]"]);
    assert_eq!(rig.request(page(None, 2)), ["reply [1, 2]"]);
    assert_eq!(rig.request(page(Some(2), 2)), ["reply [3]"]);
    rig.request(of_conference(ConferenceId(2), Ask::Release));
    assert_eq!(rig.request(page(None, 10)), ["reply [1, 3]"]);
}

#[test]
fn there_are_no_more_than_the_limit() {
    let mut rig = with_members(1, 0);
    rig.request(open_conference(1));
    rig.request(open_conference(1));
    let refused = ["refuse LimitReached { limit: \"conferences\", value: 3 }"];
    assert_eq!(rig.request(open_conference(1)), refused);
    rig.request(ask(Ask::Release));
    assert_eq!(rig.request(open_conference(1)), refused);
    rig.media(told(RoomEvent::Closed));
    assert_eq!(rig.request(open_conference(1))[1], "reply conference 4");
}

#[test]
fn none_is_opened_while_the_node_drains() {
    let mut rig = with_members(1, 0);
    rig.calls.drain();
    assert_eq!(rig.request(open_conference(1)), ["refuse ShuttingDown"]);
    // One that is there may go on.
    assert_eq!(rig.request(ask(Ask::Nop)), ["reply Done"]);
}

#[test]
fn a_member_leaves_by_conf_exit() {
    let mut rig = with_members(-1, 2);
    assert_eq!(
        rig.request(exit(CallId(2))),
        ["media room 1 leave 2", "reply Done", "2: Conf→Idle", "1: 2 exited, 1", "2: conf 1 ok"]
    );
    assert_eq!(rig.get(CallId(2)).conference, None);
    assert_eq!(rig.get(CallId(3)).conference, Some(ROOM));
    assert_eq!(rig.request(enter(CallId(2), ROOM)).last().map(String::as_str), Some("1: 2 entered, 2"));
}

#[test]
fn conf_exit_of_another_conference_is_an_error() {
    let mut rig = with_members(-1, 1);
    let other = Command::ConfExit { call: CallId(2), conference: ConferenceId(7) };
    assert_eq!(
        rig.request(other),
        ["refuse InvalidParam { param: \"conf_res_id\", expected: \"the conference that the call is in\" }"]
    );
    assert_eq!(rig.get(CallId(2)).state, State::Conf);
}

#[test]
fn a_conference_that_is_not_there_cannot_be_entered() {
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    assert_eq!(
        rig.request(enter(call, ConferenceId(9))),
        ["refuse NoConference { conference: ConferenceId(9) }"]
    );
    rig.request(ask(Ask::Release));
    assert_eq!(rig.request(enter(call, ROOM)), ["refuse NoConference { conference: ConferenceId(1) }"]);
    assert_eq!(rig.get(call).state, State::Idle);
}

#[test]
fn the_time_of_a_stay_is_over() {
    let mut rig = with_members(-1, 2);
    assert!(rig.ms(299_999).is_empty());
    let lines = rig.ms(1);
    assert_eq!(
        lines,
        [
            "media room 1 leave 2",
            "2: Conf→Idle",
            "1: 2 exited, 1",
            "2: conf 1 max_seconds",
            "media room 1 leave 3",
            "3: Conf→Idle",
            "1: 3 exited, 0",
            "3: conf 1 max_seconds",
        ]
    );
}

#[test]
fn a_member_hangs_up_and_its_completion_comes_before_its_release() {
    let mut rig = with_members(-1, 2);
    assert_eq!(
        rig.sip(bye(inbound(CallId(1)))),
        ["media remove 2", "2: Conf→Idle", "2: Idle→Released", "1: 2 exited, 1"]
    );
    assert_eq!(
        rig.media(leg_removed(CallId(2))),
        ["2: conf 1 hangup", "2: released answered, 200 User", "free 20000"]
    );
}

#[test]
fn a_member_is_dropped_or_has_talked_for_its_longest() {
    let mut rig = with_members(-1, 1);
    let lines = rig.request(Command::Drop { call: CallId(2), cause: 603 });
    assert_eq!(lines[..2], ["sip bye Some(603)", "media remove 2"]);
    assert_eq!(rig.media(leg_removed(CallId(2)))[0], "2: conf 1 hangup");

    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    let long = ConfEnter { max: Duration::from_secs(900), ..conf_enter(call, ROOM) };
    rig.request(Command::ConfEnter(Box::new(long)));
    assert_eq!(rig.secs(600)[0], "sip bye Some(603)");
    assert_eq!(rig.media(leg_removed(call))[0], "2: conf 1 max_answer_seconds");
}

#[test]
fn a_member_is_kicked_with_a_cause() {
    let mut rig = with_members(-1, 2);
    assert_eq!(
        rig.request(ask(Ask::Kick { call: CallId(3), cause: 486 })),
        ["reply Done", "media room 1 leave 3", "1: 3 exited, 1", "3: Conf→Idle", "3: conf 1 kicked 486"]
    );
    let no_member =
        ["refuse InvalidParam { param: \"call_res_id\", expected: \"a call that is in the conference\" }"];
    assert_eq!(rig.request(ask(Ask::Kick { call: CallId(3), cause: 486 })), no_member);
    assert_eq!(rig.request(ask(Ask::SetVolume { call: CallId(3), volume: 1 })), no_member);
    let unknown = ["refuse NotFound { call: CallId(99) }"];
    assert_eq!(rig.request(ask(Ask::Kick { call: CallId(99), cause: 486 })), unknown);
}

#[test]
fn members_of_a_released_conference_are_idle_each_with_its_completion() {
    let mut rig = with_members(1, 2);
    assert_eq!(
        rig.request(ask(Ask::Release)),
        [
            "reply Done",
            "1: 2 exited, 1",
            "1: 3 exited, 0",
            "media room 1 close",
            "2: Conf→Idle",
            "3: Conf→Idle",
            "2: conf 1 conf_released",
            "3: conf 1 conf_released",
        ]
    );
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
}

/// Its `on_released` says why it is over.
#[test]
fn a_released_conference_says_why() {
    let why = |rig: &mut Rig| {
        rig.calls.media(rig.now(), told(RoomEvent::Closed));
        match rig.outputs().pop() {
            Some(Output::ConferenceEvent(offhook_call::conference::Event {
                kind: EventKind::Released { reason, .. },
                ..
            })) => reason,
            other => panic!("not released: {other:?}"),
        }
    };
    let mut rig = with_members(1, 2);
    rig.request(ask(Ask::Release));
    assert_eq!(why(&mut rig), Over::Released);
    let mut rig = with_members(1, 2);
    rig.request(exit(CallId(2)));
    assert_eq!(why(&mut rig), Over::PartsThreshold);
    let mut rig = with_members(-1, 1);
    rig.secs(300 + 180);
    assert_eq!(why(&mut rig), Over::Empty, "its member left after five minutes");
    let mut rig = with_members(-1, 0);
    for _ in 0..36 {
        rig.request(ask(Ask::Nop));
        rig.wait(Duration::from_millis(99_999));
    }
    rig.ms(36);
    assert_eq!(why(&mut rig), Over::MaxSeconds);
    let mut rig = with_members(1, 0);
    let now = rig.now();
    rig.calls.hang_up_all(now);
    assert_eq!(why(&mut rig), Over::ShuttingDown);
}

#[test]
fn it_is_released_when_the_number_left_is_at_the_threshold() {
    // 1: when one is left.
    let mut rig = with_members(1, 3);
    let lines = rig.request(exit(CallId(2)));
    assert!(!lines.iter().any(|line| line.ends_with("close")), "{lines:?}");
    let lines = rig.request(exit(CallId(3)));
    assert!(lines.iter().any(|line| line == "media room 1 close"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("4: conf 1 conf_released"));
    // 0: when empty.
    let mut rig = with_members(0, 2);
    let lines = rig.request(exit(CallId(2)));
    assert!(!lines.iter().any(|line| line.ends_with("close")), "{lines:?}");
    let lines = rig.request(exit(CallId(3)));
    assert!(lines.iter().any(|line| line == "media room 1 close"), "{lines:?}");
    // Negative: never by count.
    let mut rig = with_members(-1, 2);
    for call in [CallId(2), CallId(3)] {
        let lines = rig.request(exit(call));
        assert!(!lines.iter().any(|line| line.ends_with("close")), "{lines:?}");
    }
}

#[test]
fn it_counts_only_once_a_second_member_has_been_in() {
    let mut rig = with_members(1, 1);
    let lines = rig.request(exit(CallId(2)));
    assert!(!lines.iter().any(|line| line.ends_with("close")), "{lines:?}");
    // Two after each other are not two at once, but the second member has been in then.
    rig.request(enter(CallId(2), ROOM));
    another(&mut rig, 2);
    rig.request(enter(CallId(3), ROOM));
    let lines = rig.request(exit(CallId(2)));
    assert!(lines.iter().any(|line| line == "media room 1 close"), "{lines:?}");
}

#[test]
fn the_threshold_is_changed_and_counts_at_the_next_leaving() {
    let mut rig = with_members(-1, 3);
    assert_eq!(rig.request(ask(Ask::SetThreshold { value: 3 })), ["reply Done"]);
    let lines = rig.request(exit(CallId(2)));
    assert!(lines.iter().any(|line| line == "media room 1 close"), "{lines:?}");
}

#[test]
fn a_hang_up_that_leaves_too_few_releases_it() {
    let mut rig = with_members(1, 2);
    let lines = rig.sip(bye(inbound(CallId(1))));
    assert_eq!(lines.last().map(String::as_str), Some("3: conf 1 conf_released"));
    assert_eq!(rig.get(CallId(3)).state, State::Idle);
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
}

#[test]
fn without_any_member_for_180_s_it_is_released() {
    let mut rig = with_members(1, 0);
    assert!(rig.ms(179_999).is_empty());
    assert_eq!(rig.ms(1), ["media room 1 close"]);
    // From the leaving of the last one, too.
    let mut rig = with_members(0, 1);
    rig.secs(100);
    rig.request(exit(CallId(2)));
    assert!(rig.ms(179_999).is_empty());
    assert_eq!(rig.ms(1), ["media room 1 close"]);
    // A nop restarts the clock; a question does not.
    let mut rig = with_members(1, 0);
    rig.secs(100);
    rig.request(ask(Ask::Nop));
    assert!(rig.ms(179_999).is_empty());
    rig.request(ask(Ask::GetParts));
    assert_eq!(rig.ms(1), ["media room 1 close"]);
}

#[test]
fn it_is_released_when_it_is_max_seconds_old() {
    let mut rig = Rig::new();
    let open = Open { max: Duration::from_secs(60), ..conference_of(-1) };
    rig.request(Command::ConferenceConstruct(Box::new(open)));
    let call = another(&mut rig, 1);
    rig.request(enter(call, ROOM));
    rig.request(ask(Ask::Nop));
    assert!(rig.ms(59_999).is_empty());
    assert_eq!(rig.ms(1)[..2], ["1: 2 exited, 0", "media room 1 close"]);
    assert_eq!(rig.get(call).state, State::Idle);
}

#[test]
fn a_room_that_does_not_close_is_not_waited_for_for_ever() {
    let mut rig = with_members(1, 0);
    rig.request(ask(Ask::Release));
    assert!(rig.ms(1_999).is_empty());
    assert_eq!(rig.ms(1), ["1: released"]);
    assert!(rig.is_clean());
}

#[test]
fn its_members_are_told_with_voice_volume_talk_and_mark() {
    let mut rig = with_members(1, 0);
    let call = another(&mut rig, 1);
    let quiet = ConfEnter { mode: VoiceMode::SpeakOnly, volume: -6, ..conf_enter(call, ROOM) };
    assert_eq!(rig.request(Command::ConfEnter(Box::new(quiet)))[1], "media room 1 join 2 SpeakOnly -6.0");
    let mut part = Part {
        call,
        mode: VoiceMode::SpeakOnly,
        volume: -6,
        talking: false,
        user_data: Some("mark".to_owned()),
    };
    assert_eq!(parts(&mut rig), [part.clone()]);
    assert_eq!(
        rig.request(ask(Ask::SetVoiceMode { call, mode: VoiceMode::HearOnly })),
        ["media room 1 voice 2 HearOnly -6.0", "reply Done"]
    );
    assert_eq!(
        rig.request(ask(Ask::SetVolume { call, volume: 10 })),
        ["media room 1 voice 2 HearOnly 10.0", "reply Done"]
    );
    let talks = RoomEvent::Talking { leg: LegId(call.0), talking: true };
    assert_eq!(rig.media(told(talks)), ["1: 2 talking true"]);
    (part.mode, part.volume, part.talking) = (VoiceMode::HearOnly, 10, true);
    assert_eq!(parts(&mut rig), [part]);
    // What is still on its way when it leaves is told no more.
    rig.request(exit(call));
    let stops = RoomEvent::Talking { leg: LegId(call.0), talking: false };
    assert!(rig.media(told(stops)).is_empty());
}

#[test]
fn keys_of_a_member_are_typed_ahead() {
    let mut rig = with_members(-1, 1);
    let call = CallId(2);
    assert_eq!(rig.media(digit(call, '5')), ["2: key 5 Rfc4733"]);
    rig.request(exit(call));
    let one = offhook_call::command::ReceiveDtmf { max_keys: 1, ..receive(call, None) };
    let lines = rig.request(Command::ReceiveDtmfStart(Box::new(one)));
    assert_eq!(lines.last().map(String::as_str), Some("2: receive ok \"5\""));
}

#[test]
fn a_member_does_nothing_else() {
    let mut rig = with_members(-1, 1);
    let call = CallId(2);
    assert_eq!(rig.request(play(call, &["a.wav"], "")), ["refuse 2: Conf [Idle]"]);
    let allowed = "[Idle, Play, Record, SendDtmf, ReceiveDtmf]";
    assert_eq!(rig.request(enter(call, ROOM)), [format!("refuse 2: Conf {allowed}")]);
    assert_eq!(rig.request(Command::Nop { call }), ["reply Done"]);
}

#[test]
fn the_node_ends_and_so_does_every_conference() {
    let mut rig = with_members(-1, 2);
    let now = rig.now();
    rig.calls.hang_up_all(now);
    let lines = rig.lines();
    assert_eq!(lines.last().map(String::as_str), Some("media room 1 close"));
    let mut last = rig.media(leg_removed(CallId(2)));
    last.extend(rig.media(leg_removed(CallId(3))));
    last.extend(rig.media(told(RoomEvent::Closed)));
    assert_eq!(
        last,
        [
            "2: conf 1 hangup",
            "2: released answered, 503 System",
            "free 20000",
            "3: conf 1 hangup",
            "3: released answered, 503 System",
            "free 20002",
            "1: released"
        ]
    );
    assert!(rig.is_clean());
}

#[test]
fn a_member_whose_media_is_gone_is_no_member() {
    let mut rig = with_members(-1, 2);
    rig.media(leg_removed(CallId(2)));
    assert_eq!(parts(&mut rig).iter().map(|part| part.call).collect::<Vec<_>>(), [CallId(3)]);
}
