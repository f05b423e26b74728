//! What can happen to calls that are explored, and what is asked where it is a request.

use std::time::Duration;

use offhook_call::JobId;
use offhook_call::command::{
    Command, ConnectExtras, ConnectRecord, Construct, Content, Parent, ReceiveDtmf, RingMode,
};
use offhook_call::conference;
use offhook_call::id::{CallId, ConferenceId, Resource};
use offhook_media::event::{ActionId, ConnectMode, Dial, LegId, RecordFormat, RecordingId, RoomId};

use crate::rig;

const SECOND: Duration = Duration::from_secs(1);

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Answer(CallId),
    Drop(CallId),
    Reject(CallId),
    Redirect(CallId),
    Ring(CallId, bool),
    Play(CallId),
    PlayStop(CallId),
    Record(CallId),
    RecordStop(CallId),
    RecordPause(CallId),
    SendDigits(CallId),
    SendDigitsStop(CallId),
    Receive(CallId),
    ReceiveStop(CallId),
    DialFor(Resource, RingMode, bool),
    Connect(CallId, CallId, bool),
    ConnectStop(CallId),
    Enter(CallId, bool),
    Exit(CallId),
    Kick(CallId),
    ReleaseConference,
    PlayToAll,
    PlayToAllStop,
    RecordAll,
    RecordAllStop,
    Acked(CallId),
    NoAck(CallId),
    HangsUp(CallId),
    Rings(CallId, bool),
    PicksUp(CallId),
    Refuses(CallId),
    Digit(CallId, char),
    ActionEnds(ActionId),
    LegGoes(LegId),
    RoomGoes(RoomId),
    Loaded(JobId, bool),
    FileCloses(RecordingId),
    FileFails(RecordingId),
    Due,
}

/// What is asked, if the step is a request; of this conference, if it is of one.
pub(super) fn command(step: &Step, conference: ConferenceId) -> Command {
    let content = || Content { sources: vec!["a.wav".into()] };
    match *step {
        Step::Answer(call) => rig::answer(call),
        Step::Drop(call) => Command::Drop { call, cause: 603 },
        Step::Reject(call) => Command::Reject { call, cause: 486 },
        Step::Redirect(call) => Command::Redirect { call, target: "192.0.2.1".to_owned() },
        Step::Ring(call, has_file) => Command::Ring { call, content: has_file.then(content) },
        Step::Play(call) => rig::play(call, &["a.wav"], "#"),
        Step::PlayStop(call) => Command::PlayStop { call },
        Step::Record(call) => Command::RecordStart {
            call,
            max: SECOND,
            beep: false,
            file: "r.wav".to_owned(),
            format: RecordFormat::Alaw,
            finish_keys: rig::keys("#"),
            overwrite: false,
            trim_silence: false,
            mute_digits: false,
        },
        Step::RecordStop(call) => Command::RecordStop { call },
        Step::RecordPause(call) => Command::RecordPause { call, is_paused: true },
        Step::SendDigits(call) => Command::SendDtmfStart { call, digits: vec![Dial::Key(rig::key('1'))] },
        Step::SendDigitsStop(call) => Command::SendDtmfStop { call },
        Step::Receive(call) => Command::ReceiveDtmfStart(Box::new(ReceiveDtmf {
            max_keys: 2,
            repeat: 1,
            flush: true,
            ..rig::receive(call, Some("a.wav"))
        })),
        Step::ReceiveStop(call) => Command::ReceiveDtmfStop { call },
        Step::DialFor(of, mode, has_file) => {
            let parent = Some(Parent { of, mode, content: has_file.then(content) });
            Command::Construct(Box::new(Construct { parent, ..rig::construct() }))
        }
        Step::Connect(call, other, is_recorded) => connect(call, other, is_recorded),
        Step::ConnectStop(call) => Command::ConnectStop { call },
        Step::Enter(call, has_file) => {
            let mut enter = rig::conf_enter(call, conference);
            enter.welcome = has_file.then(content);
            Command::ConfEnter(Box::new(enter))
        }
        Step::Exit(call) => Command::ConfExit { call, conference },
        Step::Kick(call) => rig::of_conference(conference, conference::Command::Kick { call, cause: 486 }),
        Step::ReleaseConference => rig::of_conference(conference, conference::Command::Release),
        Step::PlayToAll => {
            let play = conference::Command::PlayStart { content: content(), is_loop: false };
            rig::of_conference(conference, play)
        }
        Step::PlayToAllStop => rig::of_conference(conference, conference::Command::PlayStop),
        Step::RecordAll => {
            let (file, format) = ("all.wav".to_owned(), RecordFormat::Pcm16);
            let record = conference::RecordFile { file, format };
            rig::of_conference(conference, conference::Command::RecordStart { record, max: SECOND })
        }
        Step::RecordAllStop => rig::of_conference(conference, conference::Command::RecordStop),
        ref other => panic!("nothing that is asked: {other:?}"),
    }
}

fn connect(call: CallId, other: CallId, is_recorded: bool) -> Command {
    let file = "c.wav".to_owned();
    let record = ConnectRecord { file, format: RecordFormat::Pcm16, is_stereo: true, second_rate: None };
    let extras = ConnectExtras { record: is_recorded.then_some(record), ..ConnectExtras::default() };
    Command::ConnectStart { call, other, max: 20 * SECOND, mode: ConnectMode::Both, extras }
}

/// What is owed, without its name.
pub(super) fn owed(step: &Step) -> Option<String> {
    Some(match step {
        Step::ActionEnds(_) => "action".to_owned(),
        Step::LegGoes(leg) => format!("leg {}", leg.0),
        Step::RoomGoes(_) => "room".to_owned(),
        Step::FileCloses(_) => "closing".to_owned(),
        Step::FileFails(_) => "file".to_owned(),
        Step::Loaded(_, true) => "job".to_owned(),
        _ => return None,
    })
}
