//! What a leg hears, frame by frame, and the keys among it. Nothing is queued or decoded while nobody listens.
//!
//! ```text
//!   playout ─▶ a frame at the leg's rate ─┬─▶ 8 kHz ─┬─▶ tone detector ─▶ keys
//!                                         │          └─▶ detectors that were asked for
//!                                         └─▶ the other party, recording, room
//! ```
//! Keys are kept from the other party, or out of a recording, where that is asked for, and their tones from a party that has
//! them as telephone-events, and from a room: they are known too late for their beginnings (`dtmf/mute.rs`), so for those everything
//! is 40 ms late then; a recording holds as much back anyway. What is taken out is told. Telephone-events silence what was sent beside them, as some gateways leave the tone in the audio as well
//! (`dtmf/keyed.rs`).

use std::time::{Duration, Instant};

use super::waiting::{Came, Waiting};
use super::{Content, Held, Leg};
use crate::FRAME_SAMPLES;
use crate::codec::SAMPLE_RATE;
use crate::codec::resample::Resampler;
use crate::detect::{Detected, Detectors, Kinds};
use crate::digits::Pressed;
use crate::dtmf::keyed::{Keyed, ticks_in};
use crate::dtmf::mute::Mute;
use crate::dtmf::tone::ToneDetector;
use crate::dtmf::{Key, KeyEvent};
use crate::event::{DigitSource, Event, RecordEnd};
use crate::jitter::Inserted;
use crate::playout::{Playout, Stream};
use crate::progress::Country;
use crate::record::{Began, Lead, Recording};
use crate::shared::{PassedOn, Shared};
use crate::strip::Heard;

/// A frame in which nothing has come, at 8 kHz.
const SILENCE: [i16; FRAME_SAMPLES] = [0; FRAME_SAMPLES];

/// The way of what arrives to who listens.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Made when somebody begins to listen, and gone with the last who does.
    playout: Option<Box<Playout>>,
    /// What has come and is for a later frame.
    waiting: Waiting,
    tones: Option<Box<ToneDetector>>,
    /// Whether keys are looked for as tones whether anybody wants them out or not. All that are found are told.
    tells_tones: bool,
    /// Whether keys are kept from the other party.
    keeps_keys: bool,
    /// Whether keys that are heard as tones are events for the other party.
    turns_tones: bool,
    /// Whether tones of keys are kept from a room.
    shields_room: bool,
    /// Where tones of keys are taken out of what the other party, or a room, hears: for any of these.
    mute: Option<Box<Mute>>,
    detectors: Option<Box<Detectors>>,
    /// To the rate of the detectors, where it is not the leg's.
    narrow: Option<(u32, Box<Resampler>)>,
    narrowed: Vec<i16>,
    /// The present frame, while it is heard.
    frame: Vec<i16>,
}

