//! The legs of a media thread and their sockets, side by side: the number by which a socket is listened to says where
//! its leg is, with nothing to look up.

use offhook_media::event::{Channel, LegId};
use offhook_media::{Frames, Heard, Numbered};

use crate::ports::Sockets;

/// The numbers of a leg's sockets, even for RTP and odd for RTCP.
pub(super) type Numbers = [(Channel, u64); 2];

fn numbers(place: usize) -> Numbers {
    let number = place as u64 * 2;
    [(Channel::Rtp, number), (Channel::Rtcp, number + 1)]
}

/// One leg's place.
#[derive(Debug)]
struct Place {
    leg: LegId,
    sockets: Sockets,
    /// Whether its sockets are listened to.
    is_heard: bool,
    /// The frames in which the one for RTP is read, as far as that is known.
    frames: Option<Frames>,
}

/// All places, some of them free.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Option<Place>>,
    free: Vec<usize>,
    by_leg: Numbered<LegId, usize>,
}

impl Places {
    /// Gives a leg a place.
    pub(super) fn insert(&mut self, leg: LegId, sockets: Sockets) -> usize {
        let place = Some(Place { leg, sockets, is_heard: false, frames: None });
        let at = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(at) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        self.by_leg.insert(leg, at);
        at
    }

    /// Frees a leg's place: its sockets, and the numbers by which they are listened to, if they are.
    pub(super) fn remove(&mut self, leg: LegId) -> Option<(Sockets, Option<Numbers>)> {
        let at = self.by_leg.remove(&leg)?;
        let Place { sockets, is_heard, .. } = self.places.get_mut(at)?.take()?;
        self.free.push(at);
        Some((sockets, is_heard.then(|| numbers(at))))
    }

    /// A leg's place.
    pub(super) fn of(&self, leg: LegId) -> Option<usize> {
        self.by_leg.get(&leg).copied()
    }

    /// The sockets at a place.
    pub(super) fn sockets(&mut self, place: usize) -> Option<&mut Sockets> {
        self.places.get_mut(place)?.as_mut().map(|place| &mut place.sockets)
    }

    /// The sockets that are to be listened to from now on, and their numbers; none where they are already, or where nobody
    /// is known whom they could hear.
    pub(super) fn begin_to_hear(&mut self, place: usize) -> Option<(&Sockets, Numbers)> {
        let Place { sockets, is_heard, .. } = self.places.get_mut(place)?.as_mut()?;
        if *is_heard || !sockets.is_tied() {
            return None;
        }
        *is_heard = true;
        Some((sockets, numbers(place)))
    }

    /// The socket for RTP of a leg that is listened to, and its number, if the frames in which it is to be read are others
    /// than before.
    pub(super) fn follow(&mut self, leg: LegId, frames: Option<Frames>) -> Option<(&Sockets, u64)> {
        let at = self.of(leg)?;
        let place = self.places.get_mut(at)?.as_mut().filter(|place| place.is_heard)?;
        if std::mem::replace(&mut place.frames, frames) == frames {
            return None;
        }
        let [(_, number), _] = numbers(at);
        Some((&place.sockets, number))
    }

    /// The sockets of a leg for which packets are read in spans.
    pub(super) fn read_in_spans(&self, leg: LegId) -> Option<&Sockets> {
        let place = self.places.get(self.of(leg)?)?.as_ref()?;
        place.frames.filter(|frames| frames.heard == Heard::InSpans).map(|_| &place.sockets)
    }

    /// The legs whose frames are in this phase, as far as that is known.
    pub(super) fn in_phase(&self, phase: u8) -> impl Iterator<Item = LegId> {
        let is_in = move |place: &&Place| place.frames.is_some_and(|frames| frames.phase == phase);
        self.places.iter().flatten().filter(is_in).map(|place| place.leg)
    }

    /// Whose socket has this number.
    pub(super) fn at(&self, number: u64) -> Option<(LegId, Channel, &Sockets)> {
        let channel = if number.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
        let place = usize::try_from(number / 2).ok()?;
        let Place { leg, sockets, .. } = self.places.get(place)?.as_ref()?;
        Some((*leg, channel, sockets))
    }
}
