//! What the node is told before it starts: the built-in defaults, a TOML file over them, the environment over both.
//!
//! ```text
//!   default.toml ◀─ file (--config) ◀─ OFFHOOK_SECTION__KEY ──▶ check ──▶ Config
//! ```
//! The names of sections and keys are part of the contract. A key that does not exist is an error that names it and the
//! nearest right one: a misspelt limit that silently does nothing is found out on the worst day. Values are checked
//! as they are read ([`value`]), what several keys must agree on afterwards (`check`).

mod check;
mod environment;
pub mod gateway;
mod load;
pub mod secret;
mod speech;
pub mod value;
mod webhook;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use offhook_call::id::NodeId;
use offhook_media::event::Country;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use gateway::Address;
pub use gateway::Gateway;
pub use load::ConfigError;
use secret::{Secret, Token};
pub use speech::{Speech, SpeechProvider, Voices};
use value::{
    Advertise, CodecName, CountryName, DtmfMode, HostPort, IdleAudio, LanguageName, Level, Listener,
    LogFormat, Network, PortRange, Strangers,
};
pub use webhook::{Webhook, Webhooks};

/// The default file: what `offhook print-config` shows on a fresh machine, with a word on every key.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// The configuration of offhook: a file of these sections, the environment over it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this node is.
    pub node: Node,
    /// Signalling.
    pub sip: Sip,
    /// Media on the wire.
    pub rtp: Rtp,
    /// Media in files.
    pub media: Media,
    /// Texts that are spoken.
    pub speech: Speech,
    /// The door for applications.
    pub rpc: Rpc,
    /// What is kept for late subscribers.
    pub events: Events,
    /// The records of calls.
    pub cdr: Cdr,
    /// How much is let in, and how long things wait.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
    /// What all web hooks have in common.
    pub webhooks: Webhooks,
    /// `[[webhook]]`: where events are sent by POST.
    pub webhook: Vec<Webhook>,
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// `a.b.c`, the beginning of every `res_id`.
    #[serde(with = "value::node_id")]
    #[schemars(with = "String")]
    pub id: NodeId,
    /// What the node keeps over a restart: the next serial, the event log, the records of calls.
    pub data_dir: PathBuf,
}

/// `[sip]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// Where SIP is listened for: `udp:ADDRESS:PORT`, `tcp:ADDRESS:PORT`, `tls:ADDRESS:PORT`. Port 0 takes a free one.
    pub listen: Vec<Listener>,
    /// `address[:port]` to name in Via, Contact and SDP when behind NAT; empty for the address that is bound. The port is
    /// that of UDP and TCP: a listener by TLS names its own.
    pub advertise: Advertise,
    /// The value of User-Agent and Server.
    #[serde(deserialize_with = "value::user_agent")]
    pub user_agent: String,
    /// RFC 3261 T1 in milliseconds: the first retransmission.
    #[serde(deserialize_with = "value::between::<_, _, 10, 10_000>")]
    pub t1_ms: u64,
    /// RFC 3261 T2 in milliseconds: the longest interval between retransmissions; not below T1.
    #[serde(deserialize_with = "value::between::<_, _, 10, 60_000>")]
    pub t2_ms: u64,
    /// The name servers to ask, `ADDRESS:PORT`; none for those of the system.
    pub nameservers: Vec<SocketAddr>,
    /// What a request from no gateway's network gets.
    pub strangers: Strangers,
    /// Whether we ask for a session timer (RFC 4028) where the peer does not.
    pub session_timer: bool,
    /// How long a session lasts without a refresh, in seconds, as we ask for it; not below `min_se_seconds`.
    #[serde(deserialize_with = "value::between::<_, _, 90, 86_400>")]
    pub session_expires_seconds: u64,
    /// The shortest such time that we accept, in seconds.
    #[serde(deserialize_with = "value::between::<_, _, 90, 86_400>")]
    pub min_se_seconds: u64,
    /// Whether provisional responses are acknowledged where the peer can do so too (RFC 3262).
    pub reliable_provisionals: bool,
    /// `[sip.tls]`.
    pub tls: Tls,
    /// `[[sip.gateway]]`: the only peers that calls come from and go to by name.
    pub gateway: Vec<Gateway>,
}

/// `[sip.tls]`, for the listeners by TLS: files in PEM, which are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Our certificate and those between it and its authority; also shown to peers that we connect to and that ask.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates we trust; empty for those that the system trusts.
    pub ca: PathBuf,
    /// Whether who connects to us must show a certificate, of an authority of `ca`.
    pub verify_client: bool,
}

