//! One request outside of dialogs, until its end (RFC 3261 §8.1): REGISTER, OPTIONS or MESSAGE.
//!
//! ```text
//!   name ─► address ─► sent ─► 401, 407 that we can answer: again     ─► sent
//!                        │     503, silent, not reached: next address ─► sent, or the end where there is none
//!                        └───► any other final response: the end
//! ```

use std::time::Instant;

use crate::auth::{Authenticator, Tries};
use crate::core::Core;
use crate::event::{Flow, Header, QueryId, Target};
use crate::message::{Draft, Message, phrase};
use crate::resolve::{Destination, QUERY_LIMIT};
use crate::transaction::{AgentId, TransactionId};
use crate::way::Way;

/// What a request is sent with.
pub(crate) struct Means<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) now: Instant,
    pub(crate) id: AgentId,
    /// What answers challenges, where there are credentials.
    pub(crate) authenticator: Option<&'a mut Authenticator>,
}

/// What of a request depends on the way that it takes.
pub(crate) enum Form {
    /// Nothing.
    Plain,
    /// From is our own address, with this tag.
    Ours { tag: String },
    /// Contact is our own address with this user, and wants to be bound for so many seconds.
    Binding { user: String, expires: u64 },
}

/// How a request ended.
pub(crate) struct Outcome<'m> {
    /// The final status: 408 where nobody answered, 503 where it could not be sent.
    pub(crate) status: u16,
    pub(crate) phrase: String,
    /// The final response, if there was one.
    pub(crate) response: Option<&'m Message>,
}

impl Outcome<'_> {
    fn made_here(status: u16) -> Self {
        Self { status, phrase: phrase(status).to_owned(), response: None }
    }
}

/// One request on its way.
pub(crate) struct Asking {
    draft: Draft,
    form: Form,
    way: Way,
    tries: Tries,
    state: State,
}

enum State {
    Resolving { query: QueryId, give_up: Instant },
    Sent { transaction: TransactionId, flow: Flow },
    Over,
}

impl Asking {
    /// Sends a request. Gives its end too, where it ends at once.
    pub(crate) fn start(
        means: &mut Means<'_>,
        draft: Draft,
        form: Form,
        destination: Destination,
    ) -> (Self, Option<Outcome<'static>>) {
        let (way, lookup) = Way::to(destination);
        let mut asking = Self { draft, form, way, tries: Tries::default(), state: State::Over };
        let outcome = match lookup {
            Some(lookup) => {
                let query = means.core.ask(means.id, lookup);
                asking.state = State::Resolving { query, give_up: means.now + QUERY_LIMIT };
                None
            }
            None => asking.try_next(means, Outcome::made_here(503)),
        };
        (asking, outcome)
    }

    /// The sequence number of the last request.
    pub(crate) fn cseq(&self) -> u32 {
        self.draft.cseq
    }

    /// Our Contact as it was sent last.
    pub(crate) fn contact(&self, core: &Core) -> Option<String> {
        let State::Sent { flow, .. } = self.state else { return None };
        self.contact_on(core, flow)
    }

