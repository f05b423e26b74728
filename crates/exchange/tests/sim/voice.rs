//! What the far ends say: packets of silence, and keys as telephone-events (RFC 4733), until they hang up or fall silent.

use std::net::SocketAddr;

use crate::world::{Happening, World};

/// The payload types that our far ends name in their descriptions.
const PCMA: u8 = 8;
const EVENT: u8 = 101;

/// Packets of a key: while it is pressed, and its end, three times.
const PRESSED: u16 = 5;
const ENDS: u16 = 3;

/// One far end that speaks.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    to: SocketAddr,
    sequence: u16,
    timestamp: u32,
    /// How many packets it has still to say.
    left: u32,
    /// The packet of a key that is next, and when the key began.
    key: Option<(u16, u32)>,
}

/// When the key of a packet was pressed, if it is one of a key.
pub(crate) fn key_time(packet: &[u8]) -> Option<u32> {
    let is_key = packet.get(1).is_some_and(|byte| byte & 0x7f == EVENT);
    let time = packet.get(4..8).filter(|_| is_key)?;
    Some(u32::from_be_bytes(time.try_into().expect("four")))
}

impl Voice {
    /// The next packet, 20 ms after the one before.
    fn packet(&mut self, begins_key: bool) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        if begins_key && self.key.is_none() {
            self.key = Some((0, self.timestamp));
        }
        let (payload_type, time) = self.key.map_or((PCMA, self.timestamp), |(_, began)| (EVENT, began));
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        match self.key.take() {
            None => packet.extend([0xd5; 160]),
            Some((number, began)) => {
                let has_ended = number >= PRESSED;
                let duration = 160 * (number + 1).min(PRESSED);
                packet.extend([5, if has_ended { 0x8a } else { 0x0a }]);
                packet.extend(duration.to_be_bytes());
                self.key = (number + 1 < PRESSED + ENDS).then_some((number + 1, began));
            }
        }
        packet
    }
}

impl World {
    /// A far end at `from` has learned from a description where our media is, and may begin to speak.
    pub(crate) fn may_speak(&mut self, from: SocketAddr, description: &str) {
        let line = |prefix: &str| description.lines().find_map(|line| line.strip_prefix(prefix));
        let port = line("m=audio ").and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
        let host = line("c=IN IP4 ").and_then(|host| host.trim().parse().ok());
        let (Some(port), Some(host)) = (port, host) else { return };
        if self.voices.contains_key(&from) || !self.chance(self.setting.speaking) {
            return;
        }
        let voice = Voice {
            to: SocketAddr::new(host, port),
            sequence: self.rng.u16(..),
            timestamp: self.rng.u32(..),
            left: self.rng.u32(..1_500),
            key: None,
        };
        self.voices.insert(from, voice);
        self.later(20, Happening::Speak(from));
    }

    pub(crate) fn speak(&mut self, from: SocketAddr) {
        let begins_key = self.chance(2);
        let Some(voice) = self.voices.get_mut(&from) else { return };
        let Some(left) = voice.left.checked_sub(1) else {
            self.voices.remove(&from);
            return;
        };
        voice.left = left;
        let (to, bytes) = (voice.to, voice.packet(begins_key));
        self.later(20, Happening::Speak(from));
        self.send(from, to, &bytes, |from, to, bytes| Happening::Packet { from, to, bytes });
    }
}
