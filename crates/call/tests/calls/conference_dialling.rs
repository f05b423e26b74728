//! A call is dialled for a conference (`construct` with `parent_conf_res_id`): "the same, heard by the conference".

use std::sync::Arc;

use offhook_call::command::{Command, Construct, Content, Parent, RingMode};
use offhook_call::conference::Command as Ask;
use offhook_call::id::{CallId, ConferenceId};
use offhook_call::state::State;
use offhook_call::{DiskEvent, JobId};
use offhook_media::event::{self as media, ActionId, Codec, LegId, LegStats, Prompt, RoomEvent};
use offhook_sip::event::{self as sip, EndCause, Refuser, SessionId};

use crate::conferences::{ROOM, another, ask, parts, told, with_members};
use crate::rig::*;

/// The first that is dialled for a conference of one member.
const CHILD: CallId = CallId(3);

fn dial(mode: RingMode, file: Option<&str>) -> Command {
    let content = file.map(|file| Content { sources: vec![file.into()] });
    let parent = Some(Parent { of: ROOM.into(), mode, content });
    Command::Construct(Box::new(Construct { parent, ..construct() }))
}

/// So many prompts of a second; the last is the tone.
fn prompts(job: u64, count: usize) -> DiskEvent {
    DiskEvent::Prompts { job: JobId(job), result: Ok(vec![prompt(); count]) }
}

/// A conference of one member, and a call that is dialled for it, whose INVITE is on the way.
fn dialling(mode: RingMode, file: Option<&str>) -> Rig {
    let mut rig = with_members(-1, 1);
    let files = file.map(|file| format!("{file}|")).unwrap_or_default();
    assert_eq!(rig.request(dial(mode, file)), [format!("disk 1 load {files}gb L16")]);
    let mut lines = rig.disk(prompts(1, 1 + usize::from(file.is_some())));
    assert_eq!(lines.remove(0), "sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1");
    assert_eq!(lines.remove(0), "reply call 3 Some(\"mark\")");
    assert_eq!(lines.remove(0), "3: →Initiated");
    let heard: &[&str] = match (mode, file) {
        (RingMode::UntilRinging | RingMode::UntilAnswer, Some(_)) => {
            &["media room 1 play 1: 1 +4294967295 0.0"]
        }
        _ => &[],
    };
    assert_eq!(lines, heard);
    rig
}

fn session(child: CallId) -> SessionId {
    SessionId::Outbound(child.0)
}

fn provisional(child: CallId, status: u16, body: Option<&str>) -> sip::Event {
    sip::Event::Provisional { session: session(child), status, body: body.map(sdp) }
}

fn picked_up(child: CallId) -> sip::Event {
    sip::Event::Answered { session: session(child), body: Some(sdp(OFFER)), also_rang: Vec::new() }
}

fn refused(child: CallId) -> sip::Event {
    let (phrase, contacts, by) = (String::new(), Vec::new(), Refuser::Peer);
    let cause = EndCause::Refused { status: 486, phrase, by, retry_after: None, reason: None, contacts };
    ended(session(child), cause)
}

/// The lines of what the conference hears.
fn heard(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| line.starts_with("media room")).collect()
}

