//! Released: a call that is over for applications and far end alike, while its leg goes and its recording is completed.
//! When nothing is to come any more its completion is told, then `on_released`, then its ports are free. What does not
//! come within [`SETTLED_WITHIN`] is not waited for.

use std::time::{Duration, Instant};

use offhook_media::event::{self as media, ActionId, Codec, LegId, LegStats, RecordingId};

use crate::action::failure_of;
use crate::call::early::EarlyLeg;
use crate::call::{Core, Input, Phase, Step, Talk, is_due, pass_over};
use crate::cause::{Cause, Ending};
use crate::disk::DiskEvent;
use crate::event::{EventKind, Released, UnixMs};
use crate::node::Context;
use crate::{Now, Port};

/// How long a call that is over waits for its media and for the disk. Both need a few milliseconds; a media thread or
/// a disk that is stuck must not keep `on_released` from the application, nor the ports from other calls.
pub(crate) const SETTLED_WITHIN: Duration = Duration::from_secs(2);

/// What is left of an action that was cut off.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// The event that is owed for it; none for what had not begun, or has no end of its own.
    pub(crate) completion: Option<EventKind>,
    /// The action whose last news may still add to that event.
    pub(crate) action: Option<ActionId>,
    /// A file that is still to be completed.
    pub(crate) recording: Option<RecordingId>,
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    cause: Cause,
    end: UnixMs,
    ended: Instant,
    /// When it was answered, by both clocks, and what codec it had.
    answered: Option<(Now, Codec)>,
    stats: LegStats,
    port: Option<Port>,
    cut: Cut,
    /// The leg, until it is gone.
    leg: Option<LegId>,
    guard: Option<Instant>,
}

impl Ended {
    /// The end of a call that never had media.
    pub(crate) fn unanswered(
        cx: &Context<'_>,
        ending: &Ending,
        port: Option<Port>,
        completion: Option<EventKind>,
    ) -> Self {
        Self {
            cause: ending.cause(None),
            end: cx.now.wall,
            ended: cx.now.mono,
            answered: None,
            stats: LegStats::default(),
            port,
            cut: Cut { completion, ..Cut::default() },
            leg: None,
            guard: None,
        }
    }

    /// And of its early media, whose leg is being removed.
    pub(crate) fn after(self, core: &Core, cx: &mut Context<'_>, early: &EarlyLeg, ending: &Ending) -> Self {
        let leg = (*ending != Ending::MediaGone).then(|| core.leg());
        if let Some(leg) = leg {
            cx.media(media::Command::RemoveLeg { leg });
        }
        Self { stats: early.stats, leg, guard: cx.deadline(SETTLED_WITHIN), ..self }
    }

    /// The end of a call whose leg is being removed.
    pub(crate) fn answered(core: &Core, cx: &Context<'_>, talk: Talk, ending: &Ending, cut: Cut) -> Self {
        Self {
            cause: ending.cause(Some(talk.answered)),
            end: cx.now.wall,
            ended: cx.now.mono,
            answered: Some((Now { mono: talk.answered_at, wall: talk.answered }, talk.media.codec)),
            stats: talk.stats,
            port: Some(talk.port),
            cut,
            leg: (*ending != Ending::MediaGone).then(|| core.leg()),
            guard: cx.deadline(SETTLED_WITHIN),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.guard
    }

    pub(crate) fn port(&self) -> Option<Port> {
        self.port
    }

    pub(crate) fn handle(mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Media(event) => self.hear(&event),
            Input::Disk(event) => self.file(cx, &event),
            Input::Due if is_due(self.guard, cx) => {
                self.leg = None;
                if let Some(recording) = self.cut.recording.take() {
                    cx.forget_recording(recording);
                    cx.abandon_recording(recording);
                }
            }
            other => pass_over(cx, other),
        }
        Step::to(Phase::Ended(self))
    }

    /// What the leg has come to.
    pub(crate) fn stats(&self) -> &LegStats {
        &self.stats
    }

    /// The last news of the leg.
    fn hear(&mut self, event: &media::Event) {
        match (event, &mut self.cut.completion) {
            (media::Event::LegRemoved { stats, .. }, _) => {
                self.stats = *stats;
                self.leg = None;
            }
            (
                media::Event::PlayEnded { action, played: heard, .. },
                Some(EventKind::PlayCompleted { played, .. }),
            ) if self.cut.action == Some(*action) => {
                *played = *heard;
            }
            (
                media::Event::RecordEnded { action, duration: length, .. },
                Some(EventKind::RecordCompleted { duration, .. }),
            ) if self.cut.action == Some(*action) => {
                *duration = *length;
            }
            _ => {}
        }
    }

    /// The last news of the recording.
    fn file(&mut self, cx: &mut Context<'_>, event: &DiskEvent) {
        let (DiskEvent::RecordingClosed { recording, .. } | DiskEvent::RecordingFailed { recording, .. }) =
            event
        else {
            return;
        };
        if self.cut.recording != Some(*recording) {
            return;
        }
        self.cut.recording = None;
        cx.forget_recording(*recording);
        if let Some(EventKind::RecordCompleted { recorded, error, duration, .. }) = &mut self.cut.completion {
            match event {
                DiskEvent::RecordingClosed { file, .. } => *recorded = *file,
                DiskEvent::RecordingFailed { fault, file, duration: written, .. } => {
                    (*recorded, *error, *duration) = (*file, Some(failure_of(*fault)), *written);
                }
                _ => {}
            }
        }
    }

    /// Tells of its end if nothing is to come any more; otherwise it goes on waiting.
    pub(crate) fn settle(self, core: &mut Core, cx: &mut Context<'_>) -> Option<Self> {
        if self.leg.is_some() || self.cut.recording.is_some() {
            return Some(self);
        }
        if let Some(completion) = self.cut.completion {
            core.tell_at_last(cx, completion);
        }
        let released = Released {
            direction: core.direction,
            from_uri: core.from_uri.clone(),
            to_uri: core.to_uri.clone(),
            begin: core.begin,
            answer_time: self.answered.map(|(at, _)| at.wall),
            end: self.end,
            cause: self.cause,
            reason: core.reason.clone(),
            sip_call_id: core.sip_call_id.clone().unwrap_or_default(),
            gateway: core.gateway.clone(),
            lasted: self.ended.saturating_duration_since(core.began),
            talked: self.answered.map(|(at, _)| self.ended.saturating_duration_since(at.mono)),
            codec: self.answered.map(|(_, codec)| codec),
            recordings: std::mem::take(&mut core.recordings),
            stats: self.stats,
        };
        cx.node.not_authentic += self.stats.packets_not_authentic;
        core.tell_at_last(cx, EventKind::Released(Box::new(released)));
        cx.forget_session(core.session);
        core.leave_all_but(cx, &[]);
        if let Some(port) = self.port {
            cx.release_port(port);
        }
        None
    }
}
