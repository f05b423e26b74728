//! Play and SendDtmf, and what all actions have in common: two phases, stops, guards, keys.

use std::sync::Arc;

use offhook_call::command::{Command, Content, KeySet};
use offhook_call::event::EventKind;
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_call::{DiskEvent, JobId, Output};
use offhook_media::event::{self as media, ActionId, Codec, Dial, LegId, LegStats, PromptWriter};
use offhook_sip::event as sip;

use crate::rig::*;

const CALL: CallId = CallId(1);

fn idle() -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    rig
}

/// A call that is being played to, with `*` and `#` to end it.
fn playing() -> Rig {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], "*#"));
    rig.disk(loaded(1));
    rig
}

#[test]
fn a_prompt_is_loaded_then_accepted_then_played_to_its_end() {
    let mut rig = idle();
    assert_eq!(
        rig.request(play(CALL, &["a.wav", "b.wav"], "")),
        ["disk 1 load a.wav|b.wav PCMA", "1: Idle→Play"]
    );
    assert_eq!(rig.disk(loaded(1)), ["reply Done", "media play 1 on 1: 1 prompts, repeat 0"]);
    assert_eq!(rig.media(play_ended(CALL, 1, 1000)), ["1: Play→Idle", "1: play ok 1s"]);
}

#[test]
fn a_prompt_that_cannot_be_had_is_an_error_and_no_event() {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], ""));
    let result = Err(not_there("a.wav", Some(3)));
    assert_eq!(
        rig.disk(DiskEvent::Prompts { job: JobId(1), result }),
        [
            "refuse File { fault: NotFound, param: \"content\", file: \"a.wav\", item: Some(3) }",
            "1: Play→Idle"
        ]
    );
}

#[test]
fn another_action_must_wait_from_the_request_on() {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], ""));
    assert_eq!(rig.request(play(CALL, &["b.wav"], "")), ["refuse 1: Play [Idle]"]);
    rig.disk(loaded(1));
    assert_eq!(rig.request(play(CALL, &["b.wav"], "")), ["refuse 1: Play [Idle]"]);
    assert_eq!(rig.request(Command::RecordStop { call: CALL }), ["refuse 1: Play [Record]"]);
}

#[test]
fn nothing_to_hear_is_completed_at_once() {
    let mut rig = idle();
    rig.request(play(CALL, &[], ""));
    let nothing = DiskEvent::Prompts { job: JobId(1), result: Ok(Vec::new()) };
    assert_eq!(rig.disk(nothing), ["reply Done", "1: Play→Idle", "1: play ok 0ns"]);
}

/// A file that turns out to be damaged when it is heard already: what could be played was, and the event says which it is.
/// A list that is stopped before is not at fault.
#[test]
fn a_prompt_that_is_cut_short_is_played_and_told() {
    for (stops, expected) in [(false, "1: play file_unreadable b.wav 1s"), (true, "1: play ok 1s")] {
        let mut rig = idle();
        rig.request(play(CALL, &["a.wav", "b.wav"], ""));
        let mut writer = PromptWriter::new(Codec::Pcma);
        let prompts = vec![prompt(), Arc::clone(writer.prompt())];
        rig.disk(DiskEvent::Prompts { job: JobId(1), result: Ok(prompts) });
        writer.push(&[0; 8000]);
        drop(writer);
        if stops {
            rig.request(Command::PlayStop { call: CALL });
        }
        assert_eq!(rig.media(play_ended(CALL, 1, 1000)), ["1: Play→Idle", expected]);
    }
    // Nothing of it could be heard.
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], ""));
    let prompts = vec![Arc::clone(PromptWriter::new(Codec::Pcma).prompt())];
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result: Ok(prompts) });
    assert_eq!(lines, ["reply Done", "1: Play→Idle", "1: play file_unreadable a.wav 0ns"]);
}

#[test]
fn play_stop_is_answered_at_once_and_completed_when_the_media_confirms() {
    let mut rig = playing();
    assert_eq!(rig.request(Command::PlayStop { call: CALL }), ["media stop play 1", "reply Done"]);
    assert_eq!(rig.get(CALL).state, State::Play);
    // A second stop is on its way already.
    assert_eq!(rig.request(Command::PlayStop { call: CALL }), ["reply Done"]);
    assert_eq!(rig.media(play_ended(CALL, 1, 340)), ["1: Play→Idle", "1: play ok 340ms"]);
}

