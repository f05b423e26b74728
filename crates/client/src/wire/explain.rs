//! What a call has been through (`operations.md`, Observability): `sys.call.explain`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CallDir, CallState, MediaStats, Method};

methods_of! {
    "The call: one that lives, or one of the last that are over."
    /// The time line of a call: the SIP messages of both directions and what their descriptions say, what applications asked for
    /// and were told, its states, its media. The latest 10,000 calls that are over are known, or fewer where all time lines come to
    /// 64 MiB, and 256 steps of each, the first 64 and the latest; none of earlier runs of the node. There are no keys in it, no
    /// passwords and no texts, and of numbers the last two digits.
    Explain = "sys.call.explain" -> Explained;
}

/// The result of `sys.call.explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explained {
    /// The call.
    pub res_id: String,
    /// Its state, `Released` where it is over.
    pub state: CallState,
    /// Who called whom.
    pub call_dir: CallDir,
    /// The caller's URI, its number masked.
    pub from_uri: String,
    /// The callee's URI, its number masked.
    pub to_uri: String,
    /// The name of the gateway that it came from, or goes to.
    pub gateway: Option<String>,
    /// The SIP Call-ID; null where no INVITE could be sent.
    pub sip_call_id: Option<String>,
    /// The number of the trace that it belongs to (W3C Trace Context), 32 hexadecimal digits: it stands in every line of the log that is
    /// of this call.
    #[serde(default)]
    pub trace_id: String,
    /// The steps in their order.
    pub steps: Vec<TimedStep>,
    /// How many steps are not kept: there were too many. They are those after the first 64.
    pub left_out: u64,
    /// What its media has seen: as of the last second, or of its end.
    pub media: MediaStats,
}

/// A step of a call, and when it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimedStep {
    /// When, Unix time in milliseconds.
    pub time_ms: i64,
    /// What.
    #[serde(flatten)]
    pub step: Step,
}

/// A step of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// A SIP message.
    Sip(SipStep),
    /// An application has asked for something.
    Command {
        /// The method.
        method: String,
        /// What of its parameters may be shown.
        params: BTreeMap<String, Value>,
    },
    /// An application was answered.
    Reply {
        /// The method.
        method: String,
        /// The `reason` of the error; null where there was none.
        error: Option<String>,
    },
    /// The call's state changed.
    State {
        /// The state it was in from then on.
        state: CallState,
        /// The state before; null for a new call.
        prior_state: Option<CallState>,
    },
    /// Applications were told something.
    Event {
        /// The type of the event.
        name: String,
        /// The `code` of its error; null where there was none.
        error: Option<String>,
        /// What of its parameters may be shown.
        params: BTreeMap<String, Value>,
    },
    /// Its media began, or goes otherwise from then on.
    Media(MediaStep),
}

/// A SIP message on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SipStep {
    /// Which way it went.
    pub way: Way,
    /// `UDP`, `TCP` or `TLS`.
    pub transport: String,
    /// Our address.
    pub local: String,
    /// The address at the other end.
    pub remote: String,
    /// The method: that of CSeq, where it is a response.
    pub method: String,
    /// The status of a response; null for a request.
    pub status: Option<u16>,
    /// The phrase of a response; null for a request.
    pub phrase: Option<String>,
    /// The number of CSeq.
    pub cseq: u32,
    /// What its session description says; null where it has none that can be read.
    pub sdp: Option<SdpOutline>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the node.
    In,
    /// From the node.
    Out,
}

/// What a session description says of the audio that its writer wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SdpOutline {
    /// The names of its codecs, in its order.
    pub codecs: Vec<String>,
    /// Whether keys may be telephone-events (RFC 4733).
    pub telephone_events: bool,
    /// Where its writer wants media; null where it does not say.
    pub address: Option<String>,
    /// To which port.
    pub port: u16,
    /// `sendrecv`, or who holds: `sendonly`, `recvonly`, `inactive`.
    pub direction: String,
    /// The packet time that its writer asks for.
    pub ptime_ms: Option<u8>,
    /// The crypto-suites that it has keys for (SRTP).
    pub srtp: Vec<String>,
}

/// How media flows, as the two sides agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MediaStep {
    /// The codec.
    pub codec: String,
    /// Where it goes: address and port.
    pub remote: String,
    /// Who sends, as the node sees it: `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    pub direction: String,
    /// The packet time that is sent.
    pub ptime_ms: u8,
    /// Whether keys are telephone-events (RFC 4733); tones otherwise.
    pub telephone_events: bool,
    /// The crypto-suite that it is protected with (SRTP); null where it goes in the clear.
    pub srtp: Option<String>,
}
