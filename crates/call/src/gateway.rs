//! Gateways: which one a URI means, the ways to it, how many calls it takes, and whether it is there.
//!
//! ```text
//!   sip:100@carrier          the gateway of that name: each of its addresses, in order
//!   sip:100@192.0.2.1:5070   the gateway with that address: that one first, then its others
//!   sip:100@example.com      nobody's: dialled as it is
//! ```
//! An address of a gateway that does not answer to OPTIONS is passed over, and so is one that said when to come back (503
//! with Retry-After), until then. A gateway all of whose addresses are passed over is passed over itself, and so is one
//! that has as many calls as it takes. Only where no way is left is the call refused.

mod callee;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use offhook_media::event::Codec;
use offhook_media::sdp::{Order, Protection};
use offhook_sip::event::{self as sip, Credentials, GatewayName};

use crate::cause::TurnedAway;
use crate::error::Error;
use crate::event::NodeEventKind;
use crate::gate::Bucket;
use callee::Callee;

/// The longest rest that a 503 can ask for. A gateway that means longer says so again.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// One way to send SIP to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name or an address, in lower case; IPv6 in brackets.
    pub host: String,
    /// None: 5060, or what the name service says (RFC 3263).
    pub port: Option<u16>,
    /// The value of `transport`; none: UDP, or what the name service says.
    pub transport: Option<String>,
}

impl Address {
    /// The URI of `user` here, with whatever other parameters it has.
    fn uri(&self, user: &str, parameters: &[&str]) -> String {
        let mut uri = format!("sip:{user}{}", self.host);
        if let Some(port) = self.port {
            uri.push_str(&format!(":{port}"));
        }
        for parameter in parameters {
            uri.push(';');
            uri.push_str(parameter);
        }
        if let Some(transport) = &self.transport {
            uri.push_str(";transport=");
            uri.push_str(transport);
        }
        uri
    }
}

/// How digits go to a gateway, and whether tones from it are searched for digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtmfWay {
    /// As the node does: telephone-events where they are negotiated, tones otherwise.
    #[default]
    Auto,
    /// As `Auto`, and tones are never searched for digits.
    Rfc4733,
    /// Telephone-events are not negotiated: tones both ways.
    Inband,
    /// INFO requests with `application/dtmf-relay` to the gateway; from it as `Auto`.
    Info,
}

/// A gateway as the calls see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// What it is called; no two names differ in case only.
    pub name: GatewayName,
    /// Where it is, in the order to try, at least one.
    pub addresses: Vec<Address>,
    /// The outbound proxy before it, `host[:port][;transport=…]`.
    pub proxy: Option<String>,
    /// What it is shown when it challenges us.
    pub credentials: Option<Credentials>,
    /// The most calls at a time, in and out; 0 for no limit of its own.
    pub max_calls: usize,
    /// The most new calls in a second, in and out; 0 for no limit of its own.
    pub max_calls_per_second: u32,
    /// Codecs in order of preference; empty for the node's.
    pub codecs: Vec<Codec>,
    /// Whose order of codecs our answers to it go by.
    pub codec_order: Order,
    /// Whether media with it is protected (SRTP).
    pub srtp: Protection,
    /// How digits travel.
    pub dtmf: DtmfWay,
    /// Whether its media may come from another address than it names; none: as the node does.
    pub symmetric: Option<bool>,
    /// Whether a 3xx from it may send a call to a host of another gateway.
    pub follow_redirects: bool,
    /// How often it is asked by OPTIONS whether it is there.
    pub ping: Option<Duration>,
    /// What we register there.
    pub registration: Option<sip::Registration>,
}

/// What is known of a gateway: one line of `sys.node.gateways`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Its name.
    pub name: GatewayName,
    /// `host[:port][;transport=…]` each.
    pub addresses: Vec<String>,
    /// Whether it is asked whether it is there (OPTIONS).
    pub pinged: bool,
    /// Whether it answers to that; none where it is not asked, or it is not known yet.
    pub up: Option<bool>,
    /// Whether we are registered; none where we do not register.
    pub registered: Option<bool>,
    /// The calls that count against its limit.
    pub calls: usize,
    /// The most calls at a time; 0 for no limit of its own.
    pub max_calls: usize,
    /// The most new calls in a second; 0 for no limit of its own.
    pub max_calls_per_second: u32,
    /// How long it is still left in peace, all of its addresses that answer having said when to come back (503 with
    /// Retry-After): until the first of them may be called again.
    pub rest: Option<Duration>,
    /// How many times an address of it has said so.
    pub rests: u64,
}