/// `[rtp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rtp {
    /// Where media sockets are bound; also what SDP names, unless `sip.advertise` says otherwise.
    pub address: IpAddr,
    /// `FIRST-LAST`, both included, the first even: RTP on the even ports, RTCP on the next.
    pub ports: PortRange,
    /// Packet time to ask for and to send, in milliseconds: 10 to 60 in steps of 10.
    #[serde(deserialize_with = "value::ptime")]
    pub ptime_ms: u8,
    /// Codecs in order of preference.
    pub codecs: Vec<CodecName>,
    /// Whether our offers let RTCP come to the port of RTP (RFC 5761); offers that do are answered so in any case.
    pub rtcp_mux: bool,
    /// Whether pauses may be described as comfort noise (RFC 3389) where both sides say that they know it.
    pub comfort_noise: bool,
    /// When in-band tones are searched for digits.
    pub dtmf: DtmfMode,
    /// What a peer hears while an answered call has nothing for it to hear, a recording included.
    pub idle: IdleAudio,
    /// How many percent of the packets may be lost either way before it is told (`high_loss`); 0 for any number.
    #[serde(deserialize_with = "value::between::<_, _, 0, 100>")]
    pub loss_alarm_percent: u8,
    /// How long a peer's reports may say nothing of what we send before it is told (`one_way`), in seconds; 0 for ever.
    #[serde(deserialize_with = "value::between::<_, _, 0, 3_600>")]
    pub one_way_seconds: u64,
    /// Whether a peer may turn out to be at another address than it names (RFC 4961), which the first packets that come
    /// tell.
    pub symmetric: bool,
    /// The networks that media may be sent to, e.g. `192.0.2.0/24`; empty: any that a peer names.
    pub allowed_networks: Vec<Network>,
    /// How long a peer that has agreed to send may send nothing, in seconds: an alarm at half of it, then the call is
    /// hung up (408); 0 for ever.
    #[serde(deserialize_with = "value::between::<_, _, 0, 86_400>")]
    pub timeout_seconds: u64,
    /// How much media is sent to an address that nothing has ever come from, in seconds; 0 for any amount.
    #[serde(deserialize_with = "value::between::<_, _, 0, 86_400>")]
    pub unheard_seconds: u64,
}

/// `[media]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Where prompts are; nothing outside of it is played.
    pub prompts_dir: PathBuf,
    /// What numbers, money, dates and durations are said in where the item of a play list names no language; their words
    /// are the files of `prompts_dir` in the folder of that name.
    pub language: LanguageName,
    /// Whose tones are made, such as the ring-back tone of a far end that rings without a sound.
    pub country: CountryName,
    /// Bytes of encoded prompts that are kept in memory.
    #[serde(deserialize_with = "value::between::<_, _, 0, 1_099_511_627_776>")]
    pub prompt_cache_bytes: usize,
    /// Where recordings go; nothing is written outside of it.
    pub recordings_dir: PathBuf,
    /// Bytes that must be free on the disk of recordings for a new one to begin; 0 for none.
    #[serde(deserialize_with = "value::between::<_, _, 0, 1_099_511_627_776>")]
    pub recordings_min_free_bytes: u64,
    /// How loud the background of a conference is, in dB over its file: -40 to 20.
    #[serde(deserialize_with = "value::decibels")]
    pub conference_background_db: i8,
    /// Media threads, up to 1,024; 0 for one per core.
    #[serde(deserialize_with = "value::between::<_, _, 0, 1024>")]
    pub threads: usize,
    /// How media threads find the packets that have come.
    pub io: MediaIo,
    /// Whether media threads come before everything else on the machine (`SCHED_RR`), if the system lets them.
    pub realtime: bool,
}

/// How media threads find the packets that have come; benches/README.md has what each of them costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaIo {
    /// The kernel is asked which sockets have something.
    #[default]
    Readiness,
    /// All sockets are read.
    Sweep,
}

/// `[rpc]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rpc {
    /// Where HTTP is listened for. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// What an application shows as `Authorization: Bearer …`, each with how far it reaches: `read:SECRET`, `call:SECRET`
    /// or `admin:SECRET`, which is what `SECRET` alone is. None is needed while this list is empty, which is allowed on loopback
    /// only.
    pub tokens: Vec<Token>,
}

/// `[events]`: whichever bound is reached first ends the life of the oldest event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// The most bytes kept.
    #[serde(deserialize_with = "value::between::<_, _, 65_536, 1_099_511_627_776>")]
    pub keep_bytes: u64,
    /// The longest time kept, in seconds.
    #[serde(deserialize_with = "value::between::<_, _, 1, 31_536_000>")]
    pub keep_seconds: u64,
    /// How long after it was written an event is synced to the disk at most, in milliseconds; 0: before anybody hears it.
    #[serde(deserialize_with = "value::between::<_, _, 0, 60_000>")]
    pub sync_ms: u64,
    /// The most connections to `/sys/events` (Server-Sent Events) at a time; one more gets 429.
    #[serde(deserialize_with = "value::between::<_, _, 0, 1_000>")]
    pub streams: usize,
}

