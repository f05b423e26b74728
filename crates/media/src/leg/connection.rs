//! A leg's part in a connection: what the other party sends goes out here, in our numbers.
//!
//! ```text
//!   its packet ─▶ sequence and timestamp moved by a constant, our SSRC ─▶ our packet      at once, loss and order kept
//!                 payload as it is, or by table into our law
//! ```
//! Nothing is queued or decoded: the far end has a jitter buffer, and two in a row would only add delay. Where the codecs
//! are too different for that, the packets longer than the far end takes (`a=maxptime`), or pauses described to one who does not
//! know comfort noise, one party interprets: it plays out what its peer sends, and the other says it in its own.
//!
//! ```text
//!   its packet ─▶ jitter buffer … its frame of 20 ms ─▶ our rate ─▶ our encoder ─▶ our packet
//! ```
//! Telephone-events are then pressed anew, as long as they last, since their packets may not come between those of one timeline of audio. A peer
//! that has no telephone-events is interpreted for one that has: its keys are taken out of the audio and pressed anew.

use std::time::{Duration, Instant};

use super::{Content, Leg};
use crate::codec::Codec;
use crate::digits::{Digits, Pressed};
use crate::dtmf::Key;
use crate::dtmf::event::BLOCK_BYTES;
use crate::event::{DigitSource, LegId};
use crate::packet::{Arrival, Packet};
use crate::sdp::{Events, TelephoneEvent};
use crate::shared::Shared;
use crate::strip::Strip;

/// A packet that one party of a connection sent, for the other.
pub(crate) struct Relayed<'a> {
    pub(super) packet: Packet<'a>,
    pub(super) arrival: Arrival,
    pub(super) content: Content,
    /// Whether more of its kind may come.
    pub(super) may_come_again: bool,
}

impl Leg {
    pub(crate) fn talks_to(&self) -> Option<LegId> {
        self.talks_to
    }

    pub(crate) fn hears(&self) -> Option<LegId> {
        self.hears
    }

    pub(crate) fn set_talks_to(&mut self, leg: Option<LegId>) {
        self.talks_to = leg;
    }

    pub(crate) fn set_hears(&mut self, leg: Option<LegId>) {
        self.hears = leg;
        self.hears_otherwise = false;
        // Nobody is left who would let go.
        if let Some(digits) = &mut self.digits {
            digits.release(None, Duration::ZERO);
        }
        self.sender.end_relay();
    }

    /// Whether the keys of our peer are kept from the other party.
    pub(crate) fn keep_keys(&mut self, keep: bool) {
        self.hearing.keep_keys(keep);
    }

    /// Whether another leg's peer has only tones for its keys, which we look for, and ours has telephone-events: it may wait
    /// for those alone.
    pub(crate) fn wants_events_of(&self, talker: &Self) -> bool {
        let has_tones = talker.hearing.tells_tones() && talker.media.telephone_event.is_none();
        has_tones && self.media.telephone_event.is_some()
    }

    /// Whether what another leg's peer sends can go out here without being decoded.
    pub(crate) fn understands(&self, talker: &Self) -> bool {
        let is_as_it_comes = !talker.hearing.keeps_keys() && !self.wants_events_of(talker);
        // Where either has no events none of them goes on as it comes.
        let events = self.media.telephone_event.zip(talker.media.telephone_event);
        let count_alike = events.is_none_or(|(ours, theirs)| ours.clock_rate == theirs.clock_rate);
        let is_alike = self.media.codec.transcodes(talker.media.codec) && count_alike;
        is_alike && is_as_it_comes && !self.hears_otherwise
    }

    /// Whether the other party can no longer be heard without being decoded.
    pub(crate) fn misses_packets(&self) -> bool {
        self.hears_otherwise && !self.hears_interpreted
    }

    /// Takes what came once more, now that it is to be decoded for the other party. What is queued already stays as it is.
    pub(crate) fn hear_again(&mut self, now: Instant, relayed: &Relayed<'_>) {
        if let Arrival::InSequence(place) | Arrival::Restart(place) = relayed.arrival {
            self.queue_content(now, place, relayed.content, relayed.packet.payload);
        }
    }

    /// Whether the other party is to hear us decoded.
    pub(crate) fn interpret(&mut self, interpret: bool) {
        self.is_interpreted = interpret;
        self.said.clear();
    }

    /// Whether we are to hear the other party decoded.
    pub(crate) fn hear_interpreted(&mut self, interpreted: bool) {
        self.hears_interpreted = interpreted;
    }

    /// Whether we hear the other party decoded.
    pub(crate) fn hears_interpreted(&self) -> bool {
        self.hears_interpreted
    }

