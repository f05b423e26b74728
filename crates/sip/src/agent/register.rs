//! A registration with a trunk (RFC 3261 §10.2), kept alive until it is not wanted any more.
//!
//! ```text
//!              ┌──────── refresh, half to three quarters into the answered expiry ───────┐
//!              ▼                                                                         │
//!   REGISTER (bind) ── 2xx ──────────────────────────────────────────────► Registered ───┤
//!      ▲ ▲ │  │ └── 423: again, with the expiry it wants                                 │ Unregister
//!      │ └─┘  └──── 401, 407: again, with credentials                                    ▼
//!      │ 301, 302: at another host of the same domain                         REGISTER, Expires: 0
//!      └── wait: 30 s, doubling to 30 min (RFC 5626 §4.5) ◄── Failed                     │
//!                                                                                        ▼
//!                                                                                   Unregistered
//! ```
//!
//! One request at a time (§10.2): what is commanded while one is under way is done after it.

use std::time::{Duration, Instant};

use super::asking::{Asking, Form, Means, Outcome};
use crate::auth::Authenticator;
use crate::core::Core;
use crate::event::{Event, QueryId, Registration, RegistrationState, Target};
use crate::message::{Address, Draft, Message, Name, Uri, number};
use crate::redirect;
use crate::resolve::Destination;
use crate::session::check;
use crate::transaction::{AgentId, TransactionId};

/// The first wait after a failure, and the longest (RFC 5626 §4.5).
const BASE_WAIT: Duration = Duration::from_secs(30);
const MAX_WAIT: Duration = Duration::from_secs(30 * 60);
/// The longest Retry-After that is believed: a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest and the longest expiry that we ask for, whatever we are told: a minute and a week.
const EXPIRES: (u64, u64) = (60, 7 * 24 * 60 * 60);
/// A registrar that wants to hear from us more often than this is not well.
const SHORTEST_REFRESH: Duration = Duration::from_secs(5);
/// How often one attempt follows a 3xx.
const MAX_REDIRECTS: u8 = 5;

/// One account.
pub(crate) struct Account {
    id: AgentId,
    wanted: Registration,
    destination: Destination,
    authenticator: Option<Authenticator>,
    /// The same for all requests; the number grows (§10.2).
    call_id: String,
    cseq: u32,
    from: Vec<u8>,
    /// Failures in a row.
    failures: u32,
    /// Until when our Contact is bound, as far as we know.
    bound: Option<Instant>,
    /// What was told last.
    told: Option<RegistrationState>,
    /// Another registration has taken its name: nothing is told any more.
    replaced: bool,
    state: State,
    /// What to do when the request under way has ended.
    next: Option<Next>,
}

enum State {
    Asking(Box<Attempt>),
    Waiting { until: Instant },
    Over,
}

/// What a request is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Bind,
    Unbind,
}

/// A request, and what it has been through.
struct Attempt {
    asking: Asking,
    goal: Goal,
    trail: Trail,
}

/// Where an attempt goes, and what has been asked of it on the way.
#[derive(Clone)]
struct Trail {
    uri: String,
    destination: Destination,
    /// The expiry in seconds.
    expires: u64,
    /// Whether a 423 has been followed.
    raised: bool,
    redirects: u8,
}

enum Next {
    Replace(Box<Registration>, Destination),
    Leave,
}

impl Account {
    /// Registers. The command has been checked.
    pub(crate) fn start(
        core: &mut Core,
        now: Instant,
        id: AgentId,
        wanted: Registration,
        destination: Destination,
    ) -> Self {
        let mut account = Self {
            id,
            authenticator: wanted.registrar.credentials.clone().map(Authenticator::new),
            call_id: core.random.call_id(),
            cseq: 0,
            from: format!("<{}>;tag={}", wanted.aor, core.random.token()).into_bytes(),
            wanted,
            destination,
            failures: 0,
            bound: None,
            told: None,
            replaced: false,
            state: State::Waiting { until: now },
            next: None,
        };
        account.bind(core, now);
        account
    }

    /// Whether a registration is about the same Contact at the same registrar, so that the two would fight about it.
    pub(crate) fn is_same(&self, other: &Registration) -> bool {
        let Registration { aor, contact_user, registrar, .. } = &self.wanted;
        *aor == other.aor && *contact_user == other.contact_user && registrar.to == other.registrar.to
    }

