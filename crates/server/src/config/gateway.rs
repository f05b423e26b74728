//! `[[sip.gateway]]`: who calls come from and go to, and on what terms.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::secret::{self, Secret};
use super::value::{self, CodecName, HostPort, Network};

/// The most addresses of a gateway; each may cost a call half a minute before the next is tried.
const ADDRESSES_MAX: usize = 8;

/// `[[sip.gateway]]`; name, address and networks are needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What logs, events and metrics call it, and what `to_uri` may have for a host. No two have the same, in small
    /// letters or large.
    #[serde(deserialize_with = "value::name")]
    pub name: String,
    /// Where outbound calls to it go: `host[:port][;transport=udp|tcp|tls]`, or a list of up to 8 in the order to try.
    pub address: Addresses,
    /// The networks from which it may call in, e.g. `192.0.2.0/24`.
    pub networks: Vec<Network>,
    /// The user name that it is shown when it challenges us; empty: a challenge is a refusal.
    #[serde(default, deserialize_with = "value::text::<_, 256>")]
    pub username: String,
    /// The password that goes with it.
    #[serde(default, with = "secret::optional_secret")]
    #[schemars(with = "String")]
    pub password: Option<Secret>,
    /// The user name that it has to show; empty: its networks are enough.
    #[serde(default, deserialize_with = "value::text::<_, 256>")]
    pub inbound_username: String,
    /// The password that goes with it.
    #[serde(default, with = "secret::optional_secret")]
    #[schemars(with = "String")]
    pub inbound_password: Option<Secret>,
    /// Whether what it says inside a call needs the inbound password too.
    #[serde(default)]
    pub challenge_inside: bool,
    /// Whether what it says inside a call must come from where the call was made.
    #[serde(default)]
    pub pin_source: bool,
    /// The most calls at a time, in and out; 0: no limit of its own.
    #[serde(default, deserialize_with = "value::between::<_, _, 0, 1_000_000>")]
    pub max_calls: usize,
    /// The most new calls in a second, in and out; 0: no limit of its own.
    #[serde(default, deserialize_with = "value::between::<_, _, 0, 100_000>")]
    pub calls_per_second: u32,
    /// Codecs in order of preference; empty: those of `rtp.codecs`.
    #[serde(default)]
    pub codecs: Vec<CodecName>,
    /// Whose order of codecs our answers to it go by.
    #[serde(default)]
    pub codec_order: CodecOrder,
    /// Whether media with it is protected (SRTP), by keys in SDP (RFC 4568). They are as safe as the signalling: use TLS.
    #[serde(default)]
    pub srtp: Srtp,
    /// How digits travel.
    #[serde(default)]
    pub dtmf: GatewayDtmf,
    /// Whether its media may come from another address than it names (symmetric RTP).
    #[serde(default)]
    pub symmetric: GatewaySymmetric,
    /// How often it is asked by OPTIONS whether it is there, in seconds; 0: never.
    #[serde(default, deserialize_with = "value::zero_or_between::<_, _, 5, 3_600>")]
    pub options_ping_seconds: u64,
    /// Whether we register with it.
    #[serde(default)]
    pub register: bool,
    /// Where we register: `host[:port][;transport=udp|tcp|tls]`; empty: its first address.
    #[serde(default, with = "optional_address")]
    #[schemars(with = "String")]
    pub registrar: Option<Address>,
    /// The address-of-record to register, `sip:user@host`; empty: `username` at the registrar's host.
    #[serde(default, deserialize_with = "aor")]
    pub register_aor: String,
    /// For how long we ask to be registered, in seconds; what the registrar answers counts.
    #[serde(default = "an_hour", deserialize_with = "value::between::<_, _, 60, 86_400>")]
    pub register_expires_seconds: u64,
    /// Whether a 3xx from it may send a call on, to the host of any gateway.
    #[serde(default)]
    pub follow_redirects: bool,
    /// The proxy that calls to it go through, `host[:port][;transport=udp|tcp|tls]`; empty: none.
    #[serde(default, with = "optional_address")]
    #[schemars(with = "String")]
    pub outbound_proxy: Option<Address>,
}

fn an_hour() -> u64 {
    3600
}

