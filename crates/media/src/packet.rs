//! RTP packets (RFC 3550 §5) and the books kept about them: what a source has sent us (appendices A.1, A.3, A.8) and
//! what we have sent.
//!
//! ```text
//!   bytes ─▶ Packet ─▶ Receiver: which source, which place in its sequence, lost, jitter
//!   payload ─▶ Sender: SSRC, sequence number, timestamp, marker ─▶ bytes
//! ```
//! Packets are read and written by rtp-rs; its padding writer leaks old bytes and is not used.

mod seen;
#[cfg(test)]
mod tests;

use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};

use self::seen::Seen;

/// A gap of this many packets is a restart of the source, not a loss (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3000;
/// A packet this many places back is late, not a restart (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
/// Counting begins at one cycle, so that a packet overtaken by the first fits.
const FIRST_CYCLE: u64 = 1 << 16;
/// The fixed header.
const HEADER: usize = 12;

/// One RTP packet as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet in a datagram, or nothing if its header, extension or padding do not fit into it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let reader = RtpReader::new(bytes).ok()?;
        Some(Self {
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: reader.payload(),
        })
    }

    /// Appends the packet to `out`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + HEADER + self.payload.len(), 0);
        let built = RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .marked(self.marker)
            .sequence(Seq::from(self.sequence))
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(self.payload)
            .build_into(&mut out[start..]);
        debug_assert!(
            built.is_ok(),
            "the space is measured and the payload type comes from an SDP below 128"
        );
    }
}

/// Where an arrived packet stands in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// In its source's sequence, at this extended number.
    InSequence(u64),
    /// The first of a new source, or of one that jumped: what was queued before belongs to another stream.
    Restart(u64),
    /// On probation: one packet alone does not move us to another source or another place in the sequence.
    Probation,
}

/// What has arrived, over all the sources that one leg had one after the other.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    source: Option<Source>,
    /// A foreign SSRC and the sequence number with which it would be believed (MIN_SEQUENTIAL of 2, RFC 3550 A.1).
    candidate: Option<(u32, u16)>,
    /// Packets of all sources.
    received: u64,
    /// Packets lost of the sources before the present one.
    lost_before: i64,
}

/// One source: `struct source` of RFC 3550 A.1.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    /// The first extended sequence number, from [`FIRST_CYCLE`] on.
    base: u64,
    /// The highest extended sequence number.
    highest: u64,
    /// The number that would confirm a jump.
    after_jump: Option<u16>,
    seen: Seen,
    /// Packets, duplicates included.
    received: u64,
    duplicates: u64,
    /// Packets from before the first that came, which overtook them: nobody expects them.
    overtaken: u64,
    expected_prior: u64,
    received_prior: u64,
    transit: Option<u32>,
    /// In units of the RTP clock (A.8).
    jitter: f64,
}

/// The figures of a report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    /// Loss since the last report, in 256ths.
    pub(crate) fraction_lost: u8,
    pub(crate) lost: i64,
    pub(crate) highest: u32,
    /// In units of the RTP clock.
    pub(crate) jitter: u32,
}

impl Receiver {
    /// Books a packet by its SSRC and sequence number.
    pub(crate) fn arrive(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        let arrival = match &mut self.source {
            None => self.begin(ssrc, sequence),
            Some(source) if source.ssrc == ssrc => {
                // The present source lives: whoever interferes with it starts anew.
                self.candidate = None;
                match source.place(sequence) {
                    Place::At(extended) => Arrival::InSequence(extended),
                    Place::Jump => Arrival::Probation,
                    Place::JumpConfirmed => self.begin(ssrc, sequence),
                }
            }
            Some(_) if self.candidate == Some((ssrc, sequence)) => self.begin(ssrc, sequence),
            Some(_) => {
                self.candidate = Some((ssrc, sequence.wrapping_add(1)));
                Arrival::Probation
            }
        };
        if let (false, Some(source)) = (arrival == Arrival::Probation, &mut self.source) {
            source.received += 1;
            self.received += 1;
        }
        arrival
    }

    /// Books a packet that is of no kind that we take: it came, and its place is no loss. One that is not of the present
    /// source and near its other packets moves us nowhere.
    pub(crate) fn arrive_unknown(&mut self, ssrc: u32, sequence: u16) -> Option<u64> {
        let source = self.source.as_mut().filter(|source| source.ssrc == ssrc)?;
        let place = source.near(sequence)?;
        source.received += 1;
        self.received += 1;
        Some(place)
    }

    fn begin(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        self.lost_before = self.lost();
        self.candidate = None;
        let source = Source::new(ssrc, sequence);
        let first = source.base;
        self.source = Some(source);
        Arrival::Restart(first)
    }

    /// Takes the timing of an audio packet into the jitter (A.8). `arrival` is our clock, at the rate of
    /// the timestamps, of which `second` are one. Packets of one telephone-event share a timestamp and say nothing about timing.
    pub(crate) fn timing(&mut self, arrival: u32, timestamp: u32, second: u32) {
        let Some(source) = &mut self.source else { return };
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(previous) = source.transit.replace(transit) {
            let difference = transit.wrapping_sub(previous).cast_signed().unsigned_abs();
            if difference < second {
                source.jitter += (f64::from(difference) - source.jitter) / 16.0;
            }
        }
    }

