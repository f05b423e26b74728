//! A leg's part in a connection: what the other party sends goes out here, in our numbers.
//!
//! ```text
//!   its packet ─▶ sequence and timestamp moved by a constant, our SSRC ─▶ our packet      at once, loss and order kept
//!                 payload as it is, or by table into our law
//! ```
//! Nothing is queued or decoded: the far end has a jitter buffer, and two in a row would only add delay.

use super::{Content, Leg};
use crate::digits::Digits;
use crate::dtmf::Key;
use crate::event::{DigitSource, LegId};
use crate::packet::{Arrival, Packet};
use crate::shared::Shared;

/// A packet that one party of a connection sent, for the other.
pub(crate) struct Relayed<'a> {
    pub(super) packet: Packet<'a>,
    pub(super) arrival: Arrival,
    pub(super) content: Content,
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
        self.sender.end_relay();
    }

    /// Sends on what the other party sent: at once, with its order and timing, in our numbers. What we have to say
    /// ourselves goes first.
    pub(crate) fn relay(&mut self, relayed: &Relayed<'_>, shared: &mut Shared) {
        let Relayed { packet, arrival, content } = relayed;
        let place = match *arrival {
            Arrival::InSequence(place) => place,
            Arrival::Restart(place) => {
                self.sender.end_relay();
                place
            }
            Arrival::Probation => return,
        };
        let own = self.media.codec;
        let (payload_type, from, samples) = match (*content, self.media.telephone_event) {
            (Content::Audio(codec), _) if own.transcodes(codec) => {
                let samples = codec.samples_in(packet.payload).unwrap_or_default();
                (self.media.send_payload_type, codec, samples)
            }
            (Content::TelephoneEvent, Some(event)) => (event.send_payload_type, own, 0),
            (Content::Audio(_), _) => return,
            // It comes as a tone, once it is a digit.
            (Content::TelephoneEvent, None) => return,
        };
        if !self.may_send() || self.is_speaking() {
            return;
        }
        let duration = own.samples_to_clock(samples);
        let Some(numbers) = self.sender.relay(self.clock(), place, packet, duration) else { return };
        self.presence.sent(own, samples);
        self.send(numbers, payload_type, packet.payload.len(), shared, |out| {
            own.transcode(from, packet.payload, out);
        });
    }

    /// A key of the other party. As a telephone-event it came as it was, if we have them; else it is pressed anew.
    pub(crate) fn pass_on(&mut self, key: Key, source: DigitSource) {
        if source == DigitSource::Rfc4733 && self.media.telephone_event.is_some() {
            return;
        }
        match &mut self.digits {
            Some(digits) => digits.pass_on(key),
            None => self.digits = Some(Digits::passed_on(key)),
        }
    }
}
