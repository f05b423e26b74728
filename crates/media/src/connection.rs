//! Connections in an engine: who hears whom, and which way.
//!
//! ```text
//!   relayed      packets as they come               equal codecs, or two that a table makes of each other
//!   interpreted  each side decoded for the other    other codecs, keys to be taken out, noise that is described to one
//!                                                   who does not know that, or packets that are too long
//!   bridged      both decoded, frame by frame       volumes, a prompt: as long as there is any
//! ```
//! A recording takes what both say beside any of these, also by a bridge. A leg is in one connection or one room at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bridge::Bridge;
use crate::event::{ActionId, Chunk, ConnectMode, Event, LegId, Prompt, RecordEnd, RecordingId, Volumes};
use crate::record::{Recording, Wish};
use crate::shared::{PassedOn, Shared};
use crate::{Engine, Group, Need, Placed};

impl Engine {
    pub(crate) fn connect(&mut self, first: LegId, second: LegId, mode: ConnectMode, mute_digits: bool) {
        if first == second || !self.legs.contains_key(&first) || !self.legs.contains_key(&second) {
            return;
        }
        for leg in [first, second] {
            self.leave_room(leg);
            self.part(leg);
        }
        self.unlink(first, second);
        self.unlink(second, first);
        if mode != ConnectMode::FirstHears {
            self.link(first, second, mute_digits);
        }
        if mode != ConnectMode::SecondHears {
            self.link(second, first, mute_digits);
        }
    }

    /// Changes how loud the parties of a connection hear each other.
    pub(crate) fn set_volumes(&mut self, first: LegId, second: LegId, volumes: Volumes) {
        if self.are_connected(first, second) {
            self.on_bridge(first, second, |bridge, _| bridge.set_volumes(volumes));
        }
    }

    /// Ends a connection.
    pub(crate) fn end_connection(&mut self, first: LegId, second: LegId) {
        if self.are_connected(first, second) {
            self.part(first);
        }
        self.unlink(first, second);
        self.unlink(second, first);
    }

    /// Ends the connection that a leg is in.
    pub(crate) fn disconnect(&mut self, leg: LegId) {
        self.part(leg);
        let Some(Placed { leg: found, .. }) = self.legs.get(&leg) else { return };
        let (hearer, talker) = (found.talks_to(), found.hears());
        if let Some(hearer) = hearer {
            self.unlink(leg, hearer);
        }
        if let Some(talker) = talker {
            self.unlink(talker, leg);
        }
    }

    // ---- What a connection does beside ------------------------------------------------------------------------

    /// Records what both parties say. Where they are not connected any more it ends at once.
    pub(crate) fn record_connection(
        &mut self,
        [first, second]: [LegId; 2],
        action: ActionId,
        recording: RecordingId,
        wish: Wish,
    ) {
        if !self.are_connected(first, second) {
            self.shared.record(recording, Chunk::End);
            let (duration, end) = (Duration::ZERO, RecordEnd::Disconnected);
            return self.shared.tell(Event::RecordEnded { leg: first, action, duration, end });
        }
        let recording = Recording::new(action, recording, wish);
        self.on_bridge(first, second, |bridge, shared| bridge.record(recording, shared));
    }

    /// Plays prompts to both parties, over their talk. Where they are not connected any more they end at once.
    pub(crate) fn play_to_connection(
        &mut self,
        [first, second]: [LegId; 2],
        action: ActionId,
        prompts: Vec<Arc<Prompt>>,
        repeat: u32,
    ) {
        if !self.are_connected(first, second) {
            let played = Duration::ZERO;
            return self.shared.tell(Event::PlayEnded { leg: first, action, played });
        }
        self.on_bridge(first, second, |bridge, shared| bridge.play(action, prompts, repeat, shared));
    }

    /// Lets the bridge that a leg is the first party of do something, if there is one.
    pub(crate) fn on_bridge_of(&mut self, first: LegId, obey: impl FnOnce(&mut Bridge, &mut Shared)) {
        if let Some(bridge) = self.bridges.get_mut(&first) {
            obey(bridge, &mut self.shared);
        }
        self.settle(first);
    }

    /// Lets a bridge do something, which is made if there is none.
    fn on_bridge(&mut self, first: LegId, second: LegId, obey: impl FnOnce(&mut Bridge, &mut Shared)) {
        if !self.bridges.contains_key(&first) {
            self.bridge(first, second);
        }
        self.on_bridge_of(first, obey);
    }

    // ---- Bridges ----------------------------------------------------------------------------------------------

    /// From now on the frames of a connection are run together, in the phase of its first party.
    fn bridge(&mut self, first: LegId, second: LegId) {
        let Some(Placed { phase, leg, .. }) = self.legs.get(&first) else { return };
        let (phase, pace) = (*phase, leg.pace());
        for leg in [first, second] {
            self.enter(leg, Group::Bridge(first), phase);
            // Also one that the other does not hear is recorded.
            self.on(leg, |leg, _| leg.set_says_to_bridge(true));
        }
        self.bridges.insert(first, Bridge::new(phase, pace, [first, second]));
        let due = &mut self.phases[usize::from(phase)];
        due.bridges.push(first);
        due.raise(Need::Frames);
    }