impl Hearing {
    pub(super) fn new(detect_tones: bool) -> Self {
        Self {
            playout: None,
            waiting: Waiting::default(),
            tones: None,
            tells_tones: detect_tones,
            keeps_keys: false,
            turns_tones: false,
            shields_room: false,
            mute: None,
            detectors: None,
            narrow: None,
            narrowed: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Reads something of what a frame needs, for [`Leg::fetch`].
    pub(super) fn fetch(&self) -> bool {
        let Self { playout, waiting, tones, tells_tones, mute, narrow, narrowed, frame, .. } = self;
        let is_empty = waiting.fetch() ^ narrowed.is_empty() ^ frame.is_empty();
        let is_there = tones.is_some() ^ mute.is_some() ^ narrow.is_some() ^ tells_tones;
        playout.as_deref().is_some_and(Playout::fetch) ^ is_empty ^ is_there
    }

    /// The same of what a packet needs that waits for its frame.
    pub(super) fn fetch_waiting(&self) -> bool {
        self.waiting.fetch() ^ self.tells_tones
    }

    pub(super) fn detect_tones(&mut self, detect: bool) {
        self.tells_tones = detect;
    }

    pub(super) fn tells_tones(&self) -> bool {
        self.tells_tones
    }

    /// Whether keys are kept from the other party from now on.
    pub(super) fn keep_keys(&mut self, keep: bool) {
        self.keeps_keys = keep;
        self.settle_mute();
    }

    /// Whether keys that are heard as tones are events for the other party from now on.
    pub(super) fn turn_tones(&mut self, turn: bool) {
        self.turns_tones = turn;
        self.settle_mute();
    }

    /// Whether tones of keys are kept from a room from now on.
    fn shield_room(&mut self, shield: bool) {
        if self.shields_room != shield {
            self.shields_room = shield;
            self.settle_mute();
        }
    }

    /// Has what takes tones out while they shall not be heard; one that goes on keeps the frames that wait in it.
    fn settle_mute(&mut self) {
        match (&self.mute, self.keeps_keys || self.turns_tones || self.shields_room) {
            (None, true) => self.mute = Some(Box::default()),
            (Some(_), false) => self.mute = None,
            _ => {}
        }
    }

    pub(super) fn keeps_keys(&self) -> bool {
        self.keeps_keys
    }

    /// Has a tone detector while somebody wants one.
    fn seek_keys(&mut self, seek: bool) {
        match (&self.tones, seek) {
            (None, true) => self.tones = Some(Box::default()),
            (Some(_), false) => self.tones = None,
            _ => {}
        }
    }

    /// The leg goes on in another codec.
    pub(super) fn set_rate(&mut self, rate: u32) {
        if let Some(playout) = &mut self.playout {
            playout.set_rate(rate);
        }
    }

    /// Puts what has come into the jitter buffer.
    fn take(&mut self, came: Came, payload: &[u8], rate: u32) -> Inserted {
        let playout = self.playout.get_or_insert_with(|| Box::new(Playout::new(rate)));
        match came {
            Came::Audio { place, codec, jitter } => playout.insert(place, codec, payload, jitter),
            Came::Noise { place } => playout.insert_noise(place, payload),
            Came::Unknown { place } => playout.insert_unknown(place),
            Came::Restart => {
                playout.restart();
                Inserted::Queued
            }
        }
    }

    /// Nothing more comes from the peer: no noise either.
    pub(super) fn end_noise(&mut self) {
        if let Some(playout) = &mut self.playout {
            playout.end_noise();
        }
    }

    /// What is still to be heard of what has come, or has yet to come before anything is heard.
    pub(super) fn lead(&self) -> Lead {
        match self.until_next() {
            Some(until) => Lead::Before(until.max(0).unsigned_abs()),
            None => Lead::Unheard { filled: 0 },
        }
    }

    /// Whether there is anything in the present frame.
    pub(super) fn has_sound(&self) -> bool {
        self.playout.as_ref().is_some_and(|playout| playout.has_sound())
    }

    /// When what is said now is heard, in ticks; none while nothing is.
    pub(super) fn until_said(&self) -> Option<u64> {
        self.playout.as_ref()?.until_said()
    }

    /// When what comes now is heard, in ticks; none while nothing is.
    fn until_next(&self) -> Option<i64> {
        self.playout.as_ref()?.until_next()
    }

    /// Looks for keys in the present frame, and for what else was asked for.
    fn listen(&mut self, rate: u32) -> Listened {
        let Self { tones, detectors, narrow, narrowed, frame, .. } = self;
        if tones.is_none() && detectors.is_none() {
            return Listened::default();
        }
        let samples = if rate == SAMPLE_RATE {
            &*frame
        } else {
            let kept = narrow.take().filter(|(from, _)| *from == rate);
            *narrow = kept.or_else(|| Some((rate, Box::new(Resampler::new(rate, SAMPLE_RATE)?))));
            narrowed.clear();
            if let Some((_, narrow)) = narrow {
                narrow.push(frame, narrowed);
            }
            &*narrowed
        };
        Listened {
            keys: tones.as_mut().map_or(Vec::new(), |tones| tones.push(samples)),
            is_key: tones.as_ref().is_some_and(|tones| tones.is_key()),
            detected: detectors.as_mut().map_or(Vec::new(), |detectors| detectors.push(samples)),
        }
    }
}

/// What was found in a frame.
#[derive(Debug, Default)]
struct Listened {
    keys: Vec<KeyEvent>,
    /// Whether there is a key in it.
    is_key: bool,
    detected: Vec<Detected>,
}

impl Leg {
    /// Queues a packet for who listens. One of an event has only its place, so that it is not taken for a loss.
    pub(super) fn queue_content(&mut self, now: Instant, place: u64, content: Content, payload: &[u8]) {
        let (codec, payload) = match content {
            Content::Audio(codec) => (codec, payload),
            Content::ComfortNoise => return self.came(now, Came::Noise { place }, payload),
            Content::TelephoneEvent => (self.media.codec, &[][..]),
        };
        let jitter = self.receiver.jitter() / f64::from(self.media.codec.clock_rate());
        self.came(now, Came::Audio { place, codec, jitter }, payload);
    }

    /// Keeps the place of a packet that is of no kind that we take.
    pub(super) fn queue_unknown(&mut self, now: Instant, place: u64) {
        self.came(now, Came::Unknown { place }, &[]);
    }

    /// Another source begins.
    pub(super) fn restart_hearing(&mut self, now: Instant) {
        self.came(now, Came::Restart, &[]);
    }

    fn came(&mut self, now: Instant, came: Came, payload: &[u8]) {
        if !self.is_listened_to() {
            return;
        }
        if !self.says_to_bridge {
            let rate = self.media.codec.sample_rate();
            let inserted = self.hearing.take(came, payload, rate);
            self.reports.late += u64::from(matches!(inserted, Inserted::Late { .. }));
            return;
        }
        self.hearing.waiting.push(now, came, payload);
        if self.hearing.waiting.is_full() {
            self.take_what_waits(None);
        }
    }

    /// What came until this moment, or all that has come, is for the next frame.
    pub(super) fn take_what_waits(&mut self, until: Option<Instant>) {
        let rate = self.media.codec.sample_rate();
        let mut waiting = std::mem::take(&mut self.hearing.waiting);
        while let Some((came, payload)) = waiting.take(until) {
            let inserted = self.hearing.take(came, payload, rate);
            self.reports.late += u64::from(matches!(inserted, Inserted::Late { .. }));
        }
        self.hearing.waiting = waiting;
    }

    /// Whether anybody wants to hear what arrives, here and frame by frame.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.hearing.tells_tones
            || self.hearing.detectors.is_some()
            || self.recording.is_some()
            || self.says_to_room
            || self.says_to_bridge
            || self.is_interpreted
    }

    /// The first half of a frame: whether the far end is there, and what it says, for who listens.
    pub(super) fn hear(&mut self, now: Instant, shared: &mut Shared) {
        if self.presence.falls_silent(now) {
            shared.tell(Event::Silent { leg: self.id });
        }
        if let Some(end) = self.events.handle_timeout(now) {
            self.key(now, DigitSource::Rfc4733, end, shared);
        }
        let seeks_keys = self.seeks_keys();
        if !seeks_keys {
            // Its end is not found any more; whom it was held for has let go.
            self.held.take_if(|held| held.source == DigitSource::Inband);
        }
        if !self.is_listened_to() {
            self.hearing.playout = None;
            self.keyed.forget();
            return;
        }
        self.hearing.seek_keys(seeks_keys);
        self.hearing.shield_room(self.says_to_room && seeks_keys);
        self.hear_frame(now, shared);
    }

    /// The next frame of what has come, for who listens.
    fn hear_frame(&mut self, now: Instant, shared: &mut Shared) {
        if self.is_only_recorded() {
            return self.record_as_it_came(shared);
        }
        let codec = self.media.codec;
        // In memory that all legs share: what one hears in a frame is for nobody after that.
        self.hearing.frame = std::mem::take(&mut shared.frame);
        match &mut self.hearing.playout {
            Some(playout) => {
                playout.frame_into(&mut self.hearing.frame);
                self.reports.concealed += playout.take_concealed();
            }
            None => {
                self.hearing.frame.clear();
                self.hearing.frame.resize(codec.frame_samples(), 0);
            }
        }
        let Listened { keys, is_key, detected } = self.hearing.listen(codec.sample_rate());
        for event in keys {
            self.key(now, DigitSource::Inband, event, shared);
        }
        for detected in detected {
            shared.tell(Event::Detected { leg: self.id, detected });
        }
        let event = self.keyed.frame();
        let keyed = if is_key { Some(Keyed::by_tone().and(event)) } else { event };
        self.hand_over(keyed.as_ref(), shared);
        shared.frame = std::mem::take(&mut self.hearing.frame);
    }

    /// Whether anybody wants to know of tones of keys: to tell them or to keep them out.
    fn seeks_keys(&self) -> bool {
        self.hearing.tells_tones
            || self.hearing.keeps_keys
            || self.hearing.turns_tones
            || self.recording.as_deref().is_some_and(Recording::mutes_keys)
    }

    /// Whether nobody waits for its frames: what arrives is for nobody but its recording, which takes it as it came.
    pub(super) fn can_wait(&self) -> bool {
        let may_last = self.recording.as_ref().is_some_and(|recording| !recording.is_ending());
        may_last && !self.says_to_bridge && self.is_only_recorded()
    }

    /// Whether what arrives is for nobody but recordings, which take it as it came.
    pub(super) fn is_only_recorded(&self) -> bool {
        let is_looked_into = self.seeks_keys() || self.hearing.detectors.is_some();
        let is_heard = self.says_to_room || self.is_interpreted;
        self.media.codec.is_law()
            && !is_looked_into
            && !is_heard
            && self.recording.as_deref().is_none_or(Recording::takes_codes)
    }

    /// Hands the present frame to the recordings, in codes if it came so.
    fn record_as_it_came(&mut self, shared: &mut Shared) {
        self.keyed.frame();
        let law = self.media.codec;
        let playout = &mut self.hearing.playout;
        let silence = (Heard::Linear(&SILENCE), Stream::None);
        let (heard, stream) = playout.as_mut().map_or(silence, |playout| playout.frame_in(law));
        if self.says_to_bridge {
            self.said.append(heard);
        }
        if let Some(recording) = &mut self.recording {
            recording.write(law.sample_rate(), heard, stream, None, shared);
        }
        self.reports.concealed += playout.as_mut().map_or(0, |playout| playout.take_concealed());
        self.end_recording_if_over(shared);
    }

    /// The leg is removed: what was said and is still in the jitter buffer is recorded now.
    pub(super) fn record_the_rest(&mut self, now: Instant, shared: &mut Shared) {
        let Some(recording) = &mut self.recording else { return };
        recording.end(RecordEnd::LegRemoved, false);
        while self.recording.as_ref().is_some_and(|recording| recording.over().is_none()) {
            self.hear_frame(now, shared);
        }
        self.end_recording_if_over(shared);
    }

    /// Hands the present frame to who listens, with what of it belongs to keys, or without.
    fn hand_over(&mut self, keyed: Option<&Keyed>, shared: &mut Shared) {
        let Hearing { playout, mute, frame, .. } = &mut self.hearing;
        let stream = playout.as_ref().map_or(Stream::None, |playout| playout.stream());
        let mut is_heard = playout.as_ref().is_some_and(|playout| playout.has_sound());
        match (mute, keyed) {
            (Some(mute), _) => is_heard = mute.push(frame, is_heard, keyed),
            // Telephone-events: where they begin is known before it is heard.
            (None, Some(keyed)) if self.says_to_room => keyed.silence(frame),
            (None, _) => {}
        }
        if (self.is_interpreted || self.says_to_bridge) && is_heard {
            self.said.append(Heard::Linear(frame));
        }
        if let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_beeping()) {
            recording.write(self.media.codec.sample_rate(), Heard::Linear(frame), stream, keyed, shared);
            self.end_recording_if_over(shared);
        }
    }