/// One route of a call, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// None: nobody's.
    pub(crate) address: Option<AddressOf>,
    /// The callee as the application wrote it.
    pub(crate) uri: String,
}

impl Way {
    pub(crate) fn gateway(&self) -> Option<&GatewayName> {
        self.address.as_ref().map(|address| &address.gateway)
    }
}

/// An address of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressOf {
    gateway: GatewayName,
    /// Which of [`Gateway::addresses`].
    index: usize,
}

/// How an outbound call goes.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What SIP is told, and of each route whose it is.
    pub(crate) routes: Vec<sip::Route>,
    pub(crate) ways: Vec<Way>,
    pub(crate) redirect_hosts: Vec<String>,
}

impl Plan {
    /// The gateways on the way, each once.
    pub(crate) fn gateways(&self) -> Vec<GatewayName> {
        let mut names: Vec<GatewayName> = Vec::new();
        for name in self.ways.iter().filter_map(Way::gateway) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// A gateway and what has become of it.
#[derive(Debug)]
struct Entry {
    gateway: Gateway,
    bucket: Bucket,
    calls: usize,
    /// What has become of each address, in their order.
    lines: Vec<Line>,
    /// What was told of it last.
    told_up: Option<bool>,
    rests: u64,
    registered: bool,
}

/// What has become of one address.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Whether it answers to OPTIONS.
    up: Option<bool>,
    /// When it may be called again, having said so.
    rests_until: Option<Instant>,
}

impl Line {
    fn is_down(&self) -> bool {
        self.up == Some(false)
    }

    /// How long it is still left in peace.
    fn rest(&self, now: Instant) -> Option<Duration> {
        let rest = self.rests_until.and_then(|until| until.checked_duration_since(now));
        rest.filter(|rest| !rest.is_zero())
    }

    /// Whether it can be called now.
    fn is_there(&self, now: Instant) -> bool {
        !self.is_down() && self.rest(now).is_none()
    }
}

impl Entry {
    fn new(gateway: Gateway) -> Self {
        let lines = vec![Line::default(); gateway.addresses.len()];
        let bucket = Bucket::default();
        Self { gateway, bucket, calls: 0, lines, told_up: None, rests: 0, registered: false }
    }

    /// Up by any address, down by all of them, and unknown until then.
    fn is_up(&self) -> Option<bool> {
        if self.lines.iter().any(|line| line.up == Some(true)) {
            return Some(true);
        }
        self.lines.iter().all(Line::is_down).then_some(false)
    }

    /// Whether one more call may go there or come from there now.
    fn has_room(&self, now: Instant) -> Result<(), TurnedAway> {
        let Gateway { max_calls, max_calls_per_second, .. } = self.gateway;
        if max_calls != 0 && self.calls >= max_calls {
            return Err(TurnedAway::GatewayCalls);
        }
        if max_calls_per_second != 0 && self.bucket.check(now, max_calls_per_second).is_none() {
            return Err(TurnedAway::GatewayCallsPerSecond);
        }
        Ok(())
    }

    /// The same, as an application is told that wants to call there.
    fn takes_a_call(&self, now: Instant) -> Result<(), Error> {
        self.has_room(now).map_err(|why| {
            let value = match why {
                TurnedAway::GatewayCalls => self.gateway.max_calls as u64,
                _ => self.gateway.max_calls_per_second.into(),
            };
            Error::LimitReached { limit: why.name(), value }
        })
    }

    /// How long it is still left in peace: until the first of its addresses that answer may be called again; none where
    /// one may be called now, or none answers.
    fn rest(&self, now: Instant) -> Option<Duration> {
        if self.lines.iter().any(|line| line.is_there(now)) {
            return None;
        }
        self.lines.iter().filter(|line| !line.is_down()).filter_map(|line| line.rest(now)).min()
    }

