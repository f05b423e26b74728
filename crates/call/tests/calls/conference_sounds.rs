//! What a conference plays to all and records of all (`call-api.md` §5).

use std::sync::Arc;
use std::time::Duration;

use offhook_call::command::{Command, Content};
use offhook_call::conference::{Command as Ask, Construct as Open, RecordFile};
use offhook_call::error::FileFault;
use offhook_call::id::{ConferenceId, RequestId};
use offhook_call::{DiskEvent, JobId, Output, RecordedFile, Reply};
use offhook_media::event::{
    self as media, ActionId, Codec, PromptWriter, RecordEnd, RecordFormat, RecordingId, RoomEvent, RoomId,
};

use crate::rig::*;

const ROOM: ConferenceId = ConferenceId(1);
const FILE: RecordedFile = RecordedFile { bytes: 16_044, parts: 1, gaps: Duration::ZERO };

fn opened() -> Rig {
    let mut rig = Rig::new();
    rig.request(open_conference(1));
    rig
}

fn ask(command: Ask) -> Command {
    of_conference(ROOM, command)
}

fn play(is_loop: bool) -> Command {
    ask(Ask::PlayStart { content: Content { sources: vec!["a.wav".into(), "b.wav".into()] }, is_loop })
}

fn record() -> Command {
    ask(Ask::RecordStart { record: file(), max: Duration::from_secs(60) })
}

fn file() -> RecordFile {
    RecordFile { file: "all.wav".to_owned(), format: RecordFormat::Pcm16 }
}

fn told(event: RoomEvent) -> media::Event {
    media::Event::Room { room: RoomId(ROOM.0), event }
}

fn played(action: u64) -> media::Event {
    told(RoomEvent::PlayEnded { action: ActionId(action), played: Duration::from_secs(2) })
}

fn recorded(action: u64, end: RecordEnd) -> media::Event {
    told(RoomEvent::RecordEnded { action: ActionId(action), duration: Duration::from_secs(3), end })
}

fn open_file(job: u64) -> DiskEvent {
    DiskEvent::RecordingOpened { job: JobId(job), result: Ok(()) }
}

fn closed_file(recording: u64) -> DiskEvent {
    DiskEvent::RecordingClosed { recording: RecordingId(recording), file: FILE }
}

fn snapshot(rig: &mut Rig) -> (bool, Option<String>) {
    let id = RequestId(9_999);
    rig.calls.request(rig.now(), offhook_call::command::Request { id, command: ask(Ask::Get) });
    match rig.outputs().pop() {
        Some(Output::Reply { result: Ok(Reply::Conference(snapshot)), .. }) => {
            (snapshot.is_playing, snapshot.record_file)
        }
        other => panic!("no snapshot: {other:?}"),
    }
}

#[test]
fn all_hear_what_is_played_to_its_end() {
    let mut rig = opened();
    assert_eq!(rig.request(play(false)), ["disk 1 load a.wav|b.wav L16"]);
    assert_eq!(rig.disk(loaded(1)), ["reply Done", "media room 1 play 1: 1 +0 0.0"]);
    assert_eq!(snapshot(&mut rig), (true, None));
    assert_eq!(rig.media(played(1)), ["1: play ok 2s"]);
    assert_eq!(snapshot(&mut rig), (false, None));
    assert_eq!(rig.request(play(false)), ["disk 2 load a.wav|b.wav L16"]);
}

#[test]
fn it_is_looped_until_it_is_stopped() {
    let mut rig = opened();
    rig.request(play(true));
    assert!(rig.disk(loaded(1)).contains(&format!("media room 1 play 1: 1 +{} 0.0", u32::MAX)));
    assert_eq!(rig.request(ask(Ask::PlayStop)), ["media room 1 stop play 1", "reply Done"]);
    assert_eq!(rig.request(ask(Ask::PlayStop)), ["reply Done"]);
    assert_eq!(rig.media(played(1)), ["1: play ok 2s"]);
    // Nothing is played any more: there is nothing to stop, and nothing is told of it.
    assert_eq!(rig.request(ask(Ask::PlayStop)), ["reply Done"]);
}

#[test]
fn a_stop_while_it_is_loaded_lets_nobody_hear_it() {
    let mut rig = opened();
    rig.request(play(false));
    assert_eq!(rig.request(ask(Ask::PlayStop)), ["reply Done", "reply Done", "1: play ok 0ns"]);
    assert!(rig.disk(loaded(1)).is_empty());
    assert_eq!(snapshot(&mut rig), (false, None));
}

#[test]
fn a_prompt_that_is_cut_short_is_played_and_told() {
    let mut rig = opened();
    rig.request(play(false));
    let mut writer = PromptWriter::new(Codec::L16Wide);
    let prompts = vec![prompt(), Arc::clone(writer.prompt())];
    rig.disk(DiskEvent::Prompts { job: JobId(1), result: Ok(prompts) });
    writer.push(&[0; 8000]);
    drop(writer);
    assert_eq!(rig.media(played(1)), ["1: play file_unreadable b.wav 2s"]);
}

