//! Record: media and disk speak in any order, and every end leaves a complete file and one event.

use std::time::Duration;

use offhook_call::command::Command;
use offhook_call::error::FileFault;
use offhook_call::id::CallId;
use offhook_call::{DiskEvent, JobId, RecordedFile};
use offhook_media::event::{self as media, ActionId, LegId, RecordEnd, RecordFormat, RecordingId};

use crate::rig::*;

const CALL: CallId = CallId(1);

fn record() -> Command {
    Command::RecordStart {
        call: CALL,
        max: Duration::from_secs(30),
        beep: true,
        file: "r.wav".to_owned(),
        format: RecordFormat::Mulaw,
        finish_keys: keys("#"),
        overwrite: false,
        trim_silence: false,
        mute_digits: false,
    }
}

fn opened(job: u64) -> DiskEvent {
    DiskEvent::RecordingOpened { job: JobId(job), result: Ok(()) }
}

fn file(bytes: u64) -> RecordedFile {
    RecordedFile { bytes, parts: 1, gaps: Duration::ZERO }
}

fn closed(recording: u64, bytes: u64) -> DiskEvent {
    DiskEvent::RecordingClosed { recording: RecordingId(recording), file: file(bytes) }
}

fn failed(fault: FileFault) -> DiskEvent {
    let duration = Duration::from_millis(650);
    DiskEvent::RecordingFailed { recording: RecordingId(1), fault, file: file(5658), duration }
}

fn record_ended(millis: u64, end: RecordEnd) -> media::Event {
    let duration = Duration::from_millis(millis);
    media::Event::RecordEnded { leg: LegId(1), action: ActionId(1), duration, end }
}

/// Keys are in the file unless that is not wanted; the media cuts a finish key off, for which it is told of them.
#[test]
fn keys_are_left_out_where_that_is_wanted_or_one_of_them_ends_it() {
    for (finish_keys, mute_digits, expected) in [
        ("", false, ""),
        ("", true, " without keys"),
        ("#1", false, " until 1#"),
        ("#", true, " without keys until #"),
    ] {
        let mut rig = Rig::new();
        rig.answered();
        let Command::RecordStart { call, max, beep, file, format, overwrite, trim_silence, .. } = record()
        else {
            unreachable!()
        };
        let finish_keys = keys(finish_keys);
        rig.request(Command::RecordStart {
            call,
            max,
            beep,
            file,
            format,
            finish_keys,
            overwrite,
            trim_silence,
            mute_digits,
        });
        assert_eq!(rig.disk(opened(1))[0], format!("media record 1 on 1 as 1, 30s beep{expected}"));
    }
}

fn opening() -> Rig {
    let mut rig = Rig::new();
    rig.answered();
    assert_eq!(rig.request(record()), ["disk 1 open r.wav as 1", "1: Idle→Record"]);
    rig
}

fn recording() -> Rig {
    let mut rig = opening();
    assert_eq!(rig.disk(opened(1)), ["media record 1 on 1 as 1, 30s beep until #", "reply r.wav"]);
    rig
}

#[test]
fn the_longest_duration() {
    let mut rig = recording();
    assert!(rig.media(record_ended(30_000, RecordEnd::MaxDuration)).is_empty());
    assert_eq!(rig.disk(closed(1, 240_058)), ["1: Record→Idle", "1: record max_seconds r.wav 30s 240058"]);
}

#[test]
fn record_stop_is_an_error_by_contract() {
    let mut rig = recording();
    let stop = || Command::RecordStop { call: CALL };
    assert_eq!(rig.request(stop()), ["media stop record 1", "reply Done"]);
    assert_eq!(rig.request(stop()), ["reply Done"]);
    assert!(rig.media(record_ended(2000, RecordEnd::Stopped)).is_empty());
    assert_eq!(rig.disk(closed(1, 16_058)), ["1: Record→Idle", "1: record stopped r.wav 2s 16058"]);
}

