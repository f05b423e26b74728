//! Connect: two calls, one action.

use std::time::Duration;

use offhook_call::command::{Command, ConnectExtras, ConnectRecord, Request, SchedulePlay};
use offhook_call::error::FileFault;
use offhook_call::event::UnixMs;
use offhook_call::id::{CallId, RequestId};
use offhook_call::state::State;
use offhook_call::{Config, DiskEvent, DiskJob, JobId, Output, RecordedFile};
use offhook_media::event::{Codec, ConnectMode, Gain, RecordFormat, RecordingId, Volumes};

use crate::rig::*;

const FIRST: CallId = CallId(1);
const SECOND: CallId = CallId(2);

fn connect(call: CallId, other: CallId) -> Command {
    Command::ConnectStart {
        call,
        other,
        max: Duration::from_secs(300),
        mode: ConnectMode::Both,
        extras: ConnectExtras::default(),
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
        extras: ConnectExtras { mute_digits: true, ..ConnectExtras::default() },
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

// ---- Recordings, volumes and what is played at its time ------------------------------------------------------------

fn wanting(extras: ConnectExtras) -> Command {
    let (max, mode) = (Duration::from_secs(300), ConnectMode::Both);
    Command::ConnectStart { call: FIRST, other: SECOND, max, mode, extras }
}

fn recorded() -> ConnectExtras {
    let record = ConnectRecord {
        file: "c.wav".to_owned(),
        format: RecordFormat::Mulaw,
        is_stereo: true,
        second_rate: None,
    };
    ConnectExtras { record: Some(record), ..ConnectExtras::default() }
}

fn opened(job: u64, result: Result<(), FileFault>) -> DiskEvent {
    DiskEvent::RecordingOpened { job: JobId(job), result }
}

fn closed() -> DiskEvent {
    DiskEvent::RecordingClosed { recording: RecordingId(1), file: RecordedFile::default() }
}

fn failed() -> DiskEvent {
    let (recording, file) = (RecordingId(1), RecordedFile::default());
    DiskEvent::RecordingFailed { recording, fault: FileFault::DiskFull, file, duration: Duration::ZERO }
}

/// Two idle calls, of which the first has been asked to connect with the second.
fn asked(extras: ConnectExtras) -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    let asks =
        if extras.schedule.is_some() { "disk 1 load p.wav PCMA" } else { "disk 1 open c.wav as 1 in stereo" };
    let lines = rig.request(wanting(extras));
    assert_eq!(lines, [asks, "1: Idle→Connect", "2: Idle→Connect"]);
    rig
}

fn recording() -> Rig {
    let mut rig = asked(recorded());
    assert_eq!(
        rig.disk(opened(1, Ok(()))),
        ["media connect 1 2 Both", "media record 1 of 1 2 as 1 in stereo, 300s", "reply Done"]
    );
    rig
}

/// Of PCMA and G.722, whichever is named first: that of G.722, where the format keeps the rate of a leg.
#[test]
fn a_recording_has_the_higher_rate_of_both() {
    let wide = OFFER.replace("8 0 101", "9 101");
    for (offers, expected) in [([OFFER, &wide], 16_000), ([&wide, OFFER], 16_000), ([OFFER, OFFER], 8000)] {
        let codecs = vec![Codec::Pcma, Codec::G722];
        let mut rig = Rig::with(Config { codecs, ..config() });
        for (call, offer) in [FIRST, SECOND].into_iter().zip(offers) {
            rig.invite(Some(offer));
            rig.request(answer(call));
            rig.sip(acked(call));
        }
        let mut extras = recorded();
        extras.record.as_mut().unwrap().format = RecordFormat::Pcm16;
        rig.calls.request(rig.now(), Request { id: RequestId(9), command: wanting(extras) });
        let rates: Vec<u32> = rig.outputs().iter().filter_map(rate_of_opened).collect();
        assert_eq!(rates, [expected]);
    }
}

fn rate_of_opened(output: &Output) -> Option<u32> {
    match output {
        Output::Disk { request: DiskJob::OpenRecording { spec, .. }, .. } => Some(spec.rate),
        _ => None,
    }
}

#[test]
fn a_connection_that_is_recorded_ends_when_its_file_is_complete() {
    let mut rig = recording();
    let lines = rig.request(Command::ConnectStop { call: FIRST });
    assert_eq!(lines, ["media disconnect 1 2", "reply Done", "2: Connect→Idle"]);
    assert_eq!(rig.request(Command::ConnectStop { call: FIRST }), ["reply Done"], "it is stopped already");
    assert_eq!(rig.disk(closed()), ["1: Connect→Idle", "1: connect ok"]);
    // A disk that does not answer holds up nobody for long.
    let mut rig = recording();
    assert_eq!(rig.secs(300), ["media disconnect 1 2", "2: Connect→Idle"]);
    assert!(rig.ms(1_999).is_empty());
    let lines = rig.ms(1);
    assert_eq!(lines[1..], ["1: Connect→Idle", "1: connect max_seconds"], "{lines:?}");
    assert!(lines[0].contains("abandon"), "{lines:?}");
}

#[test]
fn hang_ups_of_a_recorded_connection_wait_for_the_file_too() {
    let mut rig = recording();
    let lines = rig.sip(bye(inbound(SECOND)));
    assert_eq!(lines, ["media remove 2", "2: Connect→Idle", "2: Idle→Released"]);
    assert_eq!(rig.disk(closed()), ["1: Connect→Idle", "1: connect hangup by 2"]);
    let mut rig = recording();
    let lines = rig.sip(bye(inbound(FIRST)));
    assert_eq!(lines, ["media remove 1", "1: Connect→Idle", "1: Idle→Released", "2: Connect→Idle"]);
    assert!(rig.media(leg_removed(FIRST)).is_empty());
    assert_eq!(
        rig.disk(closed()),
        ["1: connect hangup by 1", "1: released answered, 200 User", "free 20000"]
    );
}

/// Both have the same longest duration: the recording may reach it first, and nothing is waited for then.
#[test]
fn a_file_that_is_complete_before_the_connection_ends_is_not_waited_for() {
    let mut rig = recording();
    assert!(rig.disk(closed()).is_empty());
    let lines = rig.request(Command::ConnectStop { call: FIRST });
    assert_eq!(lines[2..], ["1: Connect→Idle", "2: Connect→Idle", "1: connect ok"]);
    let mut rig = recording();
    rig.disk(closed());
    rig.sip(bye(inbound(FIRST)));
    assert_eq!(
        rig.media(leg_removed(FIRST)),
        ["1: connect hangup by 1", "1: released answered, 200 User", "free 20000"]
    );
}

#[test]
fn a_disk_that_fails_ends_no_talk_and_is_told_at_its_end() {
    let mut rig = recording();
    assert_eq!(rig.disk(failed()), ["media stop record 1"]);
    let lines = rig.request(Command::ConnectStop { call: FIRST });
    assert_eq!(lines[2..], ["1: Connect→Idle", "2: Connect→Idle", "1: connect disk_full"]);
    let mut rig = recording();
    rig.request(Command::ConnectStop { call: FIRST });
    assert_eq!(rig.disk(failed()), ["1: Connect→Idle", "1: connect disk_full"]);
    let mut rig = recording();
    rig.disk(failed());
    let lines = rig.sip(bye(inbound(SECOND)));
    assert_eq!(lines.last().map(String::as_str), Some("1: connect hangup by 2"), "what ended it comes first");
}

#[test]
fn what_fails_before_it_begins_is_an_error_and_no_event() {
    let idle = ["1: Connect→Idle", "2: Connect→Idle"];
    let mut rig = asked(recorded());
    let lines = rig.disk(opened(1, Err(FileFault::Exists)));
    assert_eq!(
        lines[0],
        "refuse File { fault: Exists, param: \"record_file\", file: \"c.wav\", item: None }"
    );
    assert_eq!(lines[1..], idle);
    // What is to be played is looked for first.
    let schedule = Some(SchedulePlay { at: UnixMs(0), source: "p.wav".into(), repeat: 0 });
    let mut rig = asked(ConnectExtras { schedule, ..recorded() });
    let lines = rig.disk(DiskEvent::Prompts { job: JobId(1), result: Err(not_there("p.wav", None)) });
    let missing =
        "refuse File { fault: NotFound, param: \"schedule_play_file\", file: \"p.wav\", item: None }";
    assert_eq!(lines[0], missing);
    assert_eq!(lines[1..], idle);
    let mut rig = asked(recorded());
    let lines = rig.secs(10);
    assert!(lines[0].starts_with("refuse"), "{lines:?}");
    assert_eq!(lines[1..], idle);
    // A file that is opened too late is removed.
    assert!(rig.disk(opened(1, Ok(())))[0].contains("discard"));
    let mut rig = asked(recorded());
    let lines = rig.sip(bye(inbound(SECOND)));
    assert_eq!(lines[..2], ["media remove 2", "2: Connect→Idle"]);
    assert!(lines.iter().any(|line| line.starts_with("refuse")), "{lines:?}");
    assert_eq!(rig.get(FIRST).state, State::Idle);
    let mut rig = asked(recorded());
    rig.sip(bye(inbound(FIRST)));
    assert_eq!(rig.get(SECOND).state, State::Idle);
}

#[test]
fn a_stop_before_it_begins_is_obeyed_when_it_has() {
    let mut rig = asked(recorded());
    assert_eq!(rig.request(Command::ConnectStop { call: FIRST }), ["reply Done"]);
    let lines = rig.disk(opened(1, Ok(())));
    assert_eq!(lines, ["disk 2 abandon 1", "reply Done", "2: Connect→Idle"]);
    assert_eq!(rig.disk(closed()), ["1: Connect→Idle", "1: connect ok"]);
}

#[test]
fn a_prompt_is_played_at_its_time_and_one_that_is_late_at_once() {
    for (ahead, wait) in [(2_500, 2_500), (-5_000, 0)] {
        let mut rig = Rig::new();
        rig.answered();
        rig.answered();
        let at = UnixMs(rig.now().wall.0 + ahead);
        let schedule = Some(SchedulePlay { at, source: "p.wav".into(), repeat: 2 });
        rig.request(wanting(ConnectExtras { schedule, ..recorded() }));
        let lines = rig.disk(loaded(1));
        assert!(lines.len() == 1 && lines[0].contains("c.wav"), "then the file: {lines:?}");
        let lines = rig.disk(opened(2, Ok(())));
        assert_eq!(lines.last().map(String::as_str), Some("reply Done"));
        if wait > 0 {
            assert!(rig.ms(wait - 1).is_empty());
        }
        assert_eq!(rig.ms(1), ["media play 2 to 1 2: 1 +2"]);
        assert!(rig.secs(10).is_empty(), "once");
    }
}

#[test]
fn volumes_are_set_where_they_are_not_as_they_are() {
    let mut rig = Rig::new();
    rig.answered();
    rig.answered();
    let volumes = Volumes { first: Gain::from_decibels(-6), second: Gain::from_decibels(20) };
    let extras = ConnectExtras { volumes, ..ConnectExtras::default() };
    let lines = rig.request(wanting(extras));
    assert_eq!(lines[..3], ["media connect 1 2 Both", "media volumes 1 2: -6.0 20.0", "reply Done"]);
}
