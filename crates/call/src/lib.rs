//! The call resources, sans-IO: a strict state machine between SIP, media and applications.
//!
//! ```text
//!   requests ──┐                      ┌── replies, events      (applications)
//!   sip events ┼──▶  Calls (a value) ─┼── sip commands
//!   media events┤                     ├── media commands
//!   disk results┘                     └── disk jobs
//! ```
//! [`Calls`] owns every call. It is given what happened and when, and is polled for what to do next; it has no socket,
//! no thread, no lock and no clock.

pub mod cause;
pub mod command;
pub mod error;
pub mod event;
pub mod id;
pub mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_media::event::{self as media, Codec, Prompt, RecordFormat, RecordingId};
use offhook_sip::event as sip;

use crate::error::{Direction, Error, FileFault};
use crate::event::UnixMs;
use crate::id::{CallId, RequestId};
use crate::state::State;

/// A moment, as the monotonic clock that deadlines go by and the wall clock that events are stamped with.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub mono: Instant,
    /// For stamps.
    pub wall: UnixMs,
}

/// What every call of the node has in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that our SDP names.
    pub media_address: IpAddr,
    /// Codecs in order of preference.
    pub codecs: Vec<Codec>,
    /// Packet time to ask for and to send, in milliseconds.
    pub ptime_ms: u8,
    /// The most calls at a time.
    pub max_calls: usize,
    /// The most new calls in a second.
    pub max_calls_per_second: u32,
    /// How long an inbound call waits for an application to act on it.
    pub incoming_timeout: Duration,
    /// How long an idle call waits for a request; zero for ever.
    pub idle_timeout: Duration,
    /// When in-band tones are searched for digits.
    pub tones: ToneDetection,
}

/// When in-band tones are searched for digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToneDetection {
    /// Where telephone-events are not negotiated.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A pair of local ports whose sockets are open and wait for a leg: RTP on `0`, RTCP on the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port(pub u16);

/// A question to the disk, answered by [`Calls::disk`]. Chosen by [`Calls`], never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What the disk is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskJob {
    /// Load prompts, encoded for a leg.
    LoadPrompts {
        /// The files, relative to the prompts directory.
        files: Vec<String>,
        /// The codec they are wanted in.
        codec: Codec,
    },
    /// Open a recording file.
    OpenRecording {
        /// The file to be, relative to the recordings directory.
        file: String,
        /// Its format.
        format: RecordFormat,
        /// Whether an existing file may be replaced.
        overwrite: bool,
        /// The name its audio goes by.
        recording: RecordingId,
    },
    /// Close a recording to which no leg will send an end mark, because the request for it was overtaken.
    AbandonRecording {
        /// Which.
        recording: RecordingId,
    },
}

/// What the disk says.
#[derive(Clone, Debug)]
pub enum DiskEvent {
    /// The prompts of a job, in its order.
    Prompts {
        /// Which job.
        job: JobId,
        /// The prompts, or the first fault and the file that has it.
        result: Result<Vec<Arc<Prompt>>, (FileFault, String)>,
    },
    /// The recording of a job is open.
    RecordingOpened {
        /// Which job.
        job: JobId,
        /// Or why not.
        result: Result<(), FileFault>,
    },
    /// Writing failed; what was written until then is a complete file. Audio that still comes is thrown away.
    RecordingFailed {
        /// Which.
        recording: RecordingId,
        /// Why.
        fault: FileFault,
    },
    /// The end mark of a recording has been written and its file is complete.
    RecordingClosed {
        /// Which.
        recording: RecordingId,
        /// The size of the file.
        bytes: u64,
    },
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Accepted.
    Done,
    /// The answer of `exists`.
    Exists(bool),
    /// The new call of `construct`.
    Constructed {
        /// Its name.
        call: CallId,
        /// The application's own mark.
        user_data: Option<String>,
    },
    /// The file of `record_start`.
    Recording {
        /// As the application named it.
        file: String,
    },
    /// The answer of `get`.
    Snapshot(Box<Snapshot>),
    /// The answer of `list`.
    Page(Vec<CallId>),
}

/// All that is known of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub call: CallId,
    /// Its state.
    pub state: State,
    /// Who called whom.
    pub direction: Direction,
    /// The caller's URI.
    pub from_uri: String,
    /// The callee's URI.
    pub to_uri: String,
    /// When it began.
    pub begin: UnixMs,
    /// When it was answered.
    pub answer_time: Option<UnixMs>,
    /// The application's own mark.
    pub user_data: Option<String>,
    /// The SIP Call-ID, once known.
    pub sip_call_id: Option<String>,
    /// The codec, once negotiated.
    pub codec: Option<Codec>,
    /// Where its media goes, once negotiated.
    pub remote_media: Option<std::net::SocketAddr>,
    /// Its local RTP port.
    pub local_port: Option<Port>,
    /// The other party of a connection.
    pub connected_to: Option<CallId>,
    /// The latest totals of its media.
    pub stats: media::LegStats,
}

/// What to do next.
#[derive(Clone, Debug)]
pub enum Output {
    /// Tell the SIP user agent.
    Sip(sip::Command),
    /// Open the media of a call: bind `leg` to the sockets of `port`, connect them to where `config` says, begin the leg.
    OpenLeg {
        /// The sockets.
        port: Port,
        /// The new leg.
        leg: media::LegId,
        /// What was negotiated.
        config: media::LegConfig,
    },
    /// Tell the media engine that has the leg.
    Media(media::Command),
    /// Ask the disk.
    Disk {
        /// The name of the answer.
        job: JobId,
        /// The question.
        request: DiskJob,
    },
    /// Answer an application.
    Reply {
        /// Which request.
        request: RequestId,
        /// With what.
        result: Result<Reply, Error>,
    },
    /// Tell all applications.
    Event(event::Event),
    /// The ports of a call are free again; its leg, if it had one, is gone.
    PortReleased(Port),
}