#[test]
fn a_second_play_or_recording_is_one_too_many() {
    let mut rig = opened();
    rig.request(play(false));
    let refused = ["refuse LimitReached { limit: \"conference_plays\", value: 1 }"];
    assert_eq!(rig.request(play(false)), refused);
    rig.disk(loaded(1));
    assert_eq!(rig.request(play(true)), refused);
    rig.request(record());
    let refused = ["refuse LimitReached { limit: \"conference_recordings\", value: 1 }"];
    assert_eq!(rig.request(record()), refused);
    rig.disk(open_file(2));
    assert_eq!(rig.request(record()), refused);
}

#[test]
fn what_cannot_be_had_is_an_error_and_no_event() {
    let mut rig = opened();
    rig.request(play(false));
    let missing = DiskEvent::Prompts { job: JobId(1), result: Err(not_there("b.wav", Some(1))) };
    assert_eq!(
        rig.disk(missing),
        ["refuse File { fault: NotFound, param: \"content\", file: \"b.wav\", item: Some(1) }"]
    );
    rig.request(record());
    let exists = DiskEvent::RecordingOpened { job: JobId(2), result: Err(FileFault::Exists) };
    assert_eq!(
        rig.disk(exists),
        ["refuse File { fault: Exists, param: \"record_file\", file: \"all.wav\", item: None }"]
    );
    // A disk that does not answer.
    rig.request(play(false));
    rig.request(record());
    let late = "refuse Internal { message: \"the disk did not answer within 10 s\" }";
    assert_eq!(rig.secs(10), [late, late]);
    assert_eq!(snapshot(&mut rig), (false, None));
    // A file that it opens later is removed.
    assert_eq!(rig.disk(open_file(4)), ["disk 5 discard 4"]);
}

#[test]
fn a_media_thread_that_does_not_confirm_is_not_waited_for() {
    let mut rig = opened();
    rig.request(play(false));
    rig.disk(loaded(1));
    rig.request(ask(Ask::PlayStop));
    assert_eq!(rig.secs(2), ["1: play ok 0ns"]);
}

#[test]
fn all_are_recorded_until_record_stop() {
    let mut rig = opened();
    assert_eq!(rig.request(record()), ["disk 1 open all.wav as 1"]);
    let lines = rig.disk(open_file(1));
    assert_eq!(lines, ["media room 1 record 1 as 1, 60s", "reply all.wav"]);
    assert_eq!(snapshot(&mut rig), (false, Some("all.wav".to_owned())));
    assert_eq!(rig.request(ask(Ask::RecordStop)), ["media room 1 stop record 1", "reply Done"]);
    assert!(rig.media(recorded(1, RecordEnd::Stopped)).is_empty());
    assert_eq!(rig.disk(closed_file(1)), ["1: record stopped all.wav 3s 16044"]);
    assert_eq!(rig.request(ask(Ask::RecordStop)), ["reply Done"]);
    assert_eq!(snapshot(&mut rig), (false, None));
}

#[test]
fn a_recording_has_its_longest_duration() {
    let mut rig = opened();
    rig.request(record());
    rig.disk(open_file(1));
    rig.media(recorded(1, RecordEnd::MaxDuration));
    assert_eq!(rig.disk(closed_file(1)), ["1: record max_seconds all.wav 3s 16044"]);
}

#[test]
fn a_full_disk_ends_it() {
    let mut rig = opened();
    rig.request(record());
    rig.disk(open_file(1));
    let (recording, fault) = (RecordingId(1), FileFault::DiskFull);
    let full =
        DiskEvent::RecordingFailed { recording, fault, file: FILE, duration: Duration::from_millis(900) };
    assert_eq!(rig.disk(full), ["media room 1 stop record 1"]);
    let told = rig.media(recorded(1, RecordEnd::Stopped));
    assert_eq!(told, ["1: record disk_full all.wav 900ms 16044"]);
}

#[test]
fn a_stop_while_the_file_is_opened_leaves_a_complete_file() {
    let mut rig = opened();
    rig.request(record());
    assert_eq!(rig.request(ask(Ask::RecordStop)), ["reply Done"]);
    let lines = rig.disk(open_file(1));
    assert_eq!(lines, ["media room 1 record 1 as 1, 60s", "reply all.wav", "media room 1 stop record 1"]);
}

#[test]
fn pending_completions_come_before_its_release() {
    let mut rig = opened();
    rig.request(play(true));
    rig.disk(loaded(1));
    rig.request(record());
    rig.disk(open_file(2));
    assert_eq!(rig.request(ask(Ask::Release)), ["reply Done", "media room 1 close"]);
    assert_eq!(rig.media(played(1)), ["1: play conf_released 2s"]);
    assert!(rig.media(recorded(2, RecordEnd::RoomClosed)).is_empty());
    assert!(rig.media(told(RoomEvent::Closed)).is_empty());
    assert_eq!(rig.disk(closed_file(2)), ["1: record conf_released all.wav 3s 16044", "1: released"]);
    assert!(rig.is_clean());
}

