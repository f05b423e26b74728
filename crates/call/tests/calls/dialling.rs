//! Dial: a call hears how another is dialled for it (`construct` with `parent_call_res_id`).

use std::sync::Arc;
use std::time::Duration;

use offhook_call::command::{Command, ConnectExtras, ConnectRecord, Construct, Content, Parent, RingMode};
use offhook_call::id::CallId;
use offhook_call::{DiskEvent, JobId, RecordedFile};
use offhook_media::event::{
    self as media, Codec, ConnectMode, LegId, LegStats, Prompt, RecordFormat, RecordingId,
};
use offhook_sip::event::{self as sip, EndCause, Refuser, SessionId};

use crate::rig::*;

const PARENT: CallId = CallId(1);
const CHILD: CallId = CallId(2);
const SESSION: SessionId = SessionId::Outbound(2);

fn dial(mode: RingMode, file: Option<&str>) -> Command {
    let content = file.map(|file| Content { sources: vec![file.into()] });
    let parent = Some(Parent { of: PARENT.into(), mode, content });
    Command::Construct(Box::new(Construct { parent, ..construct() }))
}

/// So many prompts of a second; the last is the tone.
fn prompts(job: u64, count: usize) -> DiskEvent {
    DiskEvent::Prompts { job: JobId(job), result: Ok(vec![prompt(); count]) }
}

/// A parent that is Idle, and its child whose INVITE is on the way.
fn dialling(mode: RingMode, file: Option<&str>) -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    let files = file.map(|file| format!("{file}|")).unwrap_or_default();
    assert_eq!(
        rig.request(dial(mode, file)),
        [format!("disk 1 load {files}gb PCMA"), "1: Idle→Dial".to_owned()]
    );
    let mut lines = rig.disk(prompts(1, 1 + usize::from(file.is_some())));
    assert_eq!(lines.remove(0), "sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1");
    assert_eq!(lines.remove(0), "reply call 2 Some(\"mark\")");
    assert_eq!(lines.remove(0), "2: →Initiated");
    let heard: &[&str] = match (mode, file) {
        (RingMode::UntilRinging | RingMode::UntilAnswer, Some(_)) => {
            &["media play 1 on 1: 1 prompts, repeat 4294967295"]
        }
        _ => &[],
    };
    assert_eq!(lines, heard);
    assert!(rig.sip(sip::Event::Sent { session: SESSION, call_id: "abc".to_owned(), route: 0 }).is_empty());
    rig
}

fn provisional(status: u16, body: Option<&str>) -> sip::Event {
    sip::Event::Provisional { session: SESSION, status, body: body.map(sdp) }
}

fn picked_up() -> sip::Event {
    sip::Event::Answered { session: SESSION, body: Some(sdp(OFFER)), also_rang: Vec::new() }
}

fn refused(status: u16) -> sip::Event {
    let (phrase, contacts) = (String::new(), Vec::new());
    let by = Refuser::Peer;
    ended(SESSION, EndCause::Refused { status, phrase, by, retry_after: None, reason: None, contacts })
}

fn connect() -> Command {
    Command::ConnectStart {
        call: PARENT,
        other: CHILD,
        max: Duration::from_secs(20),
        mode: ConnectMode::Both,
        extras: ConnectExtras::default(),
    }
}

/// The lines of what the parent hears: without those of the child.
fn heard(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| line.starts_with("media")).collect()
}

const OVER_AND_OVER: &str = "1 prompts, repeat 4294967295";

