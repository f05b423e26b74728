//! One leg: the pipeline of one party's stream, in both directions.
//!
//! ```text
//!   arrival (cheap)   header ─▶ source, sequence ─▶ jitter buffer          only if somebody listens
//!                                 │                └▶ telephone-events ─▶ digits
//!                                 └▶ the other party of a connection, in its own numbers
//!
//!   frame of 20 ms    hear:   playout ─▶ tone detector ─▶ recording, room
//!   (the work)        speak:  digits, or a beep, or a prompt, or a room ─▶ packets
//!                     report: RTCP, statistics
//! ```
//! Time is counted in frames of our clock. A leg that nobody speaks to or listens to does next to nothing in its frame. One
//! that is only recorded has several of them together: each before the packets that came after it, so that when they are
//! run does not matter to what is recorded.

mod commands;
mod connection;
mod hearing;
mod latch;
mod member;
mod presence;
mod protection;
mod speaking;
mod waiting;

use std::net::SocketAddr;
use std::time::Instant;

use crate::codec::{Codec, SAMPLE_RATE};
use crate::digits::Digits;
use crate::dtmf::dedup::Dedup;
use crate::dtmf::event::EventReceiver;
use crate::dtmf::{Key, keyed};
use crate::event::{DigitSource, Event, Idle, LegConfig, LegId};
use crate::leg::connection::Relayed;
use crate::leg::hearing::Hearing;
use crate::leg::latch::Latch;
pub(crate) use crate::leg::member::RoomAudio;
use crate::leg::presence::Presence;
pub(crate) use crate::leg::protection::Datagram;
use crate::outgoing::Outgoing;
use crate::pace::Pace;
use crate::packet::{Arrival, Packet, Receiver, Sender};
use crate::play::Playback;
use crate::record::Recording;
use crate::report::{Reports, Stream};
use crate::sdp::{COMFORT_NOISE, Direction, Negotiated};
use crate::shared::Shared;
use crate::srtp;
use crate::strip::Strip;
use crate::watch::Watch;
use crate::{FRAME, Need};

/// Times that we take another SSRC because the peer uses ours. Once is a collision; again, it is an echo of ourselves.
const MAX_COLLISIONS: u8 = 1;

/// One party's media. A plain value: it may be detached from one engine and attached to another, on another thread. What most
/// legs have not, or most frames need not, is behind a pointer: what a frame costs is to bring the leg into the caches.
#[derive(Debug)]
pub struct Leg {
    id: LegId,
    media: Negotiated,
    /// What held before: packets of it are still on their way (RFC 3264 §8.3.2).
    former: Option<Box<Negotiated>>,
    presence: Presence,
    idle: Idle,
    /// The frame from which on noise is to be described again.
    next_noise: u64,
    /// Where the peer is; none: where it was named.
    latch: Option<Box<Latch>>,
    /// What everything is protected with, both ways; none: it goes in the clear.
    protection: Option<Box<srtp::Session>>,

    // What comes in.
    receiver: Receiver,
    events: EventReceiver,
    hearing: Hearing,
    dedup: Dedup,
    /// The key of a telephone-event that lasts.
    pressed: Option<Key>,
    /// The key that the other party heard the beginning of.
    held: Option<Held>,
    /// Where telephone-events are in what is heard.
    keyed: keyed::Events,
    /// Where the last packet of audio ended, by its timestamp.
    audio_end: Option<u32>,
    recording: Option<Box<Recording>>,

    // What goes out.
    sender: Sender,
    collisions: u8,
    digits: Option<Box<Digits>>,
    playback: Option<Playback>,
    outgoing: Outgoing,
    /// A frame of a key's tone.
    tone: Vec<i16>,

    // The connection.
    talks_to: Option<LegId>,
    hears: Option<LegId>,
    /// Whether the other party hears us by what is decoded here, and the frames of the present tick that it has not had.
    is_interpreted: bool,
    said: Strip,
    /// Whether we hear the other party that way.
    hears_interpreted: bool,
    /// Whether something of it cannot go on as it comes: packets that last longer than our peer takes them, or descriptions of
    /// noise that it does not know.
    hears_otherwise: bool,

    /// Whether a room wants to hear it.
    says_to_room: bool,
    /// Whether the bridge that it is in takes what it says, whoever else hears that.
    says_to_bridge: bool,

    // Time and books.
    pace: Pace,
    /// Frames since the leg began.
    frames: u64,
    reports: Reports,
    watch: Watch,
}

/// A key that is pressed as long for another leg, and the way it is heard here.
#[derive(Clone, Copy, Debug)]
struct Held {
    to: LegId,
    key: Key,
    source: DigitSource,
}

/// What a payload type says is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Audio(Codec),
    ComfortNoise,
    TelephoneEvent,
}

