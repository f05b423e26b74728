//! Conferences: applications that open, fill and empty them, and the rooms of the engine as its vocabulary promises them.
//! Some rooms are stuck and never say that they are gone.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use offhook_call::command::{Command, ConfEnter};
use offhook_call::conference::{self, Construct, RecordFile};
use offhook_call::id::{CallId, ConferenceId};
use offhook_media::event::{
    ActionId, Event, LegId, RecordEnd, RecordFormat, RecordingId, RoomCommand, RoomEvent, RoomId, VoiceMode,
};

use super::{Happening, World};
use crate::rig::{conf_enter, conference_of, of_conference};

fn record_file() -> RecordFile {
    RecordFile { file: "c.wav".to_owned(), format: RecordFormat::Pcm16 }
}

#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// Those that are open, and those that close.
    open: HashMap<RoomId, BTreeSet<LegId>>,
    closing: BTreeSet<RoomId>,
    talking: BTreeSet<LegId>,
    /// What rooms play, and what they record into which file.
    actions: HashMap<ActionId, (RoomId, Option<RecordingId>)>,
}

impl Rooms {
    pub(super) fn has(&self, leg: LegId) -> bool {
        self.open.values().any(|members| members.contains(&leg))
    }

    /// A leg is being removed.
    pub(super) fn remove(&mut self, leg: LegId) {
        for members in self.open.values_mut() {
            members.remove(&leg);
        }
    }

    fn members(&mut self, room: RoomId) -> &mut BTreeSet<LegId> {
        self.open.get_mut(&room).expect("a room that is open")
    }
}

impl World {
    pub(super) fn of_a_conference(&mut self) {
        let conference = self.checks.any_conference(&mut self.rng);
        let command = match (conference, self.rng.u8(..10)) {
            (None, _) | (_, 0) => {
                let (max, threshold) = (self.seconds(60), self.rng.i32(-1..3));
                let background = self.chance(30).then(|| "bg.wav".into());
                let record = self.chance(30).then(record_file);
                let construct = Construct { max, background, record, ..conference_of(threshold) };
                Command::ConferenceConstruct(Box::new(construct))
            }
            (Some(_), 1) => Command::ConferenceList { after: conference, limit: 10 },
            (Some(conference), _) => of_conference(conference, self.of_members(conference)),
        };
        self.request(command);
    }

    fn of_members(&mut self, conference: ConferenceId) -> conference::Command {
        let call = self.checks.any_member(conference, &mut self.rng);
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

    pub(super) fn enter(&mut self, call: CallId) -> Command {
        let conference = self.checks.any_conference(&mut self.rng).unwrap_or(ConferenceId(1));
        let welcome = self.chance(30).then(|| "p.wav".into());
        let max = self.seconds(20);
        Command::ConfEnter(Box::new(ConfEnter { max, welcome, ..conf_enter(call, conference) }))
    }

    pub(super) fn exit(&mut self, call: CallId) -> Command {
        let is_in = |(room, members): (&RoomId, &BTreeSet<LegId>)| {
            members.contains(&LegId(call.0)).then_some(ConferenceId(room.0))
        };
        let own = self.engine.rooms.open.iter().find_map(is_in);
        let conference = own.filter(|_| self.rng.u8(..10) > 0).unwrap_or(ConferenceId(1));
        Command::ConfExit { call, conference }
    }

    pub(super) fn tell_room(&mut self, room: RoomId, command: RoomCommand) {
        match command {
            RoomCommand::Open { .. } => {
                assert!(self.engine.rooms.open.insert(room, BTreeSet::new()).is_none(), "{room:?} twice");
            }
            RoomCommand::Close => {
                self.engine.rooms.open.remove(&room).expect("a room that is open");
                self.engine.rooms.closing.insert(room);
                if !self.chance(4) {
                    self.soon(30, Happening::RoomGone(room));
                }
            }
            RoomCommand::Join { leg, .. } => {
                assert!(self.has_leg(leg), "{leg:?} is not there");
                assert!(!self.engine.rooms.has(leg), "{leg:?} is in two rooms");
                self.engine.rooms.members(room).insert(leg);
                self.soon(3_000, Happening::Talks(room, leg));
            }
            RoomCommand::Leave { leg } => {
                assert!(self.engine.rooms.members(room).remove(&leg), "{leg:?} is not in");
            }
            RoomCommand::SetVoice { leg, .. } => {
                assert!(self.engine.rooms.members(room).contains(&leg), "{leg:?} is not in");
            }
            RoomCommand::Play { action, repeat, .. } => {
                self.engine.rooms.members(room);
                self.engine.rooms.actions.insert(action, (room, None));
                if repeat != u32::MAX {
                    self.soon(3_000, Happening::RoomActionEnds(action, RecordEnd::Stopped));
                }
            }
            RoomCommand::Record { action, recording, .. } => {
                self.engine.rooms.members(room);
                let others = &self.engine.rooms.actions;
                assert!(!others.values().any(|&(of, file)| of == room && file.is_some()), "{room:?} twice");
                self.engine.rooms.actions.insert(action, (room, Some(recording)));
                self.soon(8_000, Happening::RoomActionEnds(action, RecordEnd::MaxDuration));
            }
            RoomCommand::StopPlay { action } | RoomCommand::StopRecord { action } => {
                self.engine.rooms.members(room);
                let within = if self.chance(20) { 1_500 } else { 40 };
                self.soon(within, Happening::RoomActionEnds(action, RecordEnd::Stopped));
            }
        }
    }

    /// An action of a room ends, unless it has.
    fn room_action_ends(&mut self, action: ActionId, end: RecordEnd) {
        let Some((room, recording)) = self.engine.rooms.actions.remove(&action) else { return };
        let event = match recording {
            None => RoomEvent::PlayEnded { action, played: Duration::from_secs(1) },
            Some(recording) => {
                self.end_mark(recording);
                RoomEvent::RecordEnded { action, duration: Duration::from_secs(1), end }
            }
        };
        self.calls.media(self.now(), Event::Room { room, event });
    }

    pub(super) fn room(&mut self, happening: Happening) {
        let (room, event) = match happening {
            // What was said before it left may be told after.
            Happening::Talks(room, leg) => {
                if self.engine.rooms.has(leg) {
                    self.soon(3_000, Happening::Talks(room, leg));
                }
                let talking =
                    self.engine.rooms.talking.insert(leg) || !self.engine.rooms.talking.remove(&leg);
                (room, RoomEvent::Talking { leg, talking })
            }
            Happening::RoomActionEnds(action, end) => return self.room_action_ends(action, end),
            Happening::RoomGone(room) if self.engine.rooms.closing.remove(&room) => {
                let of_it = self.engine.rooms.actions.iter().filter(|(_, (of, _))| *of == room);
                let mut actions: Vec<ActionId> = of_it.map(|(&action, _)| action).collect();
                actions.sort_unstable();
                for action in actions {
                    self.room_action_ends(action, RecordEnd::RoomClosed);
                }
                (room, RoomEvent::Closed)
            }
            _ => return,
        };
        self.calls.media(self.now(), Event::Room { room, event });
    }
}
