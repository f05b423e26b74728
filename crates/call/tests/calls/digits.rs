//! ReceiveDtmf: clocks, prompts, repeats, finish keys, and keys typed ahead.

use std::time::Duration;

use offhook_call::command::{Command, ConnectExtras, ReceiveDtmf};
use offhook_call::id::CallId;
use offhook_call::{DiskEvent, JobId};
use offhook_media::event::{self as media, ActionId, ConnectMode, Dial, LegId};

use crate::rig::*;

const CALL: CallId = CallId(1);

fn start(rig: &mut Rig, ask: ReceiveDtmf) -> Vec<String> {
    rig.request(Command::ReceiveDtmfStart(Box::new(ask)))
}

fn stop(rig: &mut Rig) -> Vec<String> {
    rig.request(Command::ReceiveDtmfStop { call: CALL })
}

fn press(rig: &mut Rig, keys: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for key in keys.chars() {
        lines.extend(rig.media(digit(CALL, key)).into_iter().filter(|line| !line.contains(": key ")));
    }
    lines
}

/// No prompt: the first-key clock runs.
fn waiting(ask: ReceiveDtmf) -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(start(&mut rig, ask), ["reply Done", "1: Idle→ReceiveDtmf"]);
    rig
}

/// The prompt is heard.
fn prompting(ask: ReceiveDtmf) -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(start(&mut rig, ask), ["disk 1 load p.wav PCMA", "1: Idle→ReceiveDtmf"]);
    assert_eq!(rig.disk(loaded(1)), ["reply Done", "media play 1 on 1: 1 prompts, repeat 0"]);
    rig
}

fn completed(result: &str) -> Vec<String> {
    vec!["1: ReceiveDtmf→Idle".to_owned(), format!("1: receive {result}")]
}

#[test]
fn enough_keys() {
    let mut rig = waiting(receive(CALL, None));
    assert!(press(&mut rig, "123").is_empty());
    assert_eq!(press(&mut rig, "4"), completed("ok \"1234\""));
}

#[test]
fn a_finish_key() {
    let mut rig = waiting(receive(CALL, None));
    assert_eq!(press(&mut rig, "12#"), completed("ok \"12\" by #"));
    start(&mut rig, ReceiveDtmf { include_finish_key: true, ..receive(CALL, None) });
    assert_eq!(press(&mut rig, "12#"), completed("ok \"12#\" by #"));
}

#[test]
fn a_finish_key_that_is_not_valid_is_ignored_like_every_other() {
    let ask = ReceiveDtmf { finish_keys: keys("*"), valid_keys: keys("12"), ..receive(CALL, None) };
    let mut rig = waiting(ask);
    assert!(press(&mut rig, "1*3").is_empty());
    rig.ms(600);
    // An ignored key does not restart the clock.
    press(&mut rig, "*");
    assert_eq!(rig.ms(400), completed("timeout \"1\""));
}

#[test]
fn the_first_key_does_not_come() {
    let mut rig = waiting(receive(CALL, None));
    assert!(rig.ms(2999).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"\""));
}

#[test]
fn the_next_key_does_not_come() {
    let mut rig = waiting(receive(CALL, None));
    rig.ms(2999);
    press(&mut rig, "1");
    rig.ms(999);
    press(&mut rig, "2");
    assert!(rig.ms(999).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"12\""));
}

#[test]
fn without_a_prompt_there_is_nothing_to_repeat() {
    let mut rig = waiting(ReceiveDtmf { repeat: 5, ..receive(CALL, None) });
    assert_eq!(rig.secs(3), completed("timeout \"\""));
}

#[test]
fn it_is_stopped() {
    let mut rig = waiting(receive(CALL, None));
    press(&mut rig, "1");
    let lines = stop(&mut rig);
    assert_eq!(lines, ["reply Done", "1: ReceiveDtmf→Idle", "1: receive ok \"1\""]);
}

#[test]
fn the_first_key_clock_runs_from_the_end_of_the_prompt() {
    let mut rig = prompting(receive(CALL, Some("p.wav")));
    assert!(rig.secs(20).is_empty());
    assert!(rig.media(play_ended(CALL, 1, 20_000)).is_empty());
    assert!(rig.ms(2999).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"\""));
}

#[test]
fn the_first_valid_key_stops_the_prompt() {
    let mut rig = prompting(receive(CALL, Some("p.wav")));
    assert!(press(&mut rig, "*").is_empty());
    assert_eq!(press(&mut rig, "1"), ["media stop play 1"]);
    assert!(press(&mut rig, "2").is_empty());
    rig.ms(20);
    assert!(rig.media(play_ended(CALL, 1, 400)).is_empty());
    // The clock runs from the key, not from the confirmation.
    assert!(rig.ms(979).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"12\""));
}

