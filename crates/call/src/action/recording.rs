//! A recording that has begun, of a call or of a conference. Two threads take part besides this one, and their news come in
//! any order: the media tells how long the recording is, the disk that its file is complete. The recording has ended when
//! both have spoken, or were waited for long enough.

use std::time::{Duration, Instant};

use offhook_media::event::{ActionId, RecordEnd, RecordingId};

use crate::action::{Outcome, STOPPED_WITHIN, failure_of};
use crate::call::is_due;
use crate::cause::Failure;
use crate::disk::{DiskEvent, RecordedFile};
use crate::id::Resource;
use crate::node::Context;

/// A recording that has begun.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) action: ActionId,
    pub(crate) recording: RecordingId,
    audio: Audio,
    file: File,
}

/// What the media has said.
#[derive(Clone, Copy, Debug)]
enum Audio {
    /// It is at work.
    Flowing,
    /// It has been stopped, and the media has to confirm it.
    Stopping { outcome: Outcome, guard: Option<Instant> },
    /// No more will come.
    Ended { outcome: Outcome, duration: Duration, guard: Option<Instant> },
}

/// What the disk has said.
#[derive(Clone, Copy, Debug)]
enum File {
    /// It writes.
    Open,
    /// The file is complete.
    Closed(RecordedFile),
    /// It cannot write any more; what it wrote before is complete, and so long.
    Failed(Failure, RecordedFile, Duration),
}

/// What has come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) file: RecordedFile,
}

impl Recording {
    /// One into a file that is open; the media is still to be told.
    pub(crate) fn begin(owner: impl Into<Resource>, cx: &mut Context<'_>, recording: RecordingId) -> Self {
        let action = cx.new_action();
        cx.route_recording(recording, owner);
        Self { action, recording, audio: Audio::Flowing, file: File::Open }
    }

    /// Whether nothing has ended it yet.
    pub(crate) fn is_flowing(&self) -> bool {
        matches!(self.audio, Audio::Flowing)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.audio {
            Audio::Flowing => None,
            Audio::Stopping { guard, .. } | Audio::Ended { guard, .. } => guard,
        }
    }

    /// Ends it; what has ended it first stands. Returns whether the media has to be told.
    pub(crate) fn stop(&mut self, cx: &Context<'_>, outcome: Outcome) -> bool {
        let is_flowing = self.is_flowing();
        if is_flowing {
            self.audio = Audio::Stopping { outcome, guard: cx.deadline(STOPPED_WITHIN) };
        }
        is_flowing
    }

    /// The media has handed out all audio of an action, which may be another one.
    pub(crate) fn ended(&mut self, cx: &Context<'_>, action: ActionId, duration: Duration, end: RecordEnd) {
        if action != self.action {
            return;
        }
        let outcome = match (self.audio, end) {
            (Audio::Stopping { outcome, .. } | Audio::Ended { outcome, .. }, _) => outcome,
            (Audio::Flowing, RecordEnd::MaxDuration) => Outcome::failed(Failure::MaxSeconds),
            (
                Audio::Flowing,
                RecordEnd::Stopped | RecordEnd::LegRemoved | RecordEnd::RoomClosed | RecordEnd::Disconnected,
            ) => Outcome::failed(Failure::Internal),
        };
        self.audio = Audio::Ended { outcome, duration, guard: cx.deadline(STOPPED_WITHIN) };
    }

    /// The disk has news of a recording, which may be another one. Returns whether it cannot go on.
    pub(crate) fn disk(&mut self, event: &DiskEvent) -> bool {
        match *event {
            DiskEvent::RecordingClosed { recording, file } if recording == self.recording => {
                self.file = File::Closed(file);
                false
            }
            DiskEvent::RecordingFailed { recording, fault, file, duration }
                if recording == self.recording =>
            {
                self.file = File::Failed(failure_of(fault), file, duration);
                true
            }
            _ => false,
        }
    }

    /// Gives up whoever did not speak in time.
    pub(crate) fn due(&mut self, cx: &mut Context<'_>) {
        if is_due(self.deadline(), cx) {
            self.give_up(cx);
        }
    }

    /// Waits no longer. A file that is still open is closed as it is.
    pub(crate) fn give_up(&mut self, cx: &mut Context<'_>) {
        if let Audio::Stopping { outcome, .. } = self.audio {
            self.audio = Audio::Ended { outcome, duration: Duration::ZERO, guard: None };
        }
        if let File::Open = self.file {
            cx.abandon_recording(self.recording);
            self.file = File::Closed(RecordedFile::default());
        }
    }

    /// Whether both have spoken.
    pub(crate) fn is_complete(&self) -> bool {
        matches!((self.audio, self.file), (Audio::Ended { .. }, File::Closed(_) | File::Failed(..)))
    }

    /// It is over, and the disk is not heard any more.
    pub(crate) fn close(self, cx: &mut Context<'_>, cut: Outcome) -> Recorded {
        cx.forget_recording(self.recording);
        self.recorded(cut)
    }

    /// Its file, if that is still to be completed by somebody else; otherwise the disk is not heard any more.
    pub(crate) fn open_file(&self, cx: &mut Context<'_>) -> Option<RecordingId> {
        if let File::Open = self.file {
            return Some(self.recording);
        }
        cx.forget_recording(self.recording);
        None
    }

    /// What is told of it. `cut` is what to say of a recording that nothing has ended yet; a fault of the disk is the
    /// more important news in any case, since the file lacks something.
    pub(crate) fn recorded(&self, cut: Outcome) -> Recorded {
        let (outcome, duration) = match self.audio {
            Audio::Flowing => (cut, Duration::ZERO),
            Audio::Stopping { outcome, .. } => (outcome, Duration::ZERO),
            Audio::Ended { outcome, duration, .. } => (outcome, duration),
        };
        match self.file {
            File::Open => Recorded { outcome, duration, file: RecordedFile::default() },
            File::Closed(file) => Recorded { outcome, duration, file },
            File::Failed(failure, file, duration) => {
                let outcome = Outcome { error: Some(failure), ..outcome };
                Recorded { outcome, duration, file }
            }
        }
    }
}