/// What the parent hears when the far end calls back with 180, and then with 183 and early media: for every mode.
#[test]
fn every_mode_lets_be_heard_what_it_says() {
    let play = |action: u32| format!("media play {action} on 1: {OVER_AND_OVER}");
    let none: Vec<String> = Vec::new();
    let far_end = "media connect 1 2 FirstHears".to_owned();
    // The far end's tone is a tone of ours, and then its early media.
    let tone_then_far_end = |action: u32, stopped: Vec<String>| {
        let rings = [stopped, vec![play(action)]].concat();
        (rings, vec![format!("media yield play {action}"), far_end.clone()])
    };
    for (mode, file, (rings, sounds)) in [
        (RingMode::WhileRinging, Some("a.wav"), (vec![play(1)], none.clone())),
        (RingMode::UntilRinging, Some("a.wav"), tone_then_far_end(2, vec!["media stop play 1".to_owned()])),
        (RingMode::UntilAnswer, Some("a.wav"), (none.clone(), none.clone())),
        (RingMode::WhileRinging, None, tone_then_far_end(1, none.clone())),
        (RingMode::UntilRinging, None, tone_then_far_end(1, none.clone())),
        (RingMode::UntilAnswer, None, tone_then_far_end(1, none.clone())),
        (RingMode::Before, None, tone_then_far_end(1, none.clone())),
    ] {
        let mut rig = dialling(mode, file);
        let lines = rig.sip(provisional(180, None));
        assert!(lines.contains(&"2: ringing".to_owned()), "{lines:?}");
        assert_eq!(heard(lines), rings, "{mode:?} {file:?}");
        assert_eq!(heard(rig.sip(provisional(183, Some(OFFER)))), sounds, "{mode:?} {file:?}");
        assert!(heard(rig.sip(provisional(183, Some(OFFER)))).is_empty(), "once");
    }
}

#[test]
fn early_media_that_comes_with_the_ringing_is_heard_at_once() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    assert_eq!(
        rig.sip(provisional(183, Some(OFFER))),
        ["open 2 on 20002 PCMA", "2: ringing", "media connect 1 2 FirstHears"]
    );
}

/// So many packets have come of the child's far end.
fn stats(packets_received: u64) -> media::Event {
    let stats = LegStats { packets_received, ..LegStats::default() };
    media::Event::Stats { leg: LegId(CHILD.0), stats }
}

/// Many describe early media in every 183 and send none before the answer.
#[test]
fn a_far_end_that_sends_nothing_rings_with_our_tone_until_something_comes() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    assert_eq!(rig.sip(provisional(183, Some(OFFER)))[2], "media connect 1 2 FirstHears");
    rig.ms(1000);
    assert!(rig.media(stats(0)).is_empty() && rig.ms(999).is_empty());
    assert_eq!(rig.ms(1), ["media disconnect 1 2", "media play 1 on 1: 1 prompts, repeat 4294967295"]);
    assert!(rig.sip(provisional(180, Some(OFFER))).is_empty());
    assert_eq!(rig.media(stats(3)), ["media yield play 1", "media connect 1 2 FirstHears"]);
    assert!(rig.secs(10).is_empty());
    // What comes in time is never interrupted.
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(183, Some(OFFER)));
    rig.media(stats(50));
    assert!(rig.secs(10).is_empty());
}

/// `call-api.md` §4: no switch leaves a gap. What is heard before early media lasts until that comes, and in any case to the answer.
#[test]
fn our_tone_lasts_until_early_media_comes() {
    let described = |rings_first: bool| {
        let mut rig = dialling(RingMode::WhileRinging, None);
        if rings_first {
            rig.sip(provisional(180, None));
        }
        rig.sip(provisional(183, Some(OFFER)));
        rig
    };
    // It comes, which the engine tells by the end of the tone.
    let mut rig = described(true);
    assert!(rig.media(play_ended(PARENT, 1, 1500)).is_empty() && rig.media(stats(50)).is_empty());
    assert!(rig.secs(10).is_empty());
    assert!(!rig.sip(picked_up()).contains(&"media stop play 1".to_owned()));
    // Nothing comes: the same tone goes on, and gives way again to what comes late.
    let mut rig = described(true);
    assert_eq!(rig.secs(2), ["media disconnect 1 2"]);
    assert_eq!(rig.media(stats(3)), ["media yield play 1", "media connect 1 2 FirstHears"]);
    let ends = ["media stop play 1", "media disconnect 1 2", "1: Dial→Idle"];
    assert_eq!(rig.sip(picked_up())[2..5], ends);
    // It will not be answered.
    let mut rig = described(true);
    assert_eq!(rig.sip(refused(486))[1..], ["2: Initiated→Released", "media stop play 1", "1: Dial→Idle"]);
    // A connection takes it over, gives it back, and leaves it to whom it was for.
    let mut rig = described(true);
    let lines = rig.request(connect());
    assert_eq!(lines[..2], ["media disconnect 1 2", "media connect 1 2 Both"]);
    let lines = rig.request(Command::ConnectStop { call: PARENT });
    assert_eq!(lines[..2], ["media disconnect 1 2", "media connect 1 2 FirstHears"]);
    assert_eq!(rig.sip(picked_up())[2..5], ends);
    // A file that was to be heard until it rings.
    let mut rig = dialling(RingMode::UntilRinging, Some("a.wav"));
    let lines = heard(rig.sip(provisional(183, Some(OFFER))));
    assert_eq!(lines, ["media yield play 1", "media connect 1 2 FirstHears"]);
    let lines =
        ["media stop play 1", "media disconnect 1 2", "media play 2 on 1: 1 prompts, repeat 4294967295"];
    assert_eq!(rig.secs(2), lines);
}