    /// Goes on with other credentials, another way or another expiry.
    pub(crate) fn replace(
        &mut self,
        core: &mut Core,
        now: Instant,
        wanted: Registration,
        destination: Destination,
    ) {
        self.then(core, now, Next::Replace(Box::new(wanted), destination));
    }

    /// Ends the registration.
    pub(crate) fn leave(&mut self, core: &mut Core, now: Instant) {
        self.then(core, now, Next::Leave);
    }

    /// Ends the registration, of which nothing is told any more.
    pub(crate) fn leave_silently(&mut self, core: &mut Core, now: Instant) {
        self.replaced = true;
        self.leave(core, now);
    }

    pub(crate) fn on_resolved(&mut self, core: &mut Core, now: Instant, query: QueryId, targets: &[Target]) {
        let outcome = self.with(core, now, |asking, means| asking.on_resolved(means, query, targets));
        self.on_outcome(core, now, outcome);
    }

    pub(crate) fn on_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        transaction: TransactionId,
        response: Option<&Message>,
        otherwise: u16,
    ) {
        let outcome =
            self.with(core, now, |asking, means| asking.on_response(means, transaction, response, otherwise));
        self.on_outcome(core, now, outcome);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(attempt) => attempt.asking.deadline(),
            State::Waiting { until } => Some(*until),
            State::Over => None,
        }
    }

    pub(crate) fn on_deadline(&mut self, core: &mut Core, now: Instant) {
        match self.state {
            State::Waiting { until } if until <= now => self.bind(core, now),
            State::Asking(_) => {
                let outcome = self.with(core, now, |asking, means| asking.on_deadline(means));
                self.on_outcome(core, now, outcome);
            }
            State::Waiting { .. } | State::Over => {}
        }
    }

    /// Whether our Contact is bound, as far as we know and were told.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(self.told, Some(RegistrationState::Registered { .. }))
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Asking(_))
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn with<'m>(
        &mut self,
        core: &mut Core,
        now: Instant,
        input: impl FnOnce(&mut Asking, &mut Means<'_>) -> Option<Outcome<'m>>,
    ) -> Option<Outcome<'m>> {
        let State::Asking(attempt) = &mut self.state else { return None };
        let mut means = Means { core, now, id: self.id, authenticator: self.authenticator.as_mut() };
        input(&mut attempt.asking, &mut means)
    }

    /// Does something now, or after the request under way, which then has no other address to go to.
    fn then(&mut self, core: &mut Core, now: Instant, next: Next) {
        let waits = match &mut self.state {
            State::Over => return,
            State::Asking(attempt) => attempt.asking.hurry(core),
            State::Waiting { .. } => false,
        };
        if waits {
            self.next = Some(next);
        } else {
            self.proceed(core, now, next);
        }
    }

    fn proceed(&mut self, core: &mut Core, now: Instant, next: Next) {
        match next {
            Next::Replace(wanted, destination) => {
                self.authenticator = wanted.registrar.credentials.clone().map(Authenticator::new);
                self.wanted = *wanted;
                self.destination = destination;
                self.failures = 0;
                self.told = None;
                self.bind(core, now);
            }
            Next::Leave if self.bound.is_some_and(|until| until > now) => {
                let trail = Trail { expires: 0, ..self.trail() };
                self.ask(core, now, Goal::Unbind, trail);
            }
            Next::Leave => self.left(core),
        }
    }

    fn trail(&self) -> Trail {
        Trail {
            uri: self.wanted.registrar.to.clone(),
            destination: self.destination.clone(),
            expires: self.wanted.expires.as_secs().clamp(EXPIRES.0, EXPIRES.1),
            raised: false,
            redirects: 0,
        }
    }

    fn bind(&mut self, core: &mut Core, now: Instant) {
        let trail = self.trail();
        self.ask(core, now, Goal::Bind, trail);
    }

    fn ask(&mut self, core: &mut Core, now: Instant, goal: Goal, trail: Trail) {
        self.cseq = self.cseq.saturating_add(1);
        let draft = Draft {
            method: "REGISTER",
            uri: trail.uri.clone(),
            routes: Vec::new(),
            from: self.from.clone(),
            to: format!("<{}>", self.wanted.aor).into_bytes(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            headers: Vec::new(),
            body: None,
        };
        let form = Form::Binding { user: self.wanted.contact_user.clone(), expires: trail.expires };
        let mut means = Means { core, now, id: self.id, authenticator: self.authenticator.as_mut() };
        let (asking, outcome) = Asking::start(&mut means, draft, form, trail.destination.clone());
        self.state = State::Asking(Box::new(Attempt { asking, goal, trail }));
        self.on_outcome(core, now, outcome);
    }

    /// The request under way has ended.
    fn on_outcome(&mut self, core: &mut Core, now: Instant, outcome: Option<Outcome<'_>>) {
        let (State::Asking(attempt), Some(outcome)) = (&mut self.state, outcome) else { return };
        self.cseq = attempt.asking.cseq();
        if let Some(trail) = again(&attempt.trail, &outcome, &self.wanted) {
            let goal = attempt.goal;
            return self.ask(core, now, goal, trail);
        }
        match (attempt.goal, outcome.status, outcome.response) {
            (Goal::Bind, 200..300, Some(response)) => {
                let contact = attempt.asking.contact(core).unwrap_or_default();
                let granted = granted(response, &contact, attempt.trail.expires);
                self.on_bound(core, now, granted);
            }
            (Goal::Bind, ..) => self.on_failed(core, now, &outcome),
            (Goal::Unbind, ..) => {
                self.bound = None;
                self.state = State::Waiting { until: now };
                if !matches!(self.next, Some(Next::Replace(..))) {
                    return self.left(core);
                }
            }
        }
        if let Some(next) = self.next.take() {
            self.proceed(core, now, next);
        }
    }

    fn on_bound(&mut self, core: &mut Core, now: Instant, granted: u64) {
        let expires = Duration::from_secs(granted.min(EXPIRES.1));
        self.failures = 0;
        self.bound = Some(now + expires);
        let refresh = core.random.between(expires / 2, expires * 3 / 4).max(SHORTEST_REFRESH);
        self.state = State::Waiting { until: now + refresh };
        self.tell(core, RegistrationState::Registered { expires });
    }

    fn on_failed(&mut self, core: &mut Core, now: Instant, outcome: &Outcome<'_>) {
        self.failures = self.failures.saturating_add(1);
        // RFC 5626 §4.5: between half and all of an upper bound that doubles with each failure.
        let bound = BASE_WAIT.saturating_mul(2_u32.saturating_pow(self.failures)).min(MAX_WAIT);
        let wait = core.random.between(bound / 2, bound);
        let asked = outcome.response.and_then(Message::retry_after).unwrap_or_default().min(MAX_RETRY_AFTER);
        let retry_in = wait.max(asked);
        self.state = State::Waiting { until: now + retry_in };
        let (status, phrase) = (outcome.status, outcome.phrase.clone());
        self.tell(core, RegistrationState::Failed { status, phrase, retry_in });
    }

    fn left(&mut self, core: &mut Core) {
        self.state = State::Over;
        self.tell(core, RegistrationState::Unregistered);
    }

    fn tell(&mut self, core: &mut Core, state: RegistrationState) {
        if self.replaced || self.told.as_ref() == Some(&state) {
            return;
        }
        self.told = Some(state.clone());
        core.tell(Event::Registration { account: self.wanted.account.clone(), state });
    }
}

