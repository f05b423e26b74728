//! Session descriptions (RFC 8866) by offer and answer (RFC 3264): pure functions over one audio stream.
//!
//! ```text
//!   we are called:  their INVITE ──▶ answer() ──▶ our 200 OK, and what holds
//!   we call:        offer() ──▶ our INVITE … their 200 OK ──▶ accept() ──▶ what holds
//! ```
//! [`Session`] is a whole session of them, one after the other; the functions here are sessions of one.
//! The answer names the offerer's payload types and mirrors its direction; every stream but the first of audio that may be
//! used is rejected with port 0 (RFC 3264 §6). What a body may hold is limited as reliability.md P5 and P6 say.
//!
//! Protection (SRTP, RFC 4568) goes by [`Protection`]: `Required` offers RTP/SAVP; `Optional` offers RTP/AVP with keys, which
//! one who knows no keys reads as plain RTP (RFC 8643); an offer of either form is answered in its own form.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod beside;
mod choice;
#[cfg(test)]
mod codecs;
mod crypto;
mod destination;
mod events;
#[cfg(test)]
mod hostile;
mod numbers;
mod outline;
mod parse;
#[cfg(test)]
mod protected;
mod session;
#[cfg(test)]
mod tests;
mod write;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codec::{Codec, opus};
use crate::dtmf::event::EventClocks;
pub use crate::sdp::destination::Destinations;
pub use crate::sdp::events::Events;
pub(crate) use crate::sdp::numbers::COMFORT_NOISE;
pub use crate::sdp::outline::{Outline, outline};
pub use crate::sdp::session::Session;
pub use crate::srtp::{Keys, MasterKey, Protection, Seed, Suite};

/// The codecs that the API has a name for, as it spells them (`call-api.md` §7). In a description case means nothing
/// (RFC 8866 §6.6).
const API_NAMES: [&str; 5] = ["PCMA", "PCMU", "G722", "opus", "GSM"];

/// Our side of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address that RTP shall be sent to.
    pub address: IpAddr,
    /// The RTP port; RTCP has the next.
    pub port: u16,
    /// Codecs in order of preference, at least one.
    pub codecs: Vec<Codec>,
    /// Whose order of codecs an answer goes by.
    pub order: Order,
    /// Whether digits may travel as telephone-events (RFC 4733); otherwise they are tones in the audio.
    pub telephone_events: bool,
    /// Whether pauses may be described as comfort noise (RFC 3389) instead of being sent, beside codecs that cannot do so
    /// themselves.
    pub comfort_noise: bool,
    /// Whether our offers let RTCP come to the port of RTP (RFC 5761). Offers that do are answered so in any case.
    pub rtcp_mux: bool,
    /// Whether media is protected.
    pub protection: Protection,
    /// What our keys are drawn from; each session draws others.
    pub seed: Seed,
    /// The packet time we ask for, in milliseconds.
    pub ptime_ms: u8,
    /// The session id of our `o=` line, the same for all descriptions of one call.
    pub session_id: u64,
    /// The version of our `o=` line, one more for each changed description.
    pub version: u64,
    /// Where media may be sent.
    pub destinations: Arc<Destinations>,
}

/// Whose order of codecs counts where we answer. Who offers orders by preference, and the answer should go by that
/// (RFC 3264 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of the offer.
    #[default]
    Theirs,
    /// That of [`LocalMedia::codecs`].
    Ours,
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
    /// What else may arrive, by its payload types: a peer that answers with several codecs may send any of them at any moment (RFC
    /// 3264 §7).
    pub also_received: Vec<(u8, Codec)>,
    /// Telephone-events, if both sides have them.
    pub telephone_event: Option<TelephoneEvent>,
    /// What the peer asks of the Opus that we send, where that is the codec.
    pub opus: opus::Wishes,
    /// Comfort noise, if both sides have it.
    pub comfort_noise: Option<ComfortNoise>,
    /// Where our RTP goes.
    pub remote_rtp: SocketAddr,
    /// Where our RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// Whether RTCP goes from and to the ports of RTP (RFC 5761).
    pub rtcp_mux: bool,
    /// The packet time that we send with, in milliseconds, 10–60.
    pub ptime_ms: u8,
    /// The longest packet that the peer takes, in milliseconds, 10–60, where it says so.
    pub max_ptime_ms: Option<u8>,
    /// Who sends.
    pub direction: Direction,
    /// The keys that everything is protected with; none: it goes in the clear.
    pub keys: Option<Keys>,
}