#[test]
fn the_prompt_is_over_before_the_completion() {
    let mut rig = prompting(ReceiveDtmf { max_keys: 1, ..receive(CALL, Some("p.wav")) });
    assert_eq!(press(&mut rig, "1"), ["media stop play 1"]);
    // The next key is for whoever asks next.
    assert!(press(&mut rig, "2").is_empty());
    assert_eq!(rig.media(play_ended(CALL, 1, 400)), completed("ok \"1\""));
    let lines = start(&mut rig, ReceiveDtmf { max_keys: 1, ..receive(CALL, None) });
    assert_eq!(lines[3], "1: receive ok \"2\"");
}

#[test]
fn a_prompt_that_is_being_broken_is_stopped_only_once() {
    let mut rig = prompting(receive(CALL, Some("p.wav")));
    assert_eq!(press(&mut rig, "1"), ["media stop play 1"]);
    assert!(press(&mut rig, "#").is_empty());
    assert_eq!(rig.media(play_ended(CALL, 1, 400)), completed("ok \"1\" by #"));
}

#[test]
fn stop_during_the_prompt() {
    let mut rig = prompting(receive(CALL, Some("p.wav")));
    assert_eq!(stop(&mut rig), ["media stop play 1", "reply Done"]);
    assert_eq!(stop(&mut rig), ["reply Done"]);
    assert_eq!(rig.media(play_ended(CALL, 1, 400)), completed("ok \"\""));
}

#[test]
fn a_key_during_a_prompt_that_is_not_to_be_broken_counts() {
    let ask = ReceiveDtmf { break_on_key: false, ..receive(CALL, Some("p.wav")) };
    let mut rig = prompting(ask);
    assert!(press(&mut rig, "1").is_empty());
    rig.secs(10);
    assert!(rig.media(play_ended(CALL, 1, 10_000)).is_empty());
    // The first key is there already: it is the next-key clock that begins with the prompt's end.
    assert!(rig.ms(999).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"1\""));
}

#[test]
fn enough_keys_stop_even_a_prompt_that_is_not_to_be_broken() {
    let ask = ReceiveDtmf { break_on_key: false, max_keys: 2, ..receive(CALL, Some("p.wav")) };
    let mut rig = prompting(ask);
    assert_eq!(press(&mut rig, "12"), ["media stop play 1"]);
    assert_eq!(rig.media(play_ended(CALL, 1, 100)), completed("ok \"12\""));
}

#[test]
fn the_prompt_is_repeated_after_a_time_out_and_then_it_is_over() {
    let mut rig = prompting(ReceiveDtmf { repeat: 2, ..receive(CALL, Some("p.wav")) });
    rig.media(play_ended(CALL, 1, 1000));
    assert_eq!(rig.secs(3), ["media play 2 on 1: 1 prompts, repeat 0"]);
    rig.secs(1);
    rig.media(play_ended(CALL, 2, 1000));
    assert!(rig.ms(2999).is_empty());
    assert_eq!(rig.ms(1), ["media play 3 on 1: 1 prompts, repeat 0"]);
    rig.media(play_ended(CALL, 3, 1000));
    assert_eq!(rig.secs(3), completed("timeout \"\""));
}

#[test]
fn keys_of_a_round_that_timed_out_are_kept_and_the_wait_starts_anew() {
    let mut rig = prompting(ReceiveDtmf { repeat: 1, ..receive(CALL, Some("p.wav")) });
    rig.media(play_ended(CALL, 1, 1000));
    press(&mut rig, "12");
    assert_eq!(rig.secs(1), ["media play 2 on 1: 1 prompts, repeat 0"]);
    rig.media(play_ended(CALL, 2, 1000));
    assert!(rig.ms(2999).is_empty());
    press(&mut rig, "3");
    assert_eq!(rig.secs(1), completed("timeout \"123\""));
}

#[test]
fn keys_typed_ahead_may_make_the_prompt_needless() {
    let mut rig = Rig::new();
    rig.answered();
    press(&mut rig, "12");
    start(&mut rig, receive(CALL, Some("p.wav")));
    // Also what comes while the disk is asked.
    press(&mut rig, "3");
    assert_eq!(rig.disk(loaded(1)), ["reply Done"]);
    assert_eq!(rig.secs(1), completed("timeout \"123\""));
}

#[test]
fn keys_typed_ahead_do_not_hide_a_prompt_that_is_not_there() {
    let mut rig = Rig::new();
    rig.answered();
    press(&mut rig, "12#");
    start(&mut rig, receive(CALL, Some("p.wav")));
    let result = Err(not_there("p.wav", None));
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result });
    assert_eq!(
        lines,
        [
            "refuse File { fault: NotFound, param: \"play_content\", file: \"p.wav\", item: None }",
            "1: ReceiveDtmf→Idle"
        ]
    );
    // Nor are they lost by it.
    assert_eq!(start(&mut rig, receive(CALL, None))[3], "1: receive ok \"12\" by #");
}

