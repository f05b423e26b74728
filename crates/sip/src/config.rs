//! What an [`Endpoint`](crate::Endpoint) is told once: its addresses, whom it trusts, and its limits.

use std::net::SocketAddr;

use crate::network::Network;
pub use crate::transaction::timer::Timers;

/// The settings of an endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our bound UDP addresses; they stand in Via and Contact unless [`advertise`](Self::advertise) does.
    pub udp: Vec<SocketAddr>,
    /// Our listening TCP addresses.
    pub tcp: Vec<SocketAddr>,
    /// `host[:port]` for Via and Contact instead of the bound address, behind a NAT; without a port, the bound one.
    pub advertise: Option<String>,
    /// The value of User-Agent and Server.
    pub user_agent: String,
    /// Who may send requests outside of a dialog. The others get no answer at all: their requests are counted and
    /// dropped (reliability S3, S4, S7).
    pub trusted: Vec<Network>,
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

impl Config {
    /// Settings that listen on UDP, trust the loopback networks and take 10,000 calls.
    ///
    /// A call has one or two transactions at a time, each of which stays for up to 64·T1 after its end: 100,000 are
    /// what 10,000 calls of half a minute need, some hundred calls a second.
    pub fn new(udp: Vec<SocketAddr>) -> Self {
        Self {
            udp,
            tcp: Vec::new(),
            advertise: None,
            user_agent: concat!("offhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            trusted: Network::loopback().to_vec(),
            max_sessions: 10_000,
            max_transactions: 100_000,
            timers: Timers::default(),
        }
    }
}