/// What to ask after a response that says how it would be content.
fn again(trail: &Trail, outcome: &Outcome<'_>, wanted: &Registration) -> Option<Trail> {
    let response = outcome.response?;
    match outcome.status {
        // §10.2.8. More than what it said before is more than we can know to be enough.
        423 if !trail.raised => {
            let expires = response.seconds(Name::MinExpires)?.as_secs();
            let longer = trail.expires > 0 && (trail.expires..=EXPIRES.1).contains(&expires);
            longer.then(|| Trail { expires, raised: true, ..trail.clone() })
        }
        301 | 302 if trail.redirects < MAX_REDIRECTS => {
            let registrar = Uri::parse(wanted.registrar.to.as_bytes()).ok()?;
            let contact = redirect::contacts(response).into_iter().find(|uri| is_of_same(&registrar, uri))?;
            let mut route = wanted.registrar.clone();
            contact.as_str().clone_into(&mut route.to);
            let destination = check::route(&route).ok()?;
            let redirects = trail.redirects.saturating_add(1);
            Some(Trail { uri: route.to, destination, redirects, ..trail.clone() })
        }
        _ => None,
    }
}

/// Whether a registrar may send us there: to itself, or to a host of its own domain, as securely as before. Elsewhere the
/// password is nobody's business (reliability S6, S8).
fn is_of_same(registrar: &Uri, other: &Uri) -> bool {
    let own = registrar.host().to_ascii_lowercase();
    let is_own = |host: &str| {
        let host = host.to_ascii_lowercase();
        host == own || host.strip_suffix(&own).is_some_and(|rest| rest.ends_with('.'))
    };
    let secure = registrar.scheme() == other.scheme() || registrar.scheme() == crate::message::Scheme::Sip;
    secure && is_own(other.host()) && is_own(other.target())
}