#[test]
fn an_announcement_comes_before_the_call() {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(
        rig.request(dial(RingMode::Before, Some("a.wav"))),
        ["disk 1 load a.wav|gb PCMA", "1: Idle→Dial"]
    );
    assert_eq!(
        rig.disk(prompts(1, 2)),
        ["reply call 2 Some(\"mark\")", "2: →Initiated", "media play 1 on 1: 1 prompts, repeat 0"]
    );
    // However long it takes.
    assert!(rig.secs(400).is_empty());
    assert_eq!(
        rig.media(play_ended(PARENT, 1, 1000)),
        ["sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1"]
    );
    assert_eq!(
        rig.sip(provisional(180, None)),
        ["2: ringing", "media play 2 on 1: 1 prompts, repeat 4294967295"]
    );
}

#[test]
fn a_child_that_is_dropped_during_the_announcement_has_called_nobody() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(dial(RingMode::Before, Some("a.wav")));
    rig.disk(prompts(1, 2));
    assert_eq!(
        rig.request(Command::Drop { call: CHILD, cause: 603 }),
        [
            "reply Done",
            "2: Initiated→Released",
            "media stop play 1",
            "1: Dial→Idle",
            "2: dial dropped",
            "2: released 603 System",
            "free 20002"
        ]
    );
}

#[test]
fn nothing_of_an_announcement_is_nothing_to_wait_for() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(dial(RingMode::Before, Some("empty.wav")));
    let empty = Arc::new(Prompt::new(Codec::Pcma, vec![]));
    let result = Ok(vec![empty, prompt()]);
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result });
    assert_eq!(lines.last().unwrap(), "sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1");
}

#[test]
fn the_parent_is_idle_before_the_answer_is_told() {
    let mut rig = dialling(RingMode::WhileRinging, Some("a.wav"));
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.sip(picked_up()),
        [
            "open 2 on 20002 PCMA",
            "2: Initiated→Idle",
            "media stop play 1",
            "1: Dial→Idle",
            "2: dial ok answered"
        ]
    );
    let now = rig.request(connect());
    assert_eq!(now, ["media connect 1 2 Both", "reply Done", "1: Idle→Connect", "2: Idle→Connect"]);
}

#[test]
fn early_media_goes_on_as_the_call() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(183, Some(OFFER)));
    assert_eq!(
        rig.sip(picked_up()),
        [
            "media update 2 PCMA 192.0.2.7:4000 20 SendRecv events 101",
            "2: Initiated→Idle",
            "media disconnect 1 2",
            "1: Dial→Idle",
            "2: dial ok answered"
        ]
    );
}

#[test]
fn the_parent_is_idle_before_a_refusal_is_told() {
    for early in [None, Some(OFFER)] {
        let mut rig = dialling(RingMode::WhileRinging, None);
        rig.sip(provisional(183, early));
        let mut lines = rig.sip(refused(486));
        if early.is_some() {
            // The leg of its early media is awaited.
            assert_eq!(lines.remove(0), "media remove 2");
            assert_eq!(lines, ["2: Initiated→Released", "1: Dial→Idle"]);
            lines = rig.media(leg_removed(CHILD));
        } else {
            let idle: Vec<_> = lines.drain(..3).collect();
            assert_eq!(idle, ["2: Initiated→Released", "media stop play 1", "1: Dial→Idle"]);
        }
        assert_eq!(lines, ["2: dial rejected 486", "2: released 486 User", "free 20002"]);
    }
}

