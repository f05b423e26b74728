//! Into a conference: what all hear when a call enters, and out of what it enters.

use std::time::Duration;

use offhook_call::command::{Command, ConfEnter};
use offhook_call::conference::Command as Ask;
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_call::{DiskEvent, JobId};
use offhook_media::event::{self as media, Dial, LegId, RecordFormat, RecordingId};

use crate::conferences::*;
use crate::rig::*;

#[test]
fn what_is_played_on_entry_is_heard_by_all() {
    let mut rig = with_members(1, 1);
    let call = another(&mut rig, 2);
    let enter = ConfEnter { welcome: Some(files(&["hello.wav"])), ..conf_enter(call, ROOM) };
    let enter = || Command::ConfEnter(Box::new(enter.clone()));
    assert_eq!(rig.request(enter()), ["disk 1 load hello.wav L16", "3: Idle→Conf"]);
    assert_eq!(parts(&mut rig).len(), 1);
    assert_eq!(
        rig.disk(loaded(1)),
        [
            "reply Done",
            "media room 1 join 3 HearAndSpeak 0.0",
            "media room 1 play 1: 1 +0 0.0",
            "1: 3 entered, 2"
        ]
    );
    // One that is not there is an error, and no event.
    rig.request(exit(call));
    let mut rig = with_members(-1, 1);
    let call = another(&mut rig, 2);
    rig.request(enter());
    let not_there = DiskEvent::Prompts { job: JobId(1), result: Err(not_there("hello.wav", None)) };
    let refused = "refuse File { fault: NotFound, param: \"play_file\", file: \"hello.wav\", item: None }";
    assert_eq!(rig.disk(not_there), [refused, "3: Conf→Idle"]);
    assert_eq!(rig.get(call).state, State::Idle);
}

#[test]
fn it_may_be_over_before_the_file_is_loaded() {
    let prepared = || {
        let mut rig = with_members(-1, 1);
        let call = another(&mut rig, 2);
        let enter = ConfEnter { welcome: Some(files(&["hello.wav"])), ..conf_enter(call, ROOM) };
        rig.request(Command::ConfEnter(Box::new(enter)));
        (rig, call)
    };
    // The conference is released.
    let (mut rig, call) = prepared();
    rig.request(ask(Ask::Release));
    assert_eq!(rig.disk(loaded(1)), ["refuse NoConference { conference: ConferenceId(1) }", "3: Conf→Idle"]);
    assert_eq!(rig.get(call).state, State::Idle);
    // It is taken out again.
    let (mut rig, call) = prepared();
    assert_eq!(rig.request(exit(call)), ["reply Done", "reply Done", "3: Conf→Idle", "3: conf 1 ok"]);
    assert!(rig.disk(loaded(1)).is_empty());
    // It hangs up.
    let (mut rig, _) = prepared();
    assert_eq!(
        rig.sip(bye(inbound(CallId(2)))),
        ["refuse NotFound { call: CallId(3) }", "media remove 3", "3: Conf→Idle", "3: Idle→Released"]
    );
    assert!(rig.disk(loaded(1)).is_empty());
    assert_eq!(rig.media(leg_removed(CallId(3))), ["3: released answered, 200 User", "free 20002"]);
    // The disk does not answer.
    let (mut rig, call) = prepared();
    assert_eq!(
        rig.secs(10),
        ["refuse Internal { message: \"the disk did not answer within 10 s\" }", "3: Conf→Idle"]
    );
    assert_eq!(rig.get(call).state, State::Idle);
}

#[test]
fn a_running_play_is_stopped_and_completes_and_then_it_enters() {
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    rig.request(play(call, &["a.wav"], ""));
    rig.disk(loaded(1));
    assert_eq!(rig.request(enter(call, ROOM)), ["media stop play 1"]);
    assert_eq!(rig.get(call).state, State::Play);
    assert_eq!(rig.request(enter(call, ROOM)), ["refuse 2: Play []"]);
    assert_eq!(
        rig.media(play_ended(call, 1, 300)),
        [
            "reply Done",
            "media room 1 join 2 HearAndSpeak 0.0",
            "2: Play→Idle",
            "2: Idle→Conf",
            "2: play ok 300ms",
            "1: 2 entered, 1"
        ]
    );
}