    /// Packets that arrived, duplicates included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Packets that never came: what came twice, or from before the first, makes up for none.
    pub(crate) fn lost(&self) -> i64 {
        self.lost_before + self.source.as_ref().map_or(0, Source::lost)
    }

    /// The part of the packets that never came.
    pub(crate) fn loss(&self) -> f64 {
        let lost = self.lost() as f64;
        lost / (self.received as f64 + lost).max(1.0)
    }

    /// Interarrival jitter in units of the RTP clock (A.8).
    pub(crate) fn jitter(&self) -> f64 {
        self.source.as_ref().map_or(0.0, |source| source.jitter)
    }

    /// The figures for a report, whose loss fraction is that since the last call.
    pub(crate) fn report(&mut self) -> Option<Reception> {
        self.source.as_mut().map(Source::report)
    }
}

/// Where a sequence number stands in its source.
enum Place {
    At(u64),
    Jump,
    JumpConfirmed,
}

impl Source {
    fn new(ssrc: u32, sequence: u16) -> Self {
        let base = FIRST_CYCLE | u64::from(sequence);
        Self {
            ssrc,
            base,
            highest: base,
            after_jump: None,
            seen: Seen::first(),
            received: 0,
            duplicates: 0,
            overtaken: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0.0,
        }
    }

    /// `update_seq` of RFC 3550 A.1.
    fn place(&mut self, sequence: u16) -> Place {
        if let Some(place) = self.near(sequence) {
            Place::At(place)
        } else if self.after_jump == Some(sequence) {
            Place::JumpConfirmed
        } else {
            self.after_jump = Some(sequence.wrapping_add(1));
            Place::Jump
        }
    }

    /// The place of a packet that is no jump away from the others.
    fn near(&mut self, sequence: u16) -> Option<u64> {
        let [.., high, low] = self.highest.to_be_bytes();
        let ahead = sequence.wrapping_sub(u16::from_be_bytes([high, low]));
        let behind = ahead.wrapping_neg();
        if (1..MAX_DROPOUT).contains(&ahead) {
            self.after_jump = None;
            self.highest += u64::from(ahead);
            self.seen.ahead(ahead);
            Some(self.highest)
        } else if behind <= MAX_MISORDER {
            let place = self.highest - u64::from(behind);
            let is_again = self.seen.behind(behind);
            self.duplicates += u64::from(is_again);
            self.overtaken += u64::from(!is_again && place < self.base);
            Some(place)
        } else {
            None
        }
    }

    fn expected(&self) -> u64 {
        self.highest - self.base + 1
    }

    fn lost(&self) -> i64 {
        // Of a packet that comes again after long it is not known that it does, and that makes nothing less than none.
        let came = self.received - self.duplicates - self.overtaken;
        self.expected().saturating_sub(came).cast_signed()
    }

    /// RFC 3550 A.3, where duplicates count as received, as do packets from before the first. The cycle in which counting begins
    /// is none of the source's.
    fn report(&mut self) -> Reception {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let fraction = expected.saturating_sub(received) * 256 / expected.max(1);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both fields are 32 bit, modulo"
        )]
        let (highest, jitter) = ((self.highest - FIRST_CYCLE) as u32, self.jitter as u32);
        Reception {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: self.expected().cast_signed() - self.received.cast_signed(),
            highest,
            jitter,
        }
    }
}

/// The numbers of the packets that we send on one leg.
#[derive(Debug)]
pub(crate) struct Sender {
    ssrc: u32,
    /// Of the next packet.
    sequence: u16,
    /// Where the clock of the leg began.
    base: u32,
    /// Of the next sample; never goes back.
    timestamp: u32,
    stream: Stream,
    packets: u64,
    bytes: u64,
    /// Of those, what went out with an SSRC that we have left.
    before: (u64, u64),
}

/// What is on its way out. The first packet after a pause carries the marker (RFC 3551 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// Nothing.
    Silent,
    /// Our own audio or events, each packet following the one before.
    Own,
    /// Another leg's packets, in its order and timing, moved into our numbers.
    Relayed { first: u64, sequence_offset: u16, timestamp_offset: u32 },
}

/// The numbers of one packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) ssrc: u32,
}

impl Sender {
    /// A sender with random first numbers (RFC 3550 §5.1).
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence,
            base: timestamp,
            timestamp,
            stream: Stream::Silent,
            packets: 0,
            bytes: 0,
            before: (0, 0),
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// RTP packets and payload bytes sent.
    pub(crate) fn sent(&self) -> (u64, u64) {
        (self.packets, self.bytes)
    }

    /// The same of the present SSRC: reports count anew with it (RFC 3550 §6.4.1).
    pub(crate) fn sent_by_ssrc(&self) -> (u64, u64) {
        (self.packets - self.before.0, self.bytes - self.before.1)
    }