#[test]
fn a_parent_that_is_hung_up_takes_its_child_along() {
    let mut rig = dialling(RingMode::WhileRinging, Some("a.wav"));
    rig.sip(provisional(180, None));
    assert_eq!(
        rig.sip(bye(inbound(PARENT))),
        [
            "media remove 1",
            "1: Dial→Idle",
            "1: Idle→Released",
            "sip cancel Some(487)",
            "2: Initiated→Released",
            "2: dial hangup",
            "2: released 487 System",
            "free 20002"
        ]
    );
    rig.media(leg_removed(PARENT));
    rig.sip(ended(SESSION, EndCause::Local));
    assert!(rig.is_clean());
}

#[test]
fn a_parent_must_be_idle_and_nothing_is_dialled_for_one_that_is_not() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    assert_eq!(rig.request(dial(RingMode::WhileRinging, None)), ["refuse 1: Dial [Idle]"]);
    assert_eq!(rig.request(play(PARENT, &["a.wav"], "")), ["refuse 1: Dial [Idle]"]);
    let parent = Some(Parent { of: CallId(77).into(), mode: RingMode::WhileRinging, content: None });
    let orphan = Command::Construct(Box::new(Construct { parent, ..construct() }));
    assert_eq!(rig.request(orphan), ["refuse NotFound { call: CallId(77) }"]);
}

#[test]
fn what_cannot_be_loaded_or_placed_is_an_error_and_the_parent_idle() {
    let mut rig = Rig::new();
    rig.answered();
    rig.request(dial(RingMode::WhileRinging, Some("none.wav")));
    let result = Err(not_there("none.wav", None));
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result });
    assert_eq!(
        lines,
        [
            "refuse File { fault: NotFound, param: \"ring_play_file\", file: \"none.wav\", item: None }",
            "1: Dial→Idle"
        ]
    );
    // The disk never answers.
    rig.request(dial(RingMode::WhileRinging, None));
    let lines = rig.secs(10);
    assert!(lines[0].starts_with("refuse Internal") && lines[1] == "1: Dial→Idle", "{lines:?}");
    // No room for one more call.
    rig.request(dial(RingMode::WhileRinging, None));
    rig.calls.drain();
    assert_eq!(rig.disk(prompts(3, 1)), ["refuse ShuttingDown", "1: Dial→Idle"]);
}

#[test]
fn a_connection_before_the_answer_waits_for_something_to_hear() {
    let mut rig = dialling(RingMode::WhileRinging, Some("a.wav"));
    assert_eq!(rig.request(connect()), ["reply Done", "1: Dial→Connect"]);
    // What the call heard without it goes on.
    assert_eq!(
        rig.sip(provisional(180, None)),
        ["2: ringing", "media play 1 on 1: 1 prompts, repeat 4294967295"]
    );
    assert_eq!(
        rig.sip(provisional(183, Some(OFFER))),
        ["open 2 on 20002 PCMA", "media yield play 1", "media connect 1 2 Both"]
    );
    // Where nothing was heard of the far end before the answer.
    assert_eq!(
        rig.sip(picked_up()),
        [
            "media update 2 PCMA 192.0.2.7:4000 20 SendRecv events 101",
            "2: Initiated→Idle",
            "2: Idle→Connect",
            "media stop play 1",
            "2: dial ok answered"
        ]
    );
    assert_eq!(
        rig.request(Command::ConnectStop { call: PARENT }),
        ["media disconnect 1 2", "reply Done", "1: Connect→Idle", "2: Connect→Idle", "1: connect ok"]
    );
}

#[test]
fn a_connection_begins_with_the_answer_where_nothing_was_heard_before() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.request(connect());
    assert_eq!(rig.sip(provisional(180, None))[1], "media play 1 on 1: 1 prompts, repeat 4294967295");
    assert_eq!(
        rig.sip(picked_up()),
        [
            "open 2 on 20002 PCMA",
            "2: Initiated→Idle",
            "2: Idle→Connect",
            "media stop play 1",
            "media connect 1 2 Both",
            "2: dial ok answered"
        ]
    );
}