    /// Whether it can be called now.
    fn is_there(&self, now: Instant) -> Result<(), Error> {
        if self.lines.iter().any(|line| line.is_there(now)) {
            return Ok(());
        }
        Err(Error::GatewayUnavailable { gateway: self.gateway.name.clone(), retry_in: self.rest(now) })
    }

    /// The addresses to try, each with its index, `first` before the others; without those that do not answer or rest.
    fn addresses(&self, now: Instant, first: Option<usize>) -> Vec<(usize, &Address)> {
        let others = (0..self.gateway.addresses.len()).filter(|&index| Some(index) != first);
        let order = first.into_iter().chain(others);
        order
            .filter(|&index| self.lines[index].is_there(now))
            .map(|index| (index, &self.gateway.addresses[index]))
            .collect()
    }
}

/// The gateways of a node.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    /// In the order of the configuration.
    entries: Vec<Entry>,
    /// Which address of which gateway a ping is of.
    pings: HashMap<GatewayName, (GatewayName, usize)>,
}

impl Gateways {
    /// Other gateways than before; one of the same name keeps its calls, and one that is the same is left alone. What SIP has to
    /// do for it.
    pub(crate) fn replace(&mut self, gateways: Vec<Gateway>) -> Vec<sip::Command> {
        let mut before: HashMap<GatewayName, Entry> =
            self.entries.drain(..).map(|entry| (entry.gateway.name.clone(), entry)).collect();
        let (mut changed, mut left) = (Vec::new(), Vec::new());
        for gateway in gateways {
            let entry = match before.remove(&gateway.name) {
                Some(old) if old.gateway == gateway => old,
                old => {
                    changed.push(gateway.clone());
                    let mut entry = Entry::new(gateway);
                    if let Some(old) = old {
                        (entry.calls, entry.bucket) = (old.calls, old.bucket);
                        if old.gateway.registration.is_some() && entry.gateway.registration.is_none() {
                            left.push(unregister(&old.gateway));
                        }
                    }
                    entry
                }
            };
            self.entries.push(entry);
        }
        let gone = before.values().filter(|old| old.gateway.registration.is_some());
        left.extend(gone.map(|old| unregister(&old.gateway)));
        let mut commands = Vec::new();
        self.pings.retain(|ping, (gateway, _)| {
            let goes_on = !before.contains_key(gateway) && !changed.iter().any(|new| new.name == *gateway);
            if !goes_on {
                commands.push(sip::Command::Unping { gateway: ping.clone() });
            }
            goes_on
        });
        commands.extend(left);
        for gateway in &changed {
            commands.extend(gateway.registration.clone().map(|it| sip::Command::Register(Box::new(it))));
            for (ping, index) in pings(gateway).into_iter().zip(0..) {
                self.pings.insert(ping.gateway.clone(), (gateway.name.clone(), index));
                commands.push(sip::Command::Ping(Box::new(ping)));
            }
        }
        commands
    }

