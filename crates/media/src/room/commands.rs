//! Rooms in an engine: who is in which.
//!
//! A leg is in one room or one connection at most. While it is in a room its frames are the room's, in the room's phase;
//! when it leaves it keeps that phase. A room has its phase from its first member on: of rooms that are opened before anybody
//! comes nobody can say how many a phase can take.

use crate::event::{LegId, RoomCommand, RoomId, Voice};
use crate::record::{Recording, Wish};
use crate::room::Room;
use crate::room::input::Input;
use crate::shared::Shared;
use crate::{Engine, Group, Need, Placed};

impl Engine {
    /// Obeys a command for a room.
    pub(crate) fn obey_room(&mut self, id: RoomId, command: RoomCommand) {
        match command {
            RoomCommand::Open { tells_talking } => self.open_room(id, tells_talking),
            RoomCommand::Close => self.close_room(id),
            RoomCommand::Join { leg, voice } => self.join_room(id, leg, voice),
            RoomCommand::Leave { leg } => {
                if self.is_member(id, leg) {
                    self.leave_room(leg);
                }
            }
            RoomCommand::SetVoice { leg, voice } => {
                if self.is_member(id, leg) {
                    self.on(leg, |leg, _| leg.set_says_to_room(voice.mode.speaks()));
                    self.on_room(id, |room, _| room.set_voice(leg, voice));
                }
            }
            RoomCommand::Play { action, prompts, repeat, gain } => {
                self.on_room(id, |room, shared| room.play(Input::new(action, prompts, repeat, gain), shared));
            }
            RoomCommand::StopPlay { action } => {
                self.on_room(id, |room, shared| room.stop_play(action, shared));
            }
            RoomCommand::Record { action, recording, max } => {
                let recording = Recording::new(action, recording, Wish::of_talk(1, max));
                self.on_room(id, |room, shared| room.record(recording, shared));
            }
            RoomCommand::StopRecord { action } => {
                self.on_room(id, |room, shared| room.stop_record(action, shared));
            }
        }
    }

    /// Takes a leg out of the room that it is in.
    pub(crate) fn leave_room(&mut self, id: LegId) {
        let Some(Placed { group: Some(Group::Room(room)), .. }) = self.legs.get(&id) else { return };
        let room = *room;
        self.leave_group(id);
        self.on_room(room, |room, shared| room.leave(id, shared));
    }

    /// From now on its frames are run with those of others, in their phase.
    pub(crate) fn enter(&mut self, id: LegId, group: Group, phase: u8) {
        let Some(placed) = self.legs.get_mut(&id) else { return };
        let former = &mut self.phases[usize::from(placed.phase)];
        former.legs.retain(|&other| other != id);
        former.load -= placed.weight;
        self.phases[usize::from(phase)].load += placed.weight;
        (placed.phase, placed.group) = (phase, Some(group));
    }

    /// From now on it has its frames by itself, in the same phase.
    pub(crate) fn leave_group(&mut self, id: LegId) {
        let Some(placed) = self.legs.get_mut(&id) else { return };
        if placed.group.take().is_some() {
            placed.leg.set_says_to_room(false);
            let due = &mut self.phases[usize::from(placed.phase)];
            due.legs.push(id);
            due.raise_for(&placed.leg);
        }
    }

    fn open_room(&mut self, id: RoomId, tells_talking: bool) {
        if !self.rooms.contains_key(&id) {
            let phase = self.phase_with_room();
            self.phases[usize::from(phase)].rooms.push(id);
            self.rooms.insert(id, Room::new(id, phase, tells_talking));
        }
    }

    /// Puts a room that nobody is in into the phase that its members are to have.
    fn place_room(&mut self, id: RoomId) {
        let phase = self.phase_with_room();
        let Some(room) = self.rooms.get_mut(&id).filter(|room| room.members().next().is_none()) else {
            return;
        };
        let former = std::mem::replace(&mut room.phase, phase);
        self.phases[usize::from(former)].rooms.retain(|&other| other != id);
        self.phases[usize::from(phase)].rooms.push(id);
        self.phases[usize::from(phase)].raise(Need::Frames);
    }

    fn close_room(&mut self, id: RoomId) {
        self.on_room(id, Room::end_actions);
        while let Some(leg) = self.rooms.get(&id).and_then(|room| room.members().next()) {
            self.leave_room(leg);
        }
        if let Some(room) = self.rooms.remove(&id) {
            self.phases[usize::from(room.phase)].rooms.retain(|&other| other != id);
            room.close(&mut self.shared);
        }
    }

    fn join_room(&mut self, id: RoomId, leg: LegId, voice: Voice) {
        if !self.rooms.contains_key(&id) {
            return;
        }
        self.leave_room(leg);
        self.disconnect(leg);
        self.place_room(id);
        let Some(phase) = self.rooms.get(&id).map(|room| room.phase) else { return };
        self.enter(leg, Group::Room(id), phase);
        let Some(placed) = self.legs.get_mut(&leg) else { return };
        placed.leg.set_says_to_room(voice.mode.speaks());
        let rate = placed.leg.codec().sample_rate();
        self.on_room(id, |room, _| room.join(leg, rate, voice));
    }

    fn is_member(&self, room: RoomId, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|Placed { group, .. }| *group == Some(Group::Room(room)))
    }

    fn on_room(&mut self, id: RoomId, obey: impl FnOnce(&mut Room, &mut Shared)) {
        if let Some(room) = self.rooms.get_mut(&id) {
            obey(room, &mut self.shared);
        }
    }
}