#[test]
fn a_finish_key_is_trimmed_and_not_typed_ahead() {
    let mut rig = recording();
    assert!(rig.media(digit(CALL, '1')).len() == 1);
    assert_eq!(rig.media(digit(CALL, '#')), ["1: key # Rfc4733", "media stop record 1 by a key"]);
    rig.media(record_ended(1880, RecordEnd::Stopped));
    assert_eq!(rig.disk(closed(1, 15_098)), ["1: Record→Idle", "1: record ok by # r.wav 1.88s 15098"]);
    rig.request(Command::ReceiveDtmfStart(Box::new(receive(CALL, None))));
    let lines = rig.request(Command::ReceiveDtmfStop { call: CALL });
    assert_eq!(lines[2], "1: receive ok \"1\"");
}

#[test]
fn the_disk_may_be_faster_than_the_media() {
    let mut rig = recording();
    assert!(rig.disk(closed(1, 8058)).is_empty());
    assert_eq!(
        rig.media(record_ended(1000, RecordEnd::MaxDuration)),
        ["1: Record→Idle", "1: record max_seconds r.wav 1s 8058"]
    );
}

#[test]
fn a_disk_that_is_full_ends_it() {
    for (fault, code) in [(FileFault::DiskFull, "disk_full"), (FileFault::Unreadable, "io")] {
        let mut rig = recording();
        assert_eq!(rig.disk(failed(fault)), ["media stop record 1"]);
        let lines = rig.media(record_ended(700, RecordEnd::Stopped));
        assert_eq!(lines, ["1: Record→Idle".to_owned(), format!("1: record {code} r.wav 650ms 5658")]);
        // The call goes on.
        assert_eq!(rig.request(Command::Nop { call: CALL }), ["reply Done"]);
    }
}