    /// Listens for other things than keys from now on, or for none.
    pub(crate) fn detect(&mut self, kinds: Kinds, country: Option<Country>) {
        self.hearing.detectors = (!kinds.is_empty()).then(|| Box::new(Detectors::new(kinds, country)));
    }

    pub(super) fn key(&mut self, now: Instant, source: DigitSource, event: KeyEvent, shared: &mut Shared) {
        match event {
            KeyEvent::Start(key) => {
                let began = if source == DigitSource::Rfc4733 {
                    self.pressed = Some(key);
                    self.event_began()
                } else {
                    Began { until: Some(-signed(ticks_in(Mute::DELAY))), ago: None }
                };
                if let Some(recording) = &mut self.recording {
                    recording.key_began(key, began);
                }
                if source == DigitSource::Rfc4733 || self.hearing.turns_tones {
                    self.hold(now, key, source, shared);
                }
            }
            KeyEvent::End { key, duration } => {
                if let Some(recording) = &mut self.recording {
                    recording.key_ended();
                }
                if source == DigitSource::Rfc4733 {
                    self.pressed = None;
                    self.keyed.end(self.hearing.until_next().unwrap_or_default().max(0).unsigned_abs());
                }
                // A tone that ends while its telephone-event lasts is the beginning of a press that the event will tell.
                if source == DigitSource::Rfc4733 || self.pressed != Some(key) {
                    self.digit(now, key, source, duration, shared);
                }
                if let Some(held) = self.held.take_if(|held| held.source == source) {
                    held.let_go(duration, shared);
                }
            }
        }
    }