/// What the conference hears when the far end calls back with 180, and then with 183 and early media: for every mode, as
/// a call hears it in `dialling.rs`.
#[test]
fn every_mode_lets_all_hear_what_it_says() {
    let play = |action: u32| format!("media room 1 play {action}: 1 +4294967295 0.0");
    let none: Vec<String> = Vec::new();
    let joins = "media room 1 join 3 SpeakOnly 0.0".to_owned();
    let tone_then_far_end = |action: u32, stopped: Vec<String>| {
        let rings = [stopped, vec![play(action)]].concat();
        (rings, vec![format!("media room 1 stop play {action}"), joins.clone()])
    };
    let stopped = || vec!["media room 1 stop play 1".to_owned()];
    for (mode, file, (rings, sounds)) in [
        (RingMode::WhileRinging, Some("a.wav"), (vec![play(1)], none.clone())),
        (RingMode::UntilRinging, Some("a.wav"), tone_then_far_end(2, stopped())),
        (RingMode::UntilAnswer, Some("a.wav"), (none.clone(), none.clone())),
        (RingMode::WhileRinging, None, tone_then_far_end(1, none.clone())),
        (RingMode::UntilRinging, None, tone_then_far_end(1, none.clone())),
        (RingMode::UntilAnswer, None, tone_then_far_end(1, none.clone())),
        (RingMode::Before, None, tone_then_far_end(1, none.clone())),
    ] {
        let mut rig = dialling(mode, file);
        let lines = rig.sip(provisional(CHILD, 180, None));
        assert!(lines.contains(&"3: ringing".to_owned()), "{lines:?}");
        assert_eq!(heard(lines), rings, "{mode:?} {file:?}");
        assert_eq!(heard(rig.sip(provisional(CHILD, 183, Some(OFFER)))), sounds, "{mode:?} {file:?}");
        assert!(heard(rig.sip(provisional(CHILD, 183, Some(OFFER)))).is_empty(), "once");
    }
}

#[test]
fn an_announcement_to_all_comes_before_the_call() {
    let mut rig = with_members(-1, 1);
    rig.request(dial(RingMode::Before, Some("a.wav")));
    let announced = ["reply call 3 Some(\"mark\")", "3: →Initiated", "media room 1 play 1: 1 +0 0.0"];
    assert_eq!(rig.disk(prompts(1, 2)), announced);
    assert!(rig.secs(200).is_empty(), "however long it takes");
    let ended = told(RoomEvent::PlayEnded { action: ActionId(1), played: std::time::Duration::from_secs(1) });
    assert_eq!(rig.media(ended), ["sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1"]);
    let rings = ["3: ringing", "media room 1 play 2: 1 +4294967295 0.0"];
    assert_eq!(rig.sip(provisional(CHILD, 180, None)), rings);
    // Nothing of an announcement is nothing to wait for.
    let mut rig = with_members(-1, 1);
    rig.request(dial(RingMode::Before, Some("empty.wav")));
    let empty = Arc::new(Prompt::new(Codec::L16Wide, vec![]));
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result: Ok(vec![empty, prompt()]) });
    assert_eq!(lines.last().unwrap(), "sip invite sip:100@192.0.2.9:5060 from sip:1000@192.0.2.1");
}

#[test]
fn a_far_end_that_sends_nothing_rings_with_our_tone_until_something_comes() {
    let stats = |packets_received| {
        let stats = LegStats { packets_received, ..LegStats::default() };
        media::Event::Stats { leg: LegId(CHILD.0), stats }
    };
    let mut rig = dialling(RingMode::WhileRinging, None);
    assert_eq!(
        rig.sip(provisional(CHILD, 183, Some(OFFER))),
        ["open 3 on 20002 PCMA", "3: ringing", "media room 1 join 3 SpeakOnly 0.0"]
    );
    assert!(rig.media(stats(0)).is_empty() && rig.ms(1_999).is_empty());
    assert_eq!(rig.ms(1), ["media room 1 leave 3", "media room 1 play 1: 1 +4294967295 0.0"]);
    assert_eq!(rig.media(stats(3)), ["media room 1 stop play 1", "media room 1 join 3 SpeakOnly 0.0"]);
    assert!(rig.secs(10).is_empty());
}