/// `[cdr]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cdr {
    /// How long the record of a call is kept, in days; 0: for ever.
    #[serde(deserialize_with = "value::between::<_, _, 0, 36_500>")]
    pub keep_days: u64,
    /// Where PostgreSQL is, to which records are copied, `postgres://USER:PASSWORD@HOST/DATABASE`; empty: nowhere. By TLS, unless
    /// it is this machine or says `?sslmode=disable`.
    #[serde(with = "secret::optional_secret")]
    #[schemars(with = "String")]
    pub postgres: Option<Secret>,
    /// The authorities of its certificate, a file in PEM; empty for those that the system trusts.
    pub postgres_ca: PathBuf,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most calls at a time.
    #[serde(deserialize_with = "value::between::<_, _, 1, 1_000_000>")]
    pub calls: usize,
    /// The most new calls in a second, in and out.
    #[serde(deserialize_with = "value::between::<_, _, 1, 100_000>")]
    pub calls_per_second: u32,
    /// The most conferences at a time.
    #[serde(deserialize_with = "value::between::<_, _, 1, 100_000>")]
    pub conferences: usize,
    /// How long an inbound call waits for an application to act on it, in seconds.
    #[serde(deserialize_with = "value::between::<_, _, 1, 3_600>")]
    pub incoming_timeout_seconds: u64,
    /// How long an idle call waits for a command, in seconds; 0 for ever.
    #[serde(deserialize_with = "value::between::<_, _, 0, 31_536_000>")]
    pub idle_timeout_seconds: u64,
    /// How long the far end's wish to be transferred waits for an application to act on it, in seconds.
    #[serde(deserialize_with = "value::between::<_, _, 1, 25>")]
    pub transfer_timeout_seconds: u64,
    /// The most requests outside of calls in a second from one source; the ones beyond are not even read.
    #[serde(deserialize_with = "value::between::<_, _, 1, 1_000_000>")]
    pub source_requests_per_second: u32,
    /// The most requests in a second from all sources together that are in no gateway's network.
    #[serde(deserialize_with = "value::between::<_, _, 1, 1_000_000>")]
    pub stranger_requests_per_second: u32,
    /// How long calls may go on after SIGTERM, in seconds.
    #[serde(deserialize_with = "value::between::<_, _, 0, 86_400>")]
    pub drain_seconds: u64,
}

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How much offhook says of itself; libraries below it say no more than warnings, except at `trace`.
    pub level: Level,
    /// For whom.
    pub format: LogFormat,
}

impl Config {
    /// The first thing that several keys do not agree on: the key to change, and why.
    pub fn check(&self) -> Result<(), (String, String)> {
        check::check(self)
    }

    /// What is allowed and seldom meant, each with its key.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }
}

impl Default for Node {
    fn default() -> Self {
        Self { id: NodeId::default(), data_dir: "data".into() }
    }
}

impl Default for Sip {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        Self {
            listen: vec![Listener::Udp(loopback), Listener::Tcp(loopback)],
            advertise: Advertise::default(),
            user_agent: "offhook".into(),
            t1_ms: 500,
            t2_ms: 4000,
            nameservers: Vec::new(),
            strangers: Strangers::default(),
            session_timer: true,
            session_expires_seconds: 1800,
            min_se_seconds: 90,
            reliable_provisionals: true,
            tls: Tls::default(),
            gateway: vec![Gateway::new(
                "local",
                Address { place: HostPort { host: "127.0.0.1".into(), port: None }, transport: None },
                vec![Network(offhook_sip::Network::LOOPBACK_V4)],
            )],
        }
    }
}

impl Default for Rtp {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            ports: PortRange { first: 20000, last: 29999 },
            ptime_ms: 20,
            codecs: CodecName::DEFAULT.to_vec(),
            rtcp_mux: false,
            comfort_noise: true,
            dtmf: DtmfMode::default(),
            idle: IdleAudio::default(),
            loss_alarm_percent: 10,
            one_way_seconds: 15,
            symmetric: false,
            allowed_networks: Vec::new(),
            timeout_seconds: 60,
            unheard_seconds: 300,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            prompts_dir: "prompts".into(),
            language: LanguageName::default(),
            country: CountryName(Country::from_code("cn").unwrap_or_else(|| unreachable!("it is known"))),
            prompt_cache_bytes: 128 << 20,
            recordings_dir: "recordings".into(),
            recordings_min_free_bytes: 100 << 20,
            conference_background_db: -20,
            threads: 0,
            io: MediaIo::Readiness,
            realtime: false,
        }
    }
}

impl Default for Rpc {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8080).into(), tokens: Vec::new() }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { keep_bytes: 256 << 20, keep_seconds: 86400, sync_ms: 200, streams: 3 }
    }
}

impl Default for Cdr {
    fn default() -> Self {
        Self { keep_days: 365, postgres: None, postgres_ca: PathBuf::new() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 10000,
            calls_per_second: 500,
            conferences: 1000,
            incoming_timeout_seconds: 60,
            idle_timeout_seconds: 3600,
            transfer_timeout_seconds: 15,
            source_requests_per_second: 10000,
            stranger_requests_per_second: 2000,
            drain_seconds: 10,
        }
    }
}