    /// The answer of the name service.
    pub(crate) fn on_resolved(
        &mut self,
        means: &mut Means<'_>,
        query: QueryId,
        targets: &[Target],
    ) -> Option<Outcome<'static>> {
        match self.state {
            State::Resolving { query: ours, .. } if ours == query => {
                self.way.resolved(targets);
                self.try_next(means, Outcome::made_here(503))
            }
            _ => None,
        }
    }

    /// A final response; `None` where none came, and `otherwise` says why.
    pub(crate) fn on_response<'m>(
        &mut self,
        means: &mut Means<'_>,
        transaction: TransactionId,
        response: Option<&'m Message>,
        otherwise: u16,
    ) -> Option<Outcome<'m>> {
        let State::Sent { transaction: ours, flow } = self.state else { return None };
        if ours != transaction {
            return None;
        }
        let Some(message) = response else {
            if otherwise == 503 && self.way.fall_back(flow) {
                self.send(means);
                return None;
            }
            return self.try_next(means, Outcome::made_here(otherwise));
        };
        let status = message.status().unwrap_or_default();
        let outcome = Outcome { status, phrase: message.phrase(), response };
        match status {
            401 | 407 if self.is_answerable(means, flow, message) => {
                self.draft.cseq = self.draft.cseq.saturating_add(1);
                self.send(means);
                None
            }
            // RFC 3263 §4.3: this address is out of service, the next one may not be.
            503 => self.try_next(means, outcome),
            _ => Some(outcome),
        }
    }

    /// When the name service is no longer waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Resolving { give_up, .. } => Some(give_up),
            State::Sent { .. } | State::Over => None,
        }
    }

    /// Gives up on the name service if its time is over.
    pub(crate) fn on_deadline(&mut self, means: &mut Means<'_>) -> Option<Outcome<'static>> {
        match self.state {
            State::Resolving { query, give_up } if give_up <= means.now => {
                means.core.queries.remove(&query);
                self.try_next(means, Outcome::made_here(503))
            }
            _ => None,
        }
    }

    /// No other address is to be tried. `false` where none was tried yet, and none is then.
    pub(crate) fn hurry(&mut self, core: &mut Core) -> bool {
        self.way.close();
        let unsent = matches!(self.state, State::Resolving { .. });
        if unsent {
            self.abandon(core);
        }
        !unsent
    }

    /// Nobody wants to know any more.
    pub(crate) fn abandon(&mut self, core: &mut Core) {
        match self.state {
            State::Resolving { query, .. } => drop(core.queries.remove(&query)),
            State::Sent { transaction, .. } => core.transactions.abandon(transaction),
            State::Over => {}
        }
        self.state = State::Over;
    }

    fn is_answerable(&mut self, means: &mut Means<'_>, flow: Flow, challenge: &Message) -> bool {
        let authenticator = means.authenticator.as_mut();
        authenticator.is_some_and(|authenticator| authenticator.challenged(&mut self.tries, flow, challenge))
    }

    fn try_next<'m>(&mut self, means: &mut Means<'_>, otherwise: Outcome<'m>) -> Option<Outcome<'m>> {
        if self.way.next(means.core) {
            self.send(means);
            return None;
        }
        self.state = State::Over;
        Some(otherwise)
    }

    fn send(&mut self, means: &mut Means<'_>) {
        let Some(present) = self.way.present() else { return };
        let mut credentials = Vec::new();
        if let Some(authenticator) = &mut means.authenticator {
            authenticator.sent_to(present);
            let cnonce = means.core.random.token();
            credentials = authenticator.headers(present, self.draft.method, &self.draft.uri, &cnonce);
        }
        let draft = self.dressed(means.core, present, &credentials);
        let flow = self.way.fit(means.core, &draft).unwrap_or(present);
        let draft = if flow == present { draft } else { self.dressed(means.core, flow, &credentials) };
        let transaction = means.core.send_request(means.now, means.id, flow, &draft);
        self.state = State::Sent { transaction, flow };
    }

    /// The request as it is on a flow.
    fn dressed(&self, core: &Core, flow: Flow, credentials: &[Header]) -> Draft {
        let mut draft = self.draft.clone();
        draft.headers.extend_from_slice(credentials);
        match &self.form {
            Form::Plain => {}
            Form::Ours { tag } => draft.from = format!("<sip:{}>;tag={tag}", core.sent_by(flow)).into_bytes(),
            Form::Binding { expires, .. } => {
                let contact = self.contact_on(core, flow).unwrap_or_default();
                for (name, value) in [("Contact", format!("<{contact}>")), ("Expires", expires.to_string())] {
                    draft.headers.push(Header { name: name.to_owned(), value });
                }
            }
        }
        draft
    }

    fn contact_on(&self, core: &Core, flow: Flow) -> Option<String> {
        let Form::Binding { user, .. } = &self.form else { return None };
        Some(core.contact_uri(flow, self.draft.uri.as_bytes(), Some(user)))
    }
}
