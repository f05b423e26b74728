//! Host names to the places where SIP is spoken (RFC 3263 §4): NAPTR says by which transports, SRV on which hosts, A and
//! AAAA at which addresses. Every answer is asked for off the control loop and comes back as [`Input::Resolved`].
//!
//! ```text
//!   transport and port known? ──no──▶ NAPTR ──none──▶ SRV of each transport ──none──▶ A/AAAA, default port
//!          └──port──▶ A/AAAA   └──transport──▶ SRV of it ──none──▶ A/AAAA, default port
//! ```
//! Only what we can speak is asked for: transports and families that we listen on, in the order of `sip.listen`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use offhook_sip::event::{Lookup, QueryId, Target, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::srv::{self, Server, Way};
use super::tls::Names;
use crate::input::Input;

/// A call waits no longer for its gateway's address (`reliability.md` S18).
const DEADLINE: Duration = Duration::from_secs(5);

/// What one step may take of it: a name service that does not know NAPTR or SRV may be silent about them.
const STEP: Duration = Duration::from_millis(1_500);

/// How long one name server is waited for before it is asked again.
const ATTEMPT: Duration = Duration::from_millis(700);

/// Hosts of one name that are looked up; each may take a call 64·T1, and nobody waits for more.
const MAX_HOSTS: usize = 8;

/// The name service of the server. Lives on the control thread.
#[derive(Clone)]
pub struct Resolver {
    inputs: mpsc::Sender<Input>,
    asking: Asking,
    names: Names,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// Asks `nameservers`, or those of the system where there are none, for what `local` can reach.
    pub fn new(
        inputs: mpsc::Sender<Input>,
        nameservers: &[SocketAddr],
        local: Vec<(Transport, SocketAddr)>,
        names: Names,
    ) -> std::io::Result<Self> {
        let library = library(nameservers).map_err(std::io::Error::other)?;
        let hosts = Hosts::from_system().unwrap_or_default();
        Ok(Self { inputs, asking: Asking { library, hosts: hosts.into(), local: local.into() }, names })
    }

    /// Asks for the targets of a host and sends [`Input::Resolved`], with none where it has none.
    pub fn resolve(&self, query: QueryId, lookup: Lookup) {
        let Self { inputs, asking, names } = self.clone();
        tokio::task::spawn_local(async move {
            let found = timeout(DEADLINE, asking.ask(&lookup)).await.unwrap_or_default();
            if found.is_empty() {
                tracing::warn!(host = lookup.host, "host name not resolved");
            }
            let name = |transport| (transport == Transport::Tls).then(|| names.number(&lookup.host));
            let target = |(transport, address)| Target { transport, address, name: name(transport) };
            let targets = found.into_iter().map(target).collect();
            let _ = inputs.send(Input::Resolved { query, targets }).await;
        });
    }
}