impl Leg {
    pub(crate) fn new(now: Instant, id: LegId, config: LegConfig, shared: &mut Shared) -> Self {
        let [sequence_high, sequence_low, ..] = shared.random().to_be_bytes();
        let sequence = u16::from_be_bytes([sequence_high, sequence_low]);
        // Below the middle, so that no loss of the first packets lets the peer count turns of it from the wrong one
        // (RFC 3711 §3.3.1).
        let sequence = if config.media.keys.is_some() { sequence >> 1 } else { sequence };
        let mut outgoing = Outgoing::new(config.media.codec);
        outgoing.agree(config.media.ptime_ms, config.media.opus);
        Self {
            id,
            former: None,
            presence: Presence::new(now, &config),
            idle: config.idle,
            next_noise: 0,
            latch: protection::latch(&config),
            protection: config.media.keys.as_ref().map(|keys| Box::new(srtp::Session::new(keys))),
            receiver: Receiver::default(),
            events: EventReceiver::new(config.media.event_clocks()),
            hearing: Hearing::new(config.detect_tones),
            dedup: Dedup::new(),
            pressed: None,
            held: None,
            keyed: keyed::Events::default(),
            audio_end: None,
            recording: None,
            sender: Sender::new(shared.random(), sequence, shared.random()),
            collisions: 0,
            digits: None,
            playback: None,
            outgoing,
            tone: Vec::new(),
            talks_to: None,
            hears: None,
            is_interpreted: false,
            said: Strip::default(),
            hears_interpreted: false,
            hears_otherwise: false,
            says_to_room: false,
            says_to_bridge: false,
            pace: Pace::default(),
            frames: 0,
            reports: Reports::new(now, shared),
            watch: Watch::new(now, config.alarms),
            media: config.media,
        }
    }

    // ---- Arrival ----------------------------------------------------------------------------------------------

