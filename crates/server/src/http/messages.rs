//! The messages that come by a WebSocket, before the library reads them: one that is not whole yet takes up room, and it may take
//! only so long (RFC 6455 §5.2, §5.4).
//!
//! ```text
//!   bytes ─▶ Frames: [head 2–14][payload] [head][payload] … ─▶ so much of a message, its end
//!                                                               └▶ Body ─▶ Held, which its request claims
//! ```
//! The library makes room for a whole frame as soon as its head is there, so what the head says is what counts; what is longer than
//! a message may be it throws away as it comes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::{BODY_MAX, BODY_TIME};
use crate::room::{Body, Held, NoRoom, ROOM, Room};

/// The longest head of a frame: two bytes, a length of eight, a mask of four.
const HEAD_MAX: usize = 14;

/// What has come of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// The head of a frame, which has so many bytes.
    Frame(u64),
    /// The end of a message.
    End,
}

/// Where frames begin and end.
#[derive(Debug, Default)]
struct Frames {
    /// The head of the frame, as far as it has come.
    head: [u8; HEAD_MAX],
    head_length: usize,
    /// What is still to come of its payload, once its head is whole.
    left: Option<u64>,
}

impl Frames {
    fn is_control(&self) -> bool {
        self.head[0] & 0x08 != 0
    }

    /// The next piece of `bytes`, which are moved on; none at their end. Frames that are no part of a message are passed over.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Piece> {
        loop {
            let Some(left) = self.left else {
                let (&byte, rest) = bytes.split_first()?;
                *bytes = rest;
                self.head[self.head_length] = byte;
                self.head_length += 1;
                self.left = payload_length(&self.head[..self.head_length]);
                match self.left {
                    Some(length) if !self.is_control() => return Some(Piece::Frame(length)),
                    _ => continue,
                }
            };
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            *bytes = &bytes[here..];
            self.left = Some(left - here as u64);
            if left > here as u64 {
                return None;
            }
            (self.left, self.head_length) = (None, 0);
            if self.head[0] & 0x80 != 0 && !self.is_control() {
                return Some(Piece::End);
            }
        }
    }
}

/// How long the payload is after this head; none, where the head is not whole.
fn payload_length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
        short => (0, u64::from(short)),
    };
    (head.len() == 2 + extended + mask).then_some(length)
}

/// Those of one connection.
#[derive(Debug)]
pub(super) struct Messages {
    frames: Frames,
    room: Room,
    held: Arc<Held>,
    /// Of the message that is not whole.
    body: Body,
    /// How long it is so far.
    length: u64,
    /// Since when it comes.
    since: Option<Instant>,
    /// When the last one has ended: what has not been claimed long after that was no request.
    ended: Option<Instant>,
}

impl Messages {
    pub(super) fn new(room: &Room, held: Arc<Held>) -> Self {
        Self {
            frames: Frames::default(),
            room: room.clone(),
            held,
            body: room.body(),
            length: 0,
            since: None,
            ended: None,
        }
    }

    /// More of them has come.
    ///
    /// # Errors
    /// There is no room for it, or it has taken too long: then the connection cannot go on.
    pub(super) fn read(&mut self, now: Instant, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(piece) = self.frames.next(&mut bytes) {
            match piece {
                Piece::Frame(more) => {
                    self.since.get_or_insert(now);
                    self.length = self.length.saturating_add(more);
                    match usize::try_from(more) {
                        Ok(more) if self.length <= BODY_MAX.into() => {
                            self.body.grow(more).map_err(no_room)?
                        }
                        _ => self.body = self.room.body(),
                    }
                }
                Piece::End => {
                    (self.since, self.length, self.ended) = (None, 0, Some(now));
                    self.held.add(std::mem::replace(&mut self.body, self.room.body()));
                }
            }
        }
        if self.ended.is_some_and(|ended| now >= ended + BODY_TIME) {
            self.ended = None;
            drop(self.held.claim());
        }
        match self.since {
            Some(since) if now >= since + BODY_TIME => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "a message does not come to its end"))
            }
            _ => Ok(()),
        }
    }
}