impl Negotiated {
    /// Whether something of it arrives with this payload type.
    pub(crate) fn receives(&self, payload_type: u8) -> bool {
        payload_type == self.receive_payload_type
            || self.also_received.iter().any(|(number, _)| *number == payload_type)
            || self.telephone_event.is_some_and(|event| event.receive_payload_type == payload_type)
            || self.comfort_noise.is_some_and(|noise| noise.receive_payload_type == payload_type)
    }

    /// What telephone-events count by.
    pub(crate) fn event_clocks(&self) -> EventClocks {
        let audio = self.codec.clock_rate();
        EventClocks::new(self.telephone_event.map_or(audio, |event| event.clock_rate), audio)
    }

    /// A codec in both directions with a peer at this address and nothing beside: in the clear, 20 ms a packet, by the static
    /// payload type or 96, the first of the dynamic ones.
    pub fn plain(codec: Codec, remote: SocketAddr) -> Self {
        let payload_type = codec.static_payload_type().unwrap_or(96);
        Self {
            codec,
            send_payload_type: payload_type,
            receive_payload_type: payload_type,
            also_received: Vec::new(),
            telephone_event: None,
            opus: opus::Wishes::default(),
            comfort_noise: None,
            remote_rtp: remote,
            remote_rtcp: remote,
            rtcp_mux: false,
            ptime_ms: 20,
            max_ptime_ms: None,
            direction: Direction::SendRecv,
            keys: None,
        }
    }
}

/// The payload types of telephone-events (RFC 4733), which of them, and what they count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The payload type that we send them with.
    pub send_payload_type: u8,
    /// The payload type that they arrive with.
    pub receive_payload_type: u8,
    /// Those that the peer takes. A key that is not among them is sent as a tone.
    pub events: Events,
    /// Ticks of their durations in a second: the clock of the codec, or that of telephones with a peer that names no other. Their
    /// timestamps count by the codec either way (RFC 4733 §2.1).
    pub clock_rate: u32,
}

/// The payload types of comfort noise (RFC 3389), by the clock of the codec: 13 where that is 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComfortNoise {
    /// The payload type that we send it with.
    pub send_payload_type: u8,
    /// The payload type that it arrives with.
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

impl Direction {
    /// As a description has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// It is no session description; says where it fails.
    Malformed(String),
    /// It has no audio stream over RTP that is not rejected.
    NoAudio,
    /// None of its codecs is ours.
    NoCommonCodec,
    /// Its audio is protected (RTP/SAVP) where ours must not be.
    Protected,
    /// Its audio has to be protected, by its own profile or by our policy, and it has no keys of a suite that we have.
    NoKeys,
    /// It is protected, but by keys that ask for something that we do not do: what that is.
    CryptoParameter(&'static str),
    /// Its keys are no answer to those that we offered (RFC 4568 §5.1.3): what they are.
    CryptoAnswer(&'static str),
    /// Its address is nothing that media may be sent to: multicast, broadcast, a host name, of another address
    /// family than ours, loopback from outside, beyond the allowed networks, or our own port.
    BadAddress,
}

/// Our offer: all codecs in order of preference, telephone-events and comfort noise, sending and receiving.
pub fn offer(local: &LocalMedia) -> String {
    Session::new(local.clone()).offer()
}

/// Our answer to an offer, and what it means. The codec is the first of the offer's that we have, or of ours that it has
/// ([`LocalMedia::order`]).
///
/// # Errors
/// [`SdpError`]: the offer cannot be answered (488), and nothing that held before it has changed.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(String, Negotiated), SdpError> {
    Session::new(local.clone()).answer(offer)
}

/// What the peer's answer to our [`offer`] means. It may name payload types of its own, which are then those that we
/// send with (RFC 3264 §6.1).
///
/// # Errors
/// [`SdpError`]: the answer cannot be used.
pub fn accept(answer: &[u8], local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let mut session = Session::new(local.clone());
    session.offer();
    session.accept(answer)
}

/// The names of the codecs that an offer has, in its order and each once, whether we have them or not: as the API spells
/// them, or as the offer does where the API has no name for one.
///
/// # Errors
/// [`SdpError`]: it is no description, or has no audio.
pub fn offered(offer: &[u8]) -> Result<Vec<String>, SdpError> {
    Ok(outline(offer)?.codecs)
}
