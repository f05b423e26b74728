//! What the outside has to do, and what it may want to write into its log.

use offhook_call::cause::TurnedAway;
use offhook_call::conference;
use offhook_call::error::Error;
use offhook_call::event::{Event, NodeEvent};
use offhook_call::id::{CallId, RequestId};
use offhook_call::{DiskJob, JobId, Port, Reply};
use offhook_media::event as media;
use offhook_sip::event::{CommandError, Lookup, QueryId, SessionId, Transmit};

/// What to do next: what the calls want done ([`offhook_call::Output`]) but for their SIP, and what that comes to.
#[derive(Clone, Debug)]
pub enum Output {
    /// Put a SIP message on the wire.
    Transmit(Transmit),
    /// Ask the name service; answered by [`Exchange::resolved`](crate::Exchange::resolved).
    Resolve {
        /// The name of the answer.
        query: QueryId,
        /// What is asked.
        lookup: Lookup,
    },
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
    Event(Event),
    /// Tell all applications what is of a conference.
    ConferenceEvent(conference::Event),
    /// Tell all applications what is of no call.
    NodeEvent(NodeEvent),
    /// The ports of a call are free again.
    PortReleased(Port),
    /// Nothing to do; for the log.
    Note(Note),
}

/// What passed between the cores that a log may want to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// An INVITE was refused at once, and is no call.
    TurnedAway {
        /// Its session.
        session: SessionId,
        /// Why.
        why: TurnedAway,
    },
    /// The INVITE of an outbound call is on its way to an address: its next message that is transmitted.
    Sent {
        /// Which call.
        call: CallId,
        /// The Call-ID of all its messages.
        sip_call_id: String,
    },
    /// A command was refused, and the calls have been told that what they began is over.
    Ended {
        /// Whose it was, where it was that of a call.
        call: Option<CallId>,
        /// Why.
        error: CommandError,
    },
    /// A command was refused that was not late for its session: a defect.
    Refused {
        /// Whose it was, where it was that of a call.
        call: Option<CallId>,
        /// Why.
        error: CommandError,
    },
    /// The cores did not come to rest; they go on with the next input. A defect.
    Restless,
}
