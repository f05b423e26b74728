//! What is used of a description of the peer's: which stream, which codec, which keys, and where its media goes.

use std::net::SocketAddr;

use super::crypto::Crypto;
use super::numbers::Beside;
use super::parse::{Description, Encoding, Media, Profile, malformed, number};
use super::{
    ComfortNoise, Direction, Events, LocalMedia, Negotiated, Order, SdpError, TelephoneEvent, destination,
};
use crate::codec::{Codec, SAMPLE_RATE, opus};
use crate::srtp::{Keys, Protection};

/// The stream of an offer that is used.
pub(super) struct Taken<'a> {
    pub(super) place: usize,
    pub(super) profile: Profile,
    pub(super) audio: &'a Media<'a>,
    /// The keys that the offer names; none: it goes in the clear.
    pub(super) crypto: Option<Crypto>,
}

impl<'a> Taken<'a> {
    /// The first stream of audio that the policy allows. Some offer the same stream twice, protected and not.
    pub(super) fn of(offer: &'a Description<'a>, policy: Protection) -> Result<Self, SdpError> {
        let mut error = SdpError::NoAudio;
        for (place, profile, audio) in offer.audio() {
            // The offerer's first that we know, since it prefers that (RFC 4568 §5.1.2).
            let crypto = match policy {
                Protection::Off => None,
                Protection::Optional | Protection::Required => {
                    audio.crypto.iter().find_map(|line| Crypto::parse(line))
                }
            };
            if is_allowed(policy, profile, crypto.is_some()) {
                return Ok(Self { place, profile, audio, crypto });
            }
            error = unprotected(policy, audio);
        }
        Err(error)
    }
}

/// The stream of an answer, and the keys that it agrees to of those that we offered.
pub(super) fn answered<'a>(
    answer: &'a Description<'a>,
    policy: Protection,
    offered: &[Crypto],
) -> Result<(Profile, &'a Media<'a>, Option<Keys>), SdpError> {
    let (_, profile, audio) = answer.audio().next().ok_or(SdpError::NoAudio)?;
    let keys = agreed(audio, offered)?;
    if is_allowed(policy, profile, keys.is_some()) {
        Ok((profile, audio, keys))
    } else {
        Err(unprotected(policy, audio))
    }
}

/// The keys that an answer agrees to; none where it has no line of them, or where we have offered none.
///
/// One that has a line is protected by whoever wrote it. If that is not exactly one of our suites under its own tag
/// (RFC 4568 §5.1.3), there is nothing to open it by: to take it for plain RTP would be to send in the clear what both sides
/// want protected, and to hear noise.
fn agreed(audio: &Media<'_>, offered: &[Crypto]) -> Result<Option<Keys>, SdpError> {
    if offered.is_empty() {
        return Ok(None);
    }
    let line = match audio.crypto[..] {
        [] => return Ok(None),
        [line] => line,
        [..] => return Err(SdpError::CryptoAnswer("more than once")),
    };
    let theirs = Crypto::parse(line).ok_or_else(|| match Crypto::unfit(line) {
        Some(parameter) => SdpError::CryptoParameter(parameter),
        None => SdpError::CryptoAnswer("of a suite or a form that is not known here"),
    })?;
    let ours = offered.iter().find(|ours| ours.tag == theirs.tag);
    let ours = ours.ok_or(SdpError::CryptoAnswer("of a tag that was not offered"))?;
    if ours.key.suite() != theirs.key.suite() {
        return Err(SdpError::CryptoAnswer("of another suite than its tag was offered with"));
    }
    Ok(Some(Keys { ours: ours.key, our_mki: ours.mki, theirs: theirs.key, their_mki: theirs.mki }))
}

/// Why a stream is not protected as it has to be: something that its keys ask for, where that alone is why.
fn unprotected(policy: Protection, audio: &Media<'_>) -> SdpError {
    if policy == Protection::Off {
        return SdpError::Protected;
    }
    let unfit = audio.crypto.iter().find_map(|line| Crypto::unfit(line));
    unfit.map_or(SdpError::NoKeys, SdpError::CryptoParameter)
}

fn is_allowed(policy: Protection, profile: Profile, has_keys: bool) -> bool {
    let must = profile.is_secure() || policy == Protection::Required;
    has_keys || !must
}

/// What is used of a stream that the peer describes.
pub(super) struct Chosen {
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    /// What else of it we have.
    pub(super) others: Vec<Codec>,
    pub(super) telephone_event: Option<ChosenEvents>,
    pub(super) comfort_noise: Option<u8>,
    opus: opus::Wishes,
    ptime_ms: u8,
    /// The longest that the peer takes, where it says so.
    max_ptime_ms: Option<u8>,
}

/// What is used of the telephone-events that the peer describes.
#[derive(Clone, Copy)]
pub(super) struct ChosenEvents {
    pub(super) payload_type: u8,
    pub(super) clock_rate: u32,
    /// Those that the peer takes.
    pub(super) events: Events,
}

