//! The rooms of the engine as its vocabulary promises them. Some are stuck and never say that they are gone.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use offhook_media::event::{
    ActionId, Event, LegId, RecordEnd, RecordingId, RoomCommand, RoomEvent, RoomId, VoiceMode,
};

use super::{Disk, Happening, World};

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
            RoomCommand::Join { leg, voice } => {
                // Applications of these worlds let members hear only, or hear and speak.
                if voice.mode == VoiceMode::SpeakOnly {
                    self.checks.saw("early media in a conference".to_owned());
                }
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
                let closes = Disk::end_mark(&mut self.rng, recording);
                self.disk_will(Some(closes));
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
