//! The media engine as its vocabulary promises it: each action ends with one event, and a leg's removal comes last. Some
//! engines are stuck and say nothing at all. Held against the calls: one action at a time, on a leg that is there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use offhook_media::event::{
    ActionId, Codec, Command, Detected, DigitSource, Event, LegId, LegStats, RecordEnd, RecordingId,
    TalkEvent,
};

use super::conferences::Rooms;
use super::{Disk, Happening, World};
use crate::rig::key;

#[derive(Debug)]
struct Leg {
    /// What it speaks, and spoke before: a prompt that was loaded before a change is still in that.
    codecs: Vec<Codec>,
    silent: bool,
    /// It will never say anything again.
    stuck: bool,
    action: Option<(ActionId, Doing)>,
    /// A prompt that was told to stop. Where nobody waits for its end the next action may come before that is told.
    stopped: Option<ActionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Play {
        /// Over and over: it has no end of its own, and nobody waits for the one that it is given.
        endless: bool,
    },
    Record {
        recording: RecordingId,
        end: RecordEnd,
    },
    Digits,
}

#[derive(Debug, Default)]
pub(super) struct Engine {
    legs: HashMap<LegId, Leg>,
    /// Every name ever used.
    used: HashSet<LegId>,
    connected: HashMap<LegId, LegId>,
    /// Of connections, by their first parties.
    recordings: HashMap<LegId, RecordingId>,
    pub(super) rooms: Rooms,
}

impl World {
    pub(super) fn open_leg(&mut self, leg: LegId, codec: Codec) {
        assert!(self.engine.used.insert(leg), "{leg:?} used twice");
        let stuck = self.chance(4);
        self.engine
            .legs
            .insert(leg, Leg { codecs: vec![codec], silent: false, stuck, action: None, stopped: None });
        self.soon(3_000, Happening::Digit(leg));
        if self.chance(30) {
            self.soon(20_000, Happening::Silent(leg));
        }
    }

    pub(super) fn tell_engine(&mut self, command: Command) {
        match command {
            Command::Play { leg, action, prompts, repeat } => {
                let codecs = &self.engine.legs.get(&leg).expect("a leg that is there").codecs;
                assert!(prompts.iter().all(|prompt| codecs.contains(&prompt.codec())), "in the leg's codec");
                let endless = repeat == u32::MAX;
                let within = (!endless).then(|| 3_000 * (1 + u64::from(repeat)));
                self.begin(leg, action, Doing::Play { endless }, within);
            }
            Command::Record { leg, action, recording, .. } => {
                let doing = Doing::Record { recording, end: RecordEnd::MaxDuration };
                self.begin(leg, action, doing, Some(8_000));
            }
            Command::SendDigits { leg, action, digits } => {
                self.begin(leg, action, Doing::Digits, Some(200 * digits.len() as u64));
            }
            Command::StopPlay { .. }
            | Command::YieldPlay { .. }
            | Command::StopDigits { .. }
            | Command::StopRecord { .. }
            | Command::PauseRecord { .. } => self.tell_action(&command),
            Command::RemoveLeg { leg } => {
                assert!(self.engine.legs.contains_key(&leg), "{leg:?} removed twice");
                self.part(leg);
                self.engine.rooms.remove(leg);
                self.soon(30, Happening::LegGone(leg));
            }
            Command::Connect { first, second, .. } => {
                for (one, other) in [(first, second), (second, first)] {
                    assert!(!self.engine.rooms.has(one), "connected in a room: {one:?}");
                    assert!(self.engine.legs.contains_key(&one), "connected and not there: {one:?}");
                    assert!(self.engine.connected.insert(one, other).is_none(), "{one:?} connected twice");
                }
            }
            Command::SetVolumes { first, second, .. } | Command::PlayConnection { first, second, .. } => {
                assert_eq!(self.engine.connected.get(&first), Some(&second));
            }
            Command::RecordConnection { first, second, recording, .. } => {
                assert_eq!(self.engine.connected.get(&first), Some(&second));
                assert!(self.engine.recordings.insert(first, recording).is_none(), "{first:?} twice");
            }
            Command::Disconnect { first, second } => {
                assert_eq!(self.engine.connected.get(&first), Some(&second));
                self.part(first);
            }
            Command::InfoDigit { leg, key, duration } => {
                let event = Event::Digit { leg, key, source: DigitSource::Info, duration };
                self.report(leg, event);
            }
            Command::Detect { leg, kinds, .. } => {
                assert!(self.engine.legs.contains_key(&leg), "{leg:?} is not there");
                // What is on its way when nobody listens any more comes all the same.
                if !kinds.is_empty() {
                    self.soon(3_000, Happening::Detected(leg));
                }
            }
            Command::UpdateLeg { leg, config } => {
                let found = self.engine.legs.get_mut(&leg).expect("a leg that is there");
                found.codecs.push(config.media.codec);
                self.heard(leg);
            }
            Command::Room { room, command } => self.tell_room(room, command),
            other => panic!("not sent by calls: {other:?}"),
        }
    }

    pub(super) fn has_leg(&self, leg: LegId) -> bool {
        self.engine.legs.contains_key(&leg)
    }