#[test]
fn a_finish_key_ends_the_play_and_is_not_seen_by_the_next_action() {
    let mut rig = playing();
    assert_eq!(rig.media(digit(CALL, '#')), ["1: key # Rfc4733", "media stop play 1"]);
    // What is typed after it waits, and a key that would have ended the play ends nothing any more.
    rig.media(digit(CALL, '7'));
    assert_eq!(rig.media(digit(CALL, '*')), ["1: key * Rfc4733"]);
    assert_eq!(rig.media(play_ended(CALL, 1, 500)), ["1: Play→Idle", "1: play ok by # 500ms"]);

    rig.request(Command::ReceiveDtmfStart(Box::new(receive(CALL, None))));
    let lines = rig.request(Command::ReceiveDtmfStop { call: CALL });
    assert_eq!(lines, ["reply Done", "1: ReceiveDtmf→Idle", "1: receive ok \"7\""]);
}

#[test]
fn other_keys_during_a_play_are_typed_ahead() {
    let mut rig = playing();
    assert_eq!(rig.media(digit(CALL, '1')), ["1: key 1 Rfc4733"]);
    rig.media(play_ended(CALL, 1, 1000));
    rig.media(digit(CALL, '2'));
    let receive = offhook_call::command::ReceiveDtmf { max_keys: 2, ..receive(CALL, None) };
    assert_eq!(
        rig.request(Command::ReceiveDtmfStart(Box::new(receive))),
        ["reply Done", "1: Idle→ReceiveDtmf", "1: ReceiveDtmf→Idle", "1: receive ok \"12\""]
    );
}

#[test]
fn a_stop_or_a_key_while_the_disk_is_asked_ends_it_at_once() {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], "#"));
    let over = ["reply Done", "reply Done", "1: Play→Idle", "1: play ok 0ns"];
    assert_eq!(rig.request(Command::PlayStop { call: CALL }), over);
    assert!(rig.disk(loaded(1)).is_empty());

    rig.request(play(CALL, &["a.wav"], "#"));
    assert_eq!(rig.media(digit(CALL, '#'))[1..], ["reply Done", "1: Play→Idle", "1: play ok by # 0ns"]);
    assert!(rig.disk(loaded(2)).is_empty());
}

/// A text may take seconds to be spoken. Whatever ends the wait for it lets it be.
#[test]
fn a_text_that_nobody_waits_for_any_more_is_not_spoken_any_further() {
    let speaking = || {
        let mut rig = idle();
        let content = Content { sources: vec!["a.wav".into(), spoken("hello")] };
        let finish_keys = keys("");
        rig.request(Command::PlayStart { call: CALL, content, finish_keys, repeat: 0 });
        rig
    };
    let mut rig = speaking();
    let over = ["disk 2 let be 1", "reply Done", "reply Done", "1: Play→Idle", "1: play ok 0ns"];
    assert_eq!(rig.request(Command::PlayStop { call: CALL }), over);
    let mut rig = speaking();
    assert_eq!(rig.sip(bye(inbound(CALL)))[..2], ["disk 2 let be 1", "refuse NotFound { call: CallId(1) }"]);
    // Longer than a file may take, but not for ever.
    let mut rig = speaking();
    assert!(rig.ms(29_999).is_empty());
    let unspoken = "refuse File { fault: Unspoken, param: \"content\", file: \"hello\", item: None }";
    assert_eq!(rig.ms(1), ["disk 2 let be 1", unspoken, "1: Play→Idle"]);
    // One that is spoken needs no more.
    let mut rig = speaking();
    rig.disk(loaded(1));
    assert_eq!(rig.request(Command::PlayStop { call: CALL }), ["media stop play 1", "reply Done"]);
}

#[test]
fn a_media_thread_that_does_not_confirm_does_not_keep_the_call() {
    let mut rig = playing();
    rig.request(Command::PlayStop { call: CALL });
    assert!(rig.ms(1999).is_empty());
    assert_eq!(rig.ms(1), ["1: Play→Idle", "1: play ok 0ns"]);
    // Its late confirmation means nothing to the next play.
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(2));
    assert!(rig.media(play_ended(CALL, 1, 1000)).is_empty());
    assert_eq!(rig.media(play_ended(CALL, 2, 1000)), ["1: Play→Idle", "1: play ok 1s"]);
}