    /// The other party hears of a key as it begins, unless the press was told by another way before. It hears one at a time.
    fn hold(&mut self, now: Instant, key: Key, source: DigitSource, shared: &mut Shared) {
        if let Some(former) = self.held.take() {
            former.let_go(Duration::ZERO, shared);
        }
        let is_new = !self.hearing.keeps_keys && !self.dedup.knows(now, key, source);
        if let Some(to) = self.talks_to.filter(|_| is_new) {
            self.held = Some(Held { to, key, source });
            shared.pass_on(PassedOn { to, key, source, pressed: Pressed::Down });
        }
    }

    /// Whether the tones of keys of our peer become telephone-events for the other party. One that is held is let go where they
    /// no longer do.
    pub(crate) fn turn_tones(&mut self, turn: bool, shared: &mut Shared) {
        self.hearing.turn_tones(turn);
        if let Some(held) = self.held.filter(|held| !turn && held.source == DigitSource::Inband) {
            held.let_go(Duration::ZERO, shared);
        }
    }

    /// A telephone-event has begun: before what comes now is heard, less the audio that was sent beside it.
    fn event_began(&mut self) -> Began {
        let beside = self.audio_end.map_or(Duration::ZERO, |audio_end| self.events.beside(audio_end));
        let until = self.hearing.until_next().map(|until| until - signed(ticks_in(beside)));
        let ago = ticks_in(self.events.elapsed());
        self.keyed.begin(until.unwrap_or(-signed(ago)));
        Began { until, ago: Some(ago) }
    }

