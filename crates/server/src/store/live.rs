//! What is known of a call while it lives, so that the next server can end it where this one cannot.

use std::net::SocketAddr;

use offhook_client::wire::{CallDir, CallRecord, DroppedBy};
use serde::{Deserialize, Serialize};

/// A call that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    /// The call.
    pub(crate) res_id: String,
    /// The process that has it.
    pub(crate) process_id: u64,
    /// Who called whom.
    pub(crate) call_dir: CallDir,
    /// The caller's URI.
    pub(crate) from_uri: String,
    /// The callee's URI.
    pub(crate) to_uri: String,
    /// The gateway that it came from, or goes to.
    pub(crate) gateway: Option<String>,
    /// The SIP Call-ID, where it is known.
    pub(crate) sip_call_id: Option<String>,
    /// The trace of its lines in the log.
    #[serde(default)]
    pub(crate) trace_id: Option<String>,
    /// Whether somebody has named that for it: then its events have it too.
    #[serde(default)]
    pub(crate) trace_is_given: bool,
    /// When it began, Unix time in milliseconds.
    pub(crate) begin_time_ms: i64,
    /// When it was answered.
    pub(crate) answer_time_ms: Option<i64>,
    /// As given to `construct` or `answer`.
    pub(crate) user_data: Option<String>,
    /// The codec of an answered call.
    pub(crate) codec: Option<String>,
    /// The first of its recordings.
    #[serde(default)]
    pub(crate) recordings: Vec<String>,
    /// How it is ended, where that can be done.
    pub(crate) remains: Option<Remains>,
}

/// What is not over at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Remains {
    /// An answered call.
    Dialog(Dialog),
    /// An INVITE that waits for its final response.
    Received(Received),
    /// One of ours, that rings.
    Sent(Sent),
}

/// Such an INVITE, as much of it as its response needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Our address that it came to.
    pub(crate) local: SocketAddr,
    /// Where it came from.
    pub(crate) remote: SocketAddr,
    /// Its first line, and the headers that come back.
    pub(crate) invite: String,
    /// Our tag.
    pub(crate) tag: String,
}

/// An INVITE of ours, as much of it as its CANCEL needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The number of the call.
    pub(crate) session: u64,
    /// Our address that it was sent from.
    pub(crate) local: SocketAddr,
    /// Where it was sent.
    pub(crate) remote: SocketAddr,
    /// Its first line, and the headers that CANCEL has too.
    pub(crate) invite: String,
}

/// The dialog of an answered call (RFC 3261 §12), as much of it as a BYE needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialog {
    /// Its Call-ID.
    pub(crate) call_id: String,
    /// From of our requests, with our tag.
    pub(crate) local: String,
    /// To of our requests, with the peer's tag.
    pub(crate) remote: String,
    /// The number of our last request.
    pub(crate) cseq: u32,
    /// The peer's Contact.
    pub(crate) target: String,
    /// The route set.
    pub(crate) routes: Vec<String>,
}

/// Why a call ended that the end of the server cut off: a defect of ours.
const CUT_OFF: u16 = 500;

impl Live {
    /// The record of a call that was cut off, and found at this moment.
    pub(crate) fn cut_off(self, found_ms: i64) -> CallRecord {
        CallRecord {
            id: 0,
            res_id: self.res_id,
            call_dir: self.call_dir,
            from_uri: self.from_uri,
            to_uri: self.to_uri,
            gateway: self.gateway,
            sip_call_id: self.sip_call_id,
            begin_time_ms: self.begin_time_ms,
            answer_time_ms: self.answer_time_ms,
            end_time_ms: found_ms,
            duration_ms: None,
            talk_ms: None,
            cause: CUT_OFF,
            reason: None,
            dropped_by: DroppedBy::System,
            user_data: self.user_data,
            codec: self.codec,
            packets_sent: 0,
            packets_received: 0,
            packets_lost: 0,
            jitter_ms: 0.0,
            round_trip_ms: None,
            mos: None,
            recordings: self.recordings,
        }
    }
}