#[test]
fn a_disk_that_does_not_answer_does_not_keep_the_call() {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], ""));
    assert!(rig.ms(9_999).is_empty());
    let lines = rig.ms(1);
    assert!(lines[0].starts_with("refuse Internal"), "{lines:?}");
    assert_eq!(lines[1..], ["1: Play→Idle"]);
    assert!(rig.disk(loaded(1)).is_empty());
}

#[test]
fn a_hangup_while_the_disk_is_asked_is_an_error_and_no_completion() {
    let mut rig = idle();
    rig.request(play(CALL, &["a.wav"], ""));
    assert_eq!(
        rig.sip(bye(inbound(CALL))),
        ["refuse NotFound { call: CallId(1) }", "media remove 1", "1: Play→Idle", "1: Idle→Released"]
    );
    assert!(rig.disk(loaded(1)).is_empty());
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.is_clean());
}

#[test]
fn a_hangup_while_playing_tells_how_much_was_heard() {
    let mut rig = playing();
    assert_eq!(rig.sip(bye(inbound(CALL))), ["media remove 1", "1: Play→Idle", "1: Idle→Released"]);
    assert!(rig.media(play_ended(CALL, 1, 600)).is_empty());
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["1: play hangup 600ms", "1: released answered, 200 User", "free 20000"]
    );
}

#[test]
fn the_late_end_of_an_earlier_play_says_nothing_of_the_one_that_was_cut_off() {
    let mut rig = playing();
    rig.request(Command::PlayStop { call: CALL });
    rig.secs(2);
    rig.request(play(CALL, &["a.wav"], ""));
    rig.disk(loaded(2));
    rig.sip(bye(inbound(CALL)));
    rig.media(play_ended(CALL, 2, 600));
    rig.media(play_ended(CALL, 1, 5000));
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: play hangup 600ms");
}

#[test]
fn a_finish_key_that_comes_before_the_hangup_stands() {
    let mut rig = playing();
    rig.media(digit(CALL, '*'));
    rig.sip(bye(inbound(CALL)));
    rig.media(play_ended(CALL, 1, 600));
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: play ok by * 600ms");
}

#[test]
fn repeat_is_the_business_of_the_media() {
    let mut rig = idle();
    let content = Content { sources: vec!["a.wav".into()] };
    let finish_keys = KeySet::default();
    rig.request(Command::PlayStart { call: CALL, content, finish_keys, repeat: 3 });
    assert_eq!(rig.disk(loaded(1)), ["reply Done", "media play 1 on 1: 1 prompts, repeat 3"]);
}

#[test]
fn an_action_spans_from_its_request_to_its_end() {
    let mut rig = idle();
    rig.ms(100);
    rig.request(play(CALL, &["a.wav"], ""));
    rig.ms(20);
    rig.disk(loaded(1));
    rig.ms(1000);
    rig.calls.media(rig.now(), play_ended(CALL, 1, 1000));
    let span = rig.outputs().into_iter().find_map(|output| match output {
        Output::Event(event) => match event.kind {
            EventKind::PlayCompleted { span, .. } => Some(span),
            _ => None,
        },
        _ => None,
    });
    let span = span.expect("on_play_completed");
    assert_eq!((span.begin.0, span.end.0), (EPOCH + 100, EPOCH + 1120));
}

fn send(count: usize) -> Command {
    Command::SendDtmfStart { call: CALL, digits: vec![Dial::Key(key('5')); count] }
}

fn digits_sent(action: u64) -> media::Event {
    media::Event::DigitsSent { leg: LegId(1), action: ActionId(action) }
}

#[test]
fn digits_are_sent() {
    let mut rig = idle();
    assert_eq!(rig.request(send(3)), ["media digits 1 on 1: 3", "reply Done", "1: Idle→SendDtmf"]);
    assert_eq!(rig.media(digits_sent(1)), ["1: SendDtmf→Idle", "1: send ok"]);
}

