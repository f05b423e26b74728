//! Where a call can still be tried: the routes it was given, and where a 3xx sends it (RFC 3261 §8.1.3.4).
//!
//! ```text
//! routes   A ─────────────── B            in order
//!          └ 302: c, d                    before B, best q first; to allowed hosts only, nowhere twice
//!                 └ 302: e                5 times in all
//! ```

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::event::{Credentials, Invite};
use crate::message::{Message, Scheme, Uri};
use crate::redirect::contacts;
use crate::resolve::{Destination, QUERY_LIMIT};

/// How often a call follows a 3xx. A gateway or two stand between us and the callee; more is a loop.
const MAX_REDIRECTS: u8 = 5;
/// How many addresses one call is tried at, over all its routes: each may take 64·T1.
const MAX_TRIES: usize = 16;

/// A place to try.
pub(crate) struct Stop {
    /// The Request-URI.
    pub(crate) uri: String,
    pub(crate) destination: Destination,
    pub(crate) kind: Kind,
}

/// Where a stop comes from.
pub(crate) enum Kind {
    /// A route of the command: its number, and what answers challenges there.
    Route(usize, Option<Credentials>),
    /// A 3xx.
    Redirection,
}

/// What is left to try.
#[derive(Default)]
pub(crate) struct Itinerary {
    stops: VecDeque<Stop>,
    /// The hosts that a 3xx may send us to, in lower case.
    hosts: Vec<String>,
    /// The proxies of the routes: what a route leads to by one is sent on by that one.
    proxies: Vec<Option<String>>,
    /// The route that is tried now.
    route: usize,
    /// The Request-URIs so far, those too that are still to be tried.
    seen: HashSet<String>,
    redirects: u8,
    tries: usize,
    /// How much longer the call waits for the name service in all (reliability S18).
    patience: Duration,
}

impl Itinerary {
    /// All routes of a call, with where each leads.
    pub(crate) fn of(invite: &Invite, destinations: Vec<Destination>) -> Self {
        let stops =
            invite.routes.iter().zip(destinations).enumerate().map(|(number, (route, destination))| {
                let kind = Kind::Route(number, route.credentials.clone());
                Stop { uri: route.to.clone(), destination, kind }
            });
        Self {
            stops: stops.collect(),
            hosts: invite.redirect_hosts.clone(),
            proxies: invite.routes.iter().map(|route| route.proxy.clone()).collect(),
            route: 0,
            seen: HashSet::new(),
            redirects: 0,
            tries: 0,
            patience: QUERY_LIMIT,
        }
    }

    /// The next stop.
    pub(crate) fn next(&mut self) -> Option<Stop> {
        let stop = self.stops.pop_front()?;
        if let Kind::Route(number, _) = stop.kind {
            self.route = number;
        }
        self.seen.insert(stop.uri.clone());
        Some(stop)
    }

    /// The number of the route that is tried now.
    pub(crate) fn route(&self) -> usize {
        self.route
    }

    /// Whether the next stop is one that the present route has led to.
    pub(crate) fn is_redirected(&self) -> bool {
        self.stops.front().is_some_and(|stop| matches!(stop.kind, Kind::Redirection))
    }

    /// One more address is tried; `false` where it is one too many.
    pub(crate) fn take_try(&mut self) -> bool {
        let room = self.tries < MAX_TRIES;
        self.tries += usize::from(room);
        room
    }

    /// How long to wait for the name of a stop: what is left, shared with the names still to come.
    pub(crate) fn query_limit(&self) -> Duration {
        let is_name = |stop: &&Stop| matches!(stop.destination, Destination::Name(_));
        let names = self.stops.iter().filter(is_name).count().saturating_add(1);
        self.patience / u32::try_from(names).unwrap_or(u32::MAX)
    }

    /// The name service took so long.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.patience = self.patience.saturating_sub(time);
    }

    /// Lines up the contacts of a 3xx to a request to `from`. `false` where it leads nowhere that we may or want to go:
    /// then it is a refusal like any other.
    pub(crate) fn redirect(&mut self, from: &str, response: &Message) -> bool {
        // 305 and 380 ask for what a person has to decide (§21.3.4, §21.3.5).
        if matches!(response.status(), Some(305 | 380)) || self.redirects == MAX_REDIRECTS {
            return false;
        }
        let secure = is_secure(from);
        let proxy = self.proxies.get(self.route).cloned().flatten();
        let mut found = Vec::new();
        for contact in contacts(response) {
            let allowed = |host: &str| self.hosts.contains(&host.to_ascii_lowercase());
            // §8.1.3.4: a call that was to be secure does not become an insecure one by a response.
            let kept = (!secure || contact.scheme() == Scheme::Sips)
                && allowed(contact.host())
                && allowed(contact.target());
            if !kept || !self.seen.insert(contact.as_str().to_owned()) {
                continue;
            }
            let destination = match &proxy {
                Some(proxy) => Destination::of_proxy(proxy, &contact),
                None => Some(Destination::of(&contact)),
            };
            let destination = destination.unwrap_or(Destination::Unreachable);
            found.push(Stop { uri: contact.as_str().to_owned(), destination, kind: Kind::Redirection });
        }
        let leads_on = !found.is_empty();
        self.redirects += u8::from(leads_on);
        for stop in found.into_iter().rev() {
            self.stops.push_front(stop);
        }
        leads_on
    }
}

fn is_secure(uri: &str) -> bool {
    Uri::parse(uri.as_bytes()).is_ok_and(|uri| uri.scheme() == Scheme::Sips)
}