#[test]
fn a_play_that_is_still_being_loaded_is_over_at_once() {
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    rig.request(play(call, &["a.wav"], ""));
    let lines = rig.request(enter(call, ROOM));
    assert_eq!(lines[..3], ["reply Done", "reply Done", "media room 1 join 2 HearAndSpeak 0.0"]);
    assert_eq!(lines[lines.len() - 2..], ["2: play ok 0ns", "1: 2 entered, 1"]);
    assert!(rig.disk(loaded(1)).is_empty());
}

/// The file comes first: one that is not to be had stops nothing.
#[test]
fn a_running_play_goes_on_until_the_file_for_all_is_there() {
    let playing = || {
        let mut rig = with_members(-1, 0);
        let call = another(&mut rig, 1);
        rig.request(play(call, &["a.wav"], "#"));
        rig.disk(loaded(1));
        let welcome = ConfEnter { welcome: Some(files(&["hello.wav"])), ..conf_enter(call, ROOM) };
        let lines = rig.request(Command::ConfEnter(Box::new(welcome)));
        assert_eq!(lines, ["disk 2 load hello.wav L16"]);
        assert_eq!(rig.get(call).state, State::Play);
        (rig, call)
    };
    let missing = || DiskEvent::Prompts { job: JobId(2), result: Err(not_there("hello.wav", None)) };
    let refused = "refuse File { fault: NotFound, param: \"play_file\", file: \"hello.wav\", item: None }";
    let joined = ["media room 1 join 2 HearAndSpeak 0.0", "media room 1 play 2: 1 +0 0.0"];
    let (mut rig, call) = playing();
    assert_eq!(rig.disk(missing()), [refused]);
    assert_eq!(rig.media(play_ended(call, 1, 1000)), ["2: Play→Idle", "2: play ok 1s"]);
    // It is there.
    let (mut rig, call) = playing();
    assert_eq!(rig.request(enter(call, ROOM)), ["refuse 2: Play []"]);
    assert_eq!(rig.disk(loaded(2)), ["media stop play 1"]);
    assert_eq!(
        rig.media(play_ended(call, 1, 300)),
        [
            "reply Done",
            joined[0],
            "2: Play→Idle",
            "2: Idle→Conf",
            joined[1],
            "2: play ok 300ms",
            "1: 2 entered, 1"
        ]
    );
    // The play ends by itself before.
    let (mut rig, call) = playing();
    let over = rig.media(play_ended(call, 1, 1000));
    assert_eq!(over, ["2: Play→Idle", "2: Idle→Conf", "2: play ok 1s"]);
    let lines = rig.disk(loaded(2));
    assert_eq!((lines[0].as_str(), &lines[1..3]), ("reply Done", &joined.map(str::to_owned)[..]));
    // The disk does not answer, and the call goes on.
    let (mut rig, call) = playing();
    assert_eq!(rig.secs(10), ["refuse Internal { message: \"the disk did not answer within 10 s\" }"]);
    assert_eq!(rig.get(call).state, State::Play);
    // It hangs up.
    let (mut rig, call) = playing();
    let lines = rig.sip(bye(inbound(CallId(1))));
    assert_eq!(lines[0], "refuse NotFound { call: CallId(2) }");
    assert_eq!(rig.media(leg_removed(call))[0], "2: play hangup 0ns");
    // The conference goes meanwhile; the play is stopped by then.
    let (mut rig, call) = playing();
    rig.request(ask(Ask::Release));
    rig.disk(loaded(2));
    let gone = "refuse NoConference { conference: ConferenceId(1) }";
    assert_eq!(rig.media(play_ended(call, 1, 300)), [gone, "2: Play→Idle", "2: play ok 300ms"]);
}

