//! Session descriptions (RFC 8866) by offer and answer (RFC 3264): pure functions over one audio stream.

use std::net::{IpAddr, SocketAddr};

use crate::codec::Codec;

/// Our side of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that RTP shall be sent to.
    pub address: IpAddr,
    /// The RTP port; RTCP has the next.
    pub port: u16,
    /// Codecs in order of preference, at least one.
    pub codecs: Vec<Codec>,
    /// The packet time we ask for, in milliseconds.
    pub ptime_ms: u8,
    /// The session id of our `o=` line, the same for all descriptions of one call.
    pub session_id: u64,
    /// The version of our `o=` line, one more for each changed description.
    pub version: u64,
}

/// What two sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec of both directions.
    pub codec: Codec,
    /// The payload type that we send it with.
    pub send_payload_type: u8,
    /// The payload type that it arrives with.
    pub receive_payload_type: u8,
    /// Telephone-events, if both sides have them.
    pub telephone_event: Option<TelephoneEvent>,
    /// Where our RTP goes.
    pub remote_rtp: SocketAddr,
    /// Where our RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// The packet time that we send with, in milliseconds, 10–60.
    pub ptime_ms: u8,
    /// Who sends.
    pub direction: Direction,
}

/// The payload types of telephone-events (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type that we send them with.
    pub send_payload_type: u8,
    /// The payload type that they arrive with.
    pub receive_payload_type: u8,
}

/// Who sends, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both sides.
    SendRecv,
    /// Only we.
    SendOnly,
    /// Only the peer.
    RecvOnly,
    /// Nobody: the call is on hold.
    Inactive,
}

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is no session description; says where it fails.
    Malformed(String),
    /// It has no audio stream over RTP/AVP that is not rejected.
    NoAudio,
    /// None of its codecs is ours.
    NoCommonCodec,
    /// Its address is nothing that media may be sent to: multicast, broadcast, or a host name.
    BadAddress,
}
