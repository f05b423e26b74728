//! What methods return, and the values that results and events share.

use serde::{Deserialize, Serialize};

/// What an acknowledgement was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acked {
    /// How many subscriptions with a group this connection has.
    pub subscriptions: u64,
}

/// The states of `call-api.md` §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "the names are the API's own, explained in its table")]
pub enum CallState {
    Initiated,
    Answer,
    Idle,
    Play,
    Record,
    SendDtmf,
    ReceiveDtmf,
    Dial,
    Connect,
    Conf,
    Released,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CallDir {
    /// The far end called the node.
    Inbound,
    /// The node called the far end.
    Outbound,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DroppedBy {
    /// The node: a request, a time limit, a fault.
    #[serde(rename = "sys")]
    System,
    /// The far end.
    #[serde(rename = "usr")]
    User,
}

/// Where a call lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IpscInfo {
    /// The process of the node, below 2^53.
    pub process_id: u64,
    /// The SIP Call-ID, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
}

/// The result of `sys.call.construct`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Constructed {
    /// The new call.
    pub res_id: String,
    /// Where it lives.
    pub ipsc_info: IpscInfo,
    /// As it was given.
    pub user_data: Option<String>,
}

/// The result of `sys.call.record_start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recording {
    /// The file, relative to the recordings directory.
    pub record_file: String,
}

/// The result of `send_message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageSent {
    /// The name of the message, which `on_message_completed` repeats; below 2^53.
    pub message_id: u64,
}

/// One of the results of `sys.node.gateways`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayInfo {
    /// Its name.
    pub name: String,
    /// Where it is, in the order to try: `host[:port][;transport=…]`.
    pub addresses: Vec<String>,
    /// Whether it is asked whether it is there (OPTIONS).
    #[serde(default)]
    pub pinged: bool,
    /// Whether it answers to that; null where it is not asked, or it is not known yet.
    pub up: Option<bool>,
    /// Whether the node is registered with it; null where it does not register.
    pub registered: Option<bool>,
    /// The calls that count against `max_calls`.
    pub calls: u64,
    /// The most calls at a time; 0: no limit of its own.
    pub max_calls: u64,
    /// The most new calls in a second; 0: no limit of its own.
    pub calls_per_second: u32,
    /// How long it is not called yet, having said when to come back (503 with Retry-After); null where it may be.
    #[serde(default)]
    pub rest_seconds: Option<u64>,
}

/// The result of `sys.call.get`: all that is known of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallInfo {
    /// The call.
    pub res_id: String,
    /// Its state.
    pub state: CallState,
    /// Who called whom.
    pub call_dir: CallDir,
    /// The caller's URI.
    pub from_uri: String,
    /// The caller's name, if it has one.
    #[serde(default)]
    pub from_name: Option<String>,
    /// The callee's URI.
    pub to_uri: String,
    /// The name of the gateway that it came from, or goes to.
    #[serde(default)]
    pub gateway: Option<String>,
    /// When it began, Unix time in seconds.
    pub begin_time: i64,
    /// When it was answered, Unix time in seconds.
    pub answer_time: Option<i64>,
    /// As given to `construct` or `answer`.
    pub user_data: Option<String>,
    /// Where it lives.
    pub ipsc_info: IpscInfo,
    /// The codec, once negotiated.
    pub codec: Option<String>,
    /// The crypto-suite that its media is protected with (SRTP); null where it goes in the clear.
    #[serde(default)]
    pub srtp: Option<String>,
    /// Where its media goes, once negotiated: address and port.
    pub remote_media: Option<String>,
    /// Its local RTP port.
    pub local_port: Option<u16>,
    /// The other party of a connection.
    pub connected_to: Option<String>,
    /// The conference that it is in.
    #[serde(default)]
    pub conf_res_id: Option<String>,
    /// What its media has seen, as of the last second: the media tells it once a second, and 0 before.
    pub media: MediaStats,
}

/// What the media of a call has seen (RFC 3550 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MediaStats {
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP payload bytes sent.
    pub bytes_sent: u64,
    /// RTP packets received and accepted.
    pub packets_received: u64,
    /// RTP payload bytes received.
    pub bytes_received: u64,
    /// Packets that never came; what came twice makes up for none.
    pub packets_lost: i64,
    /// Packets that came too late to be played.
    pub packets_late: u64,
    /// Packets refused: malformed, there before (SRTP), or of a payload type that was not negotiated.
    pub packets_refused: u64,
    /// Packets refused because they are not protected with the peer's key (SRTP): forged, damaged, or in the clear.
    #[serde(default)]
    pub packets_not_authentic: u64,
    /// Interarrival jitter in milliseconds.
    pub jitter_ms: f64,
    /// Round trip in milliseconds, once both ends have reported.
    pub round_trip_ms: Option<f64>,
    /// What the peer says it lost of our packets.
    pub remote_lost: Option<i64>,
    /// Milliseconds that were made up for packets that were lost or late, where they were heard here.
    pub concealed_ms: u64,
    /// An estimate of the mean opinion score of what arrives (ITU-T G.107), 1 to 4.41, once something has.
    pub mos: Option<f64>,
}