    /// Lets the parties of a bridge hear each other as what it has to do wants it. One that has nothing to do is none any
    /// more.
    fn settle(&mut self, first: LegId) {
        let Some(bridge) = self.bridges.get_mut(&first) else { return };
        bridge.settled();
        if bridge.is_needless() {
            self.part(first);
        }
        self.tune(first);
    }

    /// The same of all bridges of a phase, of which a prompt or a recording may have ended by itself.
    pub(crate) fn settle_bridges(&mut self, phase: u8) {
        let due = self.phases.get(usize::from(phase)).map(|phase| phase.bridges.iter().copied());
        let is_unsettled = |first: &LegId| self.bridges.get(first).is_some_and(Bridge::is_unsettled);
        let unsettled: Vec<LegId> = due.into_iter().flatten().filter(is_unsettled).collect();
        unsettled.into_iter().for_each(|first| self.settle(first));
    }

    /// Ends the bridge that a leg is in, and its actions.
    fn part(&mut self, leg: LegId) {
        let Some(Placed { group: Some(Group::Bridge(first)), .. }) = self.legs.get(&leg) else { return };
        let first = *first;
        let Some(mut bridge) = self.bridges.remove(&first) else { return };
        bridge.end_actions(&mut self.shared);
        self.phases[usize::from(bridge.phase)].bridges.retain(|&other| other != first);
        for party in bridge.parties() {
            self.leave_group(party);
            self.on(party, |leg, _| leg.set_says_to_bridge(false));
        }
    }

    /// Whether they hear each other, or one of them the other.
    fn are_connected(&self, first: LegId, second: LegId) -> bool {
        let hears = |hearer: LegId, talker: LegId| {
            self.legs.get(&hearer).is_some_and(|placed| placed.leg.hears() == Some(talker))
        };
        hears(first, second) || hears(second, first)
    }

    // ---- Who hears whom ---------------------------------------------------------------------------------------

    /// Lets one leg hear another, with its keys or without, and each nobody else.
    fn link(&mut self, talker: LegId, hearer: LegId, mute_digits: bool) {
        if let Some(former) = self.legs.get(&talker).and_then(|placed| placed.leg.talks_to()) {
            self.unlink(talker, former);
        }
        if let Some(former) = self.legs.get(&hearer).and_then(|placed| placed.leg.hears()) {
            self.unlink(former, hearer);
        }
        self.on(talker, |leg, _| {
            leg.set_talks_to(Some(hearer));
            leg.keep_keys(mute_digits);
        });
        self.on(hearer, |leg, _| leg.set_hears(Some(talker)));
        self.tune(talker);
    }

    /// Lets a leg be heard, and hear, as payload where the codecs allow it, decoded where they do not, and by the bridge
    /// where there is one.
    pub(crate) fn tune(&mut self, leg: LegId) {
        let Some(Placed { leg: found, .. }) = self.legs.get(&leg) else { return };
        let (hearer, talker) = (found.talks_to(), found.hears());
        for (talker, hearer) in [(Some(leg), hearer), (talker, Some(leg))] {
            let (Some(talker), Some(hearer)) = (talker, hearer) else { continue };
            let (Some(from), Some(to)) = (self.legs.get(&talker), self.legs.get(&hearer)) else { continue };
            let changes = match from.group {
                Some(Group::Bridge(first)) => {
                    self.bridges.get(&first).is_some_and(Bridge::changes_what_is_heard)
                }
                Some(Group::Room(_)) | None => false,
            };
            let turns_tones = to.leg.wants_events_of(&from.leg);
            let interpreted = changes || !to.leg.understands(&from.leg);
            self.on(talker, |leg, shared| {
                leg.turn_tones(turns_tones, shared);
                leg.interpret(interpreted);
            });
            self.on(hearer, |leg, _| leg.hear_interpreted(interpreted));
        }
    }

    fn unlink(&mut self, talker: LegId, hearer: LegId) {
        let linked = |placed: &Placed| placed.leg.talks_to() == Some(hearer);
        if self.legs.get(&talker).is_some_and(linked) {
            self.on(talker, |leg, shared| {
                leg.set_talks_to(None);
                leg.keep_keys(false);
                leg.turn_tones(false, shared);
                leg.interpret(false);
            });
            self.on(hearer, |leg, _| {
                leg.set_hears(None);
                leg.hear_interpreted(false);
            });
        }
    }

    /// Hands the keys that one party of a connection pressed to the other.
    pub(crate) fn pass_on(&mut self, now: Instant) {
        while let Some(PassedOn { to, key, source, pressed }) = self.shared.poll_passed_on() {
            self.wake(now, to);
            self.on(to, |leg, _| leg.pass_on(key, source, pressed));
        }
    }
}