impl Gateway {
    /// A gateway with defaults for everything else.
    pub fn new(name: &str, address: Address, networks: Vec<Network>) -> Self {
        Self {
            name: name.to_owned(),
            address: Addresses(vec![address]),
            networks,
            username: String::new(),
            password: None,
            inbound_username: String::new(),
            inbound_password: None,
            challenge_inside: false,
            pin_source: false,
            max_calls: 0,
            calls_per_second: 0,
            codecs: Vec::new(),
            codec_order: CodecOrder::default(),
            srtp: Srtp::default(),
            dtmf: GatewayDtmf::default(),
            symmetric: GatewaySymmetric::default(),
            options_ping_seconds: 0,
            register: false,
            registrar: None,
            register_aor: String::new(),
            register_expires_seconds: an_hour(),
            follow_redirects: false,
            outbound_proxy: None,
        }
    }

    /// Where we register.
    pub fn registrar(&self) -> Option<&Address> {
        self.registrar.as_ref().or(self.address.0.first())
    }

    /// Whether all our calls to it go by TLS, as far as we can tell.
    pub(super) fn is_called_by_tls(&self) -> bool {
        let by_tls = |address: &Address| address.transport == Some("tls");
        self.outbound_proxy.as_ref().map_or_else(|| self.address.0.iter().all(by_tls), by_tls)
    }

    /// What must agree: the key that does not, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let pairs = [
            ("username", &self.username, "password", &self.password),
            ("inbound_username", &self.inbound_username, "inbound_password", &self.inbound_password),
        ];
        for (user_key, user, password_key, password) in pairs {
            match (user.is_empty(), password.is_some()) {
                (true, true) => return Err((user_key, format!("needs a value to go with {password_key}"))),
                (false, false) => return Err((password_key, format!("needs a value to go with {user_key}"))),
                _ => {}
            }
        }
        if self.challenge_inside && self.inbound_password.is_none() {
            return Err(("challenge_inside", "means nothing without inbound_password".to_owned()));
        }
        let addresses = &self.address.0;
        if let Some((_, twice)) =
            addresses.iter().enumerate().find(|(at, one)| addresses[..*at].contains(one))
        {
            return Err(("address", format!("{twice} is there twice")));
        }
        let codecs = &self.codecs;
        if let Some((_, twice)) = codecs.iter().enumerate().find(|(at, one)| codecs[..*at].contains(one)) {
            return Err(("codecs", format!("{twice} is there twice")));
        }
        if self.register && self.username.is_empty() && self.register_aor.is_empty() {
            return Err(("register", "needs username or register_aor to say who registers".to_owned()));
        }
        if self.register && self.register_aor.is_empty() && !value::is_user(&self.username) {
            return Err(("register_aor", "needs a value: username is no user of a URI".to_owned()));
        }
        if !self.register && self.registrar.is_some() {
            return Err(("registrar", "means nothing without register = true".to_owned()));
        }
        if !self.register && !self.register_aor.is_empty() {
            return Err(("register_aor", "means nothing without register = true".to_owned()));
        }
        Ok(())
    }
}

/// Whose order of codecs an answer goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CodecOrder {
    /// That of the offer, as RFC 3264 asks.
    #[default]
    Offer,
    /// That of our `codecs`.
    Ours,
}

impl From<CodecOrder> for offhook_media::sdp::Order {
    fn from(order: CodecOrder) -> Self {
        match order {
            CodecOrder::Offer => Self::Theirs,
            CodecOrder::Ours => Self::Ours,
        }
    }
}

/// Whether media is protected (SRTP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// Never: it goes in the clear.
    #[default]
    Off,
    /// Where both sides can: RTP/AVP with keys is offered (RFC 8643), and an offer with keys is answered so.
    Optional,
    /// Always: RTP/SAVP is offered, and an offer without keys that we can use is refused (488).
    Required,
}

impl From<Srtp> for offhook_media::sdp::Protection {
    fn from(srtp: Srtp) -> Self {
        match srtp {
            Srtp::Off => Self::Off,
            Srtp::Optional => Self::Optional,
            Srtp::Required => Self::Required,
        }
    }
}

/// How digits go to a gateway and come from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayDtmf {
    /// As `rtp.dtmf` says.
    #[default]
    Auto,
    /// By telephone-events; tones are not searched for digits.
    Rfc4733,
    /// By tones; telephone-events are not negotiated.
    Inband,
    /// To it by SIP INFO, from it in any way.
    Info,
}

