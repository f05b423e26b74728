//! A transfer that the peer asks us for: REFER (RFC 3515). Whether it is done, and how, the application decides; here
//! nothing is ever called and no call is ever replaced (reliability S8, S9). The peer hears of the progress by NOTIFY.
//!
//! ```text
//!           REFER                 answer 202                       status 100-199
//!  Nobody ─────────► Offered ──────────────────► Accepted ─────────────────┐
//!    ▲   Referred     │          NOTIFY 100       │    ▲        NOTIFY     │
//!    │                │                           │    └───────────────────┘
//!    └────────────────┴───────────────────────────┘
//!     answer 300-699 · 603 by us · 487: the call ends     status 200-699: NOTIFY terminated · nobody wants to know
//! ```

use std::time::{Duration, Instant};

use super::check::is_tel;
use super::lane::{Errand, Purpose, Sender};
use super::refer::{PACKAGE, SIPFRAG};
use crate::core::Request;
use crate::event::{Body, CommandError, Event, Header};
use crate::message::{Address, Fault, Message, Name, Response, Uri, UriError, cut, phrase};
use crate::transaction::TransactionId;
use crate::uas::{RETRY_AFTER, Refusal};

/// How long the application may think. The peer gives up after 64·T1 = 32 s (Timer F), and its first copies of the
/// REFER may have been lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How long the peer is told of the progress: longer than any phone rings.
const SUBSCRIPTION: Duration = Duration::from_secs(300);

/// What the peer's REFERs in one dialog have come to.
#[derive(Default)]
pub(crate) struct Referred {
    state: State,
    /// How many have been accepted: from the second on their NOTIFYs must say which they are of (RFC 3515 §2.4.6).
    accepted: u32,
}

#[derive(Default)]
enum State {
    #[default]
    Nobody,
    /// The application is asked.
    Offered(Box<Offered>),
    /// The application does it, and says how it goes.
    Accepted { until: Instant, listener: Option<Listener> },
}

struct Offered {
    transaction: TransactionId,
    request: Request,
    give_up: Instant,
}

/// The peer's subscription: the number of its REFER.
#[derive(Clone, Copy)]
struct Listener(u32);

