//! Session descriptions (RFC 8866) by offer and answer (RFC 3264): pure functions over one audio stream.
//!
//! ```text
//!   we are called:  their INVITE ──▶ answer() ──▶ our 200 OK, and what holds
//!   we call:        offer() ──▶ our INVITE … their 200 OK ──▶ accept() ──▶ what holds
//! ```
//! [`Session`] is a whole session of them, one after the other.
//! The answer names the offerer's payload types and mirrors its direction; every stream but the first of audio is
//! rejected with port 0 (RFC 3264 §6). What a body may hold is limited as reliability.md P5 and P6 say.

mod destination;
#[cfg(test)]
mod hostile;
mod parse;
mod session;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::codec::Codec;
pub use crate::sdp::destination::Destinations;
use crate::sdp::parse::{Description, Encoding, Media, malformed, number};
pub use crate::sdp::session::Session;

/// The payload type that we offer telephone-events with; the usual one of the dynamic range.
const TELEPHONE_EVENT: u8 = 101;

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
    /// Whether digits may travel as telephone-events (RFC 4733); otherwise they are tones in the audio.
    pub telephone_events: bool,
    /// The packet time we ask for, in milliseconds.
    pub ptime_ms: u8,
    /// The session id of our `o=` line, the same for all descriptions of one call.
    pub session_id: u64,
    /// The version of our `o=` line, one more for each changed description.
    pub version: u64,
    /// Where media may be sent.
    pub destinations: Arc<Destinations>,
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
    /// Its address is nothing that media may be sent to: multicast, broadcast, a host name, of another address
    /// family than ours, loopback from outside, beyond the allowed networks, or our own port.
    BadAddress,
}

/// The payload types that we offer.
#[derive(Clone, Debug)]
struct Encodings {
    audio: Vec<(Codec, u8)>,
    telephone_event: u8,
}

/// Our offer: all codecs in order of preference and telephone-events, sending and receiving.
pub fn offer(local: &LocalMedia) -> String {
    offer_as(local, &Encodings::of(local), &[], &[])
}

fn offer_as(local: &LocalMedia, encodings: &Encodings, before: &[String], after: &[String]) -> String {
    let mut text = head(local, "0 0");
    text.extend(before.iter().map(String::as_str));
    let event = local.telephone_events.then_some(encodings.telephone_event);
    write_audio(&mut text, local, &encodings.audio, event, Direction::SendRecv);
    text.extend(after.iter().map(String::as_str));
    text
}

/// Our answer to an offer, and what it means. The codec is the first of the offer's that we have.
///
/// # Errors
/// [`SdpError`]: the offer cannot be answered (488), and nothing that held before it has changed.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(String, Negotiated), SdpError> {
    answer_as(offer, local, None)
}

/// The codec is that in use, if it is offered.
fn answer_as(
    offer: &[u8],
    local: &LocalMedia,
    in_use: Option<Codec>,
) -> Result<(String, Negotiated), SdpError> {
    let description = Description::parse(offer)?;
    let (place, audio) = description.audio()?;
    let chosen = Chosen::of(audio, local, in_use)?;
    let remote = Remote::of(audio, local)?;
    let mut text = head(local, description.time);
    for (index, media) in description.media.iter().enumerate() {
        if index == place {
            let encoding = [(chosen.codec, chosen.payload_type)];
            write_audio(&mut text, local, &encoding, chosen.telephone_event, remote.direction);
        } else {
            text.push_str(&rejected(media));
        }
    }
    // An answer names the offerer's payload types, so both directions use the same.
    let telephone_event = chosen
        .telephone_event
        .map(|number| TelephoneEvent { send_payload_type: number, receive_payload_type: number });
    let negotiated = remote.negotiated(&chosen, chosen.payload_type, telephone_event);
    Ok((text, negotiated))
}

/// What the peer's answer to our [`offer`] means. It may name payload types of its own, which are then those that we
/// send with (RFC 3264 §6.1).
///
/// # Errors
/// [`SdpError`]: the answer cannot be used.
pub fn accept(answer: &[u8], local: &LocalMedia) -> Result<Negotiated, SdpError> {
    accept_as(answer, local, &Encodings::of(local), None)
}

fn accept_as(
    answer: &[u8],
    local: &LocalMedia,
    offered: &Encodings,
    in_use: Option<Codec>,
) -> Result<Negotiated, SdpError> {
    let description = Description::parse(answer)?;
    let (_, audio) = description.audio()?;
    let chosen = Chosen::of(audio, local, in_use)?;
    let remote = Remote::of(audio, local)?;
    let numbers = offered.audio.iter().find(|(codec, _)| *codec == chosen.codec);
    let (_, receive_payload_type) = *numbers.ok_or(SdpError::NoCommonCodec)?;
    let telephone_event = chosen.telephone_event.map(|number| TelephoneEvent {
        send_payload_type: number,
        receive_payload_type: offered.telephone_event,
    });
    Ok(remote.negotiated(&chosen, receive_payload_type, telephone_event))
}

/// The line that refuses a stream, or keeps it refused (RFC 3264 §6, §8.2).
fn rejected(media: &Media<'_>) -> String {
    let format = media.formats.first().copied().unwrap_or("0");
    format!("m={} 0 {} {format}\r\n", media.kind, media.protocol)
}