#[test]
fn a_disk_that_is_full_at_the_very_end_is_told_too() {
    let mut rig = recording();
    rig.media(digit(CALL, '#'));
    rig.media(record_ended(700, RecordEnd::Stopped));
    let lines = rig.disk(failed(FileFault::DiskFull));
    assert_eq!(lines, ["1: Record→Idle", "1: record disk_full by # r.wav 650ms 5658"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_and_no_event() {
    let mut rig = opening();
    let result = Err(FileFault::Exists);
    assert_eq!(
        rig.disk(DiskEvent::RecordingOpened { job: JobId(1), result }),
        [
            "refuse File { fault: Exists, param: \"record_file\", file: \"r.wav\", item: None }",
            "1: Record→Idle"
        ]
    );
}

/// A key that comes while the disk is asked ends the recording as well, which is over before it begins.
#[test]
fn a_finish_key_while_the_file_is_opened_ends_it_at_once() {
    let mut rig = opening();
    assert_eq!(rig.media(digit(CALL, '#')), ["1: key # Rfc4733"]);
    assert_eq!(rig.disk(opened(1)).last().unwrap(), "media stop record 1 by a key");
    rig.media(record_ended(0, RecordEnd::Stopped));
    assert_eq!(rig.disk(closed(1, 58)), ["1: Record→Idle", "1: record ok by # r.wav 0ns 58"]);
    rig.request(Command::ReceiveDtmfStart(Box::new(receive(CALL, None))));
    let lines = rig.request(Command::ReceiveDtmfStop { call: CALL });
    assert_eq!(lines[2], "1: receive ok \"\"", "it is not typed ahead");
}

#[test]
fn a_stop_while_the_file_is_opened_leaves_a_complete_file() {
    let mut rig = opening();
    assert_eq!(rig.request(Command::RecordStop { call: CALL }), ["reply Done"]);
    assert_eq!(
        rig.disk(opened(1)),
        ["media record 1 on 1 as 1, 30s beep until #", "reply r.wav", "media stop record 1"]
    );
    rig.media(record_ended(0, RecordEnd::Stopped));
    assert_eq!(rig.disk(closed(1, 58)), ["1: Record→Idle", "1: record stopped r.wav 0ns 58"]);
}

#[test]
fn a_recording_pauses_and_goes_on() {
    let mut rig = recording();
    let pause = |is_paused| Command::RecordPause { call: CALL, is_paused };
    assert_eq!(rig.request(pause(true)), ["media pause record 1", "reply Done"]);
    assert_eq!(rig.request(pause(false)), ["media resume record 1", "reply Done"]);
    rig.request(Command::RecordStop { call: CALL });
    assert_eq!(rig.request(pause(true)), ["reply Done"], "there is nothing left to pause");
    rig.media(record_ended(2000, RecordEnd::Stopped));
    rig.disk(closed(1, 16_058));
    assert_eq!(rig.request(pause(true)), ["refuse 1: Idle [Record]"]);
}

#[test]
fn a_pause_while_the_file_is_opened_holds_from_the_beginning() {
    let mut rig = opening();
    rig.request(Command::RecordPause { call: CALL, is_paused: true });
    assert_eq!(
        rig.disk(opened(1)),
        ["media record 1 on 1 as 1, 30s beep until #", "reply r.wav", "media pause record 1"]
    );
}

#[test]
fn a_hangup_while_the_file_is_opened_removes_it() {
    let mut rig = opening();
    assert_eq!(
        rig.sip(bye(inbound(CALL))),
        ["refuse NotFound { call: CallId(1) }", "media remove 1", "1: Record→Idle", "1: Idle→Released"]
    );
    assert_eq!(rig.media(leg_removed(CALL)), ["1: released answered, 200 User", "free 20000"]);
    assert!(rig.is_clean());
    assert_eq!(rig.disk(opened(1)), ["disk 2 discard 1"]);
    assert!(rig.is_clean());
}

#[test]
fn a_hangup_waits_for_the_file_then_tells_of_it_then_of_the_call() {
    let mut rig = recording();
    rig.sip(bye(inbound(CALL)));
    assert!(rig.media(record_ended(5000, RecordEnd::LegRemoved)).is_empty());
    assert!(rig.media(leg_removed(CALL)).is_empty());
    assert_eq!(
        rig.disk(closed(1, 40_058)),
        ["1: record hangup r.wav 5s 40058", "1: released answered, 200 User", "free 20000"]
    );
    assert!(rig.is_clean());
}

#[test]
fn a_hangup_waits_for_the_leg_where_the_file_is_first() {
    let mut rig = recording();
    rig.sip(bye(inbound(CALL)));
    rig.media(record_ended(5000, RecordEnd::LegRemoved));
    assert!(rig.disk(closed(1, 40_058)).is_empty());
    assert_eq!(
        rig.media(leg_removed(CALL)),
        ["1: record hangup r.wav 5s 40058", "1: released answered, 200 User", "free 20000"]
    );
}

#[test]
fn a_hangup_with_a_full_disk() {
    let mut rig = recording();
    rig.sip(bye(inbound(CALL)));
    rig.media(record_ended(5000, RecordEnd::LegRemoved));
    rig.media(leg_removed(CALL));
    let lines = rig.disk(failed(FileFault::DiskFull));
    assert_eq!(lines[0], "1: record disk_full r.wav 650ms 5658");
    assert!(rig.is_clean());
}

#[test]
fn a_media_thread_that_is_stuck_keeps_neither_call_nor_file() {
    let mut rig = recording();
    rig.request(Command::RecordStop { call: CALL });
    assert_eq!(rig.secs(2), ["disk 2 abandon 1", "1: Record→Idle", "1: record stopped r.wav 0ns 0"]);
}

#[test]
fn a_disk_that_is_stuck_keeps_neither_call_nor_ports() {
    let mut rig = recording();
    rig.media(record_ended(30_000, RecordEnd::MaxDuration));
    assert_eq!(rig.secs(2), ["disk 2 abandon 1", "1: Record→Idle", "1: record max_seconds r.wav 30s 0"]);

    let mut rig = recording();
    rig.sip(bye(inbound(CALL)));
    rig.media(record_ended(30_000, RecordEnd::LegRemoved));
    rig.media(leg_removed(CALL));
    assert_eq!(
        rig.secs(2),
        ["disk 2 abandon 1", "1: record hangup r.wav 30s 0", "1: released answered, 200 User", "free 20000"]
    );
    assert!(rig.is_clean());
    assert!(rig.disk(closed(1, 240_058)).is_empty());
}
