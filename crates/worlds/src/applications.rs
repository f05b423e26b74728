//! Applications: mostly they ask for what makes sense, sometimes for anything at all, of any call that ever was.

use std::time::Duration;

use offhook_call::command::{
    Command, ConfEnter, ConnectExtras, ConnectRecord, Construct, Content, Parent, ReceiveDtmf, RingMode,
    SchedulePlay,
};
use offhook_call::conference::{self, RecordFile};
use offhook_call::event::UnixMs;
use offhook_call::id::{CallId, ConferenceId};
use offhook_call::state::State;
use offhook_media::event::{Codec, ConnectMode, Dial, Gain, Kind, RecordFormat, VoiceMode, Volumes};

use crate::asks::{
    conf_enter, conference_of, construct, files, key, keys, of_conference, receive, spoken, text,
};
use crate::checks::Checks;
use crate::{chance, seconds};

/// How many texts are sent at once, now and then: more than may wait for the far end's answers.
const FLOOD: usize = 20;

/// The applications of a world.
#[derive(Clone, Debug)]
pub struct Applications {
    /// Whom they call.
    pub callees: Vec<String>,
    /// Calls that may still come or be placed.
    pub to_come: usize,
}

impl Applications {
    /// What they ask for next, most often one thing or nothing.
    pub fn next(&mut self, rng: &mut fastrand::Rng, checks: &Checks, wall: UnixMs) -> Vec<Command> {
        let command = self.at(rng, checks, wall).next(&mut self.to_come);
        let flood = matches!(command, Some(Command::SendMessage { .. })) && chance(rng, 10);
        command.map_or_else(Vec::new, |command| vec![command; if flood { FLOOD } else { 1 }])
    }

    /// A call to one or two of those whom they call.
    pub fn construct(&mut self, rng: &mut fastrand::Rng, checks: &Checks, wall: UnixMs) -> Command {
        self.at(rng, checks, wall).construct(None)
    }

    fn at<'a>(&self, rng: &'a mut fastrand::Rng, checks: &'a Checks, wall: UnixMs) -> Moment<'a> {
        Moment { rng, checks, wall, callees: self.callees.clone() }
    }
}

/// The applications at one moment. They know what [`Checks`] has heard, and no more.
struct Moment<'a> {
    /// What all is drawn from.
    rng: &'a mut fastrand::Rng,
    /// What they have been told.
    checks: &'a Checks,
    /// The time of day.
    wall: UnixMs,
    callees: Vec<String>,
}

