//! What a leg is told to do, and the ends of its actions.

use std::sync::Arc;
use std::time::Instant;

use super::Leg;
use crate::digits::Digits;
use crate::dtmf::event::EventReceiver;
use crate::event::{ActionId, Dial, DigitSource, Event, LegConfig, LegStats, Prompt, RecordEnd};
use crate::play::Playback;
use crate::record::Recording;
use crate::sdp::Direction;
use crate::shared::Shared;

impl Leg {
    pub(crate) fn update(&mut self, now: Instant, config: LegConfig, shared: &mut Shared) {
        let is_elsewhere = config.media.remote_rtp != self.media.remote_rtp;
        if self.presence.agreed(now, &config, is_elsewhere) {
            shared.tell(Event::Heard { leg: self.id });
        }
        self.hearing.detect_tones(config.detect_tones);
        self.idle = config.idle;
        self.watch.set_limits(config.alarms);
        let (former, codec) = (self.media.codec, config.media.codec);
        self.outgoing.agree(config.media.ptime_ms, config.media.opus);
        if codec != former {
            self.hearing.set_rate(codec.sample_rate());
            self.outgoing.recode(codec);
        }
        let event_clocks = self.media.event_clocks();
        let ssrc = (codec.clock_rate() != former.clock_rate()).then(|| shared.random());
        self.change_keys(config.media.keys.as_ref());
        self.change_latch(&config);
        if matches!(config.media.direction, Direction::SendOnly | Direction::Inactive) {
            self.hearing.end_noise();
        }
        self.former = Some(Box::new(std::mem::replace(&mut self.media, config.media)));
        if let Some(ssrc) = ssrc {
            // One source counts by one clock (RFC 7160 §4.1).
            self.sender.change_clock(ssrc, self.clock());
        }
        if event_clocks != self.media.event_clocks() {
            if let Some(end) = self.events.reset() {
                self.key(now, DigitSource::Rfc4733, end, shared);
            }
            self.events = EventReceiver::new(self.media.event_clocks());
        }
    }

    pub(crate) fn play(
        &mut self,
        action: ActionId,
        prompts: Vec<Arc<Prompt>>,
        repeat: u32,
        shared: &mut Shared,
    ) {
        self.end_playback(shared);
        self.playback = Some(Playback::new(action, prompts, repeat));
    }

    pub(crate) fn stop_play(&mut self, action: ActionId, shared: &mut Shared) {
        if self.playback.as_ref().is_some_and(|playback| playback.action == action) {
            self.end_playback(shared);
        }
    }

    /// A prompt ends with the first that is heard of another party.
    pub(crate) fn yield_play(&mut self, action: ActionId) {
        if let Some(playback) = self.playback.as_mut().filter(|playback| playback.action == action) {
            playback.yields = true;
        }
    }

    pub(crate) fn record(&mut self, recording: Recording, shared: &mut Shared) {
        self.end_recording(RecordEnd::Stopped, shared);
        self.recording = Some(Box::new(recording));
        self.begin_recording();
    }

    /// A recording begins where no beep comes first, or that is over: with what is said from now on.
    pub(super) fn begin_recording(&mut self) {
        if let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_beeping()) {
            recording.begin(self.hearing.lead());
            if let Some(key) = self.pressed {
                recording.key_lasts(key);
            }
        }
    }

    pub(crate) fn pause_record(&mut self, action: ActionId, is_paused: bool) {
        let until = self.hearing.until_said();
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.action == action) {
            recording.pause(is_paused, until);
        }
    }

    /// What was said until now is still to be heard.
    pub(crate) fn stop_record(&mut self, action: ActionId, by_key: bool, shared: &mut Shared) {
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.action == action) {
            recording.end(RecordEnd::Stopped, by_key);
            self.end_recording_if_over(shared);
        }
    }

    pub(crate) fn send_digits(&mut self, action: ActionId, digits: Vec<Dial>, shared: &mut Shared) {
        self.end_digits(shared);
        self.digits = Some(Box::new(Digits::new(action, digits)));
    }

    pub(crate) fn stop_digits(&mut self, action: ActionId) {
        if let Some(digits) = self.digits.as_mut().filter(|digits| digits.action == Some(action)) {
            digits.stop();
        }
    }

    /// Ends the actions, each with its event, and says good-bye.
    pub(crate) fn remove(mut self, now: Instant, shared: &mut Shared) -> LegStats {
        self.end_playback(shared);
        self.record_the_rest(now, shared);
        self.end_digits(shared);
        let (reports, mut stream) = self.books();
        reports.say_bye(now, &mut stream, shared);
        reports.stats(&stream)
    }

    // ---- Ends, each told once ---------------------------------------------------------------------------------

    pub(super) fn end_playback(&mut self, shared: &mut Shared) {
        if let Some(playback) = self.playback.take() {
            let (action, played) = (playback.action, playback.played());
            shared.tell(Event::PlayEnded { leg: self.id, action, played });
        }
    }

    pub(super) fn end_recording_if_over(&mut self, shared: &mut Shared) {
        if let Some(end) = self.recording.as_deref().and_then(Recording::over) {
            self.end_recording(end, shared);
        }
    }

    fn end_recording(&mut self, end: RecordEnd, shared: &mut Shared) {
        if let Some(recording) = self.recording.take() {
            let action = recording.action;
            let duration = recording.finish(shared);
            shared.tell(Event::RecordEnded { leg: self.id, action, duration, end });
        }
    }

    pub(super) fn end_digits(&mut self, shared: &mut Shared) {
        if let Some(action) = self.digits.take().and_then(|digits| digits.action) {
            shared.tell(Event::DigitsSent { leg: self.id, action });
        }
    }
}