#[test]
fn sending_is_stopped_or_cut_off() {
    let mut rig = idle();
    rig.request(send(3));
    assert_eq!(rig.request(Command::SendDtmfStop { call: CALL }), ["media stop digits 1", "reply Done"]);
    assert_eq!(rig.request(Command::SendDtmfStop { call: CALL }), ["reply Done"]);
    assert_eq!(rig.media(digits_sent(1)), ["1: SendDtmf→Idle", "1: send ok"]);

    rig.request(send(3));
    rig.request(Command::SendDtmfStop { call: CALL });
    assert_eq!(rig.secs(2), ["1: SendDtmf→Idle", "1: send ok"]);
    assert!(rig.media(digits_sent(2)).is_empty());

    rig.request(send(3));
    rig.sip(bye(inbound(CALL)));
    assert_eq!(rig.media(leg_removed(CALL))[0], "1: send hangup");
}

#[test]
fn get_tells_the_latest() {
    let mut rig = idle();
    let stats = LegStats { packets_received: 50, jitter_ms: 1.5, ..LegStats::default() };
    rig.media(media::Event::Stats { leg: LegId(1), stats });
    let snapshot = rig.get(CALL);
    assert_eq!(snapshot.stats, stats);
    assert_eq!(snapshot.state, State::Idle);
    assert_eq!(snapshot.remote_media.map(|address| address.to_string()).as_deref(), Some("192.0.2.7:4000"));
    assert_eq!(snapshot.local_port, Some(offhook_call::Port(20000)));
    assert_eq!(snapshot.user_data.as_deref(), Some("mark"));
    assert_eq!(snapshot.answer_time.map(|time| time.0), Some(EPOCH));
}

/// The count of the node: of calls that live, that have ended, and that are released, each packet once.
#[test]
fn forged_packets_of_all_calls_are_counted_once() {
    let mut rig = Rig::new();
    let calls: Vec<_> = (0..2).map(|_| rig.answered()).collect();
    let stats = |packets_not_authentic| LegStats { packets_not_authentic, ..LegStats::default() };
    for (call, forged, all) in [(0, 5, 5), (1, 7, 12), (0, 6, 13)] {
        rig.media(media::Event::Stats { leg: LegId(calls[call].0), stats: stats(forged) });
        assert_eq!(rig.calls.packets_not_authentic(), all);
    }
    rig.sip(bye(inbound(calls[0])));
    assert_eq!(rig.calls.packets_not_authentic(), 13, "ended");
    rig.media(media::Event::LegRemoved { leg: LegId(calls[0].0), stats: stats(8) });
    assert_eq!(rig.calls.packets_not_authentic(), 15, "released");
}

#[test]
fn calls_are_listed_in_the_order_of_their_birth() {
    let list = |state, after, limit| Command::List { state, after, limit };
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.answered();
    }
    rig.invite(Some(OFFER));
    assert_eq!(rig.request(list(None, None, 100)), ["reply [1, 2, 3, 4]"]);
    assert_eq!(rig.request(list(None, Some(CallId(1)), 2)), ["reply [2, 3]"]);
    assert_eq!(rig.request(list(Some(State::Initiated), None, 100)), ["reply [4]"]);
    rig.sip(bye(inbound(CallId(2))));
    assert_eq!(rig.request(list(Some(State::Idle), Some(CallId(1)), 100)), ["reply [3]"]);
    assert_eq!(rig.request(list(Some(State::Released), None, 100)), ["reply []"]);
    assert_eq!(rig.request(list(None, Some(CallId(4)), 100)), ["reply []"]);
}

#[test]
fn who_is_not_there_is_not_found() {
    let mut rig = Rig::new();
    assert_eq!(rig.request(Command::Nop { call: CALL }), ["refuse NotFound { call: CallId(1) }"]);
    assert_eq!(rig.request(play(CALL, &["a.wav"], "")), ["refuse NotFound { call: CallId(1) }"]);
    assert_eq!(rig.request(Command::Exists { call: CALL }), ["reply Exists(false)"]);
}

#[test]
fn digits_by_info_go_to_the_media_which_counts_them_once() {
    let mut rig = idle();
    let info = |content_type: &str, text: &str| sip::Event::Info {
        session: inbound(CALL),
        body: sip::Body { content_type: content_type.to_owned(), bytes: text.as_bytes().to_vec() },
    };
    let relay = info("application/dtmf-relay", "Signal=5\r\nDuration=160");
    assert_eq!(rig.sip(relay), ["media info 5 on 1 160ms"]);
    assert_eq!(rig.sip(info("application/dtmf", "#")), ["media info # on 1 160ms"]);
    assert!(rig.sip(info("text/plain", "5")).is_empty());
}