#[test]
fn when_it_is_answered_it_is_idle_and_no_member_until_it_enters() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(CHILD, 183, Some(OFFER)));
    assert_eq!(parts(&mut rig).len(), 1, "early media makes no member");
    assert!(rig.request(enter(CHILD, ROOM))[0].starts_with("refuse 3: Initiated"), "not before the answer");
    assert_eq!(
        rig.sip(picked_up(CHILD)),
        [
            "media update 3 PCMA 192.0.2.7:4000 20 SendRecv events 101",
            "3: Initiated→Idle",
            "media room 1 leave 3",
            "3: dial ok answered"
        ]
    );
    assert_eq!(parts(&mut rig).len(), 1);
    assert_eq!(
        rig.request(enter(CHILD, ROOM)),
        ["reply Done", "media room 1 join 3 HearAndSpeak 0.0", "3: Idle→Conf", "1: 3 entered, 2"]
    );
    // What was played until the answer is not heard any more either.
    let mut rig = dialling(RingMode::UntilAnswer, Some("a.wav"));
    let lines = rig.sip(picked_up(CHILD));
    assert_eq!(
        lines,
        ["open 3 on 20002 PCMA", "3: Initiated→Idle", "media room 1 stop play 1", "3: dial ok answered"]
    );
}

#[test]
fn when_it_is_refused_nothing_of_it_is_heard_any_more() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(CHILD, 180, None));
    assert_eq!(
        rig.sip(refused(CHILD)),
        [
            "3: Initiated→Released",
            "media room 1 stop play 1",
            "3: dial rejected 486",
            "3: released 486 User",
            "free 20002"
        ]
    );
    // The removal of its leg takes it out of the room.
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(provisional(CHILD, 183, Some(OFFER)));
    assert_eq!(rig.sip(refused(CHILD)), ["media remove 3", "3: Initiated→Released"]);
}

#[test]
fn a_child_that_is_dropped_during_the_announcement_has_called_nobody() {
    let mut rig = with_members(-1, 1);
    rig.request(dial(RingMode::Before, Some("a.wav")));
    rig.disk(prompts(1, 2));
    assert_eq!(
        rig.request(Command::Drop { call: CHILD, cause: 603 }),
        [
            "reply Done",
            "3: Initiated→Released",
            "media room 1 stop play 1",
            "3: dial dropped",
            "3: released 603 System",
            "free 20002"
        ]
    );
}

#[test]
fn a_conference_that_is_over_takes_the_calls_along_that_are_dialled_for_it() {
    let mut rig = dialling(RingMode::WhileRinging, Some("a.wav"));
    rig.sip(provisional(CHILD, 180, None));
    // One more, which is being loaded.
    rig.request(dial(RingMode::WhileRinging, None));
    assert_eq!(
        rig.request(ask(Ask::Release)),
        [
            "reply Done",
            "1: 2 exited, 0",
            "refuse NoConference { conference: ConferenceId(1) }",
            "media room 1 close",
            "2: Conf→Idle",
            "sip cancel Some(487)",
            "3: Initiated→Released",
            "2: conf 1 conf_released",
            "3: dial hangup",
            "3: released 487 System",
            "free 20002"
        ]
    );
    assert!(rig.disk(prompts(2, 1)).is_empty());
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
    assert_eq!(
        rig.request(dial(RingMode::WhileRinging, None)),
        ["refuse NoConference { conference: ConferenceId(1) }"]
    );
    // One that was answered goes on.
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.sip(picked_up(CHILD));
    rig.request(ask(Ask::Release));
    assert_eq!(rig.get(CHILD).state, State::Idle);
}