    /// What is said to an action that may be over already.
    fn tell_action(&mut self, command: &Command) {
        match *command {
            Command::StopPlay { leg, action } | Command::StopDigits { leg, action } => {
                let found = self.engine.legs.get(&leg).and_then(|leg| leg.action);
                if found == Some((action, Doing::Play { endless: true })) {
                    self.end_action(leg);
                } else {
                    if let Some(found) = self.engine.legs.get_mut(&leg) {
                        found.stopped = Some(action);
                    }
                    self.stop(leg, action);
                }
            }
            Command::StopRecord { leg, action, .. } => {
                if let Some(Leg { action: Some((current, Doing::Record { end, .. })), .. }) =
                    self.engine.legs.get_mut(&leg)
                    && *current == action
                {
                    *end = RecordEnd::Stopped;
                }
                self.stop(leg, action);
            }
            Command::YieldPlay { leg, action } => {
                assert!(self.engine.legs.contains_key(&leg), "{leg:?} is not there");
                // The far end is heard some time, or never.
                if self.chance(50) {
                    self.soon(3_000, Happening::ActionEnds(leg, action));
                }
            }
            // A pause moves the end of a recording, which comes whenever it likes here; of another action there is none.
            Command::PauseRecord { leg, action, .. } => {
                let found = self.engine.legs.get(&leg).and_then(|leg| leg.action);
                let is_other = found.is_some_and(|(current, doing)| {
                    current == action && !matches!(doing, Doing::Record { .. })
                });
                assert!(!is_other, "{action:?} is no recording");
            }
            _ => {}
        }
    }

    /// A connection ends, and with it its recording, unless the engine is stuck.
    fn part(&mut self, leg: LegId) {
        let Some(other) = self.engine.connected.remove(&leg) else { return };
        self.engine.connected.remove(&other);
        for first in [leg, other] {
            let is_stuck = self.engine.legs.get(&first).is_none_or(|leg| leg.stuck);
            if let Some(recording) = self.engine.recordings.remove(&first)
                && !is_stuck
            {
                let closes = Disk::end_mark(&mut self.rng, recording);
                self.disk_will(Some(closes));
            }
        }
    }

    fn begin(&mut self, leg: LegId, action: ActionId, doing: Doing, within: Option<u64>) {
        assert!(!self.engine.rooms.has(leg), "{leg:?} is in a room");
        let found = self.engine.legs.get(&leg).expect("a leg that is there");
        if let Some((before, Doing::Play { .. })) = found.action
            && found.stopped == Some(before)
        {
            self.end_action(leg);
        }
        let found = self.engine.legs.get_mut(&leg).expect("a leg that is there");
        assert!(found.action.is_none() || found.stuck, "{leg:?} is busy with {:?}", found.action);
        found.action = Some((action, doing));
        if let Some(within) = within {
            self.soon(within, Happening::ActionEnds(leg, action));
        }
    }

    fn stop(&mut self, leg: LegId, action: ActionId) {
        let within = if self.chance(20) { 1_500 } else { 40 };
        self.soon(within, Happening::ActionEnds(leg, action));
    }

    pub(super) fn engine(&mut self, happening: Happening) {
        match happening {
            Happening::Digit(leg) if self.engine.legs.contains_key(&leg) => {
                let char = char::from(*self.rng.choice(b"0123456789*#").expect("twelve"));
                let duration = Duration::from_millis(100);
                self.soon(4_000, Happening::Digit(leg));
                self.report(
                    leg,
                    Event::Digit { leg, key: key(char), source: DigitSource::Rfc4733, duration },
                );
            }
            Happening::Detected(leg) if self.engine.legs.contains_key(&leg) => {
                if self.chance(50) {
                    self.soon(3_000, Happening::Detected(leg));
                }
                self.report(leg, Event::Detected { leg, detected: Detected::Voice(TalkEvent::Started) });
            }
            Happening::Silent(leg) => {
                let Some(found) = self.engine.legs.get_mut(&leg) else { return };
                if !std::mem::replace(&mut found.silent, true) {
                    self.report(leg, Event::Silent { leg });
                    self.soon(50_000, Happening::Heard(leg));
                }
            }
            Happening::Heard(leg) => self.heard(leg),
            Happening::ActionEnds(leg, action) => {
                let found = self.engine.legs.get(&leg).and_then(|leg| leg.action);
                if found.is_some_and(|(current, _)| current == action) {
                    self.end_action(leg);
                }
            }
            Happening::LegGone(leg) => {
                if let Some(Leg { action: Some((_, Doing::Record { end, .. })), .. }) =
                    self.engine.legs.get_mut(&leg)
                {
                    *end = RecordEnd::LegRemoved;
                }
                self.end_action(leg);
                self.report(leg, Event::LegRemoved { leg, stats: LegStats::default() });
                self.engine.legs.remove(&leg);
            }
            _ => {}
        }
    }

    /// The action of a leg ends with its event; a recording's end mark goes to the disk.
    fn end_action(&mut self, leg: LegId) {
        let Some(found) = self.engine.legs.get_mut(&leg) else { return };
        if found.stuck {
            return;
        }
        let Some((action, doing)) = found.action.take() else { return };
        let event = match doing {
            Doing::Play { .. } => Event::PlayEnded { leg, action, played: Duration::from_millis(500) },
            Doing::Digits => Event::DigitsSent { leg, action },
            Doing::Record { recording, end } => {
                let closes = Disk::end_mark(&mut self.rng, recording);
                self.disk_will(Some(closes));
                Event::RecordEnded { leg, action, duration: Duration::from_secs(1), end }
            }
        };
        self.report(leg, event);
    }

    fn heard(&mut self, leg: LegId) {
        let Some(found) = self.engine.legs.get_mut(&leg) else { return };
        if std::mem::take(&mut found.silent) {
            self.report(leg, Event::Heard { leg });
        }
    }

    fn report(&mut self, leg: LegId, event: Event) {
        if self.engine.legs.get(&leg).is_some_and(|leg| !leg.stuck) {
            self.calls.media(self.now(), event);
        }
    }
}