impl Referred {
    /// A REFER inside the dialog: the application is asked, or it is refused.
    pub(crate) fn on_refer(
        &mut self,
        sender: &mut Sender<'_>,
        request: &Request,
    ) -> Result<(), Refusal<'static>> {
        let to = target(&request.message)?;
        if !matches!(self.state, State::Nobody) {
            // As a second INVITE before the answer to the first (RFC 3261 §14.2): it may be tried again.
            return Err(Refusal::with(500, "Retry-After", RETRY_AFTER));
        }
        let referred_by = request
            .message
            .value(Name::ReferredBy)
            .and_then(|value| Address::parse(&value))
            .map(|address| address.uri);
        let Sender { core, now, session, .. } = sender;
        let transaction = core.open(request, Some(*session), "");
        let give_up = *now + ANSWER_LIMIT;
        self.state = State::Offered(Box::new(Offered { transaction, request: request.clone(), give_up }));
        core.tell(Event::Referred { session: *session, to, referred_by });
        Ok(())
    }

    /// Answers the REFER. Gives the first NOTIFY, which follows a 202 at once (RFC 3515 §2.4.4).
    pub(crate) fn answer(
        &mut self,
        sender: &mut Sender<'_>,
        status: u16,
    ) -> Result<Option<Errand>, CommandError> {
        if !matches!(status, 202 | 300..=699) {
            return Err(CommandError::BadStatus);
        }
        let offered = match std::mem::take(&mut self.state) {
            State::Offered(offered) => offered,
            State::Nobody => return Err(CommandError::Unknown),
            accepted @ State::Accepted { .. } => {
                self.state = accepted;
                return Err(CommandError::WrongState);
            }
        };
        if status != 202 {
            offered.respond(sender, status, &[]);
            return Ok(None);
        }
        let until = sender.now + SUBSCRIPTION;
        self.accepted = self.accepted.saturating_add(1);
        if is_unwatched(&offered.request.message) {
            // RFC 4488 §4: what the peer does not want to hear it is not told.
            offered.respond(sender, status, &[("Refer-Sub", "false".to_owned())]);
            self.state = State::Accepted { until, listener: None };
            return Ok(None);
        }
        offered.respond(sender, status, &[]);
        let listener = Listener(offered.request.head.cseq);
        self.state = State::Accepted { until, listener: Some(listener) };
        let active = format!("active;expires={}", SUBSCRIPTION.as_secs());
        Ok(Some(self.notify(listener, 100, active)))
    }

    /// Tells the peer how it goes; gives the NOTIFY, if it wants one.
    pub(crate) fn status(
        &mut self,
        sender: &Sender<'_>,
        status: u16,
    ) -> Result<Option<Errand>, CommandError> {
        if !(100..700).contains(&status) {
            return Err(CommandError::BadStatus);
        }
        let (until, listener) = match &self.state {
            State::Nobody => return Err(CommandError::Unknown),
            State::Offered(_) => return Err(CommandError::WrongState),
            State::Accepted { until, listener } => (*until, *listener),
        };
        let state = if status < 200 {
            format!("active;expires={}", until.saturating_duration_since(sender.now).as_secs())
        } else {
            self.state = State::Nobody;
            "terminated;reason=noresource".to_owned()
        };
        Ok(listener.map(|listener| self.notify(listener, status, state)))
    }

    /// The peer has refused a NOTIFY, or answers none: nobody listens any more (RFC 6665 §4.2.2).
    pub(crate) fn on_refused(&mut self, id: u32) {
        if let State::Accepted { listener, .. } = &mut self.state {
            listener.take_if(|listener| listener.0 == id);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Nobody => None,
            State::Offered(offered) => Some(offered.give_up),
            State::Accepted { until, .. } => Some(*until),
        }
    }

    /// Declines what nobody has answered, or ends the subscription; gives the NOTIFY that says so.
    pub(crate) fn on_deadline(&mut self, sender: &mut Sender<'_>) -> Option<Errand> {
        if self.deadline().is_none_or(|at| sender.now < at) {
            return None;
        }
        match std::mem::take(&mut self.state) {
            State::Nobody => None,
            State::Offered(offered) => {
                offered.respond(sender, 603, &[]);
                None
            }
            State::Accepted { listener, .. } => {
                listener.map(|listener| self.notify(listener, 100, "terminated;reason=timeout".to_owned()))
            }
        }
    }

    /// The call ends: the REFER is still answered (§15.1.2).
    pub(crate) fn abandon(&mut self, sender: &mut Sender<'_>) {
        if let State::Offered(offered) = std::mem::take(&mut self.state) {
            offered.respond(sender, 487, &[]);
        }
    }

    fn notify(&self, Listener(id): Listener, status: u16, state: String) -> Errand {
        let event = if self.accepted > 1 { format!("{PACKAGE};id={id}") } else { PACKAGE.to_owned() };
        let headers = [("Event", event), ("Subscription-State", state)]
            .map(|(name, value)| Header { name: name.to_owned(), value })
            .to_vec();
        let body = Body {
            content_type: format!("{SIPFRAG};version=2.0"),
            bytes: format!("SIP/2.0 {status} {}\r\n", phrase(status)).into_bytes(),
        };
        Errand::new(Purpose::Notify(id), "NOTIFY", headers, Some(body))
    }
}

impl Offered {
    fn respond(&self, sender: &mut Sender<'_>, status: u16, headers: &[(&str, String)]) {
        let contact = sender.core.contact(&self.request);
        let contact = (status < 300).then_some(&*contact);
        let response = Response { status, contact, headers, ..Response::default() };
        sender.core.respond(sender.now, self.transaction, &self.request, &response);
    }
}

/// Whether the peer wants no NOTIFY (RFC 4488 §4).
fn is_unwatched(refer: &Message) -> bool {
    refer.value(Name::ReferSub).is_some_and(|value| cut(&value, b';').0.eq_ignore_ascii_case(b"false"))
}

/// Whom we are to call: one URI (RFC 3515 §2.4.2) of a scheme that calls are made to, and to be called, not anything
/// else (RFC 3261 §19.1.1, `method`).
fn target(refer: &Message) -> Result<String, Refusal<'static>> {
    let bad = |phrase| Refusal::from_fault(Fault::bad(phrase));
    let all = refer.list(Name::ReferTo).ok_or_else(|| bad("Bad Refer-To"))?;
    let [one] = &*all else { return Err(bad("Not One Refer-To")) };
    let Address { uri, .. } = Address::parse(one).ok_or_else(|| bad("Bad Refer-To"))?;
    match Uri::parse(uri.as_bytes()) {
        Ok(parsed) if parsed.method().is_some_and(|method| method != "INVITE") => {
            Err(Refusal::from_fault(Fault { status: 403, phrase: "Only Calls" }))
        }
        Ok(_) => Ok(uri),
        Err(UriError::Scheme) if is_tel(&uri) => Ok(uri),
        Err(UriError::Scheme) => Err(Refusal::of(416)),
        Err(UriError::Malformed | UriError::TooLong) => Err(bad("Bad Refer-To")),
    }
}
