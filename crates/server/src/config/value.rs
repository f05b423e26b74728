//! The values of the configuration that are more than a number or a text. Each is read from a string, refuses what it
//! cannot be with a sentence that says what it expects, and prints as it is written.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use offhook_call::ToneDetection;
use offhook_call::id::NodeId;
use offhook_call::prompt::Language;
use offhook_media::event::{Codec, Country, Gain, Idle};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Reading from a string by `FromStr` and writing by `Display`, as `try_from`/`into` want it.
macro_rules! as_string {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}
as_string!(Listener, Advertise, HostPort, Network, PortRange, CodecName, CountryName);

/// Where SIP is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Listener {
    /// One message per datagram.
    Udp(SocketAddr),
    /// A stream.
    Tcp(SocketAddr),
    /// A stream inside TLS.
    Tls(SocketAddr),
}

impl Listener {
    /// The address to bind.
    pub fn address(self) -> SocketAddr {
        match self {
            Self::Udp(address) | Self::Tcp(address) | Self::Tls(address) => address,
        }
    }
}

impl FromStr for Listener {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT");
        let (transport, address) = text.split_once(':').ok_or_else(expected)?;
        let address = address.parse().map_err(|_| expected())?;
        match transport {
            "udp" => Ok(Self::Udp(address)),
            "tcp" => Ok(Self::Tcp(address)),
            "tls" => Ok(Self::Tls(address)),
            _ => Err(expected()),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Tls(address) => write!(f, "tls:{address}"),
        }
    }
}

/// What to call ourselves when the address that is bound means nothing to the peer. Empty: it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Advertise {
    /// For Via, Contact and SDP.
    pub address: Option<IpAddr>,
    /// For Via and Contact; the port that is bound where it is left out.
    pub port: Option<u16>,
}

impl FromStr for Advertise {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let usable = |address: IpAddr, port| {
            if address.is_unspecified() || address.is_multicast() || port == Some(0) {
                return Err(format!("{text:?} is nothing that a peer could send to"));
            }
            Ok(Self { address: Some(address), port })
        };
        if let Ok(address) = text.parse::<SocketAddr>() {
            return usable(address.ip(), Some(address.port()));
        }
        match bare_ip(text) {
            Some(address) => usable(address, None),
            None => Err(format!(
                "{text:?} is not an IP address with an optional port (host names are not resolved)"
            )),
        }
    }
}

impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (None, _) => Ok(()),
            (Some(address), None) => write!(f, "{address}"),
            (Some(address), Some(port)) => write!(f, "{}", SocketAddr::new(address, port)),
        }
    }
}

/// A host, by name or address, and where SIP is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct HostPort {
    /// A host name or an address; IPv6 without brackets.
    pub host: String,
    /// 5060 where it is left out.
    pub port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = bare_ip(text) {
            return Ok(Self { host: address.to_string(), port: None });
        }
        let expected = || format!("{text:?} is not a host name or address with an optional port");
        let (host, port) = match text.rsplit_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| expected())?)),
        };
        let host = match bare_ip(host) {
            Some(address) => address.to_string(),
            None if is_host_name(host) => host.to_ascii_lowercase(),
            None => return Err(expected()),
        };
        if port == Some(0) { Err(expected()) } else { Ok(Self { host, port }) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

/// An address that stands alone, IPv6 with or without brackets.
fn bare_ip(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// Letters, digits and inner hyphens between dots (RFC 1123 §2.1), the last label not a number: `10.0.0.256` is a
/// mistyped address, not a name.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(label) && !text.rsplit('.').next().is_some_and(numeric)
}

/// A network in CIDR notation; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Network(pub offhook_sip::Network);

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = |_| {
            format!(
                "{text:?} is not a network such as 192.0.2.0/24 or 2001:db8::/32, all bits beyond its prefix zero"
            )
        };
        text.parse().map(Self).map_err(expected)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Local UDP ports, both ends included; the first is even, so that every pair begins with an RTP port (RFC 3550 §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PortRange {
    /// The first RTP port, even.
    pub first: u16,
    /// The last port that may be used.
    pub last: u16,
}

impl PortRange {
    /// The RTP ports: each even port whose next is in the range too.
    pub fn rtp_ports(self) -> impl Iterator<Item = u16> {
        (self.first..self.last).step_by(2)
    }
}

impl FromStr for PortRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        let (first, last): (u16, u16) =
            parsed.ok_or_else(|| format!("{text:?} is not FIRST-LAST, e.g. 20000-29999"))?;
        if first < 1024 || first % 2 != 0 {
            return Err(format!("{text:?}: the first port must be even and 1024 or above"));
        }
        if last <= first {
            return Err(format!("{text:?}: needs at least two ports, for RTP and RTCP"));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A codec by its name in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct CodecName(pub Codec);

impl CodecName {
    /// What is offered where nothing else is configured: what every peer has, then what sounds better.
    pub const DEFAULT: [Self; 3] = [Self(Codec::Pcmu), Self(Codec::Pcma), Self(Codec::G722)];
}

impl FromStr for CodecName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Codec::from_name(text)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no codec of ours; there are {}", names_of_codecs()))
    }
}

/// The codecs by their names, for whoever named another.
pub(crate) fn names_of_codecs() -> String {
    let mut names = Codec::ALL.map(Codec::name).to_vec();
    names.dedup();
    names.join(", ")
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A country, by its code of two letters (ISO 3166).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct CountryName(pub Country);

impl FromStr for CountryName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is no country whose tones are known; there are {}", countries());
        Country::from_code(text).map(Self).ok_or_else(expected)
    }
}