#[test]
fn a_connection_that_is_stopped_before_the_answer_leaves_the_call_dialling() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(183, Some(OFFER)));
    rig.media(stats(1));
    assert_eq!(
        rig.request(connect()),
        ["media disconnect 1 2", "media connect 1 2 Both", "reply Done", "1: Dial→Connect"]
    );
    assert_eq!(
        rig.request(Command::ConnectStop { call: PARENT }),
        [
            "media disconnect 1 2",
            "media connect 1 2 FirstHears",
            "reply Done",
            "1: Connect→Dial",
            "1: connect ok"
        ]
    );
    // Its time is over: the same.
    rig.request(connect());
    assert_eq!(
        rig.secs(20),
        ["media disconnect 1 2", "media connect 1 2 FirstHears", "1: Connect→Dial", "1: connect max_seconds"]
    );
}

#[test]
fn a_child_that_fails_ends_the_connection() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.request(connect());
    assert_eq!(
        rig.sip(refused(486)),
        [
            "2: Initiated→Released",
            "1: Connect→Idle",
            "2: dial rejected 486",
            "2: released 486 User",
            "free 20002",
            "1: connect hangup by 2"
        ]
    );
}

#[test]
fn a_parent_that_is_hung_up_while_it_is_connected_takes_its_child_along() {
    for early in [None, Some(OFFER)] {
        let mut rig = dialling(RingMode::WhileRinging, None);
        rig.request(connect());
        rig.sip(provisional(183, early));
        let lines = rig.sip(bye(inbound(PARENT)));
        assert!(lines.contains(&"sip cancel Some(487)".to_owned()), "{lines:?}");
        let lines = [rig.media(leg_removed(PARENT)), rig.media(leg_removed(CHILD))].concat();
        assert_eq!(lines.iter().filter(|line| line.contains("connect hangup by 1")).count(), 1, "{lines:?}");
        rig.sip(ended(SESSION, EndCause::Local));
        assert!(rig.is_clean());
    }
}

#[test]
fn a_recording_of_it_begins_when_there_is_something_to_hear() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    let record = ConnectRecord {
        file: "c.wav".to_owned(),
        format: RecordFormat::Pcm16,
        is_stereo: true,
        second_rate: None,
    };
    let Command::ConnectStart { call, other, max, mode, .. } = connect() else { unreachable!() };
    let extras = ConnectExtras { record: Some(record), ..ConnectExtras::default() };
    let command = Command::ConnectStart { call, other, max, mode, extras };
    assert_eq!(rig.request(command), ["disk 2 open c.wav as 2 in stereo", "1: Dial→Connect"]);
    let opened = DiskEvent::RecordingOpened { job: JobId(2), result: Ok(()) };
    assert_eq!(rig.disk(opened), ["reply Done"]);
    rig.secs(5);
    let lines = rig.sip(provisional(183, Some(OFFER)));
    assert_eq!(lines[2..], ["media connect 1 2 Both", "media record 1 of 1 2 as 2 in stereo, 20s"]);
    // Stopped, it dials on when the file is complete.
    let lines = rig.request(Command::ConnectStop { call: PARENT });
    assert_eq!(lines, ["media disconnect 1 2", "reply Done"]);
    let closed = DiskEvent::RecordingClosed { recording: RecordingId(2), file: RecordedFile::default() };
    assert_eq!(rig.disk(closed), ["media connect 1 2 FirstHears", "1: Connect→Dial", "1: connect ok"]);
}

#[test]
fn keys_of_a_call_that_dials_wait_for_whoever_asks() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    assert_eq!(rig.media(digit(PARENT, '5')), ["1: key 5 Rfc4733"]);
    rig.sip(refused(486));
    let lines = rig.request(Command::ReceiveDtmfStart(Box::new(offhook_call::command::ReceiveDtmf {
        max_keys: 1,
        ..receive(PARENT, None)
    })));
    assert!(lines.iter().any(|line| line.contains("receive ok \"5\"")), "{lines:?}");
}