/// Two ring-back tones at once are none: the first that has a sound is heard until it has none, then the next.
#[test]
fn of_several_that_are_dialled_at_a_time_one_is_heard_at_a_time() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    rig.request(dial(RingMode::UntilAnswer, Some("b.wav")));
    let (second, third) = (CallId(4), CallId(5));
    let play = |action: u32| format!("media room 1 play {action}: 1 +4294967295 0.0");
    let stop = |action: u32| format!("media room 1 stop play {action}");
    assert_eq!(rig.disk(prompts(2, 2)).last().unwrap(), &play(1), "the first is silent yet");
    assert!(heard(rig.sip(provisional(CHILD, 180, None))).is_empty(), "and rings when the second is heard");
    rig.request(dial(RingMode::WhileRinging, None));
    rig.disk(prompts(3, 1));
    assert!(
        heard(rig.sip(provisional(third, 183, Some(OFFER)))).is_empty(),
        "not the early media of a third"
    );
    assert_eq!(heard(rig.sip(refused(second))), [stop(1), play(2)]);
    let joins = ["media room 1 join 5 SpeakOnly 0.0".to_owned()];
    assert_eq!(heard(rig.sip(picked_up(CHILD))), [&[stop(2)][..], &joins].concat());
    // An announcement is heard at once, and by itself.
    rig.request(dial(RingMode::Before, Some("c.wav")));
    let announced = heard(rig.disk(prompts(4, 2)));
    assert_eq!(announced, ["media room 1 play 3: 1 +0 0.0", "media room 1 leave 5"]);
    let ended = told(RoomEvent::PlayEnded { action: ActionId(3), played: std::time::Duration::from_secs(1) });
    assert_eq!(heard(rig.media(ended)), joins, "before the fourth rings");
    assert_eq!(heard(rig.sip(picked_up(third))), ["media room 1 leave 5"]);
}

#[test]
fn no_more_than_eight_are_dialled_at_a_time() {
    let mut rig = dialling(RingMode::WhileRinging, None);
    for job in 2..=8 {
        rig.request(dial(RingMode::WhileRinging, None));
        assert!(job % 2 == 0 || rig.disk(prompts(job, 1))[1].starts_with("reply call"));
    }
    let refused = ["refuse LimitReached { limit: \"conference_dials\", value: 8 }"];
    assert_eq!(rig.request(dial(RingMode::WhileRinging, None)), refused);
}

#[test]
fn what_cannot_be_loaded_or_placed_is_an_error() {
    let mut rig = with_members(-1, 1);
    rig.request(dial(RingMode::WhileRinging, Some("none.wav")));
    let missing = DiskEvent::Prompts { job: JobId(1), result: Err(not_there("none.wav", None)) };
    assert_eq!(
        rig.disk(missing),
        ["refuse File { fault: NotFound, param: \"ring_play_file\", file: \"none.wav\", item: None }"]
    );
    // The disk never answers.
    rig.request(dial(RingMode::WhileRinging, None));
    assert_eq!(rig.secs(10), ["refuse Internal { message: \"the disk did not answer within 10 s\" }"]);
    assert!(rig.disk(prompts(2, 1)).is_empty());
    // No room for one more call.
    rig.request(dial(RingMode::WhileRinging, None));
    rig.calls.drain();
    assert_eq!(rig.disk(prompts(3, 1)), ["refuse ShuttingDown"]);
    // And nothing of them is left.
    let nowhere = Some(Parent { of: ConferenceId(77).into(), mode: RingMode::WhileRinging, content: None });
    let orphan = Command::Construct(Box::new(Construct { parent: nowhere, ..construct() }));
    assert_eq!(rig.request(orphan), ["refuse NoConference { conference: ConferenceId(77) }"]);
    rig.request(ask(Ask::Release));
    rig.media(told(RoomEvent::Closed));
    rig.request(Command::Drop { call: CallId(2), cause: 603 });
    rig.media(leg_removed(CallId(2)));
    assert!(rig.is_clean());
}

/// They are no members: a conference is empty, or has too few, whoever is dialled for it.
#[test]
fn it_keeps_no_conference_from_being_over() {
    let mut rig = with_members(1, 0);
    rig.secs(150);
    rig.request(dial(RingMode::WhileRinging, None));
    rig.disk(prompts(1, 1));
    let lines = rig.secs(30);
    assert_eq!(lines[..2], ["media room 1 close", "sip cancel Some(487)"]);
    let mut rig = with_members(1, 2);
    let third = another(&mut rig, 3);
    rig.request(dial(RingMode::WhileRinging, None));
    rig.disk(prompts(1, 1));
    let lines = rig.request(crate::conferences::exit(CallId(2)));
    assert!(lines.contains(&"sip cancel Some(487)".to_owned()), "{lines:?}");
    assert_eq!(rig.get(third).state, State::Idle);
}
