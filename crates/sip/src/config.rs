//! What an [`Endpoint`](crate::Endpoint) is told once: its addresses, whom it trusts, and its limits.

use std::net::SocketAddr;
use std::time::Duration;

use crate::event::{Credentials, GatewayName};
use crate::network::Network;
pub use crate::transaction::timer::Timers;

/// The settings of an endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our bound UDP addresses; they stand in Via and Contact unless [`advertise`](Self::advertise) does.
    pub udp: Vec<SocketAddr>,
    /// Our listening TCP addresses.
    pub tcp: Vec<SocketAddr>,
    /// Our listening TLS addresses.
    pub tls: Vec<SocketAddr>,
    /// `host[:port]` for Via and Contact instead of the bound address, behind a NAT; without a port, the bound one. By TLS
    /// it is always the bound port.
    pub advertise: Option<String>,
    /// The value of User-Agent and Server.
    pub user_agent: String,
    /// Who may send requests outside of a dialog; of two whose networks overlap the first. All others are strangers.
    pub gateways: Vec<Gateway>,
    /// What strangers get.
    pub strangers: Strangers,
    /// Requests that one source may send in a second, outside of dialogs; the ones beyond are not even parsed
    /// (reliability S3).
    pub source_rate: u32,
    /// The same of all strangers together.
    pub stranger_rate: u32,
    /// RFC 4028.
    pub session_timer: SessionTimer,
    /// RFC 3262 for the calls that we place and those that we take.
    pub reliable_provisionals: bool,
    /// The most sessions at a time. Beyond it an INVITE is refused with 503 and [`Command::Invite`] with
    /// [`CommandError::Full`].
    ///
    /// [`Command::Invite`]: crate::event::Command::Invite
    /// [`CommandError::Full`]: crate::event::CommandError::Full
    pub max_sessions: usize,
    /// The most transactions at a time; beyond it new work is refused like beyond `max_sessions`. Requests inside
    /// dialogs are taken up to twice this number, so that calls can end while new ones are refused.
    pub max_transactions: usize,
    /// The base values of all timers.
    pub timers: Timers,
}

/// A gateway as the user agent server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// What it is called.
    pub name: GatewayName,
    /// Where its requests come from.
    pub networks: Vec<Network>,
    /// What it has to know: without these, its requests outside of a dialog are challenged (401, RFC 7616, RFC 8760).
    pub challenge: Option<Credentials>,
    /// Whether its requests inside a dialog, ACK excepted, are challenged too (reliability S1). Off by default: few
    /// gateways expect it.
    pub challenge_inside: bool,
    /// Whether a request inside a dialog must come from where the dialog was made (reliability S1): the same address, or
    /// the same connection.
    pub pin_source: bool,
}

/// What a request from no gateway's network gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing at all (reliability S3, S4, S7).
    #[default]
    Drop,
    /// A 403, once, of which nothing is kept, and which is the same for all.
    Refuse,
}

/// How a session is kept from outliving its peer (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Whether we ask for a timer where the peer does not.
    pub request: bool,
    /// The interval that we ask for, and the longest that we agree to ask for ourselves.
    pub expires: Duration,
    /// The shortest interval that we accept: 90 s at least.
    pub min: Duration,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { request: true, expires: Duration::from_secs(1800), min: Duration::from_secs(90) }
    }
}

impl Config {
    /// Settings that listen on UDP, trust the loopback networks and take 10,000 calls.
    ///
    /// A call has one or two transactions at a time, each of which stays for up to 64·T1 after its end: 100,000 are
    /// what 10,000 calls of half a minute need, some hundred calls a second.
    pub fn new(udp: Vec<SocketAddr>) -> Self {
        Self {
            udp,
            tcp: Vec::new(),
            tls: Vec::new(),
            advertise: None,
            user_agent: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            gateways: vec![Gateway {
                name: "local".into(),
                networks: Network::loopback().to_vec(),
                challenge: None,
                challenge_inside: false,
                pin_source: false,
            }],
            strangers: Strangers::Drop,
            source_rate: 10_000,
            stranger_rate: 2_000,
            session_timer: SessionTimer::default(),
            reliable_provisionals: true,
            max_sessions: 10_000,
            max_transactions: 100_000,
            timers: Timers::default(),
        }
    }
}