/// The names of the codecs that an offer has, in its order and each once, whether we have them or not: as the API spells
/// them, or as the offer does where the API has no name for one.
///
/// # Errors
/// [`SdpError`]: it is no description, or has no audio.
pub fn offered(offer: &[u8]) -> Result<Vec<String>, SdpError> {
    let description = Description::parse(offer)?;
    let (_, audio) = description.audio()?;
    let mut names: Vec<String> = Vec::new();
    for encoding in audio.encodings() {
        // Neither is a codec: they are keys and comfort noise beside one.
        let beside = ["telephone-event", "CN"].iter().any(|name| name.eq_ignore_ascii_case(encoding.name));
        if !beside && !names.iter().any(|name| name.eq_ignore_ascii_case(encoding.name)) {
            let known = API_NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(encoding.name));
            names.push(known.unwrap_or(encoding.name).to_owned());
        }
    }
    Ok(names)
}

/// What is used of a stream that the peer describes.
struct Chosen {
    codec: Codec,
    payload_type: u8,
    telephone_event: Option<u8>,
    ptime_ms: u8,
}

impl Chosen {
    fn of(audio: &Media<'_>, local: &LocalMedia, in_use: Option<Codec>) -> Result<Self, SdpError> {
        let ours = |encoding: Encoding<'_>| {
            let codec = Codec::from_rtpmap(encoding.name, encoding.clock_rate, encoding.channels)?;
            local.codecs.contains(&codec).then_some((codec, encoding.payload_type))
        };
        let mut common = audio.encodings().filter_map(ours);
        let stays = audio.encodings().filter_map(ours).find(|(codec, _)| Some(*codec) == in_use);
        let (codec, payload_type) = stays.or_else(|| common.next()).ok_or(SdpError::NoCommonCodec)?;
        let telephone_event = audio.encodings().find(|encoding| {
            local.telephone_events
                && encoding.name.eq_ignore_ascii_case("telephone-event")
                && encoding.clock_rate == codec.clock_rate()
                && (96..128).contains(&encoding.payload_type)
        });
        let wanted = audio.ptime_ms.unwrap_or(local.ptime_ms);
        Ok(Self {
            codec,
            payload_type,
            telephone_event: telephone_event.map(|encoding| encoding.payload_type),
            ptime_ms: audio.max_ptime_ms.map_or(wanted, |longest| wanted.min(longest)),
        })
    }
}

/// Where the peer wants its media, and who sends.
struct Remote {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// As seen from here.
    direction: Direction,
}

impl Remote {
    fn of(audio: &Media<'_>, local: &LocalMedia) -> Result<Self, SdpError> {
        let connection = audio.connection.ok_or_else(|| malformed("it has no connection address"))?;
        let address = destination::address(connection, local)?;
        let rtp = SocketAddr::new(address, audio.port);
        let (port, own_address) = match audio.rtcp.map(|value| value.split_once(' ').unwrap_or((value, ""))) {
            Some((port, address)) if number::<u16>(port).is_some_and(|port| port != 0) => {
                (number(port), address)
            }
            _ => (audio.port.checked_add(1), ""),
        };
        let port = port.ok_or_else(|| malformed("it has no port for RTCP"))?;
        let address =
            if own_address.is_empty() { address } else { destination::address(own_address, local)? };
        let rtcp = SocketAddr::new(address, port);
        destination::check(rtp, local)?;
        destination::check(rtcp, local)?;
        // Hold the old way (RFC 3264 §8.4): an address of zeros hears nothing.
        let hears_nothing = rtp.ip().is_unspecified();
        let direction = match (audio.direction, hears_nothing) {
            (Direction::SendRecv, false) => Direction::SendRecv,
            (Direction::RecvOnly, false) => Direction::SendOnly,
            (Direction::SendOnly, _) | (Direction::SendRecv, true) => Direction::RecvOnly,
            (Direction::Inactive, _) | (Direction::RecvOnly, true) => Direction::Inactive,
        };
        Ok(Self { rtp, rtcp, direction })
    }

    fn negotiated(self, chosen: &Chosen, receive: u8, telephone_event: Option<TelephoneEvent>) -> Negotiated {
        Negotiated {
            codec: chosen.codec,
            send_payload_type: chosen.payload_type,
            receive_payload_type: receive,
            telephone_event,
            remote_rtp: self.rtp,
            remote_rtcp: self.rtcp,
            ptime_ms: chosen.ptime_ms,
            direction: self.direction,
        }
    }
}

/// The session part of our descriptions; the time is the offerer's (RFC 3264 §6).
fn head(local: &LocalMedia, time: &str) -> String {
    let LocalMedia { address, session_id, version, .. } = local;
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=offhook {session_id} {version} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt={time}\r\n"
    )
}

fn write_audio(
    text: &mut String,
    local: &LocalMedia,
    encodings: &[(Codec, u8)],
    telephone_event: Option<u8>,
    direction: Direction,
) {
    // Writing to a string cannot fail.
    let _ = write!(text, "m=audio {} RTP/AVP", local.port);
    for payload_type in encodings.iter().map(|(_, payload_type)| *payload_type).chain(telephone_event) {
        let _ = write!(text, " {payload_type}");
    }
    text.push_str("\r\n");
    for (codec, payload_type) in encodings {
        let _ = write!(text, "a=rtpmap:{payload_type} {}/{}\r\n", codec.name(), codec.clock_rate());
    }
    if let Some(payload_type) = telephone_event {
        let _ =
            write!(text, "a=rtpmap:{payload_type} telephone-event/8000\r\na=fmtp:{payload_type} 0-15\r\n");
    }
    let direction = match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    };
    let _ = write!(text, "a=ptime:{}\r\na={direction}\r\n", local.ptime_ms);
}