#[test]
fn what_ended_before_the_release_stands() {
    let mut rig = opened();
    rig.request(play(true));
    rig.disk(loaded(1));
    rig.request(record());
    rig.disk(open_file(2));
    rig.request(ask(Ask::PlayStop));
    rig.request(ask(Ask::RecordStop));
    rig.request(ask(Ask::Release));
    assert_eq!(rig.media(played(1)), ["1: play ok 2s"]);
    rig.media(recorded(2, RecordEnd::Stopped));
    assert_eq!(rig.disk(closed_file(2)), ["1: record stopped all.wav 3s 16044"]);
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
}

#[test]
fn what_has_not_begun_is_refused_at_its_release() {
    let mut rig = opened();
    rig.request(play(true));
    rig.request(record());
    let gone = "refuse NoConference { conference: ConferenceId(1) }";
    assert_eq!(rig.request(ask(Ask::Release)), ["reply Done", gone, gone, "media room 1 close"]);
    assert!(rig.disk(loaded(1)).is_empty());
    assert_eq!(rig.disk(open_file(2)), ["disk 3 discard 2"]);
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
    assert!(rig.is_clean());
}

#[test]
fn media_and_disk_that_are_stuck_keep_neither_conference_nor_file() {
    let mut rig = opened();
    rig.request(play(true));
    rig.disk(loaded(1));
    rig.request(record());
    rig.disk(open_file(2));
    rig.request(ask(Ask::Release));
    assert_eq!(
        rig.secs(2),
        [
            "1: play conf_released 0ns",
            "disk 3 abandon 2",
            "1: record conf_released all.wav 0ns 0",
            "1: released"
        ]
    );
    assert!(rig.is_clean());
}

#[test]
fn the_background_is_looped_at_the_configured_level() {
    let mut rig = Rig::new();
    let open = Open { background: Some(files(&["bg.wav", "b.wav"])), ..conference_of(1) };
    assert_eq!(rig.request(Command::ConferenceConstruct(Box::new(open))), ["disk 1 load bg.wav|b.wav L16"]);
    // It has no name for anybody until it is open.
    assert_eq!(rig.request(Command::ConferenceList { after: None, limit: 9 }), ["reply []"]);
    assert_eq!(
        rig.disk(loaded(1)),
        [
            "media room 1 open, tells talking true".to_owned(),
            format!("media room 1 play 1: 1 +{} -20.0", u32::MAX),
            "reply conference 1".to_owned()
        ]
    );
    // It is no action: nothing is told of its end.
    assert_eq!(rig.request(ask(Ask::Release)), ["reply Done", "media room 1 close"]);
    assert!(rig.media(played(1)).is_empty());
    assert_eq!(rig.media(told(RoomEvent::Closed)), ["1: released"]);
}

#[test]
fn a_recording_from_opening_to_end() {
    let mut rig = Rig::new();
    let open = Open { background: Some(files(&["bg.wav"])), record: Some(file()), ..conference_of(1) };
    rig.request(Command::ConferenceConstruct(Box::new(open)));
    assert_eq!(rig.disk(loaded(1)), ["disk 2 open all.wav as 2"]);
    let lines = rig.disk(open_file(2));
    assert_eq!(lines[2..], ["media room 1 record 2 as 2, 3600s", "reply conference 1"]);
    rig.request(ask(Ask::Release));
    rig.media(recorded(2, RecordEnd::RoomClosed));
    rig.media(told(RoomEvent::Closed));
    assert_eq!(rig.disk(closed_file(2)), ["1: record conf_released all.wav 3s 16044", "1: released"]);
}

#[test]
fn a_conference_that_cannot_be_opened_was_never_there() {
    let construct = |background: Option<&str>| {
        let background = background.map(|file| files(&[file]));
        Command::ConferenceConstruct(Box::new(Open { background, record: Some(file()), ..conference_of(1) }))
    };
    let mut rig = Rig::new();
    rig.request(construct(Some("bg.wav")));
    let missing = DiskEvent::Prompts { job: JobId(1), result: Err(not_there("bg.wav", None)) };
    assert_eq!(
        rig.disk(missing),
        ["refuse File { fault: NotFound, param: \"bg_file\", file: \"bg.wav\", item: None }"]
    );
    assert!(rig.is_clean());
    rig.request(construct(None));
    let full = DiskEvent::RecordingOpened { job: JobId(2), result: Err(FileFault::DiskFull) };
    assert_eq!(
        rig.disk(full),
        ["refuse File { fault: DiskFull, param: \"record_file\", file: \"all.wav\", item: None }"]
    );
    assert!(rig.is_clean());
    rig.request(construct(None));
    assert_eq!(rig.secs(10), ["refuse Internal { message: \"the disk did not answer within 10 s\" }"]);
    assert!(rig.is_clean());
    assert_eq!(rig.disk(open_file(3)), ["disk 4 discard 3"]);
    rig.request(construct(None));
    let now = rig.now();
    rig.calls.hang_up_all(now);
    assert_eq!(rig.lines(), ["refuse ShuttingDown"]);
    assert!(rig.is_clean());
}