    /// The party that hears what was decoded in this tick, with that and its rate.
    pub(crate) fn take_said(&mut self) -> Option<(LegId, Strip, u32)> {
        let hearer = self.talks_to.filter(|_| self.is_interpreted)?;
        Some((hearer, std::mem::take(&mut self.said), self.media.codec.sample_rate()))
    }

    /// Takes the memory of what was said back.
    pub(crate) fn put_said_back(&mut self, mut said: Strip) {
        said.clear();
        self.said = said;
    }

    /// Says what the other party says, a few frames or none. What we have to say ourselves goes first.
    pub(crate) fn say_interpreted(&mut self, said: &[i16], rate: u32, shared: &mut Shared) {
        if !said.is_empty() && self.hears_interpreted {
            self.give_way(shared);
        }
        if self.is_speaking() || !self.hears_interpreted {
            return;
        }
        if said.is_empty() {
            return self.fall_silent(shared);
        }
        self.outgoing.say(said, rate);
        self.send_outgoing(shared);
    }

    /// Sends on what the other party sent: at once, with its order and timing, in our numbers. What we have to say
    /// ourselves goes first.
    pub(crate) fn relay(&mut self, now: Instant, relayed: &Relayed<'_>, shared: &mut Shared) {
        let Relayed { packet, arrival, content, may_come_again } = relayed;
        let place = match *arrival {
            Arrival::InSequence(place) => place,
            Arrival::Restart(place) => {
                self.sender.end_relay();
                place
            }
            Arrival::Probation => return,
        };
        let own = self.media.codec;
        let noise = self.media.comfort_noise.map(|noise| noise.send_payload_type);
        let goes_on = |event: &TelephoneEvent| goes_on(event.events, packet.payload);
        let event = self.media.telephone_event.filter(goes_on).map(|event| event.send_payload_type);
        let (payload_type, from, samples) = match *content {
            Content::Audio(codec) if own.transcodes(codec) => {
                let samples = codec.samples_in(packet.payload).unwrap_or_default();
                if self.media.max_ptime_ms.is_some_and(|most| samples > samples_in(codec, most)) {
                    self.hears_otherwise = true;
                    return;
                }
                (Some(self.media.send_payload_type), codec, samples)
            }
            Content::Audio(_) => {
                self.hears_otherwise |= may_come_again;
                return;
            }
            Content::ComfortNoise => {
                // Who does not know it hears the noise itself, as an ear would.
                self.hears_otherwise |= noise.is_none();
                (noise, own, 0)
            }
            // Where they are not agreed on it comes as a tone, once it is a digit.
            Content::TelephoneEvent => (event, own, 0),
        };
        let Some(payload_type) = payload_type else { return };
        if matches!(content, Content::Audio(_)) && !self.hears_interpreted {
            self.give_way(shared);
        }
        if !self.may_send() || self.is_speaking() || self.hears_interpreted {
            return;
        }
        let duration = own.samples_to_clock(samples);
        let clock = self.clock_at(now, own.clock_rate());
        let Some(numbers) = self.sender.relay(clock, place, packet, duration) else { return };
        self.presence.sent(own, samples);
        self.send(numbers, payload_type, packet.payload.len(), shared, |out| {
            own.transcode(from, packet.payload, out);
        });
    }

    /// A key of the other party. As a telephone-event it came as it was, if our peer takes all of them; else it is pressed anew, and
    /// let go in any case.
    pub(crate) fn pass_on(&mut self, key: Key, source: DigitSource, pressed: Pressed) {
        let goes_on = self.media.telephone_event.is_some_and(|event| event.events.has_all_keys());
        let came = source == DigitSource::Rfc4733 && goes_on && !self.hears_interpreted;
        match (&mut self.digits, pressed) {
            (Some(digits), Pressed::Up(_)) => digits.pass_on(key, pressed),
            (None, Pressed::Up(_)) => {}
            _ if came => {}
            (digits, _) => {
                digits.get_or_insert_with(|| Box::new(Digits::passed_on())).pass_on(key, pressed);
            }
        }
    }
}

/// The samples of so many milliseconds.
fn samples_in(codec: Codec, ms: u8) -> usize {
    codec.sample_rate() as usize * usize::from(ms) / 1000
}

/// Whether a payload of events goes on as it came: a peer takes all that is in it, and all keys, since those that are
/// pressed anew would come in another order.
fn goes_on(events: Events, payload: &[u8]) -> bool {
    events.has_all_keys() && payload.chunks(BLOCK_BYTES).all(|block| events.contains(block[0]))
}