    /// Our timestamp at a moment of the leg's RTP clock, which began with the leg.
    pub(crate) fn timestamp_at(&self, clock: u32) -> u32 {
        self.base.wrapping_add(clock)
    }

    /// Takes another SSRC after a collision (RFC 3550 §8.2).
    pub(crate) fn change_ssrc(&mut self, ssrc: u32) {
        self.ssrc = ssrc;
        self.stream = Stream::Silent;
        self.before = self.sent();
    }

    /// Goes on as another source, whose clock has another rate and is at `clock` now.
    pub(crate) fn change_clock(&mut self, ssrc: u32, clock: u32) {
        self.change_ssrc(ssrc);
        self.timestamp = self.timestamp_at(clock);
    }

    /// Nothing is sent for now: the next packet begins a talkspurt. Relayed packets have their own pauses.
    pub(crate) fn pause(&mut self) {
        if self.stream == Stream::Own {
            self.stream = Stream::Silent;
        }
    }

    /// The source of what is relayed has changed: its next packet begins a talkspurt with new offsets.
    pub(crate) fn end_relay(&mut self) {
        if matches!(self.stream, Stream::Relayed { .. }) {
            self.stream = Stream::Silent;
        }
    }

    /// Lets time pass without a packet of its own: during a telephone-event, or where frames were skipped.
    pub(crate) fn skip(&mut self, samples: u32) {
        if self.stream == Stream::Own {
            self.timestamp = self.timestamp.wrapping_add(samples);
        }
    }

    /// Begins to send something of our own, unless it goes on. Returns the timestamp of what comes next, and whether
    /// this is the beginning. `clock` is the leg's.
    pub(crate) fn begin(&mut self, clock: u32) -> (u32, bool) {
        let first = self.stream != Stream::Own;
        if first {
            self.catch_up(clock);
            self.stream = Stream::Own;
        }
        (self.timestamp, first)
    }

    /// The numbers of a packet of our own audio that lasts so long by the RTP clock.
    pub(crate) fn audio(&mut self, clock: u32, samples: u32) -> Numbers {
        let (timestamp, marker) = self.begin(clock);
        self.timestamp = timestamp.wrapping_add(samples);
        self.event(timestamp, marker)
    }

    /// Whether something of our own is on its way out: what follows is no talkspurt of its own.
    pub(crate) fn is_on(&self) -> bool {
        self.stream == Stream::Own
    }

    /// The numbers of a description of the silence that begins or lasts: what is said after it begins a talkspurt.
    pub(crate) fn noise(&mut self, clock: u32) -> Numbers {
        let (timestamp, _) = self.begin(clock);
        self.pause();
        self.event(timestamp, false)
    }

    /// The numbers of a packet that takes no time of its own: those of one telephone-event share a timestamp
    /// (RFC 4733 §2.5.1.2), and the time is taken by [`Sender::skip`].
    pub(crate) fn event(&mut self, timestamp: u32, marker: bool) -> Numbers {
        let numbers = Numbers { sequence: self.sequence, timestamp, marker, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        numbers
    }

    /// The numbers of a packet of another leg that has this place and timestamp there, or nothing if it was overtaken
    /// by what we began to send after it.
    pub(crate) fn relay(
        &mut self,
        clock: u32,
        place: u64,
        packet: &Packet<'_>,
        samples: u32,
    ) -> Option<Numbers> {
        let first = !matches!(self.stream, Stream::Relayed { .. });
        if first {
            self.catch_up(clock);
            self.stream = Stream::Relayed {
                first: place,
                sequence_offset: self.sequence.wrapping_sub(packet.sequence),
                timestamp_offset: self.timestamp.wrapping_sub(packet.timestamp),
            };
        }
        let Stream::Relayed { first: earliest, sequence_offset, timestamp_offset } = self.stream else {
            return None;
        };
        if place < earliest {
            return None;
        }
        let sequence = packet.sequence.wrapping_add(sequence_offset);
        let timestamp = packet.timestamp.wrapping_add(timestamp_offset);
        if !is_before(u32::from(sequence) << 16, u32::from(self.sequence) << 16) {
            self.sequence = sequence.wrapping_add(1);
        }
        let end = timestamp.wrapping_add(samples);
        if is_before(self.timestamp, end) {
            self.timestamp = end;
        }
        Some(Numbers { sequence, timestamp, marker: first || packet.marker, ssrc: self.ssrc })
    }

    /// Counts a packet that was handed to the driver.
    pub(crate) fn count(&mut self, payload: usize) {
        self.packets += 1;
        self.bytes += payload as u64;
    }

    /// A talkspurt begins at the present moment, unless the last one has run ahead of our clock: time does not go back.
    fn catch_up(&mut self, clock: u32) {
        let present = self.timestamp_at(clock);
        if is_before(self.timestamp, present) {
            self.timestamp = present;
        } else {
            self.base = self.base.wrapping_add(self.timestamp.wrapping_sub(present));
        }
    }
}

/// Whether one number comes before another, modulo 2^32.
fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}