impl From<GatewayDtmf> for offhook_call::gateway::DtmfWay {
    fn from(dtmf: GatewayDtmf) -> Self {
        match dtmf {
            GatewayDtmf::Auto => Self::Auto,
            GatewayDtmf::Rfc4733 => Self::Rfc4733,
            GatewayDtmf::Inband => Self::Inband,
            GatewayDtmf::Info => Self::Info,
        }
    }
}

/// Whether media of a gateway may come from another address than it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewaySymmetric {
    /// As `rtp.symmetric` says.
    #[default]
    Auto,
    /// It is learnt from the first packets where it comes from.
    On,
    /// It goes to and comes from the named address only.
    Off,
}

impl From<GatewaySymmetric> for Option<bool> {
    fn from(symmetric: GatewaySymmetric) -> Self {
        match symmetric {
            GatewaySymmetric::Auto => None,
            GatewaySymmetric::On => Some(true),
            GatewaySymmetric::Off => Some(false),
        }
    }
}

/// A host, where SIP is on it, and over what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Address {
    /// The host and the port.
    pub place: HostPort,
    /// `udp`, `tcp` or `tls`; none: as the name service says, else UDP.
    pub transport: Option<&'static str>,
}

impl Address {
    /// As in the host part of a URI: IPv6 in brackets.
    pub fn host(&self) -> String {
        if self.place.host.contains(':') { format!("[{}]", self.place.host) } else { self.place.host.clone() }
    }

    /// As in a URI, without its scheme: `host[:port][;transport=…]`.
    pub fn in_uri(&self) -> String {
        let mut text = self.host();
        if let Some(port) = self.place.port {
            text.push_str(&format!(":{port}"));
        }
        if let Some(transport) = self.transport {
            text.push_str(&format!(";transport={transport}"));
        }
        text
    }
}

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (place, parameter) = match text.split_once(';') {
            Some((place, parameter)) => (place, Some(parameter)),
            None => (text, None),
        };
        let transport = match parameter.map(|parameter| parameter.split_once('=')) {
            None => None,
            Some(Some(("transport", value))) => Some(
                ["udp", "tcp", "tls"]
                    .into_iter()
                    .find(|known| *known == value)
                    .ok_or_else(|| format!("{text:?}: transport is udp, tcp or tls"))?,
            ),
            Some(_) => return Err(format!("{text:?}: only ;transport=udp, tcp or tls may follow the host")),
        };
        Ok(Self { place: place.parse()?, transport })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        self.transport.map_or(Ok(()), |transport| write!(f, ";transport={transport}"))
    }
}

impl TryFrom<String> for Address {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// One address, or a list of them in the order to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "OneOrMore", into = "OneOrMore")]
#[schemars(with = "OneOrMore")]
pub struct Addresses(pub Vec<Address>);

/// As it is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected an address or a list of addresses")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TryFrom<OneOrMore> for Addresses {
    type Error = String;
    fn try_from(written: OneOrMore) -> Result<Self, String> {
        let list = match written {
            OneOrMore::One(address) => vec![address],
            OneOrMore::More(list) => list,
        };
        if list.is_empty() || list.len() > ADDRESSES_MAX {
            return Err(format!("1 to {ADDRESSES_MAX} addresses"));
        }
        list.iter().map(|address| address.parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Addresses> for OneOrMore {
    fn from(addresses: Addresses) -> Self {
        match addresses.0.as_slice() {
            [only] => Self::One(only.to_string()),
            list => Self::More(list.iter().map(Address::to_string).collect()),
        }
    }
}

/// An address that an empty text stands in for.
mod optional_address {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Address;

    pub(super) fn serialize<S: Serializer>(
        address: &Option<Address>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Address>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let address = if text.is_empty() { None } else { Some(text.parse()) };
        address.transpose().map_err(serde::de::Error::custom)
    }
}

/// `sip:user@host[:port]`, or nothing.
fn aor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = text
        .strip_prefix("sip:")
        .and_then(|rest| rest.split_once('@'))
        .is_some_and(|(user, host)| value::is_user(user) && host.parse::<HostPort>().is_ok());
    if good || text.is_empty() {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!("{text:?} is not sip:user@host")))
    }
}