    /// Takes a packet. Returns it where the other party of a connection shall have it.
    pub(crate) fn receive_rtp<'a>(
        &mut self,
        now: Instant,
        source: Option<SocketAddr>,
        bytes: &'a [u8],
        shared: &mut Shared,
    ) -> Option<Relayed<'a>> {
        let packet = Packet::parse(bytes).filter(|packet| self.is_media_of_peer(source, packet, shared));
        if packet.is_some() && self.presence.heard(now) {
            shared.tell(Event::Heard { leg: self.id });
        }
        let Some((packet, content)) = packet.and_then(|packet| Some((packet, self.content(&packet)?))) else {
            self.reports.refused += 1;
            let unknown = packet.and_then(|it| self.receiver.arrive_unknown(it.ssrc, it.sequence));
            if let Some(place) = unknown {
                self.queue_unknown(now, place);
            }
            return None;
        };
        if packet.ssrc == self.sender.ssrc() && self.collisions < MAX_COLLISIONS {
            self.collisions += 1;
            self.leave_ssrc(now, shared);
        }
        let arrival = self.receiver.arrive(packet.ssrc, packet.sequence);
        let place = match arrival {
            Arrival::Probation => return None,
            Arrival::InSequence(place) => place,
            Arrival::Restart(place) => {
                self.restart_hearing(now);
                if let Some(end) = self.events.reset() {
                    self.key(now, DigitSource::Rfc4733, end, shared);
                }
                place
            }
        };
        self.reports.bytes_received += packet.payload.len() as u64;
        match content {
            Content::Audio(codec) => {
                let clock_rate = codec.clock_rate();
                self.receiver.timing(self.clock_at(now, clock_rate), packet.timestamp, clock_rate);
                let samples = codec.samples_in(packet.payload).unwrap_or_default();
                self.audio_end = Some(packet.timestamp.wrapping_add(codec.samples_to_clock(samples)));
            }
            Content::ComfortNoise => {
                let clock_rate = self.media.codec.clock_rate();
                self.receiver.timing(self.clock_at(now, clock_rate), packet.timestamp, clock_rate);
            }
            Content::TelephoneEvent => {}
        }
        self.queue_content(now, place, content, packet.payload);
        if content == Content::TelephoneEvent {
            for event in self.events.receive(now, packet.timestamp, packet.payload) {
                self.key(now, DigitSource::Rfc4733, event, shared);
            }
        }
        self.talks_to.map(|_| Relayed { packet, arrival, content, may_come_again: self.may_come(content) })
    }

    pub(crate) fn receive_rtcp(
        &mut self,
        now: Instant,
        source: Option<SocketAddr>,
        bytes: &[u8],
        shared: &mut Shared,
    ) {
        if !self.is_report_of_peer(source, bytes, shared) {
            return;
        }
        let Some(incoming) = self.reports.receive(now, bytes, self.sender.ssrc(), shared) else { return };
        self.outgoing.expect_loss(self.reports.remote_loss_percent());
        if self.presence.heard(now) {
            shared.tell(Event::Heard { leg: self.id });
        }
        let (sent, received) = (self.sender.sent().0, self.receiver.received());
        if let Some(trouble) = self.watch.reported(now, incoming.about_us, sent, received) {
            shared.tell(Event::Trouble { leg: self.id, trouble });
        }
    }

    /// Takes another SSRC, after a good-bye as the one that the peer uses as well (RFC 3550 §8.2).
    fn leave_ssrc(&mut self, now: Instant, shared: &mut Shared) {
        let (reports, mut stream) = self.books();
        reports.say_bye(now, &mut stream, shared);
        self.sender.change_ssrc(shared.random());
    }

    /// What is in a packet: one of those that are negotiated, or were until now, or comfort noise that comes unasked.
    fn content(&self, packet: &Packet<'_>) -> Option<Content> {
        self.agreed_content(packet).or_else(|| {
            let is_noise = packet.payload_type == COMFORT_NOISE
                && self.media.codec.clock_rate() == SAMPLE_RATE
                && self.agreements().all(|media| !media.receives(COMFORT_NOISE));
            (is_noise && !packet.payload.is_empty()).then_some(Content::ComfortNoise)
        })
    }

    /// What holds, and what held before.
    fn agreements(&self) -> impl Iterator<Item = &Negotiated> {
        [Some(&self.media), self.former.as_deref()].into_iter().flatten()
    }

    /// What is in a packet, if it is one of those that are negotiated, or were until now.
    fn agreed_content(&self, packet: &Packet<'_>) -> Option<Content> {
        self.agreements().find_map(|media| {
            let event = media.telephone_event.map(|event| event.receive_payload_type);
            let noise = media.comfort_noise.map(|noise| noise.receive_payload_type);
            let other = || media.also_received.iter().find(|(number, _)| *number == packet.payload_type);
            if packet.payload_type == media.receive_payload_type {
                media.codec.samples_in(packet.payload).map(|_| Content::Audio(media.codec))
            } else if let Some((_, codec)) = other() {
                codec.samples_in(packet.payload).map(|_| Content::Audio(*codec))
            } else if Some(packet.payload_type) == noise {
                (!packet.payload.is_empty()).then_some(Content::ComfortNoise)
            } else {
                let is_event = Some(packet.payload_type) == event && !packet.payload.is_empty();
                is_event.then_some(Content::TelephoneEvent)
            }
        })
    }

    /// Whether a kind of packets is agreed on, and not only on its way from before.
    fn may_come(&self, content: Content) -> bool {
        match content {
            Content::Audio(codec) => {
                let mut others = self.media.also_received.iter();
                codec == self.media.codec || others.any(|(_, other)| *other == codec)
            }
            Content::ComfortNoise | Content::TelephoneEvent => true,
        }
    }

    // ---- The frame --------------------------------------------------------------------------------------------

    /// Brings a leg that has not had each of its frames to the present: what it is told to do now is not for those that went
    /// by.
    pub(crate) fn wake(&mut self, now: Instant, shared: &mut Shared) {
        self.run_until(now, shared);
        if self.need() < Need::Frames && self.pace.is_behind(now) {
            self.tick(now, shared);
        }
    }

    /// Something happened at this moment to a leg that has its frames by itself: those that it has in spans and that were due
    /// before are run first.
    pub(crate) fn run_until(&mut self, moment: Instant, shared: &mut Shared) {
        if self.need() != Need::Spans {
            return;
        }
        while let Some(due) = self.pace.before(moment) {
            self.frame(due, shared);
        }
    }

    fn frame(&mut self, now: Instant, shared: &mut Shared) {
        self.hear(now, shared);
        self.speak(now, None, shared);
    }

    /// What it needs of the driver. Every field is named, so that none which gives it something to do in each frame is
    /// forgotten here.
    pub(crate) fn need(&self) -> Need {
        let Self {
            id: _,
            media: _,
            former: _,
            presence: _,
            idle: _,
            next_noise: _,
            latch: _,
            protection: _,
            receiver: _,
            events: _,
            hearing: _,
            dedup: _,
            pressed,
            held: _,
            keyed: _,
            audio_end: _,
            recording: _,
            sender: _,
            collisions: _,
            digits: _,
            playback: _,
            outgoing: _,
            tone: _,
            talks_to: _,
            hears: _,
            is_interpreted: _,
            said: _,
            hears_interpreted,
            hears_otherwise: _,
            says_to_room: _,
            says_to_bridge: _,
            pace,
            frames: _,
            reports: _,
            watch: _,
        } = self;
        if self.speaks() || *hears_interpreted || !pace.has_begun() {
            Need::Frames
        } else if self.can_wait() {
            Need::Spans
        } else if self.is_listened_to() || pressed.is_some() {
            // What is passed on as it comes needs no frames.
            Need::Frames
        } else {
            Need::Nothing
        }
    }

    /// Whether what comes is passed on as it comes.
    pub(crate) fn passes_on(&self) -> bool {
        self.talks_to.is_some() && !self.is_interpreted
    }

    /// Reads something of each line of memory that its next frame needs, so that all of them come into the caches at once,
    /// while another leg is at work. A frame that finds them one after the other waits for each, as between two frames of a
    /// leg those of all others come by.
    pub(crate) fn fetch(&self) {
        let Self { outgoing, reports, playback, .. } = self;
        let marks = [
            outgoing.is_empty(),
            self.said.len() == 0,
            playback.as_ref().is_some_and(Playback::fetch),
            self.recording.as_deref().is_some_and(Recording::is_beeping),
        ];
        std::hint::black_box((marks, reports.late, reports.concealed));
        self.fetch_for_packet();
    }

    /// The same for a packet that comes.
    pub(crate) fn fetch_for_packet(&self) {
        let Self { presence, media, hearing, .. } = self;
        let marks = [
            presence.may_hear(),
            if self.says_to_bridge { hearing.fetch_waiting() } else { hearing.fetch() },
            self.audio_end.is_some(),
            self.pace.has_begun(),
            media.comfort_noise.is_some(),
            media.remote_rtp.ip().is_unspecified(),
        ];
        std::hint::black_box((marks, self.reports.bytes_received, self.receiver.jitter()));
        self.fetch_for_relay();
    }

    /// The same for a packet that goes on from the other party.
    pub(crate) fn fetch_for_relay(&self) {
        let Self { receiver, sender, media, .. } = self;
        let marks = [
            self.talks_to.is_some(),
            media.telephone_event.is_some(),
            media.direction == Direction::Inactive,
        ];
        std::hint::black_box((marks, self.frames, receiver.received(), sender.ssrc()));
    }

    /// Runs the frames that are due. Returns whether there were any.
    pub(crate) fn tick(&mut self, now: Instant, shared: &mut Shared) -> bool {
        let due = self.pace.tick(now);
        self.skip(due.skip, shared);
        due.times(now).for_each(|time| self.frame(time, shared));
        let is_in_spans = self.need() == Need::Spans;
        if let Some(recording) = self.recording.as_mut().filter(|_| is_in_spans) {
            recording.end_span(shared);
        }
        due.run > 0
    }

    /// Lets frames pass that nobody could hear any more.
    fn skip(&mut self, frames: u64, shared: &mut Shared) {
        if frames == 0 {
            return;
        }
        self.frames += frames;
        self.sender.skip(clock_of(frames, self.media.codec));
        if let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_beeping()) {
            recording.skip(frames, shared);
            self.end_recording_if_over(shared);
        }
    }

    fn report(&mut self, now: Instant, shared: &mut Shared) {
        if !self.reports.is_due(now) && !shared.tells_stats {
            return;
        }
        let (reports, mut stream) = self.books();
        reports.tick(now, &mut stream, shared);
        if shared.tells_stats
            && let Some(trouble) = self.watch.count(now, self.receiver.received(), self.receiver.lost())
        {
            shared.tell(Event::Trouble { leg: self.id, trouble });
        }
    }

    /// What is reported, and both directions as that sees them.
    fn books(&mut self) -> (&mut Reports, Stream<'_>) {
        let stream = Stream {
            leg: self.id,
            channel: self.report_channel(),
            destination: self.rtcp_address(),
            clock: self.clock(),
            codec: self.media.codec,
            protection: self.protection.as_deref_mut(),
            sender: &self.sender,
            receiver: &mut self.receiver,
        };
        (&mut self.reports, stream)
    }

    /// The RTP clock since the leg began, as of this frame.
    fn clock(&self) -> u32 {
        clock_of(self.frames, self.media.codec)
    }

    /// Our clock at a moment, finer than a frame, modulo 2^32.
    fn clock_at(&self, now: Instant, clock_rate: u32) -> u32 {
        // Microseconds by 48 kHz fill 64 bits after twelve years.
        let frames = u64::from(FRAME.subsec_micros()) * self.frames;
        let passed = frames.saturating_add_signed(self.pace.since(now));
        modulo_32(passed.wrapping_mul(u64::from(clock_rate)) / 1_000_000)
    }
}

/// The RTP clock of so many frames, modulo 2^32 as timestamps are.
fn clock_of(frames: u64, codec: Codec) -> u32 {
    modulo_32(frames.wrapping_mul(u64::from(codec.samples_to_clock(codec.frame_samples()))))
}

fn modulo_32(clock: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "timestamps count modulo 2^32")]
    let clock = clock as u32;
    clock
}
