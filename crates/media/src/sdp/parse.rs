//! The parser of session descriptions: one pass over the lines, borrowing from the body.
//!
//! Only what decides where audio goes is looked at; other lines are skipped, as RFC 8866 §5 asks for attributes that
//! are not understood. Lines may end in LF alone, as many devices send them.

use super::{Direction, SdpError};

/// The most `m=` lines: a call has one or two, a body of a thousand is an attack (reliability.md P5).
const MAX_MEDIA: usize = 16;
/// The most formats of one `m=` line, and mappings kept for them: there are 128 payload types in all.
const MAX_FORMATS: usize = 64;
/// The longest word of an `m=` line: an answer repeats them. The longest in use, `TCP/TLS/RTP/SAVPF`, has 17 bytes.
const MAX_WORD: usize = 64;
/// The most `a=crypto` lines kept of one stream: there are nine crypto-suites in all, and each is offered once or twice.
const MAX_CRYPTO: usize = 16;
/// The packet times that are taken, in milliseconds; any other is as if it were not there.
const PTIME_MS: std::ops::RangeInclusive<u8> = 10..=MAX_PTIME_MS;
/// The longest packet time, in milliseconds: what we take, and say so.
pub(super) const MAX_PTIME_MS: u8 = 60;

/// The names of the static payload types of audio (RFC 3551 table 4), which need no `a=rtpmap`.
const STATIC: [(u8, &str, u32); 16] = [
    (0, "PCMU", 8000),
    (3, "GSM", 8000),
    (4, "G723", 8000),
    (5, "DVI4", 8000),
    (6, "DVI4", 16000),
    (7, "LPC", 8000),
    (8, "PCMA", 8000),
    (9, "G722", 8000),
    (10, "L16", 44100),
    (11, "L16", 44100),
    (12, "QCELP", 8000),
    (13, "CN", 8000),
    (14, "MPA", 90000),
    (15, "G728", 8000),
    (16, "DVI4", 11025),
    (18, "G729", 8000),
];

/// What a description says about its streams.
pub(super) struct Description<'a> {
    /// The value of `t=`, which an answer repeats (RFC 3264 §6).
    pub(super) time: &'a str,
    /// The streams in their order.
    pub(super) media: Vec<Media<'a>>,
}

/// One `m=` line and what follows it.
pub(super) struct Media<'a> {
    pub(super) kind: &'a str,
    pub(super) port: u16,
    pub(super) protocol: &'a str,
    pub(super) formats: Vec<&'a str>,
    /// The value of its `c=` line, or of the session's.
    pub(super) connection: Option<&'a str>,
    /// Who sends, as seen by the peer.
    pub(super) direction: Direction,
    /// The value of `a=rtcp` (RFC 3605).
    pub(super) rtcp: Option<&'a str>,
    pub(super) ptime_ms: Option<u8>,
    pub(super) max_ptime_ms: Option<u8>,
    /// Whether RTCP may come to the port of RTP (RFC 5761).
    pub(super) rtcp_mux: bool,
    /// The values of its `a=crypto` lines (RFC 4568).
    pub(super) crypto: Vec<&'a str>,
    maps: Vec<Encoding<'a>>,
    /// Payload types and the values of their `a=fmtp`.
    parameters: Vec<(u8, &'a str)>,
}

/// An RTP profile: with or without protection, with or without feedback by RTCP (RFC 3551, 3711, 4585, 5124).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Avp,
    Avpf,
    Savp,
    Savpf,
}

impl Profile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Avpf => "RTP/AVPF",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
        }
    }

    fn of(protocol: &str) -> Option<Self> {
        let all = [Self::Avp, Self::Avpf, Self::Savp, Self::Savpf];
        all.into_iter().find(|profile| profile.name().eq_ignore_ascii_case(protocol))
    }

    /// Whether media over it is protected, always.
    pub(super) fn is_secure(self) -> bool {
        matches!(self, Self::Savp | Self::Savpf)
    }
}

/// What a payload type stands for.
#[derive(Clone, Copy)]
pub(super) struct Encoding<'a> {
    pub(super) payload_type: u8,
    pub(super) name: &'a str,
    pub(super) clock_rate: u32,
    pub(super) channels: u8,
    /// The value of its `a=fmtp`.
    pub(super) parameters: Option<&'a str>,
}

impl<'a> Description<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, SdpError> {
        let mut session = Session { time: "0 0", connection: None, direction: Direction::SendRecv };
        let mut media: Vec<Media<'a>> = Vec::new();
        let mut lines = body
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty());
        if lines.next() != Some(b"v=0") {
            return Err(malformed("it does not begin with v=0"));
        }
        for line in lines {
            let (kind, value) = split_line(line)?;
            // Text in another encoding is nothing that decides where audio goes (RFC 8866 §4.5).
            let Ok(value) = std::str::from_utf8(value) else {
                if matches!(kind, b'm' | b'c') {
                    return Err(malformed("an m= or c= line is not text"));
                }
                continue;
            };
            if kind == b'm' {
                if media.len() == MAX_MEDIA {
                    return Err(malformed("it has more than 16 m= lines"));
                }
                media.push(Media::parse(value, &session)?);
                continue;
            }
            match (kind, media.last_mut()) {
                (b'c', Some(stream)) => stream.connection = Some(value),
                (b'c', None) => session.connection = Some(value),
                (b'a', Some(stream)) => stream.attribute(value),
                (b'a', None) => session.direction = direction(value).unwrap_or(session.direction),
                (b't', None) if is_time(value) => session.time = value,
                _ => {}
            }
        }
        Ok(Self { time: session.time, media })
    }

    /// The streams that a call could use, and their places: audio over RTP that is not rejected (port 0).
    pub(super) fn audio(&self) -> impl Iterator<Item = (usize, Profile, &Media<'a>)> {
        self.media.iter().enumerate().filter_map(|(place, media)| Some((place, media.profile()?, media)))
    }
}