    /// What SIP has to do when the node drains: nobody shall send calls here any more.
    pub(crate) fn close(&mut self) -> Vec<sip::Command> {
        let pings = self.pings.drain().map(|(gateway, _)| sip::Command::Unping { gateway });
        let accounts = self.entries.iter().filter(|entry| entry.gateway.registration.is_some());
        pings.chain(accounts.map(|entry| unregister(&entry.gateway))).collect()
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| *entry.gateway.name == *name)
    }

    fn entry_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| *entry.gateway.name == *name)
    }

    /// A gateway as it was configured.
    pub(crate) fn get(&self, name: &str) -> Option<&Gateway> {
        self.entry(name).map(|entry| &entry.gateway)
    }

    /// The gateway that a URI means, and which of its addresses, where it names one.
    fn find(&self, callee: &Callee<'_>) -> Option<(&Entry, Option<usize>)> {
        let named = |entry: &&Entry| entry.gateway.name.eq_ignore_ascii_case(callee.host);
        if callee.port.is_none()
            && let Some(entry) = self.entries.iter().find(named)
        {
            return Some((entry, None));
        }
        self.entries.iter().find_map(|entry| {
            let index = entry.gateway.addresses.iter().position(|address| callee.is_at(address))?;
            Some((entry, Some(index)))
        })
    }

    /// The ways to the first of `uris` that can be had, and to those after it; why there is none, where there is none.
    /// `proxy` and `credentials` are the application's own, and win over a gateway's.
    pub(crate) fn plan(
        &self,
        now: Instant,
        uris: &[String],
        proxy: Option<&String>,
        credentials: Option<&Credentials>,
    ) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let admit = |entry: &Entry, now| entry.is_there(now).and_then(|()| entry.takes_a_call(now));
        let mut refusal = None;
        for uri in uris {
            if let Err(error) = self.add_ways(&mut plan, now, uri, proxy, credentials, admit) {
                refusal.get_or_insert(error);
            }
        }
        match refusal {
            Some(error) if plan.routes.is_empty() => Err(error),
            _ => Ok(plan),
        }
    }

    fn add_ways(
        &self,
        plan: &mut Plan,
        now: Instant,
        uri: &str,
        proxy: Option<&String>,
        credentials: Option<&Credentials>,
        admit: impl Fn(&Entry, Instant) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let callee = Callee::parse(uri);
        let Some((entry, index)) = self.find(&callee) else {
            let (proxy, credentials) = (proxy.cloned(), credentials.cloned());
            plan.routes.push(sip::Route { to: uri.to_owned(), proxy, credentials });
            plan.ways.push(Way { address: None, uri: uri.to_owned() });
            return Ok(());
        };
        admit(entry, now)?;
        let gateway = &entry.gateway;
        for (index, address) in entry.addresses(now, index) {
            // An address that was named with its transport is meant with it.
            let meant = callee.transport.is_some() && callee.is_at(address);
            let to = if meant { uri.to_owned() } else { address.uri(callee.user, &callee.parameters) };
            let proxy = proxy.or(gateway.proxy.as_ref()).cloned();
            let credentials = credentials.or(gateway.credentials.as_ref()).cloned();
            plan.routes.push(sip::Route { to, proxy, credentials });
            let address = AddressOf { gateway: gateway.name.clone(), index };
            plan.ways.push(Way { address: Some(address), uri: uri.to_owned() });
        }
        if gateway.follow_redirects {
            plan.redirect_hosts = self.hosts();
        }
        Ok(())
    }

    /// The ways to a URI for a message, which is no call: only whether the gateway is there counts.
    pub(crate) fn ways(&self, now: Instant, uri: &str) -> Result<Vec<sip::Route>, Error> {
        let mut plan = Plan::default();
        self.add_ways(&mut plan, now, uri, None, None, Entry::is_there)?;
        Ok(plan.routes)
    }

    /// Where a far end finds who is behind a URI: a gateway's name means nothing to it, so its first address that answers
    /// stands in for that.
    pub(crate) fn target(&self, now: Instant, uri: &str) -> Result<String, Error> {
        let callee = Callee::parse(uri);
        let Some((entry, None)) = self.find(&callee) else { return Ok(uri.to_owned()) };
        entry.is_there(now)?;
        let address = entry.addresses(now, None).first().copied();
        Ok(address
            .map_or_else(|| uri.to_owned(), |(_, address)| address.uri(callee.user, &callee.parameters)))
    }

    /// The hosts of all gateways: where a 3xx may send a call, as an application may (reliability S8).
    fn hosts(&self) -> Vec<String> {
        let addresses = self.entries.iter().flat_map(|entry| &entry.gateway.addresses);
        let mut hosts: Vec<String> = addresses.map(|address| address.host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// Whether a call from a gateway gets in; it counts as one of this second's.
    pub(crate) fn admit(&mut self, now: Instant, name: &str) -> Result<(), TurnedAway> {
        let Some(entry) = self.entry_mut(name) else { return Ok(()) };
        entry.has_room(now)?;
        self.begin(now, name);
        Ok(())
    }

    /// A call begins at a gateway: one of this second's.
    pub(crate) fn begin(&mut self, now: Instant, name: &str) {
        let Some(entry) = self.entry_mut(name) else { return };
        if let Some(ticket) = entry.bucket.force(now, entry.gateway.max_calls_per_second) {
            entry.bucket.take(ticket);
        }
    }

    /// A call takes a place at a gateway, until [`Self::leave`].
    pub(crate) fn hold(&mut self, name: &str) {
        if let Some(entry) = self.entry_mut(name) {
            entry.calls += 1;
        }
    }

    /// A call gives its place back.
    pub(crate) fn leave(&mut self, name: &str) {
        if let Some(entry) = self.entry_mut(name) {
            entry.calls = entry.calls.saturating_sub(1);
        }
    }

    /// An address of a gateway said when to come back.
    pub(crate) fn rest(&mut self, now: Instant, address: &AddressOf, retry_after: Duration) {
        let Some(entry) = self.entry_mut(&address.gateway) else { return };
        // The gateway may have fewer addresses than when the call was planned.
        let Some(line) = entry.lines.get_mut(address.index) else { return };
        line.rests_until = now.checked_add(retry_after.min(LONGEST_REST));
        entry.rests += 1;
    }

    /// An address of a gateway answers, or does not; what there is to tell of the gateway, and to do: one that comes back
    /// without knowing us is registered with at once, or it would send no calls until the next try, half an hour away
    /// at worst.
    pub(crate) fn pinged(
        &mut self,
        ping: &GatewayName,
        up: bool,
        sip_status: u16,
    ) -> Option<(NodeEventKind, Option<sip::Command>)> {
        let (name, index) = self.pings.get(ping)?.clone();
        let entry = self.entry_mut(&name)?;
        let line = entry.lines.get_mut(index)?;
        line.up = Some(up);
        if up {
            line.rests_until = None;
        }
        let is_up = entry.is_up()?;
        let was_up = entry.told_up.replace(is_up);
        if was_up == Some(is_up) {
            return None;
        }
        let comes_back = is_up && was_up == Some(false) && !entry.registered;
        let registration = entry.gateway.registration.clone().filter(|_| comes_back);
        let register = registration.map(|registration| sip::Command::Register(Box::new(registration)));
        Some((NodeEventKind::GatewayState { gateway: name, up: is_up, sip_status }, register))
    }

    /// A registration has come to something.
    pub(crate) fn registered(
        &mut self,
        account: GatewayName,
        state: sip::RegistrationState,
    ) -> Option<NodeEventKind> {
        let entry = self.entry_mut(&account)?;
        entry.registered = matches!(state, sip::RegistrationState::Registered { .. });
        Some(NodeEventKind::RegistrationState { gateway: account, state })
    }

    /// What is known of each, in the order of the configuration.
    pub(crate) fn status(&self, now: Instant) -> Vec<GatewayStatus> {
        let status = |entry: &Entry| GatewayStatus {
            name: entry.gateway.name.clone(),
            addresses: entry
                .gateway
                .addresses
                .iter()
                .map(|address| address.uri("", &[]).trim_start_matches("sip:").to_owned())
                .collect(),
            pinged: entry.gateway.ping.is_some(),
            up: entry.is_up(),
            registered: entry.gateway.registration.is_some().then_some(entry.registered),
            calls: entry.calls,
            max_calls: entry.gateway.max_calls,
            max_calls_per_second: entry.gateway.max_calls_per_second,
            rest: entry.rest(now),
            rests: entry.rests,
        };
        self.entries.iter().map(status).collect()
    }

    /// How many places are taken: none when no call lives.
    pub(crate) fn held(&self) -> usize {
        self.entries.iter().map(|entry| entry.calls).sum()
    }
}

fn unregister(gateway: &Gateway) -> sip::Command {
    sip::Command::Unregister { account: gateway.name.clone() }
}

/// A ping of each address: a gateway whose first address is dead is not down. The names of the ones after the first
/// cannot be those of gateways.
fn pings(gateway: &Gateway) -> Vec<sip::Ping> {
    let Some(interval) = gateway.ping else { return Vec::new() };
    let ping = |(index, address): (usize, &Address)| sip::Ping {
        gateway: if index == 0 { gateway.name.clone() } else { format!("{}#{index}", gateway.name).into() },
        route: sip::Route {
            to: address.uri("", &[]),
            proxy: gateway.proxy.clone(),
            credentials: gateway.credentials.clone(),
        },
        interval,
    };
    gateway.addresses.iter().enumerate().map(ping).collect()
}