fn no_room(_: NoRoom) -> io::Error {
    tracing::warn!(limit = ROOM, "no room for a long message: its connection is cut");
    io::Error::new(io::ErrorKind::QuotaExceeded, "there is no room for so long a message")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    /// A masked frame as a client sends it (RFC 6455 §5.2).
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..126), _) => frame.push(0x80 | short),
            (_, Ok(long)) => {
                frame.push(0x80 | 126);
                frame.extend(long.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([1, 2, 3, 4]);
        frame.resize(frame.len() + length, b'x');
        frame
    }

    /// What is found, each with the number of bytes that have come until then, read in steps.
    fn found(bytes: &[u8], step: usize) -> Vec<(usize, Piece)> {
        let (mut frames, mut come, mut found) = (Frames::default(), 0, Vec::new());
        for mut part in bytes.chunks(step) {
            come += part.len();
            while let Some(piece) = frames.next(&mut part) {
                found.push((come - part.len(), piece));
            }
        }
        found
    }

    /// Text, binary, empty; in pieces with a ping in between; of all three forms of length.
    #[test]
    fn messages_are_found_however_they_come() {
        let all = [
            (0x81, 5),
            (0x82, 0),
            (0x01, 125),
            (0x89, 4),
            (0x00, 126),
            (0x8a, 0),
            (0x80, 3),
            (0x81, 65_535),
            (0x81, 65_536),
            (0x88, 2),
        ]
        .map(|(first, length)| frame(first, length));
        let (mut expected, mut begun) = (Vec::new(), 0);
        for (frame, is_message, is_end) in [
            (&all[0], true, true),
            (&all[1], true, true),
            (&all[2], true, false),
            (&all[3], false, false),
            (&all[4], true, false),
            (&all[5], false, false),
            (&all[6], true, true),
            (&all[7], true, true),
            (&all[8], true, true),
        ] {
            let head = frame.iter().position(|byte| *byte == b'x').unwrap_or(frame.len());
            let length = (frame.len() - head) as u64;
            expected.extend(is_message.then_some((begun + head, Piece::Frame(length))));
            begun += frame.len();
            expected.extend(is_end.then_some((begun, Piece::End)));
        }
        for step in [1, 2, 3, 7, 1_000, 1 << 20] {
            assert_eq!(found(&all.concat(), step), expected, "in steps of {step}");
        }
    }

    /// What the library takes in takes room from its head on, until its request is answered.
    #[test]
    fn a_long_message_takes_room_until_its_request_is_answered() {
        let (room, now) = (Room::new(), clock::now().mono);
        let held = room.held();
        let mut messages = Messages::new(&room, held.clone());
        let message = frame(0x81, 1 << 20);
        messages.read(now, &message[..14]).unwrap();
        let taken = ROOM - room.free();
        assert!(taken > 1_000_000 && taken <= 1 << 20, "{taken}");
        messages.read(now, &message[14..]).unwrap();
        let claimed = held.claim();
        assert_eq!(ROOM - room.free(), taken);
        drop(claimed);
        assert_eq!(room.free(), ROOM);
    }

    /// Whatever it says of its length, at once or in pieces.
    #[test]
    fn a_message_that_is_too_long_takes_none() {
        let (room, now) = (Room::new(), clock::now().mono);
        let mut messages = Messages::new(&room, room.held());
        let claim = [&[0x01, 0xff][..], &[0xff; 8], &[0; 4], b"{"].concat();
        messages.read(now, &claim).unwrap();
        assert_eq!(room.free(), ROOM);
        let mut messages = Messages::new(&room, room.held());
        for _ in 0..5 {
            messages.read(now, &frame(0x01, 1 << 18)).unwrap();
        }
        assert_eq!(room.free(), ROOM);
    }

    #[test]
    fn all_connections_together_have_a_bound() {
        let (room, now) = (Room::new(), clock::now().mono);
        let mut connections: Vec<_> = (0..100).map(|_| Messages::new(&room, room.held())).collect();
        let head = &frame(0x81, 1 << 20)[..14];
        let cut = connections.iter_mut().filter_map(|messages| messages.read(now, head).err());
        let cut: Vec<_> = cut.map(|error| error.kind()).collect();
        // What each has for nothing, a sixty-fourth of it, makes it one more than sixty-four.
        assert_eq!(cut, [io::ErrorKind::QuotaExceeded; 35]);
    }

    #[test]
    fn a_message_may_not_take_for_ever() {
        let (room, start) = (Room::new(), clock::now().mono);
        let mut messages = Messages::new(&room, room.held());
        messages.read(start, &frame(0x01, 3)).unwrap();
        // Pongs in between are no progress.
        messages.read(start + BODY_TIME - Duration::from_millis(1), &frame(0x8a, 0)).unwrap();
        let late = messages.read(start + BODY_TIME, &frame(0x8a, 0)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        // Between messages there may be nothing but pongs for as long as it likes.
        let mut messages = Messages::new(&room, room.held());
        messages.read(start, &frame(0x81, 3)).unwrap();
        for times in 1..5 {
            messages.read(start + BODY_TIME * times, &frame(0x8a, 0)).unwrap();
        }
    }

    /// Nobody claims what was no request; it is done with all the same.
    #[test]
    fn what_was_no_request_takes_no_room_for_ever() {
        let (room, start) = (Room::new(), clock::now().mono);
        let mut messages = Messages::new(&room, room.held());
        messages.read(start, &frame(0x81, 1 << 20)).unwrap();
        messages.read(start + BODY_TIME / 2, &frame(0x8a, 0)).unwrap();
        assert!(room.free() < ROOM);
        messages.read(start + BODY_TIME, &frame(0x8a, 0)).unwrap();
        assert_eq!(room.free(), ROOM);
    }
}