/// For how many seconds a 2xx has bound our Contact (§10.2.4): its own `expires`, else the Expires header, else what was
/// asked for. A registrar that writes our Contact in a way of its own lists but one.
fn granted(response: &Message, contact: &str, asked: u64) -> u64 {
    let listed: Vec<_> = response
        .list(Name::Contact)
        .unwrap_or_default()
        .iter()
        .filter_map(|value| Address::parse(value))
        .collect();
    let ours = place(contact);
    let own =
        listed.iter().find(|address| place(&address.uri) == ours && ours.is_some()).or(match &*listed {
            [only] => Some(only),
            _ => None,
        });
    own.and_then(|address| number(address.param("expires")?.as_bytes(), u32::MAX))
        .map(u64::from)
        .or_else(|| response.seconds(Name::Expires).map(|expires| expires.as_secs()))
        .unwrap_or(asked)
}

/// What of a URI says whose it is and where (§19.1.4): user, host and port.
fn place(uri: &str) -> Option<(String, String, Option<u16>)> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    Some((uri.user().to_owned(), uri.host().to_ascii_lowercase(), uri.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_granted() {
        const OURS: &str = "sip:alice@198.51.100.1:5060";
        for (fields, seconds) in [
            ("Contact: <sip:alice@198.51.100.1:5060>;expires=120\r\n", 120),
            ("Contact: <sip:alice@198.51.100.1:5060>;expires=120\r\nExpires: 60\r\n", 120),
            ("Contact: <sip:alice@198.51.100.1:5060>\r\nExpires: 60\r\n", 60),
            // Others have bound theirs too, for longer.
            (
                "Contact: <sip:bob@198.51.100.1:5060>;expires=7200, <sip:alice@198.51.100.9:5060>;expires=7200\r\n\
                 Contact: <sip:alice@198.51.100.1:5060;transport=udp>;expires=90\r\n",
                90,
            ),
            // A registrar behind a NAT of its own.
            ("Contact: <sip:alice@203.0.113.5:31000>;expires=75\r\n", 75),
            ("Expires: 60\r\n", 60),
            ("", 300),
            ("Contact: <sip:alice@198.51.100.1:5060>;expires=never\r\n", 300),
        ] {
            let text = format!("SIP/2.0 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
            let response = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(granted(&response, OURS, 300), seconds, "{fields}");
        }
    }

    #[test]
    fn where_a_registrar_may_send_us() {
        let uri = |text: &str| Uri::parse(text.as_bytes()).unwrap();
        for (registrar, other, may) in [
            ("sip:example.com", "sip:EXAMPLE.com:5070", true),
            ("sip:example.com", "sip:edge1.example.com", true),
            ("sip:example.com", "sips:edge1.example.com", true),
            ("sips:example.com", "sip:edge1.example.com", false),
            ("sip:example.com", "sip:evilexample.com", false),
            ("sip:example.com", "sip:example.com.evil.net", false),
            ("sip:example.com", "sip:edge1.example.com;maddr=203.0.113.66", false),
            ("sip:192.0.2.7", "sip:192.0.2.7:5080", true),
            ("sip:192.0.2.7", "sip:192.0.2.8", false),
        ] {
            assert_eq!(is_of_same(&uri(registrar), &uri(other)), may, "{registrar} {other}");
        }
    }
}