impl Moment<'_> {
    /// What they ask for next, if anything. A call that they place for another one is taken off those that may still come.
    fn next(&mut self, to_come: &mut usize) -> Option<Command> {
        if self.chance(6) {
            return Some(self.of_a_conference());
        }
        let (call, state) = self.checks.any_call(self.rng)?;
        // Of a call that is Idle mostly; of any other it is refused.
        if *to_come > 0 && self.chance(if state == State::Idle { 15 } else { 1 }) {
            *to_come -= 1;
            return Some(self.dial_for(call));
        }
        if self.chance(85) { self.sensible(call, state) } else { Some(self.anything(call)) }
    }

    fn construct(&mut self, parent: Option<Parent>) -> Command {
        let max_answer = self.seconds(60);
        let max_ring = self.seconds(5);
        let mut to_uris = self.callees.clone();
        self.rng.shuffle(&mut to_uris);
        to_uris.truncate(self.rng.usize(1..3));
        Command::Construct(Box::new(Construct { max_answer, max_ring, to_uris, parent, ..construct() }))
    }

    fn chance(&mut self, percent: u8) -> bool {
        chance(self.rng, percent)
    }

    fn seconds(&mut self, most: u64) -> Duration {
        seconds(self.rng, most)
    }

    fn dial_for(&mut self, call: CallId) -> Command {
        let modes = [RingMode::WhileRinging, RingMode::UntilRinging, RingMode::UntilAnswer, RingMode::Before];
        let mode = *self.rng.choice(&modes).expect("four");
        let content = self.rng.bool().then(|| self.content());
        let conference = self.checks.any_conference(self.rng).filter(|_| self.rng.bool());
        let of = conference.map_or_else(|| call.into(), Into::into);
        self.construct(Some(Parent { of, mode, content }))
    }

    fn sensible(&mut self, call: CallId, state: State) -> Option<Command> {
        let often = self.rng.u8(..100);
        match state {
            State::Initiated if often < 50 => Some(self.answer(call)),
            State::Initiated if often < 55 => Some(Command::Reject { call, cause: 486 }),
            State::Initiated if often < 57 => {
                Some(Command::Redirect { call, target: "192.0.2.9".to_owned() })
            }
            State::Initiated if often < 75 => Some(self.ring(call)),
            State::Idle if often < 10 => Some(self.beside_an_action(call)),
            State::Idle => Some(self.start(call)),
            State::Play | State::Record | State::SendDtmf | State::ReceiveDtmf if often < 5 => {
                Some(self.enter(call))
            }
            State::Conf if often < 5 => Some(self.exit(call)),
            State::Play if often < 20 => Some(Command::PlayStop { call }),
            State::Record if often < 20 => Some(Command::RecordStop { call }),
            State::Record if often < 40 => Some(Command::RecordPause { call, is_paused: often < 30 }),
            State::SendDtmf if often < 20 => Some(Command::SendDtmfStop { call }),
            State::ReceiveDtmf if often < 10 => Some(Command::ReceiveDtmfStop { call }),
            State::Dial if often < 20 => {
                let child = self.checks.any_unanswered(self.rng).unwrap_or(call);
                let (max, mode, extras) = (self.seconds(20), ConnectMode::Both, self.extras());
                Some(Command::ConnectStart { call, other: child, max, mode, extras })
            }
            State::Connect if often < 10 => Some(Command::ConnectStop { call }),
            State::Released => None,
            State::Play
            | State::Record
            | State::SendDtmf
            | State::ReceiveDtmf
            | State::Dial
            | State::Connect
            | State::Conf
                if (91..=97).contains(&often) =>
            {
                Some(self.beside_an_action(call))
            }
            _ if often > 97 => Some(Command::Drop { call, cause: 603 }),
            _ => Some(Command::Get { call }),
        }
    }

    fn anything(&mut self, call: CallId) -> Command {
        let call = if self.chance(10) { CallId(self.rng.u64(..2000)) } else { call };
        match self.rng.u8(..17) {
            0 => self.answer(call),
            1 => Command::Drop { call, cause: self.rng.u16(300..700) },
            2 => Command::Reject { call, cause: 486 },
            3 => Command::Redirect { call, target: "192.0.2.9".to_owned() },
            4 => Command::Exists { call },
            5 => Command::Nop { call },
            6 => Command::PlayStop { call },
            7 => Command::RecordStop { call },
            8 => Command::SendDtmfStop { call },
            9 => Command::ReceiveDtmfStop { call },
            10 => Command::ConnectStop { call },
            11 => Command::List { state: None, after: Some(call), limit: 10 },
            12 => self.beside_an_action(call),
            13 => self.ring(call),
            14 => self.enter(call),
            15 => self.exit(call),
            _ => self.start(call),
        }
    }

    fn beside_an_action(&mut self, call: CallId) -> Command {
        match self.rng.u8(..8) {
            0 => Command::Transfer { call, to_uri: "sip:300@192.0.2.30".to_owned() },
            1 => Command::TransferAccept { call },
            2 => Command::TransferDecline { call, cause: 603 },
            3 => Command::TransferNotify { call, sip_status: self.rng.u16(100..700) },
            4 => Command::SendMessage { call, body: text("hello") },
            5 => Command::DetectStop { call },
            _ => {
                let kinds = Kind::ALL.into_iter().filter(|_| self.rng.bool()).chain([Kind::Voice]);
                let kinds = kinds.collect();
                Command::DetectStart { call, kinds, max: self.seconds(10), country: None }
            }
        }
    }

    fn answer(&mut self, call: CallId) -> Command {
        let codec = self.chance(20).then_some(Codec::Pcmu);
        let max_answer = self.seconds(60);
        Command::Answer { call, max_answer, user_data: Some("mark".to_owned()), codec }
    }

    fn ring(&mut self, call: CallId) -> Command {
        let content = self.chance(70).then(|| self.content());
        Command::Ring { call, content }
    }

    fn content(&mut self) -> Content {
        let mut sources = vec!["p.wav".into(); self.rng.usize(..3)];
        if self.chance(20) {
            sources.push(spoken("hello"));
        }
        Content { sources }
    }

    fn extras(&mut self) -> ConnectExtras {
        let record = self.rng.bool().then(|| ConnectRecord {
            file: "c.wav".to_owned(),
            format: RecordFormat::Pcm16,
            is_stereo: true,
            second_rate: None,
        });
        let ahead = self.rng.i64(-1_000..5_000);
        let at = UnixMs(self.wall.0 + ahead);
        let schedule = self.rng.bool().then(|| SchedulePlay { at, source: "p.wav".into(), repeat: 1 });
        let volumes = Volumes { first: Gain::from_decibels(self.rng.i8(-1..2)), ..Volumes::default() };
        ConnectExtras { mute_digits: self.rng.bool(), volumes, record, schedule }
    }

    fn start(&mut self, call: CallId) -> Command {
        let content = self.content();
        let finish_keys = keys(if self.rng.bool() { "#" } else { "" });
        match self.rng.u8(..6) {
            5 => self.enter(call),
            0 => Command::PlayStart { call, content, finish_keys, repeat: self.rng.u32(..3) },
            1 => Command::RecordStart {
                call,
                max: Duration::from_secs(8),
                beep: self.rng.bool(),
                file: "r.wav".to_owned(),
                format: RecordFormat::Pcm16,
                finish_keys,
                overwrite: false,
                trim_silence: false,
                mute_digits: self.rng.bool(),
            },
            2 => {
                let digits = vec![Dial::Key(key('5')); self.rng.usize(1..10)];
                Command::SendDtmfStart { call, digits }
            }
            3 => {
                let ask = ReceiveDtmf {
                    max_keys: self.rng.usize(1..6),
                    first_key_timeout: self.seconds(4),
                    next_key_timeout: self.seconds(4),
                    repeat: self.rng.u32(..3),
                    break_on_key: self.rng.bool(),
                    include_finish_key: self.rng.bool(),
                    flush: self.rng.bool(),
                    ..receive(call, None)
                };
                let prompt = self.rng.bool().then_some(content);
                Command::ReceiveDtmfStart(Box::new(ReceiveDtmf { prompt, ..ask }))
            }
            _ => {
                let other = self.checks.any_idle(self.rng).unwrap_or(call);
                let mode = *self
                    .rng
                    .choice(&[ConnectMode::Both, ConnectMode::SecondHears, ConnectMode::FirstHears])
                    .expect("three");
                Command::ConnectStart { call, other, max: self.seconds(20), mode, extras: self.extras() }
            }
        }
    }

    fn of_a_conference(&mut self) -> Command {
        let conference = self.checks.any_conference(self.rng);
        match (conference, self.rng.u8(..10)) {
            (None, _) | (_, 0) => {
                let (max, threshold) = (self.seconds(60), self.rng.i32(-1..3));
                let background = self.chance(30).then(|| files(&["bg.wav"]));
                let record = self.chance(30).then(record_file);
                let construct = conference::Construct { max, background, record, ..conference_of(threshold) };
                Command::ConferenceConstruct(Box::new(construct))
            }
            (Some(_), 1) => Command::ConferenceList { after: conference, limit: 10 },
            (Some(conference), _) => of_conference(conference, self.of_members(conference)),
        }
    }

    fn of_members(&mut self, conference: ConferenceId) -> conference::Command {
        let call = self.checks.any_member(conference, self.rng);
        match self.rng.u8(..32) {
            20..=23 => {
                let (content, is_loop) = (self.content(), self.rng.bool());
                conference::Command::PlayStart { content, is_loop }
            }
            24 | 25 => conference::Command::PlayStop,
            26..=29 => {
                let (record, max) = (record_file(), self.seconds(20));
                conference::Command::RecordStart { record, max }
            }
            30 | 31 => conference::Command::RecordStop,
            0 => conference::Command::Release,
            1 => conference::Command::Exists,
            2 => conference::Command::Nop,
            3 => conference::Command::Get,
            4 => conference::Command::GetParts,
            5 => conference::Command::SetThreshold { value: self.rng.i32(-1..3) },
            6..=8 => conference::Command::Kick { call, cause: self.rng.u16(300..700) },
            9..=13 => conference::Command::SetVoiceMode { call, mode: VoiceMode::HearOnly },
            _ => conference::Command::SetVolume { call, volume: self.rng.i8(-40..21) },
        }
    }

    fn enter(&mut self, call: CallId) -> Command {
        let conference = self.checks.any_conference(self.rng).unwrap_or(ConferenceId(1));
        let welcome = self.chance(30).then(|| files(&["p.wav", "q.wav"]));
        let max = self.seconds(20);
        Command::ConfEnter(Box::new(ConfEnter { max, welcome, ..conf_enter(call, conference) }))
    }

    fn exit(&mut self, call: CallId) -> Command {
        let own = self.checks.conference_of(call).filter(|_| self.rng.u8(..10) > 0);
        Command::ConfExit { call, conference: own.unwrap_or(ConferenceId(1)) }
    }
}

fn record_file() -> RecordFile {
    RecordFile { file: "c.wav".to_owned(), format: RecordFormat::Pcm16 }
}