/// The library as it is configured. A system that says nothing of name servers still has its file of hosts.
fn library(nameservers: &[SocketAddr]) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if nameservers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name servers: only /etc/hosts is known");
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(Vec::new()),
                TokioRuntimeProvider::default(),
            )
        })
    } else {
        let servers = nameservers.iter().map(|server| {
            let at = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = ATTEMPT;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Always;
    builder.build()
}

/// What a lookup needs.
#[derive(Clone)]
struct Asking {
    library: TokioResolver,
    hosts: std::sync::Arc<Hosts>,
    local: std::rc::Rc<[(Transport, SocketAddr)]>,
}

impl Asking {
    async fn ask(&self, lookup: &Lookup) -> Vec<(Transport, SocketAddr)> {
        let Lookup { host, port, transport, secure } = lookup;
        let usual = if *secure { Transport::Tls } else { Transport::Udp };
        let usual = if self.speaks(usual) || *secure { usual } else { Transport::Tcp };
        if let Some(port) = *port {
            return self.addresses(transport.unwrap_or(usual), host, port).await;
        }
        if !self.is_static(host) {
            let ways = self.ways(host, *transport, *secure).await;
            if !ways.is_empty() {
                return self.hosts_of(srv::order(ways, |below| fastrand::u64(..below))).await;
            }
        }
        let transport = transport.unwrap_or(usual);
        self.addresses(transport, host, default_port(transport)).await
    }

    fn speaks(&self, transport: Transport) -> bool {
        self.local.iter().any(|(ours, _)| *ours == transport)
    }

    /// The transports that will do, ours first in their order.
    fn transports(&self, wanted: Option<Transport>, secure: bool) -> Vec<Transport> {
        let mut fit = Vec::new();
        for &(ours, _) in self.local.iter() {
            // A `sip:` URI that says nothing of TLS may still be sent that way where NAPTR says so, but is not by itself.
            let fits = wanted.map_or(!secure || ours == Transport::Tls, |wanted| ours == wanted);
            if fits && !fit.contains(&ours) {
                fit.push(ours);
            }
        }
        fit
    }

    /// The hosts that serve a domain, by NAPTR and SRV.
    async fn ways(&self, host: &str, transport: Option<Transport>, secure: bool) -> Vec<Way> {
        let transports = self.transports(transport, secure);
        let mut services: Vec<(u32, Transport, String)> = Vec::new();
        if transport.is_none() {
            for record in self.records(host, RecordType::NAPTR).await {
                let RData::NAPTR(naptr) = record else { continue };
                let found = srv::service(&naptr.flags, &naptr.services, &naptr.regexp);
                if let Some(found) = found.filter(|found| transports.contains(found)) {
                    let rank = u32::from(naptr.order) << 16 | u32::from(naptr.preference);
                    services.push((rank, found, naptr.replacement.to_string()));
                }
            }
        }
        if services.is_empty() {
            let plain =
                transports.iter().filter(|ours| transport.is_some() || secure || **ours != Transport::Tls);
            let named = plain.map(|&ours| (0, ours, format!("{}.{host}.", srv::prefix(ours))));
            services.extend(named);
        }
        services.sort_by_key(|(rank, ..)| *rank);
        let mut asked = JoinSet::new();
        for (rank, (_, transport, name)) in services.into_iter().take(MAX_HOSTS).enumerate() {
            let asking = self.clone();
            asked.spawn_local(async move {
                let records = asking.records(&name, RecordType::SRV).await;
                let server = |data| match data {
                    RData::SRV(srv) => Some(Server {
                        priority: srv.priority,
                        weight: srv.weight,
                        port: srv.port,
                        host: srv.target.to_string(),
                    }),
                    _ => None,
                };
                Way { rank, transport, servers: records.into_iter().filter_map(server).collect() }
            });
        }
        asked.join_all().await.into_iter().filter(|way| !way.servers.is_empty()).collect()
    }

    /// The addresses of hosts, in the hosts' order.
    async fn hosts_of(&self, servers: Vec<(Transport, Server)>) -> Vec<(Transport, SocketAddr)> {
        let mut asked = JoinSet::new();
        for (at, (transport, server)) in servers.into_iter().take(MAX_HOSTS).enumerate() {
            let asking = self.clone();
            asked.spawn_local(
                async move { (at, asking.addresses(transport, &server.host, server.port).await) },
            );
        }
        let mut found = asked.join_all().await;
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().flat_map(|(_, addresses)| addresses).collect()
    }

    /// The addresses of a host in the families that we have for the transport, the family of our first address first.
    async fn addresses(&self, transport: Transport, host: &str, port: u16) -> Vec<(Transport, SocketAddr)> {
        let ours = |v4| self.local.iter().position(|(t, local)| *t == transport && local.is_ipv4() == v4);
        let (v4, v6) = (ours(true), ours(false));
        let ask = async |kind, wanted: bool| if wanted { self.records(host, kind).await } else { Vec::new() };
        let (a, aaaa) = tokio::join!(ask(RecordType::A, v4.is_some()), ask(RecordType::AAAA, v6.is_some()));
        let (first, second) = if v6.is_some() && (v4.is_none() || v6 < v4) { (aaaa, a) } else { (a, aaaa) };
        let address = |data: RData| data.ip_addr().map(|ip: IpAddr| (transport, SocketAddr::new(ip, port)));
        first.into_iter().chain(second).filter_map(address).collect()
    }

    /// Whether the host is in the system's file of hosts, or this machine: then nobody has to be asked.
    fn is_static(&self, host: &str) -> bool {
        let Ok(name) = Name::from_ascii(host) else { return false };
        let known = |kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)).is_some();
        name.is_localhost() || known(RecordType::A) || known(RecordType::AAAA)
    }

    /// The records of a name, none where there are none, or where nobody answers in time.
    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        match timeout(STEP, self.library.lookup(name, kind)).await {
            Ok(Ok(found)) => found.answers().iter().map(|record| record.data.clone()).collect(),
            Ok(Err(error)) => {
                tracing::debug!(name, %kind, %error, "name service");
                Vec::new()
            }
            Err(_) => {
                tracing::debug!(name, %kind, "the name service is silent");
                Vec::new()
            }
        }
    }
}

fn default_port(transport: Transport) -> u16 {
    if transport == Transport::Tls { 5061 } else { 5060 }
}

#[cfg(test)]
mod tests;