    /// Tells a press, unless it was told by another way. Tones reach the other party in the audio, unless they are taken out
    /// of it; the rest is passed on. Where keys are kept from it nothing is.
    pub(crate) fn digit(
        &mut self,
        now: Instant,
        key: Key,
        source: DigitSource,
        duration: Duration,
        shared: &mut Shared,
    ) {
        if !self.dedup.admit(now, key, source, duration) {
            return;
        }
        shared.tell(Event::Digit { leg: self.id, key, source, duration });
        let is_in_audio = source == DigitSource::Inband && !self.hearing.turns_tones;
        let is_held = self.held.is_some_and(|held| held.key == key);
        if let Some(to) = self.talks_to.filter(|_| !is_in_audio && !is_held && !self.hearing.keeps_keys) {
            shared.pass_on(PassedOn { to, key, source, pressed: Pressed::Whole(duration) });
        }
    }
}

impl Held {
    /// It was pressed for so long, or as long as the other party has heard it.
    fn let_go(self, length: Duration, shared: &mut Shared) {
        let Self { to, key, source } = self;
        shared.pass_on(PassedOn { to, key, source, pressed: Pressed::Up(length) });
    }
}

fn signed(ticks: u64) -> i64 {
    i64::try_from(ticks).unwrap_or(i64::MAX)
}