/// The countries by their codes, for whoever named another.
pub(crate) fn countries() -> String {
    Country::all().map(Country::code).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for CountryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

/// When in-band tones are searched for digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DtmfMode {
    /// Where telephone-events (RFC 4733) are not negotiated.
    #[default]
    Auto,
    /// Never: telephone-events only.
    Rfc4733,
    /// Always, beside telephone-events; one key press counts once.
    All,
}

impl From<DtmfMode> for ToneDetection {
    fn from(mode: DtmfMode) -> Self {
        match mode {
            DtmfMode::Auto => Self::Auto,
            DtmfMode::Rfc4733 => Self::Never,
            DtmfMode::All => Self::Always,
        }
    }
}

/// What a peer hears while there is nothing for it to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdleAudio {
    /// Nothing: no packets.
    #[default]
    Nothing,
    /// Silence, in packets of audio.
    Silence,
    /// Comfort noise (RFC 3389), described once a second; silence where the peer does not know it.
    ComfortNoise,
}

impl From<IdleAudio> for Idle {
    fn from(idle: IdleAudio) -> Self {
        match idle {
            IdleAudio::Nothing => Self::Nothing,
            IdleAudio::Silence => Self::Silence,
            IdleAudio::ComfortNoise => Self::ComfortNoise,
        }
    }
}

/// What values in prompts are said in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LanguageName {
    /// Chinese.
    #[default]
    Zh,
    /// English.
    En,
}

impl From<LanguageName> for Language {
    fn from(language: LanguageName) -> Self {
        match language {
            LanguageName::Zh => Self::Zh,
            LanguageName::En => Self::En,
        }
    }
}

/// What a request from no gateway's network gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// Nothing at all.
    #[default]
    Drop,
    /// A 403, once, the same for all.
    Refuse,
}

impl From<Strangers> for offhook_sip::Strangers {
    fn from(strangers: Strangers) -> Self {
        match strangers {
            Strangers::Drop => Self::Drop,
            Strangers::Refuse => Self::Refuse,
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What we did wrong.
    Error,
    /// What somebody should look at.
    Warn,
    /// One line or two for each call.
    #[default]
    Info,
    /// How each call went.
    Debug,
    /// Everything, libraries included.
    Trace,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, for programs otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// `node.id`, a type of the call crate, which knows no serde.
pub(super) mod node_id {
    use super::{Deserialize, Deserializer, NodeId};
    use serde::{Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(id: &NodeId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        let text = String::deserialize(deserializer)?;
        let canonical = |part: &str| part.parse::<u32>().ok().filter(|number| number.to_string() == part);
        let parts: Option<Vec<u32>> = text.split('.').map(canonical).collect();
        let parts: Option<[u32; 3]> = parts.and_then(|parts| parts.try_into().ok());
        parts.map(NodeId).ok_or_else(|| D::Error::custom(format!("{text:?} is not three numbers a.b.c")))
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn between<'de, D, T, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = deserializer.deserialize_i64(WholeNumber)?;
    let inside = u64::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number));
    let value = inside.and_then(|number| T::try_from(number).ok());
    value.ok_or_else(|| serde::de::Error::custom(format!("{number} is not between {MIN} and {MAX}")))
}

/// The same, or 0 for never.
pub(super) fn zero_or_between<'de, D, T, const MIN: u64, const MAX: u64>(
    deserializer: D,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = deserializer.deserialize_i64(WholeNumber)?;
    let inside = u64::try_from(number).ok().filter(|number| *number == 0 || (MIN..=MAX).contains(number));
    let value = inside.and_then(|number| T::try_from(number).ok());
    value
        .ok_or_else(|| serde::de::Error::custom(format!("{number} is neither 0 nor between {MIN} and {MAX}")))
}

/// Visible ASCII without quotes, up to `MAX` bytes: what comes here is quoted in headers of SIP. It may be empty.
pub(super) fn text<'de, D: Deserializer<'de>, const MAX: usize>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if text.len() <= MAX && text.bytes().all(good) {
        Ok(text)
    } else {
        let expected = format!("up to {MAX} visible ASCII characters without quotes and backslashes");
        Err(serde::de::Error::custom(expected))
    }
}

/// Whether a text can be the user part of a URI as it is (RFC 3261 §25.1 `user`, without escapes).
pub(super) fn is_user(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
    !text.is_empty() && text.bytes().all(good)
}

/// A number, with an error for people where it is none.
struct WholeNumber;

impl serde::de::Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }
}

/// A packet time in milliseconds.
pub(super) fn ptime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let number = deserializer.deserialize_i64(WholeNumber)?;
    let value = u8::try_from(number).ok().filter(|ptime| (10..=60).contains(ptime) && ptime % 10 == 0);
    value.ok_or_else(|| serde::de::Error::custom(format!("{number} is not one of 10, 20, 30, 40, 50, 60")))
}

/// A level in dB, as the gain of the media has it.
pub(super) fn decibels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i8, D::Error> {
    let number = deserializer.deserialize_i64(WholeNumber)?;
    let (least, most) = (Gain::SOFTEST, Gain::LOUDEST);
    let value = i8::try_from(number).ok().filter(|decibels| (least..=most).contains(decibels));
    value.ok_or_else(|| serde::de::Error::custom(format!("{number} is not between {least} and {most}")))
}

/// Printable text for a header of SIP: what comes here goes on the wire as it is.
pub(super) fn user_agent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let printable =
        (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if printable && text.trim() == text {
        Ok(text)
    } else {
        Err(serde::de::Error::custom("1 to 128 printable ASCII characters"))
    }
}

/// A short word to tell one thing from another.
pub(super) fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let word = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if word {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!("{text:?} is not a name of letters, digits, '-', '_' and '.'")))
    }
}
