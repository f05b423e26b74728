//! What to do next, and what requests come to.

use std::net::SocketAddr;

use offhook_media::event::{self as media, Codec};
use offhook_media::sdp::Suite;
use offhook_sip::event::{self as sip, GatewayName, SessionId};

use crate::Port;
use crate::cause::TurnedAway;
use crate::conference::{self, Part};
use crate::disk::{DiskJob, JobId};
use crate::error::{Direction, Error};
use crate::event::{self, UnixMs};
use crate::gateway::GatewayStatus;
use crate::id::{CallId, ConferenceId, MessageId, RequestId};
use crate::state::State;

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
    /// The message of `send_message`, which is on its way.
    Message(MessageId),
    /// The answer of `gateways`.
    Gateways(Vec<GatewayStatus>),
    /// The new conference of `sys.conf.construct`.
    ConferenceConstructed(ConferenceId),
    /// The answer of `sys.conf.list`.
    Conferences(Vec<ConferenceId>),
    /// The answer of `sys.conf.get`.
    Conference(Box<conference::Snapshot>),
    /// The answer of `sys.conf.get_parts`.
    Parts(Vec<Part>),
}

/// All that is known of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub call: CallId,
    /// Its SIP session.
    pub session: SessionId,
    /// Its state.
    pub state: State,
    /// Who called whom.
    pub direction: Direction,
    /// The caller's URI.
    pub from_uri: String,
    /// The caller's name.
    pub from_name: Option<String>,
    /// The callee's URI.
    pub to_uri: String,
    /// The gateway that it came from, or goes to.
    pub gateway: Option<GatewayName>,
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
    /// What its media is protected with; none: it goes in the clear.
    pub srtp: Option<Suite>,
    /// Where its media goes, once negotiated.
    pub remote_media: Option<SocketAddr>,
    /// Its local RTP port.
    pub local_port: Option<Port>,
    /// The other party of a connection.
    pub connected_to: Option<CallId>,
    /// The conference that it is in.
    pub conference: Option<ConferenceId>,
    /// The first of its recordings, in their order.
    pub recordings: Vec<String>,
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
    /// Tell all applications what is of a conference.
    ConferenceEvent(conference::Event),
    /// Tell all applications what is of no call.
    NodeEvent(event::NodeEvent),
    /// An INVITE was refused at once, and is no call.
    TurnedAway {
        /// Its SIP session.
        session: SessionId,
        /// Why.
        why: TurnedAway,
    },
    /// The ports of a call are free again; its leg, if it had one, is gone.
    PortReleased(Port),
}