/// What stands before the first `m=` line and holds for all.
struct Session<'a> {
    time: &'a str,
    connection: Option<&'a str>,
    direction: Direction,
}

impl<'a> Media<'a> {
    /// `audio 49170[/2] RTP/AVP 0 8 101`
    fn parse(value: &'a str, session: &Session<'a>) -> Result<Self, SdpError> {
        let is_word = |word: &str| word.len() <= MAX_WORD && word.bytes().all(|byte| byte.is_ascii_graphic());
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        if !words.clone().all(is_word) {
            return Err(malformed("a word of an m= line is too long, or not printable"));
        }
        let (Some(kind), Some(ports), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(malformed("an m= line lacks its port or protocol"));
        };
        let port = ports.split('/').next().unwrap_or(ports);
        let port = number(port).ok_or_else(|| malformed("an m= line has no valid port"))?;
        let formats: Vec<_> = words.by_ref().take(MAX_FORMATS).collect();
        if words.next().is_some() {
            return Err(malformed("an m= line has more than 64 formats"));
        }
        if formats.is_empty() {
            return Err(malformed("an m= line has no format"));
        }
        Ok(Self {
            kind,
            port,
            protocol,
            formats,
            connection: session.connection,
            direction: session.direction,
            rtcp: None,
            ptime_ms: None,
            max_ptime_ms: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            maps: Vec::new(),
            parameters: Vec::new(),
        })
    }

    fn attribute(&mut self, attribute: &'a str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "rtpmap" if self.maps.len() < MAX_FORMATS => self.maps.extend(Encoding::parse(value)),
            "fmtp" if self.parameters.len() < MAX_FORMATS => self.parameters.extend(parameters(value)),
            "ptime" => self.ptime_ms = packet_time(value).or(self.ptime_ms),
            "maxptime" => self.max_ptime_ms = packet_time(value).or(self.max_ptime_ms),
            "rtcp" => self.rtcp = Some(value),
            "rtcp-mux" => self.rtcp_mux = true,
            "crypto" if self.crypto.len() < MAX_CRYPTO => self.crypto.push(value),
            _ => self.direction = direction(attribute).unwrap_or(self.direction),
        }
    }

    /// What its audio goes over; none where it is no audio that we could use.
    fn profile(&self) -> Option<Profile> {
        let is_audio = self.kind.eq_ignore_ascii_case("audio") && self.port != 0;
        Profile::of(self.protocol).filter(|_| is_audio)
    }

    /// What its formats stand for, in their order; a dynamic one without a mapping is nothing. The first mapping of a
    /// payload type counts, and so do its first parameters.
    pub(super) fn encodings(&self) -> impl Iterator<Item = Encoding<'a>> + '_ {
        self.formats.iter().filter_map(|format| {
            let payload_type = number::<u8>(format).filter(|&payload_type| payload_type < 128)?;
            let mapped = self.maps.iter().find(|map| map.payload_type == payload_type);
            let encoding = mapped.copied().or_else(|| Encoding::fixed(payload_type))?;
            let parameters = self.parameters.iter().find(|(number, _)| *number == payload_type);
            Some(Encoding { parameters: parameters.map(|(_, value)| *value), ..encoding })
        })
    }
}

impl<'a> Encoding<'a> {
    /// `101 telephone-event/8000[/1]`
    fn parse(value: &'a str) -> Option<Self> {
        let (payload_type, rest) = value.trim().split_once(' ')?;
        let mut parts = rest.trim().split('/');
        let (name, rate) = (parts.next()?, parts.next()?);
        let channels = parts.next().map_or(Some(1), number)?;
        let token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        let payload_type = number(payload_type).filter(|&payload_type: &u8| payload_type < 128)?;
        token.then_some(Self { payload_type, name, clock_rate: number(rate)?, channels, parameters: None })
    }

    fn fixed(payload_type: u8) -> Option<Self> {
        let &(_, name, clock_rate) = STATIC.iter().find(|(number, ..)| *number == payload_type)?;
        Some(Self { payload_type, name, clock_rate, channels: 1, parameters: None })
    }
}

/// A number of nothing but digits, in its range: no sign, no blank.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

pub(super) fn malformed(reason: &str) -> SdpError {
    SdpError::Malformed(reason.to_owned())
}

/// `x=value`; a value has no NUL and no bare CR (RFC 8866 §9), so nothing of a peer's body can break our lines.
fn split_line(line: &[u8]) -> Result<(u8, &[u8]), SdpError> {
    match line {
        [kind, b'=', value @ ..] if !value.iter().any(|byte| matches!(byte, 0 | b'\r')) => Ok((*kind, value)),
        _ => Err(malformed("a line is not of the form x=value")),
    }
}

fn direction(attribute: &str) -> Option<Direction> {
    match attribute {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// `101 0-15`: a payload type and its parameters.
fn parameters(value: &str) -> Option<(u8, &str)> {
    let (payload_type, parameters) = value.trim().split_once(' ')?;
    Some((number(payload_type)?, parameters.trim()))
}

fn packet_time(value: &str) -> Option<u8> {
    number(value.trim()).filter(|ms| PTIME_MS.contains(ms))
}

fn is_time(value: &str) -> bool {
    value
        .split_once(' ')
        .is_some_and(|(start, stop)| number::<u64>(start).is_some() && number::<u64>(stop).is_some())
}