impl Chosen {
    /// The codec in use as long as it is there, else the first by `order`.
    pub(super) fn of(
        audio: &Media<'_>,
        local: &LocalMedia,
        order: Order,
        in_use: Option<Codec>,
    ) -> Result<Self, SdpError> {
        let codec_of = |it: &Encoding<'_>| Codec::from_rtpmap(it.name, it.clock_rate, it.channels);
        let ours = |it: &Encoding<'_>| codec_of(it).filter(|codec| local.codecs.contains(codec));
        let common: Vec<(Codec, Encoding<'_>)> =
            audio.encodings().filter_map(|it| Some((ours(&it)?, it))).collect();
        let find = |wanted: Codec| common.iter().find(|(codec, _)| *codec == wanted);
        let first = match order {
            Order::Theirs => common.first(),
            Order::Ours => local.codecs.iter().find_map(|&codec| find(codec)),
        };
        let &(codec, encoding) = in_use.and_then(find).or(first).ok_or(SdpError::NoCommonCodec)?;
        let beside = |wanted: Beside, clock_rate: u32| {
            let mut encodings = audio.encodings().filter(|_| wanted.goes_with(codec, local));
            encodings.find(|encoding| wanted.is(encoding, clock_rate))
        };
        // Many name events of 8 kHz alone, whatever their audio.
        let events = [codec.clock_rate(), SAMPLE_RATE]
            .into_iter()
            .find_map(|clock_rate| beside(Beside::TelephoneEvent, clock_rate));
        let wanted = audio.ptime_ms.unwrap_or(local.ptime_ms);
        Ok(Self {
            codec,
            payload_type: encoding.payload_type,
            others: common.iter().map(|(other, _)| *other).filter(|other| *other != codec).collect(),
            telephone_event: events.and_then(|Encoding { payload_type, clock_rate, parameters, .. }| {
                Some(ChosenEvents { payload_type, clock_rate, events: Events::of(parameters)? })
            }),
            comfort_noise: beside(Beside::ComfortNoise, codec.clock_rate()).map(|it| it.payload_type),
            opus: encoding.parameters.filter(|_| codec == Codec::Opus).map(opus_wishes).unwrap_or_default(),
            ptime_ms: audio.max_ptime_ms.map_or(wanted, |longest| wanted.min(longest)),
            max_ptime_ms: audio.max_ptime_ms,
        })
    }
}

/// What a peer asks of the Opus that it hears (RFC 7587 §6.1). A value out of its range is as if it were not there; so is
/// what it says of the Opus that it sends (`sprop-…`), which we play whatever it is, and `stereo`: we have one channel.
fn opus_wishes(parameters: &str) -> opus::Wishes {
    let mut wishes = opus::Wishes::default();
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value: Option<u32> = number(value.trim());
        match (name.trim().to_ascii_lowercase().as_str(), value) {
            ("maxplaybackrate", Some(rate)) if opus::RATES.contains(&rate) => wishes.playback_rate = rate,
            ("maxaveragebitrate", Some(rate)) if opus::BIT_RATES.contains(&rate) => {
                wishes.max_bitrate = Some(rate);
            }
            ("useinbandfec", Some(wish @ 0..=1)) => wishes.fec = wish == 1,
            ("usedtx", Some(wish @ 0..=1)) => wishes.dtx = wish == 1,
            ("cbr", Some(wish @ 0..=1)) => wishes.cbr = wish == 1,
            _ => {}
        }
    }
    wishes
}

/// The payload types that what is used arrives with.
pub(super) struct Receives {
    pub(super) audio: u8,
    pub(super) also: Vec<(u8, Codec)>,
    pub(super) telephone_event: Option<u8>,
    pub(super) comfort_noise: Option<u8>,
}

/// Where the peer wants its media, and who sends.
pub(super) struct Remote {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    rtcp_mux: bool,
    /// As seen from here.
    pub(super) direction: Direction,
}

impl Remote {
    /// `rtcp_mux`: whether RTCP shares the port of RTP, since both sides said so.
    pub(super) fn of(audio: &Media<'_>, local: &LocalMedia, rtcp_mux: bool) -> Result<Self, SdpError> {
        let connection = audio.connection.ok_or_else(|| malformed("it has no connection address"))?;
        let address = destination::address(connection, local)?;
        let rtp = SocketAddr::new(address, audio.port);
        let rtcp = if rtcp_mux { rtp } else { reports(audio, rtp, local)? };
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
        Ok(Self { rtp, rtcp, rtcp_mux, direction })
    }

    pub(super) fn negotiated(self, chosen: &Chosen, receives: Receives, keys: Option<Keys>) -> Negotiated {
        let events = chosen.telephone_event.zip(receives.telephone_event);
        let noise = chosen.comfort_noise.zip(receives.comfort_noise);
        Negotiated {
            codec: chosen.codec,
            send_payload_type: chosen.payload_type,
            receive_payload_type: receives.audio,
            also_received: receives.also,
            telephone_event: events.map(|(chosen, receive_payload_type)| {
                let ChosenEvents { payload_type: send_payload_type, clock_rate, events } = chosen;
                TelephoneEvent { send_payload_type, receive_payload_type, events, clock_rate }
            }),
            opus: chosen.opus,
            comfort_noise: noise.map(|(send_payload_type, receive_payload_type)| ComfortNoise {
                send_payload_type,
                receive_payload_type,
            }),
            remote_rtp: self.rtp,
            remote_rtcp: self.rtcp,
            rtcp_mux: self.rtcp_mux,
            ptime_ms: chosen.ptime_ms,
            max_ptime_ms: chosen.max_ptime_ms,
            direction: self.direction,
            keys,
        }
    }
}

/// Where RTCP goes that has a port of its own: the next one, or as `a=rtcp` says (RFC 3605).
fn reports(audio: &Media<'_>, rtp: SocketAddr, local: &LocalMedia) -> Result<SocketAddr, SdpError> {
    let (port, address) = match audio.rtcp.map(|value| value.split_once(' ').unwrap_or((value, ""))) {
        Some((port, address)) if number::<u16>(port).is_some_and(|port| port != 0) => (number(port), address),
        _ => (audio.port.checked_add(1), ""),
    };
    let port = port.ok_or_else(|| malformed("it has no port for RTCP"))?;
    let address = if address.is_empty() { rtp.ip() } else { destination::address(address, local)? };
    Ok(SocketAddr::new(address, port))
}