#[test]
fn flush_throws_them_away() {
    let mut rig = Rig::new();
    rig.answered();
    press(&mut rig, "12#");
    start(&mut rig, ReceiveDtmf { flush: true, ..receive(CALL, None) });
    assert_eq!(stop(&mut rig)[2], "1: receive ok \"\"");
}

#[test]
fn the_last_thirty_two_keys_are_kept() {
    let mut rig = Rig::new();
    rig.answered();
    press(&mut rig, &format!("12{}", "3".repeat(31)));
    let ask = ReceiveDtmf { max_keys: 100, ..receive(CALL, None) };
    start(&mut rig, ask);
    let expected = format!("1: receive ok \"2{}\"", "3".repeat(31));
    assert_eq!(stop(&mut rig)[2], expected);
}

#[test]
fn keys_beyond_what_was_asked_for_stay_for_the_next() {
    let mut rig = Rig::new();
    rig.answered();
    press(&mut rig, "123456");
    assert_eq!(start(&mut rig, receive(CALL, None))[3], "1: receive ok \"1234\"");
    start(&mut rig, receive(CALL, None));
    assert_eq!(stop(&mut rig)[2], "1: receive ok \"56\"");
}

#[test]
fn a_hangup_keeps_the_keys() {
    for at_prompt in [true, false] {
        let mut rig = if at_prompt {
            prompting(ReceiveDtmf { break_on_key: false, ..receive(CALL, Some("p.wav")) })
        } else {
            waiting(receive(CALL, None))
        };
        press(&mut rig, "12");
        rig.sip(bye(inbound(CALL)));
        let lines = rig.media(leg_removed(CALL));
        assert_eq!(lines[0], "1: receive hangup \"12\"");
        assert_eq!(lines[1], "1: released answered, 200 User");
        assert!(rig.is_clean());
    }
}

#[test]
fn a_media_thread_that_is_stuck_does_not_keep_it() {
    let mut rig = prompting(ReceiveDtmf { max_keys: 1, ..receive(CALL, Some("p.wav")) });
    press(&mut rig, "1");
    assert_eq!(rig.secs(2), completed("ok \"1\""));

    let slow = Duration::from_secs(5);
    let mut rig = prompting(ReceiveDtmf { next_key_timeout: slow, ..receive(CALL, Some("p.wav")) });
    press(&mut rig, "1");
    assert!(rig.ms(4999).is_empty());
    assert_eq!(rig.ms(1), completed("timeout \"1\""));
}

#[test]
fn a_prompt_without_a_sound_is_none() {
    let mut rig = Rig::new();
    rig.answered();
    start(&mut rig, ReceiveDtmf { repeat: 3, ..receive(CALL, Some("p.wav")) });
    let silent = DiskEvent::Prompts { job: JobId(1), result: Ok(Vec::new()) };
    assert_eq!(rig.disk(silent), ["reply Done"]);
    assert_eq!(rig.secs(3), completed("timeout \"\""));
}

#[test]
fn a_stop_while_the_prompt_is_loaded() {
    let mut rig = Rig::new();
    rig.answered();
    start(&mut rig, receive(CALL, Some("p.wav")));
    assert_eq!(stop(&mut rig), ["reply Done", "reply Done", "1: ReceiveDtmf→Idle", "1: receive ok \"\""]);
    assert!(rig.disk(loaded(1)).is_empty());
}

#[test]
fn keys_during_a_sending_and_a_connection_are_typed_ahead() {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    let other = CallId(2);
    rig.request(Command::SendDtmfStart { call: CALL, digits: vec![Dial::Key(key('9'))] });
    press(&mut rig, "1");
    rig.media(media::Event::DigitsSent { leg: LegId(1), action: ActionId(1) });
    let max = Duration::from_secs(60);
    rig.request(Command::ConnectStart {
        call: CALL,
        other,
        max,
        mode: ConnectMode::Both,
        extras: ConnectExtras::default(),
    });
    press(&mut rig, "2");
    rig.media(digit(other, '7'));
    rig.request(Command::ConnectStop { call: CALL });
    start(&mut rig, receive(CALL, None));
    assert_eq!(stop(&mut rig)[2], "1: receive ok \"12\"");
    start(&mut rig, receive(other, None));
    let lines = rig.request(Command::ReceiveDtmfStop { call: other });
    assert_eq!(lines[2], "2: receive ok \"7\"");
}