#[test]
fn every_other_action_is_stopped_as_well() {
    // A recording: its file is complete first.
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    rig.request(Command::RecordStart {
        call,
        max: Duration::from_secs(60),
        beep: false,
        file: "r.wav".to_owned(),
        format: RecordFormat::Pcm16,
        finish_keys: keys(""),
        overwrite: false,
        trim_silence: false,
        mute_digits: false,
    });
    rig.disk(DiskEvent::RecordingOpened { job: JobId(1), result: Ok(()) });
    assert_eq!(rig.request(enter(call, ROOM)), ["media stop record 1"]);
    rig.media(media::Event::RecordEnded {
        leg: LegId(call.0),
        action: media::ActionId(1),
        duration: Duration::from_secs(2),
        end: media::RecordEnd::Stopped,
    });
    let file = offhook_call::RecordedFile { bytes: 44, parts: 1, gaps: Duration::ZERO };
    let lines = rig.disk(DiskEvent::RecordingClosed { recording: RecordingId(1), file });
    assert_eq!(lines[..2], ["reply Done", "media room 1 join 2 HearAndSpeak 0.0"]);
    assert_eq!(lines[lines.len() - 2..], ["2: record stopped r.wav 2s 44", "1: 2 entered, 1"]);
    // Digits to send.
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    rig.request(Command::SendDtmfStart { call, digits: vec![Dial::Key(key('1')); 9] });
    assert_eq!(rig.request(enter(call, ROOM)), ["media stop digits 1"]);
    let sent = media::Event::DigitsSent { leg: LegId(call.0), action: media::ActionId(1) };
    let lines = rig.media(sent);
    assert_eq!(lines[lines.len() - 2..], ["2: send ok", "1: 2 entered, 1"]);
    assert_eq!(rig.get(call).state, State::Conf);
    // Digits to collect.
    let mut rig = with_members(-1, 0);
    let call = another(&mut rig, 1);
    rig.request(Command::ReceiveDtmfStart(Box::new(receive(call, None))));
    let lines = rig.request(enter(call, ROOM));
    assert_eq!(lines[lines.len() - 2..], ["2: receive ok \"\"", "1: 2 entered, 1"]);
    assert_eq!(rig.get(call).state, State::Conf);
}

#[test]
fn an_action_that_is_stopped_for_it_may_be_cut_off() {
    let stopping = || {
        let mut rig = with_members(-1, 0);
        let call = another(&mut rig, 1);
        rig.request(play(call, &["a.wav"], ""));
        rig.disk(loaded(1));
        rig.request(enter(call, ROOM));
        (rig, call)
    };
    let (mut rig, call) = stopping();
    assert_eq!(
        rig.sip(bye(inbound(CallId(1)))),
        ["refuse NotFound { call: CallId(2) }", "media remove 2", "2: Play→Idle", "2: Idle→Released"]
    );
    assert_eq!(rig.media(leg_removed(call))[0], "2: play ok 0ns");
    // The conference goes meanwhile.
    let (mut rig, call) = stopping();
    rig.request(ask(Ask::Release));
    assert_eq!(
        rig.media(play_ended(call, 1, 300)),
        ["refuse NoConference { conference: ConferenceId(1) }", "2: Play→Idle", "2: play ok 300ms"]
    );
    // The media is stuck.
    let (mut rig, call) = stopping();
    assert_eq!(rig.secs(2)[0], "reply Done");
    assert_eq!(rig.get(call).state, State::Conf);
}

/// What all hear of those who enter: four at once, of which the oldest gives way; and each no longer than its member stays.
#[test]
fn what_is_heard_of_those_who_enter_is_bounded_and_can_be_stopped() {
    let entered = |rig: &mut Rig, number: u64| {
        let call = another(rig, number);
        let welcome = Some(files(&["hello.wav"]));
        rig.request(Command::ConfEnter(Box::new(ConfEnter { welcome, ..conf_enter(call, ROOM) })));
        let lines = rig.disk(loaded(number));
        lines.into_iter().filter(|line| line.contains("play")).collect::<Vec<_>>()
    };
    let mut rig = with_members(-1, 0);
    for number in 1..=4 {
        assert_eq!(entered(&mut rig, number), [format!("media room 1 play {number}: 1 +0 0.0")]);
    }
    assert_eq!(entered(&mut rig, 5), ["media room 1 stop play 1", "media room 1 play 5: 1 +0 0.0"]);
    // One that has ended makes room.
    let (action, played) = (media::ActionId(3), Duration::from_secs(1));
    let ended = |action| told(media::RoomEvent::PlayEnded { action, played });
    assert!(rig.media(ended(action)).is_empty());
    assert_eq!(entered(&mut rig, 6), ["media room 1 play 6: 1 +0 0.0"]);
    // It ends with the stay of its member: the call 3 has that of the second.
    let lines = rig.request(exit(CallId(3)));
    assert_eq!(lines[..2], ["media room 1 leave 3", "reply Done"]);
    assert!(lines.contains(&"media room 1 stop play 2".to_owned()), "{lines:?}");
    // The rest ends by play_stop, which has nothing to complete here.
    assert_eq!(
        rig.request(ask(Ask::PlayStop)),
        ["media room 1 stop play 4", "media room 1 stop play 5", "media room 1 stop play 6", "reply Done"]
    );
    assert_eq!(rig.request(ask(Ask::PlayStop)), ["reply Done"]);
    assert!(rig.media(ended(media::ActionId(4))).is_empty());
}
